package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/auth"
)

// newClientCertificate makes a certificate that nobody has issued, valid until then, and returns its files.
func newClientCertificate(t *testing.T, until time.Time) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ada"}, NotBefore: until.Add(-time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key")
	for file, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// clientCertificate makes one, and an Administrator of the target who logs on with it, as an administrator does that.
func (d *demo) clientCertificate(t *testing.T) (certificate, key string) {
	t.Helper()
	certificate, key = newClientCertificate(t, time.Now().Add(30*time.Minute))
	cmd := exec.Command(program(t, shipped), "account", "set", "ada", "--role", "Administrator", "--certificate", certificate)
	cmd.Env = append(os.Environ(), "CALKEEPER_SERVER="+d.Target.WSMan, "CALKEEPER_PASSWORD="+d.Target.Password)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return certificate, key
}

// again is a session of python3-winrm that begins anew with each operation.
type again struct {
	*pywinrm
	options map[string]any
}

func (s *again) send(t *testing.T, o operation) (string, string) {
	t.Helper()
	s.write(t, s.options)
	return s.pywinrm.send(t, o)
}

// TestRealClientsNTLM has python3-winrm and curl log on with NTLM, as who may and as who may not, sealed and not.
func TestRealClientsNTLM(t *testing.T) {
	f := newFarm(t)
	f.listenHTTPS = "127.0.0.1:0"
	m := f.join("strict", f.organization)
	f.allowUnencrypted = true
	lax := f.start("lax", f.organization.EnrolmentKey)
	passwords := map[auth.Role]string{}
	for _, role := range []auth.Role{auth.Administrator, auth.Operator, auth.Auditor} {
		passwords[role] = m.takeNTLM(t, strings.ToLower(string(role))+"1", role)
	}
	onLax := lax.takeNTLM(t, "ada", auth.Administrator)
	authority := filepath.Join(m.dir, "tls.crt")
	winrm := newPywinrm(t, m.URL(), "Administrator", password, "")
	ntlm := func(url, user, password, encryption string) session {
		return &again{winrm, map[string]any{
			"endpoint": url, "transport": "ntlm", "username": user, "password": password, "message_encryption": encryption, "ca_trust_path": authority,
		}}
	}
	who := operation{URI: wmiURI + serverClass, Action: transferURI + "/Get"}
	const unsealed = "400 over HTTP a message must be sealed"
	for _, c := range []struct {
		name  string
		s     session
		fault string // empty: the answer is right
	}{
		{"sealed", ntlm(m.URL(), "auditor1", passwords[auth.Auditor], "always"), ""},
		{"sealed in TLS", ntlm(m.SecureURL(), "auditor1", passwords[auth.Auditor], "always"), ""},
		{"with a domain", ntlm(m.URL(), `STRICT\auditor1`, passwords[auth.Auditor], "auto"), ""},
		{"with a domain of nobody", ntlm(m.URL(), `ANOTHER\AUDITOR1`, passwords[auth.Auditor], "auto"), ""},
		{"wrong password", ntlm(m.URL(), "auditor1", "a wrong password", "always"), "InvalidCredentialsError"},
		{"wrong password in TLS", ntlm(m.SecureURL(), "auditor1", "a wrong password", "auto"), "InvalidCredentialsError"},
		{"no such account", ntlm(m.URL(), "nobody", passwords[auth.Auditor], "always"), "InvalidCredentialsError"},
		{"account without NTLM", ntlm(m.URL(), "Administrator", password, "always"), "InvalidCredentialsError"},
		{"never sealed", ntlm(m.URL(), "auditor1", passwords[auth.Auditor], "never"), unsealed},
		{"never sealed in TLS", ntlm(m.SecureURL(), "auditor1", passwords[auth.Auditor], "never"), ""},
		{"never sealed, which is allowed", ntlm(lax.URL(), "ada", onLax, "never"), ""},
		{"sealed, which is allowed", ntlm(lax.URL(), "ada", onLax, "always"), ""},
		{"curl", &curl{url: m.URL(), user: "auditor1", password: passwords[auth.Auditor], scheme: "--ntlm"}, "HTTP status " + unsealed[:3]},
		{"curl, which is allowed", &curl{url: lax.URL(), user: "ada", password: onLax, scheme: "--ntlm"}, ""},
		{"curl in TLS", &curl{url: m.SecureURL(), user: "auditor1", password: passwords[auth.Auditor], scheme: "--ntlm", authority: authority}, ""},
		{"curl in TLS, wrong password", &curl{url: m.SecureURL(), user: "auditor1", password: "wrong", scheme: "--ntlm", authority: authority}, "HTTP status 401"},
	} {
		answer, fault := c.s.send(t, who)
		if c.fault == "" && !strings.Contains(answer, serverClass) || !strings.Contains(fault, c.fault) || (c.fault == "") != (fault == "") {
			t.Errorf("%s: %q, %q; want the fault %q", c.name, answer, fault, c.fault)
		}
	}

	// What each role may. Revoke looks for the CAL first where it is allowed.
	put := operation{URI: who.URI, Action: transferURI + "/Put", Body: fmt.Sprintf(`<p:%s xmlns:p="%s"><p:Company>NTLM</p:Company></p:%[1]s>`, serverClass, who.URI)}
	revoke := operation{
		URI: wmiURI + "Win32_TSIssuedLicense", Action: wmiURI + "Win32_TSIssuedLicense/Revoke", Selectors: map[string]string{"KeyPackId": "2", "LicenseId": "9999"},
		Body: fmt.Sprintf(`<p:Revoke_INPUT xmlns:p="%s"/>`, wmiURI+"Win32_TSIssuedLicense"),
	}
	const denied = "AccessDenied"
	for role, want := range map[auth.Role]struct{ put, revoke string }{
		auth.Administrator: {"", "DestinationUnreachable"}, auth.Operator: {denied, "DestinationUnreachable"}, auth.Auditor: {denied, denied},
	} {
		s := ntlm(m.URL(), strings.ToLower(string(role))+"1", passwords[role], "always")
		for _, c := range []struct {
			operation
			fault string
		}{{who, ""}, {put, want.put}, {revoke, want.revoke}} {
			if answer, fault := s.send(t, c.operation); !strings.Contains(fault, c.fault) || (c.fault == "") != (fault == "") {
				t.Errorf("%s of the %s: %q, %q; want the fault %q", c.Action, role, answer, fault, c.fault)
			}
		}
	}
}

// takeNTLM adds an account that takes NTLM, and returns its password.
func (m *member) takeNTLM(t *testing.T, user string, role auth.Role) string {
	t.Helper()
	password, err := m.Accounts.Generate(t.Context(), "test", accounts.Change{Name: user, Role: role, NTLM: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	return password
}
