package wsman

import (
	"strings"

	"calkeeper/internal/cim"
	"calkeeper/internal/wsman/soap"
)

// decodeArguments reads the children of an element as named values. Their namespaces do not matter (the sample of MS-WSMV
// 4.1.4 has a wrong one). An element that repeats makes an array. No more than most different names are read, most being the
// number of those that exist: whoever takes the arguments refuses one of them anyway.
func decodeArguments(parent soap.Element, most int) []cim.Argument {
	var arguments []cim.Argument
	var repeated []bool
	for e := range parent.Children() {
		name := e.Name().Local
		if given := find(arguments, name); given != nil {
			n := 0
			for &arguments[n] != given {
				n++
			}
			elements := []cim.Value{given.Value}
			if repeated[n] {
				elements, _ = given.Value.Array()
			}
			repeated[n] = true
			given.Value = cim.ArrayValue(append(elements, decodeValue(e)))
			continue
		}
		arguments, repeated = append(arguments, cim.Argument{Name: name, Value: decodeValue(e)}), append(repeated, false)
		if len(arguments) > most {
			break
		}
	}
	return arguments
}

// decodeValue reads the value of a property, parameter or selector. What it should be is left to package cim, so all that
// is text is a string. An embedded instance is taken as one without content: no class here has a use for it.
func decodeValue(e soap.Element) cim.Value {
	if null, _ := e.Attr(soap.NamespaceXSI, "nil"); isTrue(null) {
		return cim.Value{}
	}
	for child := range e.Children() {
		switch child.Name().Local {
		case "Datetime", "CIM_DateTime", "Interval", "Date", "Time": // DSP0230, datetime mapping
			return cim.StringValue(strings.TrimSpace(child.Text()))
		}
		return cim.ObjectValue(cim.Instance{})
	}
	return cim.StringValue(e.Text())
}

// only returns the only child of an element, or the zero Element if there is none. More are a fault.
func only(parent soap.Element) (soap.Element, error) {
	var first soap.Element
	for child := range parent.Children() {
		if !first.IsZero() {
			return soap.Element{}, newFault(schemaValidation, "the "+parent.Name().Local+" must contain one element, not more")
		}
		first = child
	}
	return first, nil
}
