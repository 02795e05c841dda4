package cim_test

import (
	"errors"
	"slices"
	"testing"

	"calkeeper/internal/cim"
)

func array(name string, elements ...cim.Value) cim.Argument {
	return argument(name, cim.ArrayValue(elements))
}

func TestKey(t *testing.T) {
	c := newDepot().class(t, "Test_Box")
	shelf := text("Shelf", "A")
	for _, ok := range [][]cim.Argument{
		{number("BoxId", 1), shelf},
		{text("BOXID", " 1 "), text("shelf", "A")},
		{shelf, text("BoxId", "1")},
	} {
		key, err := c.Key(ok)
		if err != nil {
			t.Errorf("%v: %v", ok, err)
			continue
		}
		if got := key.Path(); got != `Test_Box.BoxId=1,Shelf="A"` {
			t.Errorf("%v: %s", ok, got)
		}
		i, err := c.Get(t.Context(), key)
		if err != nil || i.Value(c.Property("Label")).Text() != "first" {
			t.Errorf("%v: %v, %v", ok, i, err)
		}
	}
	for _, bad := range []struct {
		what       string
		arguments  []cim.Argument
		missing    string
		unexpected string
		status     cim.Status
		message    string
	}{
		{"no keys", nil, "BoxId", "", 0, "Test_Box needs the key BoxId, which was not given"},
		{"one key", []cim.Argument{number("BoxId", 1)}, "Shelf", "", 0, "needs the key Shelf"},
		{"no such property", []cim.Argument{text("Colour", "1")}, "", "Colour", 0, `Test_Box has no key "Colour"`},
		{"no key", []cim.Argument{text("Label", "x")}, "", "Label", 0, `Test_Box has no key "Label"`},
		{"twice", []cim.Argument{number("BoxId", 1), text("boxid", "1"), shelf}, "", "", cim.StatusInvalidParameter, "BoxId of Test_Box was given twice"},
		{"array", []cim.Argument{array("BoxId", cim.Uint32Value(1), cim.Uint32Value(2)), shelf}, "", "", cim.StatusTypeMismatch, "must be given once"},
		{"NULL", []cim.Argument{argument("BoxId", cim.Value{}), shelf}, "", "", cim.StatusIllegalNull, "cannot be NULL"},
		{"mistyped", []cim.Argument{text("BoxId", "one"), shelf}, "", "", cim.StatusTypeMismatch, "the key BoxId of Test_Box must be a uint32"},
	} {
		i, err := c.Key(bad.arguments)
		if i.Class != nil {
			t.Errorf("%s: the error comes with the instance %s", bad.what, i.Path())
		}
		if bad.status != 0 {
			wantStatus(t, bad.what, err, bad.status, bad.message)
			continue
		}
		var e *cim.KeyError
		if !errors.As(err, &e) || e.Class != "Test_Box" || e.Missing != bad.missing || e.Unexpected != bad.unexpected || e.Error() != bad.message && !contains(e.Error(), bad.message) {
			t.Errorf("%s: %v", bad.what, err)
		}
	}
	if _, err := newDepot().class(t, "Test_Warehouse").Key([]cim.Argument{text("City", "Bonn")}); err == nil || !contains(err.Error(), `no key "City"`) {
		t.Errorf("key of a singleton: %v", err)
	}
}

func TestPath(t *testing.T) {
	d := newDepot()
	c := d.class(t, "Test_Box")
	for shelf, want := range map[string]string{
		"A":    `Test_Box.BoxId=7,Shelf="A"`,
		"":     `Test_Box.BoxId=7,Shelf=""`,
		`a"b`:  `Test_Box.BoxId=7,Shelf="a\"b"`,
		`a\b`:  `Test_Box.BoxId=7,Shelf="a\\b"`,
		`\"`:   `Test_Box.BoxId=7,Shelf="\\\""`,
		"a,b=": `Test_Box.BoxId=7,Shelf="a,b="`,
		"été":  `Test_Box.BoxId=7,Shelf="été"`,
	} {
		key, err := c.Key([]cim.Argument{number("BoxId", 7), text("Shelf", shelf)})
		if err != nil || key.Path() != want {
			t.Errorf("%q: %s, %v; want %s", shelf, key.Path(), err, want)
		}
	}
	only, err := d.class(t, "Test_Warehouse").Key(nil)
	if err != nil || only.Path() != "Test_Warehouse=@" {
		t.Errorf("singleton: %s, %v", only.Path(), err)
	}
	largest, err := c.Key([]cim.Argument{number("BoxId", 4294967295), text("Shelf", "A")})
	if err != nil || largest.Path() != `Test_Box.BoxId=4294967295,Shelf="A"` {
		t.Errorf("largest number: %s, %v", largest.Path(), err)
	}
}

func TestGet(t *testing.T) {
	d := newDepot()
	c := d.class(t, "Test_Box")
	i, err := c.Get(t.Context(), boxOne(t, c))
	if err != nil {
		t.Fatal(err)
	}
	if v := i.Value(c.Property("Opened")); v.Datetime().DMTF() != "20260304050607.000008-000" {
		t.Errorf("Opened is %v", v)
	}
	if v := i.Value(c.Property("Sealed")); v.Type() != cim.Boolean || !v.Bool() {
		t.Errorf("Sealed is %v", v)
	}
	if v, ok := i.Value(c.Property("Counts")).Array(); !ok || !slices.Equal(v, []cim.Value{cim.Uint32Value(1), cim.Uint32Value(2)}) {
		t.Errorf("Counts is %v", v)
	}
	if v := i.Value(c.Property("Visits")); !v.IsNull() {
		t.Errorf("an array that is nil is %v", v)
	}
	missing, err := c.Key([]cim.Argument{number("BoxId", 1), text("Shelf", "B")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Get(t.Context(), missing)
	wantStatus(t, "no such box", err, cim.StatusNotFound, "there is no box 1")
	_, err = d.class(t, "Test_Item").Get(t.Context(), missing)
	wantStatus(t, "class that occurs only embedded", err, cim.StatusNotFound, "there is no such Test_Item")
}

func TestPut(t *testing.T) {
	null := cim.Value{}
	for _, c := range []struct {
		what      string
		arguments []cim.Argument
		changed   []string
		status    cim.Status // of the error; 0 for success
		message   string
	}{
		{"nothing", nil, nil, 0, ""},
		{"one property", []cim.Argument{text("LABEL", "new")}, []string{"Label"}, 0, ""},
		{"in the order given", []cim.Argument{number("Weight", 11), text("Label", "new")}, []string{"Weight", "Label"}, 0, ""},
		{"string for a number", []cim.Argument{text("Weight", "11")}, []string{"Weight"}, 0, ""},
		{"number for a string", []cim.Argument{number("Label", 11)}, []string{"Label"}, 0, ""},
		{"NULL clears a string", []cim.Argument{argument("Label", null)}, []string{"Label"}, 0, ""},
		{"NULL clears a datetime", []cim.Argument{argument("Opened", null)}, []string{"Opened"}, 0, ""},
		{"NULL clears an array", []cim.Argument{argument("Tags", null)}, []string{"Tags"}, 0, ""},
		{"the empty string clears", []cim.Argument{text("Label", "")}, []string{"Label"}, 0, ""},
		{"the same value", []cim.Argument{text("Label", "first"), number("Weight", 10), array("Tags", cim.StringValue("x"), cim.StringValue("y"))}, nil, 0, ""},
		{"the same datetime in the other form", []cim.Argument{text("Opened", "2026-03-04T06:06:07.000008+01:00")}, nil, 0, ""},
		{"a scalar for an array", []cim.Argument{text("Tags", "x")}, []string{"Tags"}, 0, ""},
		{"a scalar for an array of datetimes", []cim.Argument{text("Visits", "2036-01-01T00:00:00Z")}, []string{"Visits"}, 0, ""},
		{"read-only with its own value", []cim.Argument{number("BoxId", 1), text("shelf", "A"), text("Color", "0"), text("Size", "small"), text("Label", "new")}, []string{"Label"}, 0, ""},
		{"read-only array with its own value", []cim.Argument{array("Counts", cim.StringValue("1"), cim.Uint32Value(2))}, nil, 0, ""},
		{"read-only with NULL for its zero", []cim.Argument{argument("State", null)}, nil, 0, ""},
		{"read-only with another value", []cim.Argument{text("Label", "new"), text("Size", "large")}, nil, cim.StatusReadOnly, "the property Size of Test_Box is read-only"},
		{"read-only array with another value", []cim.Argument{number("Counts", 1)}, nil, cim.StatusReadOnly, "Counts of Test_Box is read-only"},
		{"another key", []cim.Argument{number("BoxId", 2)}, nil, cim.StatusReadOnly, "BoxId of Test_Box is read-only"},
		{"NULL key", []cim.Argument{argument("BoxId", null)}, nil, cim.StatusReadOnly, "BoxId of Test_Box is read-only"},
		{"twice", []cim.Argument{text("Label", "new"), text("label", "new")}, nil, cim.StatusInvalidParameter, "the property Label was given twice"},
		{"unknown", []cim.Argument{text("Colour", "1")}, nil, cim.StatusInvalidParameter, `Test_Box has no property "Colour"`},
		{"without a tag", []cim.Argument{text("Private", "1")}, nil, cim.StatusInvalidParameter, `no property "Private"`},
		{"mistyped", []cim.Argument{text("Weight", "heavy")}, nil, cim.StatusTypeMismatch, "the property Weight of Test_Box must be a uint32"},
		{"mistyped element", []cim.Argument{array("Visits", cim.StringValue("2036-01-01T00:00:00Z"), cim.StringValue("x"))}, nil, cim.StatusTypeMismatch, "must be a datetime"},
		{"a scalar given twice", []cim.Argument{array("Label", cim.StringValue("a"), cim.StringValue("b"))}, nil, cim.StatusTypeMismatch, "must be given once: it is not an array"},
	} {
		d := newDepot()
		class := d.class(t, "Test_Box")
		before := d.boxes[boxKey{1, "A"}]
		i, err := class.Put(t.Context(), boxOne(t, class), c.arguments)
		if c.status != 0 {
			wantStatus(t, c.what, err, c.status, c.message)
			if i.Class != nil || d.changed != nil || d.boxes[boxKey{1, "A"}].Label != before.Label {
				t.Errorf("%s: something was written", c.what)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if !slices.Equal(d.changed, c.changed) {
			t.Errorf("%s: changed %v, want %v", c.what, d.changed, c.changed)
		}
		for _, a := range c.arguments {
			p := class.Property(a.Name)
			want := a.Value
			if !p.Array && p.Type == cim.String && want.IsNull() {
				want = cim.StringValue("") // strings are cleared, not NULL
			}
			if p.Array || p.Type == cim.DatetimeType || p.Name == "State" {
				continue // checked by hand below
			}
			if want, err := want.Convert(p.Type); err != nil || i.Value(p) != want {
				t.Errorf("%s: %s is %v, want %v", c.what, p.Name, i.Value(p), want)
			}
		}
		switch c.what {
		case "NULL clears a datetime":
			if !i.Value(class.Property("Opened")).IsNull() {
				t.Error("Opened is not NULL")
			}
		case "NULL clears an array":
			if !i.Value(class.Property("Tags")).IsNull() {
				t.Error("Tags is not NULL")
			}
		case "a scalar for an array":
			if tags, _ := i.Value(class.Property("Tags")).Array(); !slices.Equal(tags, []cim.Value{cim.StringValue("x")}) {
				t.Errorf("Tags is %v", tags)
			}
		case "a scalar for an array of datetimes":
			if visits, _ := i.Value(class.Property("Visits")).Array(); len(visits) != 1 || visits[0].Datetime().DMTF() != "20360101000000.000000-000" {
				t.Errorf("Visits is %v", visits)
			}
		}
		if !slices.Equal(before.Tags, []string{"x", "y"}) {
			t.Errorf("%s: the old instance was written to", c.what)
		}
	}
}

func TestPutErrors(t *testing.T) {
	d := newDepot()
	c := d.class(t, "Test_Box")
	missing, err := c.Key([]cim.Argument{number("BoxId", 9), text("Shelf", "A")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Put(t.Context(), missing, []cim.Argument{text("Label", "new")})
	wantStatus(t, "no such box", err, cim.StatusNotFound, "there is no box 9")
	d.fail["Put"] = errTooHeavy
	if _, err := c.Put(t.Context(), boxOne(t, c), []cim.Argument{text("Label", "new")}); !errors.Is(err, errTooHeavy) {
		t.Errorf("an error of put: %v", err)
	}
	items := d.class(t, "Test_Item")
	key, err := items.Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = items.Put(t.Context(), key, nil)
	wantStatus(t, "class that cannot be written", err, cim.StatusProviderNotCapable, "instances of Test_Item cannot be written")
	w := d.class(t, "Test_Warehouse")
	if key, err = w.Key(nil); err != nil {
		t.Fatal(err)
	}
	if i, err := w.Put(t.Context(), key, []cim.Argument{text("city", "Ulm")}); err != nil || i.Value(w.Property("City")).Text() != "Ulm" {
		t.Errorf("singleton: %v, %v", i, err)
	}
}
