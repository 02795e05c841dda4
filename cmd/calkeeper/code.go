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

type codeCmd struct {
	Install    codeInstallCmd    `cmd:"" help:"Make a code that installs CALs from the pool."`
	Import     codeImportCmd     `cmd:"" help:"Make a code that moves CALs from another license server."`
	Activate   codeActivateCmd   `cmd:"" help:"Make a license server ID."`
	Deactivate codeDeactivateCmd `cmd:"" help:"Make the confirmation code that deactivates a license server."`
	Cancel     codeCancelCmd     `cmd:"" help:"Take back a code that was not used."`
	List       codeListCmd       `cmd:"" help:"List the codes that were given out."`
}

// Help is shown by --help.
func (codeCmd) Help() string {
	return `Codes are for license servers that do not reach the clearinghouse; the operator reads them out by phone, or sends them.

Example:
  calkeeper clearinghouse code list --dir ./ch`
}

// allocation is what a code carries, and to whom.
type allocation struct {
	Entitlement string      `required:"" placeholder:"ID" help:"Of which entitlement; see calkeeper clearinghouse entitlements."`
	ProductType productType `required:"" placeholder:"TYPE" help:"device or user."`
	Count       uint32      `required:"" placeholder:"N" help:"How many CALs."`
	Target      string      `required:"" placeholder:"ID" help:"License server ID of the license server that will use the code."`
}

func (a allocation) request(source string) clearinghouse.CodeRequest {
	return clearinghouse.CodeRequest{
		Entitlement: typed(a.Entitlement), ProductType: uint32(a.ProductType), Count: a.Count, Target: typed(a.Target), Source: typed(source),
	}
}

func (o operator) issue(ctx context.Context, t *terminal, log *slog.Logger, r clearinghouse.CodeRequest) error {
	issued, err := ask[clearinghouse.IssuedCode](ctx, o, log, wire.IssueCode, r)
	if err != nil {
		return err
	}
	return t.print(issued, func(w io.Writer) {
		fmt.Fprintf(w, "serial:\t%d\nlicense key pack ID (shown this once):\t%s\n", issued.Serial, grouped(issued.Code))
	})
}

type codeInstallCmd struct {
	operator
	allocation
}

// Help is shown by --help.
func (codeInstallCmd) Help() string {
	return `Example:
  calkeeper clearinghouse code install --entitlement 7Q2M4X9A --product-type device --count 30 --target $LICENSE_SERVER_ID`
}

// Run makes the code.
func (c *codeInstallCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	return c.issue(ctx, t, log, c.request(""))
}

type codeImportCmd struct {
	operator
	allocation
	Source string `required:"" placeholder:"ID" help:"License server ID of the license server that the CALs come from."`
}

// Help is shown by --help.
func (codeImportCmd) Help() string {
	return `Example:
  calkeeper clearinghouse code import --entitlement 7Q2M4X9A --product-type device --count 30 \
    --source $SOURCE_ID --target $LICENSE_SERVER_ID`
}

// Run makes the code.
func (c *codeImportCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	return c.issue(ctx, t, log, c.request(c.Source))
}

// enrollee is a license server that the operator takes on.
type enrollee struct {
	ProductID    string `arg:"" help:"Product ID that the license server shows: 65 characters."`
	Organization string `placeholder:"ID" help:"Whose it is. Can be left out if there is only one organization."`
	Name         string `placeholder:"NAME" help:"Its host name or FQDN, if the clearinghouse has not heard of it yet."`
}

func (e enrollee) request() wire.Enrollee {
	return wire.Enrollee{ProductID: typed(e.ProductID), Organization: typed(e.Organization), Name: e.Name}
}

type codeActivateCmd struct {
	operator
	enrollee
}

// Help is shown by --help.
func (codeActivateCmd) Help() string {
	return `On the license server: calkeeper activate --license-server-id ID

Example:
  calkeeper clearinghouse code activate $PRODUCT_ID --name ls1.example.org`
}

// Run makes the license server ID.
func (c *codeActivateCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	id, err := ask[string](ctx, c.operator, log, wire.ActivationCode, c.request())
	if err != nil {
		return err
	}
	return t.print(struct {
		LicenseServerID string `json:"licenseServerId"`
	}{id}, func(w io.Writer) { fmt.Fprintf(w, "license server ID:\t%s\n", grouped(id)) })
}

type codeDeactivateCmd struct {
	operator
	LicenseServerID string `arg:"" name:"license-server-id" help:"The ID to retire."`
}

// Help is shown by --help.
func (codeDeactivateCmd) Help() string {
	return `On the license server: calkeeper activate --deactivate --confirm-code -

Example:
  calkeeper clearinghouse code deactivate $LICENSE_SERVER_ID`
}

// Run makes the confirmation code.
func (c *codeDeactivateCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	code, err := ask[string](ctx, c.operator, log, wire.DeactivationCode, wire.LicenseServer{LicenseServerID: typed(c.LicenseServerID)})
	if err != nil {
		return err
	}
	return t.print(struct {
		ConfirmCode string `json:"confirmCode"`
	}{code}, func(w io.Writer) { fmt.Fprintf(w, "confirmation code:\t%s\n", grouped(code)) })
}

type codeCancelCmd struct {
	operator
	Serial uint32 `arg:"" help:"Of the code; see calkeeper clearinghouse code list."`
}

// Help is shown by --help.
func (codeCancelCmd) Help() string {
	return `The CALs that were kept for the code go back to the pool. A license server that used it without network, and tells so later, has a flagged key pack.

Example:
  calkeeper clearinghouse code cancel 17`
}

// Run takes the code back.
func (c *codeCancelCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	code, err := ask[clearinghouse.Code](ctx, c.operator, log, wire.CancelCode, wire.Serial{Serial: c.Serial})
	if err != nil {
		return err
	}
	return t.print(jsonOf(code, nil), func(w io.Writer) { fmt.Fprintf(w, "code %d of %d CALs:\t%s\n", code.Serial, code.Count, code.State) })
}

type codeListCmd struct{ operator }

// Help is shown by --help.
func (codeListCmd) Help() string { return codeCmd{}.Help() }

type codeJSON struct {
	Serial      uint32    `json:"serial"`
	Kind        string    `json:"kind"` // install or import
	FirstGroup  string    `json:"firstGroup"`
	Entitlement string    `json:"entitlement"`
	ProductType uint32    `json:"productType"`
	Count       uint32    `json:"count"`
	Target      uint32    `json:"target"` // the clearinghouse's number of the license server
	TargetName  string    `json:"targetName,omitempty"`
	Source      uint32    `json:"source,omitempty"`
	SourceName  string    `json:"sourceName,omitempty"`
	State       string    `json:"state"`
	Issued      time.Time `json:"issued"`
}

// jsonOf shows a code; names are those of the license servers, as far as they were asked for.
func jsonOf(k clearinghouse.Code, names map[uint32]string) codeJSON {
	kind := "install"
	if k.Import {
		kind = "import"
	}
	return codeJSON{
		k.Serial, kind, k.FirstGroup, k.Entitlement, uint32(k.ProductType), k.Count, k.Target, names[k.Target], k.Source, names[k.Source],
		string(k.State), k.Issued,
	}
}

// Run lists the codes.
func (c *codeListCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	codes, err := ask[[]clearinghouse.Code](ctx, c.operator, log, wire.Codes, struct{}{})
	if err != nil {
		return err
	}
	names, err := c.serverNames(ctx, log)
	if err != nil {
		return err
	}
	list := []codeJSON{}
	for _, k := range codes {
		list = append(list, jsonOf(k, names))
	}
	return t.print(list, func(w io.Writer) {
		fmt.Fprintln(w, "SERIAL\tKIND\tCODE\tENTITLEMENT\tTYPE\tCOUNT\tTARGET\tSOURCE\tSTATE\tISSUED")
		for _, k := range list {
			fmt.Fprintf(w, "%d\t%s\t%s-…\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", k.Serial, k.Kind, k.FirstGroup, k.Entitlement, productType(k.ProductType),
				k.Count, k.TargetName, or(k.SourceName, "-"), k.State, at(k.Issued))
		}
	})
}
