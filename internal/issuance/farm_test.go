package issuance_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

const day = 24 * time.Hour

// Short names for what the tables are full of.
const (
	ws2008 = licensing.WindowsServer2008
	ws2012 = licensing.WindowsServer2012
	ws2016 = licensing.WindowsServer2016
	ws2019 = licensing.WindowsServer2019
	ws2022 = licensing.WindowsServer2022
	ws2025 = licensing.WindowsServer2025

	perDevice = licensing.PerDevice
	perUser   = licensing.PerUser
)

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
}

// farm is a license server with its session hosts: a real store, and a clock that only the test moves.
type farm struct {
	t       tester
	path    string
	now     time.Time
	random  *lockedRandom
	options issuance.Options
	store   *sqlite.Store
	service *issuance.Service

	shrunk     map[uint32]bool              // key packs that may have more issued than they hold
	audited    uint64                       // up to here the audit log was read
	born       map[uint32]bool              // the CALs that it says were issued
	lastDenial uint64                       // up to here the denials were read
	denied     map[store.DenialCount]uint64 // and so many there are; Count is 0 in the keys
}

// lockedRandom is reproducible randomness that several goroutines can read.
type lockedRandom struct {
	mu     sync.Mutex
	source *rand.ChaCha8
}

func (r *lockedRandom) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.source.Read(p)
}

// newFarm returns an activated license server without key packs, whose counters are recounted when the test ends.
func newFarm(t *testing.T, policies issuance.Policies) *farm {
	t.Helper()
	dir, err := os.MkdirTemp(scratch(), "calkeeper-issuance-")
	if err != nil {
		t.Fatal(err)
	}
	f := openFarm(t, dir, 1, policies)
	t.Cleanup(func() {
		if !t.Failed() {
			f.recount()
		}
		f.close()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return f
}

func openFarm(t tester, dir string, seed uint64, policies issuance.Policies) *farm {
	f := &farm{
		t: t, path: databaseIn(dir), now: time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC),
		shrunk: map[uint32]bool{}, born: map[uint32]bool{}, denied: map[store.DenialCount]uint64{},
		random: &lockedRandom{source: rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24)})},
	}
	f.options = issuance.Options{
		Policies: policies, Now: func() time.Time { return f.now }, Random: f.random, Logger: slog.New(slog.DiscardHandler),
	}
	f.open()
	f.activate(true)
	return f
}

func databaseIn(dir string) string { return filepath.Join(dir, "licenses.db") }

func (f *farm) open() {
	st, err := sqlite.Open(context.Background(), f.path, sqlite.Options{Readers: 1}) // one prepares the fewest statements
	f.must(err)
	f.store, f.service = st, issuance.New(st, f.options)
}

func (f *farm) close() { f.must(f.store.Close()) }

func (f *farm) reopen() {
	f.close()
	f.open()
}

func (f *farm) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatalf("%v", err)
	}
}

func (f *farm) pass(d time.Duration) { f.now = f.now.Add(d) }

func (f *farm) sweep() {
	f.t.Helper()
	_, err := f.service.Sweep(context.Background())
	f.must(err)
}

// update changes the store as another use-case does.
func (f *farm) update(action string, change func(store.Tx) error) {
	f.t.Helper()
	f.must(f.store.Update(context.Background(), func(tx store.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		return tx.Audit(store.AuditRecord{At: f.now, Actor: "test", Action: action})
	}))
}

func (f *farm) activate(on bool) {
	f.t.Helper()
	f.update("activate", func(tx store.Tx) error {
		server, err := tx.Server()
		if err != nil {
			return err
		}
		if server.LicenseServerID = ""; on {
			server.LicenseServerID = "ABCDEFGHJKMNPQRSTVWXYZ0123456789ABC"
		}
		return tx.PutServer(server)
	})
}

// install adds a key pack without an end.
func (f *farm) install(v licensing.ProductVersion, t licensing.ProductType, total uint32) (id uint32) {
	f.t.Helper()
	return f.installUntil(v, t, total, licensing.PerpetualExpiry(f.now))
}

func (f *farm) installUntil(v licensing.ProductVersion, t licensing.ProductType, total uint32, expires time.Time) (id uint32) {
	f.t.Helper()
	f.update("install", func(tx store.Tx) (err error) {
		id, err = tx.InsertKeyPack(licensing.KeyPack{
			Type: licensing.KeyPackOpen, ProductVersion: v, ProductType: t, Total: total, Installed: f.now, Expires: expires, Entitlement: "e1",
		})
		return err
	})
	return id
}

// change edits a key pack as the inventory does: one of which nothing is left is deleted.
func (f *farm) change(id uint32, edit func(*licensing.KeyPack)) {
	f.t.Helper()
	f.update("change", func(tx store.Tx) error {
		pack, err := tx.KeyPack(id)
		if err != nil {
			return err
		}
		edit(&pack)
		if pack.Total < pack.Issued {
			f.shrunk[id] = true
		}
		if pack.Total == 0 && pack.Issued == 0 && pack.Held == 0 {
			return tx.DeleteKeyPack(id)
		}
		return tx.UpdateKeyPack(pack)
	})
}

func (f *farm) shrink(id, total uint32) {
	f.t.Helper()
	f.change(id, func(k *licensing.KeyPack) { k.Total = total })
}

func (f *farm) packs() []licensing.KeyPack {
	f.t.Helper()
	packs, err := f.service.KeyPacks(context.Background())
	f.must(err)
	return packs
}

func (f *farm) pack(id uint32) licensing.KeyPack {
	f.t.Helper()
	for _, pack := range f.packs() {
		if pack.ID == id {
			return pack
		}
	}
	f.t.Fatalf("there is no key pack %d", id)
	return licensing.KeyPack{}
}

// issued checks how many CALs of a key pack are issued.
func (f *farm) issued(id, want uint32) {
	f.t.Helper()
	if pack := f.pack(id); pack.Issued != want {
		f.t.Errorf("%d CALs of key pack %d are issued; want %d", pack.Issued, id, want)
	}
}

// overUsed returns how many over-used CALs of a version there are, and whether there is a key pack of them.
func (f *farm) overUsed(v licensing.ProductVersion) (issued uint32, found bool) {
	f.t.Helper()
	for _, pack := range f.packs() {
		if pack.Type == licensing.KeyPackOverUsed && pack.ProductVersion == v {
			return pack.Issued, true
		}
	}
	return 0, false
}

func (f *farm) cals(filter store.CALFilter) (list []licensing.CAL) {
	f.t.Helper()
	list, err := f.service.CALPage(context.Background(), filter, math.MaxInt)
	f.must(err)
	return list
}

func (f *farm) cal(id uint32) licensing.CAL {
	f.t.Helper()
	c, err := f.service.CAL(context.Background(), id)
	f.must(err)
	return c
}

// gone checks that there is no CAL of the ID any more.
func (f *farm) gone(id uint32) {
	f.t.Helper()
	if c, err := f.service.CAL(context.Background(), id); licensing.KindOf(err) != licensing.NotFound || err == nil {
		f.t.Errorf("CAL %d is still there: %+v, %v", id, c, err)
	}
}

func (f *farm) leases() []licensing.Lease {
	f.t.Helper()
	list, err := f.service.Leases(context.Background(), store.LeaseFilter{})
	f.must(err)
	return list
}

// host registers a session host that issues for terms.
func (f *farm) host(name string, v licensing.ProductVersion, mode licensing.ProductType) licensing.Host {
	f.t.Helper()
	return f.register(licensing.Host{Name: name, ProductVersion: v, Mode: mode})
}

// concurrent registers a session host that counts sessions.
func (f *farm) concurrent(name string, v licensing.ProductVersion, mode licensing.ProductType) licensing.Host {
	f.t.Helper()
	return f.register(licensing.Host{Name: name, ProductVersion: v, Mode: mode, Concurrent: true, LeaseTTL: time.Hour})
}

func (f *farm) register(h licensing.Host) licensing.Host {
	f.t.Helper()
	_, err := f.service.AddHost(context.Background(), "test", h)
	f.must(err)
	h, err = f.service.Host(context.Background(), h.Name)
	f.must(err)
	return h
}

// A request, from who asks.
func user(name string) issuance.Request { return issuance.Request{User: name} }
func device(name string) issuance.Request {
	return issuance.Request{Device: licensing.Device{ID: name}}
}

func on(user, device, session string) issuance.Request {
	return issuance.Request{User: user, Device: licensing.Device{ID: device}, Session: session}
}

func provisional(r issuance.Request) issuance.Request {
	r.Provisional = true
	return r
}

// action is a method of the service that asks for a CAL.
type action func(*issuance.Service, context.Context, issuance.Request) (issuance.Answer, error)

// do asks for a CAL that must be given, as outcome says.
func (f *farm) do(a action, h licensing.Host, r issuance.Request, outcome issuance.Outcome) issuance.Answer {
	f.t.Helper()
	r.Host = h
	answer, err := a(f.service, context.Background(), r)
	if err != nil {
		f.t.Fatalf("%s for %s: %v; want %s", h.Name, who(r), err, outcome)
	}
	if answer.Outcome != outcome {
		f.t.Errorf("%s for %s: %s (%+v); want %s", h.Name, who(r), answer.Outcome, answer.CAL, outcome)
	}
	return answer
}

func who(r issuance.Request) string { return fmt.Sprintf("%q on %q", r.User, r.Device) }

func (f *farm) request(h licensing.Host, r issuance.Request, outcome issuance.Outcome) issuance.Answer {
	f.t.Helper()
	return f.do((*issuance.Service).Request, h, r, outcome)
}

func (f *farm) validate(h licensing.Host, r issuance.Request, outcome issuance.Outcome) issuance.Answer {
	f.t.Helper()
	return f.do((*issuance.Service).Validate, h, r, outcome)
}

func (f *farm) renew(h licensing.Host, r issuance.Request, outcome issuance.Outcome) issuance.Answer {
	f.t.Helper()
	return f.do((*issuance.Service).Renew, h, r, outcome)
}

// denied asks for a CAL that must be refused, which is recorded.
func (f *farm) refuse(h licensing.Host, r issuance.Request, want licensing.DenialReason) {
	f.t.Helper()
	before := f.denials()
	r.Host = h
	answer, err := f.service.Request(context.Background(), r)
	if reason(err) != want {
		f.t.Fatalf("%s for %s: %+v, %v; want a denial: %s", h.Name, who(r), answer, err, want)
	}
	after := f.denials()
	if len(after) != len(before)+1 {
		f.t.Fatalf("%d denials are recorded; want one more than %d", len(after), len(before))
	}
	last := after[len(after)-1]
	last.Seq = 0
	record := licensing.Denial{
		At: f.now, Host: h.Name, User: r.User, Device: r.Device, ProductVersion: h.ProductVersion, ProductType: h.Mode, Reason: want,
		Detail: licensing.Message(err),
	}
	if last != record {
		f.t.Errorf("the denial is recorded as %+v; want %+v", last, record)
	}
}

// reason returns why a CAL was refused; empty for any other error.
func reason(err error) licensing.DenialReason {
	var why licensing.DenialReason
	if licensing.KindOf(err) == licensing.Unlicensed && errors.As(err, &why) {
		return why
	}
	return ""
}

func (f *farm) denials() []licensing.Denial {
	f.t.Helper()
	list, err := f.service.Denials(context.Background(), 0, 1_000_000)
	f.must(err)
	return list
}

func (f *farm) release(h licensing.Host, r issuance.Request, want issuance.Ended) {
	f.t.Helper()
	r.Host = h
	ended, err := f.service.Release(context.Background(), r)
	f.must(err)
	if ended != want {
		f.t.Errorf("%s released for %s %+v; want %+v", h.Name, who(r), ended, want)
	}
}

// fails checks the kind of an error.
func (f *farm) fails(err error, kind licensing.Kind) {
	f.t.Helper()
	if err == nil || licensing.KindOf(err) != kind {
		f.t.Errorf("the error is %v; want one that is %q", err, kind)
	}
}

// expires checks when a CAL ends.
func (f *farm) expires(c licensing.CAL, want time.Time) {
	f.t.Helper()
	if stored := f.cal(c.ID); !stored.Expires.Equal(want) || !c.Expires.Equal(want) {
		f.t.Errorf("CAL %d ends on %s, and is stored as ending on %s; want %s", c.ID, c.Expires, stored.Expires, want)
	}
}
