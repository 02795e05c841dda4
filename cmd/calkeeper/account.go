package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"calkeeper/internal/accounts"
	"calkeeper/internal/app"
	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
)

// newPasswordVariable holds the password that an account is to have.
const newPasswordVariable = "CALKEEPER_NEW_PASSWORD"

type accountCmd struct {
	Set    accountSetCmd    `cmd:"" help:"Add an account, or change its password, role, certificate, or whether it takes NTLM."`
	List   accountListCmd   `cmd:"" help:"List the accounts."`
	Show   accountShowCmd   `cmd:"" help:"Show one account."`
	Remove accountRemoveCmd `cmd:"" help:"Remove an account."`
}

// Help is shown by --help.
func (accountCmd) Help() string {
	return `Example:
  calkeeper account list --server https://ls.example.org:5986/wsman`
}

// accountConnection says where the accounts are: at a license server that runs, or in the directory of one that does not.
type accountConnection struct {
	connection
	Dir            string `placeholder:"DIR" help:"Work in this directory of a license server that is not running, without logging on."`
	AccountKeyFile string `env:"CALKEEPER_ACCOUNT_KEY_FILE" placeholder:"FILE" help:"With --dir: account-key-file of the license server's configuration."`
}

// people are the accounts of a license server.
type people interface {
	Accounts(ctx context.Context) ([]wire.Account, error)
	Account(ctx context.Context, name string) (wire.Account, error)
	SetAccount(ctx context.Context, name string, change wire.AccountChange) (wire.Account, error)
	RemoveAccount(ctx context.Context, name string) error
}

// administer calls f with the accounts.
func (c *accountConnection) administer(ctx context.Context, t *terminal, logs app.LogSettings, f func(people) error) (err error) {
	if c.Dir == "" {
		return c.ask(ctx, t, func(api *client.Client) error { return f(api) })
	}
	if c.PasswordFile != "" {
		return usagef("--password-file is of who logs on, and with --dir nobody does: give an account its password with --new-password-file")
	}
	if !app.HasLicenseServer(c.Dir) {
		return usagef("no license server has run in %s: start it first, or give its directory with --dir", c.Dir)
	}
	log, err := logs.Resolve(slog.LevelWarn)
	if err != nil {
		return usageError{err}
	}
	s, err := openStopped(ctx, c.Dir, c.AccountKeyFile, log.Logger(t.err))
	if err != nil {
		return err
	}
	defer s.close(&err)
	return f(s)
}

type accountSetCmd struct {
	accountConnection
	Name            string `arg:"" help:"Name of the account, compared without case; that of a Kerberos principal has the form user@REALM."`
	Role            string `enum:",Administrator,Operator,Auditor" default:"" placeholder:"ROLE" help:"Administrator does everything, Operator reads, revokes and releases CALs and makes reports, Auditor reads. An account that exists keeps its role without it."`
	NewPasswordFile string `placeholder:"FILE" help:"Take the account's new password from the first line of this file."`
	NTLM            *bool  `name:"ntlm" negatable:"" help:"Let the account log on with NTLM: the license server keeps its NT hash, encrypted."`
	Certificate     string `placeholder:"FILE" xor:"certificate" help:"PEM file with a client certificate that the account can log on with."`
	NoCertificate   bool   `xor:"certificate" help:"The account has no client certificate any more."`
}

// Help is shown by --help.
func (accountSetCmd) Help() string {
	return `The new password comes from --new-password-file, from CALKEEPER_NEW_PASSWORD, or is asked for at a terminal: for a new account without a certificate, to opt in to NTLM, and if nothing else is to change. A Kerberos principal has none.

Examples:
  calkeeper account set monitor --role Auditor --new-password-file monitor.password
  calkeeper account set ada@EXAMPLE.ORG --role Operator
  calkeeper account set Administrator --dir /var/lib/calkeeper`
}

// Run changes the account.
func (c *accountSetCmd) Run(ctx context.Context, t *terminal, logs app.LogSettings) error {
	change := wire.AccountChange{Role: c.Role, NTLM: c.NTLM}
	switch {
	case c.NoCertificate:
		change.Certificate = new("")
	case c.Certificate != "":
		sum, err := fingerprint(c.Certificate)
		if err != nil {
			return err
		}
		change.Certificate = &sum
	}
	return c.administer(ctx, t, logs, func(p people) error {
		before, err := p.Account(ctx, c.Name)
		isNew := licensing.KindOf(err) == licensing.NotFound
		if err != nil && !isNew {
			return err
		}
		if c.NewPasswordFile != "" || !accounts.Principal(c.Name) && needsPassword(isNew, before, change) {
			if change.Password, err = t.secret(ctx, c.NewPasswordFile, newPasswordVariable, "New password of "+c.Name, true); err != nil {
				return err
			}
			if change.Password == "" {
				return usagef("the new password is empty")
			}
		}
		a, err := p.SetAccount(ctx, c.Name, change)
		if err != nil {
			return err
		}
		return t.print(a, func(w io.Writer) { showAccount(w, a) })
	})
}

// needsPassword tells whether the change is none, or cannot be, without a password.
func needsPassword(isNew bool, before wire.Account, change wire.AccountChange) bool {
	switch {
	case isNew:
		return change.Certificate == nil
	case change.NTLM != nil:
		return *change.NTLM && !before.NTLM
	}
	return change.Role == "" && change.Certificate == nil
}

func showAccount(w io.Writer, a wire.Account) {
	fmt.Fprintf(w, "account:\t%s\nrole:\t%s\nlogs on by:\t%s\nchanged:\t%s\n", a.Name, a.Role, waysOf(a), at(a.Changed))
	if a.Certificate != "" {
		fmt.Fprintf(w, "certificate (SHA-256):\t%s\n", a.Certificate)
	}
}

// waysOf says how an account can log on.
func waysOf(a wire.Account) string {
	var ways []string
	for _, way := range []struct {
		has  bool
		name string
	}{{a.Password, "password"}, {a.NTLM, "NTLM"}, {a.Certificate != "", "certificate"}, {accounts.Principal(a.Name), "Kerberos"}} {
		if way.has {
			ways = append(ways, way.name)
		}
	}
	return strings.Join(ways, ", ")
}

type accountListCmd struct{ accountConnection }

// Help is shown by --help.
func (accountListCmd) Help() string {
	return `Example:
  calkeeper account list --dir /var/lib/calkeeper`
}

// Run lists the accounts.
func (c *accountListCmd) Run(ctx context.Context, t *terminal, logs app.LogSettings) error {
	return c.administer(ctx, t, logs, func(p people) error {
		list, err := p.Accounts(ctx)
		if err != nil {
			return err
		}
		return t.print(append([]wire.Account{}, list...), func(w io.Writer) {
			fmt.Fprintln(w, "NAME\tROLE\tLOGS ON BY\tCHANGED")
			for _, a := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", a.Name, a.Role, waysOf(a), at(a.Changed))
			}
		})
	})
}

type accountShowCmd struct {
	accountConnection
	Name string `arg:"" help:"Name of the account, compared without case."`
}

// Help is shown by --help.
func (accountShowCmd) Help() string {
	return `Example:
  calkeeper account show ada@EXAMPLE.ORG`
}

// Run shows the account.
func (c *accountShowCmd) Run(ctx context.Context, t *terminal, logs app.LogSettings) error {
	return c.administer(ctx, t, logs, func(p people) error {
		a, err := p.Account(ctx, c.Name)
		if err != nil {
			return err
		}
		return t.print(a, func(w io.Writer) { showAccount(w, a) })
	})
}

type accountRemoveCmd struct {
	accountConnection
	Name string `arg:"" help:"Name of the account, compared without case."`
}

// Help is shown by --help.
func (accountRemoveCmd) Help() string {
	return `The last Administrator who can log on cannot be removed.

Example:
  calkeeper account remove monitor`
}

// Run removes the account.
func (c *accountRemoveCmd) Run(ctx context.Context, t *terminal, logs app.LogSettings) error {
	return c.administer(ctx, t, logs, func(p people) error {
		if err := p.RemoveAccount(ctx, c.Name); err != nil {
			return err
		}
		return t.print(removedJSON{true}, func(w io.Writer) { fmt.Fprintln(w, "removed") })
	})
}
