package sqlite_test

import (
	"errors"
	"iter"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/sqlitedb"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

// TestSnapshotTooOld writes more than the log may hold while somebody is in the middle of a list.
func TestSnapshotTooOld(t *testing.T) {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "licenses.db"), sqlite.Options{
		LogLimit: 1 << 20, Synchronous: sqlitedb.SynchronousOff,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	audit := func(detail string) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx store.Tx) error {
			return tx.Audit(store.AuditRecord{At: time.Now(), Actor: "test", Action: "test", Detail: detail})
		}); err != nil {
			t.Fatal(err)
		}
	}
	install(t, s, 3)
	next, stop := iter.Pull2(func(yield func(licensing.KeyPack, error) bool) {
		err := s.Snapshot(t.Context(), func(r store.Reader) error {
			for k, err := range r.KeyPacks() {
				if err != nil || !yield(k, nil) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			yield(licensing.KeyPack{}, err)
		}
	})
	defer stop()
	if _, err, ok := next(); err != nil || !ok {
		t.Fatal(err)
	}
	for range 40 { // 4 MB
		audit(strings.Repeat("x", 100_000))
	}
	_, err, ok := next()
	if !ok || !errors.Is(err, store.ErrSnapshotEnded) || licensing.KindOf(err) != licensing.Limited {
		t.Errorf("%v; want a Fault of kind limited that wraps %q", err, store.ErrSnapshotEnded)
	}
	if _, _, ok := next(); ok {
		t.Error("the list goes on after its error")
	}
}
