package wsman_test

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// reply is an HTTP reply and its envelope.
type reply struct {
	status int
	header http.Header
	raw    string
	*node
}

// send posts a message as the user alice.
func send(tb testing.TB, h http.Handler, message string) reply {
	tb.Helper()
	return sendAs(tb, h, "alice", message)
}

func sendAs(tb testing.TB, h http.Handler, user, message string) reply {
	tb.Helper()
	r := newRequest(message)
	r.SetBasicAuth(user, "Secret1!")
	return serve(tb, h, r)
}

// newRequest posts a message as the user alice.
func newRequest(message string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/wsman", strings.NewReader(message))
	r.Header.Set("Content-Type", "application/soap+xml;charset=UTF-8")
	r.SetBasicAuth("alice", "Secret1!")
	return r
}

func serve(tb testing.TB, h http.Handler, r *http.Request) reply {
	tb.Helper()
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	a := reply{status: recorder.Code, header: recorder.Header(), raw: recorder.Body.String()}
	if a.raw != "" && strings.HasSuffix(a.header.Get("Content-Type"), "UTF-8") {
		a.node = parse(tb, a.raw)
	}
	return a
}

// node is an element as encoding/xml reads it.
type node struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []*node    `xml:",any"`
}

func parse(tb testing.TB, text string) *node {
	tb.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	var n node
	if err := d.Decode(&n); err != nil {
		tb.Fatalf("the reply is not well-formed: %v\n%s", err, text)
	}
	if _, err := d.Token(); err != io.EOF {
		tb.Fatalf("something follows the reply: %v\n%s", err, text)
	}
	return &n
}

// at returns the first element on a path of local names, or nil.
func (n *node) at(path string) *node {
	for _, name := range strings.Split(path, "/") {
		if n == nil {
			return nil
		}
		var found *node
		for _, c := range n.Children {
			if c.XMLName.Local == name && found == nil {
				found = c
			}
		}
		n = found
	}
	return n
}

// text returns the text at a path, or "<none>".
func (n *node) text(path string) string {
	if found := n.at(path); found != nil {
		return found.Text
	}
	return "<none>"
}

func (n *node) attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// message builds a request.
type message struct {
	action, uri string
	selectors   string // Name=value, separated by ;
	header      string // further blocks
	body        string
}

const (
	wmi  = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/"
	dmtf = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"

	transfer    = "http://schemas.xmlsoap.org/ws/2004/09/transfer/"
	enumeration = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/"

	messageID = "uuid:bb3ad5cb-2152-4CBA-8575-e59f817ee755"
)

const namespaces = `xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" ` +
	`xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" ` +
	`xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd" xmlns:b="http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd" ` +
	`xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common"`

func (m message) String() string {
	var b strings.Builder
	b.WriteString(`<s:Envelope ` + namespaces + `><s:Header><a:To>http://windows-host:5985/wsman</a:To><a:MessageID>` + messageID + `</a:MessageID>`)
	if !strings.Contains(m.header, "<a:ReplyTo") {
		b.WriteString(`<a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>`)
	}
	if m.action != "" {
		b.WriteString(`<a:Action s:mustUnderstand="true">` + m.action + `</a:Action>`)
	}
	if m.uri != "" {
		b.WriteString(`<w:ResourceURI s:mustUnderstand="true">` + m.uri + `</w:ResourceURI>`)
	}
	if m.selectors != "" {
		b.WriteString(`<w:SelectorSet>`)
		for _, s := range strings.Split(m.selectors, ";") {
			name, value, _ := strings.Cut(s, "=")
			b.WriteString(`<w:Selector Name="` + name + `">` + value + `</w:Selector>`)
		}
		b.WriteString(`</w:SelectorSet>`)
	}
	b.WriteString(m.header + `</s:Header><s:Body>` + m.body + `</s:Body></s:Envelope>`)
	return b.String()
}

// managed is the options that PowerShell sends.
const managed = `<w:OptionSet><w:Option Name="__MI_CallbackRegistration" Type="xs:int">11</w:Option>` +
	`<w:Option Name="wmiarray:__MI_OPERATIONOPTIONS_CHANNELVALUE" Type="xs:unsignedInt">0</w:Option>` +
	`<w:Option Name="wmiarray:__MI_OPERATIONOPTIONS_CHANNELVALUE" Type="xs:unsignedInt">1</w:Option>` +
	`<w:Option Name="msftwinrm:UsePreciseArrays" Type="xs:boolean">true</w:Option></w:OptionSet>`

func enumerate(uri, selectors, children string) string {
	return message{action: enumeration + "Enumerate", uri: uri, selectors: selectors, body: `<n:Enumerate>` + children + `</n:Enumerate>`}.String()
}

func pull(context, children string) string {
	return message{action: enumeration + "Pull", uri: wmi + "Test_Pack",
		body: `<n:Pull><n:EnumerationContext>` + context + `</n:EnumerationContext>` + children + `</n:Pull>`}.String()
}

func wqlFilter(query string) string {
	return `<w:Filter Dialect="http://schemas.microsoft.com/wbem/wsman/1/WQL">` + query + `</w:Filter>`
}
