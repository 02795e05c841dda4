package keycode

import (
	"strings"
	"unicode"
)

// maxTyped bounds the texts that Groups and Ungroup work on, in bytes: more than
// a product ID with two separators of three bytes after each group.
const maxTyped = 256

// Groups returns s with a hyphen between each two groups of five bytes, for showing
// it to people. A text of more than 256 bytes is no code and is returned unchanged.
func Groups(s string) string {
	if len(s) <= groupLen || len(s) > maxTyped {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + len(s)/groupLen)
	for len(s) > groupLen {
		b.WriteString(s[:groupLen])
		b.WriteByte('-')
		s = s[groupLen:]
	}
	b.WriteString(s)
	return b.String()
}

// Ungroup returns s without hyphens, dashes and white space, for what people type
// or paste at a command line. It changes nothing else, so that the checks can name
// what is wrong. A text of more than 256 bytes is no code and is returned unchanged.
func Ungroup(s string) string {
	if len(s) > maxTyped {
		return s
	}
	return strings.Map(func(r rune) rune {
		// Word processors turn a hyphen into one of U+2010 to U+2015, or a minus sign.
		if r == '-' || r >= '\u2010' && r <= '\u2015' || r == '\u2212' || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

// FirstGroup returns the first group of a code in upper case, followed by "-…". It
// returns "…" alone if s is shorter than the shortest code or does not begin with five
// characters of the alphabet. Nothing else of a code belongs in a log, and nothing but
// the alphabet gets there this way.
func FirstGroup(s string) string {
	if len(s) < groupLen*retailGroups {
		return "…"
	}
	var group [groupLen]byte
	for i := range group {
		symbol := symbolOf[s[i]]
		if symbol == 0 {
			return "…"
		}
		group[i] = alphabet[symbol&31]
	}
	return string(group[:]) + "-…"
}
