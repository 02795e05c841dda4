package issuance_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
)

// TestOverUse: what is issued beyond the key packs is counted in one of its own, which goes when matching CALs are installed.
func TestOverUse(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host, pool := f.host("rdsh.example.net", ws2019, perUser), f.install(ws2019, perUser, 1)
	f.request(host, user("u0"), issuance.Issued)
	if _, found := f.overUsed(ws2019); found {
		t.Error("there is a key pack of over-used CALs, and no over-use")
	}
	for i := 1; i <= 3; i++ {
		a := f.request(host, user(fmt.Sprint("u", i)), issuance.Issued)
		if !a.OverUsed || a.Warning == "" || a.CAL.ProductVersion != ws2019 || a.CAL.Status != licensing.StatusActive {
			t.Errorf("beyond the key pack: %+v", a)
		}
		f.expires(a.CAL, f.now.Add(60*day))
		if held := f.request(host, user(fmt.Sprint("u", i)), issuance.Held); !held.OverUsed {
			t.Errorf("the over-used CAL is held as %+v", held)
		}
	}
	over := f.packs()[1]
	if over.Type != licensing.KeyPackOverUsed || over.Total != 0 || over.Issued != 3 || over.Available() != 0 ||
		!over.Expires.Equal(time.Unix(1<<31-1, 0)) || over.ProductType != perUser {
		t.Errorf("the over-use is counted in %+v", over)
	}
	f.install(ws2016, perUser, 9) // too old
	f.install(ws2019, perDevice, 9)
	f.sweep()
	if n, _ := f.overUsed(ws2019); n != 3 {
		t.Errorf("%d CALs are over-used; want 3", n)
	}
	newer := f.install(ws2022, perUser, 2)
	if a := f.request(host, user("u2"), issuance.Held); a.OverUsed || a.CAL.KeyPackID != newer || a.CAL.ProductVersion != ws2022 {
		t.Errorf("a CAL is free, and u2 has %+v", a)
	}
	f.sweep()
	f.issued(newer, 2)
	if n, _ := f.overUsed(ws2019); n != 1 {
		t.Errorf("%d CALs are over-used; want 1", n)
	}
	f.change(pool, func(k *licensing.KeyPack) { k.Total = 2 })
	f.sweep()
	f.issued(pool, 2)
	if _, found := f.overUsed(ws2019); found {
		t.Error("nothing is over-used, and the key pack is still there")
	}
}

// TestOverUseOfTwoVersions: each has its own key pack, and free CALs serve what they are new enough for.
func TestOverUseOfTwoVersions(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	f.request(f.host("h19", ws2019, perUser), user("u1"), issuance.Issued)
	newer := f.host("h22", ws2022, perUser)
	f.request(newer, user("u2"), issuance.Issued)
	f.install(ws2019, perUser, 5)
	f.sweep()
	n19, found := f.overUsed(ws2019)
	n22, _ := f.overUsed(ws2022)
	if found || n22 != 1 {
		t.Errorf("over-used are %d and %d; want 0 and 1", n19, n22)
	}
}

// TestOverUseIsNotSettledWhileNotActivated: nothing of a key pack is given out then.
func TestOverUseIsNotSettledWhileNotActivated(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host := f.host("rdsh.example.net", ws2022, perUser)
	f.request(host, user("ada"), issuance.Issued)
	f.activate(false)
	pool := f.install(ws2022, perUser, 5)
	f.sweep()
	if a := f.request(host, user("ada"), issuance.Held); !a.OverUsed {
		t.Errorf("ada has %+v", a)
	}
	f.issued(pool, 0)
	f.activate(true)
	f.sweep()
	f.issued(pool, 1)
}

// TestOverUsedCALIsNotMadeOlder: a user whose over-used CAL is for a newer session host does not lose it at an older one.
func TestOverUsedCALIsNotMadeOlder(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	older, newer := f.host("h19", ws2019, perUser), f.host("h22", ws2022, perUser)
	pool := f.install(ws2019, perUser, 5)
	c := f.request(newer, user("ada"), issuance.Issued).CAL
	for range 3 {
		f.pass(day)
		if a := f.request(older, user("ada"), issuance.Held); a.CAL.ProductVersion != ws2022 {
			t.Errorf("at the older session host ada's CAL becomes %+v", a.CAL)
		}
		if a := f.request(newer, user("ada"), issuance.Held); a.CAL.ID != c.ID {
			t.Errorf("at the newer one ada has %+v", a.CAL)
		}
	}
	f.issued(pool, 0)
}

// TestRenewalDoesNotMakeOlder: a due CAL of a key pack that has shrunk does not move to one of an older version.
func TestRenewalDoesNotMakeOlder(t *testing.T) {
	f := newFarm(t, issuance.Policies{OverUse: deny})
	older, newer := f.host("h19", ws2019, perUser), f.host("h22", ws2022, perUser)
	f.install(ws2019, perUser, 5)
	pool := f.install(ws2022, perUser, 2)
	c := f.request(newer, user("ada"), issuance.Issued).CAL
	f.request(newer, user("bob"), issuance.Issued)
	f.shrink(pool, 1)
	f.now = c.Expires.Add(-day)
	f.service.Renew(context.Background(), issuance.Request{Host: older, User: "ada"})
	if now := f.cal(c.ID); now.ProductVersion != ws2022 {
		t.Errorf("ada's CAL of 2022 has become %+v", now)
	}
}

// TestOverUseRenews: under the policy, as any other.
func TestOverUseRenews(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host, pool := f.host("rdsh.example.net", ws2022, perUser), f.install(ws2022, perUser, 1)
	f.request(host, user("u0"), issuance.Issued)
	c := f.request(host, user("u1"), issuance.Issued).CAL
	f.now = c.Expires.Add(-7 * day)
	f.request(host, user("u0"), issuance.Renewed)
	a := f.request(host, user("u1"), issuance.Renewed)
	f.expires(a.CAL, f.now.Add(60*day))
	f.must(f.service.SetOverUse(context.Background(), "admin", pool, deny))
	f.now = a.CAL.Expires.Add(-day)
	f.request(host, user("u0"), issuance.Renewed)
	if held := f.request(host, user("u1"), issuance.Held); held.Warning == "" {
		t.Error("nothing says that the over-used CAL is not renewed")
	}
	f.expires(a.CAL, a.CAL.Expires)
	f.now = a.CAL.Expires
	f.sweep()
	if _, found := f.overUsed(ws2022); found {
		t.Error("the over-used CAL has lapsed, and its key pack is still there")
	}
	f.refuse(host, user("u1"), licensing.NoFreeCAL)
}

// TestOverUsePolicies: of the key packs of the oldest version that would do, together; else the license server's.
func TestOverUsePolicies(t *testing.T) {
	type pack struct {
		v     licensing.ProductVersion
		total uint32
		o     licensing.OverUse
	}
	for name, c := range map[string]struct {
		standard licensing.OverUse
		prevent  bool
		packs    []pack
		issued   int // CALs of 2019 until one is refused; 20 stands for without end
		reason   licensing.DenialReason
	}{
		"nothing is said, no key pack":    {byNature, false, nil, 20, ""},
		"nothing is said":                 {byNature, false, []pack{{ws2019, 2, byNature}}, 20, ""},
		"allow":                           {deny, false, []pack{{ws2019, 2, allow}}, 20, ""},
		"deny":                            {allow, false, []pack{{ws2019, 2, deny}}, 2, licensing.NoFreeCAL},
		"deny beyond":                     {allow, false, []pack{{ws2019, 4, deny150}}, 6, licensing.OverUseLimit},
		"deny beyond, rounded down":       {allow, false, []pack{{ws2019, 3, deny150}}, 4, licensing.OverUseLimit},
		"deny beyond, of nothing":         {allow, false, []pack{{ws2019, 1, deny150}}, 1, licensing.NoFreeCAL},
		"default deny":                    {deny, false, []pack{{ws2019, 2, byNature}}, 2, licensing.NoFreeCAL},
		"default deny, no key pack":       {deny, false, nil, 0, licensing.NoKeyPack},
		"default deny beyond, no pack":    {deny150, false, nil, 0, licensing.NoKeyPack},
		"default deny beyond":             {deny150, false, []pack{{ws2019, 2, byNature}}, 3, licensing.OverUseLimit},
		"one that allows is enough":       {deny, false, []pack{{ws2019, 2, deny}, {ws2019, 1, allow}}, 20, ""},
		"allowances add up":               {deny, false, []pack{{ws2019, 2, deny150}, {ws2019, 2, deny150}, {ws2019, 1, deny}}, 7, licensing.OverUseLimit},
		"the exact version governs":       {deny, false, []pack{{ws2019, 1, deny}, {ws2022, 1, allow}}, 2, licensing.NoFreeCAL},
		"the next newer governs":          {deny, false, []pack{{ws2016, 3, deny}, {ws2022, 2, deny150}, {ws2025, 2, allow}}, 5, licensing.OverUseLimit},
		"older ones do not":               {allow, false, []pack{{ws2016, 3, deny}}, 20, ""},
		"prevent upgrade":                 {allow, true, []pack{{ws2019, 1, deny}, {ws2022, 5, allow}}, 1, licensing.NoFreeCAL},
		"prevent upgrade, none is exact":  {deny, true, []pack{{ws2022, 5, allow}}, 0, licensing.NoKeyPack},
		"prevent upgrade, default allows": {allow, true, []pack{{ws2022, 5, deny}}, 20, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFarm(t, issuance.Policies{OverUse: c.standard, PreventUpgrade: c.prevent})
			host := f.host("rdsh.example.net", ws2019, perUser)
			for _, p := range c.packs {
				id := f.install(p.v, perUser, p.total)
				f.must(f.service.SetOverUse(context.Background(), "admin", id, p.o))
			}
			for i := range c.issued {
				f.request(host, user(fmt.Sprint("u", i)), issuance.Issued)
			}
			if c.reason != "" {
				for range 2 {
					f.refuse(host, user("one too many"), c.reason)
				}
				if c.issued > 0 { // who has one keeps it
					f.request(host, user("u0"), issuance.Held)
				}
			}
		})
	}
}

// TestOverUseCountsAUserOnce: one who has an over-used CAL already gets one of a newer version in its place.
func TestOverUseCountsAUserOnce(t *testing.T) {
	f := newFarm(t, issuance.Policies{OverUse: deny150})
	older, newer := f.host("h19", ws2019, perUser), f.host("h22", ws2022, perUser)
	f.install(ws2022, perUser, 2)
	for _, name := range []string{"u0", "u1", "u2"} {
		f.request(older, user(name), issuance.Issued)
	}
	f.refuse(older, user("u3"), licensing.OverUseLimit)
	if a := f.request(newer, user("u2"), issuance.Upgraded); !a.OverUsed || a.CAL.ProductVersion != ws2022 {
		t.Errorf("u2 gets %+v", a)
	}
	if n, found := f.overUsed(ws2019); found {
		t.Errorf("%d CALs of 2019 are still over-used", n)
	}
}

// TestWarnAt: from so many percent on, and the default's if the pack has no policy of its own.
func TestWarnAt(t *testing.T) {
	for _, mode := range []licensing.ProductType{perDevice, perUser} {
		t.Run(mode.String(), func(t *testing.T) {
			f := newFarm(t, issuance.Policies{OverUse: licensing.OverUse{WarnAt: 50}})
			host, pool := f.concurrent("xrdp.example.net", ws2022, mode), f.install(ws2022, mode, 4)
			ask := func(i int, warned bool) {
				t.Helper()
				r := on(fmt.Sprint("u", i), fmt.Sprint("d", i), "")
				if a := f.request(host, r, issuance.Issued); (a.Warning != "") != warned {
					t.Errorf("CAL %d is issued with the warning %q", i, a.Warning)
				}
				if a := f.request(host, r, issuance.Held); (a.Warning != "") != warned {
					t.Errorf("CAL %d is held with the warning %q", i, a.Warning)
				}
			}
			ask(1, false)
			ask(2, true)
			f.must(f.service.SetOverUse(context.Background(), "admin", pool, licensing.OverUse{WarnAt: 80}))
			ask(3, false)
			ask(4, true)
		})
	}
}

// TestSetOverUse refuses what makes no sense, and is recorded.
func TestSetOverUse(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	users, devices := f.install(ws2022, perUser, 5), f.install(ws2022, perDevice, 5)
	host := f.host("rdsh.example.net", ws2025, perUser)
	f.request(host, user("ada"), issuance.Issued)
	over := f.packs()[2].ID
	for name, c := range map[string]struct {
		pack uint32
		o    licensing.OverUse
		kind licensing.Kind
	}{
		"no such key pack":       {99, allow, licensing.NotFound},
		"the built-in one":       {licensing.BuiltInKeyPackID, allow, licensing.NotSupported},
		"the over-used one":      {over, allow, licensing.NotSupported},
		"no such policy":         {users, licensing.OverUse{Policy: "maybe"}, licensing.Invalid},
		"a limit below 100":      {users, licensing.OverUse{Policy: licensing.DenyOverUse, DenyBeyond: 99}, licensing.Invalid},
		"a limit out of range":   {users, licensing.OverUse{Policy: licensing.DenyOverUse, DenyBeyond: 1 << 31}, licensing.Invalid},
		"no limit":               {users, licensing.OverUse{Policy: licensing.DenyOverUse}, licensing.Invalid},
		"a limit, and allow":     {users, licensing.OverUse{Policy: licensing.AllowOverUse, DenyBeyond: 120}, licensing.Invalid},
		"a warning out of range": {users, licensing.OverUse{WarnAt: 1 << 31}, licensing.Invalid},
		"allow for devices":      {devices, allow, licensing.Invalid},
		"a limit for devices":    {devices, deny150, licensing.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			f.fails(f.service.SetOverUse(context.Background(), "admin", c.pack, c.o), c.kind)
		})
	}
	f.must(f.service.SetOverUse(context.Background(), "admin", devices, licensing.OverUse{WarnAt: 90}))
	f.must(f.service.SetOverUse(context.Background(), "admin", users, deny150))
	if pack := f.pack(users); pack.OverUse != deny150 || pack.Total != 5 {
		t.Errorf("the key pack is %+v", pack)
	}
	if !strings.Contains(f.auditText(), "admin policy") {
		t.Errorf("nothing is recorded:\n%s", f.auditText())
	}
}
