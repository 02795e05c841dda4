package wql

import (
	"strings"
	"unicode/utf8"
)

type kind uint8

const (
	endOfQuery     kind = iota
	word                // a keyword or a name
	stringLiteral       // text is the value, without quotes and escapes
	integerLiteral      // text is as written, without a plus sign
	relation            // text is one of = <> < <= > >=
	punctuation         // text is one of ( ) , * .
)

type token struct {
	kind kind
	text string
	pos  int
}

// is tells whether the token is a keyword, in any case.
func (t token) is(keyword string) bool { return t.kind == word && strings.EqualFold(t.text, keyword) }

func (t token) isPunctuation(c string) bool { return t.kind == punctuation && t.text == c }

// describe names the token in an error. Names and constants are not repeated: see Error.
func (t token) describe() string {
	switch t.kind {
	case endOfQuery:
		return "the end of the query"
	case word:
		if reserved(t.text) {
			return strings.ToUpper(t.text)
		}
		return "a name"
	case stringLiteral:
		return "a string"
	case integerLiteral:
		return "a number"
	}
	return "'" + t.text + "'"
}

// reserved tells whether a word is a keyword that cannot name a property or a class.
func reserved(s string) bool {
	for _, keyword := range [...]string{
		"SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "LIKE", "IS", "ISA", "NULL", "TRUE", "FALSE",
	} {
		if strings.EqualFold(s, keyword) {
			return true
		}
	}
	return false
}

// lexer cuts a query into tokens, one at a time.
type lexer struct {
	src string
	off int // of the next byte
	pos int // of the next character, from 1
}

// take moves past n bytes and returns them.
func (l *lexer) take(n int) string {
	s := l.src[l.off : l.off+n]
	l.off += n
	l.pos += utf8.RuneCountInString(s)
	return s
}

// span returns the number of bytes from the offset on that f accepts.
func (l *lexer) span(f func(byte) bool) int {
	n := 0
	for l.off+n < len(l.src) && f(l.src[l.off+n]) {
		n++
	}
	return n
}

func (l *lexer) next() (token, error) {
	l.take(l.span(isSpace))
	t := token{pos: l.pos}
	rest := l.src[l.off:]
	if rest == "" {
		return t, nil
	}
	c := rest[0]
	switch {
	case isLetter(c):
		t.kind, t.text = word, l.take(l.span(isNameByte))
		return t, nil
	case isDigit(c), (c == '-' || c == '+') && len(rest) > 1 && isDigit(rest[1]):
		return l.integer()
	case c == '\'' || c == '"':
		return l.string(c)
	case strings.IndexByte("(),*.", c) >= 0:
		t.kind, t.text = punctuation, l.take(1)
		return t, nil
	}
	for _, op := range [...]string{"<>", "!=", "<=", ">=", "=", "<", ">"} {
		if strings.HasPrefix(rest, op) {
			t.kind, t.text = relation, l.take(len(op))
			if op == "!=" {
				t.text = "<>"
			}
			return t, nil
		}
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return t, errorAt(t.pos, "%q has no meaning here; strings stand in ' or \" quotes", r)
}

// integer reads a signed decimal or 0x number (MS-WMI 2.2.1.1, INT).
func (l *lexer) integer() (token, error) {
	t := token{kind: integerLiteral, pos: l.pos}
	sign := ""
	if c := l.src[l.off]; c == '-' || c == '+' {
		if sign = l.take(1); sign == "+" {
			sign = ""
		}
	}
	digits := l.src[l.off : l.off+l.span(isNameByte)]
	if !isNumber(digits) {
		return t, errorAt(t.pos, "this is no number: write digits or 0x and hexadecimal digits, and a space after them")
	}
	t.text = sign + l.take(len(digits))
	if strings.HasPrefix(l.src[l.off:], ".") {
		return t, errorAt(t.pos, "numbers with a fraction are not supported: no property here has one")
	}
	return t, nil
}

// isNumber tells whether s is a number without a sign, decimal or hexadecimal.
func isNumber(s string) bool {
	digit := isDigit
	if len(s) > 2 && (s[:2] == "0x" || s[:2] == "0X") {
		digit, s = isHexDigit, s[2:]
	}
	for i := range len(s) {
		if !digit(s[i]) {
			return false
		}
	}
	return s != ""
}

// string reads a quoted string. A backslash escapes a backslash or a quote of either kind ("WHERE Clause").
func (l *lexer) string(quote byte) (token, error) {
	t := token{kind: stringLiteral, pos: l.pos}
	l.take(1)
	var unescaped strings.Builder
	for {
		plain := l.take(l.span(func(c byte) bool { return c != quote && c != '\\' }))
		rest := l.src[l.off:]
		switch {
		case rest == "":
			return t, errorAt(t.pos, "this string does not end: a %c is missing", quote)
		case rest[0] == quote:
			l.take(1)
			if t.text = plain; unescaped.Len() > 0 {
				unescaped.WriteString(plain)
				t.text = unescaped.String()
			}
			return t, nil
		case len(rest) == 1 || strings.IndexByte(`\'"`, rest[1]) < 0:
			return t, errorAt(l.pos, `a backslash in a string is written \\, a quote \' or \"`)
		}
		unescaped.WriteString(plain)
		unescaped.WriteByte(rest[1])
		l.take(2)
	}
}

func isSpace(c byte) bool    { return c == ' ' || c >= '\t' && c <= '\r' }
func isDigit(c byte) bool    { return c >= '0' && c <= '9' }
func isHexDigit(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
func isLetter(c byte) bool   { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }
func isNameByte(c byte) bool { return isLetter(c) || isDigit(c) }
