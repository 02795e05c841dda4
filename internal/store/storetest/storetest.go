// Package storetest is the conformance suite of the port package store: what Run tests is what the use-cases of a license
// server may rely on, whatever the database.
//
// # What the suite settles
//
// Where the comments of package store leave something open, an implementation must do this:
//
//   - Instants are kept to the microsecond and come back in UTC; the zero time.Time comes back as such.
//   - Text is valid UTF-8 without NUL characters, of any length; other text is refused as Invalid. So are an instant
//     outside the years 1 to 9999, a NoticeSeq above the largest int64, and the zero time where package store says that it
//     is missed. Nil and empty bytes are the same. Texts are compared byte by byte, but for CALFilter.Search.
//   - IDs and Seqs in what is inserted are not read, but that of PutLease. They ascend in the order of insertion and are never
//     given out again, neither after a removal nor after a reopening nor by a restored backup. Gaps are allowed.
//   - Every successful write other than Audit, ExtendLease and Forget is a change, even one that writes what was there; a
//     second SpendTemporary is none. A transaction refused for want of an audit record returns a Fault of kind Internal.
//   - A Fault changes nothing and leaves the transaction usable: fn may handle it and go on. After any other error of a
//     method the transaction is not committed, whatever fn returns.
//   - The body of a loop over KeyPacks or CALs may read, nest other such loops, update and delete the key pack or CAL it was
//     given, also so that the filter does not match any more, and insert others, which the loop then does not reach. Whether
//     it sees changes of those ahead of it is open.
//   - A method that returns a list and finds nothing returns no error; a limit below 1 finds nothing, but in LeaseFilter.
//   - An Update, View or Snapshot that does not begin because ctx has ended returns an error that wraps ctx.Err(), and so does a
//     View or Snapshot whose reads that interrupted.
//   - At least eight Snapshots can be open at the same time; they end also if Close is called while their functions wait.
//   - After a panic in fn nothing of it is committed and the store goes on; whether Update returns an error or panics is open.
//   - Backup on a path that exists is a Fault of kind AlreadyExists. If Backup fails there is no file at the path.
//   - Close may be called again; every other method but Path then returns an error.
//
// The package must not know any implementation.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// Harness tells the suite how to get at the stores of one implementation. The suite closes every store that it was given.
// A function that cannot do its work ends the test with t.Fatal; it may register cleanups.
type Harness struct {
	// Open returns a new store that is empty.
	Open func(t testing.TB) store.Store
	// Reopen returns another store over the database of one that is closed.
	Reopen func(t testing.TB, closed store.Store) store.Store
	// Restore returns a store over a database of its own with what Backup wrote to path.
	Restore func(t testing.TB, path string) store.Store
}

// Run tests an implementation.
func Run(t *testing.T, h Harness) {
	tests := []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"Empty", testEmpty},
		{"Server", testServer},
		{"KeyPack", testKeyPack},
		{"Operations", testOperations},
		{"Documents", testDocuments},
		{"Serials", testSerials},
		{"AuditRecords", testAuditRecords},
		{"AuditOrigin", testAuditOrigin},
		{"Accounts", testAccounts},
		{"Values", testValues},
		{"Unstorable", testUnstorable},

		{"KeyPacksBreak", testKeyPacksBreak},
		{"KeyPacksBodyReads", testKeyPacksBodyReads},
		{"KeyPacksBodyWrites", testKeyPacksBodyWrites},

		{"CAL", testCAL},
		{"Slots", testSlots},
		{"ExpiredCALs", testExpiredCALs},
		{"CountRevoked", testCountRevoked},
		{"AddIssued", testAddIssued},
		{"TemporarySpent", testTemporarySpent},
		{"CALFilters", testCALFilters},
		{"CALsBreak", testCALsBreak},
		{"CALsBodyReads", testCALsBodyReads},
		{"CALsBodyWrites", testCALsBodyWrites},
		{"Lease", testLease},
		{"LeaseFaults", testLeaseFaults},
		{"ExtendLease", testExtendLease},
		{"ExpiredLeases", testExpiredLeases},
		{"Hosts", testHosts},
		{"HostLeases", testHostLeases},
		{"Denials", testDenials},
		{"Answers", testAnswers},
		{"Forget", testForget},
		{"Required", testRequired},
		{"Reports", testReports},

		{"Rollback", testRollback},
		{"FaultIsNoEnd", testFaultIsNoEnd},
		{"Unaudited", testUnaudited},
		{"Panic", testPanic},
		{"OwnWrites", testOwnWrites},
		{"View", testView},
		{"SnapshotsWait", testSnapshotsWait},
		{"SnapshotEnds", testSnapshotEnds},
		{"TooManySnapshots", testTooManySnapshots},
		{"SnapshotClosed", testSnapshotClosed},
		{"Concurrent", testConcurrent},
		{"Context", testContext},

		{"Reopen", testReopen},
		{"IDsNeverReused", testIDsNeverReused},
		{"IssuedIDsNeverReused", testIssuedIDsNeverReused},
		{"Closed", testClosed},
		{"Backup", testBackup},
		{"BackupRefused", testBackupRefused},
		{"BackupWhileUpdating", testBackupWhileUpdating},

		{"Model", testModel},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// open returns an empty store that is closed at the end of the test.
func (h Harness) open(t *testing.T) store.Store {
	t.Helper()
	return closing(t, h.Open(t))
}

// reopen closes s and returns its successor.
func (h Harness) reopen(t *testing.T, s store.Store) store.Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	return closing(t, h.Reopen(t, s))
}

func (h Harness) restore(t *testing.T, path string) store.Store {
	t.Helper()
	return closing(t, h.Restore(t, path))
}

func closing(t *testing.T, s store.Store) store.Store {
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// The functions that the tests give to View and Update return errors and never call t.Fatal, because an implementation may
// run them on a goroutine of its own.

// view runs fn, which must succeed.
func view(t *testing.T, s store.Store, fn func(store.Reader) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatalf("View: %v", err)
	}
}

// snapshot runs fn, which must succeed.
func snapshot(t *testing.T, s store.Store, fn func(store.Reader) error) {
	t.Helper()
	if err := s.Snapshot(t.Context(), fn); err != nil {
		t.Fatalf("Snapshot: %v", err)
	}
}

// update runs fn and appends an audit record; both must succeed.
func update(t *testing.T, s store.Store, fn func(store.Tx) error) {
	t.Helper()
	if err := tryUpdate(t.Context(), s, fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

// tryUpdate runs fn and appends an audit record.
func tryUpdate(ctx context.Context, s store.Store, fn func(store.Tx) error) error {
	return s.Update(ctx, func(tx store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return tx.Audit(auditRecord("test", 0))
	})
}

// insert inserts key packs in one transaction and returns them with their IDs.
func insert(t *testing.T, s store.Store, packs ...licensing.KeyPack) []licensing.KeyPack {
	t.Helper()
	update(t, s, func(tx store.Tx) error {
		for i := range packs {
			id, err := tx.InsertKeyPack(packs[i])
			if err != nil {
				return err
			}
			packs[i].ID = id
		}
		return nil
	})
	return packs
}

// differ returns an error if two values are not deeply equal.
func differ(what string, got, want any) error {
	if reflect.DeepEqual(got, want) {
		return nil
	}
	return fmt.Errorf("%s: got\n\t%+v\nwant\n\t%+v", what, got, want)
}

// fault returns an error unless err is a Fault of the kind.
func fault(what string, err error, kind licensing.Kind) error {
	var f *licensing.Fault
	switch {
	case err == nil:
		return fmt.Errorf("%s: succeeded; want a Fault of kind %q", what, kind)
	case !errors.As(err, &f):
		return fmt.Errorf("%s: %w; want a Fault of kind %q", what, err, kind)
	case f.Kind != kind:
		return fmt.Errorf("%s: Fault of kind %q (%w); want kind %q", what, f.Kind, err, kind)
	case f.Msg == "":
		return fmt.Errorf("%s: a Fault of kind %q without a message", what, kind)
	}
	return nil
}
