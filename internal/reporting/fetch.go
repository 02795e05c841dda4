package reporting

import (
	"context"
	"errors"

	"calkeeper/internal/licensing"
)

// Summary returns a portion of the counts of a report. Like the other lists it may have fewer entries than were asked for: none
// where the list ends, and never more than MaxPortion. Faults: NotFound; OutOfRange if all are asked for and they are too many.
func (s *Service) Summary(ctx context.Context, fileName string, p Portion) ([]SummaryEntry, error) {
	return fetch(ctx, s, fileName, p, Entries.Summary)
}

// Users returns a portion of the per user CALs.
func (s *Service) Users(ctx context.Context, fileName string, p Portion) ([]UserEntry, error) {
	return fetch(ctx, s, fileName, p, Entries.Users)
}

// Devices returns a portion of the per device CALs.
func (s *Service) Devices(ctx context.Context, fileName string, p Portion) ([]DeviceEntry, error) {
	return fetch(ctx, s, fileName, p, Entries.Devices)
}

// FailedUsers returns a portion of the users who have no CAL.
func (s *Service) FailedUsers(ctx context.Context, fileName string, p Portion) ([]FailedUserEntry, error) {
	return fetch(ctx, s, fileName, p, Entries.FailedUsers)
}

// FailedDomains returns a portion of the counts of those users by domain.
func (s *Service) FailedDomains(ctx context.Context, fileName string, p Portion) ([]FailedDomainEntry, error) {
	return fetch(ctx, s, fileName, p, Entries.FailedDomains)
}

func fetch[E any](ctx context.Context, s *Service, fileName string, p Portion, read func(e Entries, start, count uint32) ([]E, error)) (list []E, err error) {
	if _, err := s.Report(ctx, fileName); err != nil {
		return nil, err
	}
	entries, err := s.archive.Open(fileName)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, entries.Close()) }()
	if p.Count > 0 {
		return read(entries, p.Start, min(p.Count, MaxPortion))
	}
	// One more than can be returned tells that there are too many.
	list, err = read(entries, p.Start, MaxPortion+1)
	if err == nil && len(list) > MaxPortion {
		return nil, licensing.Faultf(licensing.OutOfRange, "there are more than %d entries from index %d on: ask for a portion of them with Count", MaxPortion, p.Start)
	}
	return list, err
}
