package inventory

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// perform takes an operation through the transfer protocol and returns the ID of the key pack it installed. Older operations
// are settled first. If this very operation is among them, because its answer was lost, it is not asked a second time.
// The caller has the turn.
func (s *Service) perform(ctx context.Context, actor string, op clearinghouse.Operation, keyPackID uint32) (uint32, error) {
	same, err := s.openTwin(ctx, op)
	if err != nil {
		return 0, err
	}
	if same != nil {
		if err := s.settle(ctx, same.Key); err != nil {
			return 0, err
		}
		return s.resume(ctx, *same, askedBefore)
	}
	if op.Key, err = s.newKey(); err != nil {
		return 0, err
	}
	intent, err := s.settleAndOpen(ctx, actor, op, keyPackID)
	if err != nil {
		return 0, err
	}
	s.Step("target.intent")
	id, err := s.resume(ctx, intent, firstAsked)
	if err != nil {
		signal(s.kick) // Run goes on with it, if it stays open
	}
	return id, err
}

// openTwin returns the open operation that asks for the same, if there is one.
func (s *Service) openTwin(ctx context.Context, op clearinghouse.Operation) (*store.Operation, error) {
	return s.findOpen(ctx, func(open clearinghouse.Operation) bool {
		op.Key = open.Key
		return reflect.DeepEqual(op, open)
	})
}

// findOpen returns the first open operation that is the one looked for, or nil.
func (s *Service) findOpen(ctx context.Context, is func(clearinghouse.Operation) bool) (found *store.Operation, err error) {
	err = s.store.View(ctx, func(r store.Reader) error {
		operations, err := r.Operations()
		if err != nil {
			return err
		}
		for _, o := range operations {
			var open clearinghouse.Operation
			if err := json.Unmarshal(o.Request, &open); err != nil {
				return err
			}
			if is(open) {
				found = &o
				return nil
			}
		}
		return nil
	})
	return found, err
}

// settleAndOpen writes the intent when no other operation is open: the order of the operations is that in which they are asked
// for, and in which the ledger posts them.
func (s *Service) settleAndOpen(ctx context.Context, actor string, op clearinghouse.Operation, keyPackID uint32) (store.Operation, error) {
	for {
		if err := s.settle(ctx, ""); err != nil {
			return store.Operation{}, err
		}
		intent, err := s.open(ctx, actor, op, keyPackID)
		if !errors.Is(err, errUnsettled) {
			return intent, err
		}
	}
}

// open writes the intent; errUnsettled if an operation is open, as of a removal just now. A conversion keeps its CALs from being
// removed meanwhile.
func (s *Service) open(ctx context.Context, actor string, op clearinghouse.Operation, keyPackID uint32) (store.Operation, error) {
	request, err := json.Marshal(op)
	if err != nil {
		return store.Operation{}, err
	}
	intent := store.Operation{Key: op.Key, Kind: string(op.Kind), Request: request, KeyPackID: keyPackID, Created: s.Now()}
	return intent, s.store.Update(ctx, func(tx store.Tx) error {
		operations, err := tx.Operations()
		if err != nil {
			return err
		}
		if len(operations) > 0 {
			return errUnsettled
		}
		if op.Kind == clearinghouse.Convert {
			pack, err := tx.KeyPack(keyPackID)
			if err != nil {
				return err
			}
			if op.Count > pack.Available() {
				return tooFew(pack, op.Count)
			}
			pack.Held += op.Count
			if err := tx.UpdateKeyPack(pack); err != nil {
				return err
			}
		}
		if err := tx.InsertOperation(intent); err != nil {
			return err
		}
		return s.audit(tx, actor, "ask "+string(op.Kind), keyPackID, 0, "operation %s", op.Key)
	})
}

// asking tells whether the clearinghouse may know of an operation already.
type asking bool

const (
	firstAsked  asking = true
	askedBefore asking = false
)

// resume asks the clearinghouse for an open operation and installs the answer.
func (s *Service) resume(ctx context.Context, o store.Operation, a asking) (uint32, error) {
	var op clearinghouse.Operation
	err := json.Unmarshal(o.Request, &op)
	if err == nil && (op.Kind == clearinghouse.Reinstall || op.Kind == clearinghouse.Redeem) {
		op.Installed, err = s.holdings(ctx)
	}
	if err != nil {
		return 0, err
	}
	signed, err := s.clearinghouse.Perform(ctx, op)
	// What the clearinghouse has decided is installed even if the caller has gone.
	ctx = context.WithoutCancel(ctx)
	if err != nil {
		return 0, s.refused(ctx, o, op, a, err)
	}
	s.Step("target.granted")
	var grant clearinghouse.Grant
	if err := signed.Verify(s.clearinghouse.SigningKey(), clearinghouse.PurposeGrant, &grant); err != nil {
		return 0, err
	}
	if grant.Key != op.Key || grant.Kind != op.Kind {
		return 0, licensing.Faultf(licensing.Internal, "the grant answers operation %s %s, not %s %s", grant.Kind, grant.Key, op.Kind, op.Key)
	}
	// The ledger has posted these releases before the grant: they are applied in its order.
	if err := s.catchUp(ctx, grant.NoticeSeq, op.Key); err != nil {
		return 0, err
	}
	var id uint32
	err = s.store.Update(ctx, func(tx store.Tx) (err error) {
		id, err = s.apply(tx, o, op, grant, signed)
		return err
	})
	if err != nil {
		return 0, err
	}
	s.Logger.Info("settled with the clearinghouse", "operation", string(op.Kind), "keyPack", id, "licenses", grant.Count)
	s.Step("target.installed")
	signal(s.kick)
	return id, nil
}

// refused closes an operation of which nothing can come any more, and returns the fault. An operation stays open if it may
// have been posted before, or tells what has happened here already, and the clearinghouse has not looked at it now.
func (s *Service) refused(ctx context.Context, o store.Operation, op clearinghouse.Operation, a asking, cause error) error {
	tells := op.Kind == clearinghouse.Return || op.Kind == clearinghouse.Redeem || op.Kind == clearinghouse.Acknowledge
	mayBePosted := tells || a == askedBefore
	stays := false
	switch licensing.KindOf(cause) {
	case licensing.Internal:
		stays = true
	case licensing.Unavailable:
		stays = mayBePosted || !errors.Is(cause, clearinghouse.ErrNotSent)
	case licensing.NotActivated, licensing.Denied, licensing.Limited:
		stays = mayBePosted
	}
	if stays {
		return cause
	}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		if err := tx.DeleteOperation(o.Key); err != nil {
			return err
		}
		if err := s.undo(tx, o, op, cause); err != nil {
			return err
		}
		return s.audit(tx, "clearinghouse", "refuse "+string(op.Kind), o.KeyPackID, 0, "operation %s: %s", op.Key, licensing.Message(cause))
	})
	if err != nil {
		return err
	}
	return cause
}

// undo takes back what an intent has changed here.
func (s *Service) undo(tx store.Tx, o store.Operation, op clearinghouse.Operation, cause error) error {
	if op.Kind != clearinghouse.Convert && op.Kind != clearinghouse.Redeem {
		return nil
	}
	pack, err := tx.KeyPack(o.KeyPackID)
	if err != nil {
		if licensing.KindOf(err) == licensing.NotFound {
			return nil // a release has taken it away meanwhile
		}
		return err
	}
	if op.Kind == clearinghouse.Convert {
		pack.Held -= min(pack.Held, op.Count)
	} else {
		pack.Flag = licensing.Message(cause)
	}
	return put(tx, pack)
}

// settle asks for all open operations, oldest first: the order matters, because forgo counts on it. It stops before the one
// with the key until, which may be empty, and at the first that stays open, and returns why; one that is refused is closed,
// and the next is asked for. The caller has the turn.
func (s *Service) settle(ctx context.Context, until string) error {
	for {
		o, err := s.findOpen(ctx, func(clearinghouse.Operation) bool { return true })
		if err != nil || o == nil || o.Key == until {
			return err
		}
		complete, err := s.completeReturn(ctx, *o)
		if err != nil {
			return err
		}
		if _, err := s.resume(ctx, complete, askedBefore); err != nil {
			if s.isOpen(ctx, o.Key) {
				return err
			}
			s.Logger.Warn("the clearinghouse refused an operation", "kind", o.Kind, "operation", o.Key, "reason", licensing.Message(err))
		}
	}
}

// isOpen tells whether the operation is still open; also if that cannot be found out.
func (s *Service) isOpen(ctx context.Context, key string) bool {
	found, err := s.findOpen(context.WithoutCancel(ctx), func(open clearinghouse.Operation) bool { return open.Key == key })
	return found != nil || err != nil
}

// holdings returns how many CALs of each entitlement and type the ledger cannot miss here: those installed, flagged key packs
// left out, and those removed whose return is not posted yet.
func (s *Service) holdings(ctx context.Context) ([]clearinghouse.Holding, error) {
	sums := map[account]uint32{}
	err := s.store.View(ctx, func(r store.Reader) error {
		for pack, err := range r.KeyPacks() {
			if err != nil {
				return err
			}
			if pack.Entitlement != "" && pack.Flag == "" {
				sums[account{pack.Entitlement, pack.ProductType}] += pack.Total
			}
		}
		operations, err := r.Operations()
		if err != nil {
			return err
		}
		for _, o := range operations {
			var op clearinghouse.Operation
			if err := json.Unmarshal(o.Request, &op); err != nil {
				return err
			}
			if op.Kind == clearinghouse.Return && op.Entitlement != "" {
				sums[account{op.Entitlement, op.ProductType}] += op.Count
			}
		}
		return nil
	})
	var list []clearinghouse.Holding
	for a, count := range sums {
		list = append(list, clearinghouse.Holding{Entitlement: a.entitlement, ProductType: a.productType, Count: count})
	}
	return list, err
}
