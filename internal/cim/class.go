package cim

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"strings"
)

// Field is what properties and parameters have in common.
type Field struct {
	Name     string
	Type     Type
	Array    bool
	Embedded *Class // the class of an Object, else nil
	Values   ValueTable

	index []int // of the Go struct field
}

// TypeName returns the type as MOF and the documentation write it: the class name for an embedded instance.
func (f *Field) TypeName() string {
	if f.Embedded != nil {
		return f.Embedded.Name
	}
	return f.Type.String()
}

// ValueTable names the values that a field can have: ValueMap and Values, or BitMap and BitValues (DSP0004, 5.6.3).
type ValueTable struct {
	Entries []ValueEntry
	Bits    bool // the entries name bits, counted from 0
}

// ValueEntry is one row of a ValueTable. Map is empty for a string field whose values name themselves.
type ValueEntry struct{ Map, Name string }

// Valued is a field type that knows its table of values.
type Valued interface{ CIMValues() ValueTable }

// Property is a property of a class.
type Property struct {
	Field
	Key        bool
	Write      bool
	Deprecated bool

	optional bool // of a field that is an input parameter
}

// Parameter is a parameter of a method. One that is both In and Out stands once.
type Parameter struct {
	Field
	In, Out  bool
	Optional bool // an input that may be missing or NULL: the method then gets the zero value

	position int   // among the method's parameters, from 0
	outIndex []int // of the field in the output struct; index is of the input struct
}

// Method is a method of a class. Its own result is always the uint32 ReturnValue.
type Method struct {
	Name       string
	Static     bool
	Parameters []Parameter

	in, out reflect.Type
	call    func(ctx context.Context, self, in reflect.Value) (reflect.Value, error)
}

// Class is the metadata of one CIM class with the functions that serve it. Classes do not change after Define.
type Class struct {
	Name       string
	Provider   string // the provider qualifier; empty for a class that occurs only embedded
	Singleton  bool
	Properties []Property
	Methods    []Method

	properties map[string]*Property // by lower-case name
	methods    map[string]*Method
	goType     reflect.Type

	authorize   func(ctx context.Context, o Operation) error
	get         func(ctx context.Context, key reflect.Value) (reflect.Value, error)
	enumerate   func(ctx context.Context) iter.Seq2[reflect.Value, error]
	put         func(ctx context.Context, v reflect.Value, changed []string) error
	returnValue func(context.Context, string, error) uint32
}

// Property returns the property of that name, in any case, or nil.
func (c *Class) Property(name string) *Property { return c.properties[strings.ToLower(name)] }

// Method returns the method of that name, in any case, or nil.
func (c *Class) Method(name string) *Method { return c.methods[strings.ToLower(name)] }

// Keys returns the key properties in order of declaration.
func (c *Class) Keys() []*Property {
	var keys []*Property
	for i := range c.Properties {
		if c.Properties[i].Key {
			keys = append(keys, &c.Properties[i])
		}
	}
	return keys
}

// Argument is a named value from outside: a method argument, a key, or a property to write.
type Argument struct {
	Name  string
	Value Value
}

// Instance is one instance of a class, or the class itself: in WMI both are objects, and a class is one whose properties are
// NULL.
type Instance struct {
	Class  *Class
	v      reflect.Value // the struct; invalid for the class itself
	fields []any         // as Fields returns them
}

// IsClass tells whether the instance is the class itself.
func (i Instance) IsClass() bool { return !i.v.IsValid() }

// Value returns the value of a property of the instance's class.
func (i Instance) Value(p *Property) Value {
	if i.IsClass() {
		return Value{}
	}
	return fieldValue(&p.Field, i.v.FieldByIndex(p.index))
}

// Fields returns, for an instance that Instances yields, pointers to the values of its properties in their order: *string,
// *uint32, *bool or *Datetime, nil for an array. They are for who writes many whole instances and saves the detour by Value;
// nothing may be written to them. For any other instance Fields returns nil.
func (i Instance) Fields() []any { return i.fields }

// fieldsOf returns the pointers for the struct v.
func (c *Class) fieldsOf(v reflect.Value) []any {
	fields := make([]any, len(c.Properties))
	for n := range c.Properties {
		p := &c.Properties[n]
		if p.Array || scalarTypes[p.Type] == nil {
			continue
		}
		// A type made from string is no string, but a pointer to one converts.
		fields[n] = v.FieldByIndex(p.index).Addr().Convert(scalarTypes[p.Type]).Interface()
	}
	return fields
}

// Path returns the object path relative to the namespace: Class.Key=1,Other="text", or Class=@ for a singleton, or the name of
// a class itself (WMI, "Describing the Location of a WMI Object").
func (i Instance) Path() string {
	if i.IsClass() {
		return i.Class.Name
	}
	if i.Class.Singleton {
		return i.Class.Name + "=@"
	}
	var b strings.Builder
	b.WriteString(i.Class.Name)
	for n, key := range i.Class.Keys() {
		b.WriteString([]string{".", ","}[min(n, 1)])
		b.WriteString(key.Name)
		b.WriteByte('=')
		v := i.Value(key)
		if v.Type() == Uint32 {
			fmt.Fprint(&b, v.Uint32())
		} else {
			b.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v.Text()) + `"`)
		}
	}
	return b.String()
}

// Key builds from arguments an instance that has only its keys set, to be given to Get, Put or Invoke. A missing or unknown
// name gives a *KeyError, a mistyped value an *Error.
func (c *Class) Key(arguments []Argument) (Instance, error) {
	key := Instance{Class: c, v: reflect.New(c.goType).Elem()}
	given := map[*Property]bool{}
	for _, a := range arguments {
		p := c.Property(a.Name)
		if p == nil || !p.Key {
			return Instance{}, &KeyError{Class: c.Name, Unexpected: a.Name}
		}
		if given[p] {
			return Instance{}, Errorf(StatusInvalidParameter, "the key %s of %s was given twice", p.Name, c.Name)
		}
		given[p] = true
		if a.Value.IsNull() {
			return Instance{}, Errorf(StatusIllegalNull, "the key %s of %s cannot be NULL", p.Name, c.Name)
		}
		if err := setField(&p.Field, key.v.FieldByIndex(p.index), a.Value); err != nil {
			return Instance{}, Errorf(StatusTypeMismatch, "the key %s of %s %v", p.Name, c.Name, err)
		}
	}
	for _, p := range c.Keys() {
		if !given[p] {
			return Instance{}, &KeyError{Class: c.Name, Missing: p.Name}
		}
	}
	return key, nil
}

// Operation is what a caller wants of a class: reading it, if nothing else is said.
type Operation struct {
	Class  *Class
	Put    bool    // writing an instance
	Method *Method // calling this method
}

// Get reads the instance that key names. A class that occurs only embedded has none of its own, so that none is found.
func (c *Class) Get(ctx context.Context, key Instance) (Instance, error) {
	if err := c.authorize(ctx, Operation{Class: c}); err != nil {
		return Instance{}, err
	}
	return c.read(ctx, key)
}

// read is Get for an operation that was authorized.
func (c *Class) read(ctx context.Context, key Instance) (Instance, error) {
	if c.get == nil && c.enumerate == nil {
		return Instance{}, Errorf(StatusNotFound, "there is no such %s: its instances occur only in the answers of methods", c.Name)
	}
	if c.get == nil {
		return Instance{}, Errorf(StatusProviderNotCapable, "instances of %s cannot be read one at a time", c.Name)
	}
	v, err := c.get(ctx, key.v)
	if err != nil {
		return Instance{}, err
	}
	return Instance{Class: c, v: v}, nil
}

// Instances enumerates the class; a class that occurs only embedded has no instances of its own. An instance is valid until the
// loop asks for the next one, which takes its memory. The sequence ends after its first error.
func (c *Class) Instances(ctx context.Context) iter.Seq2[Instance, error] {
	return func(yield func(Instance, error) bool) {
		if err := c.authorize(ctx, Operation{Class: c}); err != nil {
			yield(Instance{}, err)
			return
		}
		if c.enumerate == nil {
			return
		}
		var fields []any
		for v, err := range c.enumerate(ctx) {
			if err != nil {
				yield(Instance{}, err)
				return
			}
			if fields == nil {
				fields = c.fieldsOf(v)
			}
			if !yield(Instance{Class: c, v: v, fields: fields}, nil) {
				return
			}
		}
	}
}

// Put writes properties of the instance that key names and returns it as it is then. A read-only property may be given if
// its value is the present one: clients put back whole instances. NULL clears a string.
func (c *Class) Put(ctx context.Context, key Instance, arguments []Argument) (Instance, error) {
	if err := c.authorize(ctx, Operation{Class: c, Put: true}); err != nil {
		return Instance{}, err
	}
	if c.put == nil {
		return Instance{}, Errorf(StatusProviderNotCapable, "instances of %s cannot be written", c.Name)
	}
	current, err := c.read(ctx, key)
	if err != nil {
		return Instance{}, err
	}
	next := reflect.New(c.goType).Elem()
	next.Set(current.v)
	var changed []string
	given := map[*Property]bool{}
	for _, a := range arguments {
		p := c.Property(a.Name)
		if p == nil {
			return Instance{}, Errorf(StatusInvalidParameter, "%s has no property %q", c.Name, a.Name)
		}
		if given[p] {
			return Instance{}, Errorf(StatusInvalidParameter, "the property %s was given twice", p.Name)
		}
		given[p] = true
		field := next.FieldByIndex(p.index)
		if a.Value.IsNull() {
			field.SetZero()
		} else if err := setField(&p.Field, field, a.Value); err != nil {
			return Instance{}, Errorf(StatusTypeMismatch, "the property %s of %s %v", p.Name, c.Name, err)
		}
		if reflect.DeepEqual(field.Interface(), current.v.FieldByIndex(p.index).Interface()) {
			continue
		}
		if !p.Write {
			return Instance{}, Errorf(StatusReadOnly, "the property %s of %s is read-only", p.Name, c.Name)
		}
		changed = append(changed, p.Name)
	}
	if err := c.put(ctx, next, changed); err != nil {
		return Instance{}, err
	}
	return c.read(ctx, key)
}
