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

// Passwords knows whose password is right: *accounts.Service.
type Passwords interface {
	// Password returns the user with this password. The error is ErrCredentials, ErrBusy, a *LockedError, or internal.
	Password(ctx context.Context, from Attempt, user, password string) (Identity, error)
}

// Basic authenticates HTTP requests with user and password (RFC 7617).
type Basic struct {
	Accounts         Passwords
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
	from := Attempt{Remote: r.RemoteAddr, Mechanism: "Basic", First: true}
	connection := ConnectionOf(r.Context())
	if connection != nil {
		before := connection.basic.Load()
		from.First = before == nil || *before != user
	}
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		from.Remote = a.Addr().Unmap().WithZone("").String()
	}
	i, err := b.Accounts.Password(ctx, from, user, password)
	if err != nil {
		return ctx, err
	}
	if connection != nil {
		connection.basic.Store(&user)
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
