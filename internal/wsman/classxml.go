package wsman

import (
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
	writeClass(&x.writer, r.class.class)
	return x.close(envelopeLimit)
}

func writeClass(w *soap.Writer, c *cim.Class) {
	w.Start("CLASS", "NAME", c.Name, "DERIVATION", "")
	if c.Provider != "" {
		booleanQualifier(w, "dynamic")
		qualifier(w, "provider", c.Provider)
	}
	if c.Singleton {
		booleanQualifier(w, "singleton")
	}
	for i := range c.Properties {
		p := &c.Properties[i]
		startField(w, "PROPERTY", &p.Field)
		booleanQualifier(w, "read")
		if p.Key {
			booleanQualifier(w, "key")
		}
		if p.Write {
			booleanQualifier(w, "write")
		}
		w.End()
	}
	for i := range c.Methods {
		m := &c.Methods[i]
		w.Start("METHOD", "NAME", m.Name, "TYPE", "uint32")
		if m.Static {
			booleanQualifier(w, "static")
		}
		for j := range m.Parameters {
			p := &m.Parameters[j]
			startField(w, "PARAMETER", &p.Field)
			if p.In {
				booleanQualifier(w, "in")
			}
			if p.Out {
				booleanQualifier(w, "out")
			}
			w.End()
		}
		w.End()
	}
	w.End()
}

// startField writes the start of a property or parameter, and the qualifiers that both have. An embedded instance is a
// string with a qualifier (DSP0004, 5.6.3.13).
func startField(w *soap.Writer, element string, f *cim.Field) {
	if f.Array {
		element += ".ARRAY"
	}
	typeName := f.Type.String()
	if f.Embedded != nil {
		typeName = cim.String.String()
	}
	w.Start(element, "NAME", f.Name, "TYPE", typeName)
	if f.Embedded != nil {
		qualifier(w, "EmbeddedInstance", f.Embedded.Name)
	}
	values, maps := "Values", "ValueMap"
	if f.Values.Bits {
		values, maps = "BitValues", "BitMap"
	}
	var mapped, named []string
	for _, e := range f.Values.Entries {
		if e.Map != "" {
			mapped = append(mapped, e.Map)
		}
		named = append(named, e.Name)
	}
	if len(mapped) == 0 { // the values of a string may name themselves
		mapped, named = named, nil
	}
	arrayQualifier(w, maps, mapped)
	arrayQualifier(w, values, named)
}

func booleanQualifier(w *soap.Writer, name string) {
	w.Start("QUALIFIER", "NAME", name, "TYPE", "boolean")
	w.Element("VALUE", "true")
	w.End()
}

func qualifier(w *soap.Writer, name, value string) {
	w.Start("QUALIFIER", "NAME", name, "TYPE", "string")
	w.Element("VALUE", value)
	w.End()
}

func arrayQualifier(w *soap.Writer, name string, values []string) {
	if len(values) == 0 {
		return
	}
	w.Start("QUALIFIER", "NAME", name, "TYPE", "string")
	w.Start("VALUE.ARRAY")
	for _, v := range values {
		w.Element("VALUE", v)
	}
	w.End()
	w.End()
}
