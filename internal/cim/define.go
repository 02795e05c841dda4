package cim

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"
)

// Option adds to a class what its Go struct does not say.
type Option func(*Class) error

// Define derives a class from the struct T. Each exported field with a tag is a property, in order:
//
//	KeyPackId     uint32       `cim:"KeyPackId,key"`
//	FirstName     string       `cim:"FirstName,write"`
//	ScopeType     uint32       `cim:"ScopeType,deprecated"`
//	ExpirationDate cim.Datetime `cim:"ExpirationDate"`
//
// In the input struct of a method, the word optional marks a parameter that may be left out.
//
// Field types are string, uint32 and bool or types made from them (a type that is Valued brings its table), Datetime, a
// slice of any of these, and, in the output struct of a method, a struct or slice of structs that describe another class
// (they must be Named). The fields of an embedded struct count as the struct's own.
func Define[T any](name string, options ...Option) (*Class, error) {
	c, err := derive(reflect.TypeFor[T](), name)
	if err != nil {
		return nil, err
	}
	for _, o := range options {
		if err := o(c); err != nil {
			return nil, fmt.Errorf("class %s: %w", name, err)
		}
	}
	if len(c.Methods) > 0 && c.returnValue == nil {
		return nil, fmt.Errorf("class %s: it has methods, but no ReturnValues option", name)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("class %s: %w", name, err)
	}
	return c, nil
}

// check refuses what no caller could use.
func (c *Class) check() error {
	if c.Singleton && len(c.Keys()) > 0 {
		return errors.New("a singleton has no keys")
	}
	for _, key := range c.Keys() {
		if key.Array || key.Type != String && key.Type != Uint32 {
			return fmt.Errorf("the key %s must be a string or a uint32", key.Name)
		}
	}
	if c.get != nil {
		return nil
	}
	if c.put != nil {
		return errors.New("instances that cannot be read cannot be written")
	}
	for _, m := range c.Methods {
		if !m.Static {
			return fmt.Errorf("the method %s needs instances, and none can be read", m.Name)
		}
	}
	return nil
}

// Named is a struct that describes a class which occurs as an embedded instance.
type Named interface{ CIMClassName() string }

// Provided names the provider qualifier and makes the class dynamic.
func Provided(provider string) Option {
	return func(c *Class) error { c.Provider = provider; return nil }
}

// Singleton makes the class one of a single instance, named Class=@.
func Singleton() Option {
	return func(c *Class) error { c.Singleton = true; return nil }
}

// Authorizes has f decide about every operation, before anything else of it is looked at. What f returns, an *Error, is what the caller
// gets. Without it everybody may do everything.
func Authorizes(f func(ctx context.Context, o Operation) error) Option {
	return func(c *Class) error { c.authorize = f; return nil }
}

// ReturnValues tells how an error of a method (nil for success) becomes its ReturnValue.
func ReturnValues(f func(ctx context.Context, method string, err error) uint32) Option {
	return func(c *Class) error { c.returnValue = f; return nil }
}

// Gets serves single instances: get receives a T with only its keys set. An instance that does not exist is an *Error with
// StatusNotFound.
func Gets[T any](get func(ctx context.Context, key T) (T, error)) Option {
	return func(c *Class) error {
		c.get = func(ctx context.Context, key reflect.Value) (reflect.Value, error) {
			t, err := get(ctx, key.Interface().(T))
			if err != nil {
				return reflect.Value{}, err
			}
			return reflect.ValueOf(&t).Elem(), nil
		}
		return c.mustBe(reflect.TypeFor[T]())
	}
}

// Enumerates serves all instances, in one consistent snapshot.
func Enumerates[T any](all func(ctx context.Context) iter.Seq2[T, error]) Option {
	return func(c *Class) error {
		c.enumerate = func(ctx context.Context) iter.Seq2[reflect.Value, error] {
			return func(yield func(reflect.Value, error) bool) {
				var current T // takes each in turn, so that pointers to its fields are good for all
				v := reflect.ValueOf(&current).Elem()
				for t, err := range all(ctx) {
					current = t
					if !yield(v, err) {
						return
					}
				}
			}
		}
		return c.mustBe(reflect.TypeFor[T]())
	}
}

// Puts serves writes: put receives the whole new instance and the names of the properties that changed.
func Puts[T any](put func(ctx context.Context, t T, changed []string) error) Option {
	return func(c *Class) error {
		c.put = func(ctx context.Context, v reflect.Value, changed []string) error {
			return put(ctx, v.Interface().(T), changed)
		}
		return c.mustBe(reflect.TypeFor[T]())
	}
}

// StaticMethod binds a method of the class itself. In and Out are structs with tags as in Define.
func StaticMethod[In, Out any](name string, f func(ctx context.Context, in In) (Out, error)) Option {
	return func(c *Class) error {
		return c.addMethod(Method{
			Name: name, Static: true, in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](),
			call: func(ctx context.Context, _, in reflect.Value) (reflect.Value, error) {
				out, err := f(ctx, in.Interface().(In))
				return reflect.ValueOf(out), err
			},
		})
	}
}

// InstanceMethod binds a method that is called on an instance, which it receives as Get returned it.
func InstanceMethod[T, In, Out any](name string, f func(ctx context.Context, self T, in In) (Out, error)) Option {
	return func(c *Class) error {
		if err := c.mustBe(reflect.TypeFor[T]()); err != nil {
			return err
		}
		return c.addMethod(Method{
			Name: name, in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](),
			call: func(ctx context.Context, self, in reflect.Value) (reflect.Value, error) {
				out, err := f(ctx, self.Interface().(T), in.Interface().(In))
				return reflect.ValueOf(out), err
			},
		})
	}
}

func (c *Class) mustBe(t reflect.Type) error {
	if c.goType != t {
		return fmt.Errorf("function for %v given to a class made of %v", t, c.goType)
	}
	return nil
}

func (c *Class) addMethod(m Method) error {
	lower := strings.ToLower(m.Name)
	if c.methods[lower] != nil {
		return fmt.Errorf("method %s declared twice", m.Name)
	}
	ins, err := deriveFields(m.in)
	if err != nil {
		return fmt.Errorf("method %s: %w", m.Name, err)
	}
	outs, err := deriveFields(m.out)
	if err != nil {
		return fmt.Errorf("method %s: %w", m.Name, err)
	}
	for _, f := range ins {
		m.Parameters = append(m.Parameters, Parameter{Field: f.Field, In: true, Optional: f.optional})
	}
	for _, f := range outs {
		if p := m.Parameter(f.Name); p != nil {
			if p.Type != f.Type || p.Array != f.Array {
				return fmt.Errorf("method %s: %s goes in as %s and out as %s", m.Name, f.Name, p.TypeName(), f.TypeName())
			}
			p.Out, p.outIndex = true, f.index
			continue
		}
		m.Parameters = append(m.Parameters, Parameter{Field: f.Field, Out: true, outIndex: f.index})
	}
	for i := range m.Parameters {
		m.Parameters[i].position = i
	}
	// The map points into the slice: it is rebuilt because append may move the methods.
	c.Methods = append(c.Methods, m)
	for i := range c.Methods {
		c.methods[strings.ToLower(c.Methods[i].Name)] = &c.Methods[i]
	}
	return nil
}

func derive(t reflect.Type, name string) (*Class, error) {
	properties, err := deriveFields(t)
	if err != nil {
		return nil, fmt.Errorf("class %s: %w", name, err)
	}
	c := &Class{
		Name: name, Properties: properties, goType: t, properties: map[string]*Property{}, methods: map[string]*Method{},
		authorize: func(context.Context, Operation) error { return nil },
	}
	for i := range c.Properties {
		lower := strings.ToLower(c.Properties[i].Name)
		if c.properties[lower] != nil {
			return nil, fmt.Errorf("class %s: property %s declared twice", name, c.Properties[i].Name)
		}
		if c.Properties[i].optional {
			return nil, fmt.Errorf("class %s: property %s is optional: only input parameters are", name, c.Properties[i].Name)
		}
		c.properties[lower] = &c.Properties[i]
	}
	return c, nil
}

func deriveFields(t reflect.Type) ([]Property, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%v is not a struct", t)
	}
	var properties []Property
	for _, f := range reflect.VisibleFields(t) {
		tag, ok := f.Tag.Lookup("cim")
		if !ok {
			continue
		}
		words := strings.Split(tag, ",")
		if words[0] == "" || strings.ContainsAny(words[0], " \t") || !f.IsExported() {
			return nil, fmt.Errorf("field %s: a tag goes with an exported field and has a name", f.Name)
		}
		p := Property{Field: Field{Name: words[0], index: f.Index}}
		for _, word := range words[1:] {
			switch word {
			case "key":
				p.Key = true
			case "write":
				p.Write = true
			case "deprecated":
				p.Deprecated = true
			case "optional":
				p.optional = true
			default:
				return nil, fmt.Errorf("field %s: unknown tag word %q", f.Name, word)
			}
		}
		if err := p.deriveType(f.Type); err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		properties = append(properties, p)
	}
	return properties, nil
}

func (f *Field) deriveType(t reflect.Type) error {
	if t.Kind() == reflect.Slice {
		f.Array, t = true, t.Elem()
	}
	if v, ok := reflect.Zero(t).Interface().(Valued); ok {
		f.Values = v.CIMValues()
	}
	switch {
	case t == reflect.TypeFor[Datetime]():
		f.Type = DatetimeType
	case t.Kind() == reflect.String:
		f.Type = String
	case t.Kind() == reflect.Uint32:
		f.Type = Uint32
	case t.Kind() == reflect.Bool:
		f.Type = Boolean
	case t.Kind() == reflect.Struct:
		named, ok := reflect.Zero(t).Interface().(Named)
		if !ok {
			return fmt.Errorf("%v has no CIM class name", t)
		}
		class, err := derive(t, named.CIMClassName())
		if err != nil {
			return err
		}
		f.Type, f.Embedded = Object, class
	default:
		return fmt.Errorf("%v is no CIM type", t)
	}
	return nil
}

// scalarTypes are the pointers that Instance.Fields has to values of each type.
var scalarTypes = [...]reflect.Type{
	String: reflect.TypeFor[*string](), Uint32: reflect.TypeFor[*uint32](), Boolean: reflect.TypeFor[*bool](),
	DatetimeType: reflect.TypeFor[*Datetime](), Object: nil,
}

// fieldValue reads a Go struct field as a Value.
func fieldValue(f *Field, v reflect.Value) Value {
	if f.Array {
		if v.IsNil() {
			return Value{}
		}
		elements := make([]Value, v.Len())
		for i := range elements {
			elements[i] = scalarValue(f, v.Index(i))
		}
		return ArrayValue(elements)
	}
	return scalarValue(f, v)
}

func scalarValue(f *Field, v reflect.Value) Value {
	switch f.Type {
	case String:
		return StringValue(v.String())
	case Uint32:
		return Uint32Value(uint32(v.Uint()))
	case Boolean:
		return BooleanValue(v.Bool())
	case DatetimeType:
		return DatetimeValue(datetimeOf(v))
	}
	return ObjectValue(Instance{Class: f.Embedded, v: v})
}

func datetimeOf(v reflect.Value) Datetime {
	d, _ := reflect.TypeAssert[Datetime](v) // unlike Interface, without a copy on the heap
	return d
}

// setField stores a Value in a Go struct field, converting as Value.Convert does; a scalar serves as an array of one.
func setField(f *Field, v reflect.Value, value Value) error {
	elements, isArray := value.Array()
	if !f.Array {
		if isArray {
			return fmt.Errorf("must be given once: it is not an array")
		}
		return setScalar(f, v, value)
	}
	if !isArray {
		elements = []Value{value}
	}
	slice := reflect.MakeSlice(v.Type(), len(elements), len(elements))
	for i, e := range elements {
		if err := setScalar(f, slice.Index(i), e); err != nil {
			return err
		}
	}
	v.Set(slice)
	return nil
}

func setScalar(f *Field, v reflect.Value, value Value) error {
	value, err := value.Convert(f.Type)
	if err != nil {
		return err
	}
	switch f.Type {
	case String:
		v.SetString(value.Text())
	case Uint32:
		v.SetUint(uint64(value.Uint32()))
	case Boolean:
		v.SetBool(value.Bool())
	case DatetimeType:
		v.Set(reflect.ValueOf(value.Datetime()))
	default:
		return fmt.Errorf("an embedded instance is not taken here")
	}
	return nil
}
