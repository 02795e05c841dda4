package auth_test

import (
	"context"
	"crypto/x509"
	"testing"

	"calkeeper/internal/auth"
)

func TestConnection(t *testing.T) {
	ctx := context.Background()
	if c := auth.ConnectionOf(ctx); c != nil {
		t.Errorf("a context without a connection has %v", c)
	}
	plain := auth.NewConnection(nil)
	if got := auth.ConnectionOf(auth.WithConnection(ctx, plain)); got != plain || got.Certificate() != nil {
		t.Errorf("without TLS: %v with the certificate %v", got, got.Certificate())
	}
	var shown *x509.Certificate // none before the handshake
	secured := auth.NewConnection(func() *x509.Certificate { return shown })
	if secured.Certificate() != nil {
		t.Error("there is a certificate before the handshake")
	}
	shown = &x509.Certificate{}
	if got := auth.ConnectionOf(auth.WithConnection(auth.WithConnection(ctx, plain), secured)); got != secured || got.Certificate() != shown {
		t.Errorf("%v with the certificate %v", got, got.Certificate())
	}
}
