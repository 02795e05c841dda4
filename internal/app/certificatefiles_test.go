package app_test

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"calkeeper/internal/app"
	"calkeeper/internal/auth"
)

// pair is a certificate that signs itself, with its key, in PEM.
type pair struct{ certificate, key, sha256 string }

func newPair(t *testing.T, key crypto.Signer) pair {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{serverName}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		fmt.Sprintf("%X", sha256.Sum256(der)),
	}
}

func ecdsaPair(t *testing.T) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return newPair(t, key)
}

// files are where a certificate is.
type files struct{ certificate, key string }

func newFiles(t *testing.T) files {
	dir := t.TempDir()
	return files{filepath.Join(dir, "ls1.pem"), filepath.Join(dir, "ls1.key")}
}

func (f files) write(t *testing.T, p pair) {
	t.Helper()
	write(t, f.certificate, p.certificate)
	write(t, f.key, p.key)
}

// dialed is a connection over which one request follows the other.
type dialed struct {
	net.Conn
	reader *bufio.Reader
	shown  string // fingerprint of the server's certificate, empty without TLS
}

func dial(t *testing.T, address string, c *tls.Config) *dialed {
	t.Helper()
	d := &dialed{}
	if c == nil {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		d.Conn = conn
	} else {
		c.InsecureSkipVerify = true // the test looks itself
		conn, err := tls.Dial("tcp", address, c)
		if err != nil {
			t.Fatal(err)
		}
		if conn.ConnectionState().DidResume {
			t.Error("a session was resumed")
		}
		d.Conn, d.shown = conn, fmt.Sprintf("%X", sha256.Sum256(conn.ConnectionState().PeerCertificates[0].Raw))
	}
	t.Cleanup(func() { d.Close() })
	d.reader = bufio.NewReader(d)
	return d
}

// get asks for a path and returns the status and the body.
func (d *dialed) get(t *testing.T, path string) (int, string) {
	t.Helper()
	if _, err := fmt.Fprintf(d, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, serverName); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(d.reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// clock is a time that tests let pass.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// connectionSeen answers with the certificate that auth knows of the connection, and with what tells connections apart.
var connectionSeen = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	c := auth.ConnectionOf(r.Context())
	shown := ""
	if leaf := c.Certificate(); leaf != nil {
		shown = fmt.Sprintf("%X", sha256.Sum256(leaf.Raw))
	}
	fmt.Fprintf(w, "%s %p", shown, c)
})

func (d *dialed) seen(t *testing.T) (shown, connection string) {
	t.Helper()
	_, body := d.get(t, "/")
	shown, connection, _ = strings.Cut(body, " ")
	return shown, connection
}

// TestConnectionKnowsItsCertificate: each request knows which certificate its connection has shown, also after that has changed.
func TestConnectionKnowsItsCertificate(t *testing.T) {
	f, first, second := newFiles(t), ecdsaPair(t), ecdsaPair(t)
	f.write(t, first)
	var passing clock
	address := app.Serve(t, connectionSeen, f.certificate, f.key, slog.New(slog.DiscardHandler), passing.now)
	sessions := map[uint16]tls.ClientSessionCache{tls.VersionTLS12: tls.NewLRUClientSessionCache(1), tls.VersionTLS13: tls.NewLRUClientSessionCache(1)}
	var open []*dialed
	var names []string
	check := func(d *dialed, want string) {
		t.Helper()
		shown, connection := d.seen(t)
		if again, same := d.seen(t); shown != want || d.shown != want || again != want || same != connection {
			t.Errorf("the server takes %s and %s for what it has shown, the client has seen %s, want %s; connections %s, %s", shown, again, d.shown, want, connection, same)
		}
		names = append(names, connection)
	}
	both := func(want string) {
		t.Helper()
		for version, cache := range sessions {
			d := dial(t, address, &tls.Config{MinVersion: version, MaxVersion: version, ClientSessionCache: cache, ServerName: serverName})
			check(d, want)
			open = append(open, d)
		}
	}
	both(first.sha256)
	f.write(t, second)
	passing.pass(app.CertificateLook - time.Millisecond)
	both(first.sha256) // it is not looked at yet
	passing.pass(time.Millisecond)
	both(second.sha256)
	for i, d := range open[:4] {
		if shown, connection := d.seen(t); shown != first.sha256 || connection != names[i] {
			t.Errorf("a connection that is open has %s and %s now", shown, connection)
		}
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(open) {
		t.Errorf("two connections are one: %v", names)
	}

	plain := dial(t, app.Serve(t, connectionSeen, "", "", slog.New(slog.DiscardHandler), nil), nil)
	shown, connection := plain.seen(t)
	if _, same := plain.seen(t); shown != "" || connection == "0x0" || connection != same {
		t.Errorf("without TLS: certificate %q, connections %s, %s", shown, connection, same)
	}
}

// lockedLog is a log that a server writes while a test reads it.
type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(line)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestUnusableCertificate keeps the certificate before as long as the files cannot be used, and says so once.
func TestUnusableCertificate(t *testing.T) {
	first, second := ecdsaPair(t), ecdsaPair(t)
	for name, spoil := range map[string]func(files){
		"no certificate":     func(f files) { os.Remove(f.certificate) },
		"no key":             func(f files) { os.Remove(f.key) },
		"a directory":        func(f files) { os.Remove(f.key); os.Mkdir(f.key, 0o700) },
		"empty":              func(f files) { write(t, f.certificate, "") },
		"half a certificate": func(f files) { write(t, f.certificate, second.certificate[:len(second.certificate)/2]) },
		"half a key": func(f files) {
			write(t, f.certificate, second.certificate)
			write(t, f.key, second.key[:len(second.key)/2])
		},
		"garbage":                func(f files) { write(t, f.certificate, "no PEM") },
		"the key is the old one": func(f files) { write(t, f.certificate, second.certificate) },
		"the key is the new one": func(f files) { write(t, f.key, second.key) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFiles(t)
			f.write(t, first)
			var passing clock
			var log lockedLog
			address := app.Serve(t, connectionSeen, f.certificate, f.key, slog.New(slog.NewTextHandler(&log, nil)), passing.now)
			shown := func() string {
				passing.pass(app.CertificateLook)
				return dial(t, address, &tls.Config{}).shown
			}
			spoil(f)
			for range 3 {
				if got := shown(); got != first.sha256 {
					t.Fatalf("%s is shown, want still %s", got, first.sha256)
				}
			}
			write(t, f.certificate, "still wrong")
			if got := shown(); got != first.sha256 {
				t.Fatalf("%s is shown, want still %s", got, first.sha256)
			}
			if n := strings.Count(log.String(), "level=WARN"); n != 1 {
				t.Errorf("%d warnings: %s", n, &log)
			}
			if secret, _, _ := strings.Cut(first.key[30:], "\n"); strings.Contains(log.String(), secret) {
				t.Errorf("a key is in the log: %s", &log)
			}
			os.Remove(f.key) // which may be a directory
			f.write(t, second)
			for range 2 {
				if got := shown(); got != second.sha256 || strings.Count(log.String(), second.sha256) != 1 {
					t.Errorf("%s is shown, want %s: %s", got, second.sha256, &log)
				}
			}
			// What cannot be used after that is worth another warning.
			write(t, f.key, first.key)
			if got := shown(); got != second.sha256 || strings.Count(log.String(), "level=WARN") != 2 {
				t.Errorf("%s is shown: %s", got, &log)
			}
		})
	}
}

// TestLicenseServerFollowsItsCertificate changes the files of a license server that runs, and of one with its own certificate.
func TestLicenseServerFollowsItsCertificate(t *testing.T) {
	given, second := newFiles(t), ecdsaPair(t)
	given.write(t, ecdsaPair(t))
	o := httpsOptions(t.TempDir())
	o.Certificate, o.CertificateKey = given.certificate, given.key
	own := httpsOptions(t.TempDir())
	for name, l := range map[string]*app.LicenseServer{"given": start(t, o), "own": start(t, own)} {
		f := given
		if name == "own" {
			f = files{filepath.Join(own.Dir, "tls.crt"), filepath.Join(own.Dir, "tls.key")}
		}
		address := strings.TrimSuffix(strings.TrimPrefix(l.SecureURL(), "https://"), "/wsman")
		old := dial(t, address, &tls.Config{})
		if old.shown != l.CertificateFingerprint {
			t.Fatalf("%s: %s is shown, the fingerprint is %s", name, old.shown, l.CertificateFingerprint)
		}
		if status, _ := old.get(t, "/v1/server"); status != http.StatusUnauthorized {
			t.Fatalf("%s: %d", name, status)
		}
		f.write(t, second)
		// It takes a moment until the files are looked at.
		deadline := time.Now().Add(10 * app.CertificateLook)
		for fresh := ""; fresh != second.sha256; {
			c := dial(t, address, &tls.Config{})
			c.Close()
			if fresh = c.shown; fresh != old.shown && fresh != second.sha256 || time.Now().After(deadline) {
				t.Fatalf("%s: a new connection is shown %s, want %s", name, fresh, second.sha256)
			}
		}
		if status, _ := old.get(t, "/v1/server"); status != http.StatusUnauthorized || old.shown != l.CertificateFingerprint {
			t.Errorf("%s: the connection that was open: %d; the fingerprint is %s", name, status, l.CertificateFingerprint)
		}
	}
}

// TestCipherSuites offers each cipher suite of TLS 1.2 alone.
func TestCipherSuites(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"ECDSA": {
			"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
		},
		"RSA": {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
	}
	for name, p := range map[string]pair{"ECDSA": ecdsaPair(t), "RSA": newPair(t, key)} {
		f := newFiles(t)
		f.write(t, p)
		address := app.Serve(t, connectionSeen, f.certificate, f.key, slog.New(slog.DiscardHandler), time.Now)
		var taken []string
		for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			if !slices.Contains(suite.SupportedVersions, tls.VersionTLS12) {
				continue
			}
			conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID}})
			if err != nil {
				continue
			}
			conn.Close()
			taken = append(taken, suite.Name)
		}
		slices.Sort(taken)
		if !slices.Equal(taken, want[name]) {
			t.Errorf("with a key of %s these are taken: %v, want %v", name, taken, want[name])
		}
	}
}
