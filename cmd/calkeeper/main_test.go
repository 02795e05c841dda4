package main

import (
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"calkeeper": main}) }

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", "atexit_sleep_ms=10") // else each of the many commands sleeps for a second at its end
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"waitfile": waitFile, "readjson": readJSON, "eventually": eventually, "exits": exits, "sql": sql, "reports": reportServers,
		},
	})
}

// commands returns all commands and groups of the command line, by what is typed to run them.
func commands(t *testing.T) map[string]*kong.Node {
	t.Helper()
	parser, err := newParser(new(cli), io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*kong.Node{}
	var visit func(path string, n *kong.Node)
	visit = func(path string, n *kong.Node) {
		found[path] = n
		for _, child := range n.Children {
			visit(path+" "+child.Name, child)
		}
	}
	visit("calkeeper", parser.Model.Node)
	return found
}

// continued is a line that goes on in the next one.
var continued = regexp.MustCompile(`\s*\\\n\s*`)

func TestEveryCommandHasAnExampleThatParses(t *testing.T) {
	for path, node := range commands(t) {
		help := continued.ReplaceAllString(node.Detail, " ")
		_, examples, ok := strings.Cut(help, "Example")
		if !ok {
			t.Errorf("%s --help has no example", path)
			continue
		}
		own := false
		for line := range strings.Lines(examples) {
			words := words(line)
			if len(words) == 0 || words[0] != "calkeeper" {
				continue
			}
			own = own || strings.HasPrefix(strings.Join(words, " ")+" ", strings.TrimSuffix(path, " list")+" ")
			parser, err := newParser(new(cli), io.Discard, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(words[1:]); err != nil {
				t.Errorf("%s --help: the example %q is wrong: %v", path, strings.TrimSpace(line), err)
			}
		}
		if !own {
			t.Errorf("%s --help has no example of this command", path)
		}
	}
}

// words splits a line as a shell does, as far as the examples need it: double quotes, and redirections, which are left out.
func words(line string) []string {
	line, _, _ = strings.Cut(line, " < ")
	line, _, _ = strings.Cut(line, " > ")
	var list []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			list = append(list, part)
		} else {
			list = append(list, strings.Fields(part)...)
		}
	}
	return list
}

func TestEveryFlagAndArgumentHasHelp(t *testing.T) {
	for path, node := range commands(t) {
		for _, f := range node.Flags {
			if f.Help == "" {
				t.Errorf("%s: --%s has no help", path, f.Name)
			}
			lower := strings.ToLower(f.Name)
			if (strings.Contains(lower, "password") || strings.Contains(lower, "token")) && !strings.HasSuffix(lower, "password-file") && lower != "token-file" {
				t.Errorf("%s: --%s would show a secret to others on the machine", path, f.Name)
			}
		}
		for _, a := range node.Positional {
			if a.Help == "" {
				t.Errorf("%s: <%s> has no help", path, a.Name)
			}
		}
	}
}

func TestHelpSaysWhatExitCodesMean(t *testing.T) {
	for code, text := range map[int]string{
		exitOK: "done", exitFailure: "failure", exitUsage: "wrong usage", exitRefused: "the server refused",
		exitUnreachable: "cannot be reached", exitDenied: "access denied", exitWrong: "verification",
		exitUnlicensed: "denied",
	} {
		if !regexp.MustCompile(`\n  ` + string(rune('0'+code)) + `  .*` + text).MatchString(description) {
			t.Errorf("--help does not say that exit code %d means %q", code, text)
		}
	}
}
