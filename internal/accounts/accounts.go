// Package accounts knows who may use this license server, apart from session hosts: local accounts and principals of a Kerberos realm,
// with their roles and what they prove who they are with. It holds back who guesses, and records every outcome.
//
// The package must not know a transport, the messages of a mechanism, nor SQL.
package accounts

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"calkeeper/internal/auth"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// Options say how accounts are kept, and what Kerberos' groups may do.
type Options struct {
	// KeyFile is the file with the key that encrypts NT hashes, 32 random bytes. It is made when the first account opts in to NTLM.
	KeyFile string
	// Realm is the Kerberos realm that this license server is in, that of its keytab; empty: none.
	Realm string
	// Groups are the roles of groups, of any realm, by their SIDs. Domain Admins and Enterprise Admins of Realm, which are not in
	// it, are Administrators.
	Groups map[string]auth.Role
	Now    func() time.Time
	Logger *slog.Logger // nothing is logged if nil
}

// Service keeps the accounts of one license server, and tells who a caller is.
type Service struct {
	store store.Store
	Options
	addresses, names *lockout
	remembered       *remembered
	queue            *queue
	changes          atomic.Uint64 // of accounts: nobody else writes them while the license server runs
	changed          lastChange
	turnedAway       atomic.Int64 // attempts that the queue had no place for, since the last record
	derive           func(password string, salt []byte, c cost) []byte
}

// New returns a Service.
func New(st store.Store, o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{
		store: st, Options: o, addresses: newLockout(freeOfAddress), names: newLockout(freeOfAccount), remembered: newRemembered(),
		queue: newQueue(), derive: derive,
	}
}

// Account is an account as it may be shown: nothing of its secrets.
type Account struct {
	Name        string
	Role        auth.Role
	Password    bool   // it has one
	NTLM        bool   // it opted in
	Certificate []byte // SHA-256 of its client certificate, or nil
	Changed     time.Time
}

// Principal tells whether the name is that of a Kerberos principal.
func Principal(name string) bool { return strings.Contains(name, "@") }

func shown(a store.Account) Account {
	return Account{
		Name: a.Name, Role: auth.Role(a.Role), Password: a.Password != "", NTLM: a.NTHash != nil, Certificate: bytes.Clone(a.Certificate), Changed: a.Changed,
	}
}

// List returns all accounts, by name.
func (s *Service) List(ctx context.Context) (list []Account, err error) {
	err = s.store.View(ctx, func(r store.Reader) error {
		accounts, err := r.Accounts()
		for _, a := range accounts {
			list = append(list, shown(a))
		}
		return err
	})
	return list, err
}

// Account returns one account. Fault: NotFound.
func (s *Service) Account(ctx context.Context, name string) (Account, error) {
	a, err := s.account(ctx, name)
	return shown(a), err
}

// Empty tells whether there is no account yet.
func (s *Service) Empty(ctx context.Context) (bool, error) {
	list, err := s.List(ctx)
	return len(list) == 0, err
}

func (s *Service) account(ctx context.Context, name string) (a store.Account, err error) {
	err = s.store.View(ctx, func(r store.Reader) error {
		a, err = r.Account(name)
		return err
	})
	return a, err
}

// find returns the account, and the zero Account if there is none, or can be none of that name.
func (s *Service) find(ctx context.Context, name string) (store.Account, error) {
	if checkName(name) != nil {
		return store.Account{}, nil
	}
	a, err := s.account(ctx, name)
	if licensing.KindOf(err) == licensing.NotFound {
		return store.Account{}, nil
	}
	return a, err
}
