package issuance_test

import (
	"context"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// TestLeaseEnds: a session that nobody renews is over, and its CAL is free; one that is renewed lives.
func TestLeaseEnds(t *testing.T) {
	modes(t, func(t *testing.T, f *farm, host licensing.Host, pool uint32) {
		a := f.validate(host, on("ada", "d1", ":10"), issuance.Issued)
		f.validate(host, on("bob", "d2", ":11"), issuance.Issued)
		for range 5 {
			f.pass(59 * time.Minute)
			l, err := f.service.RenewLease(context.Background(), host, a.Lease.ID)
			f.must(err)
			if !l.Expires.Equal(f.now.Add(time.Hour)) {
				t.Errorf("the lease is renewed until %s", l.Expires)
			}
			f.expires(f.cal(a.CAL.ID), f.now.Add(time.Hour))
			f.sweep()
		}
		f.issued(pool, 1)
		f.pass(time.Hour)
		f.sweep()
		f.nothingExpired()
		f.issued(pool, 0)
		_, err := f.service.RenewLease(context.Background(), host, a.Lease.ID)
		f.fails(err, licensing.NotFound)
	})
}

// TestExpiredSessionsAreFreeBeforeTheSweep: nobody is denied because of a session that is over.
func TestExpiredSessionsAreFreeBeforeTheSweep(t *testing.T) {
	modes(t, func(t *testing.T, f *farm, host licensing.Host, pool uint32) {
		for _, name := range []string{"1", "2", "3"} {
			f.validate(host, on("u"+name, "d"+name, ":"+name), issuance.Issued)
		}
		f.pass(time.Hour)
		f.request(host, on("ada", "d9", ":9"), issuance.Issued)
		f.issued(pool, 1)
	})
}

// TestLeasesOfOthers: a session host renews and ends its own leases only; an administrator any.
func TestLeasesOfOthers(t *testing.T) {
	modes(t, func(t *testing.T, f *farm, host licensing.Host, pool uint32) {
		other := f.concurrent("other.example.net", ws2022, host.Mode)
		a := f.validate(host, on("ada", "d1", ":10"), issuance.Issued)
		_, err := f.service.RenewLease(context.Background(), other, a.Lease.ID)
		f.fails(err, licensing.NotFound)
		_, err = f.service.EndLease(context.Background(), other.Name, other.Name, a.Lease.ID)
		f.fails(err, licensing.NotFound)
		f.release(other, on("ada", "d1", ":10"), issuance.Ended{})
		f.issued(pool, 1)
		ended, err := f.service.EndLease(context.Background(), "admin", "", a.Lease.ID)
		f.must(err)
		if ended != one {
			t.Errorf("ended: %+v", ended)
		}
		_, err = f.service.EndLease(context.Background(), "admin", "", a.Lease.ID)
		f.fails(err, licensing.NotFound)
		b := f.validate(host, on("ada", "d1", ":10"), issuance.Issued)
		if ended, err = f.service.EndLease(context.Background(), host.Name, host.Name, b.Lease.ID); err != nil || ended != one {
			t.Errorf("its own: %+v, %v", ended, err)
		}
	})
}

// TestRemoveHost: the sessions of a session host that is removed use no CALs any more.
func TestRemoveHost(t *testing.T) {
	modes(t, func(t *testing.T, f *farm, host licensing.Host, pool uint32) {
		other := f.concurrent("other.example.net", ws2022, host.Mode)
		f.validate(host, on("ada", "d1", ":10"), issuance.Issued)
		f.validate(other, on("ada", "d1", ":10"), issuance.Validated)
		f.validate(host, on("bob", "d2", ":11"), issuance.Issued)
		f.request(host, provisional(on("carol", "d3", "")), issuance.Issued)
		f.must(f.service.RemoveHost(context.Background(), "admin", "XRDP.example.net"))
		f.issued(pool, 1)
		if leases := f.leases(); len(leases) != 1 || leases[0].Host != other.Name {
			t.Errorf("the leases are %+v", leases)
		}
	})
}

// TestUpgradeKeepsOtherSessions: a newer CAL takes the place of a concurrent one, whose other sessions live on.
func TestUpgradeKeepsOtherSessions(t *testing.T) {
	modes(t, func(t *testing.T, f *farm, host licensing.Host, pool uint32) {
		newer, newPool := f.concurrent("newer.example.net", ws2025, host.Mode), f.install(ws2025, host.Mode, 1)
		a := f.validate(host, on("ada", "d1", ":10"), issuance.Issued)
		b := f.request(newer, provisional(on("ada", "d1", "")), issuance.Upgraded)
		f.issued(pool, 0)
		f.issued(newPool, 1)
		f.expires(b.CAL, a.Lease.Expires)
		f.pass(10 * time.Minute) // that logon fails
		f.sweep()
		if _, err := f.service.RenewLease(context.Background(), host, a.Lease.ID); err != nil {
			t.Errorf("the session on the older session host: %v", err)
		}
		f.issued(newPool, 1)
		f.release(host, on("", "", ":10"), one)
		f.issued(newPool, 0)
	})
}

// TestConcurrentAndTerm: one user, one CAL, on session hosts of both kinds.
func TestConcurrentAndTerm(t *testing.T) {
	setUp := func(t *testing.T) (f *farm, counts, terms licensing.Host, pool uint32) {
		f = newFarm(t, issuance.Policies{OverUse: licensing.OverUse{Policy: licensing.DenyOverUse}})
		return f, f.concurrent("xrdp.example.net", ws2022, perUser), f.host("rdsh.example.net", ws2022, perUser), f.install(ws2022, perUser, 1)
	}
	t.Run("a term first", func(t *testing.T) {
		f, counts, terms, pool := setUp(t)
		a := f.request(terms, user("ada"), issuance.Issued)
		b := f.validate(counts, on("ada", "d1", ":10"), issuance.Validated)
		if b.CAL.ID != a.CAL.ID || b.CAL.Status != licensing.StatusActive || b.Lease == nil {
			t.Errorf("the session uses %+v, %+v", b.CAL, b.Lease)
		}
		f.expires(f.cal(a.CAL.ID), a.CAL.Expires)
		f.release(counts, on("", "", ":10"), issuance.Ended{Leases: 1})
		f.issued(pool, 1)
	})
	t.Run("a session first", func(t *testing.T) {
		f, counts, terms, pool := setUp(t)
		a := f.validate(counts, on("ada", "d1", ":10"), issuance.Issued)
		b := f.request(terms, provisional(user("ada")), issuance.Held)
		if b.CAL.ID != a.CAL.ID || b.CAL.Status != licensing.StatusConcurrent {
			t.Errorf("before the logon is complete ada has %+v", b.CAL)
		}
		c := f.validate(terms, user("ada"), issuance.Validated)
		if c.CAL.ID != a.CAL.ID || c.CAL.Status != licensing.StatusActive {
			t.Errorf("the term is %+v", c.CAL)
		}
		f.expires(c.CAL, f.now.Add(60*day))
		f.release(counts, on("", "", ":10"), issuance.Ended{Leases: 1})
		f.issued(pool, 1)
	})
	t.Run("a logon with a term under way", func(t *testing.T) {
		f, counts, terms, pool := setUp(t)
		a := f.request(terms, provisional(user("ada")), issuance.Issued)
		b := f.validate(counts, on("ada", "d1", ":10"), issuance.Validated)
		if b.CAL.ID != a.CAL.ID || b.CAL.Status != licensing.StatusConcurrent {
			t.Errorf("the session has %+v", b.CAL)
		}
		f.expires(b.CAL, f.now.Add(time.Hour))
		f.release(terms, user("ada"), issuance.Ended{}) // that logon has failed
		f.issued(pool, 1)
		f.release(counts, on("", "", ":10"), one)
		f.issued(pool, 0)
	})
}

// TestConcurrentCALEndsWithItsKeyPack: no CAL outlives its key pack, however its session is renewed.
func TestConcurrentCALEndsWithItsKeyPack(t *testing.T) {
	for _, mode := range []licensing.ProductType{perDevice, perUser} {
		t.Run(mode.String(), func(t *testing.T) {
			f := newFarm(t, issuance.Policies{OverUse: licensing.OverUse{Policy: licensing.DenyOverUse}})
			host := f.concurrent("xrdp.example.net", ws2022, mode)
			f.installUntil(ws2022, mode, 3, f.now.Add(90*time.Minute))
			end := f.now.Add(90 * time.Minute)
			a := f.validate(host, on("ada", "d1", ":10"), issuance.Issued)
			f.pass(50 * time.Minute)
			b := f.validate(host, on("bob", "d2", ":11"), issuance.Issued)
			_, err := f.service.RenewLease(context.Background(), host, a.Lease.ID)
			f.must(err)
			for _, id := range []uint32{a.CAL.ID, b.CAL.ID} {
				if c := f.cal(id); c.Expires.After(end) {
					t.Errorf("CAL %d ends on %s, its key pack on %s", id, c.Expires, end)
				}
			}
			f.now = end
			f.sweep()
			if left := f.cals(store.CALFilter{}); len(left) > 0 {
				t.Errorf("the key pack has ended, and %+v is left", left)
			}
		})
	}
}

// TestSessionOfACALThatMoved: a session that began with a CAL of another key pack does not let it outlive the one that it is of now.
func TestSessionOfACALThatMoved(t *testing.T) {
	modes(t, func(t *testing.T, f *farm, host licensing.Host, pool uint32) {
		newer, end := f.concurrent("newer.example.net", ws2025, host.Mode), f.now.Add(30*time.Minute)
		f.installUntil(ws2025, host.Mode, 1, end)
		a := f.validate(host, on("ada", "d1", ":10"), issuance.Issued)
		b := f.validate(newer, on("ada", "d1", ":10"), issuance.Upgraded)
		f.expires(b.CAL, end)
		f.expires(f.request(host, on("ada", "d1", ""), issuance.Held).CAL, end)
		_, err := f.service.RenewLease(context.Background(), host, a.Lease.ID)
		f.must(err)
		f.expires(f.cal(b.CAL.ID), end)
	})
}

// TestLivingSessionRenewsItsCAL: a session that lives longer than the term of its CAL keeps it.
func TestLivingSessionRenewsItsCAL(t *testing.T) {
	modes(t, func(t *testing.T, f *farm, host licensing.Host, pool uint32) {
		term := f.host("term.example.net", ws2019, host.Mode)
		f.request(term, on("ada", "d1", ""), issuance.Issued)
		f.validate(term, on("ada", "d1", ""), issuance.Validated)
		f.request(term, on("ada", "d1", ""), f.secondOutcome(host.Mode))
		host.LeaseTTL = 24 * time.Hour
		a := f.validate(host, on("ada", "d1", ":10"), issuance.Validated)
		if a.CAL.Status != licensing.StatusActive || a.Lease == nil {
			t.Fatalf("the session uses %+v, %+v", a.CAL, a.Lease)
		}
		for range 100 {
			f.pass(24*time.Hour - time.Minute)
			l, err := f.service.RenewLease(context.Background(), host, a.Lease.ID)
			f.must(err)
			if l.ID != a.Lease.ID || l.CAL != a.CAL.ID {
				t.Fatalf("the lease is %+v", l)
			}
		}
		f.sweep()
		if c := f.cal(a.CAL.ID); !c.Expires.After(f.now) {
			t.Errorf("after 100 days the CAL has ended on %s", c.Expires)
		}
		f.nothingExpired()
	})
}
