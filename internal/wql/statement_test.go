package wql_test

import (
	"reflect"
	"strings"
	"testing"

	"calkeeper/internal/cim"
	"calkeeper/internal/wql"
)

func TestComparisons(t *testing.T) {
	row := keyPack{
		KeyPackId: 5, TotalLicenses: 4294967295, ProductVersion: "Windows Server 2016", Enabled: true,
		ExpirationDate: date(2036), Holders: []string{"a"},
	}
	for where, want := range map[string]bool{
		// Numbers, and strings of digits
		"KeyPackId = 5":                       true,
		"KEYPACKID = 5":                       true,
		"KeyPackId = 0x5":                     true,
		"KeyPackId = +5":                      true,
		"KeyPackId = 005":                     true,
		"KeyPackId = 4":                       false,
		"KeyPackId <> 4":                      true,
		"KeyPackId != 5":                      false,
		"KeyPackId < 6":                       true,
		"KeyPackId < 5":                       false,
		"KeyPackId <= 5":                      true,
		"KeyPackId > 4":                       true,
		"KeyPackId > 5":                       false,
		"KeyPackId >= 5":                      true,
		"4 < KeyPackId":                       true,
		"6 < KeyPackId":                       false,
		"5 >= KeyPackId":                      true,
		"KeyPackId = '5'":                     true,
		"KeyPackId = ' 0X05 '":                true,
		"KeyPackId > '10'":                    false, // as numbers: as text, "5" is greater
		"KeyPackId = -5":                      false,
		"KeyPackId > -1":                      true,
		"KeyPackId > '-1'":                    true,
		"TotalLicenses = 4294967295":          true,
		"TotalLicenses = 0xFFFFFFFF":          true,
		"TotalLicenses = -1":                  false,
		"TotalLicenses <> -1":                 true,
		"TotalLicenses = 4294967296":          false,
		"TotalLicenses < 4294967296":          true,
		"KeyPackId = 4294967301":              false, // 2^32 + 5
		"KeyPackId = 18446744073709551621":    false, // 2^64 + 5
		"KeyPackId < 99999999999999999999999": true,
		"KeyPackId > -9999999999999999999999": true,
		"KeyPackId > -0x8000000000000000":     true,
		"KeyPackId < 0xFFFFFFFFFFFFFFFFFFFFF": true,
		"KeyPackId IS NULL":                   false,
		"KeyPackId IS NOT NULL":               true,

		// Booleans
		"Enabled = TRUE":     true,
		"Enabled = true":     true,
		"Enabled = 1":        true,
		"Enabled = -1":       true,
		"Enabled = 'TRUE'":   true,
		"Enabled = '1'":      true,
		"TRUE = Enabled":     true,
		"Enabled <> FALSE":   true,
		"Enabled != 0":       true,
		"Enabled = FALSE":    false,
		"Enabled = 0":        false,
		"Enabled <> 'True'":  false,
		"Enabled = 'false '": false,

		// Strings, whatever their case
		"ProductVersion = 'Windows Server 2016'":  true,
		`ProductVersion = "WINDOWS server 2016"`:  true,
		"ProductVersion = 'Windows Server 2019'":  false,
		"ProductVersion = 'Windows Server 2016 '": false,
		"ProductVersion = ''":                     false,
		"ProductVersion <> ''":                    true,
		"ProductVersion > ''":                     true,
		"ProductVersion < 'windows server 2019'":  true,
		"ProductVersion < 'WINDOWS SERVER 2012'":  false,
		"ProductVersion > 'windows'":              true,
		"ProductVersion >= 'windows server 2016'": true,
		"ProductVersion <= 'windows server 2016'": true,
		"ProductVersion > 'windows server 2016'":  false,
		"ProductVersion = 2016":                   false,
		"ProductVersion LIKE '%server%'":          true,
		"NOT ProductVersion LIKE '%2019'":         true,
		"ProductVersion IS NULL":                  false,

		// Datetimes
		"ExpirationDate = '20360101000000.000000-000'":   true,
		"ExpirationDate = '20360101020000.000000+120'":   true,
		"ExpirationDate = '2036-01-01T00:00:00Z'":        true,
		"ExpirationDate = ' 2036-01-01T02:00:00+02:00 '": true,
		"ExpirationDate < '2036-01-01T00:00:00.000001Z'": true,
		"ExpirationDate > '20351231235959.999999+000'":   true,
		"'20351231235959.999999+000' > ExpirationDate":   false,
		"ExpirationDate <> '2036-01-01T00:00:00Z'":       false,
		"ExpirationDate <= '2036-01-01T00:00:00Z'":       true,
		"ExpirationDate IS NOT NULL":                     true,

		// Arrays and objects
		"Holders IS NOT NULL": true,
		"Holders IS NULL":     false,
		"Detail IS NULL":      false,

		// System properties
		"__CLASS = 'test_keypack'":                                        true,
		"__Class = Test_KeyPack":                                          true,
		"__CLASS <> Test_KeyPack":                                         false,
		`(__CLASS !="")`:                                                  true,
		`__RELPATH = "Test_KeyPack.KeyPackId=5"`:                          true,
		`__PATH = "\\\\rdls01\\root\\cimv2:Test_KeyPack.KeyPackId=5"`:     true,
		`__PATH LIKE "%:Test[_]KeyPack.KeyPackId=_"`:                      true,
		`__NAMESPACE = "ROOT\\CIMv2"`:                                     true,
		"__SERVER = 'RDLS01'":                                             true,
		"__SERVER IS NULL":                                                false,
		"__GENUS = 2":                                                     true,
		"__PROPERTY_COUNT = 7":                                            true,
		"__DYNASTY = 'TEST_KEYPACK'":                                      true,
		"__SUPERCLASS IS NULL":                                            true,
		"NOT __SUPERCLASS = 'CIM_Setting'":                                false, // NULL is neither equal nor not
		"__DERIVATION IS NOT NULL":                                        true,
		"__SERVER = 'RDLS01' AND (KeyPackId = 1 OR Enabled = 1)":          true,
		"KeyPackId = 1 OR KeyPackId = 5 AND Enabled = FALSE":              false,
		"(KeyPackId = 5 OR KeyPackId = 1) AND Enabled = FALSE":            false,
		"KeyPackId = 5 OR KeyPackId = 1 AND Enabled = FALSE":              true,
		"NOT KeyPackId = 1 AND Enabled = TRUE":                            true,
		"NOT (KeyPackId = 5 AND Enabled = TRUE)":                          false,
		"NOT KeyPackId = 5 OR Enabled = TRUE":                             true,
		"NOT (KeyPackId = 5 OR Enabled = TRUE)":                           false,
		"NOT NOT KeyPackId = 5":                                           true,
		"KeyPackId = 1 OR NOT (Enabled = 0 OR NOT ProductVersion = '') ":  false,
		"KeyPackId = 1 OR NOT (Enabled = 0 OR NOT ProductVersion <> '') ": true,
	} {
		if got := matches(t, row, where); got != want {
			t.Errorf("%s: %v, want %v", where, got, want)
		}
	}
}

func TestStringsOfOtherScripts(t *testing.T) {
	for _, c := range []struct {
		value, where string
		want         bool
	}{
		{"Ärger", "= 'äRGER'", true},
		{"straße", "= 'STRASSE'", false},
		{"ΣΊΣΥΦΟΣ", "= 'σίσυφος'", true}, // both lower-case sigmas
		{"\u212A", "= 'k'", true},        // the Kelvin sign
		{"é", "LIKE '_'", true},
		{"日本語", "LIKE '_本%'", true},
		{"z", "< 'é'", true},
		{"É", "< 'ê'", true},
		{"17", "= 17", true},
		{"-17", "= -17", true},
		{`C:\Temp`, `= 'c:\\temp'`, true},
		{`it's "it"`, `= 'it\'s \"it\"'`, true},
	} {
		if got := matches(t, keyPack{ProductVersion: c.value}, "ProductVersion "+c.where); got != c.want {
			t.Errorf("%q %s: %v, want %v", c.value, c.where, got, c.want)
		}
	}
}

// unknown, yes and no are comparisons of each truth value when a key pack has number 1 and no expiration date.
const (
	yes     = "KeyPackId = 1"
	no      = "KeyPackId = 2"
	unknown = "ExpirationDate = '2036-01-01T00:00:00Z'"
)

func TestThreeValuedLogic(t *testing.T) {
	truth := func(where string) string {
		row := keyPack{KeyPackId: 1}
		is, isNot := matches(t, row, where), matches(t, row, "NOT ("+where+")")
		switch {
		case is && isNot:
			t.Errorf("%s and its NOT both match", where)
		case is:
			return yes
		case isNot:
			return no
		}
		return unknown
	}
	for _, c := range []struct{ a, b, and, or string }{
		{yes, yes, yes, yes},
		{yes, no, no, yes},
		{yes, unknown, unknown, yes},
		{no, yes, no, yes},
		{no, no, no, no},
		{no, unknown, no, unknown},
		{unknown, yes, unknown, yes},
		{unknown, no, no, unknown},
		{unknown, unknown, unknown, unknown},
	} {
		if got := truth(c.a + " AND " + c.b); got != c.and {
			t.Errorf("%s AND %s: as %s, want as %s", c.a, c.b, got, c.and)
		}
		if got := truth(c.a + " OR " + c.b); got != c.or {
			t.Errorf("%s OR %s: as %s, want as %s", c.a, c.b, got, c.or)
		}
	}
	for a, not := range map[string]string{yes: no, no: yes, unknown: unknown} {
		if got := truth("NOT " + a); got != not {
			t.Errorf("NOT %s: as %s, want as %s", a, got, not)
		}
	}
	for _, op := range []string{"=", "<>", "<", "<=", ">", ">="} {
		if got := truth("ExpirationDate " + op + " '2036-01-01T00:00:00Z'"); got != unknown {
			t.Errorf("NULL %s a constant: as %s, want unknown", op, got)
		}
	}
	for where, want := range map[string]string{
		"ExpirationDate IS NULL":     yes,
		"ExpirationDate = NULL":      yes,
		"NULL = ExpirationDate":      yes,
		"ExpirationDate IS NOT NULL": no,
		"ExpirationDate <> NULL":     no,
		"ExpirationDate != NULL":     no,
		"Holders IS NULL":            yes,
		"ProductVersion IS NULL":     no, // an empty string is a value
	} {
		if got := truth(where); got != want {
			t.Errorf("%s: as %s, want as %s", where, got, want)
		}
	}
}

// TestSchemaQueries asks for classes, as the documentation of WQL does.
func TestSchemaQueries(t *testing.T) {
	ns := namespace(t, keyPack{KeyPackId: 5})
	for where, want := range map[string]string{
		"":                          "Test_KeyPack Test_Report",
		`__Class = "Test_Report"`:   "Test_Report",
		"__CLASS = test_report":     "Test_Report",
		`__Class LIKE "%keypack%"`:  "Test_KeyPack",
		`__CLASS LIKE "Test[_]%"`:   "Test_KeyPack Test_Report",
		`__CLASS LIKE "Win32_TS%"`:  "",
		`__this ISA "Test_KeyPack"`: "Test_KeyPack",
		`__THIS isa 'TEST_keypack' OR __This ISA Test_Report`:       "Test_KeyPack Test_Report",
		`__this ISA "Test_None"`:                                    "",
		`NOT __class < "Test_R" AND NOT __this ISA "Win32_Account"`: "Test_Report",
		"__Superclass Is Null":                                      "Test_KeyPack Test_Report",
		"__SUPERCLASS IS NOT NULL":                                  "",
		"__Superclass = 'Cim_DataFile'":                             "",
		"__Dynasty = 'Test_Report'":                                 "Test_Report",
		"__GENUS = 1":                                               "Test_KeyPack Test_Report",
		"__GENUS = 2":                                               "",
		"__PROPERTY_COUNT > 1":                                      "Test_KeyPack",
		"__RELPATH = 'test_report'":                                 "Test_Report",
		`__PATH = "\\\\RDLS01\\root\\cimv2:Test_Report"`:            "Test_Report",
		"__SERVER = 'rdls01' AND __NAMESPACE = 'root\\\\cimv2'":     "Test_KeyPack Test_Report",
		`(__CLASS !="")`:                                            "Test_KeyPack Test_Report",
		"__DERIVATION IS NULL":                                      "",
	} {
		text := "select * from Meta_Class"
		if where != "" {
			text += " where " + where
		}
		s := bind(t, ns, text)
		var found []string
		for _, c := range ns.Classes {
			if s.Matches(cim.Instance{Class: c}) {
				found = append(found, c.Name)
			}
		}
		if got := strings.Join(found, " "); got != want {
			t.Errorf("%s finds %q, want %q", text, got, want)
		}
		if s.Class() != nil || s.Columns() != nil {
			t.Errorf("%s is about %v, %v", text, s.Class(), s.Columns())
		}
		if v, ok := s.KeyEqual(ns.Classes[0].Property("KeyPackId")); ok {
			t.Errorf("%s has the key %v", text, v)
		}
	}
	if q, err := wql.Parse("SELECT * FROM Test_KeyPack"); err != nil || q.Schema() {
		t.Errorf("a query for instances is one for classes; %v", err)
	}
}

// TestSystemColumns selects the system properties that are no text.
func TestSystemColumns(t *testing.T) {
	ns := namespace(t, keyPack{KeyPackId: 5})
	columns := bind(t, ns, "SELECT __genus, __property_count, __Superclass, __derivation, __Dynasty FROM Test_KeyPack").Columns()
	row, class := instances(t, ns)[0], cim.Instance{Class: ns.Classes[0]}
	for n, want := range []struct {
		name       string
		row, class cim.Value
	}{
		{"__GENUS", cim.Uint32Value(2), cim.Uint32Value(1)},
		{"__PROPERTY_COUNT", cim.Uint32Value(7), cim.Uint32Value(7)},
		{"__SUPERCLASS", cim.Value{}, cim.Value{}},
		{"__DERIVATION", cim.ArrayValue([]cim.Value{}), cim.ArrayValue([]cim.Value{})},
		{"__DYNASTY", cim.StringValue("Test_KeyPack"), cim.StringValue("Test_KeyPack")},
	} {
		if c := columns[n]; c.Name != want.name || !reflect.DeepEqual(c.Value(row), want.row) || !reflect.DeepEqual(c.Value(class), want.class) {
			t.Errorf("%s is %v of a row and %v of the class", c.Name, c.Value(row), c.Value(class))
		}
	}
}

func TestColumns(t *testing.T) {
	ns := namespace(t, keyPack{KeyPackId: 5, ProductVersion: "x", Enabled: true, Holders: []string{"a", "b"}})
	s := bind(t, ns, "SELECT keypackid, __class, ENABLED, __Path, __relpath, __namespace, __server, KeyPackId, ExpirationDate, __CLASS FROM test_KEYPACK")
	want := []struct {
		name  string
		value cim.Value
	}{
		{"KeyPackId", cim.Uint32Value(5)},
		{"__CLASS", cim.StringValue("Test_KeyPack")},
		{"Enabled", cim.BooleanValue(true)},
		{"__PATH", cim.StringValue(`\\RDLS01\root\cimv2:Test_KeyPack.KeyPackId=5`)},
		{"__RELPATH", cim.StringValue("Test_KeyPack.KeyPackId=5")},
		{"__NAMESPACE", cim.StringValue(`root\cimv2`)},
		{"__SERVER", cim.StringValue("RDLS01")},
		{"ExpirationDate", cim.Value{}},
	}
	columns := s.Columns()
	if len(columns) != len(want) {
		t.Fatalf("%d columns, want %d", len(columns), len(want))
	}
	i := instances(t, ns)[0]
	for n, c := range columns {
		if c.Name != want[n].name || c.Value(i) != want[n].value {
			t.Errorf("column %d is %s = %v, want %s = %v", n, c.Name, c.Value(i), want[n].name, want[n].value)
		}
		if c.Property != s.Class().Property(c.Name) {
			t.Errorf("column %s: property %v", c.Name, c.Property)
		}
	}
	if s.Class().Name != "Test_KeyPack" {
		t.Errorf("class %s", s.Class().Name)
	}
	all := bind(t, ns, "SELECT * FROM Test_KeyPack")
	if all.Columns() != nil || !all.Matches(i) {
		t.Errorf("SELECT * has columns %v, and matches: %v", all.Columns(), all.Matches(i))
	}
}

func TestKeyEqual(t *testing.T) {
	ns := namespace(t)
	for where, want := range map[string]int64{ // -1 for none
		"KeyPackId = 5":                 5,
		"5 = keypackid":                 5,
		"KeyPackId = '5'":               5,
		"KeyPackId = 0":                 0,
		"KeyPackId = 4294967295":        4294967295,
		"Enabled = 1 AND KeyPackId = 5": 5,
		"Enabled = 1 AND (TotalLicenses > 0 AND KeyPackId =5)": 5,
		"KeyPackId = 5 AND KeyPackId = 6":                      5,
		"KeyPackId = 4294967296":                               -1,
		"KeyPackId = -1":                                       -1,
		"KeyPackId <> 5":                                       -1,
		"KeyPackId <= 5":                                       -1,
		"NOT KeyPackId = 5":                                    -1,
		"KeyPackId = 5 OR Enabled = 1":                         -1,
		"Enabled = 1 AND (KeyPackId = 5 OR TotalLicenses = 1)": -1,
		"TotalLicenses = 5":                                    -1,
		"KeyPackId IS NULL":                                    -1,
	} {
		s := bind(t, ns, "SELECT * FROM Test_KeyPack WHERE "+where)
		v, ok := s.KeyEqual(s.Class().Property("KeyPackId"))
		if ok != (want >= 0) || ok && v != cim.Uint32Value(uint32(want)) {
			t.Errorf("%s: %v, %v; want %d", where, v, ok, want)
		}
	}
	reports := bind(t, ns, "SELECT * FROM Test_Report WHERE FileName = 'r1'")
	if v, ok := reports.KeyEqual(reports.Class().Property("FileName")); ok {
		t.Errorf("a string key gives %v, although = disregards case", v)
	}
	all := bind(t, ns, "SELECT * FROM Test_KeyPack")
	if v, ok := all.KeyEqual(all.Class().Property("KeyPackId")); ok {
		t.Errorf("no WHERE gives %v", v)
	}
}
