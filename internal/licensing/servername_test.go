package licensing_test

import (
	"net/netip"
	"strings"
	"testing"

	"calkeeper/internal/licensing"
)

// longName has as many characters, in labels of 63 and what is left.
func longName(characters int) string {
	return strings.Repeat(strings.Repeat("a", 63)+".", characters/64) + strings.Repeat("b", characters%64)
}

func TestParseServerName(t *testing.T) {
	for given, want := range map[string]string{
		"ls1":                          "ls1",
		"LS1.Farm.Example":             "ls1.farm.example",
		"ls1.farm.example.":            "ls1.farm.example",
		"OLD_SERVER":                   "old_server",
		"_x":                           "_x",
		"1st.example":                  "1st.example",
		"2008":                         "",
		"10.20":                        "",
		"a-b--c.d":                     "a-b--c.d",
		"10.1.2.3":                     "10.1.2.3",
		"10.1.2.3.":                    "",
		"10.1.2.256":                   "",
		"010.1.2.3":                    "",
		"::1":                          "::1",
		"[::1]":                        "::1",
		"2001:DB8:0:0:0:0:0:1":         "2001:db8::1",
		"::ffff:10.1.2.3":              "10.1.2.3",
		"fe80::1%eth0":                 "fe80::1",
		"":                             "",
		".":                            "",
		"a..b":                         "",
		".a":                           "",
		"a..":                          "",
		"-a":                           "",
		"a-":                           "",
		"a-.b":                         "",
		"a b":                          "",
		" a":                           "",
		"a\n":                          "",
		"a/b":                          "",
		"a:5985":                       "",
		"http://a":                     "",
		"user@a":                       "",
		"müller":                       "",
		"\u212aelvin":                  "", // the Kelvin sign is k in lower case
		"\xff":                         "",
		"*":                            "",
		strings.Repeat("a", 63):        strings.Repeat("a", 63),
		strings.Repeat("a", 64):        "",
		longName(253):                  longName(253),
		longName(253) + ".":            longName(253),
		longName(254):                  "",
		longName(255):                  "",
		strings.Repeat("x", 1_000_000): "",
	} {
		got, err := licensing.ParseServerName(given)
		if want == "" {
			if licensing.KindOf(err) != licensing.Invalid || !strings.Contains(licensing.Message(err), "domain name or an IP address") {
				t.Errorf("%.70q: %q, %v; want a fault that says what is right", given, got, err)
			}
			if got != "" {
				t.Errorf("%.70q: %q beside the error", given, got)
			}
		} else if err != nil || got != want {
			t.Errorf("%.70q: %q, %v; want %q", given, got, err, want)
		}
	}
}

// FuzzParseServerName checks that what is accepted has one spelling only, in characters that a host name or an address has.
func FuzzParseServerName(f *testing.F) {
	for _, seed := range []string{
		"ls1", "LS1.Farm.Example.", "_x", "10.1.2.3", "10.1.2.3.", "[::1]", "::ffff:1.2.3.4", "fe80::1%eth0", "[fe80::1%]]", "1", ".",
		"a..b", "-a", "\u212a", "\u0130", "::ffff:1.2.3.4%x", longName(253), longName(254),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		name, err := licensing.ParseServerName(given)
		if err != nil {
			if licensing.KindOf(err) != licensing.Invalid || name != "" {
				t.Fatalf("%q: %q, %v", given, name, err)
			}
			return
		}
		if len(name) == 0 || len(name) > 253 {
			t.Fatalf("%q: %d characters", given, len(name))
		}
		if strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.:", r) }) {
			t.Fatalf("%q: %q has other characters", given, name)
		}
		again, err := licensing.ParseServerName(name)
		if err != nil || again != name {
			t.Fatalf("%q: %q is read as %q, %v", given, name, again, err)
		}
		if upper, err := licensing.ParseServerName(strings.ToUpper(name)); err != nil || upper != name {
			t.Fatalf("%q: %q in capitals is read as %q, %v", given, name, upper, err)
		}
		if a, err := netip.ParseAddr(name); err == nil && a.String() != name {
			t.Fatalf("%q: the address %q is %q", given, name, a)
		}
	})
}
