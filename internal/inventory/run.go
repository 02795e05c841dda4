package inventory

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// pollWait is how long the clearinghouse keeps a poll open when there is no notice.
const pollWait = 25 * time.Second

// How long Run waits after a failure: at first, and at most.
const (
	firstDelay = 250 * time.Millisecond
	maxDelay   = 15 * time.Second
)

// Run settles open operations and applies the clearinghouse's notices until ctx ends. It is how everything resumes after a
// crash or a time without network.
func (s *Service) Run(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { s.keepOn(ctx, "settle", s.kick, s.settleWhenAsked) })
	both.Go(func() { s.keepOn(ctx, "notices", s.retry, s.pollOnce) })
	both.Wait()
}

// Resume makes Run try again at once: this license server was activated, or the network is back.
func (s *Service) Resume() {
	signal(s.kick)
	signal(s.retry)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// keepOn calls f again and again, with growing pauses while it fails; wake ends a pause.
func (s *Service) keepOn(ctx context.Context, what string, wake <-chan struct{}, f func(context.Context) error) {
	delay := firstDelay
	for ctx.Err() == nil {
		err := f(ctx)
		if err == nil {
			if delay > firstDelay {
				s.Logger.Info("the clearinghouse answers again", "what", what)
			}
			delay = firstDelay
			continue
		}
		if ctx.Err() != nil {
			return
		}
		level := s.Logger.Warn
		switch licensing.KindOf(err) {
		case licensing.NotActivated:
			level = s.Logger.Debug
		case licensing.Unavailable:
			if delay > firstDelay { // said before
				level = s.Logger.Debug
			}
		}
		level("the clearinghouse has not answered; trying again", "what", what, "error", err, "in", delay)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-time.After(delay):
		}
		delay = min(2*delay, maxDelay)
	}
}

// settleWhenAsked settles all open operations, then waits until there is a new one.
func (s *Service) settleWhenAsked(ctx context.Context) error {
	if err := s.Settle(ctx); err != nil {
		return err
	}
	select {
	case <-s.kick:
	case <-ctx.Done():
	}
	return nil
}

// Settle settles all open operations now. The error says why one stays open.
func (s *Service) Settle(ctx context.Context) error {
	release, err := s.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	return s.settle(ctx, "")
}

func (s *Service) pollOnce(ctx context.Context) error { return s.Poll(ctx, pollWait) }

// Poll waits so long for notices, applies those that come, and acknowledges them with the next call.
func (s *Service) Poll(ctx context.Context, wait time.Duration) error {
	server, err := s.server(ctx)
	if err != nil {
		return err
	}
	notices, err := s.clearinghouse.Poll(ctx, server.NoticeSeq, wait)
	if err != nil {
		return err
	}
	for _, signed := range notices {
		s.Step("source.notified")
		err := s.applyNotice(ctx, signed, wholeOnly, "")
		if errors.Is(err, errUnsettled) {
			err = s.settleAndApply(ctx, signed)
		}
		if err != nil {
			return err
		}
		s.Step("source.released")
	}
	return nil
}

// settleAndApply applies a notice whose CALs may be those of a grant that is not installed yet, after all such grants.
func (s *Service) settleAndApply(ctx context.Context, signed clearinghouse.Signed) error {
	release, err := s.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := s.settle(ctx, ""); err != nil {
		return err
	}
	return s.applyNotice(ctx, signed, asFarAsThereAre, "")
}

// catchUp applies the notices up to seq, as far as they are not yet. It settles nothing: that is what it is called from, for
// the operation with the key asked.
func (s *Service) catchUp(ctx context.Context, seq uint64, asked string) error {
	for {
		var applied uint64
		err := s.store.View(ctx, func(r store.Reader) error {
			server, err := r.Server()
			applied = server.NoticeSeq
			return err
		})
		if err != nil || applied >= seq {
			return err
		}
		notices, err := s.clearinghouse.Poll(ctx, applied, 0)
		if err != nil {
			return err
		}
		if len(notices) == 0 {
			return licensing.Faultf(licensing.Internal, "the clearinghouse has no notice after %d, but its grant names %d", applied, seq)
		}
		for _, signed := range notices[:min(uint64(len(notices)), seq-applied)] {
			if err := s.applyNotice(ctx, signed, asFarAsThereAre, asked); err != nil {
				return err
			}
		}
	}
}

// taking tells whether a notice may be applied that releases more CALs than there are.
type taking bool

const (
	wholeOnly       taking = true
	asFarAsThereAre taking = false
)

// errUnsettled means that something must wait for the open operations: a notice that releases more CALs than there are, because
// they may install some, or the intent of another operation.
var errUnsettled = errors.New("the open operations must be settled first")

// applyNotice applies one notice. As far as there are is right only in the turn, when all grants that the ledger has posted
// before it are installed; the key of the operation that is being asked for is given then.
func (s *Service) applyNotice(ctx context.Context, signed clearinghouse.Signed, t taking, asked string) error {
	var n clearinghouse.Notice
	if err := signed.Verify(s.clearinghouse.SigningKey(), clearinghouse.PurposeNotice, &n); err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx store.Tx) error { return s.release(tx, n, signed, t, asked) })
}

// release applies one notice: CALs of this license server are another's now.
func (s *Service) release(tx store.Tx, n clearinghouse.Notice, signed clearinghouse.Signed, t taking, asked string) error {
	server, err := tx.Server()
	if err != nil {
		return err
	}
	if n.Seq <= server.NoticeSeq {
		return nil
	}
	if n.Seq != server.NoticeSeq+1 {
		return licensing.Faultf(licensing.Internal, "notice %d came, but %d is the next", n.Seq, server.NoticeSeq+1)
	}
	server.NoticeSeq = n.Seq
	if err := tx.PutServer(server); err != nil {
		return err
	}
	a := account{n.Entitlement, n.ProductType}
	shrunk, short, err := s.shrink(tx, a, n.Count, 0, "release", "transfer "+n.Transfer)
	if err != nil {
		return err
	}
	if short > 0 {
		operations, err := tx.Operations()
		if err != nil {
			return err
		}
		if len(operations) > 0 && t == wholeOnly {
			return errUnsettled
		}
		if err := s.forgo(tx, operations, a, short, asked); err != nil {
			return err
		}
	}
	for _, id := range shrunk {
		if err := s.keep(tx, id, "release", signed); err != nil {
			return err
		}
	}
	return s.audit(tx, "clearinghouse", "notice", 0, 0, "notice %d: release %d CALs", n.Seq, n.Count)
}

// forgo cuts count CALs off the returns of an account that are still to be posted: when they were removed here, they were
// another's already. The clearinghouse knows none of these operations yet but the one with the key asked.
func (s *Service) forgo(tx store.Tx, operations []store.Operation, a account, count uint32, asked string) error {
	for _, o := range operations {
		var op clearinghouse.Operation
		if err := json.Unmarshal(o.Request, &op); err != nil {
			return err
		}
		of := account{op.Entitlement, op.ProductType}
		if count == 0 || o.Key == asked || op.Kind != clearinghouse.Return || of != a {
			continue
		}
		n := min(count, op.Count)
		count, op.Count = count-n, op.Count-n
		if err := tx.DeleteOperation(o.Key); err != nil {
			return err
		}
		if err := s.audit(tx, "clearinghouse", "forgo return", o.KeyPackID, 0, "operation %s: %d CALs were imported from here before", o.Key, n); err != nil {
			return err
		}
		if op.Count == 0 {
			continue
		}
		if err := s.tell(tx, op, o.KeyPackID); err != nil {
			return err
		}
	}
	return nil
}
