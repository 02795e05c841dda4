package wsman

import (
	"strings"

	"calkeeper/internal/cim"
	"calkeeper/internal/wql"
	"calkeeper/internal/wsman/soap"
)

// The filter dialects (MS-WSMV; DSP0227; DSP0226, annex E). CQL, as far as these classes need it, reads like WQL.
const (
	dialectWQL      = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
	dialectCQL      = "http://schemas.dmtf.org/wbem/cql/1/dsp0202.pdf"
	dialectSelector = "http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter"
)

// filter reads the filter of an Enumerate, which some put into the namespace of WS-Management, some into that of
// WS-Enumeration, and decides what the enumeration goes over.
func (x *exchange) filter(en *enumeration, request soap.Element) error {
	filter, ok := request.Child(soap.NamespaceWSMan, "Filter")
	if !ok {
		filter, ok = request.Child(soap.NamespaceEnumeration, "Filter")
	}
	if !ok {
		if en.resource.class == nil && en.resource.form != formClassXML {
			return newFault(filteringRequired, "name a class in the resource URI, or in a WQL filter")
		}
		return nil
	}
	children := 0
	for range filter.Children() {
		children++
	}
	if children > 1 || children == 1 && strings.TrimSpace(filter.Text()) != "" { // DSP0226, R8.2.1-3
		return newFault(invalidFilter, "a Filter contains text, or one element")
	}
	dialect, _ := filter.Attr("", "Dialect")
	dialect = strings.TrimSpace(dialect)
	switch {
	case en.resource.form == formClassXML:
		return newFault(filterDialect, "classes are enumerated without a filter")
	case strings.EqualFold(dialect, dialectWQL), strings.EqualFold(dialect, dialectCQL):
		return x.query(en, filter.Text())
	case strings.EqualFold(dialect, dialectSelector):
		return selectorFilter(en, filter)
	}
	return newFault(filterDialect, "it should be "+dialectWQL)
}

// query makes the enumeration one of a query's results.
func (x *exchange) query(en *enumeration, text string) error {
	q, err := wql.Parse(text)
	if err != nil {
		return err
	}
	r := &en.resource
	if r.class != nil && !strings.EqualFold(q.Class, r.class.class.Name) {
		return newFault(invalidFilter, "the query is about another class than the resource URI")
	}
	statement, err := q.Bind(r.namespace.cim, x.server.options.ServerName)
	if err != nil {
		if refused, ok := err.(*cim.Error); ok {
			f := newFault(invalidFilter, refused.Msg)
			f.status = refused.Status
			return f
		}
		return err
	}
	en.matches, en.columns = statement.Matches, statement.Columns()
	if class := statement.Class(); class != nil {
		r.class, en.key = r.namespace.shapes[class], onlyKey(statement)
	}
	return nil
}

// onlyKey returns the key of the only instance that a query can find, or nil.
func onlyKey(statement *wql.Statement) *cim.Instance {
	var keys []cim.Argument
	for _, p := range statement.Class().Keys() {
		v, ok := statement.KeyEqual(p)
		if !ok {
			return nil
		}
		keys = append(keys, cim.Argument{Name: p.Name, Value: v})
	}
	if key, err := statement.Class().Key(keys); err == nil && keys != nil {
		return &key
	}
	return nil
}

// selectorFilter makes the enumeration one of the instances whose properties have certain values (DSP0226, annex E). Text
// is compared as WQL does, without regard to case.
func selectorFilter(en *enumeration, filter soap.Element) error {
	if en.resource.class == nil {
		return newFault(filteringRequired, "a SelectorFilter needs a class in the resource URI")
	}
	set, ok := filter.Child(soap.NamespaceWSMan, "SelectorSet")
	if !ok {
		return newFault(invalidFilter, "the filter must contain a SelectorSet")
	}
	selectors, err := readSelectors(set)
	if err != nil {
		return err
	}
	type test struct {
		property *cim.Property
		want     cim.Value
	}
	var tests []test
	for _, s := range selectors {
		p := en.resource.class.class.Property(s.Name)
		if p == nil || p.Array || p.Type == cim.Object || s.Value.IsNull() {
			return newFault(invalidFilter, "the Selector "+s.Name+" must name a property that is neither an array nor an object, and have a value")
		}
		want, err := s.Value.Convert(p.Type)
		if err != nil {
			return newFault(invalidFilter, "the Selector "+s.Name+" "+err.Error())
		}
		tests = append(tests, test{p, want})
	}
	en.matches = func(i cim.Instance) bool {
		for _, t := range tests {
			if !equal(i.Value(t.property), t.want) {
				return false
			}
		}
		return true
	}
	return nil
}

func equal(v, want cim.Value) bool {
	if v.Type() != want.Type() {
		return false
	}
	switch v.Type() {
	case cim.String:
		return strings.EqualFold(v.Text(), want.Text())
	case cim.Uint32:
		return v.Uint32() == want.Uint32()
	case cim.Boolean:
		return v.Bool() == want.Bool()
	}
	return v.Datetime().Compare(want.Datetime()) == 0
}
