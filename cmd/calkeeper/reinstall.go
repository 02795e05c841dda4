package main

import "context"

type keypackReinstallCmd struct {
	Open      reinstallOpenCmd      `cmd:"" help:"Of an open license."`
	Agreement reinstallAgreementCmd `cmd:"" help:"Of a volume agreement."`
	Retail    reinstallRetailCmd    `cmd:"" help:"Of a retail license code."`
	Code      reinstallCodeCmd      `cmd:"" help:"Of a code that came by phone or web."`
}

// Help is shown by --help.
func (keypackReinstallCmd) Help() string {
	return `Example:
  calkeeper keypack reinstall open --license-number 12345678 --authorization-number 12345ABCDE67890 \
    --product-version 2022 --product-type user --count 50`
}

type reinstallOpenCmd struct {
	connection
	openArguments
}

// Help is shown by --help.
func (reinstallOpenCmd) Help() string { return keypackReinstallCmd{}.Help() }

// Run reinstalls.
func (c *reinstallOpenCmd) Run(ctx context.Context, t *terminal) error {
	return c.install(ctx, t, "ReinstallOpenPurchaseLicenseKeyPack", c.openArguments.values()...)
}

type reinstallAgreementCmd struct {
	connection
	agreementArguments
}

// Help is shown by --help.
func (reinstallAgreementCmd) Help() string {
	return `Example:
  calkeeper keypack reinstall agreement --agreement-type enterprise --agreement-number 1234567 \
    --product-version 2025 --product-type device --count 100`
}

// Run reinstalls.
func (c *reinstallAgreementCmd) Run(ctx context.Context, t *terminal) error {
	return c.install(ctx, t, "ReinstallAgreementLicenseKeyPack", c.agreementArguments.values()...)
}

type reinstallRetailCmd struct {
	connection
	retailArguments
}

// Help is shown by --help.
func (reinstallRetailCmd) Help() string {
	return `Example:
  calkeeper keypack reinstall retail - < code.txt`
}

// Run reinstalls.
func (c *reinstallRetailCmd) Run(ctx context.Context, t *terminal) error {
	return c.installRetail(ctx, t, "ReinstallRetailPurchaseLicenseKeyPack", c.Code)
}

type reinstallCodeCmd struct {
	connection
	codeArguments
}

// Help is shown by --help.
func (reinstallCodeCmd) Help() string {
	return `Example:
  calkeeper keypack reinstall code - < code.txt`
}

// Run reinstalls.
func (c *reinstallCodeCmd) Run(ctx context.Context, t *terminal) error {
	return c.installOffline(ctx, t, "ReinstallLicenseKeyPackOffline", c.Code)
}
