package issuance

import (
	"context"
	"time"

	"calkeeper/internal/store"
)

// Events returns, of at most limit audit records whose Seq is greater than after, those about CALs and denials, and the Seq of
// the last one that it has seen: from there the next call goes on. It returns after itself when there is nothing newer.
func (s *Service) Events(ctx context.Context, after uint64, limit int) (events []store.AuditRecord, last uint64, err error) {
	err = s.store.View(ctx, func(r store.Reader) error {
		records, err := r.AuditRecords(after, limit)
		last = after
		for _, record := range records {
			last = record.Seq
			if record.LicenseID != 0 || record.Action == "deny" {
				events = append(events, record)
			}
		}
		return err
	})
	return events, last, err
}

// WaitEvents is Events that waits for at least one event, at most that long.
func (s *Service) WaitEvents(ctx context.Context, after uint64, limit int, wait time.Duration) ([]store.AuditRecord, uint64, error) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		changed := s.awaitChange() // before the look, so that nothing comes between
		events, last, err := s.Events(ctx, after, limit)
		if err != nil || len(events) > 0 || limit < 1 {
			return events, last, err
		}
		if last > after {
			after = last
			continue
		}
		select {
		case <-changed:
		case <-deadline.C:
			return nil, last, nil
		case <-ctx.Done():
			return nil, last, ctx.Err()
		}
	}
}

// LastEvent returns the Seq of the last audit record, from which on an observer sees only what is new.
func (s *Service) LastEvent(ctx context.Context) (last uint64, err error) {
	err = s.store.View(ctx, func(r store.Reader) error {
		last, err = r.LastAudit()
		return err
	})
	return last, err
}
