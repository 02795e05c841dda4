package sqlite

import (
	"fmt"
	"strings"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

const (
	accountColumns = `name, role, password, nt_hash, certificate, changed`

	selectAccount  = `SELECT ` + accountColumns + ` FROM account WHERE key = ?`
	selectAccounts = `SELECT ` + accountColumns + ` FROM account ORDER BY key`
	// The index leaves out the accounts that have none.
	selectAccountByCertificate = `SELECT ` + accountColumns + ` FROM account WHERE certificate = ? AND certificate <> x''`

	putAccount = `INSERT INTO account (key, ` + accountColumns + `) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
			WHERE NOT EXISTS (SELECT 1 FROM account WHERE certificate = ?6 AND certificate <> x'' AND key <> ?1)
		ON CONFLICT (key) DO UPDATE SET (` + accountColumns + `) = (?2, ?3, ?4, ?5, ?6, ?7)`
	deleteAccount = `DELETE FROM account WHERE key = ?`
)

// Account returns the account of that name, compared without case, or a Fault of kind NotFound.
func (r *reader) Account(name string) (store.Account, error) {
	return r.account(selectAccount, func(p *parameters) { p.text("Name", strings.ToLower(name)) }, noAccount(name))
}

// AccountByCertificate returns the account whose client certificate has this SHA-256, or a Fault of kind NotFound; that is also the answer
// to an empty one.
func (r *reader) AccountByCertificate(sha256 []byte) (store.Account, error) {
	return r.account(selectAccountByCertificate, func(p *parameters) { p.blob(sha256) },
		licensing.Faultf(licensing.NotFound, "no account has this client certificate"))
}

// Accounts returns all accounts, by name.
func (r *reader) Accounts() ([]store.Account, error) { return r.accounts(selectAccounts, nil) }

func noAccount(name string) error {
	return licensing.Faultf(licensing.NotFound, "there is no account %q", name)
}

func (r *reader) account(query string, bind func(*parameters), none error) (store.Account, error) {
	all, err := r.accounts(query, bind)
	if err == nil && len(all) == 0 {
		err = none
	}
	if err != nil {
		return store.Account{}, err
	}
	return all[0], nil
}

func (r *reader) accounts(query string, bind func(*parameters)) (all []store.Account, err error) {
	err = r.rows(query, bind, func(c *columns) {
		all = append(all, store.Account{
			Name: c.text(), Role: c.text(), Password: c.text(), NTHash: c.blob(), Certificate: c.blob(), Changed: c.instant(),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the accounts: %w", err)
	}
	return all, nil
}

// PutAccount stores an account in place of the one of that name. A certificate of another account is a Fault of kind AlreadyExists.
func (t *tx) PutAccount(a store.Account) error {
	n, err := t.change("put an account", putAccount, func(p *parameters) {
		p.text("Name", strings.ToLower(a.Name))
		p.text("Name", a.Name)
		p.text("Role", a.Role)
		p.text("Password", a.Password)
		p.blob(a.NTHash)
		p.blob(a.Certificate)
		p.instant("Changed", a.Changed)
	})
	if err == nil && n == 0 {
		return licensing.Faultf(licensing.AlreadyExists, "another account has the client certificate that is given for %q; each needs its own", a.Name)
	}
	return err
}

// DeleteAccount removes an account; one that is not there is a Fault of kind NotFound.
func (t *tx) DeleteAccount(name string) error {
	n, err := t.change("delete an account", deleteAccount, func(p *parameters) { p.text("Name", strings.ToLower(name)) })
	if err == nil && n == 0 {
		return noAccount(name)
	}
	return err
}
