// Package cimxmltest reads class XML back, for tests. It is as strict as the reader of the MI API, which PowerShell's class fetch
// goes through: an element or attribute that it does not know, or one in another order, is an error, as is a value that is none
// of its type.
//
// Sources: DSP0201 and its DTD, DSP0203; the behaviour of OMI, Microsoft's open implementation of the MI API.
package cimxmltest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"calkeeper/internal/cim"
)

// Class is what a CLASS element says.
type Class struct {
	Name       string
	Superclass string
	Derivation []string // nil if the attribute is not there
	Qualifiers []cim.Qualifier
	Properties []Element
	Methods    []Method
}

// Element is a property or parameter, and what a method has in common with them.
type Element struct {
	Name, Type string // the type is instance if the qualifier EmbeddedInstance is there
	Array      bool
	Embedded   string // the class of an instance
	Origin     string // the attribute CLASSORIGIN
	Qualifiers []cim.Qualifier
}

// Method is a method; its type is that of its ReturnValue.
type Method struct {
	Element
	Parameters []Element
}

// Qualifier returns the values of the qualifier with that name, in any case; nil if it is not there.
func (e *Element) Qualifier(name string) []string { return find(e.Qualifiers, name) }

// Qualifier returns the values of the class's own qualifier with that name, in any case; nil if it is not there.
func (c *Class) Qualifier(name string) []string { return find(c.Qualifiers, name) }

func find(qualifiers []cim.Qualifier, name string) []string {
	for _, q := range qualifiers {
		if strings.EqualFold(q.Name, name) {
			return q.Values
		}
	}
	return nil
}

// model is what an element may contain and how its attributes are named; those before the semicolon are required.
type model struct {
	content    string // a regular expression over the names of the children, each with a space behind it
	attributes string
}

// models is the part of DSP0203 that a class without references is written in, with DERIVATION, which is Microsoft's.
var models = map[string]model{
	"CLASS":           {`(QUALIFIER )*(PROPERTY(\.ARRAY)? )*(METHOD )*`, "NAME; SUPERCLASS DERIVATION"},
	"QUALIFIER":       {`VALUE(\.ARRAY)? `, "NAME TYPE; OVERRIDABLE TOSUBCLASS TRANSLATABLE"},
	"PROPERTY":        {`(QUALIFIER )*(VALUE )?`, "NAME TYPE; CLASSORIGIN PROPAGATED"},
	"PROPERTY.ARRAY":  {`(QUALIFIER )*(VALUE\.ARRAY )?`, "NAME TYPE; ARRAYSIZE CLASSORIGIN PROPAGATED"},
	"METHOD":          {`(QUALIFIER )*(PARAMETER(\.ARRAY)? )*`, "NAME TYPE; CLASSORIGIN PROPAGATED"},
	"PARAMETER":       {`(QUALIFIER )*`, "NAME TYPE;"},
	"PARAMETER.ARRAY": {`(QUALIFIER )*`, "NAME TYPE; ARRAYSIZE"},
	"VALUE.ARRAY":     {`(VALUE )*`, ";"},
	"VALUE":           {``, ";"},
}

// The types of CIM (DSP0201, TYPE).
var types = strings.Fields("boolean string char16 uint8 sint8 uint16 sint16 uint32 sint32 uint64 sint64 datetime real32 real64")

// node is an element of XML.
type node struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []*node    `xml:",any"`
}

func (n *node) attr(name string) (string, bool) {
	for _, a := range n.Attrs {
		if a.Name.Local == name {
			return a.Value, true
		}
	}
	return "", false
}

func (n *node) text(name string) string { v, _ := n.attr(name); return v }

func (n *node) check() error {
	m, ok := models[n.XMLName.Local]
	if !ok || n.XMLName.Space != "" {
		return fmt.Errorf("%v is no element of a class", n.XMLName)
	}
	required, optional, _ := strings.Cut(m.attributes, ";")
	known := append(strings.Fields(required), strings.Fields(optional)...)
	seen := map[string]bool{}
	for _, a := range n.Attrs {
		if a.Name.Space != "" || !slices.Contains(known, a.Name.Local) || seen[a.Name.Local] {
			return fmt.Errorf("%s has the attribute %v", n.XMLName.Local, a.Name)
		}
		seen[a.Name.Local] = true
	}
	for _, name := range strings.Fields(required) {
		if n.text(name) == "" {
			return fmt.Errorf("%s has no %s", n.XMLName.Local, name)
		}
	}
	if typ, ok := n.attr("TYPE"); ok && !slices.Contains(types, typ) {
		return fmt.Errorf("%s %s has the type %q", n.XMLName.Local, n.text("NAME"), typ)
	}
	var children strings.Builder
	for _, c := range n.Children {
		children.WriteString(c.XMLName.Local + " ")
		if err := c.check(); err != nil {
			return fmt.Errorf("%s in %s: %w", n.text("NAME"), n.XMLName.Local, err)
		}
	}
	if !regexp.MustCompile("^(" + m.content + ")$").MatchString(children.String()) {
		return fmt.Errorf("%s %s contains %s", n.XMLName.Local, n.text("NAME"), children.String())
	}
	if n.XMLName.Local != "VALUE" && strings.TrimSpace(n.Text) != "" {
		return fmt.Errorf("%s %s contains text", n.XMLName.Local, n.text("NAME"))
	}
	return nil
}

// Read reads the CLASS elements of a message, wherever they stand in it.
func Read(message []byte) (classes []Class, err error) {
	d := xml.NewDecoder(bytes.NewReader(message))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return classes, nil
		}
		if err != nil {
			return nil, err
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "CLASS" {
			continue
		}
		var root node
		if err := d.DecodeElement(&root, &start); err != nil {
			return nil, err
		}
		c, err := readClass(&root)
		if err != nil {
			return nil, err
		}
		classes = append(classes, c)
	}
}

func readClass(root *node) (c Class, err error) {
	if err := root.check(); err != nil {
		return Class{}, err
	}
	c = Class{Name: root.text("NAME"), Superclass: root.text("SUPERCLASS")}
	if derivation, ok := root.attr("DERIVATION"); ok {
		c.Derivation = []string{}
		if derivation != "" {
			c.Derivation = strings.Split(derivation, ",")
		}
		if (c.Superclass != "") != (len(c.Derivation) > 0) || c.Superclass != "" && c.Derivation[0] != c.Superclass {
			return Class{}, fmt.Errorf("the superclass is %q and the derivation %q", c.Superclass, derivation)
		}
	}
	if c.Qualifiers, err = readQualifiers(root); err != nil {
		return Class{}, err
	}
	names := map[string]bool{}
	for _, n := range root.Children {
		if n.XMLName.Local == "QUALIFIER" {
			continue
		}
		e, err := readElement(n, names)
		if err != nil {
			return Class{}, err
		}
		if n.XMLName.Local != "METHOD" {
			c.Properties = append(c.Properties, e)
			continue
		}
		m := Method{Element: e}
		parameters := map[string]bool{}
		for _, p := range n.Children {
			if p.XMLName.Local == "QUALIFIER" {
				continue
			}
			e, err := readElement(p, parameters)
			if err != nil {
				return Class{}, fmt.Errorf("%s: %w", m.Name, err)
			}
			m.Parameters = append(m.Parameters, e)
		}
		c.Methods = append(c.Methods, m)
	}
	return c, nil
}

func readElement(n *node, names map[string]bool) (e Element, err error) {
	e = Element{Name: n.text("NAME"), Type: n.text("TYPE"), Origin: n.text("CLASSORIGIN"), Array: strings.HasSuffix(n.XMLName.Local, ".ARRAY")}
	if names[strings.ToLower(e.Name)] {
		return e, fmt.Errorf("%s stands twice", e.Name)
	}
	names[strings.ToLower(e.Name)] = true
	if e.Qualifiers, err = readQualifiers(n); err != nil {
		return e, fmt.Errorf("%s: %w", e.Name, err)
	}
	if embedded := e.Qualifier("EmbeddedInstance"); embedded != nil {
		if e.Type != "string" {
			return e, fmt.Errorf("the embedded %s is a %s", e.Name, e.Type)
		}
		e.Type, e.Embedded = "instance", embedded[0]
	}
	return e, nil
}

func readQualifiers(of *node) (list []cim.Qualifier, err error) {
	for _, n := range of.Children {
		if n.XMLName.Local != "QUALIFIER" {
			continue
		}
		q := cim.Qualifier{Name: n.text("NAME"), Type: n.text("TYPE")}
		if n.Attrs[0].Name.Local != "NAME" {
			return nil, fmt.Errorf("NAME is not the first attribute of the qualifier %s", q.Name)
		}
		if find(list, q.Name) != nil {
			return nil, fmt.Errorf("the qualifier %s stands twice", q.Name)
		}
		for name, set := range map[string]func(bool){
			"OVERRIDABLE":  func(b bool) { q.Flavor.DisableOverride = !b },
			"TOSUBCLASS":   func(b bool) { q.Flavor.Restricted = !b },
			"TRANSLATABLE": func(b bool) { q.Flavor.Translatable = b },
		} {
			switch value, ok := n.attr(name); {
			case !ok:
			case value == "true", value == "false":
				set(value == "true")
			default:
				return nil, fmt.Errorf("the qualifier %s has %s=%q", q.Name, name, value)
			}
		}
		values := n.Children
		if q.Array = n.Children[0].XMLName.Local == "VALUE.ARRAY"; q.Array {
			values = n.Children[0].Children
		}
		for _, v := range values {
			if err := checkValue(q.Type, v.Text); err != nil {
				return nil, fmt.Errorf("the qualifier %s: %w", q.Name, err)
			}
			q.Values = append(q.Values, v.Text)
		}
		list = append(list, q)
	}
	return list, nil
}

// checkValue holds a value against the types that qualifiers have.
func checkValue(typ, value string) (err error) {
	switch typ {
	case "string":
	case "boolean":
		if value != "true" && value != "false" {
			err = errors.New("no boolean")
		}
	case "sint32":
		_, err = strconv.ParseInt(value, 10, 32)
	default:
		err = fmt.Errorf("a value of type %s", typ)
	}
	return err
}
