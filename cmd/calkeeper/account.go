package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"calkeeper/internal/app"
	"calkeeper/internal/auth"
)

type accountCmd struct {
	Set    accountSetCmd    `cmd:"" help:"Add an account, or change its password and role."`
	List   accountListCmd   `cmd:"" help:"List the accounts."`
	Remove accountRemoveCmd `cmd:"" help:"Remove an account."`
}

// Help is shown by --help.
func (accountCmd) Help() string {
	return `Example:
  calkeeper account list --dir /var/lib/calkeeper`
}

type accountSetCmd struct {
	User         string `arg:"" help:"Name of the account, compared without case."`
	Role         string `enum:",Administrator,Operator,Auditor" default:"" placeholder:"ROLE" help:"Administrator does everything, Operator reads, revokes and releases CALs and makes reports, Auditor reads. An account that exists keeps its role without it."`
	Dir          string `default:"/var/lib/calkeeper" env:"CALKEEPER_DIR" placeholder:"DIR" help:"The license server's directory."`
	PasswordFile string `placeholder:"FILE" help:"Take the password from the first line of this file."`
}

// Help is shown by --help.
func (accountSetCmd) Help() string {
	return `The password comes from --password-file, from CALKEEPER_PASSWORD, or is asked for at a terminal. A license server that is running takes the change at its next start.

Example:
  calkeeper account set monitor --role Auditor --password-file monitor.password`
}

// Run writes the account.
func (c *accountSetCmd) Run(ctx context.Context, t *terminal) error {
	if !app.HasLicenseServer(c.Dir) {
		return usagef("no license server has run in %s: start it first, or give its directory with --dir", c.Dir)
	}
	accounts, err := app.LoadAccounts(c.Dir)
	if err != nil {
		return err
	}
	role, known := accounts.Role(c.User)
	if c.Role != "" {
		role = auth.Role(c.Role)
	} else if !known {
		return usagef("%s is a new account: give it a --role: Administrator, Operator or Auditor", c.User)
	}
	password, err := t.secret(ctx, c.PasswordFile, passwordVariable, "New password of "+c.User, true)
	if err != nil {
		return err
	}
	if err := accounts.Set(c.User, password, role); err != nil {
		return usageError{err}
	}
	return t.print(accountJSON{c.User, string(role)}, func(w io.Writer) {
		fmt.Fprintf(w, "%s is %s; a license server that is running takes it at its next start.\n", c.User, strings.ToLower(string(role)))
	})
}

type accountJSON struct {
	User string `json:"user"`
	Role string `json:"role"`
}

type accountListCmd struct {
	Dir string `default:"/var/lib/calkeeper" env:"CALKEEPER_DIR" placeholder:"DIR" help:"The license server's directory."`
}

// Help is shown by --help.
func (accountListCmd) Help() string {
	return `Example:
  calkeeper account list --dir /var/lib/calkeeper`
}

// Run lists the accounts.
func (c *accountListCmd) Run(t *terminal) error {
	if !app.HasLicenseServer(c.Dir) {
		return usagef("no license server has run in %s: give its directory with --dir", c.Dir)
	}
	accounts, err := app.LoadAccounts(c.Dir)
	if err != nil {
		return err
	}
	list := []accountJSON{}
	for _, a := range accounts.List() {
		list = append(list, accountJSON{a.User, string(a.Role)})
	}
	return t.print(list, func(w io.Writer) {
		fmt.Fprintln(w, "USER\tROLE")
		for _, a := range list {
			fmt.Fprintf(w, "%s\t%s\n", a.User, a.Role)
		}
	})
}

type accountRemoveCmd struct {
	User string `arg:"" help:"Name of the account, compared without case."`
	Dir  string `default:"/var/lib/calkeeper" env:"CALKEEPER_DIR" placeholder:"DIR" help:"The license server's directory."`
}

// Help is shown by --help.
func (accountRemoveCmd) Help() string {
	return `The last Administrator cannot be removed. A license server that is running takes the change at its next start.

Example:
  calkeeper account remove monitor --dir /var/lib/calkeeper`
}

// Run removes the account.
func (c *accountRemoveCmd) Run(t *terminal) error {
	if !app.HasLicenseServer(c.Dir) {
		return usagef("no license server has run in %s: give its directory with --dir", c.Dir)
	}
	accounts, err := app.LoadAccounts(c.Dir)
	if err != nil {
		return err
	}
	if err := accounts.Remove(c.User); err != nil {
		return usageError{err}
	}
	return t.print(struct {
		User    string `json:"user"`
		Removed bool   `json:"removed"`
	}{c.User, true}, func(w io.Writer) {
		fmt.Fprintf(w, "%s is removed; a license server that is running takes it at its next start.\n", c.User)
	})
}
