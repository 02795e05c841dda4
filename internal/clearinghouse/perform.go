package clearinghouse

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"

	"calkeeper/internal/licensing"
)

// Perform settles one operation of the license server with that product ID and returns the signed Grant. What it decides is
// one transaction: ledger entry, the source's release notice, and the answer kept under the operation's key. Asked again
// with the same key it returns the same answer, also if that is a refusal for good: Invalid, NotSupported, OutOfRange, NotFound,
// AlreadyExists. A refusal for now is not kept: the same key is decided anew.
//
// An import waits, after its commit and before its answer, until a source that is reachable has released the CALs, but not
// longer than Options.ReleaseWait. A source that is away applies the notice at its next contact.
//
// Faults: Invalid, NotActivated, NotFound, OutOfRange, AlreadyExists, Limited.
func (s *Service) Perform(ctx context.Context, productID string, op Operation) (Signed, error) {
	if err := op.check(); err != nil {
		return Signed{}, err
	}
	s.step("clearinghouse.asked")
	requestHash, err := op.hash()
	if err != nil {
		return Signed{}, err
	}
	var (
		answer  Signed
		server  Server
		refused error
	)
	err = s.store.Update(ctx, func(tx Tx) error {
		var err error
		if server, err = activeServer(tx, productID); err != nil {
			return err
		}
		var known bool
		if answer, known, err = s.settled(tx, server, op.Key, requestHash); known || err != nil {
			return err
		}
		d := decision{Tx: tx, service: s, server: server, op: op}
		grant, err := d.decide()
		if err != nil {
			refused = err
			return err
		}
		if answer, err = Sign(s.keys.Signing, PurposeGrant, grant); err != nil {
			return err
		}
		return tx.InsertSettled(Settled{Server: server.ID, Key: op.Key, RequestHash: requestHash, Response: answer, At: s.now()})
	})
	if errors.Is(refused, errWrongCredentials) {
		s.countFailure(server.ID)
	}
	if err != nil && isFinal(refused) {
		answer, err = s.keepRefusal(ctx, server, op.Key, requestHash, refused)
	}
	if err != nil {
		return Signed{}, err
	}
	if op.SourceID != "" {
		s.step("clearinghouse.posted")
		if err := s.awaitRelease(ctx, op.Key); err != nil {
			return Signed{}, err
		}
		s.step("clearinghouse.answering")
	}
	return answer, nil
}

// refusal is what is kept of an operation that was refused.
type refusal struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

// isFinal tells whether a refusal is the answer for good: the license server closes the operation. What is refused for another
// reason, such as too many failures, it may keep and ask for again.
func isFinal(err error) bool {
	switch licensing.KindOf(err) {
	case licensing.Invalid, licensing.NotSupported, licensing.OutOfRange, licensing.NotFound, licensing.AlreadyExists:
		return true
	}
	return false
}

// settled returns the answer that the key has already: a grant, or the fault of a refusal.
func (s *Service) settled(tx Tx, server Server, key string, requestHash []byte) (answer Signed, known bool, err error) {
	settled, err := tx.Settled(server.ID, key)
	switch {
	case err != nil && licensing.KindOf(err) == licensing.NotFound:
		return Signed{}, false, nil
	case err != nil:
		return Signed{}, false, err
	case !bytes.Equal(settled.RequestHash, requestHash):
		return Signed{}, true, licensing.Faultf(licensing.Invalid, "the key %s was used for another operation", key)
	}
	var r refusal
	if settled.Response.Verify(s.keys.Signing.Public().(ed25519.PublicKey), purposeRefusal, &r) == nil {
		return Signed{}, true, &licensing.Fault{Kind: licensing.ParseKind(r.Kind), Msg: r.Message}
	}
	return settled.Response, true, nil
}

// keepRefusal keeps a refusal under the operation's key and returns it: a copy of the request that the network delivers late must
// not be decided anew, because nobody waits for the CALs any more. One that came first, since the refusal, has its answer.
func (s *Service) keepRefusal(ctx context.Context, server Server, key string, requestHash []byte, refused error) (answer Signed, err error) {
	kept, err := Sign(s.keys.Signing, purposeRefusal, refusal{licensing.KindOf(refused).String(), licensing.Message(refused)})
	if err != nil {
		return Signed{}, err
	}
	known := false
	err = s.store.Update(ctx, func(tx Tx) (err error) {
		if answer, known, err = s.settled(tx, server, key, requestHash); known || err != nil {
			return err
		}
		return tx.InsertSettled(Settled{Server: server.ID, Key: key, RequestHash: requestHash, Response: kept, At: s.now()})
	})
	if err == nil && !known {
		err = refused
	}
	return answer, err
}

// awaitRelease wakes the source of an import and waits for it.
func (s *Service) awaitRelease(ctx context.Context, key string) error {
	var transfer Transfer
	err := s.store.View(ctx, func(r Reader) (err error) {
		transfer, err = r.Transfer(key)
		return err
	})
	if err != nil {
		if licensing.KindOf(err) == licensing.NotFound {
			return nil // a code of which nothing, or nothing more, was to move
		}
		return err
	}
	s.hub.wake(transfer.Source)
	if transfer.Released.IsZero() {
		s.hub.awaitAck(ctx, transfer.Source, transfer.NoticeSeq, s.releaseWait)
	}
	return nil
}

func (op *Operation) check() error {
	if len(op.Key) < 16 || len(op.Key) > 64 {
		return licensing.Faultf(licensing.Invalid, "the operation's key has %d characters; 16 to 64 are right", len(op.Key))
	}
	switch op.Kind {
	case Install, Import, Reinstall:
		if op.Code == "" && op.Credentials.Program == "" {
			return licensing.Faultf(licensing.Invalid, "%s needs credentials or a code", op.Kind)
		}
		if op.Code == "" && op.Credentials.Program != licensing.Retail && op.Count == 0 {
			return licensing.Faultf(licensing.Invalid, "%s needs a count", op.Kind)
		}
	case Convert, Return:
		if op.Count == 0 || op.Entitlement == "" {
			return licensing.Faultf(licensing.Invalid, "%s needs an entitlement and a count", op.Kind)
		}
	case Redeem, Acknowledge:
	default:
		return licensing.Faultf(licensing.Invalid, "there is no operation %q", op.Kind)
	}
	return nil
}

// hash identifies the request. What is installed changes between two askings for the same.
func (op Operation) hash() ([]byte, error) {
	op.Installed = nil
	request, err := json.Marshal(op)
	sum := sha256.Sum256(request)
	return sum[:], err
}

// decision is one operation in its transaction.
type decision struct {
	Tx
	service *Service
	server  Server // that asks
	op      Operation
}

func (d *decision) decide() (Grant, error) {
	switch d.op.Kind {
	case Install:
		return d.install()
	case Import:
		return d.importFrom()
	case Convert:
		return d.convert()
	case Reinstall:
		return d.reinstall()
	case Return:
		return d.giveBack()
	case Redeem:
		return d.redeem()
	}
	return d.acknowledge()
}

// grant returns the statement about count CALs of the entitlement on this server.
func (d *decision) grant(e Entitlement, t licensing.ProductType, count uint32) Grant {
	return Grant{
		Key: d.op.Key, Kind: d.op.Kind, LicenseServerID: d.server.LicenseServerID, Entitlement: e.ID, Program: e.Program,
		ProductVersion: e.ProductVersion, ProductType: t, Count: count, Expires: e.Expires,
		NoticeSeq: d.server.NoticeSeq, At: d.service.now().UTC(),
	}
}

// post moves CALs in the ledger.
func (d *decision) post(postings ...Posting) error {
	return d.Post(Entry{
		At: d.service.now(), Kind: string(d.op.Kind), Key: d.op.Key, Actor: d.server.Name, Postings: postings,
	})
}

func (d *decision) own() Holder { return ServerHolder(d.server.ID) }
