package auth

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
)

// ErrUnencrypted means that a password came unencrypted from another machine.
var ErrUnencrypted = errors.New("Basic authentication is taken over TLS, or from this machine, only")

// Basic authenticates HTTP requests with user and password (RFC 7617).
type Basic struct {
	Accounts         *Accounts
	Realm            string
	AllowUnencrypted bool // over plain HTTP also from other machines
}

// Authenticate returns ctx with the caller's identity.
func (b *Basic) Authenticate(ctx context.Context, r *http.Request) (context.Context, error) {
	if !b.AllowUnencrypted && r.TLS == nil && !fromLoopback(r) {
		return ctx, ErrUnencrypted
	}
	user, password, ok := r.BasicAuth()
	if !ok {
		return ctx, ErrCredentials
	}
	i, err := b.Accounts.Authenticate(ctx, user, password)
	if err != nil {
		return ctx, err
	}
	i.Mechanism, i.Remote = "Basic", r.RemoteAddr
	return WithIdentity(ctx, i), nil
}

// Challenges returns the values of WWW-Authenticate.
func (b *Basic) Challenges() []string {
	return []string{`Basic realm="` + b.Realm + `", charset="UTF-8"`}
}

// Identity names the caller of a context that Authenticate returned.
func (b *Basic) Identity(ctx context.Context) string { return FromContext(ctx).User }

// fromLoopback tells whether both ends of the connection are on this machine's loopback interface.
func fromLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return isLoopback(r.RemoteAddr) && ok && isLoopback(local.String())
}

func isLoopback(hostPort string) bool {
	a, err := netip.ParseAddrPort(hostPort)
	return err == nil && a.Addr().Unmap().IsLoopback()
}
