package accounts

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"calkeeper/internal/auth"
	"calkeeper/internal/auth/gss"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// Password tells who has this password. The user name is compared without case, and a domain or host before a backslash is left out:
// all accounts that have a password are local. The error is auth.ErrCredentials; auth.ErrBusy; an *auth.LockedError, while nothing is
// checked but whether the client had the same right before; that of ctx if it ends while others' passwords are hashed; or the store's.
func (s *Service) Password(ctx context.Context, from auth.Attempt, user, password string) (auth.Identity, error) {
	if _, name, ok := strings.Cut(user, `\`); ok {
		user = name
	}
	a := attempt{from, user}
	changes := s.changes.Load() // before the account is read
	switch account, fits, err := s.again(ctx, a, password, changes); {
	case err != nil:
		return auth.Identity{}, err
	case fits && from.First:
		return s.admit(ctx, a, account)
	case fits:
		return a.identity(account), nil
	}
	if err := s.holdBack(ctx, a); err != nil {
		s.remembered.guessed(a.here())
		return auth.Identity{}, err
	}
	account, err := s.check(ctx, a, password)
	if err != nil {
		return auth.Identity{}, err
	}
	identity, err := s.admit(ctx, a, account)
	if err == nil {
		s.remembered.remember(a.here(), account, password, changes)
	}
	return identity, err
}

// again tells whether the password was right before, from there, and is still. The account is read only if one has changed since.
func (s *Service) again(ctx context.Context, a attempt, password string, changes uint64) (account store.Account, fits bool, err error) {
	account, read, known := s.remembered.account(a.here())
	if !known {
		return account, false, nil
	}
	if read != changes {
		if account, err = s.find(ctx, a.name); err != nil {
			return account, false, err
		}
	}
	return account, s.remembered.fits(a.here(), account, password, changes), nil
}

// check hashes the password as soon as it is the caller's turn, and returns the account.
func (s *Service) check(ctx context.Context, a attempt, password string) (account store.Account, err error) {
	network := a.network()
	if err := s.queue.enter(ctx, network); err != nil {
		if errors.Is(err, auth.ErrBusy) {
			s.turnedAway.Add(1)
		}
		return account, err
	}
	why, err := func() (string, error) {
		defer s.queue.leave(network)
		// Those before in the queue may have failed.
		if err := s.holdBack(ctx, a); err != nil {
			return "", err
		}
		if account, err = s.find(ctx, a.name); err != nil {
			return "", err
		}
		why := "wrong password"
		if len(password) <= maxPassword {
			fits, err := s.fits(account.Password, password)
			if err != nil {
				s.Logger.Error("accounts: a password cannot be checked; set a new one with `calkeeper account set`", "account", account.Name, "error", err)
			}
			if fits {
				return "", nil
			}
		}
		switch {
		case account.Name == "":
			why = "no such account"
		case account.Password == "":
			why = "the account has no password"
		}
		return s.fail(a, why), auth.ErrCredentials
	}()
	if why != "" {
		s.recordRefusal(ctx, a, why)
	}
	return account, err
}

// Certificate tells whose client certificate has that SHA-256: the TLS handshake has proved that the caller has its key, and whoever calls
// this has checked its time. The error is auth.ErrCredentials, an *auth.LockedError, or the store's.
func (s *Service) Certificate(ctx context.Context, from auth.Attempt, sha256 []byte) (auth.Identity, error) {
	var account store.Account
	err := s.store.View(ctx, func(r store.Reader) (err error) {
		account, err = r.AccountByCertificate(sha256)
		return err
	})
	if licensing.KindOf(err) == licensing.NotFound && from.Unasked {
		return auth.Identity{}, auth.ErrCredentials
	}
	if licensing.KindOf(err) == licensing.NotFound {
		// There is nothing to guess; the address is held back for the records that it would make.
		a := attempt{Attempt: from}
		if err := s.holdBack(ctx, a); err != nil {
			return auth.Identity{}, err
		}
		s.recordRefusal(ctx, a, s.fail(a, "no account has the certificate "+plain(hex.EncodeToString(sha256), maxClaimed)))
		return auth.Identity{}, auth.ErrCredentials
	}
	if err != nil {
		return auth.Identity{}, err
	}
	return s.admit(ctx, attempt{from, account.Name}, account)
}

// Admit tells what one may do whom a mechanism has authenticated, and records it. A Kerberos principal has the role of the account of that
// name, or else the greatest of its groups'; if there is none of either, it is authenticated and may do nothing. The error is
// auth.ErrCredentials or the store's.
func (s *Service) Admit(ctx context.Context, from auth.Attempt, i gss.Initiator) (auth.Identity, error) {
	from.Mechanism, from.First = i.Mechanism, true
	a := attempt{from, i.Name}
	account, err := s.find(ctx, i.Name)
	switch {
	case err != nil:
		return auth.Identity{}, err
	case account.Name != "" && (Principal(account.Name) || account.NTHash != nil):
		identity, err := s.admit(ctx, a, account)
		if err == nil {
			s.remembered.meet(a.here())
		}
		return identity, err
	case i.Realm == "":
		s.recordRefusal(ctx, a, "the account was removed, or has left NTLM, meanwhile")
		return auth.Identity{}, auth.ErrCredentials
	}
	role, detail := s.groupRole(i), "no account and no group gives a role"
	if role != "" {
		detail = string(role) + " by a group"
	}
	if err := s.record(ctx, a, "logon", detail); err != nil {
		return auth.Identity{}, err
	}
	return auth.Identity{User: i.Name, Role: role, Mechanism: i.Mechanism, Remote: from.Remote, ByGroup: true}, nil
}

// Still tells whether one whose authentication began at an instant is still what he was then: his account was neither changed nor removed,
// and, if a group gave his role, there is still none. The error is auth.ErrCredentials or the store's.
func (s *Service) Still(ctx context.Context, i auth.Identity, since time.Time) error {
	if s.changed.before(since) {
		return nil
	}
	account, err := s.find(ctx, i.User)
	if err == nil && ((account.Name == "") != i.ByGroup || account.Changed.After(since)) {
		err = auth.ErrCredentials
	}
	return err
}

// Refuse counts and records that a mechanism's handshake failed. err is what its acceptor returned; one that came of ctx is no failure.
func (s *Service) Refuse(ctx context.Context, from auth.Attempt, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	a := attempt{Attempt: from}
	refusal, known := errors.AsType[*gss.Error](err)
	if known {
		a.name = refusal.Name
		a.Mechanism = cmp.Or(refusal.Mechanism, from.Mechanism)
	}
	if s.holdBack(ctx, a) != nil {
		return
	}
	switch _, locked := errors.AsType[*auth.LockedError](err); {
	case locked: // until just now
	case known && gss.StatusOf(err) != nil:
		detail := plain(err.Error(), maxDetail)
		if errors.Is(err, gss.ErrDefectiveCred) {
			s.recordRefusal(ctx, a, s.fail(a, detail))
			return
		}
		// Nobody guesses so: it counts for the address, which makes records, and not for the account.
		s.recordRefusal(ctx, a, s.fail(attempt{Attempt: a.Attempt}, detail))
	default:
		s.Logger.Error("accounts: an authentication failed", "account", printable(a.name), "remote", a.Remote, "error", err)
		s.recordRefusal(ctx, a, "internal error")
	}
}

// admit returns the identity of an account that has proved itself, and records the logon if it is one. The account must be still as it was.
func (s *Service) admit(ctx context.Context, a attempt, account store.Account) (auth.Identity, error) {
	same := func(r store.Reader) error {
		now, err := r.Account(account.Name)
		if licensing.KindOf(err) == licensing.NotFound || err == nil && !sameSecrets(now, account) {
			return auth.ErrCredentials
		}
		account.Role = now.Role
		return err
	}
	var err error
	if a.First {
		a.name = account.Name
		record := s.logon(a, "logon", account.Role)
		err = s.store.Update(ctx, func(tx store.Tx) error {
			if err := same(tx); err != nil {
				return err
			}
			return tx.Audit(record)
		})
	} else {
		err = s.store.View(ctx, func(r store.Reader) error { return same(r) })
	}
	if err != nil {
		return auth.Identity{}, err
	}
	return a.identity(account), nil
}

func (a attempt) identity(account store.Account) auth.Identity {
	return auth.Identity{User: account.Name, Role: auth.Role(account.Role), Mechanism: a.Mechanism, Remote: a.Remote}
}

// sameSecrets tells whether what an account proves itself with is the same.
func sameSecrets(a, b store.Account) bool {
	return a.Name == b.Name && a.Password == b.Password && bytes.Equal(a.NTHash, b.NTHash) && bytes.Equal(a.Certificate, b.Certificate)
}
