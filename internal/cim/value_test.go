package cim_test

import (
	"testing"

	"pgregory.net/rapid"

	"calkeeper/internal/cim"
)

func TestConvert(t *testing.T) {
	date, err := cim.ParseDatetime("20360101000000.000000-000")
	if err != nil {
		t.Fatal(err)
	}
	number, text, truth := cim.Uint32Value, cim.StringValue, cim.BooleanValue
	for _, c := range []struct {
		what  string
		value cim.Value
		to    cim.Type
		want  cim.Value
		err   string
	}{
		{"number to string", number(1234567), cim.String, text("1234567"), ""},
		{"largest number to string", number(4294967295), cim.String, text("4294967295"), ""},
		{"string to number", text("17"), cim.Uint32, number(17), ""},
		{"largest string to number", text("4294967295"), cim.Uint32, number(4294967295), ""},
		{"spaced string to number", text(" 17\r\n"), cim.Uint32, number(17), ""},
		{"2^32 to number", text("4294967296"), cim.Uint32, cim.Value{}, "a whole number from 0 to 4294967295"},
		{"negative to number", text("-1"), cim.Uint32, cim.Value{}, "must be a uint32"},
		{"hexadecimal to number", text("0x10"), cim.Uint32, cim.Value{}, "must be a uint32"},
		{"empty to number", text(""), cim.Uint32, cim.Value{}, "must be a uint32"},
		{"words to number", text("five"), cim.Uint32, cim.Value{}, "must be a uint32"},
		{"boolean to number", truth(true), cim.Uint32, cim.Value{}, "must be a uint32"},
		{"true", text("true"), cim.Boolean, truth(true), ""},
		{"TRUE", text("TRUE"), cim.Boolean, truth(true), ""},
		{"1", text("1"), cim.Boolean, truth(true), ""},
		{"False", text(" False "), cim.Boolean, truth(false), ""},
		{"0", text("0"), cim.Boolean, truth(false), ""},
		{"yes", text("yes"), cim.Boolean, cim.Value{}, "true or false"},
		{"boolean to string", truth(true), cim.String, text("true"), ""},
		{"boolean to string", truth(false), cim.String, text("false"), ""},
		{"DMTF", text("20360101000000.000000-000"), cim.DatetimeType, cim.DatetimeValue(date), ""},
		{"xs:dateTime", text("2036-01-01T01:00:00+01:00"), cim.DatetimeType, cim.DatetimeValue(date), ""},
		{"words to datetime", text("tomorrow"), cim.DatetimeType, cim.Value{}, "must be a datetime"},
		{"number to datetime", number(20360101), cim.DatetimeType, cim.Value{}, "must be a datetime"},
		{"datetime to string", cim.DatetimeValue(date), cim.String, cim.Value{}, "must be a string"},
		{"array to string", cim.ArrayValue([]cim.Value{text("x")}), cim.String, cim.Value{}, "must be a string"},
		{"string to object", text("x"), cim.Object, cim.Value{}, "object"},
		{"NULL", cim.Value{}, cim.Uint32, cim.Value{}, ""},
		{"string to string keeps its spaces", text(" x "), cim.String, text(" x "), ""},
	} {
		got, err := c.value.Convert(c.to)
		if c.err != "" {
			if err == nil || !contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %q", c.what, err, c.err)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", c.what, got, err, c.want)
		}
	}
}

func TestConvertDoesNotRepeatTheValue(t *testing.T) {
	for _, to := range []cim.Type{cim.Uint32, cim.Boolean, cim.DatetimeType, cim.Object} {
		if _, err := cim.StringValue("SECRET").Convert(to); err == nil || contains(err.Error(), "SECRET") {
			t.Errorf("conversion to %s: %v", to, err)
		}
	}
}

func TestNumbersSurviveBeingStrings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := cim.Uint32Value(rapid.Uint32().Draw(t, "n"))
		s, err := n.Convert(cim.String)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := s.Convert(cim.Uint32); err != nil || back != n {
			t.Fatalf("%v, %v; want %v", back, err, n)
		}
	})
}

func TestAccessorsOfOtherTypes(t *testing.T) {
	d := newDepot()
	i := boxOne(t, d.class(t, "Test_Box"))
	date, err := cim.ParseDatetime("2036-01-01T00:00:00Z")
	if err != nil {
		t.Fatal(err)
	}
	array := cim.ArrayValue([]cim.Value{cim.Uint32Value(1)})
	for _, c := range []struct {
		value cim.Value
		typ   cim.Type
		null  bool
	}{
		{cim.StringValue(""), cim.String, false},
		{cim.Uint32Value(0), cim.Uint32, false},
		{cim.BooleanValue(false), cim.Boolean, false},
		{cim.DatetimeValue(date), cim.DatetimeType, false},
		{cim.DatetimeValue(cim.Datetime{}), 0, true},
		{cim.ObjectValue(i), cim.Object, false},
		{array, 0, false},
		{cim.ArrayValue([]cim.Value{}), 0, false},
		{cim.Value{}, 0, true},
	} {
		if c.value.Type() != c.typ || c.value.IsNull() != c.null {
			t.Errorf("%v: type %s, NULL %v", c.value, c.value.Type(), c.value.IsNull())
		}
	}
	one := cim.Uint32Value(1)
	if one.Bool() || one.Text() != "" || !one.Datetime().IsZero() {
		t.Error("a number has a truth, a text or a datetime")
	}
	if _, ok := one.Array(); ok {
		t.Error("a number is an array")
	}
	if _, ok := one.Object(); ok {
		t.Error("a number is an object")
	}
	if elements, ok := array.Array(); !ok || len(elements) != 1 || elements[0] != one {
		t.Errorf("elements %v, %v", elements, ok)
	}
	if o, ok := cim.ObjectValue(i).Object(); !ok || o.Path() != i.Path() {
		t.Errorf("object %v, %v", o, ok)
	}
	if cim.Uint32Value(7).Uint32() != 7 || !cim.BooleanValue(true).Bool() || cim.StringValue("x").Text() != "x" || cim.DatetimeValue(date).Datetime() != date {
		t.Error("a value is not what was put in")
	}
}

func TestNamesOfTypesAndStatuses(t *testing.T) {
	for typ, want := range map[cim.Type]string{
		cim.String: "string", cim.Uint32: "uint32", cim.Boolean: "boolean", cim.DatetimeType: "datetime", cim.Object: "object", 0: "invalid",
	} {
		if typ.String() != want {
			t.Errorf("%d is %s, want %s", typ, typ, want)
		}
	}
	for status, want := range map[cim.Status]string{
		cim.StatusOK: "WBEM_S_NO_ERROR", cim.StatusInvalidQuery: "WBEM_E_INVALID_QUERY", 0x80041099: "0x80041099", 1: "0x00000001",
	} {
		if status.String() != want {
			t.Errorf("%d is %s, want %s", uint32(status), status, want)
		}
	}
}
