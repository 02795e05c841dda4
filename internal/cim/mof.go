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
	var qualifiers []string
	if c.Singleton {
		qualifiers = append(qualifiers, "singleton")
	}
	if c.Provider != "" {
		qualifiers = append(qualifiers, "dynamic", "provider("+quote(c.Provider)+")")
	}
	b.WriteString("\n")
	if len(qualifiers) > 0 {
		fmt.Fprintf(b, "[%s]\n", strings.Join(qualifiers, ", "))
	}
	fmt.Fprintf(b, "class %s\n{\n", c.Name)
	for i := range c.Properties {
		p := &c.Properties[i]
		q := []string{"read"}
		if p.Key {
			q = append([]string{"key"}, q...)
		}
		if p.Write {
			q = append(q, "write")
		}
		if p.Deprecated {
			q = append(q, "Deprecated{\"\"}")
		}
		fmt.Fprintf(b, "  [%s]\n  %s;\n", strings.Join(append(q, p.valueQualifiers()...), ", "), p.declaration())
	}
	for i := range c.Methods {
		c.Methods[i].writeMOF(b)
	}
	b.WriteString("};\n")
}

func (m *Method) writeMOF(b *bufio.Writer) {
	q := "Implemented"
	if m.Static {
		q += ", static"
	}
	fmt.Fprintf(b, "\n  [%s]\n  uint32 %s(", q, m.Name)
	for i := range m.Parameters {
		p := &m.Parameters[i]
		var q []string
		if p.In {
			q = append(q, "in")
		}
		if p.Out {
			q = append(q, "out")
		}
		if p.Embedded != nil {
			q = append(q, "EmbeddedInstance("+quote(p.Embedded.Name)+")")
		}
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(b, "\n    [%s] %s", strings.Join(append(q, p.valueQualifiers()...), ", "), p.declaration())
	}
	b.WriteString(");\n")
}

// declaration writes type, name and array brackets. MOF declares an embedded instance as a string with a qualifier
// (DSP0004, 5.6.3.13).
func (f *Field) declaration() string {
	t := f.Type.String()
	if f.Embedded != nil {
		t = "string"
	}
	if f.Array {
		return t + " " + f.Name + "[]"
	}
	return t + " " + f.Name
}

func (f *Field) valueQualifiers() []string {
	if len(f.Values.Entries) == 0 {
		return nil
	}
	var maps, names []string
	for _, e := range f.Values.Entries {
		if e.Map != "" {
			maps = append(maps, quote(e.Map))
		}
		names = append(names, quote(e.Name))
	}
	list := strings.Join(names, ", ")
	switch {
	case f.Values.Bits:
		return []string{"BitMap{" + strings.Join(maps, ", ") + "}", "BitValues{" + list + "}"}
	case len(maps) == 0: // a string whose values name themselves
		return []string{"ValueMap{" + list + "}"}
	default:
		return []string{"ValueMap{" + strings.Join(maps, ", ") + "}", "Values{" + list + "}"}
	}
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
