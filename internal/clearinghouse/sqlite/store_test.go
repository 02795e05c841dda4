package sqlite_test

import (
	"errors"
	"path/filepath"
	"testing"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/sqlite"
	"calkeeper/internal/clearinghouse/storetest"
)

// opened is a store with the name of its file.
type opened struct {
	*sqlite.Store
	path string
}

func openAt(t testing.TB, path string) opened {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return opened{store, path}
}

func openNew(t testing.TB) opened {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "ledger.db"))
}

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open: func(t *testing.T) clearinghouse.Store { return openNew(t) },
		Reopen: func(t *testing.T, s clearinghouse.Store) clearinghouse.Store {
			t.Helper()
			if err := s.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
			return openAt(t, s.(opened).path)
		},
		OpenBackup: func(t *testing.T, path string) clearinghouse.Store { return openAt(t, path) },
	})
}

// TestLimitStaysPrepared: a query with a limit is not prepared anew each time, which costs ten times what it does. What SQLite
// prepares takes memory of Go's, too.
func TestLimitStaysPrepared(t *testing.T) {
	err := openNew(t).View(t.Context(), func(r clearinghouse.Reader) error {
		for name, query := range map[string]func() error{
			"notices": func() error { _, err := r.Notices(1, 0, 64); return err },
			"entries": func() error { _, err := r.Entries(0, 64); return err },
		} {
			var err error
			if n := testing.AllocsPerRun(10, func() { err = errors.Join(err, query()) }); n > 10 || err != nil {
				t.Errorf("%s: %v allocations, %v", name, n, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
