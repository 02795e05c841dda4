// Package storetest is the suite that every implementation of clearinghouse.Store passes.
//
// Beyond what the port says, it holds implementations to this: instants keep their microseconds and come back in UTC;
// empty lists and byte strings come back as nil; what a row refers to must be there (NotFound); what no caller can mean,
// such as a holder that is none, is Internal; a refused call leaves no trace, even if its transaction goes on and commits;
// notices, entries and codes come in ascending order; a limit of 0 or less returns nothing; a waiting server needs no
// organization; and once the store is closed or the context has ended, functions are not run.
//
// The package must not know any implementation.
package storetest

import (
	"cmp"
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
)

// Harness makes stores of one implementation. All that it opens, it closes at the end of the test.
type Harness struct {
	// Open returns a new, empty store.
	Open func(t *testing.T) clearinghouse.Store
	// Reopen closes the store and opens what it left behind.
	Reopen func(t *testing.T, s clearinghouse.Store) clearinghouse.Store
	// OpenBackup opens what Backup wrote to path.
	OpenBackup func(t *testing.T, path string) clearinghouse.Store
}

// Run runs the suite as subtests of t.
func Run(t *testing.T, h Harness) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, h Harness)
	}{
		{"Organizations", testOrganizations},
		{"Servers", testServers},
		{"ServerConflicts", testServerConflicts},
		{"Entitlements", testEntitlements},
		{"EntitlementConflicts", testEntitlementConflicts},
		{"FindEntitlements", testFindEntitlements},
		{"Post", testPost},
		{"PostRefused", testPostRefused},
		{"Entries", testEntries},
		{"Ledger", testLedger},
		{"Transfers", testTransfers},
		{"ReleaseTransfers", testReleaseTransfers},
		{"Notices", testNotices},
		{"Codes", testCodes},
		{"Serials", testSerials},
		{"Settled", testSettled},
		{"NotFound", testNotFound},
		{"Rollback", testRollback},
		{"Snapshot", testSnapshot},
		{"Concurrency", testConcurrency},
		{"Durability", testDurability},
		{"Backup", testBackup},
		{"Closed", testClosed},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// fixture is an open store in a test.
type fixture struct {
	t     *testing.T
	store clearinghouse.Store
}

// update runs fn in a transaction that must succeed.
func (f fixture) update(fn func(clearinghouse.Tx) error) {
	f.t.Helper()
	if err := f.store.Update(f.t.Context(), fn); err != nil {
		f.t.Fatalf("Update: %v", err)
	}
}

// refused runs fn in a transaction that must fail with a Fault of the kind.
func (f fixture) refused(kind licensing.Kind, what string, fn func(clearinghouse.Tx) error) {
	f.t.Helper()
	wantFault(f.t, what, f.store.Update(f.t.Context(), fn), kind)
}

func wantFault(t *testing.T, what string, err error, kind licensing.Kind) {
	t.Helper()
	var fault *licensing.Fault
	if !errors.As(err, &fault) || fault.Kind != kind {
		t.Errorf("%s: got %v, want a Fault of the kind %q", what, err, kind)
	}
}

// read returns what fn reads in a View that must succeed.
func read[T any](f fixture, fn func(clearinghouse.Reader) (T, error)) T {
	f.t.Helper()
	var v T
	err := f.store.View(f.t.Context(), func(r clearinghouse.Reader) (err error) {
		v, err = fn(r)
		return err
	})
	if err != nil {
		f.t.Fatalf("View: %v", err)
	}
	return v
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// start is when the tests begin. It has microseconds.
var start = time.Date(2026, 3, 29, 1, 59, 59, 123456000, time.UTC)

func organization(id string) clearinghouse.Organization {
	return clearinghouse.Organization{ID: id, Name: "Organization " + id, EnrolmentHash: hash("enrolment of " + id), Created: start}
}

// hash returns 32 bytes that follow from the text.
func hash(text string) []byte {
	b := make([]byte, 32)
	for i := range 32 {
		b[i] = text[i%len(text)] + byte(i)
	}
	return b
}

func server(organization, name string) clearinghouse.Server {
	return clearinghouse.Server{
		ProductID: "product of " + name, LicenseServerID: "id of " + name, Organization: organization, Name: name,
		Names:   []string{name, "2001:db8::1", name + ".example.org"},
		Contact: licensing.Contact{FirstName: "Zoë", LastName: `O"Hara`, Company: "<&>", CountryRegion: "日本", PostalCode: "1"},
		State:   clearinghouse.ServerActive, NoticeSeq: 7, AckedSeq: 5, LastContact: start.Add(time.Hour),
	}
}

func agreement(id, organization, number string) clearinghouse.Entitlement {
	return clearinghouse.Entitlement{
		ID: id, Organization: organization, Program: licensing.Agreement, AgreementType: licensing.Enterprise, Number: number,
		ProductVersion: licensing.WindowsServer2022, Expires: start.AddDate(3, 0, 0), Created: start,
	}
}

func open(id, organization, number string) clearinghouse.Entitlement {
	return clearinghouse.Entitlement{
		ID: id, Organization: organization, Program: licensing.Open, Number: number, SecretHash: hash("authorization"),
		ProductVersion: licensing.WindowsServer2019, Created: start,
	}
}

func retail(id, organization string) clearinghouse.Entitlement {
	return clearinghouse.Entitlement{
		ID: id, Organization: organization, Program: licensing.Retail, Number: "ABCDE", SecretHash: hash("code of " + id),
		ProductVersion: licensing.WindowsServer2025, Created: start,
	}
}

// world is what most tests begin with: the organizations "north" and "south", two servers and two entitlements of north.
type world struct {
	fixture
	first, second uint32
}

const (
	enterprise = "entitlement-1"
	retailed   = "entitlement-2"
)

func newWorld(t *testing.T, h Harness) world {
	t.Helper()
	w := world{fixture: fixture{t, h.Open(t)}}
	w.update(func(tx clearinghouse.Tx) error {
		var err [6]error
		err[0] = tx.InsertOrganization(organization("north"))
		err[1] = tx.InsertOrganization(organization("south"))
		w.first, err[2] = tx.InsertServer(server("north", "first"))
		w.second, err[3] = tx.InsertServer(server("north", "second"))
		err[4] = tx.InsertEntitlement(agreement(enterprise, "north", "1234567"))
		err[5] = tx.InsertEntitlement(retail(retailed, "north"))
		return errors.Join(err[:]...)
	})
	return w
}

// account is one of the enterprise agreement's per-device accounts.
func account(h clearinghouse.Holder) clearinghouse.Account {
	return clearinghouse.Account{Entitlement: enterprise, ProductType: licensing.PerDevice, Holder: h}
}

// entry is an entry with those postings.
func entry(kind string, postings ...clearinghouse.Posting) clearinghouse.Entry {
	return clearinghouse.Entry{At: start, Kind: kind, Key: "key of " + kind, Actor: "operator", Postings: postings}
}

// move is an entry that moves n per-device CALs of the enterprise agreement.
func move(kind string, from, to clearinghouse.Holder, n int64) clearinghouse.Entry {
	return entry(kind, clearinghouse.Move(enterprise, licensing.PerDevice, from, to, n)...)
}

// content is all that a Reader shows, in an order that does not depend on the implementation.
type content struct {
	organizations []clearinghouse.Organization
	servers       []clearinghouse.Server
	entitlements  []clearinghouse.Entitlement
	balances      []clearinghouse.Balance
	entries       []clearinghouse.Entry
	transfers     []clearinghouse.Transfer
	notices       []clearinghouse.QueuedNotice
	codes         []clearinghouse.Code
	settled       []clearinghouse.Settled
}

// contentOf reads everything; settled operations only those with one of the keys.
func contentOf(ctx context.Context, s clearinghouse.Store, keys ...string) (c content, err error) {
	err = s.View(ctx, func(r clearinghouse.Reader) error {
		var errs [6]error
		c.organizations, errs[0] = r.Organizations()
		c.servers, errs[1] = r.Servers("")
		c.entitlements, errs[2] = r.Entitlements("")
		c.entries, errs[3] = r.Entries(0, math.MaxInt32)
		c.transfers, errs[4] = r.Transfers()
		c.codes, errs[5] = r.Codes()
		if err := errors.Join(errs[:]...); err != nil {
			return err
		}
		slices.SortFunc(c.organizations, func(a, b clearinghouse.Organization) int { return cmp.Compare(a.ID, b.ID) })
		slices.SortFunc(c.entitlements, func(a, b clearinghouse.Entitlement) int { return cmp.Compare(a.ID, b.ID) })
		for _, e := range c.entitlements {
			balances, err := r.Balances(e.ID)
			if err != nil {
				return err
			}
			c.balances = append(c.balances, balances...)
		}
		for _, s := range c.servers {
			notices, err := r.Notices(s.ID, 0, math.MaxInt32)
			if err != nil {
				return err
			}
			c.notices = append(c.notices, notices...)
			for _, key := range keys {
				settled, err := r.Settled(s.ID, key)
				if err == nil {
					c.settled = append(c.settled, settled)
				} else if licensing.KindOf(err) != licensing.NotFound {
					return err
				}
			}
		}
		return nil
	})
	return c, err
}

func equalContent(t *testing.T, what string, got, want content) {
	t.Helper()
	equal(t, what+": organizations", got.organizations, want.organizations)
	equal(t, what+": servers", got.servers, want.servers)
	equal(t, what+": entitlements", got.entitlements, want.entitlements)
	equal(t, what+": balances", got.balances, want.balances)
	equal(t, what+": entries", got.entries, want.entries)
	equal(t, what+": transfers", got.transfers, want.transfers)
	equal(t, what+": notices", got.notices, want.notices)
	equal(t, what+": codes", got.codes, want.codes)
	equal(t, what+": settled operations", got.settled, want.settled)
}

func (f fixture) content(keys ...string) content {
	f.t.Helper()
	c, err := contentOf(f.t.Context(), f.store, keys...)
	if err != nil {
		f.t.Fatalf("read everything: %v", err)
	}
	return c
}
