package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/wire"
)

type serversCmd struct {
	List    serversListCmd    `cmd:"" default:"withargs" help:"List the license servers (also without list)."`
	Approve serversApproveCmd `cmd:"" help:"Let a license server be activated that has no enrolment key."`
}

// Help is shown by --help.
func (serversCmd) Help() string {
	return `Example:
  calkeeper clearinghouse servers --dir ./ch`
}

type serverJSON struct {
	ID              uint32        `json:"id"` // names its accounts
	Name            string        `json:"name"`
	Names           []string      `json:"names"`
	Organization    string        `json:"organization,omitempty"`
	State           string        `json:"state"`
	ProductID       string        `json:"productId"`
	LicenseServerID string        `json:"licenseServerId,omitempty"`
	Reachable       bool          `json:"reachable"`
	Ahead           bool          `json:"aheadOfLedger"` // the clearinghouse was restored from an older copy
	LastContact     time.Time     `json:"lastContact,omitzero"`
	Holdings        []holdingJSON `json:"holdings"`
}

type holdingJSON struct {
	Entitlement string `json:"entitlement"`
	ProductType uint32 `json:"productType"`
	Count       int64  `json:"count"`
}

func serverOf(s clearinghouse.Server) serverJSON {
	return serverJSON{
		ID: s.ID, Name: s.Name, Names: s.Names, Organization: s.Organization, State: string(s.State), ProductID: s.ProductID,
		LicenseServerID: s.LicenseServerID, LastContact: s.LastContact, Ahead: s.Ahead(), Holdings: []holdingJSON{},
	}
}

type serversListCmd struct {
	operator
	Organization string `placeholder:"ID" help:"Only those of this organization."`
}

// Help is shown by --help.
func (serversListCmd) Help() string { return serversCmd{}.Help() }

// Run lists the license servers.
func (c *serversListCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	views, err := ask[[]clearinghouse.ServerView](ctx, c.operator, log, wire.Servers, wire.Owner{Organization: typed(c.Organization)})
	if err != nil {
		return err
	}
	list := []serverJSON{}
	for _, v := range views {
		s := serverOf(v.Server)
		s.Reachable = v.Reachable
		for _, b := range v.Holdings {
			s.Holdings = append(s.Holdings, holdingJSON{b.Entitlement, uint32(b.ProductType), b.Quantity})
		}
		list = append(list, s)
	}
	return t.print(list, func(w io.Writer) { serverTable(w, list) })
}

// serverNames returns the names of all license servers by the clearinghouse's numbers of them.
func (o operator) serverNames(ctx context.Context, log *slog.Logger) (map[uint32]string, error) {
	servers, err := ask[[]clearinghouse.ServerView](ctx, o, log, wire.Servers, wire.Owner{})
	names := map[uint32]string{}
	for _, s := range servers {
		names[s.ID] = s.Name
	}
	return names, err
}

func serverTable(w io.Writer, list []serverJSON) {
	fmt.Fprintln(w, "SERVER\tNAME\tORGANIZATION\tSTATE\tREACHABLE\tLAST CONTACT\tCALS\tLICENSE SERVER ID")
	for _, s := range list {
		var held int64
		for _, h := range s.Holdings {
			held += h.Count
		}
		reachable := "no"
		switch {
		case s.Ahead:
			reachable = "ahead of the ledger"
		case s.Reachable:
			reachable = "yes"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", s.ID, s.Name, or(s.Organization, "-"), s.State, reachable, at(s.LastContact), held,
			or(grouped(s.LicenseServerID), "-"))
	}
	for _, s := range list {
		if s.State == string(clearinghouse.ServerWaiting) {
			fmt.Fprintf(w, "\n%s waits for approval:\n  calkeeper clearinghouse servers approve %s\n", s.Name, grouped(s.ProductID))
		}
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

type serversApproveCmd struct {
	operator
	enrollee
}

// Help is shown by --help.
func (serversApproveCmd) Help() string {
	return `Compare the product ID with the one that the license server shows: whoever asked first is not always the right one.

Example:
  calkeeper clearinghouse servers approve $PRODUCT_ID --dir ./ch`
}

// Run approves.
func (c *serversApproveCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	server, err := ask[clearinghouse.Server](ctx, c.operator, log, wire.Approve, c.request())
	if err != nil {
		return err
	}
	return t.print(serverOf(server), func(w io.Writer) {
		fmt.Fprintf(w, "%s is %s; it can be activated now.\n", server.Name, server.State)
	})
}
