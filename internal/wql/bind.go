package wql

import (
	"math"
	"strconv"
	"strings"

	"calkeeper/internal/cim"
)

// Statement is a query bound to a class, or a schema query bound to a namespace. It does not change, and many goroutines may
// use it.
type Statement struct {
	class   *cim.Class // nil of a schema query
	columns []Column
	where   condition // nil without WHERE
}

// Bind resolves the query's class in a namespace and its names and constants against that class; a schema query knows the
// system properties only. The server's name is what __SERVER and __PATH will say. The error of a missing class is the
// namespace's *cim.Error with StatusInvalidClass; an unknown property, or a constant that the property's type cannot have, is
// an *Error.
func (q *Query) Bind(ns *cim.Namespace, server string) (*Statement, error) {
	var class *cim.Class
	var err error
	if !q.Schema() {
		if class, err = ns.Class(q.Class); err != nil {
			return nil, err
		}
	}
	b := &binder{class: class, namespace: ns.Name, server: server}
	s := &Statement{class: class}
	given := map[string]bool{}
	for i, text := range q.Columns {
		c, err := b.column(name{text, q.columnPos[i]})
		if err != nil {
			return nil, err
		}
		if !given[c.Name] {
			given[c.Name] = true
			s.columns = append(s.columns, c)
		}
	}
	if q.where != nil {
		if s.where, err = q.where.bind(b); err != nil {
			return nil, err
		}
	}
	return s, nil
}

type binder struct {
	class             *cim.Class // nil in a schema query
	namespace, server string
}

func (b *binder) column(n name) (Column, error) {
	if c, ok := systemColumn(n.text, b.server, b.namespace); ok {
		return c, nil
	}
	if b.class == nil {
		return Column{}, errorAt(n.pos, "a schema query (FROM meta_class) knows __this ISA class, and %s", systemNames)
	}
	if p := b.class.Property(n.text); p != nil {
		return Column{Name: p.Name, Property: p, typ: p.Type, array: p.Array}, nil
	}
	var names []string
	for i := range b.class.Properties {
		names = append(names, b.class.Properties[i].Name)
	}
	return Column{}, errorAt(n.pos, "%s has no property %q; it has %s, and %s", b.class.Name, n.text, strings.Join(names, ", "), systemNames)
}

func (e disjunction) bind(b *binder) (condition, error) {
	terms, err := b.terms(e)
	return anyOf(terms), err
}

func (e conjunction) bind(b *binder) (condition, error) {
	terms, err := b.terms(e)
	return allOf(terms), err
}

func (b *binder) terms(expressions []expression) ([]condition, error) {
	terms := make([]condition, len(expressions))
	for i, e := range expressions {
		var err error
		if terms[i], err = e.bind(b); err != nil {
			return nil, err
		}
	}
	return terms, nil
}

func (e negation) bind(b *binder) (condition, error) {
	c, err := e.of.bind(b)
	return inverse{c}, err
}

func (e nullTest) bind(b *binder) (condition, error) {
	c, err := b.column(e.name)
	return isNull{c, e.not}, err
}

func (e classTest) bind(b *binder) (condition, error) {
	if b.class != nil {
		return nil, errorAt(e.name.pos, "__this ISA is supported in schema queries only (FROM meta_class)")
	}
	return isClass(e.class.text), nil
}

func (e comparison) bind(b *binder) (condition, error) {
	c, err := b.column(e.name)
	if err != nil {
		return nil, err
	}
	if c.array || c.typ == cim.Object {
		// "Querying with WQL" excludes arrays.
		return nil, errorAt(e.name.pos, "%s is an array or an object: it can only be tested with IS NULL or IS NOT NULL", c.Name)
	}
	bindTo := e.bindString
	switch c.typ {
	case cim.Uint32:
		bindTo = e.bindNumber
	case cim.Boolean:
		bindTo = e.bindBoolean
	case cim.DatetimeType:
		bindTo = e.bindDatetime
	}
	p, err := bindTo(c)
	return comparisonTest{c, p}, err
}

func (e comparison) bindNumber(c Column) (predicate, error) {
	if e.op == like {
		return nil, e.noLike(c)
	}
	if e.literal.kind != booleanConstant {
		if n, ok := parseInteger(strings.TrimSpace(e.literal.text)); ok {
			return numberIs{e.op, n}, nil
		}
	}
	return nil, errorAt(e.literal.pos, "%s is a uint32: compare it with a whole number", c.Name)
}

// parseInteger reads what the lexer takes for an integer. Numbers beyond 64 bits become the nearest within: no property
// reaches either of them.
func parseInteger(s string) (n int64, ok bool) {
	digits := strings.TrimPrefix(s, "-")
	negative := len(digits) < len(s)
	if !negative {
		digits = strings.TrimPrefix(s, "+")
	}
	if !isNumber(digits) {
		return 0, false
	}
	base := 10
	if len(digits) > 2 && digits[1]|0x20 == 'x' {
		digits, base = digits[2:], 16
	}
	// isNumber leaves only the error of range, and the value is then the largest.
	u, _ := strconv.ParseUint(digits, base, 64)
	n = int64(min(u, math.MaxInt64))
	if negative {
		n = -n
	}
	return n, true
}

// bindBoolean accepts TRUE and FALSE, the numbers 1 and 0 ("WHERE Clause"), -1 for TRUE ("WQL (SQL for WMI)"), and all of
// them in quotes ("LIKE Operator" has an example).
func (e comparison) bindBoolean(c Column) (predicate, error) {
	if e.op != equal && e.op != notEqual {
		return nil, errorAt(e.opPos, "%s is a boolean: only = and <> can compare it", c.Name)
	}
	switch strings.ToUpper(strings.TrimSpace(e.literal.text)) {
	case "TRUE", "1", "-1":
		return booleanIs(e.op == equal), nil
	case "FALSE", "0":
		return booleanIs(e.op == notEqual), nil
	}
	return nil, errorAt(e.literal.pos, "%s is a boolean: compare it with TRUE or FALSE", c.Name)
}

func (e comparison) bindDatetime(c Column) (predicate, error) {
	if e.op == like {
		return nil, e.noLike(c)
	}
	if e.literal.kind == stringConstant {
		if d, err := cim.ParseDatetime(strings.TrimSpace(e.literal.text)); err == nil {
			return datetimeIs{e.op, d}, nil
		}
	}
	return nil, errorAt(e.literal.pos,
		`%s is a datetime: compare it with a string such as "20360101000000.000000-000" or "2036-01-01T00:00:00Z"`, c.Name)
}

func (e comparison) bindString(c Column) (predicate, error) {
	if e.literal.kind == booleanConstant {
		return nil, errorAt(e.literal.pos, "%s is a string: compare it with a string in quotes", c.Name)
	}
	if e.op != like {
		return stringIs{e.op, foldString(e.literal.text)}, nil
	}
	p, err := compilePattern(e.literal.text)
	if err != nil {
		return nil, errorAt(e.literal.pos, "%v", err)
	}
	return p, nil
}

func (e comparison) noLike(c Column) error {
	return errorAt(e.opPos, "%s is a %s: LIKE matches strings only; use = <> < <= > or >=", c.Name, c.typ)
}
