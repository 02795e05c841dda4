package test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/cim"
	"calkeeper/internal/wsman/client"
)

// surfaceContract is what the public documentation says about the classes, as far as the surface needs it.
type surfaceContract struct {
	Classes map[string]struct {
		Properties []struct {
			Name, Type string
			Key        bool
		}
		Methods []surfaceMethod
	}
}

type surfaceMethod struct {
	Name        string
	Static      bool
	Unsupported bool `json:"not_supported_since_2012"`
	Parameters  []struct {
		Name, Type     string
		In, Out, Array bool
	}
}

// surface is what TestSurface finds: a row for each member of each class.
type surface struct {
	contract surfaceContract
	rows     map[string]surfaceRow // by class and member
}

// surfaceRow says what was sent for a member and what came back, in shape only: values differ from run to run.
type surfaceRow struct{ sent, came, test string }

// TestSurface calls every method and reads every property of the contract over the wire. The table of what it found is docs/surface.md.
func TestSurface(t *testing.T) {
	s := &surface{rows: map[string]surfaceRow{}}
	text, err := os.ReadFile("../internal/tlswmiprov/testdata/tlswmiprov.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &s.contract); err != nil {
		t.Fatal(err)
	}
	f := newFarm(t)
	s.serverMethods(t, f)
	s.keyPackMethods(t, f)
	s.licenses(t, f)
	// With -run for one member the others have no rows, and this does not run either.
	t.Run("document", s.document)
}

// method returns what the contract says of a method.
func (s *surface) method(t *testing.T, class, name string) surfaceMethod {
	t.Helper()
	methods := s.contract.Classes[class].Methods
	i := slices.IndexFunc(methods, func(m surfaceMethod) bool { return m.Name == name })
	if i < 0 {
		t.Fatalf("the contract has no %s.%s", class, name)
	}
	return methods[i]
}

// call calls a method with all of its arguments in a subtest and takes down what was sent and came. It fails unless the ReturnValue is
// the one, and every out parameter is there with the declared type; but for a success they are NULL.
func (s *surface) call(
	t *testing.T, m *member, returnValue uint32, class, method string,
	given func(*testing.T) (keys, args []client.Value), check func(*testing.T, client.Instance),
) {
	t.Helper()
	t.Run(class+"."+method, func(t *testing.T) {
		declared := s.method(t, class, method)
		keys, args := given(t)
		out, err := m.admin.Invoke(t.Context(), class, method, keys, args)
		if err != nil {
			t.Fatal(err)
		}
		if out.ReturnValue != returnValue {
			t.Errorf("the ReturnValue is 0x%08X, want 0x%08X", out.ReturnValue, returnValue)
		}
		if declared.Unsupported != (returnValue == notSupported) {
			t.Errorf("the ReturnValue is to be 0x%08X; that it is not supported, the contract says: %v", returnValue, declared.Unsupported)
		}
		if declared.Static != (len(keys) == 0) {
			t.Errorf("the method is static: %v; it was called with %d keys", declared.Static, len(keys))
		}
		came := []string{"`ReturnValue` " + returnValueName(returnValue)}
		ins, outs := 0, 0
		for _, p := range declared.Parameters {
			if p.In {
				if ins++; !slices.ContainsFunc(args, func(v client.Value) bool { return v.Name == p.Name }) {
					t.Errorf("the argument %s was not sent", p.Name)
				}
			}
			if p.Out {
				outs++
				v, ok := out.Values.Value(p.Name)
				if !ok || v.Name != p.Name {
					t.Errorf("the out parameter %s did not come", p.Name)
				}
				if (returnValue == done) == v.IsNull() {
					t.Errorf("%s is NULL: %v", p.Name, v.IsNull())
				}
				came = append(came, "`"+p.Name+"` "+shape(t, p.Name, v, p.Type, p.Array))
			}
		}
		if len(args) != ins || len(out.Values.Values) != outs {
			t.Errorf("%d arguments were sent, %d values came; the contract has %d and %d", len(args), len(out.Values.Values), ins, outs)
		}
		if check != nil && !t.Failed() {
			check(t, out.Values)
		}
		s.row(t, class, method, "Invoke"+listed("on", keys)+listed("with", args), strings.Join(came, ", "))
	})
}

// listed names values in a row.
func listed(word string, values []client.Value) string {
	if len(values) == 0 {
		return ""
	}
	var names []string
	for _, v := range values {
		names = append(names, v.Name)
	}
	return " " + word + " " + strings.Join(names, ", ")
}

func returnValueName(n uint32) string {
	if n == done {
		return "0"
	}
	return fmt.Sprintf("%s 0x%08X", cim.Status(n), n)
}

// shape fails unless a value has the declared type, and returns it as the document shows it.
func shape(t *testing.T, name string, v client.Value, declared string, isArray bool) string {
	t.Helper()
	if v.IsNull() {
		return "NULL"
	}
	if isArray {
		for _, e := range v.Elements() {
			if i, ok := e.Object(); !ok || i.Class != declared {
				t.Errorf("an element of %s is of %s, want %s", name, i.Class, declared)
			}
		}
		return "array of `" + declared + "`"
	}
	ok := true
	switch strings.ToLower(declared) {
	case "uint32":
		_, ok = v.Uint32()
	case "boolean":
		_, ok = v.Bool()
	case "datetime":
		_, ok = v.Time()
	case "string":
		_, object := v.Object()
		ok = !object && len(v.Elements()) == 1
	default:
		t.Fatalf("the contract declares %s as %s", name, declared)
	}
	if !ok {
		t.Errorf("%s is %q, no %s", name, v.Text(), declared)
	}
	return strings.ToLower(declared)
}

// properties reads all properties of an instance in subtests. Each must have the declared type and match its pattern as a whole.
func (s *surface) properties(t *testing.T, class, sent string, instance client.Instance, want map[string]string) {
	t.Helper()
	declared := s.contract.Classes[class].Properties
	if len(want) != len(declared) || len(instance.Values) != len(declared) {
		t.Errorf("%s has %d properties in the contract, %d in the test, and %d came", class, len(declared), len(want), len(instance.Values))
	}
	for _, p := range declared {
		t.Run(class+"."+p.Name, func(t *testing.T) {
			v, ok := instance.Value(p.Name)
			if !ok || v.Name != p.Name || v.IsNull() {
				t.Fatalf("it did not come, or is NULL: %v", instance.Values)
			}
			pattern, ok := want[p.Name]
			if !ok || !regexp.MustCompile("^(?:"+pattern+")$").MatchString(v.Text()) {
				t.Errorf("it is %q, want %s", v.Text(), pattern)
			}
			s.row(t, class, p.Name, sent, shape(t, p.Name, v, p.Type, false))
		})
	}
}

// row keeps the row of a member whose test has passed.
func (s *surface) row(t *testing.T, class, member, sent, came string) {
	t.Helper()
	key := class + "." + member
	if s.rows[key].test != "" {
		t.Errorf("%s has a row already", key)
	}
	if !t.Failed() {
		s.rows[key] = surfaceRow{sent, came, t.Name()}
	}
}

// document fails unless there is a row for every member of the contract, and writes the table.
func (s *surface) document(t *testing.T) {
	var b strings.Builder
	classes, properties, methods := 0, 0, 0
	var all []string
	for class := range s.contract.Classes {
		all = append(all, class)
	}
	slices.Sort(all)
	line := func(class, member, kind string) bool {
		row, ok := s.rows[class+"."+member]
		if !ok {
			t.Errorf("there is no row for %s.%s", class, member)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | `%s` |\n", member, kind, cell(row.sent), cell(row.came), row.test)
		return ok
	}
	for _, class := range all {
		complete := true
		fmt.Fprintf(&b, "\n## %s\n\n| member | | sent | came back | test |\n| --- | --- | --- | --- | --- |\n", class)
		for _, p := range s.contract.Classes[class].Properties {
			kind := "property"
			if p.Key {
				kind = "key"
			}
			if line(class, p.Name, kind) {
				properties++
			} else {
				complete = false
			}
		}
		for _, m := range s.contract.Classes[class].Methods {
			kind := "method"
			if m.Static {
				kind = "static method"
			}
			if line(class, m.Name, kind) {
				methods++
			} else {
				complete = false
			}
		}
		if complete {
			classes++
		}
	}
	if classes != 9 || properties != 66 || methods != 51 || len(s.rows) != properties+methods {
		t.Errorf("%d classes, %d properties and %d methods were reached, with %d rows; want 9, 66 and 51", classes, properties, methods, len(s.rows))
	}
	if t.Failed() {
		return // and no document of what is not there
	}
	counts := fmt.Sprintf("\n%d/9 classes, %d/66 properties, %d/51 methods.\n", classes, properties, methods)
	generated(t, "surface.md", "TestSurface", counts+b.String())
}
