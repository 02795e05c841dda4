package cim_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"testing"
	"time"

	"calkeeper/internal/cim"
)

// color is a uint32 with names, state a set of bits, size a string whose values name themselves.
type (
	color uint32
	state uint32
	size  string
)

func (color) CIMValues() cim.ValueTable {
	return cim.ValueTable{Entries: []cim.ValueEntry{{Map: "0", Name: "Red"}, {Map: "1", Name: `Dark "blue"`}}}
}

func (state) CIMValues() cim.ValueTable {
	return cim.ValueTable{Bits: true, Entries: []cim.ValueEntry{{Map: "0", Name: "Open"}, {Map: "5", Name: "Locked"}}}
}

func (size) CIMValues() cim.ValueTable {
	return cim.ValueTable{Entries: []cim.ValueEntry{{Name: "small"}, {Name: "large"}}}
}

// box has a property of every type.
type box struct {
	ID      uint32         `cim:"BoxId,key"`
	Shelf   string         `cim:"Shelf,key"`
	Label   string         `cim:"Label,write"`
	Weight  uint32         `cim:"Weight,write"`
	Sealed  bool           `cim:"Sealed,write"`
	Opened  cim.Datetime   `cim:"Opened,write"`
	Tags    []string       `cim:"Tags,write"`
	Counts  []uint32       `cim:"Counts"`
	Visits  []cim.Datetime `cim:"Visits,write"`
	Color   color          `cim:"Color"`
	State   state          `cim:"State"`
	Size    size           `cim:"Size,deprecated"`
	Private string         // no tag: no property
}

type item struct {
	Name  string `cim:"Name"`
	Count uint32 `cim:"Count"`
}

func (item) CIMClassName() string { return "Test_Item" }

type warehouse struct {
	City string `cim:"City,write"`
}

type nothing struct{}

type fillIn struct {
	Items  []string     `cim:"Items"`
	Count  uint32       `cim:"Count"`
	Urgent bool         `cim:"Urgent"`
	Until  cim.Datetime `cim:"Until"`
	Cursor uint32       `cim:"Cursor"`
}

type fillOut struct {
	Cursor uint32 `cim:"Cursor"`
	Rows   []item `cim:"Rows"`
	Best   item   `cim:"Best"`
	Text   string `cim:"Text"`
}

type findIn struct {
	Color color `cim:"Color"`
}

type findOut struct {
	Count uint32 `cim:"Count"`
}

type boxKey struct {
	id    uint32
	shelf string
}

// depot is what the classes of the tests serve. A method named in fail gives that error.
type depot struct {
	boxes   map[boxKey]box
	city    string
	fail    map[string]error
	changed []string // of the last put
	filled  fillIn   // of the last Fill
	calls   int
}

var errTooHeavy = errors.New("too heavy")

const returnedTooHeavy = 0x80041016

func (d *depot) returnValue(_ context.Context, method string, err error) uint32 {
	switch {
	case err == nil && method == "Find":
		return 0x4001
	case err == nil:
		return 0
	case errors.Is(err, errTooHeavy):
		return returnedTooHeavy
	}
	return uint32(cim.StatusFailed)
}

func (d *depot) get(_ context.Context, key box) (box, error) {
	b, ok := d.boxes[boxKey{key.ID, key.Shelf}]
	if !ok {
		return box{}, cim.Errorf(cim.StatusNotFound, "there is no box %d", key.ID)
	}
	return b, nil
}

func (d *depot) all(context.Context) iter.Seq2[box, error] {
	return func(yield func(box, error) bool) {
		if err := d.fail["Enumerate"]; err != nil {
			// The second pair must never be asked for.
			_ = yield(box{}, err) && yield(box{ID: 99}, nil)
			return
		}
		keys := slices.SortedFunc(maps.Keys(d.boxes), func(a, b boxKey) int { return cmp.Compare(a.id, b.id) })
		for _, key := range keys {
			if !yield(d.boxes[key], nil) {
				return
			}
		}
	}
}

func (d *depot) put(_ context.Context, b box, changed []string) error {
	if err := d.fail["Put"]; err != nil {
		return err
	}
	d.changed = changed
	d.boxes[boxKey{b.ID, b.Shelf}] = b
	return nil
}

func (d *depot) fill(_ context.Context, self box, in fillIn) (fillOut, error) {
	d.calls++
	d.filled = in
	if err := d.fail["Fill"]; err != nil {
		return fillOut{Text: "must not be seen"}, err
	}
	out := fillOut{Cursor: in.Cursor + 1, Text: self.Label, Best: item{"best", 1}}
	for _, name := range in.Items {
		out.Rows = append(out.Rows, item{name, in.Count})
	}
	return out, nil
}

func (d *depot) find(_ context.Context, in findIn) (findOut, error) {
	d.calls++
	var n uint32
	for _, b := range d.boxes {
		if b.Color == in.Color {
			n++
		}
	}
	return findOut{n}, d.fail["Find"]
}

// newDepot returns a depot of two boxes.
func newDepot() *depot {
	opened := cim.NewDatetime(time.Date(2026, time.March, 4, 5, 6, 7, 8000, time.UTC))
	return &depot{
		city: "Bonn",
		fail: map[string]error{},
		boxes: map[boxKey]box{
			{1, "A"}:   {ID: 1, Shelf: "A", Label: "first", Weight: 10, Sealed: true, Opened: opened, Tags: []string{"x", "y"}, Counts: []uint32{1, 2}, Size: "small"},
			{2, `B\"`}: {ID: 2, Shelf: `B\"`, Color: 1, State: 33, Size: "large"},
		},
	}
}

// namespace returns the classes of a depot: Test_Item, which occurs only embedded, Test_Box, and the singleton Test_Warehouse.
func (d *depot) namespace(tb testing.TB) *cim.Namespace {
	tb.Helper()
	boxes, err := cim.Define[box]("Test_Box",
		cim.Provided("TestProv"), cim.ReturnValues(d.returnValue),
		cim.Gets(d.get), cim.Enumerates(d.all), cim.Puts(d.put),
		cim.InstanceMethod("Fill", d.fill), cim.StaticMethod("Find", d.find))
	if err != nil {
		tb.Fatal(err)
	}
	items, err := cim.Define[item]("Test_Item")
	if err != nil {
		tb.Fatal(err)
	}
	warehouses, err := cim.Define[warehouse]("Test_Warehouse",
		cim.Provided("TestProv"), cim.Singleton(), cim.ReturnValues(d.returnValue),
		cim.Gets(func(context.Context, warehouse) (warehouse, error) { return warehouse{d.city}, nil }),
		cim.Puts(func(_ context.Context, w warehouse, _ []string) error { d.city = w.City; return nil }),
		cim.InstanceMethod("Close", func(_ context.Context, w warehouse, _ nothing) (nothing, error) {
			d.calls++
			return nothing{}, fmt.Errorf("closing %s: %w", w.City, d.fail["Close"])
		}))
	if err != nil {
		tb.Fatal(err)
	}
	ns, err := cim.NewNamespace(`\root\cimv2`, boxes, items, warehouses)
	if err != nil {
		tb.Fatal(err)
	}
	return ns
}

func (d *depot) class(tb testing.TB, name string) *cim.Class {
	tb.Helper()
	c, err := d.namespace(tb).Class(name)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func argument(name string, value cim.Value) cim.Argument {
	return cim.Argument{Name: name, Value: value}
}

func text(name, value string) cim.Argument { return argument(name, cim.StringValue(value)) }

func number(name string, value uint32) cim.Argument { return argument(name, cim.Uint32Value(value)) }

// boxOne names the first box.
func boxOne(tb testing.TB, c *cim.Class) cim.Instance {
	tb.Helper()
	key, err := c.Key([]cim.Argument{number("BoxId", 1), text("Shelf", "A")})
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func wantStatus(tb testing.TB, what string, err error, status cim.Status, message string) {
	tb.Helper()
	var e *cim.Error
	if !errors.As(err, &e) {
		tb.Errorf("%s: got %v, want %s", what, err, status)
		return
	}
	if e.Status != status || !contains(e.Error(), message) {
		tb.Errorf("%s: got %s: %s; want %s: %s", what, e.Status, e, status, message)
	}
}
