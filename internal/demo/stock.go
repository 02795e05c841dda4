package demo

import (
	"context"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
	"calkeeper/internal/wsman/client"
)

// stock is what was sold: what the demo imports itself, and what it leaves for whoever tries it.
type stock struct {
	open       purchase                 // imported by the demo
	importCode clearinghouse.IssuedCode // imported by the demo

	unusedOpen, unusedAgreement purchase
	unusedRetail, heldRetail    clearinghouse.Sale
	unusedInstallCode           clearinghouse.IssuedCode
	unusedImportCode            clearinghouse.IssuedCode
}

// What each purchase of the demo is: 150 sold, 100 installed on the source.
const (
	soldCount = 150
	heldCount = 100
)

// stock sells the sample entitlements and installs the source's part on the source.
func (d *demo) stock(ctx context.Context) (*stock, error) {
	s := &stock{}
	open := licensing.Credentials{Program: licensing.Open}
	agreement := licensing.Credentials{Program: licensing.Agreement, AgreementType: licensing.Enterprise}
	var err error
	if s.open, err = d.sellAndInstall(ctx, open, licensing.WindowsServer2022, licensing.PerUser); err != nil {
		return s, err
	}
	if s.unusedOpen, err = d.sellAndInstall(ctx, open, licensing.WindowsServer2019, licensing.PerUser); err != nil {
		return s, err
	}
	if s.unusedAgreement, err = d.sellAndInstall(ctx, agreement, licensing.WindowsServer2025, licensing.PerDevice); err != nil {
		return s, err
	}
	if s.unusedRetail, err = d.sell(ctx, licensing.Credentials{Program: licensing.Retail}, licensing.WindowsServer2022, licensing.PerDevice, 5); err != nil {
		return s, err
	}
	if s.heldRetail, err = d.sell(ctx, licensing.Credentials{Program: licensing.Retail}, licensing.WindowsServer2022, licensing.PerUser, 20); err != nil {
		return s, err
	}
	if _, err := d.source.invoke(ctx, "Win32_TSLicenseKeyPack", "InstallRetailPurchaseLicenseKeyPack", client.Text("sLicenseCode", s.heldRetail.Credentials.LicenseCode)); err != nil {
		return s, err
	}
	return s, d.codes(ctx, s, agreement)
}

// codes makes the 35-character codes that a license server without network would get by phone.
func (d *demo) codes(ctx context.Context, s *stock, c licensing.Credentials) error {
	sold, err := d.sellAndInstall(ctx, c, licensing.WindowsServer2016, licensing.PerDevice)
	if err != nil {
		return err
	}
	request := clearinghouse.CodeRequest{Entitlement: sold.Entitlement, Target: d.target.licenseServerID}
	request.Count = 30
	if s.unusedInstallCode, err = d.clearinghouse.Service.IssueCode(ctx, request); err != nil {
		return err
	}
	request.Source = d.source.licenseServerID
	request.Count = 60
	if s.importCode, err = d.clearinghouse.Service.IssueCode(ctx, request); err != nil {
		return err
	}
	other, err := d.sellAndInstall(ctx, c, licensing.WindowsServer2019, licensing.PerDevice)
	if err != nil {
		return err
	}
	request.Entitlement, request.Count = other.Entitlement, other.held
	s.unusedImportCode, err = d.clearinghouse.Service.IssueCode(ctx, request)
	return err
}

func (d *demo) sell(ctx context.Context, c licensing.Credentials, v licensing.ProductVersion, t licensing.ProductType, count uint32) (clearinghouse.Sale, error) {
	return d.clearinghouse.Service.Sell(ctx, clearinghouse.SellRequest{
		Credentials: c, ProductVersion: uint32(v), ProductType: uint32(t), Count: count,
	})
}

func (d *demo) sellAndInstall(ctx context.Context, c licensing.Credentials, v licensing.ProductVersion, t licensing.ProductType) (purchase, error) {
	sale, err := d.sell(ctx, c, v, t, soldCount)
	if err != nil {
		return purchase{}, err
	}
	p := purchase{sale, heldCount}
	if c.Program == licensing.Open {
		_, err = d.source.invoke(ctx, "Win32_TSLicenseKeyPack", "InstallOpenLicenseKeyPack", p.openArguments(heldCount)...)
	} else {
		_, err = d.source.invoke(ctx, "Win32_TSLicenseKeyPack", "InstallAgreementLicenseKeyPack",
			client.Uint32("AgreementType", uint32(sale.Credentials.AgreementType)), client.Text("sAgreementNumber", sale.Credentials.AgreementNumber),
			client.Uint32("ProductVersion", sale.ProductVersion), client.Uint32("ProductType", sale.ProductType), client.Uint32("LicenseCount", heldCount))
	}
	return p, err
}

func (p *purchase) openArguments(count uint32) []client.Value {
	return []client.Value{
		client.Text("sLicenseNumber", p.Credentials.LicenseNumber),
		client.Text("sAuthorizationNumber", p.Credentials.AuthorizationNumber),
		client.Uint32("ProductVersion", p.ProductVersion),
		client.Uint32("ProductType", p.ProductType),
		client.Uint32("LicenseCount", count),
	}
}

// sourceArguments name the source as the import methods want it.
func (d *demo) sourceArguments() []client.Value {
	return []client.Value{
		client.Text("sSourceLSName", d.source.name),
		client.Text("sSourceLSProductId", d.source.licenseServerID),
	}
}
