package wql

import (
	"errors"
	"slices"
	"unicode"
	"unicode/utf8"

	"calkeeper/internal/cim"
)

// pattern is a compiled LIKE pattern: % any string, _ any one character, [abc] and [a-f] one of a set, [^abc] one not of
// the set ("LIKE Operator"; older editions write a range [a=f]). A backslash means nothing here.
type pattern []element

// element matches one character, or with many any string.
type element struct {
	many     bool
	any      bool
	char     rune // folded, unless many, any or ranges says otherwise
	ranges   []charRange
	inverted bool
}

type charRange struct{ first, last rune }

func compilePattern(s string) (pattern, error) {
	runes := []rune(s)
	var p pattern
	for i := 0; i < len(runes); i++ {
		switch runes[i] {
		case '%':
			if len(p) == 0 || !p[len(p)-1].many {
				p = append(p, element{many: true})
			}
		case '_':
			p = append(p, element{any: true})
		case '[':
			n := slices.Index(runes[i+1:], ']')
			if n < 0 {
				return nil, errors.New("the pattern of LIKE has a [ without ]; a bracket that is meant itself is written [[]")
			}
			e, err := compileSet(runes[i+1 : i+1+n])
			if err != nil {
				return nil, err
			}
			p = append(p, e)
			i += n + 1
		default:
			p = append(p, element{char: fold(runes[i])})
		}
	}
	return p, nil
}

func compileSet(set []rune) (element, error) {
	var e element
	if len(set) > 0 && set[0] == '^' {
		e.inverted, set = true, set[1:]
	}
	if len(set) == 0 {
		return e, errors.New("the pattern of LIKE has an empty set; characters should stand between [ and ]")
	}
	for len(set) > 0 {
		r := charRange{set[0], set[0]}
		if len(set) > 2 && (set[1] == '-' || set[1] == '=') {
			r.last, set = set[2], set[2:]
		}
		if r.last < r.first {
			return e, errors.New("the pattern of LIKE has a range that runs backwards; write [a-f], not [f-a]")
		}
		e.ranges, set = append(e.ranges, r), set[1:]
	}
	return e, nil
}

// matches tells whether e matches the one character r.
func (e *element) matches(r rune) bool {
	if e.any {
		return true
	}
	if e.ranges == nil {
		return e.char == fold(r)
	}
	for _, set := range e.ranges {
		// A range is tried with each case of the character: folding its ends would not keep their order.
		for c := r; ; {
			if set.first <= c && c <= set.last {
				return !e.inverted
			}
			if c = unicode.SimpleFold(c); c == r {
				break
			}
		}
	}
	return e.inverted
}

func (p pattern) holds(v cim.Value) bool { return p.match(v.Text()) }

// match tells whether the whole of s matches. It takes at most len(p) × len(s) steps: when an element fails, only the last
// % seen takes one character more.
func (p pattern) match(s string) bool {
	at, retry := 0, -1 // the next element, and the one behind the last %
	tail := ""         // what remains of s when trying retry once more
	for s != "" {
		if at < len(p) && p[at].many {
			at++
			retry, tail = at, s
			continue
		}
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case at < len(p) && p[at].matches(r):
			at++
			s = s[n:]
		case retry >= 0:
			_, n := utf8.DecodeRuneInString(tail)
			tail = tail[n:]
			at, s = retry, tail
		default:
			return false
		}
	}
	for at < len(p) && p[at].many {
		at++
	}
	return at == len(p)
}
