package cim

import "strconv"

// Qualifier says of a class, property, method or parameter what its name and type leave open (DSP0004, 5.1.2.8). MOF and
// class XML are both written from it.
type Qualifier struct {
	Name   string
	Type   string // boolean, string or sint32
	Array  bool
	Values []string // one unless Array; a boolean is true
	Flavor Flavor
}

// Flavor says what subclasses and translations may do with a qualifier (DSP0004, 5.6.1.2). The zero value is the default of
// MOF and of CIM-XML: a subclass has the qualifier and may override it, and it is not there in other languages.
type Flavor struct {
	DisableOverride bool
	Restricted      bool // a subclass does not have it
	Translatable    bool
}

// flavors are those of the qualifiers whose flavor is not the default: as DSP0004, 5.6.3, declares them, and of Implemented and
// ID, which are WMI's own, as PowerShell shows them for Windows' classes.
var flavors = map[string]Flavor{
	"BitValues":   {Translatable: true},
	"Deprecated":  {Restricted: true},
	"ID":          {DisableOverride: true},
	"Implemented": {Restricted: true},
	"in":          {DisableOverride: true},
	"key":         {DisableOverride: true},
	"out":         {DisableOverride: true},
	"static":      {DisableOverride: true},
	"Values":      {Translatable: true},
}

// qualifiers is a list that grows.
type qualifiers []Qualifier

func (q *qualifiers) add(name, typ string, array bool, values ...string) {
	*q = append(*q, Qualifier{name, typ, array, values, flavors[name]})
}

// flag adds a boolean qualifier if it holds.
func (q *qualifiers) flag(holds bool, name string) {
	if holds {
		q.add(name, Boolean.String(), false, "true")
	}
}

func (q *qualifiers) strings(name string, values []string) {
	q.add(name, String.String(), true, values...)
}

// Qualifiers returns those of the class itself.
func (c *Class) Qualifiers() []Qualifier {
	var q qualifiers
	q.flag(c.Singleton, "singleton")
	if c.Provider != "" {
		q.flag(true, "dynamic")
		q.add("provider", String.String(), false, c.Provider)
	}
	return q
}

// Qualifiers returns those of the property.
func (p *Property) Qualifiers() []Qualifier {
	var q qualifiers
	q.flag(p.Key, "key")
	q.flag(true, "read")
	q.flag(p.Write, "write")
	if p.Deprecated {
		q.strings("Deprecated", []string{""}) // there is no replacement
	}
	p.qualify(&q)
	return q
}

// Qualifiers returns those of the method.
func (m *Method) Qualifiers() []Qualifier {
	var q qualifiers
	q.flag(true, "Implemented")
	q.flag(m.Static, "static")
	return q
}

// Qualifiers returns those of the parameter. ID is its position: WMI's callers take the order of arguments from it.
func (p *Parameter) Qualifiers() []Qualifier {
	var q qualifiers
	q.flag(p.In, "in")
	q.flag(p.Out, "out")
	q.flag(p.Optional, "optional")
	q.add("ID", "sint32", false, strconv.Itoa(p.position))
	p.qualify(&q)
	return q
}

// qualify adds what properties and parameters have in common.
func (f *Field) qualify(q *qualifiers) {
	if f.Embedded != nil {
		q.add("EmbeddedInstance", String.String(), false, f.Embedded.Name)
	}
	var maps, names []string
	for _, e := range f.Values.Entries {
		if e.Map != "" {
			maps = append(maps, e.Map)
		}
		names = append(names, e.Name)
	}
	switch {
	case len(names) == 0:
	case f.Values.Bits:
		q.strings("BitMap", maps)
		q.strings("BitValues", names)
	case len(maps) == 0: // a string whose values name themselves
		q.strings("ValueMap", names)
	default:
		q.strings("ValueMap", maps)
		q.strings("Values", names)
	}
}

// DeclaredType returns the type as MOF and CIM-XML declare it: an embedded instance is a string with the qualifier
// EmbeddedInstance (DSP0004, 5.6.3.13).
func (f *Field) DeclaredType() string {
	if f.Embedded != nil {
		return String.String()
	}
	return f.Type.String()
}
