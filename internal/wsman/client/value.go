package client

import (
	"strconv"
	"strings"
	"time"

	"calkeeper/internal/cim"
)

// Value is a value with the name of its key, property or parameter: one of text, datetime, NULL, embedded instance, or an
// array of these. Numbers and booleans are text, as they are on the wire. The zero Value is NULL and has no name.
type Value struct {
	Name string

	kind     kind
	text     string    // of text and time
	wrapper  string    // of time: the element that says which sort it is, such as Datetime or Interval
	elements []Value   // of an array
	object   *Instance // of an embedded instance
}

type kind uint8

const (
	null kind = iota
	text
	datetime
	array
	object
)

// Null returns NULL under a name.
func Null(name string) Value { return Value{Name: name} }

// Text returns text under a name. It also serves for types that have no function of their own, in the text form of
// XML Schema.
func Text(name, s string) Value { return Value{Name: name, kind: text, text: s} }

// Uint32 returns a number under a name.
func Uint32(name string, n uint32) Value { return Text(name, strconv.FormatUint(uint64(n), 10)) }

// Bool returns a truth value under a name.
func Bool(name string, b bool) Value { return Text(name, strconv.FormatBool(b)) }

// Time returns a point in time, cut to the microsecond, under a name; the zero time is NULL.
func Time(name string, t time.Time) Value {
	if t.IsZero() {
		return Null(name)
	}
	return Value{Name: name, kind: datetime, text: cim.NewDatetime(t).XML(), wrapper: "Datetime"}
}

// Array returns an array under a name; the names of the elements do not matter. WS-Management cannot tell an array of one
// element from that element, and does not carry an empty one.
func Array(name string, elements ...Value) Value {
	return Value{Name: name, kind: array, elements: elements}
}

// Object returns an embedded instance under a name. Its Class must be set.
func Object(name string, i Instance) Value { return Value{Name: name, kind: object, object: &i} }

// IsNull tells whether the value is NULL.
func (v Value) IsNull() bool { return v.kind == null }

// Text returns the text of a scalar, that of a datetime in the form the server sent it, usually 2036-01-01T00:00:00Z. It is
// empty for everything else.
func (v Value) Text() string { return v.text }

// Elements returns the elements of an array, a scalar or embedded instance as the only one, and none for NULL.
func (v Value) Elements() []Value {
	switch v.kind {
	case null:
		return nil
	case array:
		return v.elements
	}
	return []Value{v}
}

// Object returns the embedded instance, and whether the value is one.
func (v Value) Object() (Instance, bool) {
	if v.kind != object {
		return Instance{}, false
	}
	return *v.object, true
}

// Uint32 returns the number, and whether the value is one from 0 to 4294967295.
func (v Value) Uint32() (uint32, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(v.text), 10, 32)
	return uint32(n), err == nil
}

// Bool returns the truth value, and whether the value is one: true, false, 1 or 0, in any case.
func (v Value) Bool() (value, ok bool) {
	switch strings.ToLower(strings.TrimSpace(v.text)) {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	return false, false
}

// Time returns the instant in UTC, and whether the value is a point in time, in the form of XML Schema or of DMTF.
func (v Value) Time() (time.Time, bool) {
	d, err := cim.ParseDatetime(strings.TrimSpace(v.text))
	return d.Time(), err == nil
}

// Instance is an instance of a class as the server sent it, or the output of a method. Its strings share the memory of the
// whole reply.
type Instance struct {
	// Class is the name of the class. The server says it, except for the fragments that answer a projecting query
	// (select A,B), where it is the class given to [Client.Enumerate].
	Class string
	// ResourceURI is the namespace of the properties in the reply; empty for a fragment. An Instance to be sent needs none.
	ResourceURI string
	// Values are the properties in the order in which they came. A repeated property is one array.
	Values []Value
}

// Value returns the property of that name, in any case, and whether there is one.
func (i Instance) Value(name string) (Value, bool) {
	for _, v := range i.Values {
		if strings.EqualFold(v.Name, name) {
			return v, true
		}
	}
	return Value{}, false
}

// Text returns the text of a property; it is empty if there is none of that name, or if it is NULL or no scalar.
func (i Instance) Text(name string) string {
	v, _ := i.Value(name)
	return v.Text()
}

// Uint32 returns the number in a property, and whether there is one from 0 to 4294967295.
func (i Instance) Uint32(name string) (uint32, bool) {
	v, _ := i.Value(name)
	return v.Uint32()
}

// Bool returns the truth value in a property, and whether there is one.
func (i Instance) Bool(name string) (value, ok bool) {
	v, _ := i.Value(name)
	return v.Bool()
}

// Time returns the instant in a property, in UTC, and whether there is one.
func (i Instance) Time(name string) (time.Time, bool) {
	v, _ := i.Value(name)
	return v.Time()
}
