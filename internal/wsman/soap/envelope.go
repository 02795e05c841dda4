package soap

import (
	"fmt"
	"strings"
)

// Envelope is the content of a SOAP 1.2 envelope. Header is the zero [Element] if the message has none.
type Envelope struct {
	Header, Body Element
}

// ReadEnvelope takes the envelope of a document apart: SOAP 1.2 Part 1, section 5.1. The error wraps
// [ErrVersionMismatch] if the root element is anything but the Envelope of SOAP 1.2, such as that of
// SOAP 1.1, and [ErrEnvelope] if its content is not one Header at most, followed by one Body.
func ReadEnvelope(doc Document) (Envelope, error) {
	root := doc.Root()
	if !root.Is(NamespaceEnvelope, "Envelope") {
		switch name := root.Name(); {
		case name.Local != "Envelope":
			return Envelope{}, fmt.Errorf("%w: the root element is %s; expected Envelope in the namespace %s",
				ErrVersionMismatch, quoted([]byte(name.Local), 32), NamespaceEnvelope)
		case name.Space == NamespaceEnvelope11:
			return Envelope{}, fmt.Errorf("%w: the envelope is one of SOAP 1.1", ErrVersionMismatch)
		}
		return Envelope{}, fmt.Errorf("%w: the envelope is not in the namespace %s", ErrVersionMismatch, NamespaceEnvelope)
	}
	var envelope Envelope
	for child := range root.Children() {
		switch {
		case !envelope.Body.IsZero():
			return Envelope{}, fmt.Errorf("%w: element %s behind the Body", ErrEnvelope, quoted([]byte(child.Name().Local), 32))
		case child.Is(NamespaceEnvelope, "Body"):
			envelope.Body = child
		case child.Is(NamespaceEnvelope, "Header") && envelope.Header.IsZero():
			envelope.Header = child
		default:
			return Envelope{}, fmt.Errorf("%w: element %s where one Header and then the Body belong",
				ErrEnvelope, quoted([]byte(child.Name().Local), 32))
		}
	}
	if envelope.Body.IsZero() {
		return Envelope{}, fmt.Errorf("%w: there is no Body", ErrEnvelope)
	}
	if strings.Trim(root.Text(), " \t\r\n") != "" {
		return Envelope{}, fmt.Errorf("%w: text beside the Header and the Body", ErrEnvelope)
	}
	return envelope, nil
}

// MustUnderstand reports whether a header block is marked s:mustUnderstand: SOAP 1.2 Part 1, section 5.2.3.
// An attribute of that name without a namespace, which pywinrm and masterzen/winrm send, says nothing. The
// error wraps [ErrEnvelope]: a value other than true, 1, false and 0.
func MustUnderstand(header Element) (bool, error) {
	value, ok := header.Attr(NamespaceEnvelope, "mustUnderstand")
	if !ok {
		return false, nil
	}
	switch value {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, fmt.Errorf("%w: mustUnderstand of element %s is neither true, 1, false nor 0",
		ErrEnvelope, quoted([]byte(header.Name().Local), 32))
}
