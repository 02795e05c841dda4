package cim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Type is the CIM type of a property or parameter (DSP0004, 5.2.2): those that the classes here use.
type Type uint8

// The CIM types.
const (
	String Type = iota + 1
	Uint32
	Boolean
	DatetimeType
	Object // an embedded instance
)

// String returns the type's name in MOF.
func (t Type) String() string {
	switch t {
	case String:
		return "string"
	case Uint32:
		return "uint32"
	case Boolean:
		return "boolean"
	case DatetimeType:
		return "datetime"
	case Object:
		return "object"
	}
	return "invalid"
}

// Value is one CIM value: a scalar, an array, or NULL. The zero Value is NULL.
type Value struct {
	typ Type
	num uint64 // a number, a truth value, or the microseconds of a datetime since 1970
	str string
	ref any // Instance or []Value
}

// StringValue returns s as a value.
func StringValue(s string) Value { return Value{typ: String, str: s} }

// Uint32Value returns n as a value.
func Uint32Value(n uint32) Value { return Value{typ: Uint32, num: uint64(n)} }

// BooleanValue returns b as a value.
func BooleanValue(b bool) Value {
	if b {
		return Value{typ: Boolean, num: 1}
	}
	return Value{typ: Boolean}
}

// DatetimeValue returns d as a value; the zero Datetime is NULL.
func DatetimeValue(d Datetime) Value {
	if d.IsZero() {
		return Value{}
	}
	return Value{typ: DatetimeType, num: uint64(d.t.UnixMicro())}
}

// ObjectValue returns an embedded instance as a value.
func ObjectValue(i Instance) Value { return Value{typ: Object, ref: i} }

// ArrayValue returns an array; its elements are not copied.
func ArrayValue(elements []Value) Value { return Value{ref: elements} }

// IsNull tells whether the value is NULL.
func (v Value) IsNull() bool { return v.typ == 0 && v.ref == nil }

// Type returns the type of a scalar, and 0 for NULL and arrays.
func (v Value) Type() Type { return v.typ }

// Array returns the elements, and whether the value is an array.
func (v Value) Array() ([]Value, bool) {
	a, ok := v.ref.([]Value)
	return a, ok
}

// Text returns the string of a String value, else the empty string.
func (v Value) Text() string { return v.str }

// Uint32 returns the number of a Uint32 value, else 0.
func (v Value) Uint32() uint32 {
	if v.typ != Uint32 {
		return 0
	}
	return uint32(v.num)
}

// Bool returns the truth of a Boolean value, else false.
func (v Value) Bool() bool { return v.typ == Boolean && v.num == 1 }

// Datetime returns the instant of a datetime value, else the zero Datetime.
func (v Value) Datetime() Datetime {
	if v.typ != DatetimeType {
		return Datetime{}
	}
	return NewDatetime(time.UnixMicro(int64(v.num)))
}

// Object returns the embedded instance of an Object value, and whether it is one.
func (v Value) Object() (Instance, bool) {
	i, ok := v.ref.(Instance)
	return i, ok
}

// Convert returns the scalar v as type t, the way WMI scripts expect: a number serves where a string is declared, a string
// of digits where a number is. NULL stays NULL. The error says what would be right; it never repeats the value, which may
// be a license code.
func (v Value) Convert(t Type) (Value, error) {
	if v.IsNull() || v.typ == t {
		return v, nil
	}
	if v.typ == String {
		return parse(strings.Trim(v.str, " \t\r\n"), t)
	}
	if t == String && v.typ == Uint32 {
		return StringValue(strconv.FormatUint(v.num, 10)), nil
	}
	if t == String && v.typ == Boolean {
		return StringValue(strconv.FormatBool(v.num == 1)), nil
	}
	return Value{}, fmt.Errorf("must be a %s", t)
}

func parse(s string, t Type) (Value, error) {
	switch t {
	case Uint32:
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return Value{}, fmt.Errorf("must be a uint32: a whole number from 0 to 4294967295")
		}
		return Uint32Value(uint32(n)), nil
	case Boolean:
		switch strings.ToLower(s) {
		case "true", "1":
			return BooleanValue(true), nil
		case "false", "0":
			return BooleanValue(false), nil
		}
		return Value{}, fmt.Errorf("must be a boolean: true or false")
	case DatetimeType:
		d, err := ParseDatetime(s)
		if err != nil {
			return Value{}, err
		}
		return DatetimeValue(d), nil
	}
	return Value{}, fmt.Errorf("must be a %s", t)
}
