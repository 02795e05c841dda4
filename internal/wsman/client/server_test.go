package client_test

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"calkeeper/internal/wsman/client"
)

const (
	user     = "EXAMPLE\\admin"
	password = "Pa55word,correct"
)

// The namespaces as the tests expect them, written out apart from the code under test.
const (
	nsEnvelope    = "http://www.w3.org/2003/05/soap-envelope"
	nsAddressing  = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
	nsEnumeration = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
	nsTransfer    = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
	nsWSMan       = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
	nsCIM         = "http://schemas.dmtf.org/wbem/wscim/1/common"
	nsXSI         = "http://www.w3.org/2001/XMLSchema-instance"
	nsIdentity    = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
	nsWMI         = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/"
)

// node is an element as encoding/xml reads it.
type node struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Text    string     `xml:",chardata"`
	Nodes   []node     `xml:",any"`
}

// at returns the one descendant with this path of expanded names, written as space, local, space, local...
func (n node) at(t *testing.T, path ...string) node {
	t.Helper()
	for ; len(path) > 0; path = path[2:] {
		var found []node
		for _, child := range n.Nodes {
			if child.XMLName == (xml.Name{Space: path[0], Local: path[1]}) {
				found = append(found, child)
			}
		}
		if len(found) != 1 {
			t.Fatalf("%d elements {%s}%s in %s, want 1", len(found), path[0], path[1], n.XMLName.Local)
		}
		n = found[0]
	}
	return n
}

func (n node) has(space, local string) bool {
	for _, child := range n.Nodes {
		if child.XMLName == (xml.Name{Space: space, Local: local}) {
			return true
		}
	}
	return false
}

func (n node) attr(space, local string) string {
	for _, a := range n.Attrs {
		if a.Name == (xml.Name{Space: space, Local: local}) {
			return a.Value
		}
	}
	return ""
}

// sent is one request that a server got.
type sent struct {
	node
	http http.Header
	path string
}

func (s sent) header(t *testing.T, space, local string) node {
	t.Helper()
	return s.at(t, nsEnvelope, "Header", space, local)
}

func (s sent) action(t *testing.T) string {
	t.Helper()
	return s.header(t, nsAddressing, "Action").Text
}

// answer is what a server replies to one request.
type answer struct {
	file        string // in testdata; RELATES-TO in it stands for the MessageID of the request
	body        string // instead of file
	status      int    // 200 if 0
	contentType string // that of SOAP if empty
	header      http.Header
}

// server answers requests in turn and keeps them.
type server struct {
	*httptest.Server
	mutex    sync.Mutex
	answers  []answer
	requests []sent
}

func newServer(t *testing.T, answers ...answer) *server {
	t.Helper()
	s := &server{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		var root node
		if err := xml.Unmarshal(body, &root); err != nil {
			t.Errorf("the request is no XML: %v\n%s", err, body)
		}
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.requests = append(s.requests, sent{root, r.Header, r.URL.Path})
		if len(s.answers) == 0 {
			t.Errorf("an unexpected request:\n%s", body)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		a := s.answers[0]
		s.answers = s.answers[1:]
		for name, values := range a.header {
			w.Header()[name] = values
		}
		if a.contentType == "" {
			a.contentType = "application/soap+xml;charset=UTF-8"
		}
		w.Header().Set("Content-Type", a.contentType)
		if a.status != 0 {
			w.WriteHeader(a.status)
		}
		if _, err := io.WriteString(w, a.text(t, root)); err != nil {
			t.Logf("writing the reply: %v", err) // the client may have hung up
		}
	}))
	t.Cleanup(func() {
		s.Close()
		if len(s.answers) > 0 {
			t.Errorf("%d requests did not come", len(s.answers))
		}
	})
	return s
}

func (a answer) text(t *testing.T, request node) string {
	if a.file == "" {
		return a.body
	}
	text := fixture(t, a.file)
	if strings.Contains(text, "RELATES-TO") {
		text = strings.ReplaceAll(text, "RELATES-TO", request.at(t, nsEnvelope, "Header", nsAddressing, "MessageID").Text)
	}
	return text
}

func fixture(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// client returns a client of the server; change may change its options.
func (s *server) client(t *testing.T, change ...func(*client.Options)) *client.Client {
	t.Helper()
	opt := client.Options{URL: s.URL + "/wsman", User: user, Password: password}
	for _, f := range change {
		f(&opt)
	}
	c, err := client.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// replies is a carrier that gives every request the same reply.
type replies struct {
	status      int
	contentType string
	body        []byte
}

func (r replies) RoundTrip(request *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: r.status,
		Header:     http.Header{"Content-Type": {r.contentType}},
		Body:       io.NopCloser(strings.NewReader(string(r.body))),
		Request:    request,
	}, nil
}
