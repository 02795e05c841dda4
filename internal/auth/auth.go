// Package auth tells who a caller is and what he may do. The protocols share it. It must not know what is administered.
package auth

import "context"

// Role is what an account may do.
type Role string

// The roles.
const (
	Administrator Role = "Administrator" // everything
	Auditor       Role = "Auditor"       // reads what no role protects
)

// Identity is an authenticated caller.
type Identity struct {
	User      string
	Role      Role
	Mechanism string // "Basic"
	Remote    string // address of the caller
}

// Administrator tells whether the caller may administer this license server.
func (i Identity) Administrator() bool { return i.Role == Administrator }

type key struct{}

// WithIdentity returns a context that carries the caller's identity.
func WithIdentity(ctx context.Context, i Identity) context.Context {
	return context.WithValue(ctx, key{}, i)
}

// FromContext returns the caller's identity; the zero Identity, which may do nothing, if there is none.
func FromContext(ctx context.Context) Identity {
	i, _ := ctx.Value(key{}).(Identity)
	return i
}
