package app

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// CertificateLook is how often the files of a certificate are looked at, at most.
const CertificateLook = certificateLook

// Serve serves a handler as a license server serves its own, until the test ends, and returns the address. Without files it does without TLS.
func Serve(t *testing.T, h http.Handler, certificate, key string, log *slog.Logger, now func() time.Time) string {
	t.Helper()
	var listener net.Listener
	var err error
	if certificate == "" {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
	} else {
		files, openErr := openCertificate(certificate, key, log)
		if openErr != nil {
			t.Fatal(openErr)
		}
		files.now, files.next = now, now().Add(certificateLook)
		listener, err = listenTLS("127.0.0.1:0", files.get, tls.RequestClientCert)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := serveHTTP(listener, h, log)
	t.Cleanup(func() {
		if err := s.stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s.address
}
