package issuance_test

import (
	"context"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// What the rules allow, worked out from what is stored.

func (f *farm) server() (server licensing.Server, err error) {
	err = f.store.View(context.Background(), func(r store.Reader) error {
		server, err = r.Server()
		return err
	})
	return server, err
}

// serving tells whether a key pack may serve session hosts of a version and mode.
func (s *simulation) serving(pack *licensing.KeyPack, v licensing.ProductVersion, mode licensing.ProductType) bool {
	return pack.ProductType == mode && !pack.OnDemand() && pack.Flag == "" && pack.Expires.After(s.now) &&
		(pack.ProductVersion == v || pack.ProductVersion > v && !s.options.PreventUpgrade)
}

// freePack returns a key pack with a free CAL for session hosts of a version; with below, only one of a version before that.
func (s *simulation) freePack(c *content, v licensing.ProductVersion, mode licensing.ProductType, below licensing.ProductVersion) *licensing.KeyPack {
	for _, pack := range c.packs {
		if s.serving(&pack, v, mode) && pack.Available() > 0 && (below == 0 || pack.ProductVersion < below) {
			return &pack
		}
	}
	return nil
}

// governing returns the version of the key packs whose policies hold for session hosts of a version; 0 if there are none.
func (s *simulation) governing(c *content, v licensing.ProductVersion) (governing licensing.ProductVersion) {
	for _, pack := range c.packs {
		if s.serving(&pack, v, perUser) && (governing == 0 || pack.ProductVersion < governing) {
			governing = pack.ProductVersion
		}
	}
	return governing
}

// anyNumber of CALs may be over-used where nothing denies it.
const anyNumber = 1 << 30

// overUseLeft returns how many more CALs may be over-used for session hosts of a version; it is negative if there are too many.
func (s *simulation) overUseLeft(c *content, v licensing.ProductVersion) int {
	governing := s.governing(c, v)
	if governing == 0 {
		if s.options.OverUse.Policy == licensing.DenyOverUse {
			return 0
		}
		return anyNumber
	}
	left := 0
	for _, pack := range c.packs {
		if pack.Type == licensing.KeyPackOverUsed && s.governing(c, pack.ProductVersion) == governing {
			left -= int(pack.Issued)
		}
		if !s.serving(&pack, v, perUser) || pack.ProductVersion != governing {
			continue
		}
		policy := pack.OverUse
		if policy.Policy == licensing.DefaultOverUse {
			policy = s.options.OverUse
		}
		if policy.Policy != licensing.DenyOverUse {
			return anyNumber
		}
		left += int(pack.Total) * int(policy.DenyBeyond-100) / 100
	}
	return left
}

// overUses tells whether a user has an over-used CAL, under the policies that hold for session hosts of a version.
func (s *simulation) overUses(c *content, userKey string, v licensing.ProductVersion) bool {
	for _, cal := range c.cals {
		pack := c.packs[cal.KeyPackID]
		if cal.Holder == userKey && cal.ProductType == perUser && pack.Type == licensing.KeyPackOverUsed {
			governing := s.governing(c, pack.ProductVersion)
			return governing != 0 && governing == s.governing(c, v)
		}
	}
	return false
}

// overUseIsSettled holds after a sweep: nothing is over-used while a CAL is free that would do.
func (s *simulation) overUseIsSettled() {
	s.t.Helper()
	if !s.activated() {
		return
	}
	after := s.content()
	for _, pack := range after.packs {
		if pack.Type != licensing.KeyPackOverUsed {
			continue
		}
		if free := s.freePack(&after, pack.ProductVersion, perUser, 0); free != nil {
			s.t.Errorf("%d CALs of %s are over-used, though %+v has free ones", pack.Issued, pack.ProductVersion, free)
		}
	}
}

// revoked checks what became of a revocation.
func (s *simulation) revoked(c licensing.CAL, rest issuance.Revocation, err error) {
	s.t.Helper()
	after := s.content()
	var installed, revoked int
	for _, pack := range after.packs {
		if pack.ProductType == perDevice && pack.ProductVersion == c.ProductVersion && s.serving(&pack, c.ProductVersion, perDevice) {
			installed += int(pack.Total)
		}
	}
	for _, other := range after.cals {
		if other.Status == licensing.StatusRevoked && other.ProductVersion == c.ProductVersion && !other.Expired(s.now) {
			revoked++
		}
	}
	most := installed / 5
	possible := c.ProductType == perDevice && c.Status == licensing.StatusActive
	switch {
	case err == nil && (!possible || revoked > most):
		s.t.Errorf("%+v is revoked; of %d CALs %d are", c, installed, revoked)
	case err != nil && possible && (licensing.KindOf(err) != licensing.OutOfRange || revoked < most):
		s.t.Errorf("revoking, of %d CALs %d are revoked: %v", installed, revoked, err)
	case err != nil && !possible:
		s.fails(err, licensing.NotSupported)
	}
	if c.ProductType == perDevice && int(rest.RevokableCALs) != max(most-revoked, 0) || rest.NextRevokeAllowedOn.Before(s.now) {
		s.t.Errorf("of %d CALs %d are revoked, and %+v is said", installed, revoked, rest)
	}
}
