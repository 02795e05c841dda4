package keycode_test

import (
	"strings"
	"testing"

	"calkeeper/internal/keycode"
	"pgregory.net/rapid"
)

func TestGroups(t *testing.T) {
	long := strings.Repeat("A", 257)
	for s, want := range map[string]string{
		"": "", "ABC": "ABC", "ABCDE": "ABCDE", "ABCDEF": "ABCDE-F", "ABCDEFGHJK": "ABCDE-FGHJK",
		goldenRetail: "R0820-0C207-A1G7F-104G8-M2RCG", long: long,
	} {
		if got := keycode.Groups(s); got != want {
			t.Errorf("Groups(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestUngroup(t *testing.T) {
	long := strings.Repeat("-", 257)
	for s, want := range map[string]string{
		"": "", "-": "", "ABCDE-FGHJK": "ABCDEFGHJK", " abcde fghjk\r\n\t": "abcdefghjk",
		"AB\u2010CD\u2011EF\u2013GH\u2014JK\u2212MN\u00a0PQ": "ABCDEFGHJKMNPQ",
		"O0*é_": "O0*é_", long: long,
	} {
		if got := keycode.Ungroup(s); got != want {
			t.Errorf("Ungroup(%q) = %q, want %q", s, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOfN(rapid.RuneFrom([]rune(refAlphabet)), 0, 65, -1).Draw(t, "s")
		if back := keycode.Ungroup(keycode.Groups(s)); back != s {
			t.Fatalf("Ungroup(Groups(%q)) = %q", s, back)
		}
	})
}

func TestFirstGroup(t *testing.T) {
	for s, want := range map[string]string{
		"": "…", "ABCDE": "…", goldenRetail[:24]: "…", goldenInstall: "4BM0H-…", keycode.Groups(goldenRetail): "R0820-…",
		strings.ToLower(goldenInstall): "4BM0H-…", "PASSWORD1": "…",
		"\n" + goldenInstall[1:]: "…", goldenInstall[:4] + "O" + goldenInstall[5:]: "…", strings.Repeat("\xff", 35): "…", strings.Repeat("é", 20): "…",
	} {
		if got := keycode.FirstGroup(s); got != want {
			t.Errorf("FirstGroup(%q) = %q, want %q", s, got, want)
		}
	}
}
