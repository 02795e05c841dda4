package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"

	"calkeeper/internal/app"
	"calkeeper/internal/inventory"
	"calkeeper/internal/sqlitedb"
)

type verifyCmd struct {
	Dir       string `default:"/var/lib/calkeeper" env:"CALKEEPER_DIR" placeholder:"DIR" help:"The license server's directory."`
	Authority string `env:"CALKEEPER_AUTHORITY" placeholder:"FILE" help:"The clearinghouse's authority.json. Default: that of the embedded clearinghouse."`
}

// Help is shown by --help.
func (verifyCmd) Help() string {
	return `Stop the license server first: its database is locked while it runs. Exit code 6 means that something is wrong.

Example:
  calkeeper verify --dir /var/lib/calkeeper --authority authority.json`
}

// Run checks every key pack.
func (c *verifyCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) (err error) {
	if !app.HasLicenseServer(c.Dir) {
		return usagef("no license server has run in %s: give its directory with --dir", c.Dir)
	}
	path := c.Authority
	if path == "" {
		path = filepath.Join(c.Dir, app.EmbeddedDir, app.AuthorityFile)
	}
	authority, err := app.LoadAuthority(path)
	if err != nil {
		return usagef("%w\nGive the authority.json of the clearinghouse with --authority", err)
	}
	server, err := app.OpenLicenseServer(ctx, app.LicenseServerOptions{Dir: c.Dir, Authority: authority, Logger: log})
	if err != nil {
		return inUse(err, "the license server is running: stop it, then verify")
	}
	defer func() { err = errors.Join(err, stopping(server.Stop)) }()
	verdicts, err := server.Inventory.Verify(ctx)
	if err != nil {
		return err
	}
	return showVerdicts(t, verdicts)
}

type verdictJSON struct {
	KeyPackID      uint32   `json:"keyPackId"`
	TypeAndModel   string   `json:"typeAndModel"`
	ProductVersion string   `json:"productVersion"`
	Total          uint32   `json:"total"`
	Granted        uint32   `json:"granted"`
	Removed        uint32   `json:"removed"`
	Wrong          []string `json:"wrong"`
}

func showVerdicts(t *terminal, verdicts []inventory.Verdict) error {
	list := []verdictJSON{}
	bad := 0
	for _, v := range verdicts {
		k := v.KeyPack
		list = append(list, verdictJSON{k.ID, k.TypeAndModel(), k.ProductVersion.String(), k.Total, v.Granted, v.Removed, append([]string{}, v.Wrong...)})
		if len(v.Wrong) > 0 {
			bad++
		}
	}
	err := t.print(list, func(w io.Writer) {
		fmt.Fprintln(w, "KEY PACK\tMODEL\tVERSION\tTOTAL\tGRANTED\tREMOVED\tVERDICT")
		for _, v := range list {
			verdict := "good"
			if len(v.Wrong) > 0 {
				verdict = strings.Join(v.Wrong, "; ")
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%d\t%d\t%s\n", v.KeyPackID, v.TypeAndModel, v.ProductVersion, v.Total, v.Granted, v.Removed, verdict)
		}
	})
	if err == nil && bad > 0 {
		err = wrongError{fmt.Errorf("%d of %d key packs are not what their evidence says", bad, len(verdicts))}
	}
	return err
}

// inUse replaces the error about a locked database by what to do.
func inUse(err error, advice string) error {
	if errors.Is(err, sqlitedb.ErrInUse) {
		return fmt.Errorf("%w\n%s", err, advice)
	}
	return err
}
