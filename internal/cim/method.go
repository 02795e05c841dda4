package cim

import (
	"context"
	"errors"
	"reflect"
	"strings"
)

// Output is one output parameter of a method call.
type Output struct {
	Parameter *Parameter
	Value     Value // NULL when the method did not succeed, unless it kept them: see KeepOutputs
}

// Invoke calls a method: on the class if it is static, else on the instance that self names by its keys. A static method
// may be called with a self as well, which is then ignored; an instance method without one gives a *KeyError.
//
// Whether the caller may is asked first. Arguments that are missing, unknown, mistyped or given twice are refused with an *Error, as is whatever the method itself
// refuses that way. Every other error of the method becomes its return value, and its outputs are then NULL (see
// KeepOutputs).
func (c *Class) Invoke(ctx context.Context, m *Method, self *Instance, arguments []Argument) (returnValue uint32, out []Output, err error) {
	if err := c.authorize(ctx, Operation{Class: c, Method: m}); err != nil {
		return 0, nil, err
	}
	in := reflect.New(m.in).Elem()
	if err := m.bind(in, arguments); err != nil {
		return 0, nil, err
	}
	var receiver reflect.Value
	if !m.Static {
		if self == nil {
			for _, key := range c.Keys() {
				return 0, nil, &KeyError{Class: c.Name, Missing: key.Name}
			}
			return 0, nil, Errorf(StatusInvalidObjectPath, "%s is called on an instance of %s", m.Name, c.Name)
		}
		found, err := c.read(ctx, *self)
		if err != nil {
			return 0, nil, err
		}
		receiver = found.v
	}
	result, callErr := m.call(ctx, receiver, in)
	var refused *Error
	if errors.As(callErr, &refused) {
		return 0, nil, refused
	}
	// Asked even on success: an informational code such as LSERVER_I_NO_MORE_DATA is not zero either.
	returnValue = c.returnValue(ctx, m.Name, callErr)
	for i := range m.Parameters {
		p := &m.Parameters[i]
		if !p.Out {
			continue
		}
		o := Output{Parameter: p}
		if callErr == nil || isType[*outputsKept](callErr) {
			o.Value = fieldValue(&p.Field, result.FieldByIndex(p.outIndex))
		}
		out = append(out, o)
	}
	return returnValue, out, nil
}

// KeepOutputs marks an error of a method whose outputs mean something beside it, as those of Win32_TSIssuedLicense.Revoke do.
func KeepOutputs(err error) error {
	if err == nil {
		return nil
	}
	return &outputsKept{err}
}

type outputsKept struct{ error }

func (e *outputsKept) Unwrap() error { return e.error }

func isType[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// Parameter returns the parameter of that name, in any case, or nil.
func (m *Method) Parameter(name string) *Parameter {
	for i := range m.Parameters {
		if strings.EqualFold(m.Parameters[i].Name, name) {
			return &m.Parameters[i]
		}
	}
	return nil
}

func (m *Method) bind(in reflect.Value, arguments []Argument) error {
	given := map[*Parameter]bool{}
	for _, a := range arguments {
		p := m.Parameter(a.Name)
		if p == nil || !p.In {
			return Errorf(StatusInvalidMethodParameters, "%s has no input parameter %q; it takes %s", m.Name, a.Name, m.signature())
		}
		if given[p] {
			return Errorf(StatusInvalidMethodParameters, "the argument %s of %s was given twice", p.Name, m.Name)
		}
		given[p] = true
		if a.Value.IsNull() && p.Optional {
			continue
		}
		if a.Value.IsNull() {
			return Errorf(StatusInvalidMethodParameters, "the argument %s of %s cannot be NULL", p.Name, m.Name)
		}
		if err := setField(&p.Field, in.FieldByIndex(p.index), a.Value); err != nil {
			return Errorf(StatusInvalidMethodParameters, "the argument %s of %s %v", p.Name, m.Name, err)
		}
	}
	for i := range m.Parameters {
		if p := &m.Parameters[i]; p.In && !p.Optional && !given[p] {
			return Errorf(StatusInvalidMethodParameters, "the argument %s of %s is missing; it takes %s", p.Name, m.Name, m.signature())
		}
	}
	return nil
}

func (m *Method) signature() string {
	var names []string
	for _, p := range m.Parameters {
		if p.In {
			names = append(names, p.Name)
		}
	}
	if len(names) == 0 {
		return "no arguments"
	}
	return strings.Join(names, ", ")
}
