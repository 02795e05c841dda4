package wql

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// fold returns one character for all those that differ only in case. WQL compares without regard to case ("WHERE Clause").
func fold(r rune) rune {
	if r < utf8.RuneSelf {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	return least
}

// foldString folds every character, so that compareFolded can take it as its second argument.
func foldString(s string) string { return strings.Map(fold, s) }

// compareFolded orders s against a folded string, character by character, and allocates nothing.
func compareFolded(s, folded string) int {
	for s != "" && folded != "" {
		r, n := utf8.DecodeRuneInString(s)
		f, m := utf8.DecodeRuneInString(folded)
		if d := int(fold(r)) - int(f); d != 0 {
			return d
		}
		s, folded = s[n:], folded[m:]
	}
	return len(s) - len(folded)
}
