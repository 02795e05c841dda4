package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"calkeeper/internal/app"
	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/wire"
)

type clearinghouseCmd struct {
	Serve        clearinghouseServeCmd `cmd:"" help:"Run a clearinghouse."`
	Organization organizationCmd       `cmd:"" help:"Whose licenses and license servers there are."`
	Sell         sellCmd               `cmd:"" help:"Sell CALs: credentials that a license server can install."`
	Entitlements entitlementsCmd       `cmd:"" help:"List what was sold, and who holds it."`
	Code         codeCmd               `cmd:"" help:"Codes for license servers without network."`
	Servers      serversCmd            `cmd:"" help:"License servers."`
	Transfers    transfersCmd          `cmd:"" help:"List the imports: what moved between license servers."`
	Ledger       ledgerCmd             `cmd:"" help:"List the entries of the ledger, or recount it."`
}

// Help is shown by --help.
func (clearinghouseCmd) Help() string {
	return `The commands work through the clearinghouse that runs in the directory, or, if none does, by themselves.

Example:
  calkeeper clearinghouse organization add "Example Farm" --dir ./ch`
}

// operator says which clearinghouse to operate.
type operator struct {
	Dir string `default:"/var/lib/calkeeper/clearinghouse" env:"CALKEEPER_CLEARINGHOUSE_DIR" placeholder:"DIR" help:"The clearinghouse's directory. Default: ${default}."`
}

// ask calls one of the operator's functions.
func ask[Answer any](ctx context.Context, o operator, log *slog.Logger, function string, request any) (answer Answer, err error) {
	if !app.HasClearinghouse(o.Dir) {
		return answer, usagef("there is no clearinghouse in %s: give its directory with --dir, or make one with `calkeeper clearinghouse organization add`", o.Dir)
	}
	return askNew[Answer](ctx, o, log, function, request)
}

// askNew is ask for a function that may make the clearinghouse.
func askNew[Answer any](ctx context.Context, o operator, log *slog.Logger, function string, request any) (answer Answer, err error) {
	client, stop, err := app.OpenOperator(ctx, o.Dir, log)
	if err != nil {
		return answer, inUse(err, "A clearinghouse runs in "+o.Dir+" that does not listen, or does not answer: stop it, or let it listen.")
	}
	defer func() { err = errors.Join(err, stopping(stop)) }()
	return answer, client.Call(ctx, function, request, &answer)
}

type clearinghouseServeCmd struct {
	operator
	Listen    string `default:"127.0.0.1:8443" env:"CALKEEPER_CLEARINGHOUSE_LISTEN" placeholder:"HOST:PORT" help:"Where to listen, over HTTPS. Default: ${default}."`
	URL       string `name:"url" env:"CALKEEPER_CLEARINGHOUSE_URL" placeholder:"URL" help:"Under which license servers reach it. Default: the address it listens on."`
	ReadyFile string `placeholder:"FILE" help:"Write the addresses to this file, as JSON, when ready."`
}

// Help is shown by --help.
func (clearinghouseServeCmd) Help() string {
	return `License servers need DIR/authority.json, which holds no secret, and the enrolment key of their organization.

Example:
  calkeeper clearinghouse serve --dir ./ch --listen :8443 --url https://clearinghouse.example.org:8443`
}

// Run serves until the process is told to end.
func (c *clearinghouseServeCmd) Run(ctx context.Context, t *terminal, logs app.LogSettings) (err error) {
	config, err := logs.Resolve(slog.LevelInfo)
	if err != nil {
		return usageError{err}
	}
	log := config.Logger(t.err)
	house, err := app.StartClearinghouse(ctx, app.ClearinghouseOptions{Dir: c.Dir, Listen: c.Listen, URL: c.URL, Logger: log})
	if err != nil {
		return inUse(err, "Another process has the clearinghouse of "+c.Dir+" open.")
	}
	defer func() { err = errors.Join(err, stopping(house.Stop)) }()
	r := struct {
		Clearinghouse string `json:"clearinghouse"`
		Authority     string `json:"authority"` // file
	}{house.Authority.URL, filepath.Join(c.Dir, app.AuthorityFile)}
	if err := t.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "clearinghouse:\t%s\nauthority document:\t%s\n", r.Clearinghouse, r.Authority)
	}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeReady(c.ReadyFile)) }()
	if err := writeReady(c.ReadyFile, r); err != nil {
		return err
	}
	log.Info("serving", "clearinghouse", r.Clearinghouse)
	<-ctx.Done()
	log.Info("stopping")
	return nil
}

type organizationCmd struct {
	Add  organizationAddCmd  `cmd:"" help:"Add an organization, and print its enrolment key, this once."`
	List organizationListCmd `cmd:"" help:"List the organizations."`
}

// Help is shown by --help.
func (organizationCmd) Help() string {
	return `Example:
  calkeeper clearinghouse organization list --dir ./ch`
}

type organizationJSON struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Created      time.Time `json:"created"`
	EnrolmentKey string    `json:"enrolmentKey,omitempty"`
}

type organizationAddCmd struct {
	operator
	Name string `arg:"" help:"Its name."`
}

// Help is shown by --help.
func (organizationAddCmd) Help() string {
	return `With the enrolment key a license server is activated without approval, as one of the organization.

Example:
  calkeeper clearinghouse organization add "Example Farm" --dir ./ch`
}

// Run adds an organization.
func (c *organizationAddCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	o, err := askNew[clearinghouse.NewOrganization](ctx, c.operator, log, wire.CreateOrganization, wire.Name{Name: c.Name})
	if err != nil {
		return err
	}
	return t.print(organizationJSON{o.ID, o.Name, o.Created, o.EnrolmentKey}, func(w io.Writer) {
		fmt.Fprintf(w, "organization:\t%s\nname:\t%s\nenrolment key (shown this once):\t%s\n", o.ID, o.Name, o.EnrolmentKey)
	})
}

type organizationListCmd struct{ operator }

// Help is shown by --help.
func (organizationListCmd) Help() string { return organizationCmd{}.Help() }

// Run lists the organizations.
func (c *organizationListCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	all, err := ask[[]clearinghouse.Organization](ctx, c.operator, log, wire.Organizations, struct{}{})
	if err != nil {
		return err
	}
	list := []organizationJSON{}
	for _, o := range all {
		list = append(list, organizationJSON{ID: o.ID, Name: o.Name, Created: o.Created})
	}
	return t.print(list, func(w io.Writer) {
		fmt.Fprintln(w, "ID\tNAME\tCREATED")
		for _, o := range list {
			fmt.Fprintf(w, "%s\t%s\t%s\n", o.ID, o.Name, at(o.Created))
		}
	})
}
