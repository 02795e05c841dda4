package issuance_test

import (
	"context"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
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
		f.request(host, provisional(on("EXAMPLE\\ada", "d2", "")), issuance.Issued)
		f.release(host, on("EXAMPLE\\ada", "d2", ""), one) // a domain's ada is somebody else
		b := f.request(host, provisional(on("ADA", "d2", "")), issuance.TakenOver)
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
		f.issued(pool, 1)
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
