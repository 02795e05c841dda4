package test

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated parts of documents")

// generated holds the part of a document that follows a marker, up to its end, against what the test would write there. With -update
// the test writes it.
func generated(t *testing.T, document, test, want string) {
	t.Helper()
	marker := "<!-- From here on written by: go test ./test -run " + test + " -update -->\n"
	path := "../docs/" + document
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	prose, got, ok := strings.Cut(string(text), marker)
	if !ok {
		t.Fatalf("docs/%s has no line %s", document, marker)
	}
	if got == want {
		return
	}
	if *update {
		if err := os.WriteFile(path, []byte(prose+marker+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	lines := strings.Split(got, "\n")
	for n, line := range strings.Split(want, "\n") {
		if n >= len(lines) || lines[n] != line {
			t.Fatalf("docs/%s differs from what this test has found, first in line %d after the marker. It should be\n%s\n"+
				"If that is right, write it with -update.", document, n+1, line)
		}
	}
	t.Fatalf("docs/%s has more lines than this test would write", document)
}

// cell writes a text so that it can stand in a table of a document.
func cell(text string) string {
	if text == "" {
		return "–"
	}
	return strings.ReplaceAll(text, "|", `\|`)
}
