package main

import (
	"context"
	"fmt"
	"io"

	"calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
)

type calCmd struct {
	List     calListCmd     `cmd:"" help:"List the CALs that are issued."`
	Show     calShowCmd     `cmd:"" help:"Show one CAL."`
	Revoke   calRevokeCmd   `cmd:"" help:"Take a per device CAL back, of which a fifth may be at a time."`
	Release  calReleaseCmd  `cmd:"" help:"Free a per user or concurrent CAL before its time."`
	Sessions calSessionsCmd `cmd:"" help:"List the sessions that use concurrent CALs, or whose logon is not complete."`
	Counters calCountersCmd `cmd:"" help:"Count what is installed, issued, available, over-used and denied."`
}

// Help is shown by --help.
func (calCmd) Help() string {
	return `Example:
  calkeeper cal list --search ada --limit 20`
}

type calListCmd struct {
	connection
	Search  string `placeholder:"TEXT" help:"Only those with this text in the name of the user or in the ID or name of the device, in any case."`
	Keypack uint32 `placeholder:"ID" help:"Only those of the key pack with this KeyPackId."`
	Status  string `enum:",temporary,active,revoked,pending,concurrent" default:"" placeholder:"STATUS" help:"Only those that are temporary, active, revoked, pending or concurrent."`
	Limit   int    `placeholder:"N" help:"At most so many. Default: all."`
}

// Help is shown by --help.
func (calListCmd) Help() string {
	return `Examples:
  calkeeper cal list --search ada
  calkeeper cal list --keypack 3 --status active --output json`
}

// Run lists the CALs.
func (c *calListCmd) Run(ctx context.Context, t *terminal) error {
	if c.Limit < 0 {
		return usagef("--limit is %d; it must be 1 or more", c.Limit)
	}
	return c.ask(ctx, t, func(api *client.Client) error {
		q := client.LicenseQuery{KeyPack: c.Keypack, Status: c.Status, Search: c.Search}
		list, err := pages(c.Limit, func(after uint64, limit int) ([]wire.License, uint64, error) {
			q.After, q.Limit = uint32(after), limit
			page, err := api.Licenses(ctx, q)
			return page.Licenses, uint64(page.Next), err
		})
		if err != nil {
			return err
		}
		return t.print(list, func(w io.Writer) { calTable(w, list...) })
	})
}

// pages reads page after page until the end, or until there are so many; 0 means all. A page may be short although there is a
// next one.
func pages[T any](most int, read func(after uint64, limit int) (page []T, next uint64, err error)) ([]T, error) {
	list := []T{}
	for after := uint64(0); ; {
		limit := wire.MaxLimit
		if most > 0 {
			limit = min(limit, most-len(list))
		}
		page, next, err := read(after, limit)
		if err != nil {
			return nil, err
		}
		list = append(list, page...)
		if next <= after || most > 0 && len(list) >= most {
			return list, nil
		}
		after = next
	}
}

func calTable(w io.Writer, list ...wire.License) {
	fmt.Fprintln(w, "ID\tKEY PACK\tVERSION\tTYPE\tSTATUS\tUSER\tDEVICE\tSESSION HOST\tISSUED\tEXPIRES")
	for _, l := range list {
		fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.KeyPackID, l.ProductVersion, l.Type, l.Status, or(l.User, "-"),
			deviceText(l.Device), or(l.Host, "-"), at(l.Issued), at(l.Expires))
	}
}

func deviceText(d *wire.Device) string {
	switch {
	case d == nil || *d == wire.Device{}:
		return "-"
	case d.ID == "":
		return d.Name
	case d.Name == "":
		return d.ID
	}
	return d.Name + " (" + d.ID + ")"
}

// licenseID names a CAL.
type licenseID struct {
	ID uint32 `arg:"" help:"LicenseId of the CAL, as calkeeper cal list shows it."`
}

type calShowCmd struct {
	connection
	licenseID
}

// Help is shown by --help.
func (calShowCmd) Help() string {
	return `Example:
  calkeeper cal show 17`
}

// Run shows the CAL.
func (c *calShowCmd) Run(ctx context.Context, t *terminal) error {
	return c.ask(ctx, t, func(api *client.Client) error {
		l, err := api.License(ctx, c.ID)
		if err != nil {
			return err
		}
		return t.print(l, func(w io.Writer) { showCAL(w, l) })
	})
}

// showCAL shows a CAL in lines.
func showCAL(w io.Writer, l wire.License) {
	fmt.Fprintf(w, "CAL:\t%d, %s, %s, %s\nkey pack:\t%d\nuser:\t%s\ndevice:\t%s\nsession host:\t%s\nissued:\t%s\nexpires:\t%s\n",
		l.ID, l.ProductVersion, l.Type, l.Status, l.KeyPackID, or(l.User, "-"), deviceText(l.Device), or(l.Host, "-"), at(l.Issued), at(l.Expires))
}

type calRevokeCmd struct {
	connection
	licenseID
}

// Help is shown by --help.
func (calRevokeCmd) Help() string {
	return `The device asks for a new CAL when it connects again. At most 20 percent of the CALs of a version are revoked at a time; a revoked one counts until it would have expired.

Example:
  calkeeper cal revoke 17`
}

// Run revokes.
func (c *calRevokeCmd) Run(ctx context.Context, t *terminal) error {
	return c.ask(ctx, t, func(api *client.Client) error {
		rest, err := api.Revoke(ctx, c.ID)
		if err != nil {
			return err
		}
		return t.print(rest, func(w io.Writer) {
			fmt.Fprintf(w, "CAL %d is revoked\nmore that may be revoked:\t%d\nnext allowed:\t%s\n", c.ID, rest.RevokableCALs, at(rest.NextRevokeAllowedOn))
		})
	})
}

type calReleaseCmd struct {
	connection
	licenseID
}

// Help is shown by --help.
func (calReleaseCmd) Help() string {
	return `A per device CAL with a term is not released but revoked: calkeeper cal revoke does that.

Example:
  calkeeper cal release 17`
}

// Run releases.
func (c *calReleaseCmd) Run(ctx context.Context, t *terminal) error {
	return c.ask(ctx, t, func(api *client.Client) error {
		if err := api.ReleaseLicense(ctx, c.ID); err != nil {
			return err
		}
		return t.print(struct {
			Released uint32 `json:"released"`
		}{c.ID}, func(w io.Writer) { fmt.Fprintf(w, "CAL %d is free again\n", c.ID) })
	})
}

type calSessionsCmd struct {
	connection
	Host        string `placeholder:"NAME" help:"Only those of this session host."`
	SessionUser string `placeholder:"USER" help:"Only those of this user, in any spelling of the name."`
	Limit       int    `placeholder:"N" help:"At most so many. Default: all."`
}

// Help is shown by --help.
func (calSessionsCmd) Help() string {
	return `Example:
  calkeeper cal sessions --host rds1.example.org`
}

// Run lists the sessions.
func (c *calSessionsCmd) Run(ctx context.Context, t *terminal) error {
	if c.Limit < 0 {
		return usagef("--limit is %d; it must be 1 or more", c.Limit)
	}
	return c.ask(ctx, t, func(api *client.Client) error {
		list, err := pages(c.Limit, func(after uint64, limit int) ([]wire.Lease, uint64, error) {
			page, err := api.Leases(ctx, client.LeaseQuery{After: after, Limit: limit, Host: c.Host, User: c.SessionUser})
			return page.Leases, page.Next, err
		})
		if err != nil {
			return err
		}
		return t.print(list, func(w io.Writer) {
			fmt.Fprintln(w, "LEASE\tCAL\tSESSION HOST\tUSER\tDEVICE\tSESSION\tOPENED\tEXPIRES")
			for _, l := range list {
				session := or(l.Session, "-")
				if l.Provisional {
					session = "logging on"
				}
				fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.License, l.Host, or(l.User, "-"), deviceText(l.Device), session,
					at(l.Opened), at(l.Expires))
			}
		})
	})
}

type calCountersCmd struct{ connection }

// Help is shown by --help.
func (calCountersCmd) Help() string {
	return `Example:
  calkeeper cal counters`
}

// Run shows the counters.
func (c *calCountersCmd) Run(ctx context.Context, t *terminal) error {
	return c.ask(ctx, t, func(api *client.Client) error {
		counters, err := api.Counters(ctx)
		if err != nil {
			return err
		}
		return t.print(counters, func(w io.Writer) {
			fmt.Fprintln(w, "VERSION\tTYPE\tINSTALLED\tISSUED\tAVAILABLE\tOVER-USED\tTEMPORARY\tDENIED")
			for _, n := range counters.Counters {
				fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\n", n.ProductVersion, n.Type, n.Installed, n.Issued, n.Available, n.OverUsed, n.Temporary, n.Denied)
			}
			if len(counters.Denials) > 0 {
				fmt.Fprintln(w, "\nVERSION\tTYPE\tDENIED\tREASON")
			}
			for _, d := range counters.Denials {
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", d.ProductVersion, d.Type, d.Count, d.Reason)
			}
		})
	})
}

type denialsCmd struct {
	connection
	Limit int `default:"100" placeholder:"N" help:"At most so many, the last. Default: ${default}."`
}

// Help is shown by --help.
func (denialsCmd) Help() string {
	return `Example:
  calkeeper denials --limit 20`
}

// Run lists the denials.
func (c *denialsCmd) Run(ctx context.Context, t *terminal) error {
	if c.Limit < 1 {
		return usagef("--limit is %d; it must be 1 or more", c.Limit)
	}
	return c.ask(ctx, t, func(api *client.Client) error {
		// The API tells the oldest first, and denials of long ago are forgotten: all pages are read to find the last ones.
		list, err := pages(0, func(after uint64, limit int) ([]wire.Denial, uint64, error) {
			page, err := api.Denials(ctx, after, limit)
			return page.Denials, page.Next, err
		})
		if err != nil {
			return err
		}
		list = list[max(0, len(list)-c.Limit):]
		return t.print(list, func(w io.Writer) {
			fmt.Fprintln(w, "NO\tTIME\tSESSION HOST\tUSER\tDEVICE\tVERSION\tTYPE\tREASON\tDETAIL")
			for _, d := range list {
				fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", d.Seq, at(d.At), d.Host, or(d.User, "-"), deviceText(d.Device), d.ProductVersion,
					d.Type, d.Reason, d.Detail)
			}
		})
	})
}
