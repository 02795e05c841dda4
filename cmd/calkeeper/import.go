package main

import "context"

type keypackImportCmd struct {
	Open      importOpenCmd      `cmd:"" help:"Of an open license."`
	Agreement importAgreementCmd `cmd:"" help:"Of a volume agreement."`
	Retail    importRetailCmd    `cmd:"" help:"Of a retail license code."`
	Code      importCodeCmd      `cmd:"" help:"With a code that came by phone or web."`
}

// Help is shown by --help.
func (keypackImportCmd) Help() string {
	return `Example:
  calkeeper keypack import open --license-number 12345678 --authorization-number 12345ABCDE67890 \
    --product-version 2022 --product-type user --count 40 --source-name old.example.org --source-id $SOURCE_ID`
}

type importOpenCmd struct {
	connection
	openArguments
	sourceArguments
}

// Help is shown by --help.
func (importOpenCmd) Help() string { return keypackImportCmd{}.Help() }

// Run imports.
func (c *importOpenCmd) Run(ctx context.Context, t *terminal) error {
	return c.install(ctx, t, "ImportOpenPurchaseLicenseKeyPack", append(c.openArguments.values(), c.sourceArguments.values()...)...)
}

type importAgreementCmd struct {
	connection
	agreementArguments
	sourceArguments
}

// Help is shown by --help.
func (importAgreementCmd) Help() string {
	return `Example:
  calkeeper keypack import agreement --agreement-type select --agreement-number 1234567 \
    --product-version 2025 --product-type device --count 40 --source-name old.example.org --source-id $SOURCE_ID`
}

// Run imports.
func (c *importAgreementCmd) Run(ctx context.Context, t *terminal) error {
	return c.install(ctx, t, "ImportAgreementLicenseKeyPack", append(c.agreementArguments.values(), c.sourceArguments.values()...)...)
}

type importRetailCmd struct {
	connection
	retailArguments
	sourceArguments
}

// Help is shown by --help.
func (importRetailCmd) Help() string {
	return `Example:
  calkeeper keypack import retail - --source-name old.example.org --source-id $SOURCE_ID < code.txt`
}

// Run imports.
func (c *importRetailCmd) Run(ctx context.Context, t *terminal) error {
	return c.installRetail(ctx, t, "ImportRetailPurchaseLicenseKeyPack", c.Code, c.sourceArguments.values()...)
}

type importCodeCmd struct {
	connection
	codeArguments
	sourceArguments
}

// Help is shown by --help.
func (importCodeCmd) Help() string {
	return `Example:
  calkeeper keypack import code - --source-name old.example.org --source-id $SOURCE_ID < code.txt`
}

// Run imports.
func (c *importCodeCmd) Run(ctx context.Context, t *terminal) error {
	return c.installOffline(ctx, t, "ImportLicenseKeyPackOffline", c.Code, c.sourceArguments.values()...)
}
