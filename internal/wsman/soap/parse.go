package soap

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// Limits bounds what [Parse] accepts. A field that is zero has the default given with it. The memory of a
// parsed document is at most a small multiple of its size, of which Elements bounds the greatest part.
type Limits struct {
	Size       int // length of the document in UTF-8 bytes: 512,000, the MaxEnvelopeSize of Windows; at most 1 GiB
	Depth      int // nesting of elements, the root counting as 1: 32
	Attributes int // attributes of one element, without namespace declarations: 32
	Namespaces int // namespace declarations in scope at one time: 64
	Name       int // length of a name with its prefix in bytes: 256; at most 32,767
	Elements   int // elements of the document: 32,768
}

// withDefaults replaces zeros by the defaults and brings the rest into the range that the arena can hold.
func (l Limits) withDefaults() Limits {
	set := func(field *int, preset, most int) {
		if *field <= 0 {
			*field = preset
		}
		*field = min(*field, most)
	}
	set(&l.Size, 512_000, 1<<30)
	set(&l.Depth, 32, math.MaxInt32)
	set(&l.Attributes, 32, math.MaxInt32)
	set(&l.Namespaces, 64, math.MaxInt32)
	set(&l.Name, 256, math.MaxInt16)
	set(&l.Elements, 32_768, math.MaxInt32)
	return l
}

// scratch is memory that parsing needs and the finished document does not.
type scratch struct {
	decoded []byte    // attribute values and text that differ from the source, in the order of the source
	scope   []binding // namespace declarations in scope
	open    []frame   // elements that are not closed yet
}

// binding is one namespace declaration.
type binding struct {
	key    uint64 // see prefixKey
	prefix span
	uri    uint32 // index into arena.uris
}

// frame is one open element.
type frame struct {
	node  uint32
	scope int // length of scratch.scope outside of it
}

// parser reads one document into an arena.
type parser struct {
	*arena
	data    []byte
	pos     int
	limits  Limits
	charset Charset

	hasCR, hasRef, hasBracket bool // whether \r, & or ] occur anywhere in the document

	elements int
	textOpen bool  // whether the next piece of character data continues the run at textAt
	textAt   *span // valid until the next node is added

	err *SyntaxError
}

// Parse reads a UTF-8 document that came in the given charset (see [Decode]), and copies what it needs of
// data. The error is a [*SyntaxError], which may wrap [ErrDTD], [ErrLimit] or [ErrCharset].
func Parse(data []byte, charset Charset, limits Limits) (Document, error) {
	a := arenas.Get().(*arena)
	p := parser{arena: a, data: data, limits: limits.withDefaults(), charset: charset}
	a.nodes, a.attrs, a.uris = a.nodes[:0], a.attrs[:0], a.uris[:0]
	a.scratch.decoded = a.scratch.decoded[:0]
	a.scratch.scope, a.scratch.open = a.scratch.scope[:0], a.scratch.open[:0]
	if !p.document() {
		a.recycle()
		return Document{}, p.err
	}
	if len(a.scratch.decoded) == 0 {
		a.text = string(data)
	} else {
		var text strings.Builder
		text.Grow(len(data) + len(a.scratch.decoded))
		text.Write(data)
		text.Write(a.scratch.decoded)
		a.text = text.String()
	}
	return Document{a, a.generation}, nil
}

// fail records the first error and returns false.
func (p *parser) fail(offset int, kind error, format string, args ...any) bool {
	if p.err == nil {
		p.err = newSyntaxError(p.data, offset, fmt.Sprintf(format, args...), kind)
	}
	return false
}

// failEOF records that the document ends too early.
func (p *parser) failEOF(inside string) bool {
	return p.fail(len(p.data), nil, "the document ends inside of %s", inside)
}

// document reads everything: prolog, root element, and what follows it.
func (p *parser) document() bool {
	data := p.data
	if len(data) > p.limits.Size {
		return p.fail(0, ErrLimit, "the document has %d bytes; the limit is %d", len(data), p.limits.Size)
	}
	bad, problem, hasCR := checkChars(data)
	if bad >= 0 {
		var kind error
		if problem == notUTF8 {
			kind = ErrCharset
		}
		return p.fail(bad, kind, "%s", problem)
	}
	p.hasCR = hasCR
	p.hasRef = bytes.IndexByte(data, '&') >= 0
	p.hasBracket = bytes.IndexByte(data, ']') >= 0
	if !p.xmlDeclaration() {
		return false
	}
	for p.pos < len(data) {
		if data[p.pos] != '<' {
			if !p.characterData() {
				return false
			}
			continue
		}
		if p.pos+1 == len(data) {
			return p.failEOF("a tag")
		}
		ok := false
		switch data[p.pos+1] {
		case '/':
			ok = p.endTag()
		case '?':
			ok = p.processingInstruction()
		case '!':
			ok = p.declaration()
		default:
			ok = p.startTag()
		}
		if !ok {
			return false
		}
	}
	if n := len(p.scratch.open); n > 0 {
		return p.fail(len(data), nil, "the document ends before the end tag of element %s", p.nameOf(p.scratch.open[n-1]))
	}
	if p.elements == 0 {
		return p.fail(len(data), nil, "the document has no root element")
	}
	return true
}

// nameOf returns the name of an open element for a message.
func (p *parser) nameOf(f frame) string {
	name := p.nodes[f.node].name
	return quoted(p.data[name.start:][:name.size()], 16)
}

// skipSpace moves to the next character that is not white space.
func (p *parser) skipSpace() {
	for p.pos < len(p.data) && isSpace(p.data[p.pos]) {
		p.pos++
	}
}

// next reports whether the given character is next.
func (p *parser) next(c byte) bool { return p.pos < len(p.data) && p.data[p.pos] == c }

// name reads a name with its prefix, if any.
func (p *parser) name(what string) (rawName, bool) {
	start := p.pos
	local, end := start, scanNCName(p.data, start)
	if end > start && end < len(p.data) && p.data[end] == ':' {
		local = end + 1
		end = scanNCName(p.data, local)
		if end == local || end < len(p.data) && p.data[end] == ':' {
			return rawName{}, p.fail(end, nil, "the prefix %s must be followed by one name without a colon",
				quoted(p.data[start:local-1], 32))
		}
	}
	switch {
	case end == start && end == len(p.data):
		return rawName{}, p.failEOF("a tag")
	case end == start:
		return rawName{}, p.fail(start, nil, "expected %s here", what)
	case end-start > p.limits.Name:
		return rawName{}, p.fail(start, ErrLimit, "the name %s has %d bytes; the limit is %d",
			quoted(p.data[start:end], 32), end-start, p.limits.Name)
	}
	name := rawName{start: uint32(start), local: uint16(end - local)}
	if local > start {
		name.prefix = uint16(local - 1 - start)
	}
	p.pos = end
	return name, true
}

// isXMLNS reports whether a prefix or a name is xmlns.
func (p *parser) isXMLNS(start uint32, length uint16) bool {
	return length == 5 && string(p.data[start:][:5]) == "xmlns"
}

// startTag reads a start tag or an empty-element tag.
func (p *parser) startTag() bool {
	start := p.pos
	depth := len(p.scratch.open)
	if depth == 0 && p.elements > 0 {
		return p.fail(start, nil, "only one root element is allowed")
	}
	if depth == p.limits.Depth {
		return p.fail(start, ErrLimit, "elements are nested more than %d deep", p.limits.Depth)
	}
	if p.elements == p.limits.Elements {
		return p.fail(start, ErrLimit, "the document has more than %d elements", p.limits.Elements)
	}
	p.elements++
	p.pos++
	name, ok := p.name("the name of an element")
	if !ok {
		return false
	}
	if name.prefix == 0 && p.isXMLNS(name.start, name.local) {
		return p.fail(int(name.start), nil, "the name xmlns is reserved for namespace declarations")
	}
	index := uint32(len(p.nodes))
	firstAttr, outerScope := len(p.attrs), len(p.scratch.scope)
	empty, ok := p.attributes(firstAttr, outerScope)
	if !ok {
		return false
	}
	space, ok := p.resolve(name, true)
	if !ok || !p.resolveAttributes(p.attrs[firstAttr:]) {
		return false
	}
	p.nodes = append(p.nodes, node{
		name:      name,
		space:     space,
		attrs:     uint32(firstAttr),
		attrCount: uint32(len(p.attrs) - firstAttr),
		end:       index + 1,
	})
	p.textOpen = false
	if empty {
		p.scratch.scope = p.scratch.scope[:outerScope]
	} else {
		p.scratch.open = append(p.scratch.open, frame{index, outerScope})
	}
	return true
}

// attributes reads the rest of a start tag behind the name, and tells whether the tag is that of an empty
// element.
func (p *parser) attributes(firstAttr, outerScope int) (empty, ok bool) {
	data := p.data
	for {
		before := p.pos
		p.skipSpace()
		if p.pos == len(data) {
			return false, p.failEOF("a start tag")
		}
		switch data[p.pos] {
		case '>':
			p.pos++
			return false, true
		case '/':
			p.pos++
			if !p.next('>') {
				return false, p.fail(p.pos, nil, "expected > behind / in a tag")
			}
			p.pos++
			return true, true
		}
		if p.pos == before {
			return false, p.fail(p.pos, nil, "expected white space, > or /> here")
		}
		name, ok := p.name("an attribute, > or />")
		if !ok {
			return false, false
		}
		p.skipSpace()
		if !p.next('=') {
			return false, p.fail(p.pos, nil, "expected = behind the name of an attribute")
		}
		p.pos++
		p.skipSpace()
		value, ok := p.attributeValue()
		if !ok {
			return false, false
		}
		switch {
		case p.isXMLNS(name.start, name.prefix):
			ok = p.declare(name, span{name.start + 6, uint32(name.local)}, value, outerScope)
		case name.prefix == 0 && p.isXMLNS(name.start, name.local):
			ok = p.declare(name, span{name.start, 0}, value, outerScope)
		case len(p.attrs)-firstAttr == p.limits.Attributes:
			ok = p.fail(int(name.start), ErrLimit, "the element has more than %d attributes", p.limits.Attributes)
		default:
			p.attrs = append(p.attrs, attr{name: name, value: value})
		}
		if !ok {
			return false, false
		}
	}
}

// endTag reads an end tag and closes its element.
func (p *parser) endTag() bool {
	start := p.pos
	p.pos += 2
	depth := len(p.scratch.open)
	if depth == 0 {
		return p.fail(start, nil, "there is no open element for this end tag")
	}
	top := p.scratch.open[depth-1]
	n := &p.nodes[top.node]
	want := p.data[n.name.start:][:n.name.size()]
	if !bytes.HasPrefix(p.data[p.pos:], want) {
		return p.mismatch(top)
	}
	p.pos += len(want)
	p.skipSpace()
	if !p.next('>') {
		p.pos = start + 2
		return p.mismatch(top)
	}
	p.pos++
	n.end = uint32(len(p.nodes))
	p.scratch.open = p.scratch.open[:depth-1]
	p.scratch.scope = p.scratch.scope[:top.scope]
	p.textOpen = false
	return true
}

// mismatch reports an end tag, whose name is next, that does not close the innermost open element.
func (p *parser) mismatch(top frame) bool {
	start := p.pos
	name, ok := p.name("the name of an element")
	if !ok {
		return false
	}
	p.skipSpace()
	if p.pos == len(p.data) {
		return p.failEOF("an end tag")
	}
	if p.data[p.pos] != '>' {
		return p.fail(p.pos, nil, "expected > in an end tag")
	}
	return p.fail(start, nil, "end tag %s where that of element %s is due",
		quoted(p.data[start:][:name.size()], 16), p.nameOf(top))
}
