package issuance_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
)

// TestTermIsRandom: 52 to 89 whole days, each of which comes up.
func TestTermIsRandom(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host := f.host("rdsh.example.net", ws2022, perDevice)
	f.install(ws2022, perDevice, 1000)
	seen := map[time.Duration]int{}
	for i := range 600 {
		c := f.licensedDevice(host, fmt.Sprintf("d%d", i))
		seen[c.Expires.Sub(f.now)]++
	}
	for days := 52; days <= 89; days++ {
		if seen[time.Duration(days)*day] == 0 {
			t.Errorf("no CAL has a term of %d days", days)
		}
		delete(seen, time.Duration(days)*day)
	}
	if len(seen) > 0 {
		t.Errorf("other terms: %v", seen)
	}
}

// TestRenewal: in the last 7 days, for another 52 to 89 days from then on; by a request, and by asking for it.
func TestRenewal(t *testing.T) {
	for _, mode := range []licensing.ProductType{perDevice, perUser} {
		t.Run(mode.String(), func(t *testing.T) {
			f := newFarm(t, issuance.Policies{})
			host, pool := f.host("rdsh.example.net", ws2022, mode), f.install(ws2022, mode, 1)
			r := on("ada", "d1", "")
			f.validate(host, r, f.firstOutcome(mode))
			c := f.request(host, r, f.secondOutcome(mode)).CAL
			for _, ask := range []func(licensing.Host, issuance.Request, issuance.Outcome) issuance.Answer{f.request, f.renew, f.validate} {
				f.now = c.Expires.Add(-7*day - time.Microsecond)
				early := f.renew(host, r, issuance.Held)
				f.expires(early.CAL, c.Expires)
				f.now = c.Expires.Add(-7 * day)
				a := ask(host, r, issuance.Renewed)
				term := a.CAL.Expires.Sub(f.now)
				if mode == perUser && term != 60*day || term < 52*day || term > 89*day || term%day != 0 {
					t.Errorf("renewed for %s", term)
				}
				if a.CAL.ID != c.ID || !a.CAL.Issued.Equal(c.Issued) {
					t.Errorf("renewed is %+v; it was %+v", a.CAL, c)
				}
				f.expires(a.CAL, a.CAL.Expires)
				c = a.CAL
			}
			f.now = c.Expires
			_, err := f.service.Renew(context.Background(), issuance.Request{Host: host, User: "ada", Device: licensing.Device{ID: "d1"}})
			f.fails(err, licensing.NotFound)
			f.sweep()
			f.nothingExpired()
			f.issued(pool, 0)
		})
	}
}

func (f *farm) firstOutcome(mode licensing.ProductType) issuance.Outcome {
	if mode == perUser {
		return issuance.Issued
	}
	return issuance.Validated
}

func (f *farm) secondOutcome(mode licensing.ProductType) issuance.Outcome {
	if mode == perUser {
		return issuance.Held
	}
	return issuance.Upgraded
}

// TestReclaim: an expired CAL is free for others, with the sweep and before anybody is refused; its holder gets it back if it
// comes first.
func TestReclaim(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host, pool := f.host("rdsh.example.net", ws2022, perDevice), f.install(ws2022, perDevice, 1)
	f.validate(host, device("d2"), issuance.Validated)
	c := f.licensedDevice(host, "d1")
	f.now = c.Expires.Add(-time.Microsecond)
	f.sweep()
	f.issued(pool, 1)
	f.request(host, device("d2"), issuance.Held)
	f.pass(time.Microsecond)
	a := f.request(host, device("d2"), issuance.Upgraded) // without a sweep
	if a.CAL.KeyPackID != pool {
		t.Errorf("the other device gets %+v", a.CAL)
	}
	f.gone(c.ID)
	f.issued(pool, 1)
	f.now = a.CAL.Expires
	f.sweep()
	f.issued(pool, 0)
	f.nothingExpired()
}

// TestVersions: a CAL is at least as new as the session host; the exact version comes first, then the next newer one.
func TestVersions(t *testing.T) {
	for _, mode := range []licensing.ProductType{perDevice, perUser} {
		t.Run(mode.String(), func(t *testing.T) {
			f := newFarm(t, issuance.Policies{OverUse: licensing.OverUse{Policy: licensing.DenyOverUse}})
			host := f.concurrent("xrdp.example.net", ws2019, mode)
			newest, older := f.install(ws2025, mode, 1), f.install(ws2016, mode, 5)
			newer, exact1, exact2 := f.install(ws2022, mode, 1), f.install(ws2019, mode, 1), f.install(ws2019, mode, 1)
			f.install(ws2019, mode.Other(), 5)
			for i, want := range []uint32{exact1, exact2, newer, newest} {
				a := f.request(host, on(fmt.Sprint("u", i), fmt.Sprint("d", i), ""), issuance.Issued)
				if a.CAL.KeyPackID != want {
					t.Errorf("CAL %d is of key pack %d; want %d", i+1, a.CAL.KeyPackID, want)
				}
			}
			f.refuse(host, on("u9", "d9", ""), licensing.NoFreeCAL)
			f.issued(older, 0)
			f.refuse(f.concurrent("w25", ws2025, mode), on("u9", "d9", ""), licensing.NoFreeCAL)
		})
	}
}

// TestNoKeyPack tells that there is none from that all are issued.
func TestNoKeyPack(t *testing.T) {
	f := newFarm(t, issuance.Policies{OverUse: licensing.OverUse{Policy: licensing.DenyOverUse}})
	host := f.concurrent("xrdp.example.net", ws2022, perDevice)
	f.install(ws2019, perDevice, 5)
	f.install(ws2022, perUser, 5)
	f.refuse(host, device("d1"), licensing.NoKeyPack)
}

// TestUpgradeToANewerVersion: a holder has one full CAL; a newer one takes its place, and it is free again.
func TestUpgradeToANewerVersion(t *testing.T) {
	for _, mode := range []licensing.ProductType{perDevice, perUser} {
		t.Run(mode.String(), func(t *testing.T) {
			f := newFarm(t, issuance.Policies{OverUse: licensing.OverUse{Policy: licensing.DenyOverUse}})
			older, newer := f.host("rdsh19", ws2019, mode), f.host("rdsh22", ws2022, mode)
			oldPool, newPool := f.install(ws2019, mode, 1), f.install(ws2022, mode, 1)
			r := on("ada", "d1", "")
			f.validate(older, r, f.firstOutcome(mode))
			c := f.request(older, r, f.secondOutcome(mode)).CAL
			f.pass(10 * day)
			u := f.request(newer, r, issuance.Upgraded).CAL
			if u.ID != c.ID || u.KeyPackID != newPool || u.ProductVersion != ws2022 || u.Status != licensing.StatusActive || !u.Issued.Equal(f.now) {
				t.Errorf("upgraded is %+v", u)
			}
			f.issued(oldPool, 0)
			f.issued(newPool, 1)
			if held := f.request(older, r, issuance.Held).CAL; held.ID != c.ID || held.KeyPackID != newPool {
				t.Errorf("the older session host finds %+v", held)
			}
		})
	}
}

// TestNoNewerCALIsFree: the device keeps its CAL, and gets a temporary one for the newer session host; a user is refused.
func TestNoNewerCALIsFree(t *testing.T) {
	f := newFarm(t, issuance.Policies{OverUse: licensing.OverUse{Policy: licensing.DenyOverUse}})
	devices, users := f.host("d19", ws2019, perDevice), f.host("u19", ws2019, perUser)
	f.install(ws2019, perDevice, 1)
	userPool := f.install(ws2019, perUser, 1)
	c := f.licensedDevice(devices, "d1")
	f.request(users, user("ada"), issuance.Issued)
	a := f.request(f.host("d22", ws2022, perDevice), device("d1"), issuance.Issued)
	if a.CAL.Status != licensing.StatusTemporary || a.CAL.ProductVersion != ws2022 {
		t.Errorf("the newer session host gives %+v", a.CAL)
	}
	f.refuse(f.host("u22", ws2022, perUser), user("ada"), licensing.NoKeyPack)
	f.issued(userPool, 1)
	if left := f.cal(c.ID); left.Status != licensing.StatusActive {
		t.Errorf("the device is left with %+v", left)
	}
}

// TestPreventUpgrade: newer CALs are kept from older session hosts; a device gets a temporary one, and none after that.
func TestPreventUpgrade(t *testing.T) {
	f := newFarm(t, issuance.Policies{PreventUpgrade: true, OverUse: licensing.OverUse{Policy: licensing.DenyOverUse}})
	devices, users := f.host("d19", ws2019, perDevice), f.host("u19", ws2019, perUser)
	newer, newerUsers := f.install(ws2022, perDevice, 5), f.install(ws2022, perUser, 5)
	a := f.request(devices, device("d1"), issuance.Issued)
	f.validate(devices, device("d1"), issuance.Validated)
	f.pass(80 * day)
	f.request(devices, device("d1"), issuance.Held)
	f.now = a.CAL.Expires
	f.refuse(devices, device("d1"), licensing.TemporaryExpired)
	f.refuse(users, user("ada"), licensing.NoKeyPack)
	f.issued(newer, 0)
	f.issued(newerUsers, 0)

	licensed := f.licensedDevice(f.host("d22", ws2022, perDevice), "d2")
	if held := f.request(devices, device("d2"), issuance.Held).CAL; held.ID != licensed.ID {
		t.Errorf("a device that has a newer CAL gets %+v", held)
	}
	exact := f.install(ws2019, perDevice, 1)
	if c := f.request(devices, device("d1"), issuance.Issued).CAL; c.KeyPackID != exact {
		t.Errorf("of the exact version it gets %+v", c)
	}
}

// TestKeyPackExpiry: a CAL ends with its key pack, which issues nothing after that; a holder whose CAL cannot be renewed any more
// is told.
func TestKeyPackExpiry(t *testing.T) {
	for _, mode := range []licensing.ProductType{perDevice, perUser} {
		t.Run(mode.String(), func(t *testing.T) {
			f := newFarm(t, issuance.Policies{OverUse: licensing.OverUse{Policy: licensing.DenyOverUse}})
			host := f.host("rdsh.example.net", ws2022, mode)
			end := f.now.Add(30 * day)
			pool := f.installUntil(ws2022, mode, 5, end)
			r := on("ada", "d1", "")
			f.validate(host, r, f.firstOutcome(mode))
			c := f.request(host, r, f.secondOutcome(mode)).CAL
			f.expires(c, end)
			f.now = end.Add(-day)
			if a := f.request(host, r, issuance.Held); a.Warning == "" {
				t.Error("nothing says that the CAL is not renewed")
			}
			f.expires(c, end)
			f.now = end
			f.sweep()
			f.issued(pool, 0)
			if mode == perUser {
				f.refuse(host, user("bob"), licensing.NoKeyPack)
				return
			}
			f.validate(host, device("d2"), issuance.Validated)
			if held := f.request(host, device("d2"), issuance.Held).CAL; held.Status != licensing.StatusTemporary {
				t.Errorf("from an expired key pack: %+v", held)
			}
		})
	}
}

// TestExpiringKeyPackGivesWay: before a holder loses its CAL with the key pack, one of another pack takes its place.
func TestExpiringKeyPackGivesWay(t *testing.T) {
	for _, mode := range []licensing.ProductType{perDevice, perUser} {
		t.Run(mode.String(), func(t *testing.T) {
			f := newFarm(t, issuance.Policies{OverUse: licensing.OverUse{Policy: licensing.DenyOverUse}})
			host := f.host("rdsh.example.net", ws2022, mode)
			end := f.now.Add(30 * day)
			f.installUntil(ws2022, mode, 5, end)
			r := on("ada", "d1", "")
			f.validate(host, r, f.firstOutcome(mode))
			f.request(host, r, f.secondOutcome(mode))
			next := f.install(ws2022, mode, 5)
			f.now = end.Add(-day)
			a := f.request(host, r, issuance.Renewed)
			if a.CAL.KeyPackID != next || !a.CAL.Expires.After(end) {
				t.Errorf("the day before its key pack ends the CAL is %+v", a.CAL)
			}
		})
	}
}

// TestFlaggedKeyPack: what the clearinghouse does not stand behind issues and renews nothing; what is issued runs on.
func TestFlaggedKeyPack(t *testing.T) {
	for _, mode := range []licensing.ProductType{perDevice, perUser} {
		t.Run(mode.String(), func(t *testing.T) {
			f := newFarm(t, issuance.Policies{OverUse: licensing.OverUse{Policy: licensing.DenyOverUse}})
			host, counts := f.host("rdsh.example.net", ws2022, mode), f.concurrent("xrdp.example.net", ws2022, mode)
			pool := f.install(ws2022, mode, 5)
			r := on("ada", "d1", "")
			f.validate(host, r, f.firstOutcome(mode))
			c := f.request(host, r, f.secondOutcome(mode)).CAL
			f.change(pool, func(k *licensing.KeyPack) { k.Flag = "refused" })
			f.refuse(counts, on("bob", "d2", ""), licensing.NoKeyPack)
			f.now = c.Expires.Add(-day)
			if a := f.request(host, r, issuance.Held); a.Warning == "" {
				t.Error("nothing says that the CAL is not renewed")
			}
			f.expires(c, c.Expires)
			f.issued(pool, 1)
			other := f.install(ws2022, mode, 1)
			if a := f.request(host, r, issuance.Renewed); a.CAL.KeyPackID != other || a.CAL.ID != c.ID {
				t.Errorf("another key pack has a free one, and the CAL is %+v", a.CAL)
			}
			f.issued(pool, 0)
			f.issued(other, 1)
		})
	}
}

// TestShrunkKeyPack: a pack of which more is issued than it holds renews none beyond what it holds; CALs move to packs with free ones.
func TestShrunkKeyPack(t *testing.T) {
	for _, mode := range []licensing.ProductType{perDevice, perUser} {
		t.Run(mode.String(), func(t *testing.T) {
			f := newFarm(t, issuance.Policies{OverUse: licensing.OverUse{Policy: licensing.DenyOverUse}})
			host, pool := f.host("rdsh.example.net", ws2022, mode), f.install(ws2022, mode, 4)
			requests := []issuance.Request{on("u0", "d0", ""), on("u1", "d1", ""), on("u2", "d2", ""), on("u3", "d3", "")}
			latest := f.now
			for _, r := range requests {
				f.validate(host, r, f.firstOutcome(mode))
				if c := f.request(host, r, f.secondOutcome(mode)).CAL; c.Expires.After(latest) {
					latest = c.Expires
				}
			}
			f.shrink(pool, 2)
			other := f.install(ws2022, mode, 1)
			renewed := 0
			for f.now.Before(latest) {
				for _, r := range requests {
					r.Host = host
					if a, err := f.service.Renew(context.Background(), r); err == nil && a.Outcome == issuance.Renewed {
						renewed++
					}
				}
				f.recount()
				f.pass(day)
				f.sweep()
			}
			if left := f.pack(pool); left.Issued > 2 {
				t.Errorf("after a term %d CALs of %d are issued", left.Issued, left.Total)
			}
			f.issued(other, 1)
			if renewed == 0 || len(f.cals(everything)) > 3 {
				t.Errorf("%d were renewed, and there are %+v", renewed, f.cals(everything))
			}
		})
	}
}

// TestEmptiedKeyPackGoes with the last CAL that is issued of it.
func TestEmptiedKeyPackGoes(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host, pool := f.host("rdsh.example.net", ws2022, perDevice), f.install(ws2022, perDevice, 1)
	f.licensedDevice(host, "d1")
	f.shrink(pool, 0)
	f.issued(pool, 1)
	f.pass(licensing.LongestTerm)
	f.sweep()
	for _, pack := range f.packs() {
		if pack.ID == pool {
			t.Errorf("the key pack has nothing, and is still there: %+v", pack)
		}
	}
}

// TestHeldCALsAreNotIssued: those that a conversion under way is promised.
func TestHeldCALsAreNotIssued(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host, pool := f.concurrent("xrdp.example.net", ws2022, perDevice), f.install(ws2022, perDevice, 3)
	f.change(pool, func(k *licensing.KeyPack) { k.Held = 2 })
	f.request(host, device("d1"), issuance.Issued)
	f.refuse(host, device("d2"), licensing.NoFreeCAL)
}

// TestDeviceIsMissing: a per device session host must say which, and a per user one who.
func TestDeviceIsMissing(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	for _, c := range []struct {
		host licensing.Host
		r    issuance.Request
	}{
		{f.host("d", ws2022, perDevice), user("ada")},
		{f.concurrent("dc", ws2022, perDevice), user("ada")},
		{f.host("u", ws2022, perUser), device("d1")},
		{f.concurrent("uc", ws2022, perUser), device("d1")},
		{f.host("n", ws2022, perUser), issuance.Request{}},
	} {
		c.r.Host = c.host
		for _, ask := range []action{(*issuance.Service).Request, (*issuance.Service).Validate, (*issuance.Service).Renew} {
			_, err := ask(f.service, context.Background(), c.r)
			f.fails(err, licensing.Invalid)
		}
	}
	if all := f.cals(everything); len(all) != 0 || len(f.denials()) != 0 {
		t.Errorf("stored are %+v", all)
	}
}
