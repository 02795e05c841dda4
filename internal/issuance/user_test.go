package issuance_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
)

var (
	allow    = licensing.OverUse{Policy: licensing.AllowOverUse}
	deny     = licensing.OverUse{Policy: licensing.DenyOverUse, DenyBeyond: 100}
	deny150  = licensing.OverUse{Policy: licensing.DenyOverUse, DenyBeyond: 150}
	byNature = licensing.OverUse{}
)

// TestPerUser: 60 days, for one user under all his names.
func TestPerUser(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host, pool := f.host("rdsh.example.net", ws2022, perUser), f.install(ws2022, perUser, 5)
	c := f.request(host, user(`EXAMPLE\Ada`), issuance.Issued).CAL
	if c.Status != licensing.StatusActive || c.KeyPackID != pool {
		t.Errorf("ada gets %+v", c)
	}
	f.expires(c, f.now.Add(60*day))
	for _, name := range []string{`example\ADA`, "ada@example", "Ada@EXAMPLE.com", "ada@example.co.uk", `Example\ada`} {
		if same := f.request(host, user(name), issuance.Held).CAL; same.ID != c.ID {
			t.Errorf("%s gets %+v", name, same)
		}
	}
	for _, name := range []string{"ada", `other\ada`, "ada@third.example.com", "adam@example.com"} {
		if other := f.request(host, user(name), issuance.Issued).CAL; other.ID == c.ID {
			t.Errorf("%s gets the CAL of EXAMPLE\\Ada", name)
		}
	}
	f.request(host, user(`.\ADA`), issuance.Held) // a local user
	f.issued(pool, 5)
}

// TestPending: what a logon gets lapses after two minutes, or when it has failed, unless it is validated.
func TestPending(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host, other := f.host("rdsh.example.net", ws2022, perUser), f.host("other.example.net", ws2022, perUser)
	pool := f.install(ws2022, perUser, 5)
	a := f.request(host, provisional(user("ada")), issuance.Issued)
	if a.CAL.Status != licensing.StatusPending {
		t.Errorf("the logon gets %+v", a.CAL)
	}
	f.expires(a.CAL, f.now.Add(2*time.Minute))
	f.pass(time.Minute)
	f.expires(f.request(host, provisional(user("ada")), issuance.Held).CAL, f.now.Add(2*time.Minute))
	f.release(other, user("ada"), issuance.Ended{}) // it is not the other host's
	f.release(host, user("ADA"), issuance.Ended{CALs: 1})
	f.release(host, user("ada"), issuance.Ended{})
	f.issued(pool, 0)

	f.request(host, provisional(user("ada")), issuance.Issued)
	f.pass(2 * time.Minute)
	f.sweep()
	f.issued(pool, 0)

	f.request(host, provisional(user("ada")), issuance.Issued)
	v := f.validate(host, user("ada"), issuance.Validated)
	if v.CAL.Status != licensing.StatusActive {
		t.Errorf("the session has %+v", v.CAL)
	}
	f.expires(v.CAL, f.now.Add(60*day))
	f.request(host, provisional(user("ada")), issuance.Held)
	f.release(host, user("ada"), issuance.Ended{}) // a CAL with a term stays
	f.issued(pool, 1)
}

// TestPendingStaysPending: a provisional request for a newer session host does not make a term of it.
func TestPendingStaysPending(t *testing.T) {
	for name, first := range map[string]func(*farm){
		"pending": func(f *farm) {
			f.request(f.host("rdsh19", ws2019, perUser), provisional(user("ada")), issuance.Issued)
		},
		"concurrent": func(f *farm) {
			f.request(f.concurrent("xrdp19", ws2019, perUser), provisional(on("ada", "d1", "")), issuance.Issued)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFarm(t, issuance.Policies{})
			f.install(ws2019, perUser, 5)
			newer := f.install(ws2022, perUser, 5)
			first(f)
			a := f.request(f.host("rdsh22", ws2022, perUser), provisional(user("ada")), issuance.Upgraded)
			if a.CAL.Status == licensing.StatusActive {
				t.Errorf("nobody has logged on, and ada has a CAL until %s", a.CAL.Expires)
			}
			f.pass(10 * time.Minute)
			f.sweep()
			f.issued(newer, 0)
		})
	}
}

// TestPendingAcrossTheEndOfItsKeyPack: the logon is complete when the key pack has ended.
func TestPendingAcrossTheEndOfItsKeyPack(t *testing.T) {
	f := newFarm(t, issuance.Policies{OverUse: deny})
	host := f.host("rdsh.example.net", ws2022, perUser)
	f.installUntil(ws2022, perUser, 5, f.now.Add(time.Minute))
	f.request(host, provisional(user("ada")), issuance.Issued)
	f.pass(90 * time.Second)
	a, err := f.service.Validate(context.Background(), issuance.Request{Host: host, User: "ada"})
	if err == nil && a.CAL.Expired(f.now) {
		t.Errorf("the session gets a CAL that has ended already: %+v", a.CAL)
	}
	f.sweep()
	f.nothingExpired()
}

// TestPendingEndsWithItsKeyPack, also when the logon asks again.
func TestPendingEndsWithItsKeyPack(t *testing.T) {
	f := newFarm(t, issuance.Policies{OverUse: deny})
	host, end := f.host("rdsh.example.net", ws2022, perUser), f.now.Add(90*time.Second)
	f.installUntil(ws2022, perUser, 5, end)
	f.expires(f.request(host, provisional(user("ada")), issuance.Issued).CAL, end)
	f.pass(time.Minute)
	f.expires(f.request(host, provisional(user("ada")), issuance.Held).CAL, end)
}

// TestWarnings: from the percentage on each answer warns, and the CAL with which it begins is an event; so is the first over-used one.
func TestWarnings(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host, pool := f.host("rdsh.example.net", ws2022, perUser), f.install(ws2022, perUser, 4)
	f.must(f.service.SetOverUse(context.Background(), "admin", pool, licensing.OverUse{WarnAt: 75}))
	for i, warned := range []bool{false, false, true, true, true, true} {
		a := f.request(host, user(fmt.Sprintf("user%d", i)), issuance.Issued)
		if (a.Warning != "") != warned {
			t.Errorf("CAL %d: the warning is %q", i+1, a.Warning)
		}
	}
	var events []string
	for _, a := range f.content().audit {
		if a.Action == "warn" {
			events = append(events, a.Detail)
		}
	}
	want := []string{
		"user2: 3 of 4 CALs of key pack 3 are issued", "user4: more per user CALs of Windows Server 2022 are issued than are installed",
	}
	if !slices.Equal(events, want) {
		t.Errorf("the events are %q, want %q", events, want)
	}
}
