package issuance_test

import (
	"context"

	"pgregory.net/rapid"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
)

// decide asks for a CAL, and checks the answer.
func (s *simulation) decide(t *rapid.T, op string, r issuance.Request) {
	key, _ := licensing.UserKey(r.User)
	s.step = step{what: "ask", host: r.Host.Name, session: r.Session, userKey: key}
	t.Logf("%s %s %s: %s session %q provisional %t key %q", r.Host.Name, r.Host.Mode, op, who(r), r.Session, r.Provisional, r.IdempotencyKey)
	f := map[string]action{
		"request": (*issuance.Service).Request, "validate": (*issuance.Service).Validate, "renew": (*issuance.Service).Renew,
	}[op]
	answer, err := f(s.service, context.Background(), r)
	t.Logf("    → %+v, %v", answer, err)
	if op == "validate" {
		r.Provisional = false
	}
	if s.repeated(op, r, answer, err) {
		return
	}
	after := s.content()
	if err != nil {
		s.refused(op, r, &after, err)
		return
	}
	s.given(op, r, &after, answer)
}

// repeated checks the answer to a request whose key was used before.
func (s *simulation) repeated(op string, r issuance.Request, answer issuance.Answer, err error) bool {
	if r.IdempotencyKey == "" {
		return false
	}
	name := r.Host.Name + " " + r.IdempotencyKey
	first, used := s.answers[name]
	if !used {
		if err == nil {
			s.answers[name] = answered{op, r, answer, s.now}
		}
		return false
	}
	same := op == first.op && r.User == first.r.User && r.Device == first.r.Device && r.Session == first.r.Session &&
		r.Provisional == first.r.Provisional
	switch {
	case !same:
		s.fails(err, licensing.AlreadyExists)
	case err != nil:
		s.t.Errorf("the repetition is refused: %v", err)
	default:
		s.sameAnswer(answer, first.answer)
	}
	return true
}

// refused checks that nothing could be had.
func (s *simulation) refused(op string, r issuance.Request, after *content, err error) {
	host, userKey := r.Host, s.step.userKey
	switch licensing.KindOf(err) {
	case licensing.Unlicensed:
	case licensing.NotFound:
		if op != "renew" {
			s.t.Errorf("%s: %v", op, err)
		}
		return
	case licensing.Invalid:
		if host.Mode == perUser && r.User != "" || host.Mode == perDevice && !r.Device.IsZero() {
			s.t.Errorf("%s: %v", op, err)
		}
		return
	default:
		s.t.Errorf("%s: %v", op, err)
		return
	}
	for _, c := range after.cals {
		mine := c.ProductType == host.Mode && (host.Mode == perUser && c.Holder == userKey || host.Mode == perDevice && c.Device == r.Device)
		serves := c.Full() || c.Status == licensing.StatusTemporary && !host.Concurrent
		if mine && serves && c.ProductVersion >= host.ProductVersion && !c.Expired(s.now) {
			s.t.Errorf("%v, but there is %+v", err, c)
		}
	}
	why := reason(err)
	if !s.activated() {
		if why != licensing.TemporaryExpired && (why != licensing.ServerInactive || !r.Device.IsZero()) {
			s.t.Errorf("while not activated: %v", err)
		}
		return
	}
	if pack := s.freePack(after, host.ProductVersion, host.Mode, 0); pack != nil {
		s.t.Errorf("%v, but %s has a free CAL: %+v", err, pack, *pack)
	}
	if host.Mode == perUser {
		more := s.overUseLeft(after, host.ProductVersion)
		if s.overUses(after, userKey, host.ProductVersion) {
			more++ // it would take the place of what the user has
		}
		if more > 0 {
			s.t.Errorf("%v, but %d more may be over-used", err, more)
		}
	} else if why == licensing.OverUseLimit || host.Concurrent == (why == licensing.TemporaryExpired) {
		s.t.Errorf("the reason is wrong: %v", err)
	}
}

func (s *simulation) activated() bool {
	s.t.Helper()
	server, err := s.server()
	s.must(err)
	return server.Activated()
}

// given checks what an answer says, and that it could be given.
func (s *simulation) given(op string, r issuance.Request, after *content, answer issuance.Answer) {
	c, host := answer.CAL, r.Host
	stored, pack := after.cals[c.ID], after.packs[c.KeyPackID]
	if stored != c {
		s.t.Errorf("the answer has %+v; stored is %+v", c, stored)
	}
	if op == "validate" && c.ProductType == perDevice {
		s.authenticated[c.Holder] = true
	}
	if c.Expired(s.now) || c.ProductVersion < host.ProductVersion {
		s.t.Errorf("%+v does not serve %+v", c, host)
	}
	if answer.OverUsed != (pack.Type == licensing.KeyPackOverUsed) {
		s.t.Errorf("the CAL of %+v is over-used: %t", pack, answer.OverUsed)
	}
	s.leaseGiven(r, after, answer)
	if c.Status == licensing.StatusTemporary {
		if host.Concurrent && s.activated() || host.Mode == perUser && s.activated() || op == "validate" && !c.Validated {
			s.t.Errorf("%s gets the temporary %+v", op, c)
		}
		return
	}
	if c.ProductType != host.Mode || host.Mode == perUser && c.Holder != s.step.userKey {
		s.t.Errorf("%s is given %+v", s.step.userKey, c)
	}
	switch answer.Outcome {
	case issuance.Issued, issuance.Upgraded, issuance.Renewed:
		s.drawn(op, r, after, answer)
	}
	if was := s.before.cals[c.ID]; c.Status == licensing.StatusActive && (was.Status != licensing.StatusActive || c.Expires.After(was.Expires)) {
		s.term(r, after, answer)
	}
}

// term checks a CAL that has got a term now.
func (s *simulation) term(r issuance.Request, after *content, answer issuance.Answer) {
	c, pack := answer.CAL, after.packs[answer.CAL.KeyPackID]
	if !s.activated() || !pack.Expires.After(s.now) || pack.Flag != "" {
		s.t.Errorf("a term of %+v: %+v", pack, c)
	}
	shortest, longest := licensing.PerUserTerm, licensing.PerUserTerm
	if c.ProductType == perDevice {
		shortest, longest = licensing.ShortestTerm, licensing.LongestTerm
	}
	if term := c.Expires.Sub(s.now); term > longest || term < shortest && !c.Expires.Equal(pack.Expires) {
		s.t.Errorf("%s for %s: %+v", answer.Outcome, term, c)
	}
	if was := s.before.cals[c.ID].Status; r.Provisional && c.ProductType == perUser && was != licensing.StatusActive {
		s.t.Errorf("the logon is not complete, and gets %+v", c)
	}
}

// drawn checks a CAL that was issued or renewed now: whether its key pack could give it, and for how long.
func (s *simulation) drawn(op string, r issuance.Request, after *content, answer issuance.Answer) {
	c, host, pack := answer.CAL, r.Host, after.packs[answer.CAL.KeyPackID]
	before := s.before.cals[c.ID]
	if !s.activated() || !pack.Expires.After(s.now) || pack.Flag != "" || c.Expires.After(pack.Expires) {
		s.t.Errorf("%s of %+v: %+v", answer.Outcome, pack, c)
	}
	if answer.Outcome == issuance.Renewed {
		if before.Expires.After(s.now.Add(licensing.RenewalWindow)) || pack.OverIssued() && pack.Type != licensing.KeyPackOverUsed {
			s.t.Errorf("renewed is %+v of %+v", before, pack)
		}
		return
	}
	if pack.Type != licensing.KeyPackOverUsed {
		if better := s.freePack(&s.before, host.ProductVersion, host.Mode, c.ProductVersion); better != nil {
			s.t.Errorf("%+v was issued, though %+v is of an older version and has a free one", c, better)
		}
		return
	}
	if free := s.freePack(&s.before, host.ProductVersion, host.Mode, 0); free != nil {
		s.t.Errorf("%+v is over-used, though %+v has a free one", c, free)
	}
	if more := s.overUseLeft(after, host.ProductVersion); more < 0 && s.before.packs[before.KeyPackID].Type != licensing.KeyPackOverUsed {
		s.t.Errorf("%s: the over-use is %d more than what is allowed: %+v", op, -more, c)
	}
}

// leaseGiven checks the session of an answer.
func (s *simulation) leaseGiven(r issuance.Request, after *content, answer issuance.Answer) {
	if !r.Host.Concurrent || !answer.CAL.Full() {
		if answer.Lease != nil {
			s.t.Errorf("a session is counted: %+v", answer.Lease)
		}
		return
	}
	if answer.Lease == nil {
		s.t.Errorf("no session is counted: %+v", answer)
		return
	}
	for _, l := range after.leases {
		if l.ID != answer.Lease.ID {
			continue
		}
		if l != *answer.Lease || l.CAL != answer.CAL.ID || l.Host != r.Host.Name || !l.Expires.After(s.now) ||
			r.Session != "" && l.Session != r.Session || r.User != "" && l.UserKey != s.step.userKey || l.Provisional && !r.Provisional {
			s.t.Errorf("the session is %+v; the answer says %+v", l, *answer.Lease)
		}
		return
	}
	s.t.Errorf("the session of the answer is not there: %+v", *answer.Lease)
}
