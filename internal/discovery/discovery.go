// Package discovery is how session hosts find a license server: its discovery scope, which Win32_TSLicenseServer calls its role, and
// what a directory says about it. It must not know LDAP, WMI or SQL.
package discovery

import (
	"context"
	"fmt"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// Directory is what discovery asks of a directory, which knows this license server as the account of a computer. What changes the
// directory tells whether it had to: what is so already stays so. Faults: Unavailable if the directory cannot be reached; NotFound
// without an account, or without the group or site; Denied if the license server may not do this in the directory.
type Directory interface {
	// OnDomainController tells whether the computer is a domain controller.
	OnDomainController(context.Context) (bool, error)
	// InGroup tells whether the computer is a member of a domain's group Terminal Server License Servers, S-1-5-32-561. The empty
	// name is the computer's own domain. Fault: NotFound for a domain that the directory does not have.
	InGroup(ctx context.Context, domain string) (bool, error)
	AddToGroup(context.Context) (changed bool, err error) // that of its own domain
	RemoveFromGroup(context.Context) (changed bool, err error)
	// Published tells whether the computer is one of the license servers of its site.
	Published(context.Context) (bool, error)
	Publish(context.Context) (changed bool, err error)
	Unpublish(context.Context) (changed bool, err error)
	// Registered tells whether the computer has a service connection point for licensing.
	Registered(context.Context) (bool, error)
	Register(context.Context) (changed bool, err error)
	Unregister(context.Context) (changed bool, err error)
}

// Options say in what surroundings a license server is to be found.
type Options struct {
	Directory Directory // nil: none
	Now       func() time.Time
}

// Service makes one license server known. Without a directory every question is answered with no, and every change is a Fault of
// kind Unavailable.
type Service struct {
	store store.Store
	Options
}

// New returns a Service.
func New(st store.Store, o Options) *Service { return &Service{st, o} }

// ChangeRole changes the discovery scope. Domain and forest need a directory that has the account of this license server. Faults:
// Invalid for more than 2, and those of Directory.
func (s *Service) ChangeRole(ctx context.Context, actor string, role uint32) error {
	r, err := licensing.ParseServerRole(role)
	if err != nil {
		return err
	}
	if r != licensing.Workgroup {
		if s.Directory == nil {
			return noDirectory("the role " + r.String())
		}
		if _, err := s.Directory.OnDomainController(ctx); err != nil { // the account must be there, whatever it is
			return err
		}
	}
	return s.store.Update(ctx, func(tx store.Tx) error {
		server, err := tx.Server()
		if err != nil || server.Role == r {
			return err
		}
		detail := fmt.Sprintf("%s, was %s", r, server.Role)
		server.Role = r
		if err := tx.PutServer(server); err != nil {
			return err
		}
		return tx.Audit(store.AuditRecord{At: s.Now(), Actor: actor, Action: "change role", Detail: detail})
	})
}

// OnDomainController tells whether the license server's computer is a domain controller.
func (s *Service) OnDomainController(ctx context.Context) (bool, error) {
	return s.ask(ctx, Directory.OnDomainController)
}

// InGroup tells whether the license server is a member of the domain's group Terminal Server License Servers, which may write the
// per user CALs into the accounts of users. The empty name is its own domain.
func (s *Service) InGroup(ctx context.Context, domain string) (bool, error) {
	return s.ask(ctx, func(d Directory, ctx context.Context) (bool, error) { return d.InGroup(ctx, domain) })
}

// AddToGroup makes the license server a member of that group in its domain.
func (s *Service) AddToGroup(ctx context.Context, actor string) error {
	return s.change(ctx, actor, "add to group", Directory.AddToGroup)
}

// RemoveFromGroup ends the membership.
func (s *Service) RemoveFromGroup(ctx context.Context, actor string) error {
	return s.change(ctx, actor, "remove from group", Directory.RemoveFromGroup)
}

// Published tells whether the license server is published: session hosts of the whole forest find it in its site.
func (s *Service) Published(ctx context.Context) (bool, error) {
	return s.ask(ctx, Directory.Published)
}

// Publish publishes the license server.
func (s *Service) Publish(ctx context.Context, actor string) error {
	return s.change(ctx, actor, "publish", Directory.Publish)
}

// Unpublish takes back what Publish did.
func (s *Service) Unpublish(ctx context.Context, actor string) error {
	return s.change(ctx, actor, "unpublish", Directory.Unpublish)
}

// Registered tells whether the license server has a service connection point.
func (s *Service) Registered(ctx context.Context) (bool, error) {
	return s.ask(ctx, Directory.Registered)
}

// Register makes the service connection point.
func (s *Service) Register(ctx context.Context, actor string) error {
	return s.change(ctx, actor, "register service connection point", Directory.Register)
}

// Unregister removes the service connection point.
func (s *Service) Unregister(ctx context.Context, actor string) error {
	return s.change(ctx, actor, "unregister service connection point", Directory.Unregister)
}

func (s *Service) ask(ctx context.Context, question func(Directory, context.Context) (bool, error)) (bool, error) {
	if s.Directory == nil {
		return false, nil
	}
	return question(s.Directory, ctx)
}

// change changes the directory and records who wanted it. The directory has no transaction that the record could be part of: it comes
// second, even if the caller has gone meanwhile, and its error is the caller's.
func (s *Service) change(ctx context.Context, actor, action string, f func(Directory, context.Context) (bool, error)) error {
	if s.Directory == nil {
		return noDirectory("this")
	}
	changed, err := f(s.Directory, ctx)
	if err != nil || !changed {
		return err
	}
	return s.store.Update(context.WithoutCancel(ctx), func(tx store.Tx) error {
		return tx.Audit(store.AuditRecord{At: s.Now(), Actor: actor, Action: action, Detail: "in the directory"})
	})
}

func noDirectory(what string) error {
	return licensing.Faultf(licensing.Unavailable, "%s needs a directory, and none is configured: give directory-url", what)
}
