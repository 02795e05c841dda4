package test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testFunctions returns the names of all tests of the module.
func testFunctions(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

var (
	numberOfRule = regexp.MustCompile(`^R\d+(\.\d+)+-\d+$`)                                                // of DSP0226
	clauseOfRule = regexp.MustCompile(`^(\d+(\.\d+)*|[A-E](\.\d+)?)( \(R\d+\.\d+-\d+(, the second)?\))?$`) // of DSP0226, and of 2005
	sectionOf    = regexp.MustCompile(`^\d+(\.\d+)+( to \d+(\.\d+)+)?(: [\w ]+)?$`)                        // of MS-WSMV
	nameOfTest   = regexp.MustCompile("`(Test\\w+)`")
)

// TestConformanceTables checks the tables of conformance in docs/protocol.md: each row has a requirement, what it asks, and a status;
// who says "tested" names tests that exist; and the counts in front of each table are right.
func TestConformanceTables(t *testing.T) {
	exists := testFunctions(t)
	_, section, _ := strings.Cut(documents(t)["../docs/protocol.md"], "\n## Conformance\n")
	section, _, _ = strings.Cut(section, "\n## ")
	parts := strings.Split(section, "\n### ")
	kinds := []*regexp.Regexp{numberOfRule, clauseOfRule, sectionOf}
	if len(parts) != 1+len(kinds) {
		t.Fatalf("there are %d tables of conformance", len(parts)-1)
	}
	seen := map[string]bool{}
	for i, kind := range kinds {
		title, text, _ := strings.Cut(parts[1+i], "\n")
		counts := map[string]int{}
		rows := 0
		for line := range strings.Lines(text) {
			cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
			if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| requirement |") || strings.HasPrefix(line, "| --- ") {
				continue
			}
			if len(cells) != 4 {
				t.Errorf("%s: %d cells: %s", title, len(cells), line)
				continue
			}
			requirement, asks, status, why := strings.TrimSpace(cells[0]), cells[1], cells[2], strings.TrimSpace(cells[3])
			rows++
			counts[status]++
			if !kind.MatchString(requirement) || seen[requirement] || asks == "" || why == "" {
				t.Errorf("%s: the requirement %q is none, is there twice, or something is missing: %s", title, requirement, line)
			}
			seen[requirement] = true
			tests := nameOfTest.FindAllStringSubmatch(why, -1)
			for _, found := range tests {
				if !exists[found[1]] {
					t.Errorf("%s: there is no test %s", requirement, found[1])
				}
			}
			switch status {
			case "tested":
				if len(tests) == 0 {
					t.Errorf("%s names no test", requirement)
				}
			case "not applicable", "not done":
			default:
				t.Errorf("%s has the status %q", requirement, status)
			}
		}
		want := fmt.Sprintf("\n%d requirements: %d tested, %d not applicable, %d not done.\n", rows, counts["tested"], counts["not applicable"], counts["not done"])
		if rows < 30 || !strings.Contains(text, want) {
			t.Errorf("%s should say%s", title, want)
		}
	}
}
