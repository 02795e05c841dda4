package tlswmiprov

import (
	"context"
	"iter"

	"calkeeper/internal/cim"
	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/inventory"
	"calkeeper/internal/licensing"
)

// KeyPack is Win32_TSLicenseKeyPack.
type KeyPack struct {
	KeyPackID         uint32           `cim:"KeyPackId,key"`
	Description       string           `cim:"Description"`
	KeyPackType       keyPackType      `cim:"KeyPackType"`
	ProductType       productType      `cim:"ProductType"`
	ProductVersion    productVersion   `cim:"ProductVersion"`
	ProductVersionID  productVersionID `cim:"ProductVersionID"`
	TotalLicenses     uint32           `cim:"TotalLicenses"`
	IssuedLicenses    uint32           `cim:"IssuedLicenses"`
	AvailableLicenses uint32           `cim:"AvailableLicenses"`
	ExpirationDate    cim.Datetime     `cim:"ExpirationDate"`
	AccessRights      accessRights     `cim:"AccessRights"`
	TypeAndModel      string           `cim:"TypeAndModel"`
}

// CIMClassName returns the name of the class.
func (KeyPack) CIMClassName() string { return "Win32_TSLicenseKeyPack" }

func keyPackOf(k licensing.KeyPack) KeyPack {
	return KeyPack{
		KeyPackID:         k.ID,
		Description:       k.Description(),
		KeyPackType:       keyPackType(k.Type),
		ProductType:       productType(k.ProductType),
		ProductVersion:    productVersion(k.ProductVersion.String()),
		ProductVersionID:  productVersionID(k.ProductVersion),
		TotalLicenses:     k.Total,
		IssuedLicenses:    k.Issued,
		AvailableLicenses: k.Available(),
		ExpirationDate:    cim.NewDatetime(k.Expires),
		AccessRights:      accessRights(k.AccessRights()),
		TypeAndModel:      k.TypeAndModel(),
	}
}

// The arguments that several methods share, in the order in which they are declared.
type (
	openNumbers struct {
		LicenseNumber       string `cim:"sLicenseNumber"`
		AuthorizationNumber string `cim:"sAuthorizationNumber"`
	}
	agreementNumbers struct {
		AgreementType   agreementType `cim:"AgreementType"`
		AgreementNumber string        `cim:"sAgreementNumber"`
	}
	purchase struct {
		ProductVersion productVersionArgument `cim:"ProductVersion"`
		ProductType    productTypeArgument    `cim:"ProductType"`
		LicenseCount   uint32                 `cim:"LicenseCount"`
	}
	licenseCode struct {
		LicenseCode string `cim:"sLicenseCode"`
	}
	licenseKeyPackID struct {
		LicenseKeyPackID string `cim:"sLicenseKeyPackId"`
	}
	source struct {
		SourceLSName      string `cim:"sSourceLSName"`
		SourceLSProductID string `cim:"sSourceLSProductId"`
	}
	keyPackOut struct {
		KeyPackID uint32 `cim:"KeyPackId"`
	}
)

// The inputs of the methods.
type (
	openIn struct {
		openNumbers
		purchase
	}
	openImportIn struct {
		openNumbers
		purchase
		source
	}
	agreementIn struct {
		agreementNumbers
		purchase
	}
	agreementImportIn struct {
		agreementNumbers
		purchase
		source
	}
	retailImportIn struct {
		licenseCode
		source
	}
	offlineImportIn struct {
		licenseKeyPackID
		source
	}
	convertIn struct {
		Count uint32 `cim:"Count"`
	}
	convertOut struct {
		KeyPackID uint32 `cim:"KeypackID"`
	}
	removeIn struct {
		KeyPackID    uint32 `cim:"KeyPackId"`
		LicenseCount uint32 `cim:"LicenseCount"`
	}
	uninstallIn struct {
		KeyPackID uint32 `cim:"KeyPackId"`
	}
)

func (a purchase) asked() inventory.Purchase {
	return inventory.Purchase{ProductVersion: uint32(a.ProductVersion), ProductType: uint32(a.ProductType), Count: a.LicenseCount}
}

func (a source) from() *inventory.Source {
	return &inventory.Source{Name: a.SourceLSName, ID: a.SourceLSProductID}
}

func (p *Provider) keyPack() (*cim.Class, error) {
	packs := p.Inventory
	return define[KeyPack](
		cim.Provided(providerName),
		cim.ReturnValues(p.returnValue),
		cim.Gets(p.getKeyPack),
		cim.Enumerates(p.keyPacks),
		cim.InstanceMethod("ConvertLicenses", func(ctx context.Context, self KeyPack, in convertIn) (convertOut, error) {
			id, err := packs.Convert(ctx, actor(ctx), self.KeyPackID, in.Count)
			return convertOut{id}, err
		}),
		installs("InstallAgreementLicenseKeyPack", func(ctx context.Context, actor string, in agreementIn) (uint32, error) {
			return packs.Agreement(ctx, actor, clearinghouse.Install, uint32(in.AgreementType), in.AgreementNumber, in.asked(), nil)
		}),
		installs("InstallLicenseKeyPack", func(ctx context.Context, actor string, in licenseKeyPackID) (uint32, error) {
			return packs.Offline(ctx, actor, clearinghouse.Install, in.LicenseKeyPackID, nil)
		}),
		installs("InstallOpenLicenseKeyPack", func(ctx context.Context, actor string, in openIn) (uint32, error) {
			return packs.Open(ctx, actor, clearinghouse.Install, in.LicenseNumber, in.AuthorizationNumber, in.asked(), nil)
		}),
		installs("InstallRetailPurchaseLicenseKeyPack", func(ctx context.Context, actor string, in licenseCode) (uint32, error) {
			return packs.Retail(ctx, actor, clearinghouse.Install, in.LicenseCode, nil)
		}),
		installs("ImportAgreementLicenseKeyPack", func(ctx context.Context, actor string, in agreementImportIn) (uint32, error) {
			return packs.Agreement(ctx, actor, clearinghouse.Import, uint32(in.AgreementType), in.AgreementNumber, in.asked(), in.from())
		}),
		installs("ImportLicenseKeyPackOffline", func(ctx context.Context, actor string, in offlineImportIn) (uint32, error) {
			return packs.Offline(ctx, actor, clearinghouse.Import, in.LicenseKeyPackID, in.from())
		}),
		installs("ImportOpenPurchaseLicenseKeyPack", func(ctx context.Context, actor string, in openImportIn) (uint32, error) {
			return packs.Open(ctx, actor, clearinghouse.Import, in.LicenseNumber, in.AuthorizationNumber, in.asked(), in.from())
		}),
		installs("ImportRetailPurchaseLicenseKeyPack", func(ctx context.Context, actor string, in retailImportIn) (uint32, error) {
			return packs.Retail(ctx, actor, clearinghouse.Import, in.LicenseCode, in.from())
		}),
		installs("ReinstallAgreementLicenseKeyPack", func(ctx context.Context, actor string, in agreementIn) (uint32, error) {
			return packs.Agreement(ctx, actor, clearinghouse.Reinstall, uint32(in.AgreementType), in.AgreementNumber, in.asked(), nil)
		}),
		installs("ReinstallLicenseKeyPackOffline", func(ctx context.Context, actor string, in licenseKeyPackID) (uint32, error) {
			return packs.Offline(ctx, actor, clearinghouse.Reinstall, in.LicenseKeyPackID, nil)
		}),
		installs("ReinstallOpenPurchaseLicenseKeyPack", func(ctx context.Context, actor string, in openIn) (uint32, error) {
			return packs.Open(ctx, actor, clearinghouse.Reinstall, in.LicenseNumber, in.AuthorizationNumber, in.asked(), nil)
		}),
		installs("ReinstallRetailPurchaseLicenseKeyPack", func(ctx context.Context, actor string, in licenseCode) (uint32, error) {
			return packs.Retail(ctx, actor, clearinghouse.Reinstall, in.LicenseCode, nil)
		}),
		removes("RemoveLicensesWithIdCount", func(ctx context.Context, actor string, in removeIn) error {
			return packs.Remove(ctx, actor, in.KeyPackID, in.LicenseCount)
		}),
		removes("UninstallLicenseKeyPack", func(ctx context.Context, actor string, in purchase) error {
			return packs.RemoveKind(ctx, actor, in.asked())
		}),
		removes("UninstallLicenseKeyPackWithId", func(ctx context.Context, actor string, in uninstallIn) error {
			return packs.RemoveAll(ctx, actor, in.KeyPackID)
		}),
	)
}

// installs is a static method that returns the ID of a new key pack.
func installs[In any](name string, f func(ctx context.Context, actor string, in In) (uint32, error)) cim.Option {
	return cim.StaticMethod(name, func(ctx context.Context, in In) (keyPackOut, error) {
		id, err := f(ctx, actor(ctx), in)
		return keyPackOut{id}, err
	})
}

// removes is a static method that returns nothing.
func removes[In any](name string, f func(ctx context.Context, actor string, in In) error) cim.Option {
	return cim.StaticMethod(name, func(ctx context.Context, in In) (none, error) {
		return none{}, f(ctx, actor(ctx), in)
	})
}

func (p *Provider) getKeyPack(ctx context.Context, key KeyPack) (KeyPack, error) {
	pack, err := p.Inventory.KeyPack(ctx, key.KeyPackID)
	return keyPackOf(pack), notFound(err)
}

func (p *Provider) keyPacks(ctx context.Context) iter.Seq2[KeyPack, error] {
	return func(yield func(KeyPack, error) bool) {
		for pack, err := range p.Inventory.KeyPacks(ctx) {
			if !yield(keyPackOf(pack), listError(err)) {
				return
			}
		}
	}
}
