package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"calkeeper/internal/app"
)

// documents returns what administrators read, by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, path := range append(paths, "../README.md", "../CONTRIBUTING.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = string(text)
	}
	return texts
}

var (
	fenced    = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	inline    = regexp.MustCompile("`(calkeeper [^`]+)`")
	continued = regexp.MustCompile(`\\\n\s*`)
	prompt    = regexp.MustCompile(`(?m)^\w*\$ `)
	// called is a command line of calkeeper in a line of shell: at its start, or after what starts other programs.
	called = regexp.MustCompile(`(?:^|^ExecStart=\S*/|[|;&(] *|-- |(?:^| )[A-Z_]+=\S+ )(calkeeper .*)`)
	word   = regexp.MustCompile(`"[^"]*"|'[^']*'|[^\s"']+`)
)

// commandLines returns the command lines of calkeeper in a document: those in the blocks of shell, and those in the text.
func commandLines(text string) []string {
	var lines []string
	for _, block := range fenced.FindAllStringSubmatch(text, -1) {
		if block[1] != "" && block[1] != "console" || strings.Contains(block[2], "│") { // a drawing
			continue
		}
		prompted := prompt.MatchString(block[2]) // and the rest is output
		for line := range strings.Lines(continued.ReplaceAllString(block[2], " ")) {
			if prompted && !prompt.MatchString(line) && !strings.HasPrefix(line, "ExecStart=") {
				continue
			}
			if found := called.FindStringSubmatch(prompt.ReplaceAllString(strings.TrimSpace(line), "")); found != nil {
				lines = append(lines, found[1])
			}
		}
	}
	for _, found := range inline.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		lines = append(lines, found[1])
	}
	return lines
}

// arguments splits a command line, up to the end of the command. An ellipsis stands for what was left out.
func arguments(line string) []string {
	var list []string
	for _, w := range word.FindAllString(line, -1)[1:] {
		if strings.ContainsAny(w[:1], "<>|;&#)") {
			break
		}
		if w = strings.Trim(w, `"'`); w != "…" || len(list) > 0 && strings.HasPrefix(list[len(list)-1], "--") {
			list = append(list, strings.TrimRight(w, ";)"))
		}
	}
	return list
}

// TestDocumentedCommands has the program parse every command line in the documents. With --help it does nothing else, but
// refuses commands and flags that it does not have.
func TestDocumentedCommands(t *testing.T) {
	path := program(t, shipped)
	seen := map[string]bool{}
	for document, text := range documents(t) {
		for _, line := range commandLines(text) {
			args := append(arguments(line), "--help")
			key := strings.Join(args, "\x00")
			if seen[key] {
				continue
			}
			seen[key] = true
			if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
				t.Errorf("%s: %s\n%v: %s", document, line, err, out)
			}
		}
	}
	if len(seen) < 50 {
		t.Errorf("only %d command lines were found: how they are written has changed", len(seen))
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	noSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestDocumentLinks follows the links between the documents, to headings too.
func TestDocumentLinks(t *testing.T) {
	for path, text := range documents(t) {
		for _, found := range link.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			file, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(file, "://") {
				continue
			}
			to := path
			if file != "" {
				to = filepath.Join(filepath.Dir(path), file)
			}
			target, err := os.ReadFile(to)
			if err != nil {
				t.Errorf("%s links to %s: %v", path, found[1], err)
				continue
			}
			anchors := map[string]bool{"": true}
			for _, h := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(string(target), ""), -1) {
				anchors[strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")] = true
			}
			if !anchors[anchor] {
				t.Errorf("%s links to %s, and there is no such heading", path, found[1])
			}
		}
	}
}

// TestDocumentedSettings looks for each setting of serve in the table of the guide.
func TestDocumentedSettings(t *testing.T) {
	guide := documents(t)["../docs/guide.md"]
	var check func(reflect.Type)
	check = func(settings reflect.Type) {
		for i := range settings.NumField() {
			f := settings.Field(i)
			if f.Type.Kind() == reflect.Struct {
				check(f.Type)
				continue
			}
			row := fmt.Sprintf("\n| `%s` | `--%s` | `%s` | ", f.Tag.Get("toml"), f.Tag.Get("name"), f.Tag.Get("env"))
			if !strings.Contains(guide, row) {
				t.Errorf("docs/guide.md has no row%s", row)
			}
		}
	}
	check(reflect.TypeFor[app.Settings]())
}
