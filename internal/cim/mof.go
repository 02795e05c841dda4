package cim

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// WriteMOF writes the classes as MOF (DSP0221): those that others embed first, so that a compiler finds them.
func (n *Namespace) WriteMOF(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "#pragma namespace(%s)\n", quote(n.Name))
	for _, embeds := range []bool{false, true} {
		for _, c := range n.Classes {
			if c.embedsOthers() == embeds {
				c.writeMOF(b)
			}
		}
	}
	return b.Flush()
}

func (c *Class) embedsOthers() bool {
	for _, m := range c.Methods {
		for _, p := range m.Parameters {
			if p.Embedded != nil {
				return true
			}
		}
	}
	return false
}

func (c *Class) writeMOF(b *bufio.Writer) {
	b.WriteString("\n")
	if q := c.Qualifiers(); len(q) > 0 {
		fmt.Fprintf(b, "[%s]\n", qualifierList(q))
	}
	fmt.Fprintf(b, "class %s\n{\n", c.Name)
	for i := range c.Properties {
		p := &c.Properties[i]
		fmt.Fprintf(b, "  [%s]\n  %s;\n", qualifierList(p.Qualifiers()), p.declaration())
	}
	for i := range c.Methods {
		c.Methods[i].writeMOF(b)
	}
	b.WriteString("};\n")
}

func (m *Method) writeMOF(b *bufio.Writer) {
	fmt.Fprintf(b, "\n  [%s]\n  uint32 %s(", qualifierList(m.Qualifiers()), m.Name)
	for i := range m.Parameters {
		p := &m.Parameters[i]
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(b, "\n    [%s] %s", qualifierList(p.Qualifiers()), p.declaration())
	}
	b.WriteString(");\n")
}

// declaration writes type, name and array brackets.
func (f *Field) declaration() string {
	if f.Array {
		return f.DeclaredType() + " " + f.Name + "[]"
	}
	return f.DeclaredType() + " " + f.Name
}

// qualifierList writes qualifiers as they stand between brackets. A boolean that is true needs no value.
func qualifierList(qualifiers []Qualifier) string {
	list := make([]string, len(qualifiers))
	for i, q := range qualifiers {
		values := make([]string, len(q.Values))
		for j, v := range q.Values {
			if values[j] = v; q.Type == String.String() {
				values[j] = quote(v)
			}
		}
		list[i] = q.Name
		switch {
		case q.Array:
			list[i] += "{" + strings.Join(values, ", ") + "}"
		case q.Type != Boolean.String():
			list[i] += "(" + values[0] + ")"
		}
	}
	return strings.Join(list, ", ")
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
