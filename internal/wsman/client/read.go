package client

import (
	"strings"

	"calkeeper/internal/wsman/soap"
)

// readInstance reads an element that stands for an instance: <p:CLASS> with its properties inside.
func readInstance(e soap.Element) Instance {
	name := e.Name()
	return Instance{Class: name.Local, ResourceURI: name.Space, Values: readValues(e)}
}

// readValues reads the properties in an element. Prefixes and namespaces do not matter, as the fragments that answer a
// projecting query have none.
func readValues(e soap.Element) []Value {
	count := 0
	for range e.Children() {
		count++
	}
	values := make([]Value, 0, count)
	at := make(map[string]int, count)
	for child := range e.Children() {
		name := child.Name()
		if name.Space == soap.NamespaceCIM {
			continue // cim:Location and the like are about the instance; they are no properties
		}
		v := readValue(child)
		i, repeated := at[name.Local]
		if !repeated {
			at[name.Local] = len(values)
			values = append(values, v)
			continue
		}
		if values[i].kind != array {
			values[i] = Array(name.Local, values[i])
		}
		values[i].elements = append(values[i].elements, v)
	}
	return values
}

// readValue reads one property element (DSP0230).
func readValue(e soap.Element) Value {
	name := e.Name().Local
	if isNil, _ := e.Attr(soap.NamespaceXSI, "nil"); isNil == "true" || isNil == "1" {
		return Null(name)
	}
	xsiType, _ := e.Attr(soap.NamespaceXSI, "type")
	class, typed := strings.CutSuffix(xsiType[strings.IndexByte(xsiType, ':')+1:], "_Type")
	var first soap.Element
	children := 0
	for child := range e.Children() {
		if children++; children > 1 {
			break
		}
		first = child
	}
	if children == 1 && isTimeWrapper(first.Name()) {
		return Value{Name: name, kind: datetime, text: strings.TrimSpace(first.Text()), wrapper: first.Name().Local}
	}
	if children == 0 {
		s := e.Text()
		if !typed || strings.TrimSpace(s) != "" {
			return Text(name, s)
		}
	}
	if !typed {
		class = ""
	}
	return Object(name, Instance{Class: class, ResourceURI: first.Name().Space, Values: readValues(e)})
}

// isTimeWrapper tells whether an element inside a property says which sort of datetime follows (DSP0230). In
// fragments it has no namespace.
func isTimeWrapper(name soap.Name) bool {
	if name.Space != soap.NamespaceCIM && name.Space != "" {
		return false
	}
	switch name.Local {
	case "Datetime", "Interval", "Date", "Time", "CIM_DateTime":
		return true
	}
	return false
}
