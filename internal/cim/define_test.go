package cim_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/cim"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

type hasClassName struct{ notNamed }

type notNamed struct {
	Text string `cim:"Text"`
}

func TestDefineRefuses(t *testing.T) {
	define := func(_ *cim.Class, err error) error { return err }
	returns := cim.ReturnValues(func(context.Context, string, error) uint32 { return 0 })
	method := func(context.Context, nothing) (nothing, error) { return nothing{}, nil }
	for _, c := range []struct {
		what    string
		err     error
		message string
	}{
		{"optional property", define(cim.Define[struct {
			A string `cim:"A,optional"`
		}]("X")), "class X: property A is optional: only input parameters are"},
		{"unknown tag word", define(cim.Define[struct {
			A string `cim:"A,readonly"`
		}]("X")), `class X: field A: unknown tag word "readonly"`},
		{"int", define(cim.Define[struct {
			A int `cim:"A"`
		}]("X")), "field A: int is no CIM type"},
		{"pointer", define(cim.Define[struct {
			A *string `cim:"A"`
		}]("X")), "field A: *string is no CIM type"},
		{"array of arrays", define(cim.Define[struct {
			A [][]string `cim:"A"`
		}]("X")), "field A: []string is no CIM type"},
		{"struct without a class name", define(cim.Define[struct {
			A hasClassName `cim:"A"`
		}]("X")), "hasClassName has no CIM class name"},
		{"not a struct", define(cim.Define[string]("X")), "class X: string is not a struct"},
		{"names that differ in case", define(cim.Define[struct {
			A string `cim:"A"`
			B string `cim:"a"`
		}]("X")), "class X: property a declared twice"},
		{"methods without ReturnValues", define(cim.Define[item]("X", cim.StaticMethod("M", method))), "no ReturnValues"},
		{"method twice", define(cim.Define[item]("X", returns, cim.StaticMethod("M", method), cim.StaticMethod("m", method))),
			"class X: method m declared twice"},
		{"bad input", define(cim.Define[item]("X", returns, cim.StaticMethod("M",
			func(context.Context, int) (nothing, error) { return nothing{}, nil }))), "method M: int is not a struct"},
		{"bad output", define(cim.Define[item]("X", returns, cim.StaticMethod("M",
			func(context.Context, nothing) (out struct {
				A int8 `cim:"A"`
			}, err error) {
				return out, nil
			}))), "method M: field A: int8 is no CIM type"},
		{"in and out of different types", define(cim.Define[item]("X", returns, cim.StaticMethod("M",
			func(context.Context, findIn) (out struct {
				Color string `cim:"Color"`
			}, err error) {
				return out, nil
			}))), "method M: Color goes in as uint32 and out as string"},
		{"in as array, out as scalar", define(cim.Define[item]("X", returns, cim.StaticMethod("M",
			func(_ context.Context, in struct {
				Count []uint32 `cim:"Count"`
			}) (findOut, error) {
				return findOut{}, nil
			}))), "method M: Count goes in"},
		{"singleton with a key", define(cim.Define[box]("X", cim.Singleton())), "a singleton has no keys"},
		{"get of another struct", define(cim.Define[item]("X", cim.Gets(newDepot().get))), "function for cim_test.box given to a class made of cim_test.item"},
		{"enumeration of another struct", define(cim.Define[item]("X", cim.Enumerates(newDepot().all))), "function for cim_test.box"},
		{"put of another struct", define(cim.Define[item]("X", cim.Puts(newDepot().put))), "function for cim_test.box"},
		{"method of another struct", define(cim.Define[item]("X", cim.InstanceMethod("Fill", newDepot().fill))), "function for cim_test.box"},
	} {
		if c.err == nil || !contains(c.err.Error(), c.message) {
			t.Errorf("%s: got %v, want %q", c.what, c.err, c.message)
		}
	}
}

func TestDefineDerivesMetadata(t *testing.T) {
	c := newDepot().class(t, "test_BOX")
	if c.Name != "Test_Box" || c.Provider != "TestProv" || c.Singleton {
		t.Errorf("class %s, provider %s, singleton %v", c.Name, c.Provider, c.Singleton)
	}
	type property struct {
		name, typeName                string
		array, key, write, deprecated bool
	}
	var got []property
	for _, p := range c.Properties {
		got = append(got, property{p.Name, p.TypeName(), p.Array, p.Key, p.Write, p.Deprecated})
		if c.Property(strings.ToUpper(p.Name)) == nil || c.Property(p.Name).Name != p.Name {
			t.Errorf("property %s is not found by name", p.Name)
		}
	}
	want := []property{
		{name: "BoxId", typeName: "uint32", key: true},
		{name: "Shelf", typeName: "string", key: true},
		{name: "Label", typeName: "string", write: true},
		{name: "Weight", typeName: "uint32", write: true},
		{name: "Sealed", typeName: "boolean", write: true},
		{name: "Opened", typeName: "datetime", write: true},
		{name: "Tags", typeName: "string", array: true, write: true},
		{name: "Counts", typeName: "uint32", array: true},
		{name: "Visits", typeName: "datetime", array: true, write: true},
		{name: "Color", typeName: "uint32"},
		{name: "State", typeName: "uint32"},
		{name: "Size", typeName: "string", deprecated: true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("properties:\n%v\nwant:\n%v", got, want)
	}
	if c.Property("Private") != nil || c.Method("Nothing") != nil {
		t.Error("there is a property or a method that was not declared")
	}
	if keys := c.Keys(); len(keys) != 2 || keys[0].Name != "BoxId" || keys[1].Name != "Shelf" {
		t.Errorf("keys %v", keys)
	}
	if table := c.Property("Color").Values; table.Bits || len(table.Entries) != 2 || table.Entries[1].Map != "1" {
		t.Errorf("values of Color: %v", table)
	}

	fill, find := c.Method("FILL"), c.Method("find")
	if fill == nil || fill.Static || find == nil || !find.Static {
		t.Fatalf("methods %v, %v", fill, find)
	}
	type parameter struct {
		name, typeName string
		array, in, out bool
	}
	var parameters []parameter
	for _, p := range fill.Parameters {
		parameters = append(parameters, parameter{p.Name, p.TypeName(), p.Array, p.In, p.Out})
	}
	wantParameters := []parameter{
		{"Items", "string", true, true, false},
		{"Count", "uint32", false, true, false},
		{"Urgent", "boolean", false, true, false},
		{"Until", "datetime", false, true, false},
		{"Cursor", "uint32", false, true, true},
		{"Rows", "Test_Item", true, false, true},
		{"Best", "Test_Item", false, false, true},
		{"Text", "string", false, false, true},
	}
	if !slices.Equal(parameters, wantParameters) {
		t.Errorf("parameters:\n%v\nwant:\n%v", parameters, wantParameters)
	}
	if p := fill.Parameter("rows"); p == nil || p.Name != "Rows" || p.Embedded.Name != "Test_Item" {
		t.Errorf("parameter Rows: %v", p)
	}
	if fill.Parameter("nothing") != nil {
		t.Error("there is a parameter that was not declared")
	}
}

func TestNamespace(t *testing.T) {
	d := newDepot()
	ns := d.namespace(t)
	if ns.Name != "root/cimv2" {
		t.Errorf("namespace %s", ns.Name)
	}
	for _, name := range []string{"Test_Box", "TEST_BOX", "test_box"} {
		if c, err := ns.Class(name); err != nil || c.Name != "Test_Box" {
			t.Errorf("Class(%s): %v, %v", name, c, err)
		}
	}
	_, err := ns.Class("Test_Bag")
	wantStatus(t, "unknown class", err, cim.StatusInvalidClass, `no class "Test_Bag" in root/cimv2`)
	other, err := cim.Define[item]("TEST_ITEM")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cim.NewNamespace("root", d.class(t, "Test_Item"), other); err == nil || !contains(err.Error(), "class TEST_ITEM declared twice") {
		t.Errorf("two classes of one name: %v", err)
	}
	for given, want := range map[string]string{
		`root\cimv2`: "root/cimv2", "/ROOT/CIMV2/": "root/cimv2", `\\root\\`: "root", "": "", "root/cimv2/TerminalServices": "root/cimv2/terminalservices",
	} {
		if got := cim.NormalizeNamespace(given); got != want {
			t.Errorf("NormalizeNamespace(%q) is %q, want %q", given, got, want)
		}
	}
}

func TestInstances(t *testing.T) {
	d := newDepot()
	var labels []string
	c := d.class(t, "Test_Box")
	for i, err := range c.Instances(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		labels = append(labels, i.Value(c.Property("Size")).Text())
	}
	if !slices.Equal(labels, []string{"small", "large"}) {
		t.Errorf("instances %v", labels)
	}
	for range c.Instances(t.Context()) {
		break // must not panic
	}
	d.fail["Enumerate"] = errTooHeavy
	var errs []error
	for i, err := range c.Instances(t.Context()) {
		if i.Class != nil {
			t.Errorf("an error comes with the instance %s", i.Path())
		}
		errs = append(errs, err)
	}
	if len(errs) != 1 || !errors.Is(errs[0], errTooHeavy) {
		t.Errorf("errors %v", errs)
	}
	for i := range d.class(t, "Test_Item").Instances(t.Context()) {
		t.Errorf("a class that occurs only embedded has the instance %v", i)
	}
}

// TestEnumeratesOneAtATime: each instance has its own values while the loop looks at it, by either way to read them.
func TestEnumeratesOneAtATime(t *testing.T) {
	d := newDepot()
	c := d.class(t, "Test_Box")
	seen := map[string]bool{}
	for i, err := range c.Instances(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		fields := i.Fields()
		if len(fields) != len(c.Properties) {
			t.Fatalf("%d fields of %d properties", len(fields), len(c.Properties))
		}
		for n := range c.Properties {
			p := &c.Properties[n]
			var got cim.Value
			switch v := fields[n].(type) {
			case *string:
				got = cim.StringValue(*v)
			case *uint32:
				got = cim.Uint32Value(*v)
			case *bool:
				got = cim.BooleanValue(*v)
			case *cim.Datetime:
				got = cim.DatetimeValue(*v)
			default:
				if !p.Array || v != nil {
					t.Errorf("the field of %s is a %T", p.Name, v)
				}
				continue
			}
			if p.Array || got != i.Value(p) {
				t.Errorf("%s: the field holds %v, the value is %v", p.Name, got, i.Value(p))
			}
		}
		seen[i.Path()] = true
	}
	if len(seen) != 2 {
		t.Errorf("instances %v", seen)
	}
	if i, err := c.Get(t.Context(), boxOne(t, c)); err != nil || i.Fields() != nil {
		t.Errorf("an instance that was not enumerated has fields, or %v", err)
	}
}
