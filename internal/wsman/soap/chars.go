package soap

import (
	"encoding/binary"
	"unicode/utf8"
)

// Eight equal bytes in one word, for testing eight characters at a time.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// isChar reports whether XML 1.0 allows r: production 2, Char.
func isChar(r rune) bool {
	return r >= 0x20 && r <= 0xD7FF || r == '\t' || r == '\n' || r == '\r' ||
		r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}

// What [checkChars] can find.
const (
	notUTF8 = "the document is not valid UTF-8"
	notChar = "this character is not allowed in XML 1.0, not even as a reference"
)

// checkChars returns the offset of the first byte of data that does not belong to a UTF-8 character which
// XML allows, and what is wrong with it, or -1 if there is none; and whether there is any \r, which the
// reader has to turn into \n.
func checkChars(data []byte) (bad int, problem string, hasCR bool) {
	i := 0
	for i < len(data) {
		for len(data)-i >= 8 {
			word := binary.LittleEndian.Uint64(data[i:])
			// The high bit of a byte stays clear if the byte is ASCII and at least 0x20.
			if (word|(word-0x20*ones))&highs != 0 {
				break
			}
			i += 8
		}
		for end := min(i+8, len(data)); i < end; {
			c := data[i]
			switch {
			case c >= utf8.RuneSelf:
				r, size := utf8.DecodeRune(data[i:])
				if r == utf8.RuneError && size == 1 {
					return i, notUTF8, hasCR
				}
				if !isChar(r) {
					return i, notChar, hasCR
				}
				i += size
			case c >= 0x20 || c == '\n' || c == '\t':
				i++
			case c == '\r':
				hasCR = true
				i++
			default:
				return i, notChar, hasCR
			}
		}
	}
	return -1, "", hasCR
}
