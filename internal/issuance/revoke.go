package issuance

import (
	"context"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// Revoke takes a per device CAL back, which is free at once. At any time at most 20 percent of the installed per device CALs of
// a version are revoked: what is revoked counts until it would have expired. The Revocation tells how far revoking may go on,
// also beside a Fault: NotFound; NotSupported for a CAL that cannot be revoked; OutOfRange at the limit.
func (s *Service) Revoke(ctx context.Context, actor string, id uint32) (rest Revocation, err error) {
	now := s.now()
	rest.NextRevokeAllowedOn = now
	var refused error
	err = s.update(ctx, func(tx store.Tx) error {
		refused = nil
		c, err := tx.CAL(id)
		if err != nil {
			return err
		}
		if rest, err = revocation(tx, now, c.ProductVersion); err != nil {
			return err
		}
		if refused = revokable(&c, rest, now); refused != nil {
			return nil // nothing was changed, and rest is wanted
		}
		if err := s.revoke(tx, now, actor, c); err != nil {
			return err
		}
		rest, err = revocation(tx, now, c.ProductVersion)
		return err
	})
	if err == nil {
		err = refused
	}
	return rest, err
}

func revokable(c *licensing.CAL, rest Revocation, now time.Time) error {
	switch {
	case c.ProductType != licensing.PerDevice:
		return licensing.Faultf(licensing.NotSupported, "CAL %d is per user: only per device CALs can be revoked", c.ID)
	case c.Status == licensing.StatusRevoked:
		return licensing.Faultf(licensing.NotSupported, "CAL %d is revoked already", c.ID)
	case c.Status != licensing.StatusActive:
		return licensing.Faultf(licensing.NotSupported, "CAL %d is %s: only active CALs can be revoked", c.ID, c.Status)
	case rest.RevokableCALs == 0 && !rest.NextRevokeAllowedOn.After(now):
		return licensing.Faultf(licensing.OutOfRange, "%d percent of the installed per device CALs of %s is not one: none can be revoked",
			licensing.RevokablePercent, c.ProductVersion)
	case rest.RevokableCALs == 0:
		return licensing.Faultf(licensing.OutOfRange, "%d percent of the per device CALs of %s are revoked; the next can be revoked on %s",
			licensing.RevokablePercent, c.ProductVersion, rest.NextRevokeAllowedOn.Format(time.RFC3339))
	}
	return nil
}

func (s *Service) revoke(tx store.Tx, now time.Time, actor string, c licensing.CAL) error {
	leases, err := tx.Leases(store.LeaseFilter{CAL: c.ID})
	if err != nil {
		return err
	}
	for _, l := range leases {
		if err := tx.DeleteLease(l.ID); err != nil {
			return err
		}
	}
	c.Status = licensing.StatusRevoked
	if err := tx.UpdateCAL(c); err != nil {
		return err
	}
	if err := uncount(tx, c.KeyPackID); err != nil {
		return err
	}
	return audit(tx, now, actor, "revoke", &c, "")
}

// Revocation tells how many CALs of a version may be revoked now.
func (s *Service) Revocation(ctx context.Context, v licensing.ProductVersion) (rest Revocation, err error) {
	err = s.store.View(ctx, func(r store.Reader) error {
		rest, err = revocation(r, s.now(), v)
		return err
	})
	return rest, err
}

func revocation(r store.Reader, now time.Time, v licensing.ProductVersion) (Revocation, error) {
	rest := Revocation{NextRevokeAllowedOn: now}
	var installed uint64
	for pack, err := range r.KeyPacks() {
		if err != nil {
			return rest, err
		}
		if pack.ProductVersion == v && pack.ProductType == licensing.PerDevice && inForce(&pack, now) {
			installed += uint64(pack.Total)
		}
	}
	most := uint32(min(installed*licensing.RevokablePercent/100, licensing.Unlimited))
	revoked, _, err := r.CountRevoked(v, licensing.PerDevice, now, 0)
	switch {
	case err != nil:
		return rest, err
	case revoked < most:
		rest.RevokableCALs = most - revoked
	case most > 0:
		// The key pack may have shrunk since: so many must be forgotten first that fewer than the limit are left.
		_, rest.NextRevokeAllowedOn, err = r.CountRevoked(v, licensing.PerDevice, now, revoked-most)
	}
	return rest, err
}

// ReleaseCAL takes a CAL back from a user or device that needs it no more. A per device CAL with a term is NotSupported: it is
// revoked, within the limit of revoking. Faults: NotFound; NotSupported.
func (s *Service) ReleaseCAL(ctx context.Context, actor string, id uint32) error {
	return s.update(ctx, func(tx store.Tx) error {
		c, err := tx.CAL(id)
		if err != nil {
			return err
		}
		switch {
		case c.Status == licensing.StatusRevoked:
			return licensing.Faultf(licensing.NotSupported, "CAL %d is revoked already", id)
		case c.Status == licensing.StatusActive && c.ProductType == licensing.PerDevice:
			return licensing.Faultf(licensing.NotSupported, "CAL %d is assigned to a device for a term: revoke it", id)
		}
		now := s.now()
		if c.Status == licensing.StatusTemporary && c.Validated {
			if err := tx.SpendTemporary(c.Holder, c.ProductVersion, now); err != nil {
				return err
			}
		}
		return s.remove(tx, now, actor, "release", c)
	})
}
