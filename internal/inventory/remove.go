package inventory

import (
	"context"
	"encoding/json"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// Remove takes count CALs out of a key pack. They go back to the entitlement; that is posted at the next contact with the
// clearinghouse. Faults: NotFound, OutOfRange if the pack has fewer free ones, NotSupported for the built-in pack.
func (s *Service) Remove(ctx context.Context, actor string, keyPackID, count uint32) error {
	if err := licensing.CheckCount(count); err != nil {
		return err
	}
	return s.remove(ctx, func(tx store.Tx) error {
		pack, err := removable(tx, keyPackID)
		if err != nil {
			return err
		}
		return s.removeFrom(tx, actor, pack, count)
	})
}

// RemoveAll takes a whole key pack away. A pack of which CALs are issued stays: OutOfRange.
func (s *Service) RemoveAll(ctx context.Context, actor string, keyPackID uint32) error {
	return s.remove(ctx, func(tx store.Tx) error {
		pack, err := removable(tx, keyPackID)
		if err != nil {
			return err
		}
		return s.removeFrom(tx, actor, pack, pack.Total)
	})
}

// RemoveKind takes count CALs of one version and type away, from the oldest key packs first. Faults: as ParseProductVersion
// and ParseProductType; NotFound if there is no such pack, OutOfRange if they have fewer free ones together.
func (s *Service) RemoveKind(ctx context.Context, actor string, p Purchase) error {
	version, err := licensing.ParseProductVersion(p.ProductVersion)
	if err != nil {
		return err
	}
	t, err := licensing.ParseProductType(p.ProductType)
	if err != nil {
		return err
	}
	if err := licensing.CheckCount(p.Count); err != nil {
		return err
	}
	return s.remove(ctx, func(tx store.Tx) error {
		var packs []licensing.KeyPack
		for pack, err := range tx.KeyPacks() {
			if err != nil {
				return err
			}
			if pack.ProductVersion == version && pack.ProductType == t && !pack.OnDemand() {
				packs = append(packs, pack)
			}
		}
		if len(packs) == 0 {
			return licensing.Faultf(licensing.NotFound, "there is no key pack of %s CALs of %s", t, version)
		}
		rest, issued := p.Count, uint64(0)
		for _, pack := range packs {
			issued += uint64(pack.Issued)
			if n := min(rest, pack.Available()); n > 0 {
				if err := s.removeFrom(tx, actor, pack, n); err != nil {
					return err
				}
				rest -= n
			}
		}
		if rest > 0 {
			return licensing.Faultf(licensing.OutOfRange, "%d CALs were asked for, the key packs of this version and type have %d free ones; %d are issued",
				p.Count, p.Count-rest, issued)
		}
		return nil
	})
}

func (s *Service) remove(ctx context.Context, f func(store.Tx) error) error {
	err := s.store.Update(ctx, f)
	if err == nil {
		signal(s.kick)
	}
	return err
}

func removable(tx store.Tx, id uint32) (licensing.KeyPack, error) {
	if id == licensing.BuiltInKeyPackID {
		return licensing.KeyPack{}, checkInstalled(licensing.BuiltInKeyPack())
	}
	pack, err := tx.KeyPack(id)
	if err == nil {
		err = checkInstalled(pack)
	}
	return pack, err
}

func (s *Service) removeFrom(tx store.Tx, actor string, pack licensing.KeyPack, count uint32) error {
	if count == 0 || count > pack.Available() {
		return tooFew(pack, count)
	}
	pack.Total -= count
	if err := put(tx, pack); err != nil {
		return err
	}
	if err := s.audit(tx, actor, "remove", pack.ID, -int64(count), ""); err != nil {
		return err
	}
	if pack.Flag != "" {
		return nil // the ledger does not have these CALs
	}
	return s.tell(tx, clearinghouse.Operation{
		Kind: clearinghouse.Return, Entitlement: pack.Entitlement, ProductVersion: pack.ProductVersion, ProductType: pack.ProductType, Count: count,
	}, pack.ID)
}

// completeReturn fills in the entitlement of CALs that were removed from a key pack before the clearinghouse had seen its
// code. By now, operations being settled in order, it has.
func (s *Service) completeReturn(ctx context.Context, o store.Operation) (store.Operation, error) {
	if o.Kind != string(clearinghouse.Return) {
		return o, nil
	}
	var op clearinghouse.Operation
	if err := json.Unmarshal(o.Request, &op); err != nil || op.Entitlement != "" {
		return o, err
	}
	err := s.store.View(ctx, func(r store.Reader) error {
		documents, err := r.Documents(o.KeyPackID)
		if err != nil {
			return err
		}
		for _, d := range documents {
			var grant clearinghouse.Grant
			if err := json.Unmarshal(d.Payload, &grant); err == nil && grant.Kind == clearinghouse.Redeem {
				op.Entitlement = grant.Entitlement
			}
		}
		return nil
	})
	if err != nil {
		return o, err
	}
	o.Request, err = json.Marshal(op)
	return o, err
}
