package inventory

import (
	"context"
	"fmt"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// Purchase is what open and agreement programs ask for.
type Purchase struct {
	ProductVersion uint32
	ProductType    uint32
	Count          uint32
}

// Source names the license server that an import comes from.
type Source struct {
	Name string // FQDN or IP address
	ID   string // license server ID, 35 characters
}

// Open installs CALs of an Open License. Faults: see Perform of the clearinghouse; Unavailable if it cannot be reached.
// All methods that install return the ID of the new key pack.
func (s *Service) Open(ctx context.Context, actor string, kind clearinghouse.OperationKind, licenseNumber, authorizationNumber string, p Purchase, source *Source) (uint32, error) {
	c, err := licensing.OpenCredentials(licenseNumber, authorizationNumber)
	if err != nil {
		return 0, err
	}
	return s.buy(ctx, actor, kind, c, p, source)
}

// Agreement installs CALs of a volume agreement.
func (s *Service) Agreement(ctx context.Context, actor string, kind clearinghouse.OperationKind, agreementType uint32, number string, p Purchase, source *Source) (uint32, error) {
	c, err := licensing.AgreementCredentials(agreementType, number)
	if err != nil {
		return 0, err
	}
	return s.buy(ctx, actor, kind, c, p, source)
}

func (s *Service) buy(ctx context.Context, actor string, kind clearinghouse.OperationKind, c licensing.Credentials, p Purchase, source *Source) (uint32, error) {
	op := clearinghouse.Operation{Kind: kind, Credentials: c, Count: p.Count}
	var err error
	if op.ProductVersion, err = licensing.ParseProductVersion(p.ProductVersion); err != nil {
		return 0, err
	}
	if op.ProductType, err = licensing.ParseProductType(p.ProductType); err != nil {
		return 0, err
	}
	if err := licensing.CheckCount(p.Count); err != nil {
		return 0, err
	}
	return s.install(ctx, actor, op, source)
}

// Retail installs the CALs of a retail license code: 25 characters.
func (s *Service) Retail(ctx context.Context, actor string, kind clearinghouse.OperationKind, code string, source *Source) (uint32, error) {
	canonical, err := keycode.CheckRetail(code)
	if err != nil {
		return 0, licensing.Faultf(licensing.Invalid, "the license code: %v", err)
	}
	c := licensing.Credentials{Program: licensing.Retail, LicenseCode: canonical}
	return s.install(ctx, actor, clearinghouse.Operation{Kind: kind, Credentials: c}, source)
}

func (s *Service) install(ctx context.Context, actor string, op clearinghouse.Operation, source *Source) (uint32, error) {
	if err := source.check(&op); err != nil {
		return 0, err
	}
	server, err := s.server(ctx)
	if err != nil {
		return 0, err
	}
	if op.SourceID == server.LicenseServerID {
		return 0, licensing.Faultf(licensing.Invalid, "the source is this license server itself")
	}
	release, err := s.take(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	return s.perform(ctx, actor, op, 0)
}

// check validates the source of an import and sets it in op; there is none for other kinds.
func (source *Source) check(op *clearinghouse.Operation) error {
	if source == nil {
		return nil
	}
	name, err := licensing.ParseServerName(source.Name)
	if err != nil {
		return err
	}
	id, err := keycode.CheckLicenseServerID(source.ID)
	if err != nil {
		return licensing.Faultf(licensing.Invalid, "the source's license server ID: %v", err)
	}
	op.SourceName, op.SourceID = name, id
	return nil
}

// Convert turns count CALs of a key pack from per device into per user, or back, in a new key pack. Faults: NotFound,
// OutOfRange if the pack has fewer free ones, Unavailable: it needs the clearinghouse.
func (s *Service) Convert(ctx context.Context, actor string, keyPackID, count uint32) (uint32, error) {
	if err := licensing.CheckCount(count); err != nil {
		return 0, err
	}
	if _, err := s.server(ctx); err != nil {
		return 0, err
	}
	release, err := s.take(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	pack, err := s.installed(ctx, keyPackID)
	if err != nil {
		return 0, err
	}
	if pack.Entitlement == "" {
		if err := s.settle(ctx, ""); err != nil {
			return 0, err
		}
		if pack, err = s.installed(ctx, keyPackID); err != nil {
			return 0, err
		}
	}
	if pack.Flag != "" || pack.Entitlement == "" {
		return 0, licensing.Faultf(licensing.NotSupported, "key pack %d cannot be converted: the clearinghouse does not stand behind it: %s", keyPackID, pack.Flag)
	}
	return s.perform(ctx, actor, clearinghouse.Operation{
		Kind: clearinghouse.Convert, Entitlement: pack.Entitlement, ProductVersion: pack.ProductVersion, ProductType: pack.ProductType, Count: count,
	}, keyPackID)
}

// installed returns a key pack that can be converted or removed.
func (s *Service) installed(ctx context.Context, id uint32) (licensing.KeyPack, error) {
	pack, err := s.KeyPack(ctx, id)
	if err == nil {
		err = checkInstalled(pack)
	}
	return pack, err
}

// checkInstalled refuses the packs that a license server has by itself.
func checkInstalled(pack licensing.KeyPack) error {
	switch {
	case pack.ID == licensing.BuiltInKeyPackID:
		return licensing.Faultf(licensing.NotSupported, "key pack %d is built in: it can be neither converted nor removed", pack.ID)
	case pack.OnDemand():
		return licensing.Faultf(licensing.NotSupported, "key pack %d only counts temporary or over-used CALs: it can be neither converted nor removed", pack.ID)
	}
	return nil
}

func tooFew(pack licensing.KeyPack, count uint32) error {
	msg := fmt.Sprintf("%d CALs were asked for, key pack %d has %d free ones", count, pack.ID, pack.Available())
	if pack.Issued > 0 {
		msg += fmt.Sprintf("; %d are issued, and stay so until they expire or are released or revoked", pack.Issued)
	}
	return &licensing.Fault{Kind: licensing.OutOfRange, Msg: msg}
}
