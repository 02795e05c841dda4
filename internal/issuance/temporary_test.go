package issuance_test

import (
	"context"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
)

// TestTwoSteps: an unknown device gets a temporary CAL of 90 days; after a user has authenticated on it, a CAL of the pool follows
// at the next connection.
func TestTwoSteps(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host := f.host("rdsh.example.net", ws2022, perDevice)
	pool := f.install(ws2022, perDevice, 2)

	a := f.request(host, device("d1"), issuance.Issued)
	if a.CAL.Status != licensing.StatusTemporary || a.CAL.Validated || a.Lease != nil || a.OverUsed {
		t.Errorf("the first connection gets %+v", a)
	}
	f.expires(a.CAL, f.now.Add(90*day))
	f.issued(pool, 0)
	for range 3 { // the device connects, and nobody logs on
		f.pass(day)
		if again := f.request(host, device("d1"), issuance.Held); again.CAL.ID != a.CAL.ID || again.CAL.Status != licensing.StatusTemporary {
			t.Errorf("a device that has not authenticated anybody has %+v", again.CAL)
		}
	}
	f.issued(pool, 0)

	v := f.validate(host, device("d1"), issuance.Validated)
	if v.CAL.ID != a.CAL.ID || !v.CAL.Validated || v.CAL.Status != licensing.StatusTemporary || !f.cal(v.CAL.ID).Validated {
		t.Errorf("the logon makes of it %+v", v.CAL)
	}
	f.expires(v.CAL, a.CAL.Expires)
	f.issued(pool, 0)

	u := f.request(host, device("d1"), issuance.Upgraded)
	if u.CAL.Status != licensing.StatusActive || u.CAL.KeyPackID != pool || u.CAL.ProductVersion != ws2022 {
		t.Errorf("the next connection gets %+v", u.CAL)
	}
	f.issued(pool, 1)
	if all := f.cals(everything); len(all) != 1 {
		t.Errorf("the device has %+v", all)
	}
}

// TestTemporaryRunsOn: when no CAL is free, the temporary one runs on to day 90; then the device is denied, again and again,
// until one is free.
func TestTemporaryRunsOn(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host := f.host("rdsh.example.net", ws2022, perDevice)
	pool := f.install(ws2022, perDevice, 1)
	f.licensedDevice(host, "other")

	first := f.request(host, device("d1"), issuance.Issued)
	f.validate(host, device("d1"), issuance.Validated)
	f.pass(40 * day)
	f.renew(host, device("other"), issuance.Held)
	f.pass(50*day - time.Microsecond)
	f.keepAlive(pool)
	held := f.request(host, device("d1"), issuance.Held)
	f.expires(held.CAL, first.CAL.Expires)
	f.pass(time.Microsecond)
	for range 3 {
		f.keepAlive(pool)
		f.refuse(host, device("d1"), licensing.TemporaryExpired)
		f.gone(first.CAL.ID)
		f.pass(100 * day)
		f.sweepBut(pool)
	}
	f.install(ws2022, perDevice, 1)
	a := f.request(host, device("d1"), issuance.Issued) // it has authenticated a user once
	if a.CAL.Status != licensing.StatusActive {
		t.Errorf("the device that has waited gets %+v", a.CAL)
	}
}

// TestTemporaryIsGivenOnce: a device gets one temporary CAL of a version in its life, whatever became of it.
func TestTemporaryIsGivenOnce(t *testing.T) {
	t.Run("upgraded, and the CAL has lapsed", func(t *testing.T) {
		f := newFarm(t, issuance.Policies{})
		host := f.host("rdsh.example.net", ws2022, perDevice)
		pool := f.install(ws2022, perDevice, 1)
		f.licensedDevice(host, "d1")
		f.pass(licensing.LongestTerm)
		f.sweep()
		f.issued(pool, 0)
		f.licensedDevice(host, "d2")
		f.refuse(host, device("d1"), licensing.TemporaryExpired)
	})
	t.Run("upgraded, and the CAL was revoked", func(t *testing.T) {
		f := newFarm(t, issuance.Policies{})
		host := f.host("rdsh.example.net", ws2022, perDevice)
		f.install(ws2022, perDevice, 5)
		c := f.licensedDevice(host, "d1")
		if _, err := f.service.Revoke(context.Background(), "admin", c.ID); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"d2", "d3", "d4", "d5", "d6"} {
			f.licensedDevice(host, name)
		}
		f.refuse(host, device("d1"), licensing.TemporaryExpired)
	})
	t.Run("used for a session", func(t *testing.T) {
		f := newFarm(t, issuance.Policies{})
		host := f.host("rdsh.example.net", ws2022, perDevice)
		counts := f.concurrent("xrdp.example.net", ws2022, perDevice)
		temporary := f.validate(host, device("d1"), issuance.Validated).CAL
		pool := f.install(ws2022, perDevice, 1)
		_, err := f.service.Request(context.Background(), issuance.Request{Host: counts, Device: temporary.Device, Session: ":10"})
		f.must(err)
		f.release(counts, issuance.Request{Session: ":10"}, issuance.Ended{Leases: 1, CALs: 1})
		f.shrink(pool, 0)
		a, err := f.service.Request(context.Background(), issuance.Request{Host: host, Device: temporary.Device})
		if err == nil && a.CAL.ID != temporary.ID {
			t.Errorf("the device gets another temporary CAL: %+v", a.CAL)
		}
	})
	t.Run("released by the administrator", func(t *testing.T) {
		f := newFarm(t, issuance.Policies{})
		host := f.host("rdsh.example.net", ws2022, perDevice)
		f.install(ws2022, perDevice, 1)
		f.licensedDevice(host, "d2")
		c := f.validate(host, device("d1"), issuance.Validated).CAL
		if err := f.service.ReleaseCAL(context.Background(), "admin", c.ID); err != nil {
			t.Fatal(err)
		}
		f.refuse(host, device("d1"), licensing.TemporaryExpired)
	})
	t.Run("another version is another one", func(t *testing.T) {
		f := newFarm(t, issuance.Policies{})
		older, newer := f.host("rdsh19.example.net", ws2019, perDevice), f.host("rdsh22.example.net", ws2022, perDevice)
		f.validate(older, device("d1"), issuance.Validated)
		a := f.request(newer, device("d1"), issuance.Issued)
		if a.CAL.ProductVersion != ws2022 || a.CAL.Validated {
			t.Errorf("the newer session host gets %+v", a.CAL)
		}
		f.pass(90 * day)
		f.refuse(older, device("d1"), licensing.TemporaryExpired)
	})
}

// TestNewerTemporaryIsNotSpentForAnOlderCAL: a CAL takes the place of those temporary ones only that it is as new as.
func TestNewerTemporaryIsNotSpentForAnOlderCAL(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	older, newer := f.host("rdsh19.example.net", ws2019, perDevice), f.host("rdsh25.example.net", ws2025, perDevice)
	temporary := f.validate(newer, device("d1"), issuance.Validated).CAL
	pool := f.install(ws2019, perDevice, 1)
	f.request(older, device("d1"), issuance.Issued)
	f.issued(pool, 1)
	f.pass(day)
	if held := f.request(newer, device("d1"), issuance.Held); held.CAL.ID != temporary.ID {
		t.Errorf("the newer session host finds %+v; want CAL %d", held.CAL, temporary.ID)
	}
	f.expires(temporary, f.now.Add(89*day))
}

// TestTemporariesEndWithTheirFullCAL: a CAL takes the place of the temporary ones of its version and of older ones.
func TestTemporariesEndWithTheirFullCAL(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	for _, v := range []licensing.ProductVersion{ws2016, ws2019, ws2022, ws2025} {
		f.validate(f.host("rdsh"+v.ShortName(), v, perDevice), device("d1"), issuance.Validated)
	}
	host := f.host("rdsh.example.net", ws2019, perDevice)
	pool := f.install(ws2022, perDevice, 1)
	f.request(host, device("d1"), issuance.Upgraded)
	f.issued(pool, 1)
	all := f.cals(everything)
	if len(all) != 2 || all[0].ProductVersion != ws2022 && all[1].ProductVersion != ws2022 {
		t.Errorf("the device has %+v; want a CAL of 2022 and the temporary one of 2025", all)
	}
}

// TestTemporaryOfANewerVersionServes: a temporary CAL serves older session hosts, like any other.
func TestTemporaryOfANewerVersionServes(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	older, newer := f.host("rdsh19.example.net", ws2019, perDevice), f.host("rdsh22.example.net", ws2022, perDevice)
	a := f.request(newer, device("d1"), issuance.Issued)
	if b := f.request(older, device("d1"), issuance.Held); b.CAL.ID != a.CAL.ID {
		t.Errorf("the older session host gets %+v", b.CAL)
	}
}

// TestUnauthenticatedLogonGetsNoTerm: a CAL that a logon uses provisionally does not become one with a term because the device
// connects elsewhere: nobody has authenticated.
func TestUnauthenticatedLogonGetsNoTerm(t *testing.T) {
	for _, v := range []licensing.ProductVersion{ws2022, ws2025} {
		t.Run(v.ShortName(), func(t *testing.T) {
			f := newFarm(t, issuance.Policies{})
			counts, host := f.concurrent("xrdp.example.net", ws2022, perDevice), f.host("rdsh.example.net", v, perDevice)
			f.install(ws2022, perDevice, 1)
			f.install(ws2025, perDevice, 1)
			f.request(counts, provisional(on("ada", "d1", "")), issuance.Issued)
			answer, err := f.service.Request(context.Background(), issuance.Request{Host: host, Device: licensing.Device{ID: "d1"}})
			f.must(err)
			if answer.CAL.Status == licensing.StatusActive {
				t.Errorf("a device that has authenticated nobody gets a CAL until %s", answer.CAL.Expires)
			}
			f.pass(10 * time.Minute)
			f.sweep()
			for _, c := range f.cals(everything) {
				if c.Status != licensing.StatusTemporary {
					t.Errorf("the logon has failed, and %+v stays", c)
				}
			}
		})
	}
}

// TestNotActivated: temporary CALs only, also for devices of per user session hosts; renewals stop.
func TestNotActivated(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	devices, users := f.host("rdsh1.example.net", ws2022, perDevice), f.host("rdsh2.example.net", ws2022, perUser)
	counts := f.concurrent("xrdp.example.net", ws2022, perUser)
	devicePool, userPool := f.install(ws2022, perDevice, 5), f.install(ws2022, perUser, 5)
	old := f.licensedDevice(devices, "old")
	ada := f.request(users, user("ada"), issuance.Issued).CAL
	f.activate(false)

	for _, host := range []licensing.Host{devices, users, counts} {
		a := f.request(host, on("bob", "d-"+host.Name, ""), issuance.Issued)
		if a.CAL.Status != licensing.StatusTemporary || a.CAL.ProductType != perDevice || a.Lease != nil {
			t.Errorf("%s gets %+v", host.Name, a)
		}
		f.validate(host, on("bob", "d-"+host.Name, ""), issuance.Validated)
		if again := f.request(host, on("bob", "d-"+host.Name, ""), issuance.Held); again.CAL.ID != a.CAL.ID {
			t.Errorf("%s gets another one at the next connection: %+v", host.Name, again.CAL)
		}
	}
	f.refuse(users, user("carol"), licensing.ServerInactive)
	f.refuse(counts, user("carol"), licensing.ServerInactive)
	f.issued(devicePool, 1)
	f.issued(userPool, 1)

	f.pass(56 * day) // both are due
	if a := f.request(users, user("ada"), issuance.Held); a.Warning == "" {
		t.Error("nothing says that the CAL is not renewed")
	}
	f.expires(ada, ada.Expires)
	f.now = old.Expires.Add(-day)
	f.request(devices, device("old"), issuance.Held)
	f.expires(old, old.Expires)
	f.now = old.Expires
	f.refuse(users, user("ada"), licensing.ServerInactive)
	a := f.request(users, on("ada", "d-"+users.Name, ""), issuance.Held) // its temporary CAL still runs
	if a.CAL.Status != licensing.StatusTemporary {
		t.Errorf("ada gets %+v", a.CAL)
	}
	f.now = a.CAL.Expires
	f.refuse(users, on("ada", "d-"+users.Name, ""), licensing.TemporaryExpired)

	f.activate(true)
	if a := f.request(users, user("ada"), issuance.Issued); a.CAL.Status != licensing.StatusActive {
		t.Errorf("after activation ada gets %+v", a.CAL)
	}
	if a := f.request(devices, device("d-"+devices.Name), issuance.Issued); a.CAL.Status != licensing.StatusActive {
		t.Errorf("after activation the device that has authenticated a user gets %+v", a.CAL)
	}
}

// TestNothingBecomesFinalWhileNotActivated: a logon that began before does not get a term.
func TestNothingBecomesFinalWhileNotActivated(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	users, counts := f.host("rdsh.example.net", ws2022, perUser), f.concurrent("xrdp.example.net", ws2022, perUser)
	f.install(ws2022, perUser, 5)
	f.request(counts, on("ada", "d1", ":10"), issuance.Issued)
	f.activate(false)
	answer, err := f.service.Request(context.Background(), issuance.Request{Host: users, User: "ada"})
	f.must(err)
	if answer.CAL.Status == licensing.StatusActive {
		t.Errorf("the license server is not activated, and a session's CAL becomes one until %s", answer.CAL.Expires)
	}
}
