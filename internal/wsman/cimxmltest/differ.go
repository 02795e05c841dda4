package cimxmltest

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"calkeeper/internal/cim"
)

// Differ rebuilds a class from what was read, and tells where the result differs from the class itself: nil if nowhere.
func Differ(read Class, c *cim.Class) []string {
	var d differences
	d.compare(c.Name, "name", read.Name, c.Name)
	d.compare(c.Name, "superclass", read.Superclass, "")
	d.compare(c.Name, "singleton", flag(read.Qualifiers, "singleton"), c.Singleton)
	d.compare(c.Name, "dynamic", flag(read.Qualifiers, "dynamic"), c.Provider != "")
	d.compare(c.Name, "provider", strings.Join(read.Qualifier("provider"), ","), c.Provider)
	d.compare(c.Name, "qualifiers", read.Qualifiers, c.Qualifiers())
	if len(read.Properties) != len(c.Properties) || len(read.Methods) != len(c.Methods) {
		return append(d, fmt.Sprintf("%s has %d properties and %d methods, want %d and %d", c.Name, len(read.Properties), len(read.Methods),
			len(c.Properties), len(c.Methods)))
	}
	for i := range c.Properties {
		e, p := &read.Properties[i], &c.Properties[i]
		what := c.Name + "." + p.Name
		d.field(what, e, &p.Field)
		d.compare(what, "key, read, write", [3]bool{flag(e.Qualifiers, "key"), flag(e.Qualifiers, "read"), flag(e.Qualifiers, "write")},
			[3]bool{p.Key, true, p.Write})
		d.compare(what, "deprecated", e.Qualifier("Deprecated") != nil, p.Deprecated)
		d.compare(what, "qualifiers", e.Qualifiers, p.Qualifiers())
	}
	for i := range c.Methods {
		d.method(c.Name, &read.Methods[i], &c.Methods[i])
	}
	return d
}

type differences []string

func (d *differences) compare(what, of string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		*d = append(*d, fmt.Sprintf("%s: %s %+v, want %+v", what, of, got, want))
	}
}

func (d *differences) method(class string, read *Method, m *cim.Method) {
	what := class + "." + m.Name
	d.compare(what, "declaration", [2]string{read.Name, read.Type}, [2]string{m.Name, "uint32"})
	d.compare(what, "static, Implemented", [2]bool{flag(read.Qualifiers, "static"), flag(read.Qualifiers, "Implemented")}, [2]bool{m.Static, true})
	d.compare(what, "qualifiers", read.Qualifiers, m.Qualifiers())
	if len(read.Parameters) != len(m.Parameters) {
		d.compare(what, "number of parameters", len(read.Parameters), len(m.Parameters))
		return
	}
	for i := range m.Parameters {
		e, p := &read.Parameters[i], &m.Parameters[i]
		what := what + "." + p.Name
		d.field(what, e, &p.Field)
		d.compare(what, "in, out", [2]bool{flag(e.Qualifiers, "in"), flag(e.Qualifiers, "out")}, [2]bool{p.In, p.Out})
		d.compare(what, "ID", e.Qualifier("ID"), []string{strconv.Itoa(i)})
		d.compare(what, "qualifiers", e.Qualifiers, p.Qualifiers())
	}
}

func (d *differences) field(what string, read *Element, f *cim.Field) {
	typ, embedded := f.Type.String(), ""
	if f.Embedded != nil {
		typ, embedded = "instance", f.Embedded.Name
	}
	d.compare(what, "declaration", Element{Name: read.Name, Type: read.Type, Array: read.Array, Embedded: read.Embedded},
		Element{Name: f.Name, Type: typ, Array: f.Array, Embedded: embedded})
	table, err := Values(read)
	if err != nil {
		*d = append(*d, fmt.Sprintf("%s: %v", what, err))
		return
	}
	d.compare(what, "values", table, f.Values)
}

// Values rebuilds the table of values of a property or parameter from its qualifiers.
func Values(e *Element) (cim.ValueTable, error) {
	var t cim.ValueTable
	maps, names := e.Qualifier("ValueMap"), e.Qualifier("Values")
	if bits := e.Qualifier("BitMap"); bits != nil {
		if maps != nil || names != nil {
			return t, fmt.Errorf("both values and bits")
		}
		t.Bits, maps, names = true, bits, e.Qualifier("BitValues")
	}
	switch {
	case maps != nil && names == nil && !t.Bits: // a string whose values name themselves
		maps, names = slices.Repeat([]string{""}, len(maps)), maps
	case len(maps) != len(names):
		return t, fmt.Errorf("%d values have %d names", len(maps), len(names))
	}
	for i := range maps {
		t.Entries = append(t.Entries, cim.ValueEntry{Map: maps[i], Name: names[i]})
	}
	return t, nil
}

func flag(qualifiers []cim.Qualifier, name string) bool {
	return slices.Equal(find(qualifiers, name), []string{"true"})
}
