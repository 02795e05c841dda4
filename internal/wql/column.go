package wql

import (
	"strings"

	"calkeeper/internal/cim"
)

// Column is a property of the class, or one of the system properties that every instance and class has ("WMI System
// Properties").
type Column struct {
	Name     string        // as the class spells it; a system property is in upper case
	Property *cim.Property // nil for a system property

	typ    cim.Type
	array  bool
	system func(cim.Instance) cim.Value
}

// Value returns the column's value in an instance of the statement's class.
func (c Column) Value(i cim.Instance) cim.Value {
	if c.Property != nil {
		return i.Value(c.Property)
	}
	return c.system(i)
}

// systemNames are the system properties that can be asked for.
const systemNames = "__CLASS, __DERIVATION, __DYNASTY, __GENUS, __NAMESPACE, __PATH, __PROPERTY_COUNT, __RELPATH, __SERVER and __SUPERCLASS"

// The values of __GENUS.
const (
	genusClass    = 1 // WBEM_GENUS_CLASS
	genusInstance = 2
)

// systemColumn returns a system property by its name in any case. The namespace is written with backslashes, as in paths:
// \\SERVER\root\cimv2:Win32_Class.Key=1.
func systemColumn(name, server, namespace string) (Column, bool) {
	namespace = strings.ReplaceAll(namespace, "/", `\`)
	c := Column{Name: strings.ToUpper(name), typ: cim.String}
	text := func(s func(cim.Instance) string) {
		c.system = func(i cim.Instance) cim.Value { return cim.StringValue(s(i)) }
	}
	switch c.Name {
	case "__CLASS", "__DYNASTY": // no class is derived from another
		text(func(i cim.Instance) string { return i.Class.Name })
	case "__DERIVATION":
		c.array = true
		c.system = func(cim.Instance) cim.Value { return cim.ArrayValue([]cim.Value{}) }
	case "__GENUS":
		c.typ = cim.Uint32
		c.system = func(i cim.Instance) cim.Value {
			if i.IsClass() {
				return cim.Uint32Value(genusClass)
			}
			return cim.Uint32Value(genusInstance)
		}
	case "__NAMESPACE":
		text(func(cim.Instance) string { return namespace })
	case "__PATH":
		prefix := `\\` + server + `\` + namespace + ":"
		text(func(i cim.Instance) string { return prefix + i.Path() })
	case "__PROPERTY_COUNT":
		c.typ = cim.Uint32
		c.system = func(i cim.Instance) cim.Value { return cim.Uint32Value(uint32(len(i.Class.Properties))) }
	case "__RELPATH":
		text(cim.Instance.Path)
	case "__SERVER":
		text(func(cim.Instance) string { return server })
	case "__SUPERCLASS":
		c.system = func(cim.Instance) cim.Value { return cim.Value{} }
	default:
		return Column{}, false
	}
	return c, true
}
