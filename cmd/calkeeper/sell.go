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
	"calkeeper/internal/licensing"
)

type sellCmd struct {
	operator
	purchaseArguments
	Program             string         `required:"" enum:"retail,open,agreement" placeholder:"PROGRAM" help:"${enum}."`
	AgreementType       *agreementType `placeholder:"TYPE" help:"select (the default), enterprise, campus, school, spla, other, or 0 to 5."`
	AgreementNumber     string         `placeholder:"NUMBER" help:"7 digits. Default: a new one."`
	LicenseNumber       string         `placeholder:"NUMBER" help:"8 digits. Default: a new one."`
	AuthorizationNumber string         `placeholder:"NUMBER" help:"15 letters and digits. Default: a new one."`
	Expires             month          `placeholder:"YYYY-MM" help:"The last month in which the CALs are valid. Default: they are perpetual."`
	Organization        string         `placeholder:"ID" help:"Whose they are. Can be left out if there is only one organization."`
}

// Help is shown by --help.
func (sellCmd) Help() string {
	return `Selling under numbers that were sold before adds to them. A retail license code is shown this once.

Examples:
  calkeeper clearinghouse sell --program open --product-version 2022 --product-type user --count 150
  calkeeper clearinghouse sell --program agreement --agreement-type enterprise --product-version 8 --product-type device --count 50 --expires 2028-06`
}

// Run sells.
func (c *sellCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	if err := c.check(); err != nil {
		return err
	}
	r := clearinghouse.SellRequest{
		Organization: typed(c.Organization), ProductVersion: uint32(c.ProductVersion), ProductType: uint32(c.ProductType), Count: c.Count,
		Expires: c.Expires.end(),
		Credentials: licensing.Credentials{
			Program: licensing.Program(c.Program), LicenseNumber: typed(c.LicenseNumber), AuthorizationNumber: typed(c.AuthorizationNumber),
			AgreementNumber: typed(c.AgreementNumber),
		},
	}
	if c.AgreementType != nil {
		r.Credentials.AgreementType = licensing.AgreementType(*c.AgreementType)
	}
	sale, err := ask[clearinghouse.Sale](ctx, c.operator, log, wire.Sell, r)
	if err != nil {
		return err
	}
	return t.print(sale, func(w io.Writer) {
		row := func(name, value string) {
			if value != "" {
				fmt.Fprintf(w, "%s:\t%s\n", name, value)
			}
		}
		k := sale.Credentials
		row("entitlement", sale.Entitlement)
		row("organization", sale.Organization)
		row("sold", fmt.Sprintf("%d × %s, %s", sale.Count, productType(sale.ProductType), licensing.ProductVersion(sale.ProductVersion)))
		if k.Program == licensing.Agreement {
			row("agreement type", fmt.Sprintf("%s (%d)", k.AgreementType, k.AgreementType))
		}
		row("agreement number", k.AgreementNumber)
		row("license number", k.LicenseNumber)
		row("authorization number", k.AuthorizationNumber)
		row("license code (shown this once)", grouped(k.LicenseCode))
	})
}

// check finds numbers of another program.
func (c *sellCmd) check() error {
	switch program := licensing.Program(c.Program); {
	case program != licensing.Agreement && (c.AgreementType != nil || c.AgreementNumber != ""):
		return usagef("--agreement-type and --agreement-number go with --program agreement")
	case program != licensing.Open && (c.LicenseNumber != "" || c.AuthorizationNumber != ""):
		return usagef("--license-number and --authorization-number go with --program open")
	}
	return nil
}

type entitlementsCmd struct {
	operator
	Organization string `placeholder:"ID" help:"Only those of this organization."`
}

// Help is shown by --help.
func (entitlementsCmd) Help() string {
	return `Example:
  calkeeper clearinghouse entitlements --dir ./ch --output json`
}

type entitlementJSON struct {
	ID             string         `json:"id"`
	Organization   string         `json:"organization"`
	Program        string         `json:"program"`
	AgreementType  *uint32        `json:"agreementType,omitempty"`
	Number         string         `json:"number"` // of a retail code: its first group
	ProductVersion uint32         `json:"productVersion"`
	Expires        time.Time      `json:"expires,omitzero"`
	Accounts       []accountsJSON `json:"accounts"`
}

// accountsJSON are the accounts of one product type.
type accountsJSON struct {
	ProductType uint32           `json:"productType"`
	Sold        int64            `json:"sold"`
	Pool        int64            `json:"pool"`
	Servers     map[string]int64 `json:"servers,omitempty"` // by the clearinghouse's number of the license server
	Codes       map[string]int64 `json:"codes,omitempty"`   // by the code's serial
}

// Run lists the entitlements.
func (c *entitlementsCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	views, err := ask[[]clearinghouse.EntitlementView](ctx, c.operator, log, wire.Entitlements, wire.Owner{Organization: typed(c.Organization)})
	if err != nil {
		return err
	}
	list := []entitlementJSON{}
	for _, v := range views {
		list = append(list, entitlementOf(v))
	}
	return t.print(list, func(w io.Writer) {
		fmt.Fprintln(w, "ENTITLEMENT\tORGANIZATION\tPROGRAM\tNUMBER\tVERSION\tTYPE\tSOLD\tPOOL\tSERVERS\tCODES\tVALID TO")
		for _, e := range list {
			for _, a := range e.Accounts {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", e.ID, e.Organization, e.Program, e.Number,
					licensing.ProductVersion(e.ProductVersion), productType(a.ProductType), a.Sold, a.Pool, sum(a.Servers), sum(a.Codes), lastMonth(e.Expires))
			}
		}
	})
}

func entitlementOf(v clearinghouse.EntitlementView) entitlementJSON {
	e := entitlementJSON{
		ID: v.ID, Organization: v.Organization, Program: string(v.Program), Number: v.Number, ProductVersion: uint32(v.ProductVersion),
		Expires: v.Expires, Accounts: []accountsJSON{},
	}
	if v.Program == licensing.Agreement {
		e.AgreementType = new(uint32(v.AgreementType))
	}
	for _, b := range v.Balances { // ordered by product type
		if n := len(e.Accounts); n == 0 || e.Accounts[n-1].ProductType != uint32(b.ProductType) {
			e.Accounts = append(e.Accounts, accountsJSON{ProductType: uint32(b.ProductType), Servers: map[string]int64{}, Codes: map[string]int64{}})
		}
		a := &e.Accounts[len(e.Accounts)-1]
		kind, number, _ := strings.Cut(string(b.Holder), "/")
		switch {
		case b.Holder == clearinghouse.Sold:
			a.Sold = -b.Quantity
		case b.Holder == clearinghouse.Pool:
			a.Pool = b.Quantity
		case b.Quantity == 0:
		case kind == "server":
			a.Servers[number] = b.Quantity
		case kind == "code":
			a.Codes[number] = b.Quantity
		}
	}
	return e
}

func sum(m map[string]int64) (n int64) {
	for _, quantity := range m {
		n += quantity
	}
	return n
}
