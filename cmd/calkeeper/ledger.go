package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/wire"
)

type transfersCmd struct{ operator }

// Help is shown by --help.
func (transfersCmd) Help() string {
	return `"release pending" means that the source has not been in contact since, and may still show the CALs.

Example:
  calkeeper clearinghouse transfers --dir ./ch`
}

type transferJSON struct {
	Key          string    `json:"key"`
	Entitlement  string    `json:"entitlement"`
	ProductType  uint32    `json:"productType"`
	Count        uint32    `json:"count"`
	Source       uint32    `json:"source"` // the clearinghouse's number of the license server
	SourceName   string    `json:"sourceName"`
	Target       uint32    `json:"target"`
	TargetName   string    `json:"targetName"`
	At           time.Time `json:"at"`
	Released     time.Time `json:"released,omitzero"`
	Acknowledged time.Time `json:"acknowledged,omitzero"`
	State        string    `json:"state"` // release pending, installation pending, done
}

func transferState(v clearinghouse.Transfer) string {
	switch {
	case v.Released.IsZero():
		return "release pending"
	case v.Acknowledged.IsZero():
		return "installation pending"
	}
	return "done"
}

// Run lists the transfers.
func (c *transfersCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	transfers, err := ask[[]clearinghouse.Transfer](ctx, c.operator, log, wire.Transfers, struct{}{})
	if err != nil {
		return err
	}
	names, err := c.serverNames(ctx, log)
	if err != nil {
		return err
	}
	list := []transferJSON{}
	for _, v := range transfers {
		list = append(list, transferJSON{
			v.Key, v.Entitlement, uint32(v.ProductType), v.Count, v.Source, names[v.Source], v.Target, names[v.Target],
			v.At, v.Released, v.Acknowledged, transferState(v),
		})
	}
	return t.print(list, func(w io.Writer) {
		fmt.Fprintln(w, "TIME\tENTITLEMENT\tTYPE\tCOUNT\tSOURCE\tTARGET\tSTATE")
		for _, v := range list {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", at(v.At), v.Entitlement, productType(v.ProductType), v.Count, v.SourceName, v.TargetName, v.State)
		}
	})
}

type ledgerCmd struct {
	operator
	After uint64 `placeholder:"N" help:"List entries after this one."`
	Limit int    `default:"100" placeholder:"N" help:"List so many at most, up to 10000. Default: ${default}."`
	Check bool   `help:"Recount the ledger instead. Exit code 6 means that something does not agree."`
}

// Help is shown by --help.
func (ledgerCmd) Help() string {
	return `Examples:
  calkeeper clearinghouse ledger --after 200 --dir ./ch
  calkeeper clearinghouse ledger --check --dir ./ch`
}

// Run lists or checks the ledger.
func (c *ledgerCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	if c.Check {
		return c.check(ctx, t, log)
	}
	entries, err := ask[[]clearinghouse.Entry](ctx, c.operator, log, wire.Ledger, wire.Page{After: c.After, Limit: c.Limit})
	if err != nil {
		return err
	}
	list := []entryJSON{}
	for _, e := range entries {
		list = append(list, entryOf(e))
	}
	return t.print(list, func(w io.Writer) {
		fmt.Fprintln(w, "ENTRY\tTIME\tKIND\tACTOR\tPOSTINGS")
		for _, e := range list {
			var postings []string
			for _, p := range e.Postings {
				postings = append(postings, fmt.Sprintf("%+d %s (%s %s)", p.Delta, p.Holder, p.Entitlement, productType(p.ProductType)))
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", e.Seq, at(e.At), e.Kind, e.Actor, strings.Join(postings, ", "))
		}
	})
}

type entryJSON struct {
	Seq      uint64        `json:"seq"`
	At       time.Time     `json:"at"`
	Kind     string        `json:"kind"`
	Key      string        `json:"key,omitempty"`
	Actor    string        `json:"actor"`
	Postings []postingJSON `json:"postings"`
}

type postingJSON struct {
	Entitlement string `json:"entitlement"`
	ProductType uint32 `json:"productType"`
	Holder      string `json:"holder"`
	Delta       int64  `json:"delta"`
}

func entryOf(e clearinghouse.Entry) entryJSON {
	v := entryJSON{e.Seq, e.At, e.Kind, e.Key, e.Actor, []postingJSON{}}
	for _, p := range e.Postings {
		v.Postings = append(v.Postings, postingJSON{p.Entitlement, uint32(p.ProductType), string(p.Holder), p.Delta})
	}
	return v
}

func (c *ledgerCmd) check(ctx context.Context, t *terminal, log *slog.Logger) error {
	wrong, err := ask[[]string](ctx, c.operator, log, wire.Check, struct{}{})
	if err != nil {
		return err
	}
	wrong = append([]string{}, wrong...)
	err = t.print(struct {
		Wrong []string `json:"wrong"`
	}{wrong}, func(w io.Writer) {
		if len(wrong) == 0 {
			fmt.Fprintln(w, "The ledger balances.")
		}
		for _, s := range wrong {
			fmt.Fprintln(w, s)
		}
	})
	if err == nil && len(wrong) > 0 {
		err = wrongError{fmt.Errorf("%d things in the ledger do not agree: restore a backup, and sell nothing before", len(wrong))}
	}
	return err
}
