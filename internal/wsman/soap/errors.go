package soap

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// The kinds of failure that a caller may have to answer differently; test for them with errors.Is.
var (
	// ErrDTD reports a document type declaration, which SOAP 1.2 Part 1, section 5, forbids.
	ErrDTD = errors.New("soap: document type declarations are not allowed")
	// ErrLimit reports a document that exceeds one of its [Limits].
	ErrLimit = errors.New("soap: document exceeds a limit")
	// ErrCharset reports an encoding other than UTF-8 and UTF-16, or bytes that are not in the encoding
	// they claim. WS-Management answers with w:EncodingLimit and the detail CharacterSet.
	ErrCharset = errors.New("soap: unsupported or malformed character encoding")
	// ErrVersionMismatch reports a root element that is not the Envelope of SOAP 1.2 (SOAP 1.2 Part 1,
	// section 5.4.6: the fault s:VersionMismatch).
	ErrVersionMismatch = errors.New("soap: not a SOAP 1.2 envelope")
	// ErrEnvelope reports a SOAP 1.2 envelope whose content is not one optional Header and one Body.
	ErrEnvelope = errors.New("soap: malformed envelope")
	// ErrWriter reports wrong use of a [Writer], such as an element that is not ended.
	ErrWriter = errors.New("soap: wrong use of the XML writer")
)

// SyntaxError says what [Parse] found wrong with a document, and where. Its text repeats at most 32 bytes
// of the document, and these only from names, never from attribute values or text.
type SyntaxError struct {
	Line   int    // line, from 1
	Column int    // column in the line, from 1, in characters
	Offset int    // offset from the start of the UTF-8 document, in bytes
	Msg    string // what is wrong, and what would be right
	Err    error  // ErrDTD, ErrLimit, ErrCharset, or nil for plain bad syntax
}

// Error returns the message with its line and column.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("soap: line %d, column %d: %s", e.Line, e.Column, e.Msg)
}

// Unwrap returns Err.
func (e *SyntaxError) Unwrap() error { return e.Err }

// newSyntaxError locates offset within data.
func newSyntaxError(data []byte, offset int, msg string, kind error) *SyntaxError {
	line, start := 1, 0
	for i := range offset {
		if data[i] == '\n' || data[i] == '\r' && (i+1 == len(data) || data[i+1] != '\n') {
			line, start = line+1, i+1
		}
	}
	return &SyntaxError{
		Line:   line,
		Column: utf8.RuneCount(data[start:offset]) + 1,
		Offset: offset,
		Msg:    msg,
		Err:    kind,
	}
}

// quoted returns the start of b, at most limit bytes of it, between quotation marks.
func quoted(b []byte, limit int) string {
	if len(b) <= limit {
		return strconv.Quote(string(b))
	}
	for limit > 0 && !utf8.RuneStart(b[limit]) {
		limit--
	}
	return strconv.Quote(string(b[:limit])) + "..."
}
