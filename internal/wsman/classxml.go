package wsman

import (
	"strings"

	"calkeeper/internal/cim"
	"calkeeper/internal/wsman/soap"
)

// getClass answers the class fetch of PowerShell, which takes the types of an instance from there: a CLASS element of
// CIM-XML (DSP0201), without a namespace, alone in the Body.
func (x *exchange) getClass(r resource) error {
	switch {
	case r.class == nil:
		return cim.Errorf(cim.StatusInvalidClass, "the selector %s must name the class", classSelector)
	case len(r.selectors) > 0:
		return newFault(unexpectedSelectors, "a class is named by the selectors "+namespaceSelector+" and "+classSelector+" only")
	case x.request.fragment != nil:
		return newFault(fragmentUnsupported, "a class is read as a whole")
	}
	x.open(actionGet + "Response")
	writeClass(&x.writer, r.class.class, r.classes)
	return x.close(envelopeLimit)
}

// classOptions say how much of a class a client wants to see. They have the names of the MI API; what they mean, and what holds
// without them, is that of GetClass (DSP0200, 5.3.2.1): qualifiers, and no CLASSORIGIN.
type classOptions struct {
	withoutQualifiers, withoutDerivation, origin bool
}

// take reads an option, whose name is in lower case, and tells whether it is about classes.
func (o *classOptions) take(name, value string) bool {
	switch strings.TrimPrefix(name, "wmi:") {
	case "includequalifiers":
		o.withoutQualifiers = !isTrue(value)
	case "includeinheritancehierarchy":
		o.withoutDerivation = !isTrue(value)
	case "includeclassorigin":
		o.origin = isTrue(value)
	case "includeinheritedelements": // no class here inherits any
	default:
		return false
	}
	return true
}

// classWriter writes one class: the elements in the order that DSP0201 prescribes, and no attribute that the reader of the MI
// API does not know, which refuses such. DERIVATION is Microsoft's: the superclasses, of which there are none.
type classWriter struct {
	*soap.Writer
	class *cim.Class
	classOptions
}

func writeClass(w *soap.Writer, c *cim.Class, o classOptions) {
	cw := classWriter{w, c, o}
	w.Start("CLASS", "NAME", c.Name)
	if !o.withoutDerivation {
		w.Attr("DERIVATION", "")
	}
	cw.qualifiers(c.Qualifiers())
	for i := range c.Properties {
		p := &c.Properties[i]
		cw.start("PROPERTY", &p.Field)
		cw.classOrigin()
		cw.qualifiers(p.Qualifiers())
		w.End()
	}
	for i := range c.Methods {
		m := &c.Methods[i]
		w.Start("METHOD", "NAME", m.Name, "TYPE", cim.Uint32.String())
		cw.classOrigin()
		cw.qualifiers(m.Qualifiers())
		for j := range m.Parameters {
			p := &m.Parameters[j]
			cw.start("PARAMETER", &p.Field)
			cw.qualifiers(p.Qualifiers())
			w.End()
		}
		w.End()
	}
	w.End()
}

// start writes the start of a property or parameter.
func (w classWriter) start(element string, f *cim.Field) {
	if f.Array {
		element += ".ARRAY"
	}
	w.Start(element, "NAME", f.Name, "TYPE", f.DeclaredType())
}

func (w classWriter) classOrigin() {
	if w.origin {
		w.Attr("CLASSORIGIN", w.class.Name)
	}
}

// qualifiers writes the QUALIFIER elements. NAME comes first: the reader of the MI API finds EmbeddedInstance only there.
func (w classWriter) qualifiers(qualifiers []cim.Qualifier) {
	if w.withoutQualifiers {
		return
	}
	for _, q := range qualifiers {
		w.Start("QUALIFIER", "NAME", q.Name, "TYPE", q.Type)
		if q.Flavor.DisableOverride {
			w.Attr("OVERRIDABLE", "false")
		}
		if q.Flavor.Restricted {
			w.Attr("TOSUBCLASS", "false")
		}
		if q.Flavor.Translatable {
			w.Attr("TRANSLATABLE", "true")
		}
		if q.Array {
			w.Start("VALUE.ARRAY")
		}
		for _, v := range q.Values {
			w.Element("VALUE", v)
		}
		if q.Array {
			w.End()
		}
		w.End()
	}
}
