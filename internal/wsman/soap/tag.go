package soap

import "strconv"

// Tag is an element's start tag and end tag, put together and checked once for elements that are written often. Writing one costs
// no more than copying it. The zero Tag is not usable.
type Tag struct {
	start, end string
	name       part // in start; empty if there are several elements
}

// NewTag returns the tags of an element, with names and values of attributes in turn. One whose name or attributes are wrong is
// the zero Tag; using that is reported by [Writer.Bytes].
func NewTag(name string, attrs ...string) Tag {
	var w Writer
	w.Element(name, "", attrs...)
	text, err := w.Bytes()
	if err != nil {
		return Tag{}
	}
	end := len(text) - len("</>") - len(name)
	return Tag{start: string(text[:end]), end: string(text[end:]), name: part{len("<"), len(name)}}
}

// Around returns the tags of both: those of an element that contains the other and nothing else.
func (t Tag) Around(inner Tag) Tag {
	if t.start == "" || inner.start == "" {
		return Tag{}
	}
	return Tag{start: t.start + inner.start, end: inner.end + t.end}
}

// Open writes the start tag of an element, which End ends.
func (w *Writer) Open(t *Tag) {
	w.content()
	w.open = append(w.open, part{len(w.buf) + t.name.start, t.name.length})
	w.buf = append(w.buf, t.start...)
	if t.name.length == 0 {
		w.badTag()
	}
}

// badTag reports a tag that is none, or one of several elements where End will look for one.
func (w *Writer) badTag() { w.fail("a tag is not usable") }

// TextElement writes an element that contains only text.
func (w *Writer) TextElement(t *Tag, text string) {
	w.content()
	buf := append(w.buf, t.start...)
	buf = appendEscaped(buf, text, false)
	w.endElement(buf, t)
}

// UintElement writes an element that contains only a number, as Uint does.
func (w *Writer) UintElement(t *Tag, v uint64) {
	w.content()
	buf := append(w.buf, t.start...)
	buf = strconv.AppendUint(buf, v, 10)
	w.endElement(buf, t)
}

// RawElement writes an element that contains only what is already well-formed content.
func (w *Writer) RawElement(t *Tag, xml []byte) {
	w.content()
	buf := append(w.buf, t.start...)
	buf = append(buf, xml...)
	w.endElement(buf, t)
}

func (w *Writer) endElement(buf []byte, t *Tag) {
	w.buf = append(buf, t.end...)
	if t.end == "" {
		w.badTag()
	}
}
