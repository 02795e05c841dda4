package wsman_test

import (
	"os"
	"strings"
	"testing"

	"calkeeper/internal/wsman"
)

// TestDocumentedFaults compares the table of faults in docs/protocol.md, which -update writes, with that of the program.
func TestDocumentedFaults(t *testing.T) {
	const file, begin, end = "../../docs/protocol.md", "<!-- go test ./internal/wsman -run TestDocumentedFaults -update -->\n\n", "\n<!-- end -->\n"
	text, err := os.ReadFile(file)
	must(t, err)
	before, rest, found := strings.Cut(string(text), begin)
	table, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no table between\n%s and\n%s", file, begin, end)
	}
	if *update {
		table = wsman.FaultTable()
		must(t, os.WriteFile(file, []byte(before+begin+table+end+after), 0o644))
	}
	if want := wsman.FaultTable(); table != want {
		t.Errorf("%s has\n%s, the program\n%s", file, table, want)
	}
}
