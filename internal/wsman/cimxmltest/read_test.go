package cimxmltest_test

import (
	"reflect"
	"strings"
	"testing"

	"calkeeper/internal/cim"
	"calkeeper/internal/wsman/cimxmltest"
)

const class = `<CLASS NAME="A" SUPERCLASS="B" DERIVATION="B,C"><QUALIFIER NAME="provider" TYPE="string"><VALUE>P</VALUE></QUALIFIER>` +
	`<PROPERTY NAME="p" TYPE="uint32" CLASSORIGIN="A"><QUALIFIER NAME="KEY" TYPE="boolean" OVERRIDABLE="false"><VALUE>true</VALUE></QUALIFIER></PROPERTY>` +
	`<PROPERTY.ARRAY NAME="q" TYPE="string"></PROPERTY.ARRAY>` +
	`<METHOD NAME="M" TYPE="uint32"><PARAMETER.ARRAY NAME="p" TYPE="string"><QUALIFIER NAME="EmbeddedInstance" TYPE="string"><VALUE>E</VALUE></QUALIFIER>` +
	`<QUALIFIER NAME="Values" TYPE="string" TRANSLATABLE="true" TOSUBCLASS="false"><VALUE.ARRAY><VALUE>x</VALUE><VALUE></VALUE></VALUE.ARRAY></QUALIFIER>` +
	`</PARAMETER.ARRAY></METHOD></CLASS>`

func TestRead(t *testing.T) {
	got, err := cimxmltest.Read([]byte(`<s:Body xmlns:s="u">` + class + `<w/>` + class + `</s:Body>`))
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	key := cim.Qualifier{Name: "KEY", Type: "boolean", Values: []string{"true"}, Flavor: cim.Flavor{DisableOverride: true}}
	values := cim.Qualifier{Name: "Values", Type: "string", Array: true, Values: []string{"x", ""}, Flavor: cim.Flavor{Restricted: true, Translatable: true}}
	embedded := cim.Qualifier{Name: "EmbeddedInstance", Type: "string", Values: []string{"E"}}
	want := cimxmltest.Class{
		Name: "A", Superclass: "B", Derivation: []string{"B", "C"},
		Qualifiers: []cim.Qualifier{{Name: "provider", Type: "string", Values: []string{"P"}}},
		Properties: []cimxmltest.Element{{Name: "p", Type: "uint32", Origin: "A", Qualifiers: []cim.Qualifier{key}}, {Name: "q", Type: "string", Array: true}},
		Methods: []cimxmltest.Method{{
			Element:    cimxmltest.Element{Name: "M", Type: "uint32"},
			Parameters: []cimxmltest.Element{{Name: "p", Type: "instance", Array: true, Embedded: "E", Qualifiers: []cim.Qualifier{embedded, values}}},
		}},
	}
	for _, c := range got {
		if !reflect.DeepEqual(c, want) {
			t.Errorf("got\n%+v, want\n%+v", c, want)
		}
	}
}

// TestReadRefuses changes the class above in one place each.
func TestReadRefuses(t *testing.T) {
	for _, c := range []struct{ old, new, message string }{
		{` DERIVATION="B,C"`, ` DERIVATION="C,B"`, "the superclass is"},
		{` SUPERCLASS="B"`, ``, "the superclass is"},
		{` DERIVATION="B,C"`, ` xml:lang="en"`, "CLASS has the attribute"},
		{`CLASS NAME="A"`, `CLASS`, "CLASS has no NAME"},
		{`<CLASS NAME="A"`, `<CLASS xmlns="u" NAME="A"`, "is no element of a class"},
		{`<METHOD NAME="M" TYPE="uint32">`, `<METHOD NAME="M" TYPE="uint32"></METHOD><PROPERTY NAME="r" TYPE="string"></PROPERTY><METHOD NAME="M" TYPE="uint32">`, "CLASS A contains"},
		{`<METHOD NAME="M" TYPE="uint32">`, `<METHOD NAME="M" TYPE="uint32"><VALUE></VALUE>`, "METHOD M contains"},
		{`PROPERTY.ARRAY`, `PROPERTY.REFERENCE`, "is no element of a class"},
		{`<VALUE>P</VALUE>`, ``, "QUALIFIER provider contains"},
		{`<VALUE>P</VALUE>`, `<VALUE>P</VALUE><VALUE>P</VALUE>`, "QUALIFIER provider contains"},
		{`<VALUE>P</VALUE>`, `<VALUE><VALUE>P</VALUE></VALUE>`, "VALUE"},
		{`<VALUE>P</VALUE>`, `P<VALUE>P</VALUE>`, "contains text"},
		{`NAME="KEY" TYPE="boolean"`, `TYPE="boolean" NAME="KEY"`, "NAME is not the first attribute"},
		{`OVERRIDABLE="false"`, `OVERRIDABLE="no"`, `has OVERRIDABLE="no"`},
		{`OVERRIDABLE="false"`, `OVERRIDABLE="false" OVERRIDABLE="false"`, "attribute"},
		{`<VALUE>true</VALUE>`, `<VALUE>TRUE</VALUE>`, "no boolean"},
		{`NAME="KEY" TYPE="boolean"`, `NAME="KEY" TYPE="sint32"`, "invalid syntax"},
		{`NAME="KEY" TYPE="boolean"`, `NAME="KEY" TYPE="uint32"`, "a value of type uint32"},
		{`<PROPERTY NAME="p" TYPE="uint32"`, `<PROPERTY NAME="p" TYPE="object"`, `has the type "object"`},
		{`<PROPERTY NAME="p" TYPE="uint32"`, `<PROPERTY NAME="p"`, "PROPERTY has no TYPE"},
		{`<PROPERTY.ARRAY NAME="q"`, `<PROPERTY.ARRAY NAME="P"`, "P stands twice"},
		{`NAME="Values"`, `NAME="embeddedinstance"`, "stands twice"},
		{`<PARAMETER.ARRAY NAME="p" TYPE="string"`, `<PARAMETER.ARRAY NAME="p" TYPE="uint8"`, "the embedded p is a uint8"},
		{`<PARAMETER.ARRAY NAME="p" TYPE="string">`, `<PARAMETER NAME="P" TYPE="string"></PARAMETER><PARAMETER.ARRAY NAME="p" TYPE="string">`, "p stands twice"},
		{`</METHOD>`, ``, "syntax error"},
	} {
		text := strings.Replace(class, c.old, c.new, -1)
		if text == class {
			t.Fatalf("%s is not there", c.old)
		}
		if got, err := cimxmltest.Read([]byte(text)); err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %+v, %v; want %q", c.new, got, err, c.message)
		}
	}
}

// TestValues rebuilds tables that are wrong.
func TestValues(t *testing.T) {
	list := func(name string, values ...string) cim.Qualifier {
		return cim.Qualifier{Name: name, Type: "string", Array: true, Values: values}
	}
	for message, qualifiers := range map[string][]cim.Qualifier{
		"2 values have 1 names": {list("ValueMap", "0", "1"), list("Values", "a")},
		"0 values have 1 names": {list("Values", "a")},
		"1 values have 0 names": {list("BitMap", "0")},
		"both values and bits":  {list("BitMap", "0"), list("BitValues", "a"), list("ValueMap", "0")},
	} {
		if got, err := cimxmltest.Values(&cimxmltest.Element{Qualifiers: qualifiers}); err == nil || err.Error() != message {
			t.Errorf("%+v, %v; want %s", got, err, message)
		}
	}
}
