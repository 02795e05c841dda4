package test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"calkeeper/internal/app"
)

const (
	soapType = "application/soap+xml;charset=UTF-8"
	identify = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:wsmid="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">` +
		`<s:Header/><s:Body><wsmid:Identify/></s:Body></s:Envelope>`
	soapGet = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd">` +
		`<s:Header><a:To>http://localhost/wsman</a:To><a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>` +
		`<a:MessageID>uuid:1</a:MessageID><a:Action>` + transferURI + `/Get</a:Action><w:ResourceURI>` + wmiURI + serverClass + `</w:ResourceURI></s:Header><s:Body/></s:Envelope>`
)

// stranger sends requests without credentials, to both listeners of a license server.
type stranger struct {
	client *http.Client
	bases  []string
}

func newStranger(t *testing.T, m *member) *stranger {
	t.Helper()
	s := &stranger{client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}} // whose server it is, it cannot know
	t.Cleanup(s.client.CloseIdleConnections)
	for _, address := range []string{m.URL(), m.SecureURL()} {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" {
			t.Fatalf("address %q, %v", address, err)
		}
		s.bases = append(s.bases, u.Scheme+"://"+u.Host)
	}
	return s
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (s *stranger) send(t *testing.T, method, address, body string, header http.Header) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	response, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

// routes returns all that the license server says that it serves, by "METHOD path", and what it must not serve at all.
func routes(t *testing.T, m *member) []string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(m.APIURL(), "/v1")+"/openapi.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("Administrator", password)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var document struct {
		Paths map[string]map[string]struct{ OperationID string }
	}
	if err := json.NewDecoder(response.Body).Decode(&document); err != nil {
		t.Fatal(err)
	}
	list := []string{
		"GET /metrics", "GET /openapi.json", "GET /", "GET /v1", "POST /", "GET /wsman", "GET /wsman/", "PUT /wsman", "POST /wsman/subscriptions",
		"GET /console", "GET /debug/pprof/", "GET /debug/vars", "GET /.well-known/security.txt", "OPTIONS /wsman", "TRACE /wsman", "HEAD /wsman",
		"GET /v1/../metrics", "GET //metrics", "GET /v1/%2e%2e/metrics",
	}
	operations := 0
	for path, methods := range document.Paths {
		for method, o := range methods {
			if o.OperationID != "" {
				list = append(list, strings.ToUpper(method)+" "+strings.NewReplacer("{id}", "1", "{name}", "nobody").Replace(path))
				operations++
			}
		}
	}
	if operations < 15 {
		t.Fatalf("the document has %d operations", operations)
	}
	return list
}

// TestStrangers asks every route of both listeners without credentials: nothing is answered, and nothing is told about the product.
func TestStrangers(t *testing.T) {
	f := newFarm(t)
	f.listenHTTPS = "127.0.0.1:0"
	m := f.join("target", f.organization)
	s := newStranger(t, m)
	list := routes(t, m)
	for _, base := range s.bases {
		for _, route := range list {
			method, path, _ := strings.Cut(route, " ")
			for _, body := range []string{"", "{}"} {
				got := s.send(t, method, base+path, body, http.Header{"Content-Type": {"application/json"}})
				switch got.status {
				case http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed:
				default:
					t.Errorf("%s %s: status %d, %q", method, base+path, got.status, got.body)
				}
				tellsNothing(t, route, got)
			}
		}
		for _, path := range []string{"/wsman", "/wsman/"} {
			for name, body := range map[string]string{
				"nothing": "", "Identify": identify, "no XML": "<", "Get": soapGet, "too much": strings.Repeat(" ", 1<<20) + soapGet,
			} {
				got := s.send(t, http.MethodPost, base+path, body, http.Header{"Content-Type": {soapType}})
				if got.status != http.StatusUnauthorized || got.body != "" || len(got.header.Values("WWW-Authenticate")) == 0 {
					t.Errorf("%s to %s: status %d, %q", name, path, got.status, got.body)
				}
				tellsNothing(t, name, got)
			}
			// Who says that he is not authenticated gets Identify, and nothing else.
			anonymous := http.Header{"Content-Type": {soapType}, "Wsmanidentify": {"unauthenticated"}}
			got := s.send(t, http.MethodPost, base+path, identify, anonymous)
			if got.status != http.StatusOK || !strings.Contains(got.body, "<wsmid:ProductVersion>OS: 0.0.0 SP: 0.0 Stack: 3.0</wsmid:ProductVersion>") {
				t.Errorf("Identify: status %d, %q", got.status, got.body)
			}
			tellsNothing(t, "Identify", got)
			if got := s.send(t, http.MethodPost, base+path, soapGet, anonymous); got.status != http.StatusUnauthorized || got.body != "" {
				t.Errorf("Get, said to be anonymous: status %d, %q", got.status, got.body)
			}
		}
	}
}

// tellsNothing looks for what a stranger must not learn.
func tellsNothing(t *testing.T, what string, a answer) {
	t.Helper()
	var text strings.Builder
	if err := a.header.Write(&text); err != nil {
		t.Fatal(err)
	}
	text.WriteString(a.body)
	for _, secret := range []string{app.Version, "target.farm.example", "Go-http", "go1.", "goroutine", "Lovelace"} {
		if strings.Contains(text.String(), secret) {
			t.Errorf("%s: the answer tells %q: %s", what, secret, text.String())
		}
	}
}
