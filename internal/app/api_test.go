package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/app"
	"calkeeper/internal/auth"
	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
)

// api returns a client of the license server's REST API.
func api(t testing.TB, o client.Options) *client.Client {
	t.Helper()
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// administrator returns a client of the REST API as Administrator.
func administrator(t testing.TB, l *app.LicenseServer) *client.Client {
	t.Helper()
	password, err := l.Accounts.Generate(t.Context(), "test", accounts.Change{Name: "Administrator", Role: auth.Administrator})
	if err != nil {
		t.Fatal(err)
	}
	return api(t, client.Options{URL: l.APIURL(), User: "Administrator", Password: password})
}

// register adds a session host that counts by device and returns a client of it. Nothing is activated: devices get temporary
// CALs.
func register(t testing.TB, l *app.LicenseServer) *client.Client {
	t.Helper()
	token, err := l.Issuance.AddHost(t.Context(), "test", licensing.Host{
		Name: "rds1.farm.example", ProductVersion: licensing.WindowsServer2022, Mode: licensing.PerDevice,
	})
	if err != nil {
		t.Fatal(err)
	}
	return api(t, client.Options{URL: l.APIURL(), Token: token})
}

func device(id string) wire.Request { return wire.Request{Device: &wire.Device{ID: id}, Receipt: true} }

// TestAPIAndWSManagementShareTheListener asks for a CAL over REST and sees it in WMI and in the metrics.
func TestAPIAndWSManagementShareTheListener(t *testing.T) {
	l := start(t, options(t.TempDir()))
	a, err := register(t, l).Request(t.Context(), device("hw:1"), "")
	if err != nil || a.Outcome != string(issuance.Issued) || a.License.Status != "temporary" {
		t.Fatalf("%+v, %v; want a temporary CAL", a, err)
	}
	found := 0
	for i, err := range wsman(t, l).Enumerate(t.Context(), "Win32_TSIssuedLicense", "") {
		if err != nil {
			t.Fatal(err)
		}
		if id, _ := i.Uint32("LicenseId"); id == a.License.ID {
			found++
		}
	}
	if found != 1 {
		t.Errorf("Win32_TSIssuedLicense has the CAL %d times", found)
	}
	password, err := l.Accounts.Generate(t.Context(), "test", accounts.Change{Name: "monitor", Role: auth.Auditor})
	if err != nil {
		t.Fatal(err)
	}
	base := strings.TrimSuffix(l.APIURL(), "/v1")
	for _, test := range []struct {
		path   string
		user   string
		status int
		body   string
	}{
		{"/metrics", "monitor", 200, "calkeeper_cals_temporary"},
		{"/metrics", "monitor", 200, `calkeeper_issuance_requests_total{operation="request",outcome="issued"} 1`},
		{"/metrics", "", 401, ""},
		{"/openapi.json", "monitor", 200, `"openapi":"3.1`},
		{"/v1/licenses", "monitor", 200, "hw:1"},
		{"/v1", "monitor", 404, ""},
		{"/v1/../wsman", "monitor", 404, ""},
		{"/v2", "monitor", 404, ""},
		{"//wsman", "monitor", 404, ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if test.user != "" {
			r.SetBasicAuth(test.user, password)
		}
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != test.status || !strings.Contains(string(text), test.body) {
			t.Errorf("%s: status %d, %v, %.300s; want %d with %q", test.path, response.StatusCode, err, text, test.status, test.body)
		}
	}
}

// TestReceiptKeyOutlivesTheDatabase checks a receipt with the key that the API tells, before and after a loss of the database.
func TestReceiptKeyOutlivesTheDatabase(t *testing.T) {
	o := options(t.TempDir())
	var keys []string
	for range 2 {
		l := start(t, o)
		server, err := administrator(t, l).Server(t.Context())
		if err != nil || server.Name != serverName || server.Version != app.Version || server.Activated {
			t.Fatalf("%+v, %v", server, err)
		}
		keys = append(keys, server.ReceiptKey)
		key, err := base64.StdEncoding.DecodeString(server.ReceiptKey)
		if err != nil || len(key) != ed25519.PublicKeySize {
			t.Fatalf("receipt key %q: %v", server.ReceiptKey, err)
		}
		a, err := register(t, l).Request(t.Context(), device("hw:1"), "")
		if err != nil {
			t.Fatal(err)
		}
		signed, signature, _ := cutLast(a.Receipt, ".")
		raw, err := base64.RawURLEncoding.DecodeString(signature)
		if err != nil || !ed25519.Verify(key, []byte(signed), raw) {
			t.Errorf("the receipt %q is not signed with the key: %v", a.Receipt, err)
		}
		stop(t, l.Stop)
		files, err := filepath.Glob(filepath.Join(o.Dir, "calkeeper.db*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	if keys[0] != keys[1] {
		t.Errorf("the receipt key was %s and is %s", keys[0], keys[1])
	}
	if other := start(t, options(t.TempDir())); other != nil {
		server, err := administrator(t, other).Server(t.Context())
		if err != nil || server.ReceiptKey == keys[0] {
			t.Errorf("another license server has the same receipt key, or %v", err)
		}
	}
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}

// clientCertificate makes a certificate that signs itself.
func clientCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rds2"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestClientCertificate knows a session host by the certificate of its TLS connection, and nobody by another.
func TestClientCertificate(t *testing.T) {
	dir := t.TempDir()
	l := start(t, httpsOptions(dir))
	known, unknown := clientCertificate(t), clientCertificate(t)
	sum := sha256.Sum256(known.Certificate[0])
	if token, err := l.Issuance.AddHost(t.Context(), "test", licensing.Host{
		Name: "rds2.farm.example", ProductVersion: licensing.WindowsServer2022, Mode: licensing.PerDevice, Certificate: sum[:],
	}); err != nil || token != "" {
		t.Fatalf("token %q, %v; want none for a host with a certificate", token, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(read(t, dir, "tls.crt"))) {
		t.Fatal("tls.crt is no PEM")
	}
	ask := func(certificates ...tls.Certificate) (wire.Answer, error) {
		return api(t, client.Options{URL: l.SecureAPIURL(), TLS: &tls.Config{RootCAs: roots, Certificates: certificates}}).Request(t.Context(), device("hw:1"), "")
	}
	if a, err := ask(known); err != nil || a.License.Host != "rds2.farm.example" {
		t.Errorf("with the certificate %s: %+v, %v", hex.EncodeToString(sum[:]), a, err)
	}
	for what, certificates := range map[string][]tls.Certificate{"another certificate": {unknown}, "no certificate": nil} {
		if a, err := ask(certificates...); licensing.KindOf(err) != licensing.Denied {
			t.Errorf("%s: %+v, %v; want Denied", what, a, err)
		}
	}
	if err := identify(t, l, filepath.Join(dir, "tls.crt")); err != nil { // a client of WS-Management needs none
		t.Error(err)
	}
}

// TestPoliciesReachIssuing switches the security group off.
func TestPoliciesReachIssuing(t *testing.T) {
	stranger := device("hw:1")
	stranger.SessionHost = &wire.SessionHost{Version: "ws2022", Mode: "per-device"}
	for _, anyHost := range []bool{false, true} {
		o := options(t.TempDir())
		o.Policies.AnyHost = anyHost
		l := start(t, o)
		a, err := api(t, client.Options{URL: l.APIURL()}).Request(t.Context(), stranger, "")
		if anyHost && (err != nil || a.License.Status != "temporary") || !anyHost && licensing.KindOf(err) != licensing.Denied {
			t.Errorf("any host is answered: %v; got %+v, %v", anyHost, a, err)
		}
	}
}

// TestAPIRate lets a session host ask so often and no more.
func TestAPIRate(t *testing.T) {
	o := options(t.TempDir())
	o.APIRate = 1
	host := register(t, start(t, o))
	for n := 1; ; n++ {
		_, err := host.Server(t.Context())
		if licensing.KindOf(err) == licensing.Limited {
			return
		}
		if err != nil || n > 60 {
			t.Fatalf("request %d: %v; want Limited soon", n, err)
		}
	}
}

// TestStopEndsStreams stops the license server while one client follows events and another waits for one.
func TestStopEndsStreams(t *testing.T) {
	l := start(t, options(t.TempDir()))
	admin := administrator(t, l)
	if _, err := register(t, l).Request(t.Context(), device("hw:1"), ""); err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	seen, ended := make(chan uint64), make(chan error, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() {
		first := true
		for e, err := range admin.StreamEvents(ctx, 1) {
			if err != nil {
				ended <- err
				return
			}
			if first {
				seen <- e.Seq
			}
			first = false
		}
		ended <- nil
	}()
	select {
	case last = <-seen:
	case err := <-ended:
		t.Fatalf("the stream has ended: %v", err)
	}
	go func() {
		_, err := admin.Events(ctx, last+1000, 1, time.Minute)
		ended <- err
	}()
	// The poll has begun when the license server has its request, which nothing tells from outside but one after it.
	if _, err := admin.Server(ctx); err != nil {
		t.Fatal(err)
	}
	stop(t, l.Stop)
	for range 2 {
		if err := <-ended; err == nil || ctx.Err() != nil {
			t.Errorf("%v; want an error that says that the license server has stopped", err)
		}
	}
}

// TestAddressesOfTheAPI pins how addresses of the API are written.
func TestAddressesOfTheAPI(t *testing.T) {
	o := options(t.TempDir())
	o.ListenHTTPS = "127.0.0.1:0"
	l := start(t, o)
	if got, want := l.APIURL(), strings.TrimSuffix(l.URL(), "/wsman")+"/v1"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if got, want := l.SecureAPIURL(), strings.TrimSuffix(l.SecureURL(), "/wsman")+"/v1"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if l := open(t, options(t.TempDir())); l.APIURL() != "" || l.SecureAPIURL() != "" {
		t.Error("there are addresses before anything is served")
	}
}
