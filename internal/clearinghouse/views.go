package clearinghouse

import (
	"context"

	"calkeeper/internal/licensing"
)

// EntitlementView is an entitlement with its accounts.
type EntitlementView struct {
	Entitlement
	Balances []Balance
}

// Organizations lists the organizations, without their enrolment keys.
func (s *Service) Organizations(ctx context.Context) (list []Organization, err error) {
	err = s.store.View(ctx, func(r Reader) error {
		list, err = r.Organizations()
		return err
	})
	return list, err
}

// Entitlements lists what was sold to an organization, or to all, and who holds it.
func (s *Service) Entitlements(ctx context.Context, organization string) (views []EntitlementView, err error) {
	err = s.store.View(ctx, func(r Reader) error {
		list, err := r.Entitlements(organization)
		if err != nil {
			return err
		}
		for _, e := range list {
			balances, err := r.Balances(e.ID)
			if err != nil {
				return err
			}
			views = append(views, EntitlementView{e, balances})
		}
		return nil
	})
	return views, err
}

// ServerView is a license server with whether it is in contact now, and what it holds.
type ServerView struct {
	Server
	Reachable bool
	Holdings  []Balance
}

// Servers lists the license servers of an organization, or all.
func (s *Service) Servers(ctx context.Context, organization string) (views []ServerView, err error) {
	err = s.store.View(ctx, func(r Reader) error {
		list, err := r.Servers(organization)
		if err != nil {
			return err
		}
		for _, v := range list {
			holdings, err := r.Holdings(ServerHolder(v.ID))
			if err != nil {
				return err
			}
			views = append(views, ServerView{v, s.hub.reachable(v.ID), holdings})
		}
		return nil
	})
	return views, err
}

// Transfers lists all imports, oldest first.
func (s *Service) Transfers(ctx context.Context) (list []Transfer, err error) {
	err = s.store.View(ctx, func(r Reader) error {
		list, err = r.Transfers()
		return err
	})
	return list, err
}

// Codes lists the offline codes that were given out.
func (s *Service) Codes(ctx context.Context) (list []Code, err error) {
	err = s.store.View(ctx, func(r Reader) error {
		list, err = r.Codes()
		return err
	})
	return list, err
}

// Ledger lists at most limit entries after one, oldest first.
func (s *Service) Ledger(ctx context.Context, after uint64, limit int) (list []Entry, err error) {
	if limit <= 0 || limit > 10000 {
		return nil, licensing.Faultf(licensing.Invalid, "the limit is %d; 1 to 10000 are right", limit)
	}
	err = s.store.View(ctx, func(r Reader) error {
		list, err = r.Entries(after, limit)
		return err
	})
	return list, err
}

// Check recounts the ledger and returns what does not agree: nothing, if all is well.
func (s *Service) Check(ctx context.Context) (wrong []string, err error) {
	err = s.store.View(ctx, func(r Reader) error {
		wrong, err = r.Check()
		return err
	})
	return wrong, err
}
