package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"calkeeper/internal/auth"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// Bounds of a password in bytes, and of a name in characters.
const (
	minPassword = 8
	maxPassword = 1024
	maxName     = 256
)

// Change says what is to be different about an account. A field that is zero keeps what is.
type Change struct {
	// Name is that of a local account, or of a Kerberos principal, user@REALM, which has neither password nor NTLM. It is compared
	// without case.
	Name        string
	Role        auth.Role // a new account needs one
	Password    string    // 8 to 1024 bytes
	NTLM        *bool     // opting in needs the password
	Certificate []byte    // SHA-256 of the DER; empty, but not nil: none any more

	generated bool // the password is random
}

// Set adds an account, or changes it. Faults: Invalid; NotSupported if there would be no Administrator who can log on, or if the key of the NT
// hashes is lost; AlreadyExists if another account has the certificate.
func (s *Service) Set(ctx context.Context, actor string, c Change) error {
	if err := c.check(); err != nil {
		return err
	}
	hash := ""
	if c.Password != "" {
		if err := s.queue.enter(ctx, administration); err != nil {
			return err
		}
		cost := presentCost()
		if c.generated {
			cost = quickCost()
		}
		hash = s.newHash(c.Password, cost)
		s.queue.leave(administration)
	}
	defer s.noteChange()
	return s.store.Update(ctx, func(tx store.Tx) error {
		list, err := tx.Accounts()
		if err != nil {
			return err
		}
		a, err := tx.Account(c.Name)
		isNew := licensing.KindOf(err) == licensing.NotFound
		if err != nil && !isNew {
			return err
		}
		if isNew {
			a = store.Account{Name: c.Name}
		}
		changes, err := s.apply(&a, c, hash, list)
		if err != nil || len(changes) == 0 {
			return err
		}
		if isNew {
			list = append(list, a)
		} else {
			list[slices.IndexFunc(list, func(old store.Account) bool { return old.Name == a.Name })] = a
		}
		if err := s.checkAdministrators(list); err != nil {
			return err
		}
		a.Changed = s.Now()
		if err := tx.PutAccount(a); err != nil {
			return err
		}
		what := a.Name
		if isNew {
			what += ", new"
		}
		return s.auditChange(ctx, tx, actor, "set account", what+": "+strings.Join(changes, ", "))
	})
}

// noteChange has what is known of accounts read anew. It is called after the commit, or what may be one.
func (s *Service) noteChange() {
	s.changes.Add(1)
	s.changed.note(s.Now)
}

// lastChange is when an account changed last, in the life of the process.
type lastChange struct {
	mu sync.Mutex
	at time.Time
}

// note takes the time while nobody else does, so that an earlier one never comes later.
func (l *lastChange) note(now func() time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = now()
}

// before tells whether no account has changed since then.
func (l *lastChange) before(since time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at.Before(since)
}

// apply changes a, one of list or a new one, and says what is different. hash is that of the new password.
func (s *Service) apply(a *store.Account, c Change, hash string, list []store.Account) (changes []string, err error) {
	if c.Role != "" && string(c.Role) != a.Role {
		a.Role = string(c.Role)
		changes = append(changes, "role "+a.Role)
	}
	if hash != "" {
		a.Password = hash
		changes = append(changes, "password")
	}
	switch {
	case c.Certificate != nil && len(c.Certificate) == 0 && a.Certificate != nil:
		a.Certificate = nil
		changes = append(changes, "no certificate")
	case len(c.Certificate) > 0 && !slices.Equal(c.Certificate, a.Certificate):
		a.Certificate = c.Certificate
		changes = append(changes, fmt.Sprintf("certificate %x", c.Certificate))
	}
	optIn := a.NTHash != nil
	if c.NTLM != nil {
		optIn = *c.NTLM
	}
	switch {
	case !optIn && a.NTHash != nil:
		a.NTHash = nil
		changes = append(changes, "no NTLM")
	case optIn && hash == "" && a.NTHash == nil:
		return nil, licensing.Faultf(licensing.Invalid, "NTLM needs the password of %s: give it with the change, the present one or a new one", a.Name)
	case optIn && hash != "":
		if a.NTHash == nil {
			changes = append(changes, "NTLM")
		}
		first := !slices.ContainsFunc(list, func(other store.Account) bool { return other.NTHash != nil })
		if a.NTHash, err = s.seal(a.Name, c.Password, first); err != nil {
			return nil, s.sealFault(err)
		}
	}
	switch {
	case a.Role == "":
		return nil, licensing.Faultf(licensing.Invalid, "%s is a new account: give it a role, Administrator, Operator or Auditor", a.Name)
	case !Principal(a.Name) && a.Password == "" && a.Certificate == nil:
		return nil, licensing.Faultf(licensing.Invalid, "%s has neither password nor certificate: give one of them", a.Name)
	}
	return changes, nil
}

// sealFault says what to do about a key that is missing or wrong, while other NT hashes may be encrypted with it.
func (s *Service) sealFault(err error) error {
	msg := "the key file for NTLM cannot be used; restore it, or switch NTLM off for the account; the log has the details"
	if errors.Is(err, fs.ErrNotExist) {
		msg = "the key file for NTLM is lost: restore it, or switch NTLM off for every account that has it"
	}
	return &licensing.Fault{Kind: licensing.NotSupported, Msg: msg, Err: err}
}

// Generate is Set with a random password of 130 bits, which it returns.
func (s *Service) Generate(ctx context.Context, actor string, c Change) (password string, err error) {
	c.Password, c.generated = rand.Text(), true
	return c.Password, s.Set(ctx, actor, c)
}

// Remove takes an account away. Faults: NotFound; NotSupported for the last Administrator who can log on.
func (s *Service) Remove(ctx context.Context, actor, name string) error {
	defer s.noteChange()
	return s.store.Update(ctx, func(tx store.Tx) error {
		a, err := tx.Account(name)
		if licensing.KindOf(err) == licensing.NotFound {
			return licensing.Faultf(licensing.NotFound, "there is no account %s", printable(name))
		}
		if err != nil {
			return err
		}
		list, err := tx.Accounts()
		if err != nil {
			return err
		}
		if err := s.checkAdministrators(slices.DeleteFunc(list, func(other store.Account) bool { return other.Name == a.Name })); err != nil {
			return err
		}
		if err := tx.DeleteAccount(a.Name); err != nil {
			return err
		}
		return s.auditChange(ctx, tx, actor, "remove account", a.Name)
	})
}

// checkAdministrators refuses what would leave nobody who could administer: a principal can where Kerberos is set up.
func (s *Service) checkAdministrators(list []store.Account) error {
	for _, a := range list {
		if a.Role == string(auth.Administrator) && (a.Password != "" || a.Certificate != nil || Principal(a.Name) && s.Realm != "") {
			return nil
		}
	}
	return licensing.Faultf(licensing.NotSupported, "then there would be no Administrator who can log on: add another one first")
}

func (c *Change) check() error {
	fault := func(format string, args ...any) error { return licensing.Faultf(licensing.Invalid, format, args...) }
	if err := checkName(c.Name); err != nil {
		return err
	}
	if c.Role != "" && !c.Role.Reads() {
		return fault("there is no such role: Administrator, Operator and Auditor are")
	}
	if n := len(c.Password); n > 0 && (n < minPassword || n > maxPassword || !utf8.ValidString(c.Password)) {
		return fault("a password has %d to %d bytes of UTF-8", minPassword, maxPassword)
	}
	if n := len(c.Certificate); n != 0 && n != sha256.Size {
		return fault("the SHA-256 of a certificate has %d bytes, not %d", sha256.Size, n)
	}
	if Principal(c.Name) && (c.Password != "" || c.NTLM != nil && *c.NTLM) {
		return fault("%s is a Kerberos principal: it has its password in its realm, and none here", c.Name)
	}
	return nil
}

// reservedNames are actors of audit records that are no accounts.
var reservedNames = []string{"calkeeper", "clearinghouse", "unknown"}

// lookalike tells whether a letter becomes one of ASCII in lower case, and is none: accounts are looked up so.
func lookalike(c rune) bool { return c > unicode.MaxASCII && unicode.ToLower(c) <= unicode.MaxASCII }

func checkName(name string) error {
	user, realm, principal := strings.Cut(name, "@")
	switch {
	case name == "" || strings.ContainsAny(name, `:\`):
		return licensing.Faultf(licensing.Invalid,
			"a user name is not empty and has neither a colon (RFC 7617) nor a backslash, before which a domain stands")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) || utf8.RuneCountInString(name) > maxName:
		return licensing.Faultf(licensing.Invalid, "a user name has at most %d characters, and no control characters", maxName)
	case slices.Contains(reservedNames, strings.ToLower(name)):
		return licensing.Faultf(licensing.Invalid, "the audit log calls itself so, and others: choose another name")
	case strings.ContainsFunc(name, lookalike):
		return licensing.Faultf(licensing.Invalid, "a user name has no letters that become others of ASCII in lower case, such as the Kelvin sign")
	case principal && (user == "" || realm == "" || strings.Contains(realm, "@")):
		return licensing.Faultf(licensing.Invalid, "a name with an @ is that of a Kerberos principal: user@REALM")
	}
	return nil
}
