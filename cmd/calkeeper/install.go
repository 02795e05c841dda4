package main

import (
	"context"
	"errors"
	"fmt"

	"calkeeper/internal/cim"
	"calkeeper/internal/keycode"
	"calkeeper/internal/wsman/client"
)

// The arguments that the methods share.
type (
	openArguments struct {
		LicenseNumber       string `required:"" placeholder:"NUMBER" help:"8 digits."`
		AuthorizationNumber string `required:"" placeholder:"NUMBER" help:"15 letters and digits."`
		purchaseArguments
	}
	agreementArguments struct {
		AgreementType   agreementType `required:"" placeholder:"TYPE" help:"select, enterprise, campus, school, spla, other, or 0 to 5."`
		AgreementNumber string        `required:"" placeholder:"NUMBER" help:"7 digits."`
		purchaseArguments
	}
	purchaseArguments struct {
		ProductVersion productVersion `required:"" placeholder:"VERSION" help:"2 to 8, or the year of Windows Server."`
		ProductType    productType    `required:"" placeholder:"TYPE" help:"device or user."`
		Count          uint32         `required:"" placeholder:"N" help:"How many CALs."`
	}
	retailArguments struct {
		Code string `arg:"" help:"The license code: 25 characters. - reads it from standard input, where other users do not see it."`
	}
	codeArguments struct {
		Code string `arg:"" help:"The license key pack ID that came by phone or web: 35 characters. - reads it from standard input."`
	}
	sourceArguments struct {
		SourceName string `required:"" placeholder:"NAME" help:"FQDN or address of the license server that the CALs come from."`
		SourceID   string `required:"" placeholder:"ID" help:"Its license server ID: 35 characters."`
	}
)

func (a openArguments) values() []client.Value {
	return append([]client.Value{
		client.Text("sLicenseNumber", typed(a.LicenseNumber)), client.Text("sAuthorizationNumber", typed(a.AuthorizationNumber)),
	}, a.purchaseArguments.values()...)
}

func (a agreementArguments) values() []client.Value {
	return append([]client.Value{
		client.Uint32("AgreementType", uint32(a.AgreementType)), client.Text("sAgreementNumber", typed(a.AgreementNumber)),
	}, a.purchaseArguments.values()...)
}

func (a purchaseArguments) values() []client.Value {
	return []client.Value{
		client.Uint32("ProductVersion", uint32(a.ProductVersion)), client.Uint32("ProductType", uint32(a.ProductType)),
		client.Uint32("LicenseCount", a.Count),
	}
}

func (a sourceArguments) values() []client.Value {
	return []client.Value{client.Text("sSourceLSName", a.SourceName), client.Text("sSourceLSProductId", typed(a.SourceID))}
}

// install invokes a method that makes a key pack, and shows it.
func (c *connection) install(ctx context.Context, t *terminal, method string, arguments ...client.Value) error {
	wsman, err := c.dial(ctx, t)
	if err != nil {
		return err
	}
	t.progress("Asking %s; this can take some seconds …", c.Server)
	out, err := invoke(ctx, wsman, keyPackClass, method, nil, arguments...)
	if err != nil {
		return err
	}
	id, ok := out.Uint32("KeyPackId")
	if !ok {
		return fmt.Errorf("%s has succeeded without telling the KeyPackId: see `calkeeper keypack list`", method)
	}
	return showKeyPack(ctx, t, wsman, id)
}

// installCode is install for a method whose first argument is a code; check knows what calkeeper's codes look like.
func (c *connection) installCode(ctx context.Context, t *terminal, method, argument, code string, check func(string) (string, error), more ...client.Value) error {
	code, err := t.code(code)
	if err != nil {
		return err
	}
	err = c.install(ctx, t, method, append([]client.Value{client.Text(argument, code)}, more...)...)
	if r, ok := errors.AsType[refusal](err); ok && r.status == cim.StatusInvalidParameter {
		// The ReturnValue cannot tell which group is mistyped; for codes of calkeeper this can.
		if _, wrong := check(code); wrong != nil {
			r.advice = "The code was mistyped: " + wrong.Error() + "."
			return r
		}
	}
	return err
}

func (c *connection) installRetail(ctx context.Context, t *terminal, method, code string, more ...client.Value) error {
	return c.installCode(ctx, t, method, "sLicenseCode", code, keycode.CheckRetail, more...)
}

func (c *connection) installOffline(ctx context.Context, t *terminal, method, code string, more ...client.Value) error {
	return c.installCode(ctx, t, method, "sLicenseKeyPackId", code, keycode.Check, more...)
}

type keypackInstallCmd struct {
	Open      installOpenCmd      `cmd:"" help:"Of an open license."`
	Agreement installAgreementCmd `cmd:"" help:"Of a volume agreement."`
	Retail    installRetailCmd    `cmd:"" help:"Of a retail license code."`
	Code      installCodeCmd      `cmd:"" help:"Of a code that came by phone or web."`
}

// Help is shown by --help.
func (keypackInstallCmd) Help() string {
	return `Example:
  calkeeper keypack install open --license-number 12345678 --authorization-number 12345ABCDE67890 \
    --product-version 2022 --product-type user --count 50`
}

type installOpenCmd struct {
	connection
	openArguments
}

// Help is shown by --help.
func (installOpenCmd) Help() string { return keypackInstallCmd{}.Help() }

// Run installs.
func (c *installOpenCmd) Run(ctx context.Context, t *terminal) error {
	return c.install(ctx, t, "InstallOpenLicenseKeyPack", c.openArguments.values()...)
}

type installAgreementCmd struct {
	connection
	agreementArguments
}

// Help is shown by --help.
func (installAgreementCmd) Help() string {
	return `Example:
  calkeeper keypack install agreement --agreement-type enterprise --agreement-number 1234567 \
    --product-version 2025 --product-type device --count 100`
}

// Run installs.
func (c *installAgreementCmd) Run(ctx context.Context, t *terminal) error {
	return c.install(ctx, t, "InstallAgreementLicenseKeyPack", c.agreementArguments.values()...)
}

type installRetailCmd struct {
	connection
	retailArguments
}

// Help is shown by --help.
func (installRetailCmd) Help() string {
	return `Example:
  calkeeper keypack install retail - < code.txt`
}

// Run installs.
func (c *installRetailCmd) Run(ctx context.Context, t *terminal) error {
	return c.installRetail(ctx, t, "InstallRetailPurchaseLicenseKeyPack", c.Code)
}

type installCodeCmd struct {
	connection
	codeArguments
}

// Help is shown by --help.
func (installCodeCmd) Help() string {
	return `Example:
  calkeeper keypack install code - < code.txt`
}

// Run installs.
func (c *installCodeCmd) Run(ctx context.Context, t *terminal) error {
	return c.installOffline(ctx, t, "InstallLicenseKeyPack", c.Code)
}
