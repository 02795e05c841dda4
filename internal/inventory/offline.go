package inventory

import (
	"context"
	"encoding/json"
	"errors"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// Offline installs the CALs of an offline code: 35 characters that the clearinghouse's operator gave by phone or web. It asks
// the clearinghouse if that can be reached; else the code itself is the proof, and the clearinghouse learns of it later.
func (s *Service) Offline(ctx context.Context, actor string, kind clearinghouse.OperationKind, code string, source *Source) (uint32, error) {
	canonical, err := keycode.Check(code)
	if err != nil {
		return 0, licensing.Faultf(licensing.Invalid, "the license key pack ID: %v", err)
	}
	op := clearinghouse.Operation{Kind: kind, Code: canonical}
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
	opened, err := s.openCode(server, op)
	// Reinstalling names no source: if it was an import code, only the clearinghouse can tell.
	proof := err == nil
	if !proof && !(kind == clearinghouse.Reinstall && errors.Is(err, keycode.ErrMAC)) {
		return 0, err
	}
	release, err := s.take(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	if proof {
		if err := s.serialUnused(ctx, opened.Serial); err != nil {
			return 0, err
		}
	}
	id, err := s.perform(ctx, actor, op, 0)
	if err == nil || !proof || licensing.KindOf(err) != licensing.Unavailable {
		return id, err
	}
	return s.installUnsettled(context.WithoutCancel(ctx), actor, server.LicenseServerID, op, opened)
}

// openCode verifies an offline code. Without a clearinghouse in the configuration nobody can tell: Unavailable.
func (s *Service) openCode(server licensing.Server, op clearinghouse.Operation) (keycode.Code, error) {
	kind := keycode.Install
	if op.SourceID != "" {
		kind = keycode.Import
	}
	code, err := keycode.Open(op.Code, kind, s.clearinghouse.Secret(), keycode.Binding{Target: server.LicenseServerID, Source: op.SourceID})
	if errors.Is(err, keycode.ErrNoSecret) {
		return code, licensing.Faultf(licensing.Unavailable,
			"the license key pack ID cannot be verified: this license server has no clearinghouse configured; give its authority document")
	}
	if err != nil {
		return code, &licensing.Fault{Kind: licensing.Invalid, Msg: "the license key pack ID: " + err.Error(), Err: err}
	}
	if _, err := licensing.ParseProductVersion(uint32(code.ProductVersion)); err != nil {
		return code, err
	}
	if _, err := licensing.ParseProductType(uint32(code.ProductType)); err != nil {
		return code, err
	}
	if expires := code.Expires(); !expires.IsZero() && !expires.After(s.Now()) {
		return code, licensing.Faultf(licensing.NotFound, "the CALs of this code have expired on %s", expires.Format("2006-01-02"))
	}
	return code, licensing.CheckCount(code.Quantity)
}

func (s *Service) serialUnused(ctx context.Context, serial uint32) error {
	return s.store.View(ctx, func(r store.Reader) error {
		used, err := r.SerialUsed(serial)
		if err == nil && used {
			err = licensing.Faultf(licensing.AlreadyExists, "the code was used on this license server already")
		}
		return err
	})
}

// installUnsettled installs the key pack of a code while the clearinghouse is out of reach. target is the license server ID that
// the code is bound to. An attempt to ask the clearinghouse that got no answer becomes a report of what was done instead.
func (s *Service) installUnsettled(ctx context.Context, actor, target string, op clearinghouse.Operation, code keycode.Code) (uint32, error) {
	attempt, err := s.findOpen(ctx, func(open clearinghouse.Operation) bool { return open.Code == op.Code })
	if err != nil {
		return 0, err
	}
	redeem := clearinghouse.Operation{
		Kind: clearinghouse.Redeem, Code: op.Code, TargetID: target, SourceName: op.SourceName, SourceID: op.SourceID,
	}
	version, err := licensing.ParseProductVersion(uint32(code.ProductVersion))
	if err != nil {
		return 0, err
	}
	var id uint32
	err = s.store.Update(ctx, func(tx store.Tx) error {
		if attempt != nil {
			redeem.Grant = attempt.Key
			if err := tx.DeleteOperation(attempt.Key); err != nil {
				return err
			}
		}
		if err := tx.UseSerial(code.Serial); err != nil {
			return err
		}
		id, err = s.insert(tx, clearinghouse.Grant{
			ProductVersion: version, ProductType: licensing.ProductType(code.ProductType), Count: code.Quantity, Expires: code.Expires(),
		})
		if err != nil {
			return err
		}
		pack, err := tx.KeyPack(id)
		if err != nil {
			return err
		}
		pack.Code = op.Code
		if err := tx.UpdateKeyPack(pack); err != nil {
			return err
		}
		if err := s.audit(tx, actor, string(op.Kind)+" by code", id, int64(code.Quantity), "serial %d, clearinghouse out of reach", code.Serial); err != nil {
			return err
		}
		if err := s.tell(tx, redeem, id); err != nil || attempt == nil {
			return err
		}
		return s.queueBehind(tx, *attempt)
	})
	if err == nil {
		signal(s.kick)
	}
	return id, err
}

// queueBehind moves the operations that were opened after the attempt, and are not asked for yet, behind the last one, which
// has taken the attempt's place: the ledger may have posted it before them.
func (s *Service) queueBehind(tx store.Tx, attempt store.Operation) error {
	operations, err := tx.Operations()
	if err != nil || len(operations) == 0 {
		return err
	}
	for _, o := range operations[:len(operations)-1] {
		if o.Seq < attempt.Seq {
			continue
		}
		var op clearinghouse.Operation
		if err := json.Unmarshal(o.Request, &op); err != nil {
			return err
		}
		if err := tx.DeleteOperation(o.Key); err != nil {
			return err
		}
		if err := s.tell(tx, op, o.KeyPackID); err != nil {
			return err
		}
	}
	return nil
}
