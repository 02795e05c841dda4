package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os/user"

	"calkeeper/internal/accounts"
	"calkeeper/internal/app"
	"calkeeper/internal/auth"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/store"
)

// stopped are the accounts of a license server that is not running.
type stopped struct {
	service *accounts.Service
	closing func() error
	actor   string // the user of the operating system
}

func openStopped(ctx context.Context, dir, keyFile string, log *slog.Logger) (*stopped, error) {
	u, err := user.Current()
	if err != nil {
		return nil, err
	}
	service, closing, err := app.OpenAccounts(ctx, dir, keyFile, log)
	if err != nil {
		return nil, fmt.Errorf("%w\nIf the license server runs, leave out --dir: then it is asked itself", err)
	}
	return &stopped{service, closing, u.Username}, nil
}

func (s *stopped) close(err *error) { *err = errors.Join(*err, s.closing()) }

func shown(a accounts.Account) wire.Account {
	return wire.Account{
		Name: a.Name, Role: string(a.Role), Password: a.Password, NTLM: a.NTLM, Certificate: hex.EncodeToString(a.Certificate), Changed: a.Changed.UTC(),
	}
}

// Accounts returns all accounts, by name.
func (s *stopped) Accounts(ctx context.Context) ([]wire.Account, error) {
	list, err := s.service.List(ctx)
	out := make([]wire.Account, len(list))
	for i, a := range list {
		out[i] = shown(a)
	}
	return out, err
}

// Account returns one account.
func (s *stopped) Account(ctx context.Context, name string) (wire.Account, error) {
	a, err := s.service.Account(ctx, name)
	return shown(a), err
}

// SetAccount adds an account, or changes it, and returns it.
func (s *stopped) SetAccount(ctx context.Context, name string, change wire.AccountChange) (wire.Account, error) {
	c := accounts.Change{Name: name, Role: auth.Role(change.Role), Password: change.Password, NTLM: change.NTLM}
	if change.Certificate != nil {
		var err error
		if c.Certificate, err = hex.DecodeString(*change.Certificate); err != nil {
			return wire.Account{}, err
		}
	}
	if err := s.service.Set(s.local(ctx), s.actor, c); err != nil {
		return wire.Account{}, err
	}
	return s.Account(ctx, name)
}

// RemoveAccount removes an account.
func (s *stopped) RemoveAccount(ctx context.Context, name string) error {
	return s.service.Remove(s.local(ctx), s.actor, name)
}

// local says in the audit log that the change was made here.
func (s *stopped) local(ctx context.Context) context.Context {
	return store.WithOrigin(ctx, store.Origin{Remote: "local"})
}
