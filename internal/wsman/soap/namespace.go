package soap

import "bytes"

// prefixKey packs the first bytes of a prefix into a word, so that most comparisons take one instruction.
// A prefix contains no zero byte; up to eight bytes, equal keys mean equal prefixes.
func prefixKey(prefix []byte) uint64 {
	var key uint64
	for _, c := range prefix[:min(len(prefix), 8)] {
		key = key<<8 | uint64(c)
	}
	return key
}

// declare brings a namespace declaration into scope. The prefix is empty for the default namespace.
func (p *parser) declare(name rawName, prefix, value span, outerScope int) bool {
	offset := int(name.start)
	label, uri := p.bytes(prefix), p.bytes(value)
	switch {
	case string(label) == "xmlns":
		return p.fail(offset, nil, "the prefix xmlns must not be declared")
	case string(label) == "xml" && string(uri) != NamespaceXML:
		return p.fail(offset, nil, "the prefix xml must not be declared as anything but %s", NamespaceXML)
	case string(label) != "xml" && string(uri) == NamespaceXML:
		return p.fail(offset, nil, "only the prefix xml may stand for the namespace %s", NamespaceXML)
	case string(uri) == NamespaceXMLNS:
		return p.fail(offset, nil, "the namespace %s must not be declared", NamespaceXMLNS)
	case len(label) > 0 && len(uri) == 0:
		return p.fail(offset, nil, "the prefix %s is declared without a URI", quoted(label, 32))
	}
	key := prefixKey(label)
	scope := p.scratch.scope
	for i := outerScope; i < len(scope); i++ {
		if p.binds(&scope[i], key, label) {
			return p.fail(offset, nil, "the namespace of prefix %s is declared twice in one tag", quoted(label, 32))
		}
	}
	if len(scope) == p.limits.Namespaces {
		return p.fail(offset, ErrLimit, "more than %d namespace declarations are in scope", p.limits.Namespaces)
	}
	p.scratch.scope = append(scope, binding{key, prefix, firstDeclaredSpace + uint32(len(p.uris))})
	p.uris = append(p.uris, value)
	return true
}

// binds reports whether the declaration is one of the given prefix.
func (p *parser) binds(b *binding, key uint64, prefix []byte) bool {
	return b.key == key && (len(prefix) <= 8 && b.prefix.length <= 8 || bytes.Equal(p.bytes(b.prefix), prefix))
}

// resolve returns the index of the namespace that the prefix of a name stands for. A name without one is in
// the default namespace if it is that of an element, else in none.
func (p *parser) resolve(name rawName, element bool) (uint32, bool) {
	if name.prefix == 0 && !element {
		return noSpace, true
	}
	prefix := p.data[name.start:][:name.prefix]
	key := prefixKey(prefix)
	for i := len(p.scratch.scope) - 1; i >= 0; i-- {
		if b := &p.scratch.scope[i]; p.binds(b, key, prefix) {
			return b.uri, true
		}
	}
	switch {
	case name.prefix == 0:
		return noSpace, true
	case string(prefix) == "xml":
		return xmlSpace, true
	}
	return noSpace, p.fail(int(name.start), nil, "the prefix %s is not declared", quoted(prefix, 32))
}

// resolveAttributes resolves the names of one element's attributes and refuses duplicates.
func (p *parser) resolveAttributes(attrs []attr) bool {
	for i := range attrs {
		at := &attrs[i]
		var ok bool
		if at.space, ok = p.resolve(at.name, false); !ok {
			return false
		}
		for j := range attrs[:i] {
			if p.sameName(at, &attrs[j]) {
				return p.fail(int(at.name.start), nil, "the attribute %s occurs twice in one tag",
					quoted(p.data[at.name.start:][:at.name.size()], 32))
			}
		}
	}
	return true
}

// sameName reports whether two attributes have the same expanded name.
func (p *parser) sameName(a, b *attr) bool {
	if a.name.local != b.name.local || !bytes.Equal(p.localOf(a.name), p.localOf(b.name)) {
		return false
	}
	return a.space == b.space || bytes.Equal(p.uriOf(a.space), p.uriOf(b.space))
}

// localOf returns the local part of a name in the source.
func (p *parser) localOf(n rawName) []byte {
	return p.data[n.start+n.size()-uint32(n.local):][:n.local]
}

// uriOf returns the URI of a namespace; that of xml may not be declared under any other prefix, so its
// name will do.
func (p *parser) uriOf(index uint32) []byte {
	switch index {
	case noSpace:
		return nil
	case xmlSpace:
		return []byte(NamespaceXML)
	}
	return p.bytes(p.uris[index-firstDeclaredSpace])
}

// bytes returns what a span stands for while the document is being parsed.
func (p *parser) bytes(s span) []byte {
	if n := uint32(len(p.data)); s.start >= n && s.length > 0 {
		return p.scratch.decoded[s.start-n:][:s.length]
	}
	return p.data[s.start:][:s.length]
}
