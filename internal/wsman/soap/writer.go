package soap

import (
	"fmt"
	"strconv"
)

// Writer writes XML by appending to a buffer. The caller chooses the prefixes and declares them with
// attributes such as "xmlns:s". Writing does not allocate while the buffer is large enough.
//
// Text and attribute values are escaped such that an XML reader gets the same string back; characters that
// XML 1.0 cannot express, and bytes that are not UTF-8, become U+FFFD. Names must be right as they are.
// Wrong use, such as an end without a start or a name that is none, is reported by [Writer.Bytes]; the
// methods in between need no error checks. The Writer does not check that prefixes are declared, that the
// attributes of an element differ, and that there is one root element, so it can write fragments too.
//
// The zero Writer is ready for use. A Writer is not safe for concurrent use.
type Writer struct {
	buf  []byte
	open []part // names of the open elements
	tag  bool   // whether the last start tag still takes attributes
	err  error
}

// part is a part of the buffer of a Writer.
type part struct{ start, length int }

// Reset makes the writer start anew, appending to buf[:0], whose memory it then owns. Passing the result of
// [Writer.Bytes] uses the memory again.
func (w *Writer) Reset(buf []byte) {
	*w = Writer{buf: buf[:0], open: w.open[:0]}
}

// Bytes returns what was written. The slice is valid until the next [Writer.Reset]. The error wraps
// [ErrWriter] and names the first mistake.
func (w *Writer) Bytes() ([]byte, error) {
	if len(w.open) > 0 {
		last := w.open[len(w.open)-1]
		w.fail("element %s is not ended", quoted(w.buf[last.start:][:last.length], 32))
	}
	return w.buf, w.err
}

// Len returns the number of bytes written.
func (w *Writer) Len() int { return len(w.buf) }

// fail records the first mistake.
func (w *Writer) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("%w: "+format, append([]any{ErrWriter}, args...)...)
	}
}

// isQName reports whether s is a name with one prefix at most.
func isQName(s string) bool {
	end := scanNCName(s, 0)
	if end > 0 && end < len(s)-1 && s[end] == ':' {
		local := end + 1
		if end = scanNCName(s, local); end == local {
			return false
		}
	}
	return end > 0 && end == len(s)
}

// content ends the start tag, if it is still open.
func (w *Writer) content() {
	if w.tag {
		w.buf = append(w.buf, '>')
		w.tag = false
	}
}

// Start writes the start tag of an element, whose name may have a prefix. The rest are names and values of
// attributes in turn. More attributes may follow by [Writer.Attr] until something else is written.
func (w *Writer) Start(name string, attrs ...string) {
	if !isQName(name) {
		w.badName(name)
	}
	w.content()
	buf := append(w.buf, '<')
	w.open = append(w.open, part{len(buf), len(name)})
	w.buf = append(buf, name...)
	w.tag = true
	if len(attrs)%2 != 0 {
		w.fail("attribute without a value in element %s", quoted([]byte(name), 32))
		return
	}
	for i := 0; i < len(attrs); i += 2 {
		w.Attr(attrs[i], attrs[i+1])
	}
}

// badName reports a name that is none.
func (w *Writer) badName(name string) { w.fail("%s is not an XML name", quoted([]byte(name), 32)) }

// Attr adds an attribute, or a namespace declaration, to the start tag just written.
func (w *Writer) Attr(name, value string) {
	switch {
	case !w.tag:
		w.fail("attribute %s outside of a start tag", quoted([]byte(name), 32))
		return
	case !isQName(name):
		w.badName(name)
	}
	buf := append(w.buf, ' ')
	buf = append(buf, name...)
	buf = append(buf, `="`...)
	buf = appendEscaped(buf, value, true)
	w.buf = append(buf, '"')
}

// Text writes character data. Writing the empty string makes an element end with an end tag, instead of
// being written as an empty-element tag; readers see no difference.
func (w *Writer) Text(s string) {
	w.content()
	w.buf = appendEscaped(w.buf, s, false)
}

// Uint writes a number in decimal digits as character data: the lexical form of xs:unsignedLong and its
// restrictions, such as xs:unsignedInt.
func (w *Writer) Uint(v uint64) {
	w.content()
	w.buf = strconv.AppendUint(w.buf, v, 10)
}

// Int writes a number in decimal digits as character data: the lexical form of xs:long and its restrictions.
func (w *Writer) Int(v int64) {
	w.content()
	w.buf = strconv.AppendInt(w.buf, v, 10)
}

// Bool writes true or false as character data: the lexical form of xs:boolean.
func (w *Writer) Bool(v bool) {
	w.content()
	w.buf = strconv.AppendBool(w.buf, v)
}

// Raw writes XML that is already well-formed content, such as what another Writer made, as it is.
func (w *Writer) Raw(xml []byte) {
	w.content()
	w.buf = append(w.buf, xml...)
}

// End ends the innermost open element.
func (w *Writer) End() {
	if len(w.open) == 0 {
		w.fail("end without a start")
		return
	}
	last := w.open[len(w.open)-1]
	w.open = w.open[:len(w.open)-1]
	if w.tag {
		w.buf = append(w.buf, "/>"...)
		w.tag = false
		return
	}
	buf := append(w.buf, "</"...)
	buf = append(buf, buf[last.start:][:last.length]...)
	w.buf = append(buf, '>')
}

// Element writes an element that contains only text, with names and values of attributes in turn.
func (w *Writer) Element(name, text string, attrs ...string) {
	w.Start(name, attrs...)
	w.Text(text)
	w.End()
}

// Cut takes out what was written between two lengths (see [Writer.Len]): whole elements, or text. No element may be open that was
// started behind the first.
func (w *Writer) Cut(from, to int) {
	if from > to || to > len(w.buf) || w.tag || len(w.open) > 0 && w.open[len(w.open)-1].start > from {
		w.fail("cut across elements")
		return
	}
	w.buf = append(w.buf[:from], w.buf[to:]...)
}

// Mark is a state of a [Writer] to which [Writer.Rewind] can return.
type Mark struct {
	length, depth int
	tag           bool
	err           error
}

// Mark returns the present state.
func (w *Writer) Mark() Mark { return Mark{len(w.buf), len(w.open), w.tag, w.err} }

// Rewind takes back everything written since the mark, for instance an item of an enumeration that made
// the message too long. No element that was open at the mark may have been ended since.
func (w *Writer) Rewind(m Mark) {
	// An element that was ended and followed by another at its depth starts behind the mark.
	if m.length > len(w.buf) || m.depth > len(w.open) || m.depth > 0 && w.open[m.depth-1].start >= m.length {
		w.fail("rewind beyond the end of an element")
		return
	}
	w.buf, w.open, w.tag, w.err = w.buf[:m.length], w.open[:m.depth], m.tag, m.err
}
