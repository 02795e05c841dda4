package soap

import "unicode/utf8"

// wordAt returns the eight bytes of s from i on, the first in the lowest bits.
func wordAt(s string, i int) uint64 {
	s = s[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// isPlainWord reports whether eight bytes are ASCII and need no escape.
func isPlainWord(word uint64) bool {
	// " and & differ in one bit, and so do < and >: two comparisons find all four. A byte that equals one of
	// them becomes zero, and subtracting 1 from zero sets its high bit.
	quoteOrAmp := word&^(0x04*ones) ^ '"'*ones
	angle := word&^(0x02*ones) ^ '<'*ones
	return (word|(word-' '*ones)|(quoteOrAmp-ones)|(angle-ones))&highs == 0
}

// plainPrefix returns the length of a part at the start of s that is ASCII and needs no escape: all of s if
// that is plain and not too short to look at in words, else what comes before the first word that is not.
func plainPrefix(s string) int {
	i := 0
	for ; len(s)-i >= 8; i += 8 {
		if !isPlainWord(wordAt(s, i)) {
			return i
		}
	}
	if i > 0 && isPlainWord(wordAt(s, len(s)-8)) {
		return len(s)
	}
	return i
}

// isPlain reports whether c is an ASCII character that needs no escape.
func isPlain(c byte, attribute bool) bool {
	switch c {
	case '&', '<', '>':
		return false
	case '"':
		return !attribute
	case '\t', '\n':
		return !attribute
	}
	return c >= ' ' && c < utf8.RuneSelf
}

// appendEscaped appends s as character data or as the value of an attribute, such that a reader gets s back.
// What cannot be written in XML 1.0 becomes U+FFFD.
func appendEscaped(dst []byte, s string, attribute bool) []byte {
	for s != "" {
		n := plainPrefix(s)
		end := min(n+8, len(s))
		for n < end && isPlain(s[n], attribute) {
			n++
		}
		dst = append(dst, s[:n]...)
		if n == end {
			s = s[n:]
			continue
		}
		size := 1
		switch c := s[n]; {
		case c == '&':
			dst = append(dst, "&amp;"...)
		case c == '<':
			dst = append(dst, "&lt;"...)
		case c == '>':
			dst = append(dst, "&gt;"...)
		case c == '"':
			dst = append(dst, "&quot;"...)
		case c == '\t':
			dst = append(dst, "&#x9;"...)
		case c == '\n':
			dst = append(dst, "&#xA;"...)
		case c == '\r':
			// Readers turn a literal one into \n.
			dst = append(dst, "&#xD;"...)
		default:
			var r rune
			if r, size = utf8.DecodeRuneInString(s[n:]); !isChar(r) {
				r = utf8.RuneError
			}
			dst = utf8.AppendRune(dst, r)
		}
		s = s[n+size:]
	}
	return dst
}
