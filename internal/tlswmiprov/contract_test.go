package tlswmiprov_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/cim"
	"calkeeper/internal/tlswmiprov"
)

// contract is testdata/tlswmiprov.json: what the public documentation of TlsWmiProv says about its classes.
type contract struct {
	Namespace string                   `json:"namespace"`
	Provider  string                   `json:"provider"`
	Classes   map[string]contractClass `json:"classes"`
	Errors    map[string]uint32        `json:"errors"`
}

type contractClass struct {
	Qualifiers string             `json:"qualifiers"`
	Properties []contractProperty `json:"properties"`
	Methods    []contractMethod   `json:"methods"`
}

type contractProperty struct {
	Name       string         `json:"name"`
	Type       string         `json:"type"`
	Access     string         `json:"access"`
	Key        bool           `json:"key"`
	Deprecated bool           `json:"deprecated"`
	Values     contractValues `json:"values"`
}

type contractMethod struct {
	Name        string              `json:"name"`
	Returns     string              `json:"returns"`
	Static      bool                `json:"static"`
	Unsupported bool                `json:"not_supported_since_2012"`
	Parameters  []contractParameter `json:"parameters"`
}

type contractParameter struct {
	Name   string         `json:"name"`
	In     bool           `json:"in"`
	Out    bool           `json:"out"`
	Type   string         `json:"type"`
	Array  bool           `json:"array"`
	Values contractValues `json:"values"`
}

// contractValues is a table of values: number to name, "bit" and number to name, or, for strings, the names alone.
type contractValues struct {
	numbered map[string]string
	named    []string
}

func (v *contractValues) UnmarshalJSON(text []byte) error {
	if text[0] == '[' {
		return json.Unmarshal(text, &v.named)
	}
	return json.Unmarshal(text, &v.numbered)
}

// extras are the values that we list and the documentation does not, each with the reason. They hold wherever the table of
// that property or parameter stands.
var extras = map[string]map[string]string{
	"ProductVersion property": {
		"Windows 2000 Server":                           "what servers show for the built-in key pack",
		"Windows Server 2008 or Windows Server 2008 R2": "what servers show for packs of either, which share their CALs",
		"Windows Server 2025":                           "published after the documentation",
	},
	"ProductVersion parameter": {
		"3=Windows Server 2008 R2": "ProductVersionID has it, and callers give it",
		"8=Windows Server 2025":    "published after the documentation",
	},
	"ProductVersionID property": {
		"8=Windows Server 2025": "published after the documentation",
	},
}

func readContract(t *testing.T) contract {
	t.Helper()
	text, err := os.ReadFile("testdata/tlswmiprov.json")
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	var c contract
	if err := decoder.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

func namespace(t *testing.T) *cim.Namespace {
	t.Helper()
	ns, err := (&tlswmiprov.Provider{Version: "0", Logger: slog.New(slog.DiscardHandler)}).Namespace()
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

func TestClassesKeepTheContract(t *testing.T) {
	c, ns := readContract(t), namespace(t)
	if ns.Name != c.Namespace {
		t.Errorf("the namespace is %s, want %s", ns.Name, c.Namespace)
	}
	if len(ns.Classes) != len(c.Classes) || len(ns.Classes) != 9 {
		t.Errorf("there are %d classes, the contract has %d, want 9", len(ns.Classes), len(c.Classes))
	}
	properties, methods := 0, 0
	for name, want := range c.Classes {
		got, err := ns.Class(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if got.Name != name {
			t.Errorf("class %s is spelled %s", name, got.Name)
		}
		properties, methods = properties+len(got.Properties), methods+len(got.Methods)
		t.Run(name, func(t *testing.T) {
			compareQualifiers(t, c, got, want)
			compareProperties(t, got, want)
			compareMethods(t, got, want)
		})
	}
	if properties != 66 || methods != 51 {
		t.Errorf("there are %d properties and %d methods, want 66 and 51", properties, methods)
	}
}

func compareQualifiers(t *testing.T, c contract, got *cim.Class, want contractClass) {
	t.Helper()
	if strings.Contains(want.Qualifiers, "singleton") != got.Singleton {
		t.Errorf("singleton: %v, want %q", got.Singleton, want.Qualifiers)
	}
	provider := ""
	if strings.Contains(want.Qualifiers, "dynamic") {
		provider = c.Provider
		if !strings.Contains(want.Qualifiers, `provider("`+c.Provider+`")`) {
			t.Fatalf("the contract's own qualifiers are not understood: %s", want.Qualifiers)
		}
	}
	if got.Provider != provider {
		t.Errorf("the provider is %q, want %q", got.Provider, provider)
	}
}

func compareProperties(t *testing.T, got *cim.Class, want contractClass) {
	t.Helper()
	var names, wantNames []string
	for _, p := range got.Properties {
		names = append(names, p.Name)
	}
	for _, p := range want.Properties {
		wantNames = append(wantNames, p.Name)
	}
	if !slices.Equal(names, wantNames) {
		t.Errorf("the properties are\n%v, want\n%v", names, wantNames)
	}
	for _, w := range want.Properties {
		p := got.Property(w.Name)
		if p == nil {
			continue // reported above
		}
		if p.TypeName() != strings.ToLower(w.Type) || p.Array {
			t.Errorf("%s is a %s, array %v; want %s", w.Name, p.TypeName(), p.Array, w.Type)
		}
		if access := map[bool]string{false: "read-only", true: "read/write"}[p.Write]; access != w.Access {
			t.Errorf("%s is %s, want %s", w.Name, access, w.Access)
		}
		if p.Key != w.Key || p.Deprecated != w.Deprecated {
			t.Errorf("%s: key %v, deprecated %v; want %v, %v", w.Name, p.Key, p.Deprecated, w.Key, w.Deprecated)
		}
		compareValues(t, w.Name, "property", p.Values, w.Values)
	}
}

func compareMethods(t *testing.T, got *cim.Class, want contractClass) {
	t.Helper()
	var names, wantNames []string
	for _, m := range got.Methods {
		names = append(names, m.Name)
	}
	for _, m := range want.Methods {
		wantNames = append(wantNames, m.Name)
	}
	// Their order means nothing: the documentation is sorted by file name.
	slices.Sort(names)
	slices.Sort(wantNames)
	if !slices.Equal(names, wantNames) {
		t.Errorf("the methods are\n%v, want\n%v", names, wantNames)
	}
	for _, w := range want.Methods {
		m := got.Method(w.Name)
		if m == nil {
			continue
		}
		if m.Static != w.Static || w.Returns != "uint32" {
			t.Errorf("%s: static %v, want %v; returns %s", w.Name, m.Static, w.Static, w.Returns)
		}
		if len(m.Parameters) != len(w.Parameters) {
			t.Errorf("%s has %d parameters, want %d", w.Name, len(m.Parameters), len(w.Parameters))
			continue
		}
		for i, wp := range w.Parameters {
			p := m.Parameters[i]
			want := fmt.Sprintf("%s %s in=%v out=%v array=%v", typeOf(wp.Type), wp.Name, wp.In, wp.Out, wp.Array)
			if got := fmt.Sprintf("%s %s in=%v out=%v array=%v", p.TypeName(), p.Name, p.In, p.Out, p.Array); got != want {
				t.Errorf("parameter %d of %s is %s, want %s", i+1, w.Name, got, want)
			}
			compareValues(t, w.Name+"."+wp.Name, "parameter", p.Values, wp.Values)
		}
	}
}

// typeOf writes a type of the documentation as MOF does: class names keep their case.
func typeOf(documented string) string {
	if strings.HasPrefix(documented, "Win32_") {
		return documented
	}
	return strings.ToLower(documented)
}

func compareValues(t *testing.T, what, where string, got cim.ValueTable, want contractValues) {
	t.Helper()
	have := map[string]bool{}
	for _, e := range got.Entries {
		entry := e.Name
		switch {
		case got.Bits:
			entry = "bit" + e.Map + "=" + e.Name
		case e.Map != "":
			entry = e.Map + "=" + e.Name
		}
		if have[entry] {
			t.Errorf("%s lists %q twice", what, entry)
		}
		have[entry] = true
	}
	wanted := map[string]bool{}
	for number, name := range want.numbered {
		wanted[number+"="+name] = true
	}
	for _, name := range want.named {
		wanted[name] = true
	}
	for _, entry := range slices.Sorted(maps.Keys(wanted)) {
		if !have[entry] {
			t.Errorf("%s lacks the value %q", what, entry)
		}
	}
	allowed := extras[what[strings.LastIndexByte(what, '.')+1:]+" "+where]
	for _, entry := range slices.Sorted(maps.Keys(have)) {
		if !wanted[entry] && allowed[entry] == "" {
			t.Errorf("%s lists %q, which neither the contract nor the list of extras has", what, entry)
		}
	}
}

// TestErrorsKeepTheContract holds cim's constants against the documented codes.
func TestErrorsKeepTheContract(t *testing.T) {
	c := readContract(t)
	byName := map[string]cim.Status{}
	for _, s := range []cim.Status{
		cim.StatusFailed, cim.StatusNotFound, cim.StatusTypeMismatch, cim.StatusInvalidParameter, cim.StatusNotAvailable, cim.StatusNotSupported,
		cim.StatusInvalidNamespace, cim.StatusInvalidOperation, cim.StatusInvalidQuery, cim.StatusAlreadyExists, cim.StatusReadOnly,
		cim.StatusProviderNotCapable, cim.StatusIllegalNull, cim.StatusValueOutOfRange, cim.StatusInvalidMethod,
		cim.StatusInvalidMethodParameters, cim.StatusInvalidObjectPath,
	} {
		byName[s.String()] = s
	}
	compared := 0
	for name, code := range c.Errors {
		if got, ok := byName[name]; ok {
			compared++
			if uint32(got) != code {
				t.Errorf("%s is 0x%08X, want 0x%08X", name, uint32(got), code)
			}
		}
		// One that has no constant must at least not be known by another name.
		if s := cim.Status(code).String(); strings.HasPrefix(s, "WBEM_") && s != name {
			t.Errorf("0x%08X is called %s, want %s", code, s, name)
		}
	}
	if compared != len(byName) {
		t.Errorf("%d of %d constants are in the contract", compared, len(byName))
	}
}
