//go:build linux

package kerberos_test

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/app"
	"calkeeper/internal/auth"
	"calkeeper/internal/wsman/client"
)

const (
	licenseServer = "ls1.example.com"
	adminPassword = "correct horse battery"
)

// licenseServer runs one with the keytab of the realm, to which alice is an Administrator and bob nobody.
func (r *realm) licenseServer(t *testing.T) (l *app.LicenseServer, certificate string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ls1")
	l, err := app.OpenLicenseServer(t.Context(), app.LicenseServerOptions{
		Dir: dir, Name: licenseServer, ListenHTTP: "127.0.0.1:5985", ListenHTTPS: "127.0.0.1:5986", Keytab: r.keytab(),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := l.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	for _, c := range []accounts.Change{
		{Name: "Administrator", Role: auth.Administrator, Password: adminPassword}, {Name: "alice@EXAMPLE.COM", Role: auth.Administrator},
	} {
		if err := l.Accounts.Set(t.Context(), "test", c); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	return l, filepath.Join(dir, "tls.crt")
}

// put is a session of python3-winrm: it sets the company to its last argument, and prints what is there then.
const put = `
import sys, uuid, xmltodict
from winrm.protocol import Protocol
endpoint, encryption, certificate, company = sys.argv[1:]
p = Protocol(endpoint, transport="kerberos", username="alice", password="", message_encryption=encryption, ca_trust_path=certificate or None)
uri = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_TSLicenseServer"
for action, body in ("Put", {"p:Win32_TSLicenseServer": {"@xmlns:p": uri, "p:Company": company}}), ("Get", {}):
    m = {"env:Envelope": p._get_soap_header(resource_uri=uri, action="http://schemas.xmlsoap.org/ws/2004/09/transfer/" + action, message_id=uuid.uuid4())}
    m["env:Envelope"]["env:Body"] = body
    answer = p.send_message(xmltodict.unparse(m))
print(answer.decode() if isinstance(answer, bytes) else answer)
`

// winRM has python3-winrm and curl use a license server with tickets of the realm.
func (r *realm) winRM(t *testing.T) {
	l, certificate := r.licenseServer(t)
	admin, err := client.New(client.Options{URL: l.URL(), User: "Administrator", Password: adminPassword})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	company := func() string {
		t.Helper()
		i, err := admin.Get(t.Context(), "Win32_TSLicenseServer", nil)
		if err != nil {
			t.Fatal(err)
		}
		return i.Text("Company")
	}
	alice, bob := r.login("alice"), r.login("bob")
	python := func(name, cache string, environ []string, arguments ...string) string {
		t.Helper()
		cmd := exec.Command("/usr/bin/python3", append([]string{"-W", "ignore", "-c", put}, append(arguments, name)...)...)
		cmd.Env = append(r.environ(cache), environ...)
		out, _ := cmd.CombinedOutput() // of a fault it makes an exception, whose text is in it
		return string(out)
	}
	http, https := "http://"+licenseServer+":5985/wsman", "https://"+licenseServer+":5986/wsman"
	sealing := "PYTHONPATH=" + programs // the module that can seal, in place of Debian's
	for name, c := range map[string]struct {
		environ   []string
		arguments []string
	}{
		"sealed, Kerberos":   {[]string{sealing, "GSSAPI_MECHANISM=krb5"}, []string{http, "always", ""}},
		"sealed, SPNEGO":     {[]string{sealing, "GSSAPI_MECHANISM=spnego"}, []string{http, "always", ""}},
		"TLS, Debian's own":  {nil, []string{https, "auto", certificate}},
		"TLS, with bindings": {[]string{sealing, "GSSAPI_MECHANISM=spnego"}, []string{https, "auto", certificate}},
	} {
		if out := python(name, alice, c.environ, c.arguments...); company() != name || !strings.Contains(out, "<p:Company>"+name+"</p:Company>") {
			t.Errorf("%s: the company is %q\n%s", name, company(), out)
		}
	}
	before := company()
	if out := python("bob", bob, []string{sealing}, http, "always", ""); company() != before || !strings.Contains(out, "Access is denied") && !strings.Contains(out, "access is denied") {
		t.Errorf("one without a role: the company is %q\n%s", company(), out)
	}
	if out := python("in clear", alice, nil, http, "auto", ""); company() != before || !strings.Contains(out, "Code 400") {
		t.Errorf("in clear: the company is %q\n%s", company(), out)
	}

	get := filepath.Join(t.TempDir(), "get.xml")
	if err := os.WriteFile(get, []byte(getRequest), 0o600); err != nil {
		t.Fatal(err)
	}
	curl := func(cache, url string) string {
		cmd := exec.Command("curl", "-sS", "--negotiate", "-u", ":", "--cacert", certificate, "-H", "Content-Type: application/soap+xml;charset=UTF-8",
			"--data-binary", "@"+get, "-w", "\n%{http_code}", url)
		cmd.Env = r.environ(cache)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("curl: %v", err)
		}
		return string(out)
	}
	if out := curl(alice, https); !strings.Contains(out, "<p:Company>"+before+"</p:Company>") || !strings.HasSuffix(out, "\n200") {
		t.Errorf("curl: %s", out)
	}
	if out := curl(alice, http); !strings.HasSuffix(out, "\n400") || !strings.Contains(out, "must be sealed") {
		t.Errorf("curl over HTTP: %s", out)
	}
	if out := curl(filepath.Join(t.TempDir(), "none"), https); !strings.HasSuffix(out, "\n401") {
		t.Errorf("curl without a ticket: %s", out)
	}
}

const getRequest = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd">` +
	`<s:Header><a:To>http://localhost/wsman</a:To><a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>` +
	`<a:MessageID>uuid:1</a:MessageID><a:Action>http://schemas.xmlsoap.org/ws/2004/09/transfer/Get</a:Action>` +
	`<w:ResourceURI>http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_TSLicenseServer</w:ResourceURI></s:Header><s:Body/></s:Envelope>`
