package clearinghouse

import (
	"crypto/ed25519"
	"errors"

	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// useCode settles an offline code for a license server that is in contact, or that lost its database.
func (d *decision) useCode() (Grant, error) {
	code, err := d.openCode(d.server.LicenseServerID)
	if err != nil {
		return Grant{}, err
	}
	if d.op.Kind == Reinstall {
		return d.reinstallCode(code)
	}
	if code.Import {
		if err := d.checkSourceName(code); err != nil {
			return Grant{}, err
		}
	}
	if code.State == CodeRedeemed {
		return Grant{}, licensing.Faultf(licensing.AlreadyExists, "the code was used already")
	}
	return d.settleCode(code)
}

// redeem settles a code that the license server has used while the clearinghouse was out of reach. If it was redeemed
// before, the license server has lost its database and used the code again: that is right as far as the ledger has the CALs
// on its account and not yet installed there.
func (d *decision) redeem() (Grant, error) {
	code, err := d.openCode(d.op.TargetID)
	if err != nil {
		return Grant{}, err
	}
	if code.State != CodeRedeemed {
		return d.settleCode(code)
	}
	// The license server asked to install it, got no answer, and then used it on its own.
	if d.op.Grant != "" && code.RedeemKey == d.op.Grant {
		return d.settledBefore()
	}
	return d.reinstallCode(code)
}

// settledBefore returns the grant of the operation that op.Grant names, for this one.
func (d *decision) settledBefore() (Grant, error) {
	settled, err := d.Settled(d.server.ID, d.op.Grant)
	if err != nil {
		return Grant{}, err
	}
	var grant Grant
	if err := settled.Response.Verify(d.service.keys.Signing.Public().(ed25519.PublicKey), PurposeGrant, &grant); err != nil {
		return Grant{}, err
	}
	grant.Key, grant.Kind = d.op.Key, d.op.Kind
	_, err = d.acknowledge() // its key pack is installed
	return grant, err
}

// checkSourceName refuses a name that contradicts the source of an import code.
func (d *decision) checkSourceName(code Code) error {
	name, err := licensing.ParseServerName(d.op.SourceName)
	if err != nil {
		return err
	}
	source, err := d.Server(code.Source)
	if err != nil {
		return err
	}
	return source.mustAnswerTo(name)
}

// openCode opens the operation's code as one made for this license server when it had the ID target.
func (d *decision) openCode(target string) (Code, error) {
	secret, err := d.service.Secret(d.server.ProductID)
	if err != nil {
		return Code{}, err
	}
	isImport := d.op.SourceID != ""
	kind, binding := keycode.Install, keycode.Binding{Target: target}
	if isImport {
		kind, binding.Source = keycode.Import, d.op.SourceID
	}
	opened, err := keycode.Open(d.op.Code, kind, secret, binding)
	if d.op.Kind == Reinstall && errors.Is(err, keycode.ErrMAC) {
		isImport = true
		opened, err = d.openImportCode(secret)
	}
	if err != nil {
		return Code{}, licensing.Faultf(licensing.Invalid, "the license key pack ID: %v", err)
	}
	code, err := d.Code(opened.Serial)
	if err != nil {
		return Code{}, err
	}
	same, err := d.issuedAs(code, opened)
	if err != nil {
		return Code{}, err
	}
	if !same || code.Target != d.server.ID || code.Import != isImport {
		return Code{}, licensing.Faultf(licensing.Invalid, "the license key pack ID is not what was given out under its serial %d", code.Serial)
	}
	if code.State == CodeCanceled {
		return Code{}, licensing.Faultf(licensing.NotFound, "the code was canceled by the clearinghouse's operator")
	}
	return code, nil
}

// issuedAs tells whether a code says what its record does. The owner of a license server could make one that says more.
func (d *decision) issuedAs(code Code, opened keycode.Code) (bool, error) {
	e, err := d.Entitlement(code.Entitlement)
	if err != nil {
		return false, err
	}
	return opened.Quantity == code.Count && opened.ProductType == uint8(code.ProductType) &&
		opened.ProductVersion == uint8(e.ProductVersion) && opened.Expires().Equal(e.Expires), nil
}

// openImportCode opens an import code of which the source was not told, as when a key pack is reinstalled: it is one of the
// organization's license servers.
func (d *decision) openImportCode(secret keycode.Secret) (keycode.Code, error) {
	servers, err := d.Servers(d.server.Organization)
	if err != nil {
		return keycode.Code{}, err
	}
	for _, source := range servers {
		if source.LicenseServerID == "" || source.ID == d.server.ID {
			continue
		}
		code, err := keycode.Open(d.op.Code, keycode.Import, secret, keycode.Binding{Target: d.server.LicenseServerID, Source: source.LicenseServerID})
		if !errors.Is(err, keycode.ErrMAC) {
			return code, err
		}
	}
	return keycode.Code{}, keycode.ErrMAC
}

// settleCode moves a code's CALs to the target: those reserved for the code first, the rest from the source.
func (d *decision) settleCode(code Code) (Grant, error) {
	e, err := d.Entitlement(code.Entitlement)
	if err != nil {
		return Grant{}, err
	}
	reserved, err := d.Balance(Account{e.ID, code.ProductType, CodeHolder(code.Serial)})
	if err != nil {
		return Grant{}, err
	}
	rest := int64(code.Count) - reserved
	postings := []Posting{{Account{e.ID, code.ProductType, d.own()}, int64(code.Count)}}
	if reserved > 0 {
		postings = append(postings, Posting{Account{e.ID, code.ProductType, CodeHolder(code.Serial)}, -reserved})
	}
	if rest > 0 {
		postings = append(postings, Posting{Account{e.ID, code.ProductType, ServerHolder(code.Source)}, -rest})
	}
	if err := d.post(postings...); err != nil {
		return Grant{}, err
	}
	code.State, code.RedeemKey = CodeRedeemed, d.op.Key
	if err := d.UpdateCode(code); err != nil {
		return Grant{}, err
	}
	grant := d.grant(e, code.ProductType, code.Count)
	grant.Serial = code.Serial
	if !code.Import {
		return grant, nil
	}
	source, err := d.Server(code.Source)
	if err != nil {
		return Grant{}, err
	}
	grant.SourceID = source.LicenseServerID
	if rest == 0 {
		return grant, nil // the source gave all of them back meanwhile: it needs no notice
	}
	return grant, d.release(source, e, code.ProductType, uint32(rest))
}

func (d *decision) reinstallCode(code Code) (Grant, error) {
	if code.State != CodeRedeemed {
		return Grant{}, licensing.Faultf(licensing.NotFound, "the code was never used: install it")
	}
	e, err := d.Entitlement(code.Entitlement)
	if err != nil {
		return Grant{}, err
	}
	held, err := d.Balance(Account{e.ID, code.ProductType, d.own()})
	if err != nil {
		return Grant{}, err
	}
	missing, err := d.missing(e, code.ProductType, held)
	if err != nil {
		return Grant{}, err
	}
	if d.op.Kind == Redeem && missing < int64(code.Count) {
		return Grant{}, licensing.Faultf(licensing.AlreadyExists, "the code was used already, and the ledger has only %d of its %d CALs here", missing, code.Count)
	}
	grant := d.grant(e, code.ProductType, uint32(min(missing, int64(code.Count))))
	grant.Serial = code.Serial
	return grant, nil
}
