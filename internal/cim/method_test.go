package cim_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"calkeeper/internal/cim"
)

// fillArguments are the input of Fill, with some of them exchanged or added.
func fillArguments(changes ...cim.Argument) []cim.Argument {
	all := []cim.Argument{
		array("Items", cim.StringValue("a"), cim.StringValue("b")), number("Count", 3), text("Urgent", "1"),
		text("Until", "20360101000000.000000-000"), number("Cursor", 7),
	}
	for _, change := range changes {
		at := slices.IndexFunc(all, func(a cim.Argument) bool { return a.Name == change.Name })
		if at < 0 {
			all = append(all, change)
		} else {
			all[at] = change
		}
	}
	return all
}

func TestInvoke(t *testing.T) {
	d := newDepot()
	c := d.class(t, "Test_Box")
	self := boxOne(t, c)
	returned, out, err := c.Invoke(t.Context(), c.Method("fill"), &self, fillArguments())
	if err != nil || returned != 0 {
		t.Fatalf("%d, %v", returned, err)
	}
	if got := d.filled; !slices.Equal(got.Items, []string{"a", "b"}) || got.Count != 3 || !got.Urgent || got.Until.DMTF() != "20360101000000.000000-000" || got.Cursor != 7 {
		t.Errorf("the method received %+v", got)
	}
	var names []string
	values := map[string]cim.Value{}
	for _, o := range out {
		names = append(names, o.Parameter.Name)
		values[o.Parameter.Name] = o.Value
	}
	if !slices.Equal(names, []string{"Cursor", "Rows", "Best", "Text"}) {
		t.Errorf("outputs %v", names)
	}
	if values["Cursor"] != cim.Uint32Value(8) {
		t.Errorf("Cursor is %v", values["Cursor"])
	}
	if values["Text"] != cim.StringValue("first") { // the label of the instance as get returned it
		t.Errorf("Text is %v", values["Text"])
	}
	rows, ok := values["Rows"].Array()
	if !ok || len(rows) != 2 {
		t.Fatalf("Rows is %v", values["Rows"])
	}
	for n, want := range []string{"a", "b"} {
		row, ok := rows[n].Object()
		if !ok || row.Class.Name != "Test_Item" || row.Value(row.Class.Property("Name")).Text() != want || row.Value(row.Class.Property("Count")).Uint32() != 3 {
			t.Errorf("row %d is %v", n, rows[n])
		}
	}
	if best, ok := values["Best"].Object(); !ok || best.Value(best.Class.Property("name")).Text() != "best" {
		t.Errorf("Best is %v", values["Best"])
	}
}

func TestInvokeConverts(t *testing.T) {
	d := newDepot()
	c := d.class(t, "Test_Box")
	self := boxOne(t, c)
	arguments := []cim.Argument{
		number("ITEMS", 1234567), text("count", "3"), text("URGENT", "False"), text("until", "2036-01-01T00:00:00Z"), text("cursor", "7"),
	}
	if _, _, err := c.Invoke(t.Context(), c.Method("Fill"), &self, arguments); err != nil {
		t.Fatal(err)
	}
	if got := d.filled; !slices.Equal(got.Items, []string{"1234567"}) || got.Count != 3 || got.Urgent || got.Until.XML() != "2036-01-01T00:00:00Z" || got.Cursor != 7 {
		t.Errorf("the method received %+v", got)
	}
	if _, _, err := c.Invoke(t.Context(), c.Method("Fill"), &self, fillArguments(array("Items"))); err != nil {
		t.Fatal(err)
	}
	if d.filled.Items == nil || len(d.filled.Items) != 0 {
		t.Errorf("an empty array became %#v", d.filled.Items)
	}
}

func TestInvokeRefuses(t *testing.T) {
	for _, c := range []struct {
		what      string
		arguments []cim.Argument
		message   string
	}{
		{"nothing", nil, "the argument Items of Fill is missing; it takes Items, Count, Urgent, Until, Cursor"},
		{"one missing", fillArguments()[:4], "the argument Cursor of Fill is missing"},
		{"unknown", fillArguments(text("Colour", "1")), `Fill has no input parameter "Colour"; it takes Items, Count, Urgent, Until, Cursor`},
		{"an output", fillArguments(text("Text", "1")), `Fill has no input parameter "Text"`},
		{"twice", fillArguments(text("COUNT", "3")), "the argument Count of Fill was given twice"},
		{"NULL", fillArguments(argument("Count", cim.Value{})), "the argument Count of Fill cannot be NULL"},
		{"NULL array", fillArguments(argument("Items", cim.Value{})), "the argument Items of Fill cannot be NULL"},
		{"mistyped", fillArguments(text("Count", "many")), "the argument Count of Fill must be a uint32"},
		{"mistyped datetime", fillArguments(text("Until", "later")), "the argument Until of Fill must be a datetime"},
		{"mistyped boolean", fillArguments(number("Urgent", 1)), "the argument Urgent of Fill must be a boolean"},
		{"a scalar given twice", fillArguments(array("Count", cim.Uint32Value(1), cim.Uint32Value(2))), "must be given once: it is not an array"},
	} {
		d := newDepot()
		class := d.class(t, "Test_Box")
		self := boxOne(t, class)
		returned, out, err := class.Invoke(t.Context(), class.Method("Fill"), &self, c.arguments)
		wantStatus(t, c.what, err, cim.StatusInvalidMethodParameters, c.message)
		if returned != 0 || out != nil || d.calls != 0 {
			t.Errorf("%s: returned %d, outputs %v, %d calls", c.what, returned, out, d.calls)
		}
	}
	d := newDepot()
	w := d.class(t, "Test_Warehouse")
	self, err := w.Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = w.Invoke(t.Context(), w.Method("Close"), &self, []cim.Argument{text("Why", "x")})
	wantStatus(t, "argument of a method without", err, cim.StatusInvalidMethodParameters, "it takes no arguments")
}

func TestInvokeSelf(t *testing.T) {
	d := newDepot()
	c := d.class(t, "Test_Box")
	self := boxOne(t, c)

	// A static method is the same with and without an instance, even one that does not exist.
	missing, err := c.Key([]cim.Argument{number("BoxId", 9), text("Shelf", "A")})
	if err != nil {
		t.Fatal(err)
	}
	for _, self := range []*cim.Instance{nil, &self, &missing} {
		returned, out, err := c.Invoke(t.Context(), c.Method("Find"), self, []cim.Argument{text("Color", "1")})
		if err != nil || returned != 0x4001 || len(out) != 1 || out[0].Value != cim.Uint32Value(1) {
			t.Errorf("static on %v: %#x, %v, %v", self, returned, out, err)
		}
	}

	_, _, err = c.Invoke(t.Context(), c.Method("Fill"), nil, fillArguments())
	var e *cim.KeyError
	if !errors.As(err, &e) || e.Missing != "BoxId" {
		t.Errorf("instance method without an instance: %v", err)
	}
	_, _, err = c.Invoke(t.Context(), c.Method("Fill"), &missing, fillArguments())
	wantStatus(t, "no such box", err, cim.StatusNotFound, "there is no box 9")
	w := d.class(t, "Test_Warehouse")
	_, _, err = w.Invoke(t.Context(), w.Method("Close"), nil, nil)
	wantStatus(t, "singleton's method without an instance", err, cim.StatusInvalidObjectPath, "Close is called on an instance of Test_Warehouse")
}

func TestInvokeErrors(t *testing.T) {
	d := newDepot()
	c := d.class(t, "Test_Box")
	self := boxOne(t, c)
	d.fail["Fill"] = errTooHeavy
	returned, out, err := c.Invoke(t.Context(), c.Method("Fill"), &self, fillArguments())
	if err != nil || returned != returnedTooHeavy {
		t.Errorf("an error of the method: %#x, %v", returned, err)
	}
	if len(out) != 4 {
		t.Errorf("%d outputs", len(out))
	}
	for _, o := range out {
		if !o.Value.IsNull() {
			t.Errorf("%s is %v after an error", o.Parameter.Name, o.Value)
		}
	}
	d.fail["Fill"] = cim.Errorf(cim.StatusAccessDenied, "administrators only")
	returned, out, err = c.Invoke(t.Context(), c.Method("Fill"), &self, fillArguments())
	wantStatus(t, "an *Error of the method", err, cim.StatusAccessDenied, "administrators only")
	if returned != 0 || out != nil {
		t.Errorf("beside an *Error: %#x, %v", returned, out)
	}

	w := d.class(t, "Test_Warehouse")
	only, err := w.Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	d.fail["Close"] = cim.Errorf(cim.StatusAccessDenied, "administrators only") // Close wraps it
	_, _, err = w.Invoke(t.Context(), w.Method("Close"), &only, nil)
	wantStatus(t, "a wrapped *Error", err, cim.StatusAccessDenied, "administrators only")
}

// TestOptionalParameter leaves an input parameter out, gives NULL, and gives a value.
func TestOptionalParameter(t *testing.T) {
	type in struct {
		Needed uint32 `cim:"Needed"`
		Domain string `cim:"Domain,optional"`
	}
	var got in
	c, err := cim.Define[warehouse]("Test_Warehouse", cim.ReturnValues(newDepot().returnValue), cim.StaticMethod("Ask", func(_ context.Context, i in) (nothing, error) {
		got = i
		return nothing{}, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	m := c.Method("Ask")
	for _, test := range []struct {
		arguments []cim.Argument
		want      in
	}{
		{[]cim.Argument{number("Needed", 7)}, in{7, ""}},
		{[]cim.Argument{argument("Domain", cim.Value{}), number("Needed", 7)}, in{7, ""}},
		{[]cim.Argument{text("DOMAIN", "FARM"), number("Needed", 8)}, in{8, "FARM"}},
	} {
		got = in{99, "before"}
		if _, _, err := c.Invoke(t.Context(), m, nil, test.arguments); err != nil || got != test.want {
			t.Errorf("%v: the method received %+v, %v", test.arguments, got, err)
		}
	}
	for what, arguments := range map[string][]cim.Argument{"is missing": {text("Domain", "FARM")}, "was given twice": {number("Needed", 7), text("Domain", "a"), argument("Domain", cim.Value{})}} {
		_, _, err := c.Invoke(t.Context(), m, nil, arguments)
		wantStatus(t, what, err, cim.StatusInvalidMethodParameters, what)
	}
	optional := func(p cim.Parameter) bool {
		return slices.ContainsFunc(p.Qualifiers(), func(q cim.Qualifier) bool { return q.Name == "optional" })
	}
	if optional(m.Parameters[0]) || !optional(m.Parameters[1]) {
		t.Error("only Domain has the qualifier optional")
	}
}

// TestAuthorizes: whatever is asked of a class, Authorizes is asked first, and once.
func TestAuthorizes(t *testing.T) {
	d := newDepot()
	var asked []string
	var refusal error
	c, err := cim.Define[box]("Test_Box",
		cim.ReturnValues(d.returnValue), cim.Gets(d.get), cim.Enumerates(d.all), cim.Puts(d.put),
		cim.InstanceMethod("Fill", d.fill), cim.StaticMethod("Find", d.find),
		cim.Authorizes(func(_ context.Context, o cim.Operation) error {
			what := "read"
			if o.Method != nil {
				what = o.Method.Name
			}
			asked = append(asked, fmt.Sprint(o.Class.Name, " ", what, " ", o.Put))
			return refusal
		}))
	if err != nil {
		t.Fatal(err)
	}
	self := boxOne(t, c)
	operations := []struct {
		wants string
		do    func(bad bool) error // if bad, with what would be refused for another reason
	}{
		{"Test_Box read false", func(bool) error { _, err := c.Get(t.Context(), self); return err }},
		{"Test_Box read false", func(bool) (err error) {
			for _, err = range c.Instances(t.Context()) {
			}
			return err
		}},
		{"Test_Box read true", func(bad bool) error {
			arguments := []cim.Argument{text("Label", "x")}
			if bad {
				arguments = []cim.Argument{text("NoSuchProperty", "x")}
			}
			_, err := c.Put(t.Context(), self, arguments)
			return err
		}},
		{"Test_Box Fill false", func(bad bool) error {
			arguments := fillArguments()
			if bad {
				arguments = nil
			}
			_, _, err := c.Invoke(t.Context(), c.Method("Fill"), &self, arguments)
			return err
		}},
		{"Test_Box Find false", func(bad bool) error {
			arguments := []cim.Argument{number("Color", 1)}
			if bad {
				arguments = nil
			}
			_, _, err := c.Invoke(t.Context(), c.Method("Find"), nil, arguments)
			return err
		}},
	}
	for _, o := range operations {
		asked, refusal = nil, nil
		if err := o.do(false); err != nil {
			t.Errorf("%s: %v", o.wants, err)
		}
		if !slices.Equal(asked, []string{o.wants}) {
			t.Errorf("%s: asked for %q", o.wants, asked)
		}
		calls, boxes := d.calls, fmt.Sprint(d.boxes)
		refusal = cim.Errorf(cim.StatusAccessDenied, "not you")
		wantStatus(t, o.wants, o.do(true), cim.StatusAccessDenied, "not you")
		if d.calls != calls || fmt.Sprint(d.boxes) != boxes {
			t.Errorf("%s was refused, and done", o.wants)
		}
	}
}
