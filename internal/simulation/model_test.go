package simulation_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/simulation"
)

// model keeps the rules of issuing for one version of session hosts and CALs, as slowly and plainly as they can be said. It
// stands before the license server, and holds every answer against its own.
type model struct {
	service *issuance.Service
	farm    simulation.Farm
	now     *time.Time
	seats   []*seat
	spent   map[string]bool // the devices that have had their temporary CAL, and authenticated a user with it

	logons, denied [2]int // today
}

// seat is one CAL that is issued.
type seat struct {
	of        licensing.ProductType
	holder    string
	status    licensing.LicenseStatus
	validated bool // the user of a temporary CAL was authenticated
	overUsed  bool
	expires   time.Time
}

const (
	provisional = 2 * time.Minute
	oneDay      = 24 * time.Hour
)

func (m *model) expired(s *seat) bool { return !s.expires.After(*m.now) }

// reclaim takes back what has expired and matches.
func (m *model) reclaim(matches func(*seat) bool) {
	m.seats = slices.DeleteFunc(m.seats, func(s *seat) bool {
		gone := m.expired(s) && matches(s)
		if gone && s.status == licensing.StatusTemporary && s.validated {
			m.spent[s.holder] = true
		}
		return gone
	})
}

// find returns the holder's full or temporary CAL.
func (m *model) find(t licensing.ProductType, holder string, temporary bool) *seat {
	for _, s := range m.seats {
		if s.of == t && s.holder == holder && (s.status == licensing.StatusTemporary) == temporary {
			return s
		}
	}
	return nil
}

func (m *model) installed(t licensing.ProductType) int {
	if t == licensing.PerUser {
		return int(m.farm.UserCALs)
	}
	return int(m.farm.DeviceCALs)
}

// count counts the seats again.
func (m *model) count(t licensing.ProductType) issuance.Counter {
	c := issuance.Counter{ProductType: t, Installed: uint64(m.installed(t))}
	for _, s := range m.seats {
		switch {
		case s.of != t:
		case s.status == licensing.StatusTemporary:
			c.Temporary++
		case s.overUsed:
			c.OverUsed++
		default:
			c.Issued++
		}
	}
	c.Available = c.Installed - c.Issued
	return c
}

// free tells whether a CAL is free, of the expired ones if there is no other.
func (m *model) free(t licensing.ProductType) bool {
	if m.count(t).Available == 0 {
		m.reclaim(func(*seat) bool { return true })
	}
	return m.count(t).Available > 0
}

// allowed tells whether the policy lets so many more per user CALs be over-used.
func (m *model) allowed(more int) bool {
	policy := m.farm.OverUse
	if policy.Policy != licensing.DenyOverUse {
		return true
	}
	return int(m.count(licensing.PerUser).OverUsed)+more <= m.installed(licensing.PerUser)*(int(policy.DenyBeyond)-100)/100
}

// verdict is what the model expects of an answer.
type verdict struct {
	denied   bool
	outcome  issuance.Outcome
	seat     *seat
	newTerm  bool // of a per device CAL, which is random: the answer says it
	overUsed bool
}

// ask decides about a request.
func (m *model) ask(r issuance.Request) verdict {
	t, holder := r.Host.Mode, r.User+r.Device.ID
	m.reclaim(func(s *seat) bool { return s.of == t && s.holder == holder })
	if full := m.find(t, holder, false); full != nil {
		return m.keep(r, full)
	}
	temporary := m.find(t, holder, true)
	if t == licensing.PerDevice && !r.Host.Concurrent && !(temporary != nil && temporary.validated) && !m.spent[holder] {
		return m.temporary(holder, temporary)
	}
	switch {
	case m.free(t):
		v := verdict{outcome: issuance.Issued, seat: &seat{of: t, holder: holder}}
		if temporary := m.find(t, holder, true); temporary != nil {
			v.outcome, v.seat = issuance.Upgraded, temporary
			m.spent[holder] = true
		} else {
			m.seats = append(m.seats, v.seat)
		}
		return m.term(r, v)
	case t == licensing.PerUser && m.allowed(1):
		v := verdict{outcome: issuance.Issued, seat: &seat{of: t, holder: holder, overUsed: true}, overUsed: true}
		m.seats = append(m.seats, v.seat)
		return m.term(r, v)
	case t == licensing.PerDevice && !r.Host.Concurrent:
		return m.temporary(holder, m.find(t, holder, true))
	}
	return verdict{denied: true}
}

// temporary lets a device have its temporary CAL, once.
func (m *model) temporary(holder string, s *seat) verdict {
	if s != nil {
		return verdict{outcome: issuance.Held, seat: s}
	}
	if m.spent[holder] {
		return verdict{denied: true}
	}
	s = &seat{of: licensing.PerDevice, holder: holder, status: licensing.StatusTemporary, expires: m.now.Add(90 * oneDay)}
	m.seats = append(m.seats, s)
	return verdict{outcome: issuance.Issued, seat: s}
}

// term begins the term of a CAL that is assigned.
func (m *model) term(r issuance.Request, v verdict) verdict {
	s := v.seat
	switch {
	case r.Host.Concurrent:
		s.status, s.expires = licensing.StatusConcurrent, m.now.Add(provisional)
		if !r.Provisional {
			s.expires = m.now.Add(r.Host.LeaseTTL)
		}
	case s.of == licensing.PerDevice:
		s.status, v.newTerm = licensing.StatusActive, true
	case r.Provisional:
		s.status, s.expires = licensing.StatusPending, m.now.Add(provisional)
	default:
		s.status, s.expires = licensing.StatusActive, m.now.Add(60*oneDay)
	}
	return v
}

// keep lets a holder keep its CAL.
func (m *model) keep(r issuance.Request, s *seat) verdict {
	if s.overUsed && m.free(s.of) {
		s.overUsed = false
	}
	v := verdict{outcome: issuance.Held, seat: s, overUsed: s.overUsed}
	due := s.status == licensing.StatusActive && !s.expires.After(m.now.Add(7*oneDay))
	switch {
	case s.status == licensing.StatusConcurrent && !r.Provisional:
		s.expires = m.now.Add(r.Host.LeaseTTL)
	case s.status == licensing.StatusPending:
		return m.term(r, v)
	case due && (!s.overUsed || m.allowed(0)):
		v.outcome = issuance.Renewed
		return m.term(issuance.Request{Host: r.Host}, v)
	}
	return v
}

// check holds an answer against the verdict.
func (m *model) check(r issuance.Request, v verdict, a issuance.Answer, err error) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("model: %s %s%s on %s: %s", m.now.Format(time.DateTime), r.User, r.Device.ID, r.Host.Name, fmt.Sprintf(format, args...))
	}
	if v.denied {
		if licensing.KindOf(err) != licensing.Unlicensed {
			return fail("%v, %v; want a denial", a, err)
		}
		return err
	}
	if err != nil {
		return fail("%v; want it %s", err, v.outcome)
	}
	if v.newTerm {
		term := a.CAL.Expires.Sub(*m.now)
		if term < 52*oneDay || term > 89*oneDay || term%oneDay != 0 {
			return fail("a term of %s", term)
		}
		v.seat.expires = a.CAL.Expires
	}
	got := seat{
		of: a.CAL.ProductType, holder: v.seat.holder, status: a.CAL.Status, validated: a.CAL.Validated, overUsed: a.OverUsed, expires: a.CAL.Expires,
	}
	want := *v.seat
	got.validated = got.validated && want.status == licensing.StatusTemporary // it means nothing afterwards
	want.validated = want.validated && want.status == licensing.StatusTemporary
	if a.Outcome != v.outcome || got != want || a.OverUsed != v.overUsed {
		return fail("%s %+v; want %s %+v", a.Outcome, got, v.outcome, want)
	}
	return nil
}

// Request asks both.
func (m *model) Request(ctx context.Context, r issuance.Request) (issuance.Answer, error) {
	m.logons[r.Host.Mode]++
	a, err := m.service.Request(ctx, r)
	return a, m.tally(r, m.check(r, m.ask(r), a, err))
}

// Validate asks both.
func (m *model) Validate(ctx context.Context, r issuance.Request) (issuance.Answer, error) {
	a, err := m.service.Validate(ctx, r)
	v := m.ask(r)
	if v.outcome == issuance.Held || v.seat != nil && v.seat.status == licensing.StatusTemporary && !v.seat.validated {
		v.outcome = issuance.Validated
	}
	if v.seat != nil {
		v.seat.validated = true
	}
	return a, m.tally(r, m.check(r, v, a, err))
}

func (m *model) tally(r issuance.Request, err error) error {
	if licensing.KindOf(err) == licensing.Unlicensed {
		m.denied[r.Host.Mode]++
	}
	return err
}

// Release ends the session, and frees its CAL.
func (m *model) Release(ctx context.Context, r issuance.Request) (issuance.Ended, error) {
	ended, err := m.service.Release(ctx, r)
	freed := 0
	m.seats = slices.DeleteFunc(m.seats, func(s *seat) bool {
		gone := s.of == r.Host.Mode && s.holder == r.User+r.Device.ID && s.status == licensing.StatusConcurrent
		if gone {
			freed++
		}
		return gone
	})
	if err == nil && ended.CALs != freed {
		err = fmt.Errorf("model: the release of %+v freed %d CALs; want %d", r, ended.CALs, freed)
	}
	return ended, err
}

// Sweep takes back what has expired, and gives over-used CALs, the oldest first, what is free.
func (m *model) Sweep(ctx context.Context) (int, error) {
	m.reclaim(func(*seat) bool { return true })
	for _, s := range m.seats {
		if s.overUsed && m.count(s.of).Available > 0 {
			s.overUsed = false
		}
	}
	return m.service.Sweep(ctx)
}

// Counters compares the license server's counters with the seats.
func (m *model) Counters(ctx context.Context) ([]issuance.Counter, error) {
	counters, err := m.service.Counters(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range []licensing.ProductType{licensing.PerDevice, licensing.PerUser} {
		got := issuance.Counter{ProductType: t}
		for _, c := range counters {
			if c.ProductType == t {
				got = c
			}
		}
		got.ProductVersion, got.Denied = 0, 0
		if want := m.count(t); got != want {
			return nil, fmt.Errorf("model: %s: the counters are %+v; want %+v", m.now.Format(time.DateTime), got, want)
		}
	}
	return counters, nil
}
