// Package auth tells who a caller is and what he may do. The protocols share it. It must not know what is administered.
package auth

import "context"

// Role is what an account may do.
type Role string

// The roles.
const (
	Administrator Role = "Administrator" // everything
	Operator      Role = "Operator"      // reads, revokes and releases CALs, makes reports
	Auditor       Role = "Auditor"       // reads
)

// Reads tells whether the role may read everything.
func (r Role) Reads() bool { return r == Administrator || r == Operator || r == Auditor }

// Operates tells whether the role may revoke and release CALs and make reports.
func (r Role) Operates() bool { return r == Administrator || r == Operator }

// Identity is an authenticated caller.
type Identity struct {
	User      string
	Role      Role
	Mechanism string // "Basic", "NTLM", "Kerberos" or "Certificate"
	Remote    string // IP address of the caller
	ByGroup   bool   // the role is that of a group: there is no account
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
