package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const (
	wmiURI         = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/"
	wqlDialect     = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
	enumerationURI = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
	transferURI    = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
	wsmanURI       = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
)

// operation is one request as a client that is not ours sends it.
type operation struct {
	URI       string            `json:"uri"`
	Action    string            `json:"action"`
	Selectors map[string]string `json:"selectors"`
	Body      string            `json:"body"` // XML, which declares its own prefixes
}

// session is a client of others: python3-winrm, or curl with envelopes written here.
type session interface {
	// send returns the answer, or the text of the fault.
	send(t *testing.T, o operation) (answer, fault string)
}

// pywinrm is a session of python3-winrm.
type pywinrm struct {
	in     io.Writer
	out    *bufio.Reader
	errors *bytes.Buffer
}

// newPywinrm starts a session with Basic authentication. An authority is the PEM file to trust for https.
func newPywinrm(t *testing.T, url, user, password, authority string) *pywinrm {
	t.Helper()
	options := map[string]any{"endpoint": url, "transport": "plaintext", "username": user, "password": password}
	if authority != "" {
		options["transport"], options["ca_trust_path"] = "ssl", authority
	}
	return startPywinrm(t, options)
}

// startPywinrm starts a session with options of winrm.protocol.Protocol.
func startPywinrm(t *testing.T, options map[string]any) *pywinrm {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "testdata/session.py")
	cmd.Env = append(os.Environ(), "OPENSSL_CONF=testdata/openssl.cnf")
	p := &pywinrm{errors: &bytes.Buffer{}}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in, p.out, cmd.Stderr = in, bufio.NewReader(out), p.errors
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: make deps installs python3", err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("python3-winrm (make deps installs it): %v\n%s", err, p.errors)
		}
	})
	p.write(t, options)
	return p
}

func (p *pywinrm) write(t *testing.T, v any) {
	t.Helper()
	line, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		t.Fatalf("python3-winrm has ended; make deps installs it: %v", err)
	}
}

func (p *pywinrm) send(t *testing.T, o operation) (string, string) {
	t.Helper()
	p.write(t, o)
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("python3-winrm has ended; make deps installs it: %v", err)
	}
	var reply struct{ Answer, Fault string }
	if err := json.Unmarshal(line, &reply); err != nil {
		t.Fatal(err)
	}
	return reply.Answer, reply.Fault
}

// curl sends each request with a curl of its own.
type curl struct {
	url, user, password, authority string

	scheme string // its option for another than Basic: "--ntlm"
}

func (c *curl) send(t *testing.T, o operation) (string, string) {
	t.Helper()
	var selectors strings.Builder
	for _, name := range slices.Sorted(maps.Keys(o.Selectors)) {
		fmt.Fprintf(&selectors, `<w:Selector Name="%s">%s</w:Selector>`, name, escape(o.Selectors[name]))
	}
	if selectors.Len() > 0 {
		selectors = wrap("w:SelectorSet", selectors.String())
	}
	envelope := `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="` + wsmanURI + `">
<s:Header>
<a:To>http://localhost/wsman</a:To>
<w:ResourceURI s:mustUnderstand="true">` + o.URI + `</w:ResourceURI>
<a:ReplyTo><a:Address s:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>
<a:Action s:mustUnderstand="true">` + o.Action + `</a:Action>
<w:MaxEnvelopeSize s:mustUnderstand="true">153600</w:MaxEnvelopeSize>
<a:MessageID>uuid:7f1c2a60-3a1d-4c0e-9d2b-1f6b0d7e5a11</a:MessageID>
<w:OperationTimeout>PT60.000S</w:OperationTimeout>
` + selectors.String() + `
</s:Header>
<s:Body>` + o.Body + `</s:Body>
</s:Envelope>`
	args := []string{"-sS", "-u", c.user + ":" + c.password, "-H", "Content-Type: application/soap+xml;charset=UTF-8", "--data-binary", "@-"}
	if c.authority != "" {
		args = append(args, "--cacert", c.authority)
	}
	if c.scheme != "" {
		args = append(args, c.scheme)
	}
	cmd := exec.Command("curl", append(args, "-w", "\n%{http_code}", c.url)...)
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(envelope), &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("curl (make deps installs it): %v\n%s", err, &errs)
	}
	end := bytes.LastIndexByte(out, '\n')
	if status := string(out[end+1:]); status != "200" {
		return "", "HTTP status " + status + ": " + string(out[:end])
	}
	return string(out[:end]), ""
}

func wrap(name, content string) (b strings.Builder) {
	b.WriteString("<" + name + ">" + content + "</" + name + ">")
	return b
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s))
	return b.String()
}

// node is an element of an answer.
type node struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []node     `xml:",any"`
	Text     string     `xml:",chardata"`
}

// find returns the first element of that name, the node itself among them, or nil.
func (n *node) find(name string) *node {
	if n.XMLName.Local == name {
		return n
	}
	for i := range n.Children {
		if found := n.Children[i].find(name); found != nil {
			return found
		}
	}
	return nil
}

// null tells whether the element is xsi:nil.
func (n *node) null() bool {
	return slices.ContainsFunc(n.Attrs, func(a xml.Attr) bool { return a.Name.Local == "nil" && a.Value == "true" })
}

// values returns the texts of the child elements by name; NULL is left out. A datetime is the text inside.
func (n *node) values() map[string]string {
	values := map[string]string{}
	for _, c := range n.Children {
		switch {
		case c.null():
		case len(c.Children) == 1:
			values[c.XMLName.Local] = c.Children[0].Text
		default:
			values[c.XMLName.Local] = c.Text
		}
	}
	return values
}

// body sends an operation and returns what its Body contains. A fault fails the test.
func body(t *testing.T, s session, o operation) *node {
	t.Helper()
	answer, fault := s.send(t, o)
	if fault != "" {
		t.Fatalf("%s: %s", o.Action, fault)
	}
	var n node
	if err := xml.Unmarshal([]byte(answer), &n); err != nil {
		t.Fatalf("%v in %s", err, answer)
	}
	found := n.find("Body")
	if found == nil || len(found.Children) != 1 {
		t.Fatalf("the answer has no Body with one element: %s", answer)
	}
	return &found.Children[0]
}

func get(t *testing.T, s session, class string, selectors map[string]string) *node {
	t.Helper()
	return body(t, s, operation{URI: wmiURI + class, Action: transferURI + "/Get", Selectors: selectors})
}

// invoke calls a static method. The arguments are names and texts by turns.
func invoke(t *testing.T, s session, class, method string, arguments ...string) (returnValue string, out map[string]string) {
	t.Helper()
	o := operation{URI: wmiURI + class, Action: wmiURI + class + "/" + method}
	o.Body = fmt.Sprintf(`<p:%s_INPUT xmlns:p="%s">`, method, o.URI)
	for i := 0; i < len(arguments); i += 2 {
		o.Body += fmt.Sprintf("<p:%s>%s</p:%[1]s>", arguments[i], escape(arguments[i+1]))
	}
	o.Body += fmt.Sprintf("</p:%s_INPUT>", method)
	output := body(t, s, o)
	if !strings.EqualFold(output.XMLName.Local, method+"_OUTPUT") {
		t.Fatalf("the answer to %s is %s", method, output.XMLName.Local)
	}
	out = output.values()
	return out["ReturnValue"], out
}

// enumerate returns all instances, or those of a WQL query, pulled so many at a time; with 0 all are asked for at once.
func enumerate(t *testing.T, s session, class, wql string, atATime int) []*node {
	t.Helper()
	o := operation{URI: wmiURI + class, Action: enumerationURI + "/Enumerate"}
	o.Body = fmt.Sprintf(`<n:Enumerate xmlns:n="%s" xmlns:w="%s">`, enumerationURI, wsmanURI)
	if atATime == 0 {
		o.Body += `<w:OptimizeEnumeration></w:OptimizeEnumeration><w:MaxElements>32000</w:MaxElements>`
	}
	if wql != "" {
		o.Body += `<w:Filter Dialect="` + wqlDialect + `">` + escape(wql) + `</w:Filter>`
	}
	o.Body += `</n:Enumerate>`
	var items []*node
	for {
		answer := body(t, s, o)
		if list := answer.find("Items"); list != nil {
			for i := range list.Children {
				items = append(items, &list.Children[i])
			}
			if atATime > 0 && len(list.Children) > atATime {
				t.Errorf("%d instances came where %d were asked for", len(list.Children), atATime)
			}
		}
		if answer.find("EndOfSequence") != nil {
			return items
		}
		context := answer.find("EnumerationContext")
		if context == nil || strings.TrimSpace(context.Text) == "" {
			t.Fatal("the enumeration neither ends nor goes on")
		}
		o.Action = enumerationURI + "/Pull"
		o.Body = fmt.Sprintf(`<n:Pull xmlns:n="%s"><n:EnumerationContext>%s</n:EnumerationContext><n:MaxElements>%d</n:MaxElements></n:Pull>`,
			enumerationURI, escape(context.Text), max(atATime, 1))
	}
}
