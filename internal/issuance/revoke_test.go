package issuance_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

func (f *farm) revocation(v licensing.ProductVersion, want issuance.Revocation) {
	f.t.Helper()
	rest, err := f.service.Revocation(context.Background(), v)
	f.must(err)
	f.sameRevocation(rest, want)
}

func (f *farm) sameRevocation(got, want issuance.Revocation) {
	f.t.Helper()
	if got.RevokableCALs != want.RevokableCALs || !got.NextRevokeAllowedOn.Equal(want.NextRevokeAllowedOn) {
		f.t.Errorf("%d can be revoked, and again on %s; want %d, %s", got.RevokableCALs, got.NextRevokeAllowedOn, want.RevokableCALs, want.NextRevokeAllowedOn)
	}
}

// devices licenses so many devices, and returns their CALs.
func (f *farm) devices(host licensing.Host, n int) (list []licensing.CAL) {
	f.t.Helper()
	for i := range n {
		list = append(list, f.licensedDevice(host, fmt.Sprintf("device %d", i)))
	}
	return list
}

// TestRevoke: at any time at most 20 % of the installed per device CALs of the version; the CAL is free at once; what is revoked
// counts until it would have expired.
func TestRevoke(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host := f.host("rdsh.example.net", ws2022, perDevice)
	pool := f.install(ws2022, perDevice, 7)
	f.install(ws2022, perDevice, 4) // 11 of 2022: 2 at a time
	f.install(ws2019, perDevice, 100)
	f.install(ws2022, perUser, 100)
	cals := f.devices(host, 7)
	f.issued(pool, 7)
	f.revocation(ws2022, issuance.Revocation{RevokableCALs: 2, NextRevokeAllowedOn: f.now})

	f.sameRevocation(f.revoke(cals[0].ID), issuance.Revocation{RevokableCALs: 1, NextRevokeAllowedOn: f.now})
	f.issued(pool, 6)
	if c := f.cal(cals[0].ID); c.Status != licensing.StatusRevoked || !c.Expires.Equal(cals[0].Expires) || c.Counted() {
		t.Errorf("the revoked CAL is %+v", c)
	}
	f.pass(time.Hour)
	next := cals[0].Expires
	if cals[1].Expires.Before(next) {
		next = cals[1].Expires
	}
	full := issuance.Revocation{NextRevokeAllowedOn: next}
	f.sameRevocation(f.revoke(cals[1].ID), full)
	f.revocation(ws2022, full)
	rest, err := f.service.Revoke(context.Background(), "admin", cals[2].ID)
	f.fails(err, licensing.OutOfRange)
	f.sameRevocation(rest, full)
	if c := f.cal(cals[2].ID); c.Status != licensing.StatusActive {
		t.Errorf("beyond the limit it was revoked: %+v", c)
	}
	f.licensedDevice(host, "another") // what was revoked is free at once
	f.issued(pool, 6)
	f.revocation(ws2019, issuance.Revocation{RevokableCALs: 20, NextRevokeAllowedOn: f.now})

	f.now = next.Add(-time.Microsecond)
	f.sweep()
	f.revocation(ws2022, full)
	f.now = next
	f.sweep()
	f.revocation(ws2022, issuance.Revocation{RevokableCALs: 1, NextRevokeAllowedOn: f.now})
}

// TestNextRevokeAllowedOnIsTrue: at that instant the next CAL can be revoked, whether or not a sweep comes first.
func TestNextRevokeAllowedOnIsTrue(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host := f.host("rdsh.example.net", ws2022, perDevice)
	f.install(ws2022, perDevice, 5)
	cals := f.devices(host, 2)
	if cals[1].Expires.Before(cals[0].Expires) {
		cals[0], cals[1] = cals[1], cals[0]
	}
	rest := f.revoke(cals[0].ID)
	if !rest.NextRevokeAllowedOn.After(f.now) {
		t.Fatalf("the next can be revoked on %s", rest.NextRevokeAllowedOn)
	}
	f.now = rest.NextRevokeAllowedOn
	f.revocation(ws2022, issuance.Revocation{RevokableCALs: 1, NextRevokeAllowedOn: f.now})
	if _, err := f.service.Revoke(context.Background(), "admin", cals[1].ID); err != nil {
		t.Errorf("at that instant: %v", err)
	}
}

// TestNextRevokeAllowedOnAfterAShrink: when more are revoked than 20 % of what is left, the first that expires is not enough.
func TestNextRevokeAllowedOnAfterAShrink(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host, pool := f.host("rdsh.example.net", ws2022, perDevice), f.install(ws2022, perDevice, 10)
	cals := f.devices(host, 3)
	f.revoke(cals[0].ID)
	f.revoke(cals[1].ID)
	f.shrink(pool, 5) // 1 at a time
	rest, err := f.service.Revoke(context.Background(), "admin", cals[2].ID)
	f.fails(err, licensing.OutOfRange)
	latest := cals[0].Expires
	if cals[1].Expires.After(latest) {
		latest = cals[1].Expires
	}
	f.sameRevocation(rest, issuance.Revocation{NextRevokeAllowedOn: latest})
}

// TestRevokeRefuses what cannot be revoked, and tells how far revoking may go on all the same.
func TestRevokeRefuses(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	devices, users := f.host("rdsh1", ws2022, perDevice), f.host("rdsh2", ws2022, perUser)
	counts := f.concurrent("xrdp", ws2022, perDevice)
	f.install(ws2022, perDevice, 5)
	f.install(ws2022, perUser, 5)
	temporary := f.request(devices, device("d1"), issuance.Issued).CAL.ID
	revoked := f.licensedDevice(devices, "d2").ID
	concurrent := f.request(counts, device("d3"), issuance.Issued).CAL.ID
	pending := f.request(users, provisional(user("bob")), issuance.Issued).CAL.ID
	perUserCAL := f.request(users, user("ada"), issuance.Issued).CAL.ID
	f.revoke(revoked)
	for name, c := range map[string]struct {
		id   uint32
		kind licensing.Kind
	}{
		"no such CAL": {4711, licensing.NotFound},
		"temporary":   {temporary, licensing.NotSupported},
		"revoked":     {revoked, licensing.NotSupported},
		"concurrent":  {concurrent, licensing.NotSupported},
		"pending":     {pending, licensing.NotSupported},
		"per user":    {perUserCAL, licensing.NotSupported},
	} {
		t.Run(name, func(t *testing.T) {
			before := f.content()
			rest, err := f.service.Revoke(context.Background(), "admin", c.id)
			f.fails(err, c.kind)
			if rest.NextRevokeAllowedOn.Before(f.now) {
				t.Errorf("beside the refusal: %+v", rest)
			}
			if after := f.content(); len(after.audit) != len(before.audit) || len(after.cals) != len(before.cals) {
				t.Error("the refusal has changed something")
			}
		})
	}
}

// TestRevokeFewCALs: 20 % of fewer than 5 CALs is none; the refusal does not say that some are revoked.
func TestRevokeFewCALs(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host := f.host("rdsh.example.net", ws2022, perDevice)
	f.install(ws2022, perDevice, 4)
	c := f.licensedDevice(host, "d1")
	rest, err := f.service.Revoke(context.Background(), "admin", c.ID)
	f.fails(err, licensing.OutOfRange)
	f.sameRevocation(rest, issuance.Revocation{NextRevokeAllowedOn: f.now})
	if err != nil && strings.Contains(licensing.Message(err), "the next can be revoked on") {
		t.Errorf("none can be revoked as long as there are so few: %v", err)
	}
}

// TestRevokedCALOfAnEmptiedKeyPack: the key pack may go while the revoked CAL is remembered.
func TestRevokedCALOfAnEmptiedKeyPack(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	host, pool := f.host("rdsh.example.net", ws2022, perDevice), f.install(ws2022, perDevice, 5)
	c := f.licensedDevice(host, "d1")
	f.revoke(c.ID)
	f.shrink(pool, 0)
	if rest, err := f.service.Revocation(context.Background(), ws2022); err != nil || rest.RevokableCALs != 0 {
		t.Errorf("of no key pack can be revoked: %+v, %v", rest, err)
	}
	f.now = c.Expires
	f.sweep()
	f.gone(c.ID)
}

// TestRevokeEndsSessions: the sessions of a device whose CAL is revoked use nothing any more.
func TestRevokeEndsSessions(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	terms, host := f.host("rdsh", ws2022, perDevice), f.concurrent("xrdp", ws2022, perDevice)
	f.install(ws2022, perDevice, 5)
	c := f.licensedDevice(terms, "d1")
	a := f.validate(host, on("ada", "d1", ":10"), issuance.Validated)
	f.revoke(c.ID)
	if leases := f.leases(); len(leases) != 0 {
		t.Errorf("the sessions are %+v", leases)
	}
	_, err := f.service.RenewLease(context.Background(), host, a.Lease.ID)
	f.fails(err, licensing.NotFound)
}

// TestReleaseCAL: what needs no revocation is given back by the administrator.
func TestReleaseCAL(t *testing.T) {
	f := newFarm(t, issuance.Policies{})
	ctx := context.Background()
	devices, users := f.host("rdsh1", ws2022, perDevice), f.host("rdsh2", ws2022, perUser)
	counts := f.concurrent("xrdp", ws2022, perDevice)
	devicePool, userPool := f.install(ws2022, perDevice, 5), f.install(ws2022, perUser, 1)
	active := f.licensedDevice(devices, "d2").ID
	f.fails(f.service.ReleaseCAL(ctx, "admin", active), licensing.NotSupported)
	f.issued(devicePool, 1)
	f.revoke(active)
	f.fails(f.service.ReleaseCAL(ctx, "admin", active), licensing.NotSupported)
	f.fails(f.service.ReleaseCAL(ctx, "admin", 4711), licensing.NotFound)

	for _, id := range []uint32{
		f.request(devices, device("d1"), issuance.Issued).CAL.ID,
		f.validate(devices, device("d4"), issuance.Validated).CAL.ID,
		f.validate(counts, on("ada", "d3", ":10"), issuance.Issued).CAL.ID,
		f.request(users, user("ada"), issuance.Issued).CAL.ID,
		f.request(users, user("bob"), issuance.Issued).CAL.ID, // over-used
		f.request(users, provisional(user("carol")), issuance.Issued).CAL.ID,
	} {
		f.must(f.service.ReleaseCAL(ctx, "admin", id))
		f.gone(id)
		f.recount()
	}
	f.issued(devicePool, 0)
	f.issued(userPool, 0)
	if leases := f.leases(); len(leases) != 0 {
		t.Errorf("the sessions are %+v", leases)
	}
	if left := f.cals(store.CALFilter{}); len(left) != 1 {
		t.Errorf("left are %+v", left)
	}
	a := f.request(devices, device("d1"), issuance.Issued) // it has authenticated nobody
	if a.CAL.Status != licensing.StatusTemporary {
		t.Errorf("the device whose temporary CAL was released gets %+v", a.CAL)
	}
}
