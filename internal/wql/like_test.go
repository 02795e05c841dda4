package wql_test

import (
	"strings"
	"testing"
	"time"
)

func TestLike(t *testing.T) {
	for _, c := range []struct {
		pattern, match, differ string // values that match and that do not, separated by spaces; "" stands as ε
	}{
		{"", "ε", "a"},
		{"abc", "abc ABC aBc", "ε ab abcd xabc"},
		{"%", "ε a abc", ""},
		{"%%", "ε a abc", ""},
		{"_", "a é", "ε ab"},
		{"a%", "a abc A%", "ε ba"},
		{"%a", "a bca aa", "ε ab"},
		{"%a%", "a bab xxA", "ε bcd"},
		{"a%b%c", "abc axxbxxc aabbcc abcbc", "ab acb abcd"},
		{"%ab%ab", "abab ababab xabyab", "ab aab abxb"},
		{"_%_", "ab abc", "ε a"},
		{"%_", "a ab", "ε"},
		{"[abc]", "a B c", "ε d ab -"},
		{"[a-f]", "a c F", "g - ="},
		{"[a=f]", "a c F", "g - ="},
		{"[^a-f]", "g - 1", "a C f ε gg"},
		{"[^abc]%", "d dx", "a Bx ε"},
		{"[a-]", "a -", "b ="},
		{"[-a]", "a -", "b"},
		{"[a=]", "a =", "b -"},
		{"[a-cx-z]", "a b x Y", "d w -"},
		{"[a^]", "a ^", "b"},
		{"[_]", "_", "a ε"},
		{"[%]", "%", "a ab ε"},
		{"[[]", "[", "a ]"},
		{"]", "]", "["},
		{"^a", "^a", "a"},
		{"a-f", "a-f", "c"},
		{"%[_][_]%", "__CLASS a__b", "_ _a_"},
		{"[0-9][0-9]", "17 00", "1 a1 123"},
		{"[à-ä]", "á Á Ä", "a å"},
		{"[Z-a]", "z A ^ _", "b Y"}, // the six between Z and a, and the other case of both ends
		{`%\%`, `\ a\b`, "ab /"},
		{"Win32[_]TS%", "win32_tslicense", "win32xts"},
		{"_本", "日本", "本 日本語"},
	} {
		for _, want := range []bool{true, false} {
			values := c.differ
			if want {
				values = c.match
			}
			for _, value := range strings.Fields(values) {
				row := keyPack{ProductVersion: strings.TrimSuffix(value, "ε")}
				quoted := "'" + strings.ReplaceAll(c.pattern, `\`, `\\`) + "'"
				if got := matches(t, row, "ProductVersion LIKE "+quoted); got != want {
					t.Errorf("%q LIKE %s: %v, want %v", row.ProductVersion, quoted, got, want)
				}
			}
		}
	}
}

// A pattern of many % against a long string takes exponential time in a matcher that backtracks to each of them.
func TestLikeStaysPolynomial(t *testing.T) {
	row := keyPack{ProductVersion: strings.Repeat("a", 5000)}
	start := time.Now()
	if matches(t, row, "ProductVersion LIKE '"+strings.Repeat("%a", 2000)+"b'") {
		t.Error("matches without a b")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}
