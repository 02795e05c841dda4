package wsman

import (
	"calkeeper/internal/cim"
	"calkeeper/internal/wql"
	"calkeeper/internal/wsman/soap"
)

// encoder writes instances as XML (DSP0230).
type encoder struct {
	w         *soap.Writer
	namespace *namespace
	form      form // formWMI or formDMTF
	precise   bool // whether NULL arrays are marked
}

// instance writes a whole instance, or only the columns if there are any. System properties are no part of it.
func (e encoder) instance(i cim.Instance, columns []wql.Column) {
	s := e.namespace.shapes[i.Class]
	e.w.Open(&s.element[e.form])
	if columns == nil {
		e.properties(s, i, 0)
	}
	for _, c := range columns {
		if c.Property != nil {
			e.value("p:"+c.Name, &c.Property.Field, i.Value(c.Property), 0)
		}
	}
	e.w.End()
}

func (e encoder) properties(s *shape, i cim.Instance, prefix int) {
	fields := i.Fields()
	for n := range s.properties[prefix] {
		p := &s.properties[prefix][n]
		var field any
		if fields != nil {
			field = fields[n]
		}
		// Enumerations consist of these.
		switch v := field.(type) {
		case *string:
			e.w.TextElement(&p.tag, *v)
		case *uint32:
			e.w.UintElement(&p.tag, uint64(*v))
		case *cim.Datetime:
			if v.IsZero() {
				e.scalar(p.name, &p.Field, cim.Value{}, prefix)
				continue
			}
			var text [40]byte
			e.w.RawElement(&p.tag, v.AppendXML(text[:0]))
		default:
			e.value(p.name, &p.Field, i.Value(p.Property), prefix)
		}
	}
}

// fragment writes some columns the way Windows does for a projection: without a namespace.
func (e encoder) fragment(i cim.Instance, columns []wql.Column) {
	e.w.Start("w:XmlFragment", "xmlns:xsi", soap.NamespaceXSI)
	for _, c := range columns {
		field := &cim.Field{Name: c.Name, Type: cim.String}
		if c.Property != nil {
			field = &c.Property.Field
		}
		e.value(c.Name, field, c.Value(i), plain)
	}
	e.w.End()
}

// plain stands in place of a prefix for elements without a namespace.
const plain = -1

// value writes a property or parameter as the element name, whose prefix is prefixes[prefix].
func (e encoder) value(name string, f *cim.Field, v cim.Value, prefix int) {
	elements, isArray := v.Array()
	switch {
	case isArray:
		for _, element := range elements {
			e.scalar(name, f, element, prefix)
		}
	case v.IsNull() && f.Array && e.precise:
		e.w.Start(name, "msftwinrm:IsNullArray", "true", "xsi:nil", "true")
		e.w.End()
	default:
		e.scalar(name, f, v, prefix)
	}
}

func (e encoder) scalar(name string, f *cim.Field, v cim.Value, prefix int) {
	if v.IsNull() {
		e.w.Start(name, "xsi:nil", "true")
		e.w.End()
		return
	}
	e.w.Start(name)
	switch v.Type() {
	case cim.DatetimeType:
		datetime := "cim:Datetime"
		if prefix == plain {
			datetime = "Datetime"
		}
		e.w.Start(datetime)
		e.text(v)
		e.w.End()
	case cim.Object:
		i, _ := v.Object()
		s, inner := e.namespace.shapes[i.Class], 1-max(prefix, 0)
		e.w.Attr("xmlns:"+prefixes[inner], s.uri[e.form])
		e.w.Attr("xsi:type", s.typeName[inner])
		e.properties(s, i, inner)
	default:
		e.text(v)
	}
	e.w.End()
}

// text writes a scalar that is neither NULL nor embedded.
func (e encoder) text(v cim.Value) {
	switch v.Type() {
	case cim.String:
		e.w.Text(v.Text())
	case cim.Uint32:
		e.w.Uint(uint64(v.Uint32()))
	case cim.Boolean:
		e.w.Bool(v.Bool())
	case cim.DatetimeType:
		e.w.Text(v.Datetime().XML())
	}
}

// endpointReference writes what names an instance: the resource URI of its class, its namespace and its keys
// (DSP0226, 5.4).
func (e encoder) endpointReference(i cim.Instance) {
	s := e.namespace.shapes[i.Class]
	form := e.form
	if i.IsClass() { // it can be fetched as one
		form = formClassXML
	}
	e.w.Start("a:EndpointReference")
	e.w.Element("a:Address", anonymousAddress)
	e.w.Start("a:ReferenceParameters")
	e.w.Element("w:ResourceURI", s.uri[form])
	e.w.Start("w:SelectorSet")
	e.w.Element("w:Selector", e.namespace.cim.Name, "Name", namespaceSelector)
	for n := range s.class.Properties {
		if p := &s.class.Properties[n]; p.Key && form != formClassXML {
			e.w.Start("w:Selector", "Name", p.Name)
			e.text(i.Value(p))
			e.w.End()
		}
	}
	e.w.End()
	e.w.End()
	e.w.End()
}
