package wsman

import (
	"strconv"

	"calkeeper/internal/wsman/soap"
)

// maxReferenceBytes bounds what a client may have repeated to it.
const maxReferenceBytes = 4096

// readReferences reads the reference properties and parameters of the endpoints that get the reply and the fault: they come back
// as header blocks (WS-Addressing 2004/08, 2.3; DSP0226, R5.4.2-5 and R5.4.3-4). A fault goes to ReplyTo if there is no FaultTo.
func (r *request) readReferences(replyTo, faultTo soap.Element) *fault {
	var ok [2]bool
	r.replyReferences, ok[0] = references(replyTo)
	r.faultReferences, ok[1] = r.replyReferences, true
	if !faultTo.IsZero() {
		r.faultReferences, ok[1] = references(faultTo)
	}
	if !ok[0] || !ok[1] {
		return newFault(invalidHeader, "more than "+strconv.Itoa(maxReferenceBytes)+" bytes of reference parameters are not repeated")
	}
	return nil
}

// references writes the header blocks for an endpoint: nil if there are none, and not ok if they are too long.
func references(endpoint soap.Element) (blocks []byte, ok bool) {
	var w soap.Writer
	for set := range endpoint.Children() {
		if set.Is(soap.NamespaceAddressing, "ReferenceProperties") || set.Is(soap.NamespaceAddressing, "ReferenceParameters") {
			for block := range set.Children() {
				if repeatElement(&w, block); w.Len() > maxReferenceBytes {
					return nil, false
				}
			}
		}
	}
	blocks, err := w.Bytes()
	return blocks, err == nil
}

// repeatElement writes an element as it came, except that its text stands in front of its child elements, and that prefixes
// inside of values are left without a declaration. It stops where the whole has become too long.
func repeatElement(w *soap.Writer, e soap.Element) {
	name, declare := qualify(e.Name(), "r")
	w.Start(name)
	if declare {
		w.Attr("xmlns:r", e.Name().Space)
	}
	n := 0
	for attribute, value := range e.Attrs() {
		prefix := "r" + strconv.Itoa(n)
		name, declare := qualify(attribute, prefix)
		if declare {
			n++
			w.Attr("xmlns:"+prefix, attribute.Space)
		}
		w.Attr(name, value)
	}
	w.Text(e.Text())
	for child := range e.Children() {
		if w.Len() > maxReferenceBytes {
			break
		}
		repeatElement(w, child)
	}
	w.End()
}

// qualify returns a name with that prefix, and whether the prefix needs a declaration.
func qualify(name soap.Name, prefix string) (qualified string, declare bool) {
	switch name.Space {
	case "":
		return name.Local, false
	case soap.NamespaceXML:
		return "xml:" + name.Local, false
	}
	return prefix + ":" + name.Local, true
}
