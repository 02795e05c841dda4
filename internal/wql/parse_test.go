package wql_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/cim"
	"calkeeper/internal/wql"
)

// scriptQueries are queries of public monitoring scripts, as they stand there.
var scriptQueries = []struct {
	query   string
	class   string
	columns []string
	text    string // of String
}{
	{
		"Select * from Win32_TSLicenseKeyPack", "Win32_TSLicenseKeyPack", nil,
		"SELECT * FROM Win32_TSLicenseKeyPack",
	},
	{
		"select * from Win32_TSLicenseKeyPack where TotalLicenses != 0", "Win32_TSLicenseKeyPack", nil,
		"SELECT * FROM Win32_TSLicenseKeyPack WHERE TotalLicenses <> 0",
	},
	{
		"Select * from Win32_TSLicenseKeyPack where KeyPackId !=4 and KeyPackId !=2", "Win32_TSLicenseKeyPack", nil,
		"SELECT * FROM Win32_TSLicenseKeyPack WHERE KeyPackId <> 4 AND KeyPackId <> 2",
	},
	{
		"Select * from Win32_TSLicenseKeyPack where ProductVersion = 'Windows Server 2016'", "Win32_TSLicenseKeyPack", nil,
		`SELECT * FROM Win32_TSLicenseKeyPack WHERE ProductVersion = "Windows Server 2016"`,
	},
	{
		"Select * from Win32_TSIssuedLicense where KeyPackId = 17", "Win32_TSIssuedLicense", nil,
		"SELECT * FROM Win32_TSIssuedLicense WHERE KeyPackId = 17",
	},
	{
		"SELECT KeyPackId, TypeAndModel, ProductVersion, KeyPackType, TotalLicenses, IssuedLicenses, AvailableLicenses FROM Win32_TSLicenseKeyPack",
		"Win32_TSLicenseKeyPack",
		[]string{"KeyPackId", "TypeAndModel", "ProductVersion", "KeyPackType", "TotalLicenses", "IssuedLicenses", "AvailableLicenses"},
		"SELECT KeyPackId, TypeAndModel, ProductVersion, KeyPackType, TotalLicenses, IssuedLicenses, AvailableLicenses FROM Win32_TSLicenseKeyPack",
	},
	{
		"SELECT * FROM Win32_TSLicenseKeyPack", "Win32_TSLicenseKeyPack", nil,
		"SELECT * FROM Win32_TSLicenseKeyPack",
	},
	{
		"SELECT * FROM Win32_TSLicenseServer", "Win32_TSLicenseServer", nil,
		"SELECT * FROM Win32_TSLicenseServer",
	},
	{
		"SELECT * FROM Win32_TSLicenseReportEntry", "Win32_TSLicenseReportEntry", nil,
		"SELECT * FROM Win32_TSLicenseReportEntry",
	},
	{
		`SELECT * FROM Win32_TerminalServiceSetting WHERE (__CLASS !="")`, "Win32_TerminalServiceSetting", nil,
		`SELECT * FROM Win32_TerminalServiceSetting WHERE __CLASS <> ""`,
	},
}

func TestParseQueriesOfScripts(t *testing.T) {
	for _, c := range scriptQueries {
		q, err := wql.Parse(c.query)
		if err != nil {
			t.Errorf("%s: %v", c.query, err)
			continue
		}
		if q.Class != c.class || !slices.Equal(q.Columns, c.columns) || (q.Columns == nil) != (c.columns == nil) {
			t.Errorf("%s: class %q, columns %q", c.query, q.Class, q.Columns)
		}
		if q.String() != c.text {
			t.Errorf("%s: String() is %s, want %s", c.query, q, c.text)
		}
	}
}

func TestStringIsCanonical(t *testing.T) {
	for where, want := range map[string]string{
		"\n a\t=\r\n1 ":                         `a = 1`,
		"a=1AND_b":                              ``,
		"4 = a":                                 `a = 4`,
		"4 <> a":                                `a <> 4`,
		"4 < a":                                 `a > 4`,
		"4 <= a":                                `a >= 4`,
		"4 > a":                                 `a < 4`,
		"4 >= a":                                `a <= 4`,
		"a = +5 or a=-0x1F":                     `a = 5 OR a = -0x1F`,
		"a = true and b<>False":                 `a = TRUE AND b <> FALSE`,
		"a = null":                              `a IS NULL`,
		"a != NULL":                             `a IS NOT NULL`,
		"NULL = a":                              `a IS NULL`,
		"a is not null":                         `a IS NOT NULL`,
		"((a = 1))":                             `a = 1`,
		"a=1 or b=2 and c=3":                    `a = 1 OR b = 2 AND c = 3`,
		"(a=1 or b=2) and c=3":                  `(a = 1 OR b = 2) AND c = 3`,
		"a=1 or (b=2 and c=3)":                  `a = 1 OR b = 2 AND c = 3`,
		"(a=1 and b=2) and c=3":                 `(a = 1 AND b = 2) AND c = 3`,
		"a=1 or (b=2 or c=3)":                   `a = 1 OR (b = 2 OR c = 3)`,
		"not a=1 and not not b=2":               `NOT a = 1 AND NOT NOT b = 2`,
		"not (a=1 and b=2)":                     `NOT (a = 1 AND b = 2)`,
		"not (a is null)":                       `NOT a IS NULL`,
		`a = 'it\'s' or a = "it's"`:             `a = "it's" OR a = "it's"`,
		`a = 'say "x"' or a = "C:\\\"x\\"`:      `a = "say \"x\"" OR a = "C:\\\"x\\"`,
		`a like'[a-f]%'`:                        `a LIKE "[a-f]%"`,
		`__class = Win32_X or __CLASS <> Wx`:    `__class = "Win32_X" OR __CLASS <> "Wx"`,
		`WITHIN = 1 and Group = 2`:              `WITHIN = 1 AND Group = 2`,
		`not __THIS isa 'a\'b' or __this ISA B`: `NOT __THIS ISA "a'b" OR __this ISA "B"`,
	} {
		q, err := wql.Parse("SELECT * FROM x WHERE " + where)
		if want == "" {
			if err == nil {
				t.Errorf("%s is accepted", where)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		if got := q.String(); got != "SELECT * FROM x WHERE "+want {
			t.Errorf("%s: String() is %s", where, got)
		}
	}
}

func TestErrors(t *testing.T) {
	// In each query, « stands before the character that the error points at.
	for _, c := range []struct{ query, message string }{
		// Statement
		{"«", "the query is empty"},
		{"  \t«", "the query is empty"},
		{"«UPDATE x SET y = 1", "expected SELECT"},
		{"«ASSOCIATORS OF {Test_KeyPack.KeyPackId=1}", "ASSOCIATORS OF queries are not supported"},
		{"«references of {Test_KeyPack=1} WHERE SchemaOnly", "REFERENCES OF queries are not supported"},
		{"SELECT «", "expected * or the name of a property, found the end of the query"},
		{"SELECT «FROM Test_KeyPack", "expected * or the name of a property, found FROM"},
		{"SELECT KeyPackId, «FROM Test_KeyPack", "expected the name of a property after the comma, found FROM"},
		{"SELECT KeyPackId,«, Enabled FROM Test_KeyPack", "after the comma, found ','"},
		{"SELECT «, KeyPackId FROM Test_KeyPack", "expected * or the name of a property, found ','"},
		{"SELECT KeyPackId, «* FROM Test_KeyPack", "after the comma, found '*'"},
		{"SELECT *«, KeyPackId FROM Test_KeyPack", "* stands alone"},
		{"SELECT KeyPackId «Enabled FROM Test_KeyPack", "expected FROM and a class, found a name"},
		{"SELECT «count(*) FROM Test_KeyPack", "functions such as count(*) are not supported"},
		{"SELECT Detail«.Text FROM Test_KeyPack", "names with a dot are not supported"},
		{"SELECT «'KeyPackId' FROM Test_KeyPack", "found a string"},
		{"SELECT «4 FROM Test_KeyPack", "found a number"},
		{"SELECT *«", "expected FROM and a class, found the end of the query"},
		{"SELECT * FROM «", "expected the name of a class, found the end"},
		{"SELECT * FROM «where KeyPackId = 1", "expected the name of a class, found WHERE"},
		{"SELECT «__CLASS FROM Meta_Class", "a schema query (FROM meta_class) selects *"},
		{"SELECT «KeyPackId, __CLASS FROM meta_class", "a schema query (FROM meta_class) selects *"},
		{"SELECT * FROM meta_class WHERE «Name = 'x'", "a schema query (FROM meta_class) knows __this ISA class, and __CLASS, __DERIVATION, __DYNASTY,"},
		{"SELECT * FROM meta_class WHERE «KeyPackId IS NULL", "a schema query (FROM meta_class) knows __this ISA class"},
		{"SELECT * FROM meta_class WHERE «__this = 'x'", "a schema query (FROM meta_class) knows __this ISA class"},
		{"SELECT * FROM meta_class WHERE __CLASS «ISA 'x'", "ISA is supported in schema queries only"},
		{"SELECT * FROM meta_class WHERE 'x' «ISA __this", "ISA is supported in schema queries only"},
		{"SELECT * FROM meta_class WHERE __this ISA «4", "ISA should be followed by the name of a class in quotes"},
		{"SELECT * FROM meta_class WHERE __this ISA «", "expected a property or a constant"},
		{"SELECT * FROM meta_class WHERE __this ISA «NULL", "ISA should be followed by the name of a class in quotes"},
		{"SELECT * FROM meta_class WHERE «__DERIVATION = 'x'", "__DERIVATION is an array or an object"},
		{"SELECT * FROM meta_class WHERE __GENUS = «'one'", "__GENUS is a uint32"},
		{"SELECT * FROM Test_KeyPack WHERE «__this ISA 'Test_KeyPack'", "__this ISA is supported in schema queries only (FROM meta_class)"},
		{"SELECT * FROM Test_KeyPack«, Test_Report", "expected WHERE or the end of the query, found ','"},
		{"SELECT * FROM Test_KeyPack «Enabled = TRUE", "expected WHERE or the end"},
		{"SELECT * FROM Test_KeyPack«; DROP", "';' has no meaning here"},
		{"SELECT * FROM Test_KeyPack «WITHIN 10 WHERE x = 1", "WITHIN is not supported"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId = 1 «GROUP WITHIN 10", "GROUP is not supported"},
		{"SELECT * FROM Test_KeyPack «HAVING 1", "HAVING is not supported"},
		{"SELECT * FROM Test_KeyPack «order by KeyPackId", "ORDER is not supported"},

		// A character that begins no token, wherever one is read ahead
		{"«§", "'§' has no meaning here"},
		{"SELECT «§", "'§' has no meaning here"},
		{"SELECT *«§", "'§' has no meaning here"},
		{"SELECT KeyPackId,«§", "'§' has no meaning here"},
		{"SELECT * FROM «§", "'§' has no meaning here"},
		{"SELECT * FROM Test_KeyPack WHERE «§", "'§' has no meaning here"},
		{"SELECT * FROM Test_KeyPack WHERE («§", "'§' has no meaning here"},
		{"SELECT * FROM Test_KeyPack WHERE NOT «§", "'§' has no meaning here"},
		{"SELECT * FROM Test_KeyPack WHERE Enabled IS «§", "'§' has no meaning here"},
		{"SELECT * FROM Test_KeyPack WHERE Enabled IS NOT «§", "'§' has no meaning here"},
		{"SELECT * FROM Test_KeyPack WHERE Enabled = «§", "'§' has no meaning here"},
		{"SELECT * FROM Test_KeyPack WHERE Enabled = 1«§", "'§' has no meaning here"},
		{"SELECT * FROM Test_KeyPack WHERE Enabled = 1 AND «§", "'§' has no meaning here"},
		{"SELECT * FROM Test_KeyPack WHERE Enabled = 1 OR «§", "'§' has no meaning here"},

		// Expression
		{"SELECT * FROM Test_KeyPack WHERE «", "expected a property or a constant, found the end of the query"},
		{"SELECT * FROM Test_KeyPack WHERE Enabled«", "expected an operator"},
		{"SELECT * FROM Test_KeyPack WHERE Enabled «AND KeyPackId = 1", "expected an operator (= <> < <= > >= LIKE, IS NULL), found AND"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId = «", "expected a property or a constant"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId =«= 1", "found '='"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId < «(4 + 7)", "expected a property or a constant, found '('"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId = 4 «+ 7", "'+' has no meaning here"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId = «- 4", "'-' has no meaning here"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId = 1 «KeyPackId = 2", "expected AND, OR or the end of the query, found a name"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId = 1 AND «", "expected a property or a constant"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId = 1 OR «OR", "expected a property or a constant, found OR"},
		{"SELECT * FROM Test_KeyPack WHERE (KeyPackId = 1«", "expected AND, OR or ')', found the end of the query"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId = 1«)", "expected AND, OR or the end of the query, found ')'"},
		{"SELECT * FROM Test_KeyPack WHERE («)", "expected a property or a constant, found ')'"},
		{"SELECT * FROM Test_KeyPack WHERE NOT «", "expected a property or a constant"},
		{"SELECT * FROM Test_KeyPack WHERE ProductVersion «NOT LIKE 'x%'", "NOT stands before the property"},
		{"SELECT * FROM Test_KeyPack WHERE Detail «ISA 'x'", "ISA is supported in schema queries only"},
		{"SELECT * FROM Test_KeyPack WHERE Detail«.Text = 'x'", "names with a dot are not supported"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId = «TotalLicenses", "a property cannot be compared with a property"},
		{"SELECT * FROM Test_KeyPack WHERE __CLASS < «TotalLicenses", "a property cannot be compared with a property"},
		{"SELECT * FROM Test_KeyPack WHERE «4 = 4", "two constants are compared"},
		{"SELECT * FROM Test_KeyPack WHERE «NULL = 4", "two constants are compared"},
		{"SELECT * FROM Test_KeyPack WHERE «'x%' LIKE ProductVersion", "the pattern of LIKE stands on its right"},
		{"SELECT * FROM Test_KeyPack WHERE ProductVersion LIKE «5", "LIKE should be followed by a pattern"},
		{"SELECT * FROM Test_KeyPack WHERE ProductVersion «LIKE NULL", "only = and <> can compare with NULL"},
		{"SELECT * FROM Test_KeyPack WHERE Enabled «>= null", "only = and <> can compare with NULL"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId IS «5", "expected NULL (IS compares with nothing else), found a number"},
		{"SELECT * FROM Test_KeyPack WHERE ProductVersion IS NOT «'x'", "expected NULL (IS compares with nothing else), found a string"},
		{"SELECT * FROM Test_KeyPack WHERE «4 IS NULL", "IS NULL should follow the name of a property"},

		// Constants
		{"SELECT * FROM Test_KeyPack WHERE ProductVersion = «'x", "this string does not end: a ' is missing"},
		{`SELECT * FROM Test_KeyPack WHERE ProductVersion = «"x'`, `this string does not end: a " is missing`},
		{`SELECT * FROM Test_KeyPack WHERE ProductVersion = «'x\'`, "this string does not end"},
		{`SELECT * FROM Test_KeyPack WHERE ProductVersion = 'a«\b'`, `a backslash in a string is written \\`},
		{`SELECT * FROM Test_KeyPack WHERE ProductVersion = 'a«\`, `a backslash in a string is written \\`},
		{"SELECT * FROM Test_KeyPack WHERE ProductVersion = 'it'«'s'", "expected AND, OR or the end of the query, found a string"},
		{"SELECT * FROM Test_KeyPack WHERE ProductVersion = «‘x’", `'‘' has no meaning here; strings stand in ' or " quotes`},
		{"SELECT * FROM Test_KeyPack WHERE ProductVersion = 'é' «ü", "'ü' has no meaning here"},
		{"SELECT * FROM Test_KeyPack WHERE ProductVersion = 'é«\xff'", "not valid UTF-8"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId = «4and Enabled = 1", "this is no number"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId = «0x", "this is no number"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId = «0xFG", "this is no number"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId = «4.5", "numbers with a fraction are not supported"},

		// Names and types
		{"SELECT KeyPackId, «Nothing FROM Test_KeyPack", `Test_KeyPack has no property "Nothing"; it has KeyPackId, TotalLicenses,`},
		{"SELECT «__NONE FROM Test_KeyPack", "and __CLASS, __DERIVATION, __DYNASTY, __GENUS, __NAMESPACE, __PATH, __PROPERTY_COUNT, __RELPATH, __SERVER and __SUPERCLASS"},
		{"SELECT * FROM Test_KeyPack WHERE «Nothing = 1", `no property "Nothing"`},
		{"SELECT * FROM Test_KeyPack WHERE 1 = «Nothing", `no property "Nothing"`},
		{"SELECT * FROM Test_KeyPack WHERE «Nothing IS NULL", `no property "Nothing"`},
		{"SELECT * FROM Test_KeyPack WHERE NOT (Enabled = 1 OR «Nothing LIKE 'x')", `no property "Nothing"`},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId = «'four'", "KeyPackId is a uint32: compare it with a whole number"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId = «''", "KeyPackId is a uint32"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId = «TRUE", "KeyPackId is a uint32"},
		{"SELECT * FROM Test_KeyPack WHERE KeyPackId «LIKE '4%'", "KeyPackId is a uint32: LIKE matches strings only"},
		{"SELECT * FROM Test_KeyPack WHERE Enabled = «2", "Enabled is a boolean: compare it with TRUE or FALSE"},
		{"SELECT * FROM Test_KeyPack WHERE Enabled = «'yes'", "Enabled is a boolean"},
		{"SELECT * FROM Test_KeyPack WHERE Enabled «<= TRUE", "only = and <> can compare it"},
		{"SELECT * FROM Test_KeyPack WHERE 0 «<= Enabled", "only = and <> can compare it"},
		{"SELECT * FROM Test_KeyPack WHERE Enabled «LIKE 'T%'", "only = and <> can compare it"},
		{"SELECT * FROM Test_KeyPack WHERE ExpirationDate < «'tomorrow'", "ExpirationDate is a datetime: compare it with a string such as"},
		{"SELECT * FROM Test_KeyPack WHERE ExpirationDate < «20360101", "ExpirationDate is a datetime"},
		{"SELECT * FROM Test_KeyPack WHERE ExpirationDate «LIKE '2036%'", "ExpirationDate is a datetime: LIKE matches strings only"},
		{"SELECT * FROM Test_KeyPack WHERE ProductVersion = «TRUE", "ProductVersion is a string"},
		{"SELECT * FROM Test_KeyPack WHERE «Holders = 'x'", "Holders is an array or an object"},
		{"SELECT * FROM Test_KeyPack WHERE «Detail = 'x'", "Detail is an array or an object"},
		{"SELECT * FROM Test_KeyPack WHERE ProductVersion LIKE «'[ab'", "a [ without ]"},
		{"SELECT * FROM Test_KeyPack WHERE ProductVersion LIKE «'a[]b'", "an empty set"},
		{"SELECT * FROM Test_KeyPack WHERE ProductVersion LIKE «'a[^]b'", "an empty set"},
		{"SELECT * FROM Test_KeyPack WHERE ProductVersion LIKE «'[f-a]'", "a range that runs backwards"},
	} {
		before, after, found := strings.Cut(c.query, "«")
		if !found {
			t.Fatalf("%s: no mark", c.query)
		}
		err := compile(t, before+after)
		if err == nil {
			t.Errorf("%s is accepted", c.query)
			continue
		}
		pos, msg := position(t, c.query, err)
		if want := len([]rune(before)) + 1; pos != want {
			t.Errorf("%s: position %d, want %d (%s)", c.query, pos, want, msg)
		}
		if !strings.Contains(msg, c.message) {
			t.Errorf("%s: message %q, want %q in it", c.query, msg, c.message)
		}
		if want := fmt.Sprintf("invalid query at character %d: %s", pos, msg); err.Error() != want {
			t.Errorf("%s: Error() is %q, want %q", c.query, err, want)
		}
	}
}

func TestErrorsDoNotRepeatConstants(t *testing.T) {
	const code = "ABCDEFGHJKMNPQRSTVWXYZ234"
	for _, query := range []string{
		"SELECT * FROM Test_KeyPack WHERE ProductVersion = " + code,
		"SELECT * FROM Test_KeyPack WHERE KeyPackId = '" + code + "'",
		"SELECT * FROM Test_KeyPack WHERE Enabled = '" + code + "'",
		"SELECT * FROM Test_KeyPack WHERE ExpirationDate = '" + code + "'",
		"SELECT * FROM Test_KeyPack WHERE ProductVersion LIKE '[" + code + "'",
		"SELECT * FROM Test_KeyPack WHERE ProductVersion = '' " + code,
		"SELECT * FROM Test_KeyPack WHERE ProductVersion = '" + code,
		"SELECT * FROM Test_KeyPack WHERE ProductVersion = 2" + code,
	} {
		err := compile(t, query)
		if err == nil {
			t.Errorf("%s is accepted", query)
		} else if strings.Contains(err.Error(), "FGHJK") {
			t.Errorf("%s: the error repeats the constant: %v", query, err)
		}
	}
}

func TestMissingClassIsTheNamespaceError(t *testing.T) {
	err := compile(t, "SELECT * FROM Win32_TSLicenseKeyPack")
	var e *cim.Error
	if !errors.As(err, &e) || e.Status != cim.StatusInvalidClass {
		t.Errorf("got %v, want a *cim.Error with WBEM_E_INVALID_CLASS", err)
	}
}

func TestLimits(t *testing.T) {
	const start = "SELECT * FROM Test_KeyPack WHERE "
	nested := func(open, close string, n int) string {
		return start + strings.Repeat(open, n) + "Enabled = 1" + strings.Repeat(close, n)
	}
	columns := func(n int) string {
		return "SELECT " + strings.Repeat("KeyPackId, ", n-1) + "KeyPackId FROM Test_KeyPack"
	}
	padded := func(n int) string {
		return start + "ProductVersion = '" + strings.Repeat("é", (n-len(start)-19)/2) + "'"
	}
	for _, c := range []struct {
		name, query string
		pos         int // 0 if the query is accepted
		message     string
	}{
		{"parentheses", nested("(", ")", wql.MaxDepth), 0, ""},
		{"one parenthesis more", nested("(", ")", wql.MaxDepth+1), len(start) + wql.MaxDepth + 1, "nested more than 64 deep"},
		{"NOT", nested("NOT ", "", wql.MaxDepth), 0, ""},
		{"one NOT more", nested("NOT ", "", wql.MaxDepth+1), len(start) + 4*wql.MaxDepth + 1, "nested more than 64 deep"},
		{"both", nested("NOT (", ")", wql.MaxDepth/2+1), len(start) + 5*wql.MaxDepth/2 + 1, "nested more than 64 deep"},
		{"side by side", start + strings.Repeat("(Enabled = 1) AND ", 500) + "(Enabled = 1)", 0, ""},
		{"a flood of parentheses", start + strings.Repeat("(", 15000), len(start) + wql.MaxDepth + 1, "nested more than 64 deep"},
		{"columns", columns(wql.MaxColumns), 0, ""},
		{"one column more", columns(wql.MaxColumns + 1), len("SELECT ") + len("KeyPackId, ")*wql.MaxColumns + 1, "at most 256 columns"},
		{"length", padded(wql.MaxLength), 0, ""},
		{"two bytes more", padded(wql.MaxLength + 2), len([]rune(padded(wql.MaxLength))) + 1, "at most 16384 are accepted"},
	} {
		err := compile(t, c.query)
		if c.pos == 0 {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		pos, msg := position(t, c.name, err)
		if pos != c.pos || !strings.Contains(msg, c.message) {
			t.Errorf("%s: character %d: %s; want %d: %s", c.name, pos, msg, c.pos, c.message)
		}
	}
}
