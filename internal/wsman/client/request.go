package client

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"calkeeper/internal/wsman/soap"
)

// What names operations and resources: DSP0226, MS-WSMV 3.1.4.1.1.
const (
	wmiPrefix = "http://schemas.microsoft.com/wbem/wsman/1/wmi/"
	dialect   = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
	anonymous = soap.NamespaceAddressing + "/role/anonymous"

	actionGet       = soap.NamespaceTransfer + "/Get"
	actionPut       = soap.NamespaceTransfer + "/Put"
	actionEnumerate = soap.NamespaceEnumeration + "/Enumerate"
	actionPull      = soap.NamespaceEnumeration + "/Pull"
	actionRelease   = soap.NamespaceEnumeration + "/Release"
)

// request is one message to the server.
type request struct {
	action      string
	resourceURI string
	selectors   []Value
	body        func(*soap.Writer) // nil if empty
}

// resourceURI names a class, or with * all those of the namespace.
func (c *Client) resourceURI(class string) string { return wmiPrefix + c.namespace + "/" + class }

// envelope writes the message.
func (c *Client) envelope(r request, messageID string) ([]byte, error) {
	var w soap.Writer
	w.Start("s:Envelope",
		"xmlns:s", soap.NamespaceEnvelope, "xmlns:a", soap.NamespaceAddressing, "xmlns:n", soap.NamespaceEnumeration,
		"xmlns:w", soap.NamespaceWSMan, "xmlns:p", soap.NamespaceMSWSMan, "xmlns:cim", soap.NamespaceCIM,
		"xmlns:xsi", soap.NamespaceXSI)
	w.Start("s:Header")
	w.Element("a:To", c.url)
	w.Element("w:ResourceURI", r.resourceURI, "s:mustUnderstand", "true")
	w.Start("a:ReplyTo")
	w.Element("a:Address", anonymous, "s:mustUnderstand", "true")
	w.End()
	w.Element("a:Action", r.action, "s:mustUnderstand", "true")
	w.Element("w:MaxEnvelopeSize", strconv.Itoa(c.maxEnvelopeSize), "s:mustUnderstand", "true")
	w.Element("a:MessageID", messageID)
	// The texts of faults in English, as the rest of the error is.
	w.Start("w:Locale", "xml:lang", "en-US", "s:mustUnderstand", "false")
	w.End()
	w.Start("p:DataLocale", "xml:lang", "en-US", "s:mustUnderstand", "false")
	w.End()
	if len(r.selectors) > 0 {
		w.Start("w:SelectorSet")
		for _, key := range r.selectors {
			w.Element("w:Selector", key.text, "Name", key.Name)
		}
		w.End()
	}
	w.Element("w:OperationTimeout", duration(c.timeout))
	w.End()
	w.Start("s:Body")
	if r.body != nil {
		r.body(&w)
	}
	w.End()
	w.End()
	return w.Bytes()
}

// identifyEnvelope writes the message that asks a server what it is (DSP0226, section 11).
func identifyEnvelope() ([]byte, error) {
	var w soap.Writer
	w.Start("s:Envelope", "xmlns:s", soap.NamespaceEnvelope, "xmlns:wsmid", soap.NamespaceIdentity)
	w.Start("s:Header")
	w.End()
	w.Start("s:Body")
	w.Start("wsmid:Identify")
	w.End()
	w.End()
	w.End()
	return w.Bytes()
}

// duration writes an xs:duration the way Windows does, with milliseconds.
func duration(d time.Duration) string {
	ms := d.Milliseconds()
	return fmt.Sprintf("PT%d.%03dS", ms/1000, ms%1000)
}

// messageID returns a new random UUID (RFC 9562, version 4) as a URI.
func (c *Client) messageID() (string, error) {
	var b [16]byte
	c.randMutex.Lock()
	_, err := io.ReadFull(c.rand, b[:])
	c.randMutex.Unlock()
	if err != nil {
		return "", fmt.Errorf("no random bytes for the message identifier: %w", err)
	}
	b[6] = b[6]&0x0F | 0x40
	b[8] = b[8]&0x3F | 0x80
	return fmt.Sprintf("uuid:%X-%X-%X-%X-%X", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

// writeValues writes an element that holds values, with the prefix x for both.
func (c *Client) writeValues(w *soap.Writer, name, space string, values []Value) {
	w.Start("x:"+name, "xmlns:x", space)
	for _, v := range values {
		c.writeValue(w, "x:"+v.Name, v)
	}
	w.End()
}

// writeValue writes a value as an element, or an array as one for each of its elements.
func (c *Client) writeValue(w *soap.Writer, name string, v Value) {
	switch v.kind {
	case array:
		for _, element := range v.elements {
			c.writeValue(w, name, element)
		}
		return
	case object:
		space := v.object.ResourceURI
		if space == "" {
			space = c.resourceURI(v.object.Class)
		}
		// The prefix of name is bound outside, and that of the properties here; they must differ.
		prefix := "y"
		if strings.HasPrefix(name, "y:") {
			prefix = "z"
		}
		w.Start(name, "xmlns:"+prefix, space)
		if v.object.Class != "" {
			w.Attr("xsi:type", prefix+":"+v.object.Class+"_Type")
		}
		for _, property := range v.object.Values {
			c.writeValue(w, prefix+":"+property.Name, property)
		}
		w.End()
	case datetime:
		w.Start(name)
		w.Element("cim:"+v.wrapper, v.text)
		w.End()
	case null:
		w.Start(name, "xsi:nil", "true")
		w.End()
	default:
		w.Element(name, v.text)
	}
}

// checkValues tells whether values can be sent under their names. The error repeats no names or values: of a caller's
// arguments in the wrong order, one may be a secret.
func checkValues(what string, values []Value) error {
	seen := make(map[string]bool, len(values))
	for i, v := range values {
		lower := strings.ToLower(v.Name)
		switch {
		case !isName(v.Name):
			return fmt.Errorf("%s %d has no proper name; a name is letters, digits and underscores", what, i+1)
		case seen[lower]:
			return fmt.Errorf("%s %d has the name of an earlier one", what, i+1)
		case slices.ContainsFunc(v.Elements(), func(element Value) bool { return !isText(element.text) }):
			return fmt.Errorf("%s %d has %w", what, i+1, errNotText)
		}
		seen[lower] = true
	}
	return nil
}

// checkKeys is checkValues for keys, which must be scalars.
func checkKeys(keys []Value) error {
	for i, key := range keys {
		if key.kind != text && key.kind != datetime {
			return fmt.Errorf("key %d is NULL, an array or an embedded instance; it must be a scalar", i+1)
		}
	}
	return checkValues("key", keys)
}

var errNotText = errors.New("bytes that are not UTF-8 text, or control characters, which XML cannot carry")

// isText tells whether XML can carry s.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
	})
}
