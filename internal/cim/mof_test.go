package cim_test

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"calkeeper/internal/cim"
)

func writeMOF(t *testing.T, ns *cim.Namespace) string {
	t.Helper()
	var b strings.Builder
	if err := ns.WriteMOF(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWriteMOFGolden(t *testing.T) {
	got, want := writeMOF(t, newDepot().namespace(t)), readFile(t, "testdata/namespace.mof")
	if got == want {
		return
	}
	lines := strings.Split(want, "\n")
	for n, line := range strings.Split(got, "\n") {
		if n >= len(lines) || line != lines[n] {
			t.Fatalf("line %d of the MOF differs from testdata/namespace.mof:\n%s\nthe whole is:\n%s", n+1, line, got)
		}
	}
	t.Fatalf("the MOF ends before testdata/namespace.mof does:\n%s", got)
}

// TestWriteMOFSaysWhatTheClassesAre reads the MOF back and compares it with the metadata that it was written from.
func TestWriteMOFSaysWhatTheClassesAre(t *testing.T) {
	ns := newDepot().namespace(t)
	r, err := readMOF(readFile(t, "testdata/qualifiers.mof"), writeMOF(t, ns))
	if err != nil {
		t.Fatal(err)
	}
	if cim.NormalizeNamespace(r.namespace) != ns.Name {
		t.Errorf("namespace %s", r.namespace)
	}
	if len(r.classes) != len(ns.Classes) {
		t.Errorf("%d classes, want %d", len(r.classes), len(ns.Classes))
	}
	for _, read := range r.classes {
		c, err := ns.Class(read.name)
		if err != nil {
			t.Error(err)
			continue
		}
		qualifiers := map[string][]string{}
		if c.Singleton {
			qualifiers["singleton"] = []string{"TRUE"}
		}
		if c.Provider != "" {
			qualifiers["dynamic"], qualifiers["provider"] = []string{"TRUE"}, []string{c.Provider}
		}
		if !reflect.DeepEqual(read.qualifiers, qualifiers) {
			t.Errorf("%s has the qualifiers %v", c.Name, read.qualifiers)
		}
		if len(read.properties) != len(c.Properties) || len(read.methods) != len(c.Methods) {
			t.Errorf("%s has %d properties and %d methods", c.Name, len(read.properties), len(read.methods))
			continue
		}
		for i, f := range read.properties {
			p := c.Properties[i]
			compareField(t, c.Name, f, &p.Field, map[string]bool{"read": true, "key": p.Key, "write": p.Write, "deprecated": p.Deprecated})
		}
		for i, m := range read.methods {
			compareMethod(t, c.Name+"."+m.name, m, c.Methods[i])
		}
	}
}

func compareMethod(t *testing.T, what string, read mofMethod, m cim.Method) {
	t.Helper()
	if read.name != m.Name || read.typ != "uint32" || read.array || (read.qualifiers["static"] != nil) != m.Static || read.qualifiers["implemented"] == nil {
		t.Errorf("%s is %+v", what, read.mofField)
	}
	if len(read.parameters) != len(m.Parameters) {
		t.Errorf("%s has %d parameters, want %d", what, len(read.parameters), len(m.Parameters))
		return
	}
	for i, f := range read.parameters {
		p := m.Parameters[i]
		compareField(t, what, f, &p.Field, map[string]bool{"in": p.In, "out": p.Out})
		if id := f.qualifiers["id"]; len(id) != 1 || id[0] != strconv.Itoa(i) {
			t.Errorf("%s.%s: ID %v, want %d", what, p.Name, id, i)
		}
	}
}

func compareField(t *testing.T, what string, read mofField, f *cim.Field, flags map[string]bool) {
	t.Helper()
	typ := f.TypeName()
	if f.Embedded != nil {
		typ = "string"
		if embedded := read.qualifiers["embeddedinstance"]; len(embedded) != 1 || embedded[0] != f.Embedded.Name {
			t.Errorf("%s.%s embeds %v, want %s", what, f.Name, embedded, f.Embedded.Name)
		}
	}
	if read.name != f.Name || read.typ != typ || read.array != f.Array {
		t.Errorf("%s: %s %s, array %v; want %s %s, array %v", what, read.typ, read.name, read.array, typ, f.Name, f.Array)
	}
	for name, want := range flags {
		if (read.qualifiers[name] != nil) != want {
			t.Errorf("%s.%s: the qualifier %s stands there: %v", what, f.Name, name, !want)
		}
	}
	var maps, names []string
	for _, e := range f.Values.Entries {
		if e.Map != "" {
			maps = append(maps, e.Map)
		}
		names = append(names, e.Name)
	}
	wantMaps, wantNames := "valuemap", "values"
	if f.Values.Bits {
		wantMaps, wantNames = "bitmap", "bitvalues"
	}
	if maps == nil {
		maps, names = names, nil // the values of a string name themselves
	}
	if !slices.Equal(read.qualifiers[wantMaps], maps) || !slices.Equal(read.qualifiers[wantNames], names) {
		t.Errorf("%s.%s: values %v", what, f.Name, read.qualifiers)
	}
}

// TestQualifiersAreDeclared holds every qualifier of the classes, with its type and flavor, against testdata/qualifiers.mof.
func TestQualifiersAreDeclared(t *testing.T) {
	declared, err := readMOF(readFile(t, "testdata/qualifiers.mof"))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	check := func(what, scope string, qualifiers []cim.Qualifier) {
		for _, q := range qualifiers {
			d := declared.qualifiers[strings.ToLower(q.Name)]
			typ := q.Type
			if q.Array {
				typ += "[]"
			}
			if typ != d.typ || !slices.Contains(d.scopes, scope) || len(q.Values) == 0 || !q.Array && len(q.Values) != 1 {
				t.Errorf("%s has the qualifier %+v, declared as %+v", what, q, d)
			}
			flavor := cim.Flavor{
				DisableOverride: slices.Contains(d.flavors, "DisableOverride"), Restricted: slices.Contains(d.flavors, "Restricted"),
				Translatable: slices.Contains(d.flavors, "Translatable"),
			}
			if q.Flavor != flavor {
				t.Errorf("%s has the qualifier %+v, declared with the flavors %v", what, q, d.flavors)
			}
			used[strings.ToLower(q.Name)] = true
		}
	}
	for _, c := range newDepot().namespace(t).Classes {
		check(c.Name, "class", c.Qualifiers())
		for i := range c.Properties {
			check(c.Properties[i].Name, "property", c.Properties[i].Qualifiers())
		}
		for i := range c.Methods {
			m := &c.Methods[i]
			check(m.Name, "method", m.Qualifiers())
			for j := range m.Parameters {
				check(m.Parameters[j].Name, "parameter", m.Parameters[j].Qualifiers())
			}
		}
	}
	if len(used) != len(declared.qualifiers) {
		t.Errorf("%d qualifiers are used, %d declared: %v", len(used), len(declared.qualifiers), used)
	}
}

func TestReadMOFRefuses(t *testing.T) {
	qualifiers := readFile(t, "testdata/qualifiers.mof")
	for text, message := range map[string]string{
		`class A { string x; }`:                                                     "expected ;",
		`class A { string x };`:                                                     "expected ;",
		`class A { string`:                                                          "the text ends",
		`class A { text x; };`:                                                      "text is no type",
		`class A { [color] string x; };`:                                            "the qualifier color is not declared",
		`class A { [in] string x; };`:                                               "the qualifier in does not belong to a property",
		`class A { [key, key] string x; };`:                                         "the qualifier key stands twice",
		`class A { [key("a")] string x; };`:                                         "expected ,",
		`class A { uint32 M([ID("0")] string x);};`:                                 "expected a number",
		`class A { [ValueMap("1")] string x; };`:                                    "expected {",
		`class A { [ValueMap{"1"}, Values{}] string x; };`:                          "expected a string",
		`class A { [ValueMap{"1"}, BitMap{}] string x; };`:                          "expected a string",
		`class A { [Values{"1"}] string x; };`:                                      "ValueMap and Values differ in length",
		`class A { [BitMap{"1"}] string x; };`:                                      "BitMap and BitValues differ in length",
		`class A { string x; string X; };`:                                          "X stands twice",
		`class A { }; class a { };`:                                                 "class a stands twice",
		`class A { uint32 M([in] string x, [in] string x);};`:                       "parameter x stands twice",
		`class A { uint32 M([out, EmbeddedInstance("B")] string x); }; class B {};`: "the embedded class B is not declared yet",
		`class A { [key] string "x"; };`:                                            "expected a name",
		`class A { [provider("a] string x; };`:                                      "no token at",
	} {
		if _, err := readMOF(qualifiers, text); err == nil || !contains(err.Error(), message) {
			t.Errorf("%s: %v, want %q", text, err, message)
		}
	}
}

var errDiskFull = errors.New("disk full")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errDiskFull }

func TestWriteMOFReportsErrors(t *testing.T) {
	if err := newDepot().namespace(t).WriteMOF(fullDisk{}); !errors.Is(err, errDiskFull) {
		t.Errorf("got %v", err)
	}
}
