package issuance_test

import (
	"context"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// one is what ending the last session of a CAL does.
var one = issuance.Ended{Leases: 1, CALs: 1}

// modes runs a test for session hosts that count sessions per device and per user.
func modes(t *testing.T, test func(t *testing.T, f *farm, host licensing.Host, pool uint32)) {
	for _, mode := range []licensing.ProductType{perDevice, perUser} {
		t.Run(mode.String(), func(t *testing.T) {
			f := newFarm(t, issuance.Policies{OverUse: licensing.OverUse{Policy: licensing.DenyOverUse}})
			test(t, f, f.concurrent("xrdp.example.net", ws2022, mode), f.install(ws2022, mode, 3))
		})
	}
}

// TestLogon: a logon has its CAL provisionally, and for two minutes; the session makes it final.
func TestLogon(t *testing.T) {
	modes(t, func(t *testing.T, f *farm, host licensing.Host, pool uint32) {
		a := f.request(host, provisional(on("ada", "d1", "")), issuance.Issued)
		if a.CAL.Status != licensing.StatusConcurrent || a.Lease == nil || !a.Lease.Provisional || a.Lease.Session != "" {
			t.Fatalf("the logon gets %+v, %+v", a, a.Lease)
		}
		f.expires(a.CAL, f.now.Add(2*time.Minute))
		f.pass(time.Minute)
		again := f.request(host, provisional(on("ada", "d1", "")), issuance.Held) // PAM asks twice
		if again.CAL.ID != a.CAL.ID || again.Lease.ID != a.Lease.ID {
			t.Errorf("the logon asked again, and got %+v, %+v", again.CAL, again.Lease)
		}
		f.pass(time.Minute)
		v := f.validate(host, on("ada", "d1", ":10"), issuance.Validated)
		if v.CAL.ID != a.CAL.ID || v.Lease.ID != a.Lease.ID || v.Lease.Provisional || v.Lease.Session != ":10" {
			t.Errorf("the session has %+v, %+v", v.CAL, v.Lease)
		}
		f.expires(v.CAL, f.now.Add(time.Hour))
		f.issued(pool, 1)
		f.release(host, on("", "", ":10"), one)
		f.gone(a.CAL.ID)
		f.issued(pool, 0)
		f.release(host, on("", "", ":10"), issuance.Ended{})
	})
}

// TestLogonWithoutDevice: when the session begins, the session host may not know any more from where.
func TestLogonWithoutDevice(t *testing.T) {
	modes(t, func(t *testing.T, f *farm, host licensing.Host, pool uint32) {
		a := f.request(host, provisional(on("ada", "d1", "")), issuance.Issued)
		v := f.validate(host, on("ada", "", ":10"), issuance.Validated)
		if v.CAL.ID != a.CAL.ID || v.Lease.ID != a.Lease.ID || v.Lease.Device.ID != "d1" {
			t.Errorf("the session has %+v, %+v", v.CAL, v.Lease)
		}
		f.issued(pool, 1)
	})
}

// TestBrokenLogon: what a logon had that failed is free again, at once or after two minutes.
func TestBrokenLogon(t *testing.T) {
	modes(t, func(t *testing.T, f *farm, host licensing.Host, pool uint32) {
		f.request(host, provisional(on("ada", "d1", "")), issuance.Issued)
		f.release(host, on("ada", "d1", ""), one)
		f.issued(pool, 0)
		f.request(host, provisional(on("ada", "d1", "")), issuance.Issued)
		f.pass(2*time.Minute - time.Microsecond)
		f.sweep()
		f.issued(pool, 1)
		f.pass(time.Microsecond)
		f.sweep()
		f.nothingExpired()
		f.issued(pool, 0)
	})
}

// TestReconnect: a user who comes back keeps lease and CAL, and a logon that fails then does not end the session.
func TestReconnect(t *testing.T) {
	modes(t, func(t *testing.T, f *farm, host licensing.Host, pool uint32) {
		a := f.validate(host, on("ada", "d1", ":10"), issuance.Issued)
		f.pass(30 * time.Minute)
		b := f.request(host, provisional(on("ada", "d1", "")), issuance.Held)
		if b.Lease.ID != a.Lease.ID || b.Lease.Provisional || !b.Lease.Expires.Equal(f.now.Add(time.Hour)) || b.Lease.Session != ":10" {
			t.Errorf("the user comes back to %+v", b.Lease)
		}
		f.release(host, on("ada", "d1", ""), issuance.Ended{})
		f.issued(pool, 1)
		f.release(host, on("ada", "d1", ":10"), one)
	})
}

// TestTakeOver: a user who comes from another device takes his session, and a CAL of the device, with him.
func TestTakeOver(t *testing.T) {
	modes(t, func(t *testing.T, f *farm, host licensing.Host, pool uint32) {
		a := f.validate(host, on("ada", "d1", ":10"), issuance.Issued)
		b := f.request(host, provisional(on("EXAMPLE\\ada", "d2", "")), issuance.Issued)
		_ = b
		f.release(host, on("EXAMPLE\\ada", "d2", ""), one) // a domain's ada is somebody else
		b = f.request(host, provisional(on("ADA", "d2", "")), issuance.TakenOver)
		if b.CAL.ID != a.CAL.ID || b.Lease.ID != a.Lease.ID || b.Lease.Device.ID != "d2" || b.CAL.Device.ID != "d2" {
			t.Errorf("from the second device: %+v, %+v", b.CAL, b.Lease)
		}
		f.issued(pool, 1)
		f.release(host, on("", "", ":10"), one)
		f.issued(pool, 0)
	})
}

// TestTakeOverLeavesOthers: a CAL of a device that somebody else uses as well, or that has a term, stays with the device.
func TestTakeOverLeavesOthers(t *testing.T) {
	t.Run("another session", func(t *testing.T) {
		f := newFarm(t, issuance.Policies{})
		host, pool := f.concurrent("xrdp.example.net", ws2022, perDevice), f.install(ws2022, perDevice, 2)
		a := f.validate(host, on("ada", "d1", ":10"), issuance.Issued)
		f.validate(host, on("bob", "d1", ":11"), issuance.Validated)
		b := f.request(host, on("ada", "d2", ""), issuance.Issued)
		if b.CAL.ID == a.CAL.ID || b.Lease.ID != a.Lease.ID || f.cal(a.CAL.ID).Holder != "id:d1" {
			t.Errorf("from the second device: %+v, %+v", b.CAL, b.Lease)
		}
		f.issued(pool, 2)
		f.release(host, on("", "", ":11"), one)
		f.gone(a.CAL.ID)
		f.refuse(host, on("carol", "d3", ""), f.after(host, on("", "d4", ":12"), licensing.NoFreeCAL))
	})
	t.Run("a term", func(t *testing.T) {
		f := newFarm(t, issuance.Policies{})
		terms, host := f.host("rdsh.example.net", ws2022, perDevice), f.concurrent("xrdp.example.net", ws2022, perDevice)
		pool := f.install(ws2022, perDevice, 2)
		c := f.licensedDevice(terms, "d1")
		f.validate(host, on("ada", "d1", ":10"), issuance.Validated)
		f.request(host, on("ada", "d2", ""), issuance.Issued)
		if left := f.cal(c.ID); left.Holder != "id:d1" || left.Status != licensing.StatusActive {
			t.Errorf("the first device is left with %+v", left)
		}
		f.issued(pool, 2)
		f.release(host, on("", "", ":10"), one)
		f.issued(pool, 1)
	})
	t.Run("no CAL is free for the second device", func(t *testing.T) {
		f := newFarm(t, issuance.Policies{})
		host := f.concurrent("xrdp.example.net", ws2022, perDevice)
		f.install(ws2022, perDevice, 1)
		a := f.validate(host, on("ada", "d1", ":10"), issuance.Issued)
		f.validate(host, on("bob", "d1", ":11"), issuance.Validated)
		f.refuse(host, on("ada", "d2", ""), licensing.NoFreeCAL)
		if leases := f.leases(); len(leases) != 2 || leases[0].CAL != a.CAL.ID || leases[0].Device.ID != "d1" {
			t.Errorf("the denial has changed the sessions: %+v", leases)
		}
	})
}

// after makes a session for which the last CAL is used, and returns the reason why the next is denied.
func (f *farm) after(host licensing.Host, r issuance.Request, reason licensing.DenialReason) licensing.DenialReason {
	f.t.Helper()
	f.request(host, r, issuance.Issued)
	return reason
}

// TestSecondSession: the CAL is freed with the last of the sessions that use it, on whatever session host.
func TestSecondSession(t *testing.T) {
	modes(t, func(t *testing.T, f *farm, host licensing.Host, pool uint32) {
		other := f.concurrent("other.example.net", ws2019, host.Mode)
		a := f.validate(host, on("ada", "d1", ":10"), issuance.Issued)
		b := f.validate(host, on("ada", "d1", ":11"), issuance.Validated)
		c := f.validate(other, on("ada", "d1", ":10"), issuance.Validated)
		if b.CAL.ID != a.CAL.ID || c.CAL.ID != a.CAL.ID || len(f.leases()) != 3 {
			t.Errorf("the sessions use %+v", f.leases())
		}
		f.release(host, on("", "", ":10"), issuance.Ended{Leases: 1})
		f.release(other, on("", "", ":10"), issuance.Ended{Leases: 1})
		f.issued(pool, 1)
		f.release(host, on("", "", ":11"), one)
		f.issued(pool, 0)
	})
}

// TestSessionNameIsUsedAgain: a session of that name which another user has now is over, and what it used is free; the CAL of the
// one who asks is not.
func TestSessionNameIsUsedAgain(t *testing.T) {
	modes(t, func(t *testing.T, f *farm, host licensing.Host, pool uint32) {
		for _, from := range []string{"d1", "d2"} {
			f.validate(host, on("ada", "d1", ":10"), issuance.Issued)
			b, err := f.service.Validate(context.Background(), issuance.Request{
				Host: host, User: "bob", Device: licensing.Device{ID: from}, Session: ":10",
			})
			f.must(err)
			if leases := f.leases(); len(leases) != 1 || leases[0].User != "bob" || leases[0].CAL != b.CAL.ID {
				t.Errorf("from %s: the sessions are %+v", from, leases)
			}
			f.issued(pool, 1)
			f.release(host, on("ada", "", ":10"), issuance.Ended{})
			f.release(host, on("bob", "", ":10"), one)
			f.issued(pool, 0)
		}
	})
}

// TestTwoLogonsOneSession: two logons of a user that lead to one session leave one lease, and the CAL of the device that he is at.
func TestTwoLogonsOneSession(t *testing.T) {
	modes(t, func(t *testing.T, f *farm, host licensing.Host, pool uint32) {
		f.request(host, provisional(on("ada", "d1", "")), issuance.Issued)
		_, err := f.service.Request(context.Background(), issuance.Request{
			Host: host, User: "ada", Device: licensing.Device{ID: "d2"}, Provisional: true,
		})
		f.must(err)
		f.validate(host, on("ada", "d1", ":10"), issuance.Validated)
		b := f.validate(host, on("ada", "d2", ":10"), issuance.TakenOver)
		if leases := f.leases(); len(leases) != 1 || leases[0].Device.ID != "d2" || leases[0].CAL != b.CAL.ID {
			t.Errorf("the sessions are %+v", leases)
		}
		f.issued(pool, 1)
	})
}

// TestSessionOfDeviceWithoutUser: a per device session host may say who the user is, and may leave it out.
func TestSessionOfDeviceWithoutUser(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host, pool := f.concurrent("xrdp.example.net", ws2022, perDevice), f.install(ws2022, perDevice, 2)
	a := f.validate(host, on("ada", "d1", ":10"), issuance.Issued)
	b := f.validate(host, on("", "d1", ":10"), issuance.Validated)
	if b.CAL.ID != a.CAL.ID || b.Lease.ID != a.Lease.ID || b.Lease.User != "ada" {
		t.Errorf("without the user the session is %+v, %+v", b.CAL, b.Lease)
	}
	c := f.validate(host, on("", "d2", ":11"), issuance.Issued)
	d := f.validate(host, on("bob", "d2", ":11"), issuance.Validated)
	if d.CAL.ID != c.CAL.ID || d.Lease.ID != c.Lease.ID || d.Lease.User != "bob" {
		t.Errorf("with the user the session is %+v, %+v", d.CAL, d.Lease)
	}
	f.issued(pool, 2)
}

// TestDeviceThatBecomesKnown is not taken over from nowhere.
func TestDeviceThatBecomesKnown(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host := f.concurrent("xrdp.example.net", ws2022, perUser)
	f.install(ws2022, perUser, 2)
	f.validate(host, on("ada", "", ":10"), issuance.Issued)
	f.validate(host, on("ada", "d1", ":10"), issuance.Validated)
	f.validate(host, on("ada", "d2", ":10"), issuance.TakenOver)
}

// TestReleaseOfSessionWithoutUser: who releases a session may know the user, although who began it did not say.
func TestReleaseOfSessionWithoutUser(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host, pool := f.concurrent("xrdp.example.net", ws2022, perDevice), f.install(ws2022, perDevice, 1)
	f.validate(host, on("", "d1", ":10"), issuance.Issued)
	f.release(host, on("ada", "", ":10"), one)
	f.issued(pool, 0)
}

// TestSessionKeepsItsDevice: a session that is renewed without its device is where it was, whoever else logs on.
func TestSessionKeepsItsDevice(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host := f.concurrent("xrdp.example.net", ws2022, perDevice)
	f.install(ws2022, perDevice, 2)
	a := f.validate(host, on("", "d1", ":10"), issuance.Issued)
	f.request(host, provisional(on("", "d2", "")), issuance.Issued)
	if b := f.renew(host, on("", "", ":10"), issuance.Held); b.CAL.ID != a.CAL.ID || b.Lease.Device.ID != "d1" {
		t.Errorf("the session uses %+v, %+v", b.CAL, b.Lease)
	}
}

// TestSessionOfARenewedCAL ends as any other, not with the key pack that the CAL was of before.
func TestSessionOfARenewedCAL(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	terms, host := f.host("rdsh", ws2022, perUser), f.concurrent("xrdp", ws2022, perUser)
	end := f.now.Add(30 * day)
	f.installUntil(ws2022, perUser, 1, end)
	f.request(terms, user("ada"), issuance.Issued)
	f.install(ws2022, perUser, 1)
	f.now = end.Add(-30 * time.Minute)
	a := f.request(host, on("ada", "d1", ":10"), issuance.Renewed)
	if !a.Lease.Expires.Equal(f.now.Add(time.Hour)) {
		t.Errorf("the CAL ends on %s, its session on %s", a.CAL.Expires, a.Lease.Expires)
	}
}

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
