package clearinghouse

import (
	"context"

	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// CodeRequest asks for an offline code that a license server without network can use.
type CodeRequest struct {
	Entitlement string `json:"entitlement"`
	ProductType uint32 `json:"productType"`
	Count       uint32 `json:"count"`
	Target      string `json:"target"`           // license server ID
	Source      string `json:"source,omitempty"` // license server ID: the CALs come from there, else from the pool
}

// IssuedCode is an offline code that was made.
type IssuedCode struct {
	Serial uint32 `json:"serial"`
	Code   string `json:"code"`
}

// IssueCode makes an offline code. The CALs of an install code leave the pool at once and are kept for it; those of an
// import code stay on the source's account until the code is seen again, but can no longer go elsewhere.
func (s *Service) IssueCode(ctx context.Context, r CodeRequest) (IssuedCode, error) {
	t, err := licensing.ParseProductType(r.ProductType)
	if err != nil {
		return IssuedCode{}, err
	}
	if r.Count == 0 || r.Count > keycode.MaxQuantity {
		return IssuedCode{}, licensing.Faultf(licensing.Invalid, "the count is %d; a code carries 1 to %d CALs", r.Count, keycode.MaxQuantity)
	}
	var issued IssuedCode
	err = s.store.Update(ctx, func(tx Tx) error {
		target, err := serverByID(tx, r.Target)
		if err != nil {
			return err
		}
		d := decision{Tx: tx, service: s, server: target}
		e, err := tx.Entitlement(r.Entitlement)
		if err != nil {
			return err
		}
		if e.Organization != target.Organization {
			return licensing.Faultf(licensing.Denied, "the entitlement belongs to another organization than the license server")
		}
		code := Code{Import: r.Source != "", Entitlement: e.ID, ProductType: t, Count: r.Count, Target: target.ID, State: CodeIssued, Issued: s.now()}
		if code.Serial, err = tx.NextSerial(); err != nil {
			return err
		}
		kind, binding := keycode.Install, keycode.Binding{Target: target.LicenseServerID}
		if code.Import {
			kind = keycode.Import
			if binding.Source, err = d.promise(&code, r.Source); err != nil {
				return err
			}
		} else if err := tx.Post(Entry{At: s.now(), Kind: "code", Actor: "operator", Postings: Move(e.ID, t, Pool, CodeHolder(code.Serial), int64(r.Count))}); err != nil {
			return err
		}
		if issued.Code, err = s.seal(kind, code, e, target, binding); err != nil {
			return err
		}
		issued.Serial, code.FirstGroup = code.Serial, issued.Code[:5]
		return tx.InsertCode(code)
	})
	return issued, err
}

// promise checks that the source has the CALs of an import code and returns its ID.
func (d *decision) promise(code *Code, sourceID string) (string, error) {
	source, err := serverByID(d, sourceID)
	if err != nil {
		return "", err
	}
	if source.ID == code.Target || source.Organization != d.server.Organization {
		return "", licensing.Faultf(licensing.Invalid, "source and target must be two license servers of one organization")
	}
	free, err := d.free(source.ID, code.Entitlement, code.ProductType)
	if err != nil {
		return "", err
	}
	if int64(code.Count) > free {
		return "", licensing.Faultf(licensing.OutOfRange, "%d CALs were asked for, the license server %s holds %d", code.Count, source.Name, free)
	}
	code.Source = source.ID
	return source.LicenseServerID, nil
}

func (s *Service) seal(kind keycode.Kind, code Code, e Entitlement, target Server, b keycode.Binding) (string, error) {
	secret, err := s.Secret(target.ProductID)
	if err != nil {
		return "", err
	}
	month, err := keycode.ExpiryMonth(e.Expires)
	if err != nil {
		return "", err
	}
	return keycode.Code{
		Kind: kind, ProductVersion: uint8(e.ProductVersion), ProductType: uint8(code.ProductType), Quantity: code.Count,
		Serial: code.Serial, ExpiryMonth: month,
	}.Seal(secret, b)
}

// CancelCode takes back a code that was not used, as one whose license server has a new ID. What was kept for it goes to the
// pool, and what was promised of a source is free again. Faults: NotFound, AlreadyExists if it was used or canceled.
//
// A license server that used it without network, and tells so later, has a flagged key pack then.
func (s *Service) CancelCode(ctx context.Context, serial uint32) (Code, error) {
	var code Code
	err := s.store.Update(ctx, func(tx Tx) error {
		var err error
		if code, err = tx.Code(serial); err != nil {
			return err
		}
		if code.State != CodeIssued {
			return licensing.Faultf(licensing.AlreadyExists, "code %d is %s", serial, code.State)
		}
		code.State = CodeCanceled
		if err := tx.UpdateCode(code); err != nil {
			return err
		}
		kept, err := tx.Balance(Account{code.Entitlement, code.ProductType, CodeHolder(serial)})
		if err != nil || kept == 0 {
			return err
		}
		return tx.Post(Entry{At: s.now(), Kind: "cancel", Actor: "operator", Postings: Move(code.Entitlement, code.ProductType, CodeHolder(serial), Pool, kept)})
	})
	return code, err
}
