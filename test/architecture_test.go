package test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "calkeeper/internal/"

// goPackage is what `go list` says of one package.
type goPackage struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string
}

func goList(t *testing.T, tags string) map[string]goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-tags", tags, "-json=ImportPath,Standard,Imports,Deps", "calkeeper/...").Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("go list: %v\n%s", err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	packages := map[string]goPackage{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); err == io.EOF {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}

// within tells whether a package is one of the list or below one of it.
func within(path string, list []string) bool {
	return slices.ContainsFunc(list, func(name string) bool { return path == name || strings.HasPrefix(path, name+"/") })
}

// ours puts the module's prefix before each name.
func ours(names ...string) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = module + name
	}
	return list
}

// What a pure package does not even import itself: the world outside of the process.
var world = []string{"net", "os", "io/fs", "syscall", "database", "log", "plugin", "time/tzdata", "os/exec"}

// TestPurePackages holds the pure packages to their word: of the module they use only each other, and nothing of the world.
func TestPurePackages(t *testing.T) {
	packages := goList(t, "")
	for name, allowed := range map[string][]string{
		"licensing":  {"net/netip"}, // addresses as values
		"keycode":    {"log/slog"},  // so that a secret does not show in a log
		"cim":        nil,
		"wql":        ours("cim"),
		"wsman/soap": {"golang.org/x/text"},

		"wsman/encryption": nil,
	} {
		p, ok := packages[module+name]
		if !ok {
			t.Errorf("there is no package %s", name)
		}
		for _, imported := range p.Imports {
			switch {
			case within(imported, allowed):
			case within(imported, world):
				t.Errorf("%s imports %s: it is to be pure", name, imported)
			case !packages[imported].Standard:
				t.Errorf("%s imports %s: it is to know nothing but the standard library", name, imported)
			case name != "keycode" && within(imported, []string{"crypto", "math/rand", "math/rand/v2"}):
				t.Errorf("%s imports %s: it has no secrets", name, imported)
			}
		}
	}
}

// TestImportsPointOneWay holds every package of the house to what it may depend on, directly or not.
func TestImportsPointOneWay(t *testing.T) {
	// Everything of the module that a package may reach.
	may := map[string][]string{
		"licensing":               {},
		"keycode":                 {},
		"cim":                     {},
		"wql":                     {"cim"},
		"privatefile":             {},
		"lru":                     {},
		"reportfile":              {"privatefile", "csvfile"},
		"csvfile":                 {},
		"printable":               {},
		"auditing":                {"licensing", "store"},
		"auditfile":               {"licensing", "store", "restapi/wire", "csvfile", "printable"},
		"rapidchecks":             {},
		"sqlitedb":                {},
		"auth":                    {"auth/gss"},
		"auth/gss":                {},
		"auth/spnego":             {"auth/gss"},
		"auth/ntlm":               {"auth/gss"},
		"auth/kerberos":           {"auth/gss"},
		"accounts":                {"lru", "licensing", "store", "auth", "auth/gss", "auth/ntlm", "privatefile"},
		"store":                   {"licensing"},
		"store/sqlite":            {"licensing", "store", "sqlitedb"},
		"store/storetest":         {"licensing", "store"},
		"clearinghouse":           {"licensing", "keycode"},
		"clearinghouse/wire":      {"licensing", "keycode", "clearinghouse"},
		"clearinghouse/server":    {"licensing", "keycode", "clearinghouse", "clearinghouse/wire"},
		"clearinghouse/client":    {"licensing", "keycode", "clearinghouse", "clearinghouse/wire"},
		"clearinghouse/sqlite":    {"licensing", "keycode", "clearinghouse", "sqlitedb"},
		"clearinghouse/storetest": {"licensing", "keycode", "clearinghouse"},
		"activation":              {"licensing", "keycode", "clearinghouse", "store"},
		"discovery":               {"licensing", "store"},
		"directory":               {"licensing"},
		"inventory":               {"licensing", "keycode", "clearinghouse", "store"},
		"issuance":                {"licensing", "store"},
		"reporting":               {"licensing", "store"},
		"reporting/sqlite":        {"licensing", "store", "reporting", "privatefile"},
		"wsman":                   {"cim", "wql", "wsman/soap", "wsman/encryption"},
		"wsman/soap":              {},
		"wsman/encryption":        {},
		"wsman/client":            {"cim", "wsman/soap"},
		"wsman/cimxmltest":        {"cim"},
		"receipt":                 {"licensing"},
		"restapi":                 {"lru", "licensing", "store", "issuance", "receipt", "auth", "auth/gss", "auth/ntlm", "accounts", "privatefile", "auditing", "auditfile", "csvfile", "printable", "restapi/wire"},
		"restapi/wire":            {},
		"restapi/client":          {"licensing", "restapi/wire"},
		"agent":                   {"licensing", "receipt", "privatefile", "restapi/wire", "restapi/client"},
		"metrics":                 {"licensing", "store", "issuance"},
		// It brings its own throw-away database.
		"simulation": {"licensing", "store", "issuance", "store/sqlite", "sqlitedb"},
		"tlswmiprov": {"licensing", "keycode", "clearinghouse", "store", "activation", "discovery", "inventory", "issuance", "reporting", "auth", "auth/gss", "cim"},
	}
	everything := []string{"app", "demo"} // they may import all, and only commands import them
	packages := goList(t, "")
	for path, p := range packages {
		name, inside := strings.CutPrefix(path, module)
		if !inside || slices.Contains(everything, name) {
			continue
		}
		allowed, known := may[name]
		if !known {
			t.Errorf("the package %s is new: say here what it may depend on", name)
			continue
		}
		for _, dep := range p.Deps {
			other, inside := strings.CutPrefix(dep, module)
			if inside && !slices.Contains(allowed, other) {
				t.Errorf("%s depends on %s", name, other)
			}
		}
	}
	for name := range may {
		if _, ok := packages[module+name]; !ok {
			t.Errorf("there is no package %s any more", name)
		}
	}
}

// TestProtocolsAndStoresStayOutside holds back net/http, LDAP and SQLite, which only the edges use.
func TestProtocolsAndStoresStayOutside(t *testing.T) {
	const sqlite, ldap = "zombiezen.com/go/sqlite", "github.com/go-ldap/ldap/v3"
	for _, tags := range []string{"", "crashtest"} {
		packages := goList(t, tags)
		for _, name := range []string{
			"licensing", "keycode", "cim", "wql", "store", "clearinghouse", "activation", "discovery", "inventory", "issuance", "reporting", "wsman/soap", "privatefile",
			"auth/gss", "auth/ntlm",
		} {
			for _, dep := range packages[module+name].Deps {
				if dep == "net/http" || dep == "database/sql" || within(dep, []string{sqlite, "modernc.org/sqlite"}) {
					t.Errorf("%s depends on %s", name, dep)
				}
			}
		}
		for path, p := range packages {
			for _, imported := range p.Imports {
				switch {
				case within(imported, []string{sqlite}) && !p.Standard && strings.HasPrefix(path, "calkeeper/") &&
					!within(path, ours("sqlitedb", "store/sqlite", "clearinghouse/sqlite", "reporting/sqlite")):
					t.Errorf("%s imports %s", path, imported)
				case imported == ldap && strings.HasPrefix(path, "calkeeper/") && path != module+"directory":
					t.Errorf("%s imports %s", path, imported)
				case within(imported, ours("app", "demo")) && !within(path, append(ours("app", "demo"), "calkeeper/cmd")):
					t.Errorf("%s imports %s: only commands do", path, imported)
				case imported == "testing" && strings.HasPrefix(path, "calkeeper/") && !strings.HasSuffix(path, "/storetest"):
					t.Errorf("%s imports testing", path)
				}
			}
		}
		for _, imported := range packages["calkeeper/cmd/calkeeper"].Imports {
			if within(imported, []string{sqlite, "net/http"}) {
				t.Errorf("the command imports %s: what it does belongs into the internal packages", imported)
			}
		}
	}
}
