package wsman

import (
	"calkeeper/internal/cim"
	"calkeeper/internal/wsman/soap"
)

// namespace is a CIM namespace with the shapes of its classes.
type namespace struct {
	cim    *cim.Namespace
	shapes map[*cim.Class]*shape // of the classes, and of those that occur embedded in them
}

// shape holds the names that an instance of a class is written with, so that none is put together per request. Each name
// is there with the prefix p and with q: an embedded instance takes the prefix that the element around it has not.
type shape struct {
	class      *cim.Class
	uri        [3]string   // by form
	element    [2]soap.Tag // of an instance, by form: formWMI, formDMTF
	properties [2][]property
	typeName   [2]string // p:CLASS_Type
	methods    map[*cim.Method]methodNames
}

// property is a property with its name, and with the tags around its value, if that is neither an array nor embedded.
type property struct {
	*cim.Property
	name string
	tag  soap.Tag
}

type methodNames struct {
	input, output string // METHOD_INPUT without a prefix, p:METHOD_OUTPUT
	parameters    map[*cim.Parameter]string
}

var prefixes = [2]string{"p", "q"}

func newNamespace(ns *cim.Namespace) *namespace {
	n := &namespace{cim: ns, shapes: map[*cim.Class]*shape{}}
	for _, c := range ns.Classes {
		n.add(c)
	}
	return n
}

func (n *namespace) add(c *cim.Class) {
	if n.shapes[c] != nil {
		return
	}
	s := &shape{class: c, methods: map[*cim.Method]methodNames{}}
	n.shapes[c] = s
	s.uri = [3]string{prefixWMI + n.cim.Name + "/" + c.Name, prefixDMTF + c.Name, prefixClassXML + c.Name}
	for i, prefix := range prefixes {
		s.typeName[i] = prefix + ":" + c.Name + "_Type"
		for j := range c.Properties {
			p := property{Property: &c.Properties[j], name: prefix + ":" + c.Properties[j].Name}
			if p.tag = soap.NewTag(p.name); p.Type == cim.DatetimeType {
				p.tag = p.tag.Around(soap.NewTag("cim:Datetime"))
			}
			s.properties[i] = append(s.properties[i], p)
		}
	}
	for f := range s.element {
		s.element[f] = soap.NewTag("p:"+c.Name, "xmlns:xsi", soap.NamespaceXSI, "xmlns:p", s.uri[f], "xmlns:cim", soap.NamespaceCIM,
			"xsi:type", s.typeName[0])
	}
	for i := range c.Properties {
		n.addEmbedded(&c.Properties[i].Field)
	}
	for i := range c.Methods {
		m := &c.Methods[i]
		names := methodNames{input: m.Name + "_INPUT", output: "p:" + m.Name + "_OUTPUT", parameters: map[*cim.Parameter]string{}}
		for j := range m.Parameters {
			names.parameters[&m.Parameters[j]] = "p:" + m.Parameters[j].Name
			n.addEmbedded(&m.Parameters[j].Field)
		}
		s.methods[m] = names
	}
}

func (n *namespace) addEmbedded(f *cim.Field) {
	if f.Embedded != nil {
		n.add(f.Embedded)
	}
}
