package wsman

import (
	"strings"

	"calkeeper/internal/cim"
	"calkeeper/internal/wsman/soap"
)

// fragment is the header FragmentTransfer: which part of an instance Get and Put are about (DSP0226, 7.7 to 7.9). Of XPath
// it knows Property, Class/Property and a text() at the end; prefixes do not matter.
type fragment struct {
	text  string   // as sent
	names []string // of the class, perhaps, and the property
	value bool     // whether text() ends the path: the value without its element
}

// dialectXPath is what an absent dialect means (DSP0226, 7.7).
const dialectXPath = "http://www.w3.org/TR/1999/REC-xpath-19991116"

func readFragment(header soap.Element) (*fragment, error) {
	if dialect, ok := header.Attr("", "Dialect"); ok && strings.TrimSpace(dialect) != dialectXPath {
		return nil, newFault(fragmentDialect, "only "+dialectXPath+" is")
	}
	if _, said := header.Attr(soap.NamespaceEnvelope, "mustUnderstand"); said {
		if must, _ := soap.MustUnderstand(header); !must { // MS-WSMV 3.1.4.1.18
			return nil, newFault(invalidHeader, "FragmentTransfer must be understood: who ignores it changes the whole instance")
		}
	}
	f := &fragment{text: header.Text()}
	if len(f.text) > maxURIBytes {
		return nil, newFault(fragmentPath, "the path is too long; it should name one property")
	}
	steps := strings.Split(strings.Trim(strings.TrimSpace(f.text), "/"), "/")
	if steps[len(steps)-1] == "text()" {
		f.value, steps = true, steps[:len(steps)-1]
	}
	if len(steps) == 0 || len(steps) > 2 {
		return nil, newFault(fragmentPath, "the path should name one property")
	}
	for i, step := range steps {
		_, local, prefixed := strings.Cut(step, ":")
		if prefixed {
			steps[i] = local
		}
		if steps[i] == "" || strings.ContainsAny(steps[i], "[]()*@:. ") {
			return nil, newFault(fragmentPath, "the path should name one property")
		}
	}
	f.names = steps
	return f, nil
}

// property returns what the path names in the class; without a fragment, nothing.
func (f *fragment) property(c *cim.Class) (*cim.Property, error) {
	if f == nil {
		return nil, nil
	}
	name := f.names[len(f.names)-1]
	p := c.Property(name)
	if p == nil || len(f.names) == 2 && !strings.EqualFold(f.names[0], c.Name) {
		return nil, newFault(fragmentPath, c.Name+" has no property "+name)
	}
	return p, nil
}

// arguments reads the new value of the property from an XmlFragment.
func (f *fragment) arguments(root soap.Element, p *cim.Property) ([]cim.Argument, error) {
	if !root.Is(soap.NamespaceWSMan, "XmlFragment") {
		return nil, newFault(invalidFragment, "the Body must contain an element XmlFragment")
	}
	if f.value {
		return []cim.Argument{{Name: p.Name, Value: cim.StringValue(root.Text())}}, nil
	}
	arguments := decodeArguments(root, 1)
	if len(arguments) != 1 || !strings.EqualFold(arguments[0].Name, p.Name) {
		return nil, newFault(invalidFragment, "the XmlFragment must contain "+p.Name+" only")
	}
	return arguments, nil
}

// part writes the property of an instance that a fragment is about.
func (e encoder) part(i cim.Instance, f *fragment, p *cim.Property) {
	v := i.Value(p)
	if !f.value {
		e.w.Start("w:XmlFragment", "xmlns:xsi", soap.NamespaceXSI, "xmlns:p", e.namespace.shapes[i.Class].uri[e.form],
			"xmlns:cim", soap.NamespaceCIM)
		e.value("p:"+p.Name, &p.Field, v, 0)
		e.w.End()
		return
	}
	values, isArray := v.Array()
	if !isArray {
		values = []cim.Value{v}
	}
	e.w.Start("w:XmlFragment")
	for _, v := range values {
		e.text(v)
	}
	e.w.End()
}
