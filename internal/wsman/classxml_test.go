package wsman_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"calkeeper/internal/cim"
	"calkeeper/internal/wsman"
	"calkeeper/internal/wsman/cimxmltest"
)

const cimXML = "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/"

// declared is a class with everything that a class can be declared with.
type (
	color uint32
	parts uint32
	size  string

	declared struct {
		ID     uint32         `cim:"Id,key"`
		Shelf  string         `cim:"Shelf,key"`
		Color  color          `cim:"Color,write"`
		Parts  parts          `cim:"Parts,deprecated"`
		Size   size           `cim:"Size"`
		Open   bool           `cim:"Open,write"`
		Since  cim.Datetime   `cim:"Since"`
		Visits []cim.Datetime `cim:"Visits"`
		Colors []color        `cim:"Colors,write"`
	}
	declaredIn struct {
		Colors []color `cim:"Colors"`
		Cursor uint32  `cim:"Cursor"`
	}
	declaredOut struct {
		Cursor  uint32  `cim:"Cursor"`
		Entries []entry `cim:"Entries"`
		First   entry   `cim:"First"`
		Size    size    `cim:"Size"`
	}
)

func (color) CIMValues() cim.ValueTable {
	return cim.ValueTable{Entries: []cim.ValueEntry{{Map: "0", Name: `<"red"> & 'blue'`}, {Map: "7", Name: ""}}}
}

func (parts) CIMValues() cim.ValueTable {
	return cim.ValueTable{Bits: true, Entries: []cim.ValueEntry{{Map: "0", Name: "Lid"}, {Map: "5", Name: "Lock"}}}
}

func (size) CIMValues() cim.ValueTable {
	return cim.ValueTable{Entries: []cim.ValueEntry{{Name: "small"}, {Name: "large"}}}
}

// declarations returns a namespace of such a class beside the usual ones.
func declarations(t *testing.T) *cim.Namespace {
	t.Helper()
	c, err := cim.Define[declared]("Test_Declared", cim.Provided("TestProv"),
		cim.ReturnValues(func(context.Context, string, error) uint32 { return 0 }),
		cim.Gets(func(_ context.Context, d declared) (declared, error) { return d, nil }),
		cim.InstanceMethod("Take", func(context.Context, declared, declaredIn) (declaredOut, error) { return declaredOut{}, nil }),
		cim.StaticMethod("Reset", func(context.Context, nothing) (nothing, error) { return nothing{}, nil }))
	must(t, err)
	ns, err := cim.NewNamespace("root/cimv2", append(newWorld(0).namespace(t).Classes, c)...)
	must(t, err)
	return ns
}

// fetch reads the classes of a reply.
func fetch(t *testing.T, got reply) []cimxmltest.Class {
	t.Helper()
	classes, err := cimxmltest.Read([]byte(got.raw))
	if err != nil || got.status != 200 {
		t.Fatalf("%d, %v\n%s", got.status, err, got.raw)
	}
	return classes
}

// TestClassXML rebuilds every class from what Get and Enumerate answer.
func TestClassXML(t *testing.T) {
	ns := declarations(t)
	s := server(t, newWorld(0), func(o *wsman.Options) { o.Namespaces = []*cim.Namespace{ns} })
	all := fetch(t, send(t, s, enumerate(cimXML+"*", "__cimnamespace=root/cimv2;ClassName=", "<w:OptimizeEnumeration/><w:MaxElements>99</w:MaxElements>")))
	if len(all) != len(ns.Classes) {
		t.Fatalf("%d classes are enumerated, want %d", len(all), len(ns.Classes))
	}
	for i, c := range ns.Classes {
		one := fetch(t, send(t, s, get(cimXML+"*", "__cimnamespace=root/cimv2;ClassName="+c.Name).String()))
		if len(one) != 1 {
			t.Fatalf("%d classes for %s", len(one), c.Name)
		}
		for _, d := range cimxmltest.Differ(one[0], c) {
			t.Error("Get: ", d)
		}
		if !reflect.DeepEqual(all[i], one[0]) {
			t.Errorf("enumerated\n%+v, got\n%+v", all[i], one[0])
		}
	}
}

// TestClassDiffers changes what was read of a class, one thing at a time: Differ must notice each.
func TestClassDiffers(t *testing.T) {
	ns := declarations(t)
	s := server(t, newWorld(0), func(o *wsman.Options) { o.Namespaces = []*cim.Namespace{ns} })
	read := func() *cimxmltest.Class {
		return &fetch(t, send(t, s, get(cimXML+"Test_Declared", "").String()))[0]
	}
	c, err := ns.Class("Test_Declared")
	must(t, err)
	for name, change := range map[string]func(*cimxmltest.Class){
		"name":       func(c *cimxmltest.Class) { c.Name = "Test_Other" },
		"superclass": func(c *cimxmltest.Class) { c.Superclass = "Test_Other" },
		"provider":   func(c *cimxmltest.Class) { c.Qualifiers[1].Values[0] = "Other" },
		"dynamic":    func(c *cimxmltest.Class) { c.Qualifiers = c.Qualifiers[1:] },
		"order":      func(c *cimxmltest.Class) { c.Properties[0], c.Properties[1] = c.Properties[1], c.Properties[0] },
		"property":   func(c *cimxmltest.Class) { c.Properties = c.Properties[1:] },
		"method":     func(c *cimxmltest.Class) { c.Methods = c.Methods[1:] },
		"type":       func(c *cimxmltest.Class) { c.Properties[0].Type = "sint32" },
		"array":      func(c *cimxmltest.Class) { c.Properties[7].Array = false },
		"key":        func(c *cimxmltest.Class) { c.Properties[0].Qualifiers = c.Properties[0].Qualifiers[1:] },
		"flavor":     func(c *cimxmltest.Class) { c.Properties[0].Qualifiers[0].Flavor = cim.Flavor{} },
		"value":      func(c *cimxmltest.Class) { c.Properties[2].Qualifiers[2].Values[1] = "8" },
		"value name": func(c *cimxmltest.Class) { c.Properties[4].Qualifiers[1].Values[1] = "huge" },
		"static":     func(c *cimxmltest.Class) { c.Methods[1].Qualifiers = c.Methods[1].Qualifiers[:1] },
		"parameter":  func(c *cimxmltest.Class) { c.Methods[0].Parameters = c.Methods[0].Parameters[1:] },
		"direction": func(c *cimxmltest.Class) {
			c.Methods[0].Parameters[1].Qualifiers = c.Methods[0].Parameters[1].Qualifiers[1:]
		},
		"position":    func(c *cimxmltest.Class) { c.Methods[0].Parameters[1].Qualifiers[2].Values[0] = "4" },
		"embedded":    func(c *cimxmltest.Class) { c.Methods[0].Parameters[2].Embedded = "Test_Pack" },
		"return type": func(c *cimxmltest.Class) { c.Methods[0].Type = "string" },
	} {
		altered := read()
		change(altered)
		if cimxmltest.Differ(*altered, c) == nil {
			t.Errorf("a different %s is not noticed", name)
		}
	}
}

// TestClassOptions checks what the options about classes leave out and put in.
func TestClassOptions(t *testing.T) {
	s := server(t, newWorld(0), nil)
	option := func(name, value string) string {
		return fmt.Sprintf(`<w:Option Name="%s" Type="xs:boolean">%s</w:Option>`, name, value)
	}
	for _, test := range []struct {
		name, options                  string
		qualifiers, derivation, origin bool
	}{
		{"none", "", true, true, false},
		{"of PowerShell", option("IncludeInheritanceHierarchy", "true") + option("IncludeInheritedElements", "true") + option("IncludeQualifiers", "true"), true, true, false},
		{"all off", option("IncludeInheritanceHierarchy", "false") + option("includeinheritedelements", "0") + option("wmi:IncludeQualifiers", "0"), false, false, false},
		{"no qualifiers", option("IncludeQualifiers", "False"), false, true, false},
		{"no hierarchy", option("wmi:IncludeInheritanceHierarchy", "0"), true, false, false},
		{"origin", option("IncludeClassOrigin", " TRUE "), true, true, true},
	} {
		options := "<w:OptionSet>" + test.options + "</w:OptionSet>"
		one := fetch(t, send(t, s, withHeader(get(cimXML+"Test_Pack", ""), options).String()))
		m := enumerateMessage(cimXML+"*", "", "<w:OptimizeEnumeration/><w:MaxElements>1</w:MaxElements>")
		all := fetch(t, send(t, s, withHeader(m, options).String()))
		for _, c := range append(one, all...) {
			origin := ""
			if test.origin {
				origin = "Test_Pack"
			}
			install := c.Methods[0]
			if c.Name != "Test_Pack" || (c.Qualifiers != nil) != test.qualifiers || (c.Derivation != nil) != test.derivation ||
				c.Properties[0].Origin != origin || (c.Properties[0].Qualifiers != nil) != test.qualifiers ||
				install.Origin != origin || (install.Qualifiers != nil) != test.qualifiers ||
				install.Parameters[0].Origin != "" || (install.Parameters[0].Qualifiers != nil) != test.qualifiers {
				t.Errorf("%s: %+v", test.name, c)
			}
			if c.Properties[4].Type != "datetime" || !c.Properties[5].Array || len(c.Methods) != 6 {
				t.Errorf("%s: types are gone: %+v", test.name, c)
			}
		}
	}
	// The options of Enumerate hold for all its items, whatever Pull says.
	m := withHeader(enumerateMessage(cimXML+"*", "", ""), "<w:OptionSet>"+option("IncludeQualifiers", "false")+"</w:OptionSet>")
	_, enumeration, _ := send(t, s, m.String()).items(t)
	if got := send(t, s, pull(enumeration, "<n:MaxElements>9</n:MaxElements>")); strings.Contains(got.raw, "QUALIFIER") || len(fetch(t, got)) != 4 {
		t.Error(got.raw)
	}
}
