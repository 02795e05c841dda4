package test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/auth"
	restclient "calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
)

// TestEveryLogonIsAudited logs on in each way, right and wrong, each from an address of its own, and finds in the audit log who it was, from
// where, how, and what came of it: one record each, however often a success is repeated.
func TestEveryLogonIsAudited(t *testing.T) {
	f := newFarm(t)
	f.listenHTTPS = "127.0.0.1:0"
	m := f.start("ls", f.organization.EnrolmentKey)
	ada := m.takeNTLM(t, "ada", auth.Operator)
	certificate := func(until time.Time) *tls.Certificate {
		c, err := tls.LoadX509KeyPair(newClientCertificate(t, until))
		if err != nil {
			t.Fatal(err)
		}
		return &c
	}
	own := func(name string, c *tls.Certificate) {
		sum := sha256.Sum256(c.Leaf.Raw)
		if err := m.Accounts.Set(t.Context(), "test", accounts.Change{Name: name, Role: auth.Auditor, Certificate: sum[:]}); err != nil {
			t.Fatal(err)
		}
	}
	soon := time.Now().Add(30 * time.Minute)
	known, unknown, expired := certificate(soon), certificate(soon), certificate(time.Now().Add(-time.Minute))
	own("carol", known)
	own("dave", expired)
	api, secure := strings.TrimSuffix(m.APIURL(), "/")+"/server", m.SecureURL()
	u, err := url.Parse(m.URL())
	if err != nil {
		t.Fatal(err)
	}

	basic := func(at, user, password string) func(*testing.T, string) []int {
		return func(t *testing.T, from string) []int {
			return m.asks(t, at, from, nil, func(r *http.Request) { r.SetBasicAuth(user, password) })
		}
	}
	header := func(at, authorization string, c *tls.Certificate) func(*testing.T, string) []int {
		return func(t *testing.T, from string) []int {
			return m.asks(t, at, from, c, func(r *http.Request) {
				if authorization != "" {
					r.Header.Set("Authorization", authorization)
				}
			})
		}
	}
	handshake := func(user, password string, f forgery) func(*testing.T, string) []int {
		return func(t *testing.T, from string) (statuses []int) {
			c := dialNTLM(t, u.Host, from, user, password)
			c.negotiate()
			message := c.authenticate(f)
			return append(statuses, c.send(negotiateToken(message), sealedType, c.sealed(getServer)).status,
				c.send("", sealedType, c.sealed(getServer)).status)
		}
	}
	const mutual = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
	cases := []struct {
		name                             string
		logOn                            func(t *testing.T, from string) (statuses []int) // twice on one connection, if it goes well
		actor, action, detail, mechanism string
	}{
		{"Basic", basic(m.URL(), "ADA", ada), "ada", "logon", "Operator", "Basic"},
		{"Basic in TLS", basic(secure, "ada", ada), "ada", "logon", "Operator", "Basic"},
		{"Basic of the REST API", basic(api, "ada", ada), "ada", "logon", "Operator", "Basic"},
		{"Basic, wrong password", basic(m.URL(), "ada", "wrong"), "ada", "logon refused", "wrong password", "Basic"},
		{"Basic of the REST API, wrong password", basic(api, "ada", "wrong"), "ada", "logon refused", "wrong password", "Basic"},
		{"Basic, no such account", basic(m.URL(), "eve", ada), "eve", "logon refused", "no such account", "Basic"},
		{"Basic, no password", basic(m.URL(), "carol", ada), "carol", "logon refused", "the account has no password", "Basic"},
		{"Basic, malformed", header(m.URL(), "Basic *", nil), "unknown", "logon refused", "defective token", "Basic"},
		{"NTLM", handshake("ada", ada, forgery{}), "ada", "logon", "Operator", "NTLM"},
		{"NTLM, wrong password", handshake("ada", "wrong", forgery{}), "ada", "logon refused", "credentials are wrong", "NTLM"},
		{"NTLM, no such account", handshake("eve", ada, forgery{}), "eve", "logon refused", "credentials are wrong", "NTLM"},
		{"NTLM, not opted in", handshake("Auditor", password, forgery{}), "Auditor", "logon refused", "credentials are wrong", "NTLM"},
		{"NTLM, altered", handshake("ada", ada, forgery{alter: func(message []byte) { message[ntlmMIC] ^= 1 }}), "ada", "logon refused",
			"integrity check failed", "NTLM"},
		{"NTLM, weakened", handshake("ada", ada, forgery{drop: ntlmSeal}), "ada", "logon refused", "defective token", "NTLM"},
		{"a token of nothing", header(m.URL(), "Negotiate bm90aGluZw==", nil), "unknown", "logon refused", "defective token", "Negotiate"},
		{"a token that is no base64", header(m.URL(), "Negotiate *", nil), "unknown", "logon refused", "defective token", "Negotiate"},
		{"certificate", header(secure, mutual, known), "carol", "logon", "Auditor", "Certificate"},
		{"certificate, without saying so", header(secure, "", known), "carol", "logon", "Auditor", "Certificate"},
		{"certificate, unknown", header(secure, mutual, unknown), "unknown", "logon refused", "no account has the certificate", "Certificate"},
		{"certificate, expired", header(secure, mutual, expired), "unknown", "logon refused", "credentials have expired", "Certificate"},
	}
	address := func(i int) string { return fmt.Sprintf("127.0.4.%d", i+1) }
	for i, c := range cases {
		refused := false
		for _, status := range c.logOn(t, address(i)) {
			refused = refused || status == http.StatusUnauthorized
			if status != http.StatusOK && status != http.StatusUnauthorized {
				t.Errorf("%s: status %d", c.name, status)
			}
		}
		if refused != (c.action == "logon refused") {
			t.Errorf("%s: refused %v", c.name, refused)
		}
	}
	from := m.auditByAddress(t)
	for i, c := range cases {
		records := from[address(i)]
		if len(records) != 1 {
			t.Errorf("%s: the records are %+v, want one", c.name, records)
			continue
		}
		if r := records[0]; r.Actor != c.actor || r.Action != c.action || !strings.HasPrefix(r.Detail, c.detail) || r.Mechanism != c.mechanism ||
			time.Since(r.At).Abs() > deadline {
			t.Errorf("%s: the record is %+v", c.name, r)
		}
	}
}

// asks sends a request twice, on one connection from that address, with that client certificate, and returns the statuses.
func (m *member) asks(t *testing.T, at, from string, certificate *tls.Certificate, authenticate func(*http.Request)) (statuses []int) {
	t.Helper()
	authority, err := os.ReadFile(filepath.Join(m.dir, "tls.crt"))
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(authority)
	if certificate != nil {
		config.Certificates = []tls.Certificate{*certificate}
	}
	transport := &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext, TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	for range 2 {
		method, body := http.MethodPost, getServer
		if !strings.HasSuffix(at, "/wsman") {
			method, body = http.MethodGet, nil
		}
		r, err := http.NewRequestWithContext(t.Context(), method, at, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", soapXML)
		authenticate(r)
		a, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, a.Body)
		if err := errors.Join(err, a.Body.Close()); err != nil {
			t.Fatal(err)
		}
		statuses = append(statuses, a.StatusCode)
		if a.StatusCode != http.StatusOK {
			break
		}
	}
	return statuses
}

// auditByAddress asks for the audit log, and returns its records by the address that they name.
func (m *member) auditByAddress(t *testing.T) map[string][]wire.AuditRecord {
	t.Helper()
	api, err := restclient.New(restclient.Options{URL: m.APIURL(), User: "Administrator", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	by := map[string][]wire.AuditRecord{}
	for after := uint64(0); ; {
		page, err := api.Audit(t.Context(), after, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			by[r.Remote] = append(by[r.Remote], r)
		}
		if len(page.Records) == 0 {
			return by
		}
		after = page.Records[len(page.Records)-1].Seq
	}
}
