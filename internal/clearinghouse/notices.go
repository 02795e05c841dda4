package clearinghouse

import (
	"context"
	"errors"
	"time"

	"calkeeper/internal/licensing"
)

// MaxNotices is the greatest number of notices that one poll returns.
const MaxNotices = 100

// lastContactInterval is how exactly Server.LastContact is kept: a poll does not write if it was recent.
const lastContactInterval = time.Minute

// Poll returns the notices for a license server after the one it applied last, as soon as there are any, and none when wait
// is over. Asking with a number acknowledges all notices up to it: the license server has applied them, durably.
func (s *Service) Poll(ctx context.Context, productID string, after uint64, wait time.Duration) ([]Signed, error) {
	server, err := s.contact(ctx, productID, after)
	if err != nil {
		return nil, err
	}
	s.hub.enter(server.ID, after)
	defer s.hub.leave(server.ID)
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		changed := s.hub.changed(server.ID)
		var queued []QueuedNotice
		err := s.store.View(ctx, func(r Reader) (err error) {
			queued, err = r.Notices(server.ID, after, MaxNotices)
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(queued) > 0 {
			signed := make([]Signed, len(queued))
			for i, q := range queued {
				signed[i] = q.Signed
			}
			return signed, nil
		}
		select {
		case <-changed:
		case <-timeout.C:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ahead records that a license server has applied notices that the ledger does not have: it was restored from an older copy.
// Numbers of notices would be used again, and their releases taken for done; so nothing is imported from there any more.
func (s *Service) ahead(ctx context.Context, server Server, acked uint64) error {
	err := licensing.Faultf(licensing.Invalid, "notice %d was acknowledged, but %d is the newest: the ledger is older than what license server %s has done",
		acked, server.NoticeSeq, server.Name)
	s.log.Warn("a license server is ahead of the ledger: was it restored from an older copy?", "server", server.Name, "applied", acked, "newest", server.NoticeSeq)
	if server.AckedSeq == acked {
		return err
	}
	updateErr := s.store.Update(ctx, func(tx Tx) error {
		now, err := tx.Server(server.ID)
		if err != nil {
			return err
		}
		now.AckedSeq = acked
		return tx.UpdateServer(now)
	})
	return errors.Join(err, updateErr)
}

// contact records that the license server is there and what it has applied.
func (s *Service) contact(ctx context.Context, productID string, acked uint64) (Server, error) {
	var server Server
	err := s.store.View(ctx, func(r Reader) (err error) {
		server, err = activeServer(r, productID)
		return err
	})
	if err != nil {
		return server, err
	}
	if acked > server.NoticeSeq {
		return server, s.ahead(ctx, server, acked)
	}
	if acked <= server.AckedSeq && !server.Ahead() && s.now().Sub(server.LastContact) < lastContactInterval {
		return server, nil
	}
	err = s.store.Update(ctx, func(tx Tx) error {
		var err error
		if server, err = activeServer(tx, productID); err != nil {
			return err
		}
		server.LastContact = s.now()
		if acked > server.AckedSeq || server.Ahead() { // ahead no more: its database is a new one
			server.AckedSeq = acked
			if err := tx.ReleaseTransfers(server.ID, acked, s.now()); err != nil {
				return err
			}
		}
		return tx.UpdateServer(server)
	})
	return server, err
}
