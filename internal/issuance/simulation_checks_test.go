package issuance_test

import (
	"pgregory.net/rapid"

	"calkeeper/internal/licensing"
)

// invariant holds after every step.
func (s *simulation) invariant(*rapid.T) {
	after := s.recount()
	for _, l := range after.leases {
		if !l.Provisional {
			s.authenticated[l.DeviceKey] = true
		}
	}
	for id, c := range after.cals {
		before, known := s.before.cals[id]
		s.checkTemporary(c)
		if c.Status != licensing.StatusActive {
			continue
		}
		if c.ProductType == perDevice && !s.authenticated[c.Holder] {
			s.t.Errorf("nobody has logged on at the device %s, which has a CAL until %s", c.Holder, c.Expires)
		}
		same := known && before.Status == licensing.StatusActive && before.Issued.Equal(c.Issued) && before.ProductVersion == c.ProductVersion
		if same && c.Expires.After(before.Expires) && before.Expires.After(s.now.Add(licensing.RenewalWindow)) {
			s.t.Errorf("on %s the CAL is renewed that ends on %s: %+v", s.now, before.Expires, c)
		}
	}
	for id, pack := range after.packs {
		if pack.Issued > s.before.packs[id].Issued && !pack.OnDemand() && pack.Issued+pack.Held > pack.Total {
			s.t.Errorf("more is issued of %+v; it was %+v", pack, s.before.packs[id])
		}
	}
	s.checkGone(&after)
	s.before, s.step = after, step{}
}

// checkTemporary: a device gets one temporary CAL of a version, from that a user has logged on with.
func (s *simulation) checkTemporary(c licensing.CAL) {
	last, known := s.temporary[temporary{c.Holder, c.ProductVersion}]
	switch {
	case c.Status != licensing.StatusTemporary:
	case known && last.ID != c.ID && last.Validated:
		s.t.Errorf("%s gets a second temporary CAL: %+v, after %+v", c.Holder, c, last)
	default:
		s.temporary[temporary{c.Holder, c.ProductVersion}] = c
	}
}

// checkGone: a CAL with a term goes only when that ends, or an administrator takes it; a session only when it ends.
func (s *simulation) checkGone(after *content) {
	for id, c := range s.before.cals {
		now, there := after.cals[id]
		taken := id == s.step.cal && (s.step.what == "revoke" || s.step.what == "release CAL")
		switch {
		case c.Status == licensing.StatusActive && !c.Expired(s.now) && !taken && (!there || now.Status != licensing.StatusActive):
			s.t.Errorf("%+v has gone: %+v, %+v", c, now, s.step)
		case c.Status == licensing.StatusTemporary && !c.Expired(s.now) && !taken && !there && !s.hasFull(after, c):
			s.t.Errorf("the temporary %+v has gone, and no CAL has come in its place: %+v", c, s.step)
		case there && now.Issued.Equal(c.Issued) && now.ProductVersion < c.ProductVersion:
			s.t.Errorf("%+v has become older: %+v", c, now)
		}
	}
	sessions := map[uint64]licensing.Lease{}
	for _, l := range after.leases {
		sessions[l.ID] = l
	}
	for _, l := range s.before.leases {
		now, there := sessions[l.ID]
		if there && l.UserKey != "" && now.UserKey != l.UserKey {
			s.t.Errorf("the session %+v has become another user's: %+v", l, now)
		}
		c := s.before.cals[l.CAL]
		if there || !l.Expires.After(s.now) || c.Expired(s.now) || s.explains(l) {
			continue
		}
		s.t.Errorf("the session %+v has gone, with %+v: %+v", l, c, s.step)
	}
}

// hasFull tells whether the holder of a temporary CAL has a full one that is as new.
func (s *simulation) hasFull(after *content, temporary licensing.CAL) bool {
	for _, c := range after.cals {
		if c.Full() && c.Holder == temporary.Holder && c.ProductType == temporary.ProductType && c.ProductVersion >= temporary.ProductVersion {
			return true
		}
	}
	return false
}

// explains tells whether what was done may have ended a session.
func (s *simulation) explains(l licensing.Lease) bool {
	switch s.step.what {
	case "release", "remove host":
		return l.Host == s.step.host
	case "end lease":
		return true
	case "revoke", "release CAL":
		return l.CAL == s.step.cal
	case "ask": // somebody else has the session of that name, or a logon has led to a session
		return l.Host == s.step.host && (l.Session != "" && l.Session == s.step.session && l.UserKey != s.step.userKey ||
			l.Session == "" && l.UserKey == s.step.userKey)
	}
	return false
}
