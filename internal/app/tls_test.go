package app_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/app"
	"calkeeper/internal/wsman/client"
)

func httpsOptions(dir string) app.LicenseServerOptions {
	o := options(dir)
	o.ListenHTTP, o.ListenHTTPS = "", "127.0.0.1:0"
	return o
}

// identify asks who is there, over TLS that trusts the certificate in the file.
func identify(t *testing.T, l *app.LicenseServer, certificate string) error {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(read(t, certificate))) {
		t.Fatalf("%s is no PEM", certificate)
	}
	c, err := client.New(client.Options{URL: l.SecureURL(), TLS: &tls.Config{RootCAs: roots}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Identify(t.Context())
	return err
}

func TestOwnCertificate(t *testing.T) {
	dir := t.TempDir()
	certificate := filepath.Join(dir, "tls.crt")
	o := httpsOptions(dir)
	o.Names = []string{"ls1", "192.0.2.7", "2001:db8::7"}
	l := start(t, o)
	if l.URL() != "" || !strings.HasPrefix(l.SecureURL(), "https://127.0.0.1:") {
		t.Errorf("URLs %q and %q; want only HTTPS", l.URL(), l.SecureURL())
	}
	if err := identify(t, l, certificate); err != nil {
		t.Error(err)
	}
	text := read(t, certificate)
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(rest) > 0 {
		t.Fatalf("tls.crt holds %q", text)
	}
	if want := fmt.Sprintf("%X", sha256.Sum256(block.Bytes)); l.CertificateFingerprint != want {
		t.Errorf("fingerprint %s; want %s", l.CertificateFingerprint, want)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{serverName, "ls1", "localhost", "127.0.0.1", "::1", "192.0.2.7", "2001:db8::7"} {
		if err := c.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"farm.example", "ls2.farm.example", "127.0.0.2", ""} {
		if c.VerifyHostname(name) == nil {
			t.Errorf("the certificate holds for %q", name)
		}
	}
	if years := time.Until(c.NotAfter).Hours() / 24 / 365; c.NotBefore.After(time.Now()) || years < 9 {
		t.Errorf("valid from %v to %v", c.NotBefore, c.NotAfter)
	}
	stop(t, l.Stop)
	again := start(t, httpsOptions(dir))
	if read(t, certificate) != text || again.CertificateFingerprint != l.CertificateFingerprint {
		t.Error("the second start has another certificate")
	}
	if err := identify(t, again, certificate); err != nil {
		t.Error(err)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	l := start(t, httpsOptions(t.TempDir()))
	address := strings.TrimSuffix(strings.TrimPrefix(l.SecureURL(), "https://"), "/wsman")
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}}
		conn, err := d.DialContext(t.Context(), "tcp", address)
		if err == nil {
			conn.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
}

// TestGivenCertificate uses one that somebody else made.
func TestGivenCertificate(t *testing.T) {
	elsewhere := t.TempDir()
	made := start(t, httpsOptions(elsewhere))
	stop(t, made.Stop)
	o := httpsOptions(t.TempDir())
	o.Certificate, o.CertificateKey = filepath.Join(elsewhere, "tls.crt"), filepath.Join(elsewhere, "tls.key")
	l := start(t, o)
	if l.CertificateFingerprint != made.CertificateFingerprint {
		t.Errorf("fingerprint %s; want that of the given certificate, %s", l.CertificateFingerprint, made.CertificateFingerprint)
	}
	if err := identify(t, l, o.Certificate); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "tls.key")); err == nil {
		t.Error("a key was made beside the given one")
	}
}

// TestGivenCertificateIsWrong never makes a certificate, and above all no key, where the administrator keeps his.
func TestGivenCertificateIsWrong(t *testing.T) {
	elsewhere, other := t.TempDir(), t.TempDir()
	stop(t, start(t, httpsOptions(elsewhere)).Stop)
	stop(t, start(t, httpsOptions(other)).Stop)
	certificate, key := filepath.Join(elsewhere, "tls.crt"), filepath.Join(elsewhere, "tls.key")
	missing := filepath.Join(elsewhere, "missing.pem")
	garbage := filepath.Join(elsewhere, "garbage.pem")
	write(t, garbage, "no PEM")
	private := read(t, key)
	for _, test := range []struct{ name, certificate, key, words string }{
		{"no certificate", "", key, "both or not at all"},
		{"no key", certificate, "", "both or not at all"},
		{"the certificate is not there", missing, key, "missing.pem"},
		{"the key is not there", certificate, missing, "missing.pem"},
		{"neither is there", missing, missing + ".key", "missing.pem"},
		{"the certificate is garbage", garbage, key, "certificate"},
		{"the key is garbage", certificate, garbage, "key"},
		{"the key is another's", certificate, filepath.Join(other, "tls.key"), "does not match"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := httpsOptions(t.TempDir())
			o.Certificate, o.CertificateKey = test.certificate, test.key
			l := open(t, o)
			checkError(t, l.Start(), nil, test.words)
			stop(t, l.Stop)
			if read(t, key) != private {
				t.Fatal("the key was overwritten")
			}
			for _, path := range []string{missing, missing + ".key"} {
				if _, err := os.Stat(path); err == nil {
					t.Fatalf("%s was made", path)
				}
			}
		})
	}
}

// TestStartAfterLostCertificate makes a new pair if one half is lost, as after a crash between the two.
func TestStartAfterLostCertificate(t *testing.T) {
	dir := t.TempDir()
	certificate := filepath.Join(dir, "tls.crt")
	first := start(t, httpsOptions(dir))
	stop(t, first.Stop)
	if err := os.Remove(certificate); err != nil {
		t.Fatal(err)
	}
	l := start(t, httpsOptions(dir))
	if l.CertificateFingerprint == first.CertificateFingerprint {
		t.Error("the certificate is back")
	}
	if err := identify(t, l, certificate); err != nil {
		t.Error(err)
	}
}

// TestCertificateIsWrittenAsAWhole: tls.crt takes its name when it is complete. What is written in place, a loss of power can
// leave empty; through this link it would also be written elsewhere.
func TestCertificateIsWrittenAsAWhole(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere.crt")
	certificate := filepath.Join(dir, "tls.crt")
	if err := os.Symlink(elsewhere, certificate); err != nil {
		t.Fatal(err)
	}
	l := start(t, httpsOptions(dir))
	if err := identify(t, l, certificate); err != nil {
		t.Error(err)
	}
	info, err := os.Lstat(certificate)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o644 && runtime.GOOS != "windows" {
		t.Errorf("tls.crt is %v, %v; want a regular file that all may read", info.Mode(), err)
	}
	if _, err := os.Stat(elsewhere); err == nil {
		t.Error("the certificate was written in place")
	}
}

func TestAddressInUse(t *testing.T) {
	first := start(t, options(t.TempDir()))
	address := strings.TrimSuffix(strings.TrimPrefix(first.URL(), "http://"), "/wsman")
	for name, set := range map[string]func(*app.LicenseServerOptions){
		"HTTP": func(o *app.LicenseServerOptions) { o.ListenHTTP = address }, "HTTPS": func(o *app.LicenseServerOptions) { o.ListenHTTPS = address },
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t.TempDir())
			set(&o)
			l := open(t, o)
			checkError(t, l.Start(), nil, address, "in use")
			stop(t, l.Stop)
			stop(t, start(t, options(o.Dir)).Stop)
		})
	}
	_, err := app.StartClearinghouse(context.Background(), app.ClearinghouseOptions{Dir: t.TempDir(), Listen: address, Logger: options("").Logger})
	checkError(t, err, nil, address, "in use")
}
