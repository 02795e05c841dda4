package soap

import (
	"iter"
	"strings"
	"sync"
)

// Document is a parsed XML document: a tree of elements, of which [Document.Root] is the first. It is a
// small value, immutable, and safe for concurrent use until it is released. The zero Document is empty.
type Document struct {
	arena      *arena
	generation uint32
}

// Element is one element of a [Document]. It is a small value that belongs to its document. The zero
// Element, which lookups return when there is nothing to find, has no name, attributes, text or children;
// so has every element of a document that has been released.
type Element struct {
	arena      *arena
	generation uint32
	index      int32
}

// arena holds all parts of one document and, between two documents, the memory for the next.
type arena struct {
	text       string // the source, and behind it what had to be decoded; all spans point into it
	nodes      []node // in document order
	attrs      []attr
	uris       []span // of namespaces; node and attr refer to them by index
	generation uint32 // counts the documents that used this arena

	scratch scratch // used while parsing only
}

// span is a part of arena.text.
type span struct{ start, length uint32 }

// rawName is a name as it was written: a prefix, a colon unless the prefix is empty, and a local part.
type rawName struct {
	start         uint32
	prefix, local uint16 // lengths
}

// node is an element, or, if its name is empty, a run of text behind a child element. It has no pointers.
type node struct {
	name      rawName
	space     uint32 // index of the namespace's URI
	text      span   // text before the first child element
	attrs     uint32 // index of the first attribute
	attrCount uint32
	end       uint32 // index of the first node that is not inside
}

// attr is an attribute that is not a namespace declaration.
type attr struct {
	name  rawName
	space uint32
	value span
}

// Indexes into arena.uris of the namespaces that need no declaration.
const (
	noSpace uint32 = iota
	xmlSpace
	firstDeclaredSpace
)

// arenas keeps the memory of released documents.
var arenas = sync.Pool{New: func() any { return new(arena) }}

// Arenas that grew beyond these sizes for one big document are left to the garbage collector.
const (
	maxPooledNodes   = 4096
	maxPooledScratch = 64 << 10
)

// Release gives the memory of the document back for use by a later one. It is optional. Strings taken from
// the document stay valid; its elements become empty.
func (d Document) Release() {
	if a := d.arena; a != nil && a.generation == d.generation {
		a.recycle()
	}
}

// recycle ends the document that the arena holds.
func (a *arena) recycle() {
	a.generation++
	a.text = ""
	if cap(a.nodes)+cap(a.attrs)+cap(a.uris) <= maxPooledNodes && cap(a.scratch.decoded) <= maxPooledScratch {
		arenas.Put(a)
	}
}

// Root returns the root element.
func (d Document) Root() Element { return Element{d.arena, d.generation, 0} }

// node returns what the element stands for, or nil if that is nothing.
func (e Element) node() *node {
	if e.arena == nil || e.arena.generation != e.generation {
		return nil
	}
	return &e.arena.nodes[e.index]
}

// IsZero reports whether the element is the zero Element, or one of a released document.
func (e Element) IsZero() bool { return e.node() == nil }

// Name returns the expanded name of the element.
func (e Element) Name() Name {
	n := e.node()
	if n == nil {
		return Name{}
	}
	return Name{e.arena.uri(n.space), e.arena.local(n.name)}
}

// Is reports whether the element has this expanded name.
func (e Element) Is(space, local string) bool {
	n := e.node()
	return n != nil && e.arena.is(n.name, n.space, space, local)
}

// Attr returns the value of the attribute with this expanded name, and whether there is one. Attributes
// without a prefix are in no namespace. Namespace declarations are not attributes.
func (e Element) Attr(space, local string) (string, bool) {
	if n := e.node(); n != nil {
		for _, at := range e.arena.attrs[n.attrs:][:n.attrCount] {
			if e.arena.is(at.name, at.space, space, local) {
				return e.arena.at(at.value), true
			}
		}
	}
	return "", false
}

// Attrs returns the names and values of the attributes in document order, without namespace declarations.
func (e Element) Attrs() iter.Seq2[Name, string] {
	return func(yield func(Name, string) bool) {
		n := e.node()
		if n == nil {
			return
		}
		for _, at := range e.arena.attrs[n.attrs:][:n.attrCount] {
			if !yield(Name{e.arena.uri(at.space), e.arena.local(at.name)}, e.arena.at(at.value)) {
				return
			}
		}
	}
}

// Text returns the character data that stands directly in the element, that of CDATA sections included and
// that of child elements excluded, with references replaced and line ends as \n. White space is kept.
func (e Element) Text() string {
	n := e.node()
	if n == nil {
		return ""
	}
	text := e.arena.at(n.text)
	var more strings.Builder
	for i := uint32(e.index) + 1; i < n.end; {
		child := &e.arena.nodes[i]
		if child.isText() {
			if more.Len() == 0 {
				more.WriteString(text)
			}
			more.WriteString(e.arena.at(child.text))
		}
		i = child.end
	}
	if more.Len() > 0 {
		return more.String()
	}
	return text
}

// Children returns the child elements in document order.
func (e Element) Children() iter.Seq[Element] {
	return func(yield func(Element) bool) {
		n := e.node()
		if n == nil {
			return
		}
		for i := uint32(e.index) + 1; i < n.end; {
			child := &e.arena.nodes[i]
			if !child.isText() && !yield(Element{e.arena, e.generation, int32(i)}) {
				return
			}
			i = child.end
		}
	}
}

// Child returns the first child element with this expanded name, and whether there is one.
func (e Element) Child(space, local string) (Element, bool) {
	if n := e.node(); n != nil {
		for i := uint32(e.index) + 1; i < n.end; {
			child := &e.arena.nodes[i]
			if !child.isText() && e.arena.is(child.name, child.space, space, local) {
				return Element{e.arena, e.generation, int32(i)}, true
			}
			i = child.end
		}
	}
	return Element{}, false
}

// isText reports whether the node is a run of text.
func (n *node) isText() bool { return n.name.local == 0 }

// size returns the length of the whole name.
func (n rawName) size() uint32 {
	if n.prefix == 0 {
		return uint32(n.local)
	}
	return uint32(n.prefix) + 1 + uint32(n.local)
}

// at returns the string of a span.
func (a *arena) at(s span) string { return a.text[s.start:][:s.length] }

// local returns the local part of a name.
func (a *arena) local(n rawName) string {
	return a.text[n.start+n.size()-uint32(n.local):][:n.local]
}

// uri returns the URI of a namespace.
func (a *arena) uri(index uint32) string {
	switch index {
	case noSpace:
		return ""
	case xmlSpace:
		return NamespaceXML
	}
	return a.at(a.uris[index-firstDeclaredSpace])
}

// is compares a name in the namespace of the given index with an expanded name.
func (a *arena) is(n rawName, index uint32, space, local string) bool {
	return int(n.local) == len(local) && a.local(n) == local && a.uri(index) == space
}
