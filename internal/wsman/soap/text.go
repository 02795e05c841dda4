package soap

import (
	"bytes"
	"unicode/utf8"
)

// characterData reads text up to the next <.
func (p *parser) characterData() bool {
	start := p.pos
	if len(p.scratch.open) == 0 {
		p.skipSpace()
		if p.pos == len(p.data) || p.data[p.pos] == '<' {
			return true
		}
		return p.fail(p.pos, nil, "text is not allowed outside of the root element")
	}
	end := len(p.data)
	if n := bytes.IndexByte(p.data[start:], '<'); n >= 0 {
		end = start + n
	}
	if p.hasBracket {
		if n := bytes.Index(p.data[start:end], []byte("]]>")); n >= 0 {
			return p.fail(start+n, nil, "]]> is not allowed in text; write ]]&gt;")
		}
	}
	p.pos = end
	return p.addText(start, end, true)
}

// addText adds a piece of character data to the innermost open element. Pieces between which no tag stands,
// such as text and CDATA sections, become one run.
func (p *parser) addText(start, end int, references bool) bool {
	if start == end {
		return true
	}
	limit := uint32(len(p.data))
	verbatim := p.isVerbatim(start, end, references)
	if !p.textOpen {
		p.textOpen = true
		parent := p.scratch.open[len(p.scratch.open)-1].node
		if last := uint32(len(p.nodes)) - 1; parent == last {
			p.textAt = &p.nodes[last].text
		} else {
			p.nodes = append(p.nodes, node{end: last + 2})
			p.textAt = &p.nodes[last+1].text
		}
		if verbatim {
			*p.textAt = span{uint32(start), uint32(end - start)}
			return true
		}
		p.textAt.start = limit + uint32(len(p.scratch.decoded))
	} else if p.textAt.start < limit {
		moved := limit + uint32(len(p.scratch.decoded))
		p.scratch.decoded = append(p.scratch.decoded, p.bytes(*p.textAt)...)
		p.textAt.start = moved
	}
	// Within a run nothing else is decoded, so its text is the tail of decoded and grows in place.
	if verbatim {
		p.scratch.decoded = append(p.scratch.decoded, p.data[start:end]...)
	} else if !p.decode(start, end, references) {
		return false
	}
	p.textAt.length = limit + uint32(len(p.scratch.decoded)) - p.textAt.start
	return true
}

// attributeValue reads a value between quotation marks.
func (p *parser) attributeValue() (span, bool) {
	if !p.next('"') && !p.next('\'') {
		return span{}, p.fail(p.pos, nil, "expected the value of an attribute, between quotation marks")
	}
	quote := p.data[p.pos]
	start := p.pos + 1
	end := len(p.data)
	if n := bytes.IndexByte(p.data[start:], quote); n >= 0 {
		end = start + n
	}
	if n := bytes.IndexByte(p.data[start:end], '<'); n >= 0 {
		return span{}, p.fail(start+n, nil, "< is not allowed in the value of an attribute; write &lt;")
	}
	if end == len(p.data) {
		return span{}, p.failEOF("the value of an attribute")
	}
	p.pos = end + 1
	if p.isVerbatim(start, end, true) {
		return span{uint32(start), uint32(end - start)}, true
	}
	before := uint32(len(p.scratch.decoded))
	if !p.decode(start, end, true) {
		return span{}, false
	}
	return span{uint32(len(p.data)) + before, uint32(len(p.scratch.decoded)) - before}, true
}

// isVerbatim reports whether the part of the source needs no decoding.
func (p *parser) isVerbatim(start, end int, references bool) bool {
	if references && p.hasRef && bytes.IndexByte(p.data[start:end], '&') >= 0 {
		return false
	}
	return !p.hasCR || bytes.IndexByte(p.data[start:end], '\r') < 0
}

// decode appends a part of the source to the decoded text, with line ends as \n and, outside of CDATA
// sections, with references replaced. The result is never longer than the source.
func (p *parser) decode(start, end int, references bool) bool {
	for i := start; i < end; {
		switch c := p.data[i]; {
		case c == '\r':
			p.scratch.decoded = append(p.scratch.decoded, '\n')
			i++
			if i < end && p.data[i] == '\n' {
				i++
			}
		case c == '&' && references:
			r, size := decodeReference(p.data[i:end])
			if size == 0 {
				return p.fail(i, nil, "expected one of &amp; &lt; &gt; &apos; &quot; &#decimal; &#xhexadecimal; here; write & as &amp;")
			}
			if !isChar(r) {
				return p.fail(i, nil, notChar)
			}
			p.scratch.decoded = utf8.AppendRune(p.scratch.decoded, r)
			i += size
		default:
			p.scratch.decoded = append(p.scratch.decoded, c)
			i++
		}
	}
	return true
}

// decodeReference returns the character that the reference at the start of b stands for and the length of
// the reference, which is 0 if there is none. The character may be one that XML does not allow.
func decodeReference(b []byte) (r rune, size int) {
	switch {
	case bytes.HasPrefix(b, []byte("&amp;")):
		return '&', 5
	case bytes.HasPrefix(b, []byte("&lt;")):
		return '<', 4
	case bytes.HasPrefix(b, []byte("&gt;")):
		return '>', 4
	case bytes.HasPrefix(b, []byte("&quot;")):
		return '"', 6
	case bytes.HasPrefix(b, []byte("&apos;")):
		return '\'', 6
	case !bytes.HasPrefix(b, []byte("&#")):
		return 0, 0
	}
	digits, base := 2, rune(10)
	if bytes.HasPrefix(b, []byte("&#x")) {
		digits, base = 3, 16
	}
	for i := digits; i < len(b); i++ {
		c := rune(b[i])
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case base == 16 && 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case base == 16 && 'A' <= c && c <= 'F':
			c -= 'A' - 10
		case c == ';' && i > digits:
			return r, i + 1
		default:
			return 0, 0
		}
		r = min(r*base+c, utf8.MaxRune+1)
	}
	return 0, 0
}

// declaration reads a comment or a CDATA section, and refuses what else starts with <!.
func (p *parser) declaration() bool {
	rest := p.data[p.pos:]
	switch {
	case bytes.HasPrefix(rest, []byte("<!--")):
		n := bytes.Index(rest[4:], []byte("--"))
		if n < 0 || 4+n+2 == len(rest) {
			return p.failEOF("a comment")
		}
		if rest[4+n+2] != '>' {
			return p.fail(p.pos+4+n, nil, "-- is not allowed in a comment")
		}
		p.pos += 4 + n + 3
		return true
	case bytes.HasPrefix(rest, []byte("<![CDATA[")):
		if len(p.scratch.open) == 0 {
			return p.fail(p.pos, nil, "a CDATA section is not allowed outside of the root element")
		}
		n := bytes.Index(rest[9:], []byte("]]>"))
		if n < 0 {
			return p.failEOF("a CDATA section")
		}
		start := p.pos + 9
		p.pos = start + n + 3
		return p.addText(start, start+n, false)
	case len(rest) > 2 && classes[rest[2]]&nameStart != 0:
		return p.fail(p.pos, ErrDTD, "SOAP messages must not contain a document type declaration")
	}
	return p.fail(p.pos, nil, "expected a tag, a comment or a CDATA section here")
}

// processingInstruction skips a processing instruction.
func (p *parser) processingInstruction() bool {
	start := p.pos + 2
	end := scanNCName(p.data, start)
	switch {
	case end == start:
		return p.fail(start, nil, "expected the target of a processing instruction here")
	case bytes.EqualFold(p.data[start:end], []byte("xml")):
		return p.fail(p.pos, nil, "an XML declaration may stand only at the start of the document, as <?xml version=\"1.0\"")
	}
	n := bytes.Index(p.data[end:], []byte("?>"))
	if n < 0 {
		return p.failEOF("a processing instruction")
	}
	if n > 0 && !isSpace(p.data[end]) {
		return p.fail(end, nil, "expected white space behind the target of a processing instruction")
	}
	p.pos = end + n + 2
	return true
}

// xmlDeclaration reads the XML declaration, if there is one.
func (p *parser) xmlDeclaration() bool {
	const start = "<?xml"
	if !bytes.HasPrefix(p.data, []byte(start)) || len(p.data) == len(start) || !isSpace(p.data[len(start)]) {
		return true
	}
	p.pos = len(start)
	version, at, ok := p.pseudoAttribute("version")
	if !ok {
		return false
	}
	if string(version) != "1.0" {
		return p.fail(at, nil, "expected version=\"1.0\" in the XML declaration")
	}
	encoding, at, ok := p.pseudoAttribute("encoding")
	if !ok {
		return false
	}
	if encoding != nil && !p.charset.isLabel(string(encoding)) {
		return p.fail(at, ErrCharset, "the XML declaration says encoding %s, but the document came in %s",
			quoted(encoding, 32), p.charset)
	}
	standalone, at, ok := p.pseudoAttribute("standalone")
	if !ok {
		return false
	}
	if standalone != nil && string(standalone) != "yes" && string(standalone) != "no" {
		return p.fail(at, nil, "expected standalone=\"yes\" or standalone=\"no\" in the XML declaration")
	}
	p.skipSpace()
	if !bytes.HasPrefix(p.data[p.pos:], []byte("?>")) {
		return p.fail(p.pos, nil, "expected ?> at the end of the XML declaration")
	}
	p.pos += 2
	return true
}

// pseudoAttribute reads white space and name="value" within the XML declaration. The value is nil if
// something else comes next. The offset is that of the name.
func (p *parser) pseudoAttribute(name string) (value []byte, at int, ok bool) {
	before := p.pos
	p.skipSpace()
	at = p.pos
	if at == before || !bytes.HasPrefix(p.data[at:], []byte(name)) {
		p.pos = before
		return nil, at, true
	}
	p.pos += len(name)
	p.skipSpace()
	if !p.next('=') {
		return nil, at, p.fail(p.pos, nil, "expected = behind %s in the XML declaration", name)
	}
	p.pos++
	p.skipSpace()
	if !p.next('"') && !p.next('\'') {
		return nil, at, p.fail(p.pos, nil, "expected the value of %s, between quotation marks", name)
	}
	rest := p.data[p.pos+1:]
	n := bytes.IndexByte(rest, p.data[p.pos])
	if n < 0 {
		return nil, at, p.failEOF("the XML declaration")
	}
	p.pos += n + 2
	return rest[:n:n], at, true
}
