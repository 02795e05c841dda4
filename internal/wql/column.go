package wql

import (
	"strings"

	"calkeeper/internal/cim"
)

// Column is a property of the class, or one of the system properties __CLASS, __NAMESPACE, __PATH, __RELPATH and __SERVER,
// which are strings ("WMI System Properties").
type Column struct {
	Name     string        // as the class spells it; a system property is in upper case
	Property *cim.Property // nil for a system property

	system func(cim.Instance) string
}

// Value returns the column's value in an instance of the statement's class.
func (c Column) Value(i cim.Instance) cim.Value {
	if c.Property != nil {
		return i.Value(c.Property)
	}
	return cim.StringValue(c.system(i))
}

// typ returns the type of the column's values.
func (c Column) typ() cim.Type {
	if c.Property != nil {
		return c.Property.Type
	}
	return cim.String
}

// systemColumn returns a system property by its name in any case. The namespace is written with backslashes, as in paths:
// \\SERVER\root\cimv2:Win32_Class.Key=1.
func systemColumn(name, server, namespace string) (Column, bool) {
	namespace = strings.ReplaceAll(namespace, "/", `\`)
	c := Column{Name: strings.ToUpper(name)}
	switch c.Name {
	case "__CLASS":
		c.system = func(i cim.Instance) string { return i.Class.Name }
	case "__NAMESPACE":
		c.system = func(cim.Instance) string { return namespace }
	case "__PATH":
		prefix := `\\` + server + `\` + namespace + ":"
		c.system = func(i cim.Instance) string { return prefix + i.Path() }
	case "__RELPATH":
		c.system = cim.Instance.Path
	case "__SERVER":
		c.system = func(cim.Instance) string { return server }
	default:
		return Column{}, false
	}
	return c, true
}
