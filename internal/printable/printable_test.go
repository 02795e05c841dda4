package printable_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"calkeeper/internal/printable"
)

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"": "", `EXAMPLE\ada`: `EXAMPLE\ada`, "Zoë 日本": "Zoë 日本",
		"\x1b[2J": `\u001b[2J`, "a\nb\tc": `a\u000ab\u0009c`, "\u009b31m": `\u009b31m`, "\x7f": `\u007f`, "a\u202eb": `a\u202eb`, "\U000e0001": `\udb40\udc01`,
		"\xff": "\ufffd",
	} {
		if got := printable.Text(text); got != want {
			t.Errorf("%q is shown as %q; want %q", text, got, want)
		}
	}
}

// TestJSON: what is escaped in JSON means the same.
func TestJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := map[string]string{"a": rapid.String().Draw(t, "text"), "b": string(rapid.Rune().Draw(t, "rune"))}
		text, err := json.MarshalIndent(want, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		escaped := printable.JSON(string(text))
		if i := strings.IndexFunc(escaped, func(c rune) bool { return !unicode.IsPrint(c) && c != '\n' }); i >= 0 {
			t.Fatalf("%q is not printable", escaped)
		}
		var got map[string]string
		if err := json.Unmarshal([]byte(escaped), &got); err != nil || got["a"] != want["a"] || got["b"] != want["b"] {
			t.Fatalf("%q is read as %q, %v; want %q", escaped, got, err, want)
		}
	})
}
