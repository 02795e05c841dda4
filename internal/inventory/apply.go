package inventory

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// apply installs a grant and closes its operation, in one transaction. It returns the ID of the key pack concerned.
func (s *Service) apply(tx store.Tx, o store.Operation, op clearinghouse.Operation, grant clearinghouse.Grant, signed clearinghouse.Signed) (uint32, error) {
	if err := tx.DeleteOperation(o.Key); err != nil {
		return 0, err
	}
	switch op.Kind {
	case clearinghouse.Return:
		return o.KeyPackID, s.audit(tx, "clearinghouse", "post return", o.KeyPackID, 0, "operation %s: %d of %d CALs", op.Key, grant.Count, op.Count)
	case clearinghouse.Acknowledge:
		return 0, s.audit(tx, "clearinghouse", "acknowledged", 0, 0, "operation %s", op.Grant)
	case clearinghouse.Redeem:
		return o.KeyPackID, s.confirm(tx, o, grant, signed)
	case clearinghouse.Convert:
		if err := s.shrinkConverted(tx, o, op, grant); err != nil {
			return 0, err
		}
	}
	if grant.Serial != 0 {
		if err := tx.UseSerial(grant.Serial); err != nil {
			return 0, err
		}
	}
	id, err := s.insert(tx, grant)
	if err != nil {
		return 0, err
	}
	if err := s.keep(tx, id, string(grant.Kind), signed); err != nil {
		return 0, err
	}
	from := ""
	if grant.SourceID != "" {
		from = " from license server " + keycode.FirstGroup(grant.SourceID)
	}
	if err := s.audit(tx, "clearinghouse", string(grant.Kind), id, int64(grant.Count), "operation %s%s", op.Key, from); err != nil {
		return 0, err
	}
	if op.Kind != clearinghouse.Import {
		return id, nil
	}
	return id, s.tell(tx, clearinghouse.Operation{Kind: clearinghouse.Acknowledge, Grant: op.Key}, id)
}

func (s *Service) insert(tx store.Tx, grant clearinghouse.Grant) (uint32, error) {
	now := s.Now().UTC().Truncate(time.Second)
	expires := grant.Expires
	if expires.IsZero() {
		expires = licensing.PerpetualExpiry(now)
	}
	return tx.InsertKeyPack(licensing.KeyPack{
		Type: grant.Program.KeyPackType(), ProductVersion: grant.ProductVersion, ProductType: grant.ProductType, Total: grant.Count,
		Installed: now, Expires: expires, Entitlement: grant.Entitlement,
	})
}

func (s *Service) keep(tx store.Tx, keyPackID uint32, kind string, signed clearinghouse.Signed) error {
	return tx.InsertDocument(store.Document{
		KeyPackID: keyPackID, Kind: kind, Payload: signed.Payload, Signature: signed.Signature, Received: s.Now(),
	})
}

// tell opens an operation that tells the clearinghouse what has happened here.
func (s *Service) tell(tx store.Tx, op clearinghouse.Operation, keyPackID uint32) error {
	var err error
	if op.Key, err = s.newKey(); err != nil {
		return err
	}
	request, err := json.Marshal(op)
	if err != nil {
		return err
	}
	return tx.InsertOperation(store.Operation{Key: op.Key, Kind: string(op.Kind), Request: request, KeyPackID: keyPackID, Created: s.Now()})
}

// shrinkConverted takes the converted CALs out of the pack that holds them for the conversion. What a release has taken from
// it meanwhile comes from the other packs of the same account: the ledger has counted it so.
func (s *Service) shrinkConverted(tx store.Tx, o store.Operation, op clearinghouse.Operation, grant clearinghouse.Grant) error {
	pack, err := tx.KeyPack(o.KeyPackID)
	if err != nil && licensing.KindOf(err) != licensing.NotFound {
		return err
	}
	if err == nil {
		pack.Held -= min(pack.Held, op.Count)
		if err := put(tx, pack); err != nil {
			return err
		}
	}
	_, _, err = s.shrink(tx, account{grant.Entitlement, op.ProductType}, grant.Count, o.KeyPackID, "convert", "operation "+op.Key)
	return err
}

// account is what the ledger counts of a license server.
type account struct {
	entitlement string
	productType licensing.ProductType
}

// shrink takes count CALs from the key packs of an account: from the preferred one first, then from those with most free
// ones, and if these do not suffice, below what is issued. It returns the packs that it shrank, and how many CALs it could
// not take because there are none. A pack that has neither CALs nor issued ones left is gone.
func (s *Service) shrink(tx store.Tx, a account, count, preferred uint32, action, detail string) (shrunk []uint32, short uint32, err error) {
	var packs []licensing.KeyPack
	for pack, err := range tx.KeyPacks() {
		if err != nil {
			return nil, 0, err
		}
		if pack.Entitlement == a.entitlement && pack.ProductType == a.productType && pack.Flag == "" {
			packs = append(packs, pack)
		}
	}
	slices.SortStableFunc(packs, func(x, y licensing.KeyPack) int {
		switch preferred {
		case x.ID:
			return -1
		case y.ID:
			return 1
		}
		return cmp.Compare(y.Available(), x.Available())
	})
	taken := make([]uint32, len(packs))
	for i := range packs {
		n := min(count, packs[i].Available())
		taken[i], count = n, count-n
	}
	for i := range packs {
		n := min(count, packs[i].Total-taken[i])
		taken[i], count = taken[i]+n, count-n
	}
	for i, pack := range packs {
		if taken[i] == 0 {
			continue
		}
		pack.Total -= taken[i]
		if err := put(tx, pack); err != nil {
			return nil, 0, err
		}
		if err := s.audit(tx, "clearinghouse", action, pack.ID, -int64(taken[i]), "%s", detail); err != nil {
			return nil, 0, err
		}
		shrunk = append(shrunk, pack.ID)
	}
	return shrunk, count, nil
}

// put stores a pack that has shrunk, or deletes one of which nothing is left.
func put(tx store.Tx, pack licensing.KeyPack) error {
	if pack.Total == 0 && pack.Issued == 0 && pack.Held == 0 {
		return tx.DeleteKeyPack(pack.ID)
	}
	return tx.UpdateKeyPack(pack)
}

// confirm takes over what the clearinghouse says of a code that was used without it.
func (s *Service) confirm(tx store.Tx, o store.Operation, grant clearinghouse.Grant, signed clearinghouse.Signed) error {
	if err := s.keep(tx, o.KeyPackID, string(grant.Kind), signed); err != nil {
		return err
	}
	pack, err := tx.KeyPack(o.KeyPackID)
	if err == nil {
		pack.Entitlement, pack.Type, pack.Flag = grant.Entitlement, grant.Program.KeyPackType(), ""
		err = tx.UpdateKeyPack(pack)
	}
	if err != nil && licensing.KindOf(err) != licensing.NotFound { // it was removed meanwhile
		return err
	}
	return s.audit(tx, "clearinghouse", "confirm code", o.KeyPackID, 0, "serial %d", grant.Serial)
}
