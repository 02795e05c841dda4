package test

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"calkeeper/internal/wsman/client"
)

// The compatibility suite does what public scripts do to license servers: it sends the same queries and calls, and looks at the
// values that the scripts read, through python3-winrm and through our own client. It is a table, which docs/compatibility.md shows:
// facts are taken from the scripts, never code. Those of PowerShell, VBScript and wmic reach WMI over DCOM or over WS-Management; what
// they send and read is the same but for datetimes, see dmtf.

// scriptRow is one thing that scripts do.
type scriptRow struct {
	id     string        // A: a query, B: a call, C: a script, D: what scripts rely on, S: a sample of what they print
	origin string        // the public repository, or empty
	does   string        // what is sent, and what is read of the answer
	run    func(*script) // nil if there is a same row, or if it cannot be expressed over WS-Management
	same   string        // the row that tests it
	why    string        // why it cannot be expressed
}

// scriptTable is rows that are run against license servers in the same state.
type scriptTable struct {
	test      string // the name of its test
	title     string
	namespace string // root/cimv2 if empty
	prepare   func(*testing.T, *farm) *member
	rows      []scriptRow
}

// script is a script that runs.
type script struct {
	*testing.T
	caller
	*member
}

// runScripts runs each row of a table through each client. Each client has a license server of its own, so that what rows change is
// the same for all.
func runScripts(t *testing.T, table scriptTable) {
	namespace := cmp.Or(table.namespace, "root/cimv2")
	clients := []struct {
		name    string
		connect func(*testing.T, *member) caller
	}{
		{"python3-winrm", func(t *testing.T, m *member) caller {
			return others{newPywinrm(t, m.URL(), "Administrator", password, ""), namespace}
		}},
		{"calkeeper", func(t *testing.T, m *member) caller {
			c, err := client.New(client.Options{URL: m.URL(), User: "Administrator", Password: password, Namespace: namespace})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			return ourClient{c}
		}},
	}
	var members []*member
	var callers []caller
	for _, c := range clients {
		m := table.prepare(t, newFarm(t))
		members, callers = append(members, m), append(callers, c.connect(t, m))
	}
	for _, row := range table.rows {
		if row.run == nil {
			continue
		}
		t.Run(row.id, func(t *testing.T) {
			for i, c := range clients {
				t.Run(c.name, func(t *testing.T) { row.run(&script{t, callers[i], members[i]}) })
			}
		})
	}
}

// query returns what a query finds.
func (s *script) query(wql string) []client.Instance {
	s.Helper()
	rows, err := s.find(s.T, "", wql)
	if err != nil {
		s.Fatalf("%s: %v", wql, err)
	}
	return rows
}

// class returns all instances of a class.
func (s *script) class(name string) []client.Instance {
	s.Helper()
	rows, err := s.find(s.T, name, "")
	if err != nil {
		s.Fatalf("%s: %v", name, err)
	}
	return rows
}

// instance returns one instance.
func (s *script) instance(class string, keys ...client.Value) client.Instance {
	s.Helper()
	i, err := s.get(s.T, class, keys)
	if err != nil {
		s.Fatalf("%s: %v", class, err)
	}
	return i
}

// set changes properties of a singleton.
func (s *script) set(class string, properties ...client.Value) client.Instance {
	s.Helper()
	i, err := s.put(s.T, class, nil, properties)
	if err != nil {
		s.Fatalf("%s: %v", class, err)
	}
	return i
}

// call calls a method of a class, or of a singleton.
func (s *script) call(class, method string, args ...client.Value) client.Output {
	s.Helper()
	return s.callOn(class, nil, method, args...)
}

// callOn calls a method of the instance with these keys.
func (s *script) callOn(class string, keys []client.Value, method string, args ...client.Value) client.Output {
	s.Helper()
	out, err := s.invoke(s.T, class, method, keys, args)
	if err != nil {
		s.Fatalf("%s: %v", method, err)
	}
	return out
}

// path returns the keys of an instance.
func path(i client.Instance, names ...string) []client.Value {
	var keys []client.Value
	for _, name := range names {
		keys = append(keys, client.Text(name, i.Text(name)))
	}
	return keys
}

// texts returns some properties of instances, in a line for each.
func texts(rows []client.Instance, names ...string) []string {
	var lines []string
	for _, row := range rows {
		var line []string
		for _, name := range names {
			line = append(line, row.Text(name))
		}
		lines = append(lines, strings.Join(line, ","))
	}
	return lines
}

// where returns the instances for which keep is true, as Where-Object does.
func where(rows []client.Instance, keep func(client.Instance) bool) []client.Instance {
	var kept []client.Instance
	for _, row := range rows {
		if keep(row) {
			kept = append(kept, row)
		}
	}
	return kept
}

// sum adds up a property in 64 bits, as Int64 and Measure-Object do.
func (s *script) sum(rows []client.Instance, name string) int64 {
	s.Helper()
	var sum int64
	for _, row := range rows {
		n, ok := row.Uint32(name)
		if !ok {
			s.Errorf("%s is %q, no uint32", name, row.Text(name))
		}
		sum += int64(n)
	}
	return sum
}

// dmtf writes a datetime in the 25 characters of DMTF that scripts cut up. Over DCOM they arrive so; over WS-Management they arrive as
// xs:dateTime (DSP0230), and the CIM cmdlets make a DateTime of it.
func (s *script) dmtf(text string) string {
	s.Helper()
	return datetime(s.T, text).UTC().Format("20060102150405.000000") + "-000"
}

// isBool fails unless a value is the truth value.
func (s *script) isBool(what string, out client.Output, name string, want bool) {
	s.Helper()
	if is, ok := out.Values.Bool(name); out.ReturnValue != 0 || !ok || is != want {
		s.Errorf("%s returned 0x%08X, %s %q; want 0, %v", what, out.ReturnValue, name, out.Values.Text(name), want)
	}
}

// is fails unless two values are the same, as they are printed.
func (s *script) is(what string, got, want any) {
	s.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		s.Errorf("%s is\n%s, want\n%s", what, g, w)
	}
}

// matches fails unless a text is what a pattern says, as a whole.
func (s *script) matches(what, got, pattern string) {
	s.Helper()
	if !regexp.MustCompile("^(?:" + pattern + ")$").MatchString(got) {
		s.Errorf("%s is\n%s, want\n%s", what, got, pattern)
	}
}

// one returns the only instance that a query finds.
func (s *script) one(wql string) client.Instance {
	s.Helper()
	rows := s.query(wql)
	if len(rows) != 1 {
		s.Fatalf("%s found %d rows, want 1", wql, len(rows))
	}
	return rows[0]
}

// scriptTables are all tables of the suite.
func scriptTables() []scriptTable {
	return []scriptTable{
		scriptQueries(), scriptCalls(), scripts(), scriptsThatRevoke(), reportScripts(), reportScriptsOfOneKind(), sessionHostScripts(),
		scriptHabits(), samples(), checkmkSamples(),
	}
}

// TestCompatibilityDocument writes the rows of the suite into docs/compatibility.md.
func TestCompatibilityDocument(t *testing.T) {
	var b strings.Builder
	tests := map[string]string{}
	inexpressible := 0
	for _, table := range scriptTables() {
		for _, row := range table.rows {
			switch {
			case tests[row.id] != "":
				t.Errorf("there are two rows %s", row.id)
			case row.run != nil:
				tests[row.id] = table.test + "/" + row.id
			case row.why != "":
				inexpressible++
			}
		}
	}
	fmt.Fprintf(&b, "\n%d rows are tested, each through two clients; %d cannot be expressed over WS-Management.\n", len(tests), inexpressible)
	for _, table := range scriptTables() {
		fmt.Fprintf(&b, "\n## %s\n\n| row | origin | what is sent, and read | tested by |\n| --- | --- | --- | --- |\n", table.title)
		for _, row := range table.rows {
			by := "not: " + row.why
			if row.run != nil {
				by = "`" + tests[row.id] + "`"
			} else if row.same != "" {
				var same []string
				for id := range strings.SplitSeq(row.same, ", ") {
					if tests[id] == "" {
						t.Errorf("row %s is to be as %s, and there is no such test", row.id, id)
					}
					same = append(same, "`"+tests[id]+"`")
				}
				by = strings.Join(same, ", ")
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", row.id, cell(row.origin), cell(row.does), cell(by))
		}
	}
	generated(t, "compatibility.md", "TestCompatibilityDocument", b.String())
}
