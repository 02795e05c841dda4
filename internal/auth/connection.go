package auth

import (
	"context"
	"crypto/x509"
)

// Connection is what is known of the network connection that requests come through. HTTP/1.1 answers one request after the other on it.
type Connection struct {
	certificate func() *x509.Certificate
	handshake
}

// NewConnection returns a connection. certificate returns the certificate that this side has shown in the TLS handshake, nil before; it
// is nil itself without TLS.
func NewConnection(certificate func() *x509.Certificate) *Connection {
	return &Connection{certificate: certificate}
}

// Certificate returns the certificate that this side has shown, nil without TLS.
func (c *Connection) Certificate() *x509.Certificate {
	if c == nil || c.certificate == nil {
		return nil
	}
	return c.certificate()
}

type connectionKey struct{}

// WithConnection returns a context of requests that come through the connection.
func WithConnection(ctx context.Context, c *Connection) context.Context {
	return context.WithValue(ctx, connectionKey{}, c)
}

// ConnectionOf returns the connection that a request came through, nil if it is not known.
func ConnectionOf(ctx context.Context) *Connection {
	c, _ := ctx.Value(connectionKey{}).(*Connection)
	return c
}
