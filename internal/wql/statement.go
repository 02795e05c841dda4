package wql

import (
	"cmp"
	"strings"

	"calkeeper/internal/cim"
)

// Class returns the class whose instances the statement selects; nil if it selects classes: then Matches is to be asked about
// instances that are classes themselves.
func (s *Statement) Class() *cim.Class { return s.class }

// Columns returns the selected columns in the order of the query, each once; nil stands for all properties.
func (s *Statement) Columns() []Column { return s.columns }

// Matches tells whether an instance of the class satisfies WHERE. A comparison with a property that is NULL is neither true
// nor false, nor is its NOT, and only what is true matches.
func (s *Statement) Matches(i cim.Instance) bool { return s.where == nil || s.where.test(i) == isTrue }

// KeyEqual tells whether only instances can match whose property p is one certain value, and returns it: a caller may then
// Get one instance instead of enumerating, and still has to ask Matches. It sees = in a WHERE that is a comparison or a
// chain of AND. A string gives no such value, since WQL's = disregards case.
func (s *Statement) KeyEqual(p *cim.Property) (cim.Value, bool) { return keyEqual(s.where, p) }

func keyEqual(c condition, p *cim.Property) (cim.Value, bool) {
	switch c := c.(type) {
	case allOf:
		for _, term := range c {
			if v, ok := keyEqual(term, p); ok {
				return v, true
			}
		}
	case comparisonTest:
		n, ok := c.predicate.(numberIs)
		if ok && c.column.Property == p && n.op == equal && n.constant == int64(uint32(n.constant)) {
			return cim.Uint32Value(uint32(n.constant)), true
		}
	}
	return cim.Value{}, false
}

// truth is a value of three-valued logic, ordered so that AND is the least and OR the greatest of its terms.
type truth int8

const (
	isFalse truth = iota
	isUnknown
	isTrue
)

func truthOf(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

// condition is a bound expression. It nests no deeper than MaxDepth allows.
type condition interface{ test(cim.Instance) truth }

type (
	anyOf   []condition
	allOf   []condition
	inverse struct{ of condition }

	isClass string // its name

	isNull struct {
		column Column
		not    bool
	}
	comparisonTest struct {
		column    Column
		predicate predicate
	}
)

// predicate tells whether a value that is not NULL satisfies an operator and its constant.
type predicate interface{ holds(cim.Value) bool }

type (
	numberIs struct {
		op       operator
		constant int64
	}
	booleanIs  bool
	datetimeIs struct {
		op       operator
		constant cim.Datetime
	}
	stringIs struct {
		op       operator
		constant string // folded
	}
)

func (c anyOf) test(i cim.Instance) truth {
	result := isFalse
	for _, term := range c {
		if result = max(result, term.test(i)); result == isTrue {
			break
		}
	}
	return result
}

func (c allOf) test(i cim.Instance) truth {
	result := isTrue
	for _, term := range c {
		if result = min(result, term.test(i)); result == isFalse {
			break
		}
	}
	return result
}

func (c inverse) test(i cim.Instance) truth { return isTrue - c.of.test(i) }

// test knows that no class is derived from another.
func (c isClass) test(i cim.Instance) truth {
	return truthOf(strings.EqualFold(string(c), i.Class.Name))
}

func (c isNull) test(i cim.Instance) truth { return truthOf(c.column.Value(i).IsNull() != c.not) }

func (c comparisonTest) test(i cim.Instance) truth {
	v := c.column.Value(i)
	if v.IsNull() {
		return isUnknown
	}
	return truthOf(c.predicate.holds(v))
}

func (n numberIs) holds(v cim.Value) bool {
	return n.op.holds(cmp.Compare(int64(v.Uint32()), n.constant))
}

func (b booleanIs) holds(v cim.Value) bool { return v.Bool() == bool(b) }

func (d datetimeIs) holds(v cim.Value) bool { return d.op.holds(v.Datetime().Compare(d.constant)) }

func (s stringIs) holds(v cim.Value) bool { return s.op.holds(compareFolded(v.Text(), s.constant)) }
