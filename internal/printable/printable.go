// Package printable makes text that others have chosen safe to show: what could give orders to a terminal, or turn a line around, is shown
// as the escape \uXXXX that JSON has for it.
package printable

import (
	"strings"
	"unicode"
	"unicode/utf16"
)

// Text escapes each character that is not printable, line ends too. What is no UTF-8 becomes U+FFFD.
func Text(text string) string { return escape(text, unicode.IsPrint) }

// JSON escapes the same in a JSON text, which means the same afterwards. Line ends between its members stay.
func JSON(text string) string {
	return escape(text, func(c rune) bool { return unicode.IsPrint(c) || c == '\n' })
}

func escape(text string, stays func(rune) bool) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if strings.IndexFunc(text, func(c rune) bool { return !stays(c) }) < 0 {
		return text
	}
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range text {
		if stays(c) {
			b.WriteRune(c)
			continue
		}
		for _, unit := range utf16.Encode([]rune{c}) {
			b.Write([]byte{'\\', 'u', digits[unit>>12], digits[unit>>8&15], digits[unit>>4&15], digits[unit&15]})
		}
	}
	return b.String()
}
