package test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/cim"
	"calkeeper/internal/tlswmiprov"
	"calkeeper/internal/wsman/cimxmltest"
)

// contract is what the documentation of the classes says, as far as class XML says it, too.
type contract struct {
	Provider string
	Classes  map[string]contractClass
}

type contractClass struct {
	Qualifiers string
	Properties []struct {
		Name, Type, Access string
		Key, Deprecated    bool
		Values             json.RawMessage
	}
	Methods []struct {
		Name, Returns string
		Static        bool
		Parameters    []struct {
			Name, Type     string
			In, Out, Array bool
			Values         json.RawMessage
		}
	}
}

func readContract(t *testing.T) (c contract) {
	t.Helper()
	text, err := os.ReadFile("../internal/tlswmiprov/testdata/tlswmiprov.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// fetchClass reads one class as PowerShell does.
func fetchClass(t *testing.T, s session, namespace, class string) cimxmltest.Class {
	t.Helper()
	answer, fault := s.send(t, classFetch(namespace, class))
	if fault != "" {
		t.Fatal(fault)
	}
	classes, err := cimxmltest.Read([]byte(answer))
	if err != nil || len(classes) != 1 {
		t.Fatalf("%s is %d classes, %v\n%s", class, len(classes), err, answer)
	}
	return classes[0]
}

// TestClassFetch fetches every class as PowerShell does, and rebuilds from the answer the classes of the program and those of the
// documentation.
func TestClassFetch(t *testing.T) {
	f := newFarm(t)
	m := f.start("ls1", f.organization.EnrolmentKey)
	s := &powershell{m.URL(), "Administrator", password}
	ns, err := (&tlswmiprov.Provider{Version: "0", Logger: slog.New(slog.DiscardHandler)}).Namespace()
	if err != nil {
		t.Fatal(err)
	}
	documented := readContract(t)
	properties, methods := 0, 0
	for name, want := range documented.Classes {
		read := fetchClass(t, s, "root/cimv2", strings.ToUpper(name))
		c, err := ns.Class(name)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, d := range cimxmltest.Differ(read, c) {
			t.Error(d)
		}
		compareContract(t, documented.Provider, want, read)
		properties, methods = properties+len(read.Properties), methods+len(read.Methods)
	}
	if len(documented.Classes) != 9 || properties != 66 || methods != 51 {
		t.Errorf("%d classes with %d properties and %d methods were fetched, want 9, 66 and 51", len(documented.Classes), properties, methods)
	}
	// Get-CimClass without a name.
	all := operation{
		URI: cimXMLURI, Action: enumerationURI + "/Enumerate", Selectors: map[string]string{"__cimnamespace": "root/cimv2", "ClassName": ""},
		Body: `<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements></n:Enumerate>`,
	}
	answer, fault := s.send(t, all)
	classes, err := cimxmltest.Read([]byte(answer))
	if fault != "" || err != nil || len(classes) != 9 || !strings.Contains(answer, "EndOfSequence") {
		t.Errorf("%d classes are enumerated: %s, %v", len(classes), fault, err)
	}
	for _, o := range []operation{classFetch("root/cimv2", "Win32_None"), classFetch("root/none", keyPackClass), classFetch("root/cimv2", "")} {
		if _, fault := s.send(t, o); !strings.Contains(fault, "DestinationUnreachable") || !strings.Contains(fault, "MSFT_WmiError") {
			t.Errorf("%v: %s", o.Selectors, fault)
		}
	}
}

func compareContract(t *testing.T, provider string, want contractClass, read cimxmltest.Class) {
	t.Helper()
	has := func(q []string) bool { return slices.Equal(q, []string{"true"}) }
	dynamic := strings.Contains(want.Qualifiers, "dynamic")
	if has(read.Qualifier("dynamic")) != dynamic || slices.Equal(read.Qualifier("provider"), []string{provider}) != dynamic ||
		has(read.Qualifier("Singleton")) != strings.Contains(want.Qualifiers, "singleton") {
		t.Errorf("%s has the qualifiers %+v, want %s", read.Name, read.Qualifiers, want.Qualifiers)
	}
	if len(read.Properties) != len(want.Properties) || len(read.Methods) != len(want.Methods) {
		t.Errorf("%s has %d properties and %d methods", read.Name, len(read.Properties), len(read.Methods))
		return
	}
	for i, p := range want.Properties {
		got := &read.Properties[i]
		line := func(typ string, flags ...bool) string { return fmt.Sprint(typ, flags) }
		if got.Name != p.Name || line(got.Type, got.Array, has(got.Qualifier("key")), has(got.Qualifier("write")), got.Qualifier("Deprecated") != nil) !=
			line(strings.ToLower(p.Type), false, p.Key, p.Access == "read/write", p.Deprecated) || !has(got.Qualifier("read")) {
			t.Errorf("%s.%s is %+v", read.Name, p.Name, got)
		}
		compareTable(t, p.Values, got)
	}
	for _, m := range want.Methods {
		n := slices.IndexFunc(read.Methods, func(r cimxmltest.Method) bool { return r.Name == m.Name })
		if n < 0 {
			t.Errorf("%s has no method %s", read.Name, m.Name)
			continue
		}
		got := &read.Methods[n]
		if has(got.Qualifier("Static")) != m.Static || !has(got.Qualifier("implemented")) || got.Type != m.Returns || len(got.Parameters) != len(m.Parameters) {
			t.Errorf("%s is %+v", m.Name, got)
			continue
		}
		for i, p := range m.Parameters {
			q := &got.Parameters[i]
			typ, embedded := strings.ToLower(p.Type), ""
			if strings.HasPrefix(p.Type, "Win32_") {
				typ, embedded = "instance", p.Type
			}
			if q.Name != p.Name || q.Type != typ || q.Embedded != embedded || q.Array != p.Array || has(q.Qualifier("In")) != p.In ||
				has(q.Qualifier("Out")) != p.Out || !slices.Equal(q.Qualifier("id"), []string{fmt.Sprint(i)}) {
				t.Errorf("%s.%s is %+v, want %+v", m.Name, p.Name, q, p)
			}
			compareTable(t, p.Values, q)
		}
	}
}

// compareTable holds the documented values, of each of which the table must know.
func compareTable(t *testing.T, documented json.RawMessage, got *cimxmltest.Element) {
	t.Helper()
	table, err := cimxmltest.Values(got)
	if err != nil {
		t.Errorf("%s: %v", got.Name, err)
	}
	if documented == nil {
		if table.Entries != nil {
			t.Errorf("%s has the values %+v, and none are documented", got.Name, table)
		}
		return
	}
	numbered, named := map[string]string{}, []string{}
	if json.Unmarshal(documented, &numbered) != nil {
		if err := json.Unmarshal(documented, &named); err != nil {
			t.Fatal(err)
		}
	}
	for number, name := range numbered {
		bit, isBit := strings.CutPrefix(number, "bit")
		if isBit != table.Bits || !slices.Contains(table.Entries, cim.ValueEntry{Map: bit, Name: name}) {
			t.Errorf("%s does not list %s as %q: %+v", got.Name, number, name, table)
		}
	}
	for _, name := range named {
		if !slices.Contains(table.Entries, cim.ValueEntry{Name: name}) {
			t.Errorf("%s does not list %q: %+v", got.Name, name, table)
		}
	}
}

// TestMetaClass lists classes by WQL, as scripts do that look for a provider's.
func TestMetaClass(t *testing.T) {
	f := newFarm(t)
	m := f.start("ls1", f.organization.EnrolmentKey)
	winrm, mi := newPywinrm(t, m.URL(), "Administrator", password, ""), &powershell{m.URL(), "Administrator", password}
	for where, want := range map[string]int{
		"": 9,
		` WHERE __CLASS = "Win32_TSLicenseServer"`:     1,
		` WHERE __CLASS LIKE "Win32_TSLicenseReport%"`: 6,
		` WHERE __this ISA "Win32_TSIssuedLicense"`:    1,
		" WHERE __SUPERCLASS IS NULL":                  9,
		" WHERE __DYNASTY = 'CIM_Setting'":             0,
	} {
		wql := "SELECT * FROM meta_class" + where
		for _, atATime := range []int{0, 2} {
			items := enumerate(t, winrm, "*", wql, atATime)
			for _, item := range items {
				if c, ok := readContract(t).Classes[item.XMLName.Local]; !ok || len(item.values()) != 0 || len(item.Children) != len(c.Properties) {
					t.Errorf("%s finds %+v", wql, item)
				}
			}
			if len(items) != want {
				t.Errorf("%s finds %d classes for python3-winrm, want %d", wql, len(items), want)
			}
		}
		items := body(t, mi, getCimInstance("root/cimv2", "*", wql)).find("Items").Children
		if len(items) != want {
			t.Errorf("%s finds %d classes for PowerShell, want %d", wql, len(items), want)
		}
		for i := range items { // PowerShell then fetches the class of each
			if name := items[i].Children[0].XMLName.Local; fetchClass(t, mi, "root/cimv2", name).Name != name {
				t.Errorf("there is no class %s", name)
			}
		}
	}
	// The query of the documentation for grace periods, as far as any class here goes.
	if rows := enumerate(t, winrm, serverClass, `SELECT * FROM Win32_TSLicenseServer WHERE (__CLASS !="")`, 0); len(rows) != 1 {
		t.Errorf("%d license servers", len(rows))
	}
}
