package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	sqlite3 "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"calkeeper/internal/licensing"
	"calkeeper/internal/sqlitedb"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
	"calkeeper/internal/store/storetest"
)

// TestStore does not flush: the suite cannot take the power away.
func TestStore(t *testing.T) {
	open := func(t testing.TB, path string) store.Store {
		return openWith(t, path, sqlite.Options{Synchronous: sqlitedb.SynchronousOff})
	}
	storetest.Run(t, storetest.Harness{
		Open:    func(t testing.TB) store.Store { return open(t, filepath.Join(t.TempDir(), "licenses.db")) },
		Reopen:  func(t testing.TB, closed store.Store) store.Store { return open(t, closed.Path()) },
		Restore: open,
	})
}

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	return openWith(t, path, sqlite.Options{})
}

func openWith(t testing.TB, path string, opt sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// connect opens the file as a tool beside the program would.
func connect(t *testing.T, path string) *sqlite3.Conn {
	t.Helper()
	conn, err := sqlite3.OpenConn(path, sqlite3.OpenReadWrite, sqlite3.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func execute(t *testing.T, conn *sqlite3.Conn, query string) {
	t.Helper()
	if err := sqlitex.ExecuteTransient(conn, query, nil); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func pack(total uint32) licensing.KeyPack {
	return licensing.KeyPack{ProductVersion: licensing.WindowsServer2022, Total: total}
}

// install inserts n key packs in one transaction and returns the ID of the last.
func install(t testing.TB, s store.Store, n int) (id uint32) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx store.Tx) (err error) {
		for i := range n {
			if id, err = tx.InsertKeyPack(pack(uint32(i))); err != nil {
				return err
			}
		}
		return tx.Audit(store.AuditRecord{Action: "install"})
	}); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestPathIsAbsolute(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	s := open(t, "licenses.db")
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "licenses.db"); s.Path() != want {
		t.Errorf("Path is %q; want %q", s.Path(), want)
	}
}

// TestFileMode looks at every file that there is while the store is open, and at a backup.
func TestFileMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // has access control lists instead
	}
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "licenses.db"))
	install(t, s, 1)
	if err := s.Backup(t.Context(), filepath.Join(dir, "backup.db")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) < 3 {
		t.Fatalf("the files are %v; want at least the database, its log and the backup", entries)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v; want 0600", entry.Name(), info.Mode())
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name   string
		create func(t *testing.T, path string)
		want   error
	}{
		{"a text file", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("no database\n", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, sqlitedb.ErrForeign},
		{"a database without application ID", func(t *testing.T, path string) {
			execute(t, connect(t, path), "CREATE TABLE key_pack (id INTEGER)")
		}, sqlitedb.ErrForeign},
		{"a database of another application", func(t *testing.T, path string) {
			conn := connect(t, path)
			execute(t, conn, "CREATE TABLE key_pack (id INTEGER)")
			execute(t, conn, fmt.Sprintf("PRAGMA application_id = %d", sqlite.ApplicationID+1))
		}, sqlitedb.ErrForeign},
		{"a newer schema", func(t *testing.T, path string) {
			if err := open(t, path).Close(); err != nil {
				t.Fatal(err)
			}
			execute(t, connect(t, path), "PRAGMA user_version = 1000")
		}, sqlitedb.ErrNewerSchema},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "licenses.db")
			test.create(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if s, err := sqlite.Open(t.Context(), path, sqlite.Options{}); !errors.Is(err, test.want) {
				if err == nil {
					s.Close()
				}
				t.Fatalf("Open: %v; want %v", err, test.want)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before, after) {
				t.Error("the refused file was changed")
			}
		})
	}
}

func TestOpenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "licenses.db")
	s := open(t, path)
	if _, err := sqlite.Open(t.Context(), path, sqlite.Options{}); !errors.Is(err, sqlitedb.ErrInUse) {
		t.Errorf("a second Open: %v; want %v", err, sqlitedb.ErrInUse)
	}
	install(t, s, 1)
}

func TestOpenCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "licenses.db"), sqlite.Options{}); err == nil {
		s.Close()
		t.Error("Open with a canceled context succeeded")
	}
}

func TestLoggerIsToldOfMigrations(t *testing.T) {
	var log bytes.Buffer
	opt := sqlite.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Readers: 1}
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "licenses.db"), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !strings.Contains(log.String(), "0001_license_server.sql") {
		t.Errorf("the log does not name the migration: %s", log.String())
	}
}

// TestSurvivesKill opens what is on disk while the store is still open, as after the death of the process.
func TestSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "licenses.db")
	s := open(t, path)
	id := install(t, s, 5)
	survivor := filepath.Join(dir, "survivor.db")
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(survivor+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := open(t, survivor).View(t.Context(), func(r store.Reader) error {
		_, err := r.KeyPack(id)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// insertCAL inserts a good CAL after a change.
func insertCAL(tx store.Tx, change func(*licensing.CAL)) error {
	c := licensing.CAL{
		KeyPackID: licensing.FirstKeyPackID, ProductVersion: licensing.WindowsServer2022, Status: licensing.StatusActive,
		Holder: "id:hwid-1", Expires: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
	change(&c)
	_, err := tx.InsertCAL(c)
	return err
}

// TestImpossible writes what package licensing calls impossible. The caller has a bug then: nothing is committed, even if it
// does not look at the error.
func TestImpossible(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "licenses.db"))
	id := install(t, s, 1)
	for constraint, write := range map[string]func(store.Tx) error{
		"key_pack_type": func(tx store.Tx) error {
			_, err := tx.InsertKeyPack(licensing.KeyPack{Type: licensing.KeyPackBuiltIn, ProductVersion: licensing.WindowsServer2022})
			return err
		},
		"key_pack_product_version": func(tx store.Tx) error {
			return tx.UpdateKeyPack(licensing.KeyPack{ID: id, ProductVersion: licensing.WindowsServer2008R2})
		},
		"key_pack_product_type": func(tx store.Tx) error {
			_, err := tx.InsertKeyPack(licensing.KeyPack{ProductType: licensing.BuiltIn, ProductVersion: licensing.WindowsServer2022})
			return err
		},
		"server_license_server_id": func(tx store.Tx) error {
			return tx.PutServer(licensing.Server{LicenseServerID: strings.Repeat("A", 34)})
		},
		"server_role":   func(tx store.Tx) error { return tx.PutServer(licensing.Server{Role: 3}) },
		"operation_key": func(tx store.Tx) error { return tx.InsertOperation(store.Operation{}) },
		"cal_key_pack_id": func(tx store.Tx) error {
			return insertCAL(tx, func(c *licensing.CAL) { c.KeyPackID = licensing.BuiltInKeyPackID })
		},
		"cal_product_version": func(tx store.Tx) error { return insertCAL(tx, func(c *licensing.CAL) { c.ProductVersion = 3 }) },
		"cal_product_type": func(tx store.Tx) error {
			return insertCAL(tx, func(c *licensing.CAL) { c.ProductType = licensing.BuiltIn })
		},
		"cal_status":             func(tx store.Tx) error { return insertCAL(tx, func(c *licensing.CAL) { c.Status = 0 }) },
		"cal_holder":             func(tx store.Tx) error { return insertCAL(tx, func(c *licensing.CAL) { c.Holder = "" }) },
		"temporary_spent_holder": func(tx store.Tx) error { return tx.SpendTemporary("", licensing.WindowsServer2022, time.Time{}) },
		"host_name": func(tx store.Tx) error {
			return tx.PutHost(licensing.Host{ProductVersion: licensing.WindowsServer2022})
		},
		"host_mode": func(tx store.Tx) error {
			return tx.PutHost(licensing.Host{Name: "h", ProductVersion: licensing.WindowsServer2022, Mode: 2})
		},
		"host_lease_ttl": func(tx store.Tx) error {
			return tx.PutHost(licensing.Host{Name: "h", ProductVersion: licensing.WindowsServer2022, LeaseTTL: -1})
		},
		"denial_reason": func(tx store.Tx) error {
			return tx.InsertDenial(licensing.Denial{At: time.Unix(0, 0), ProductVersion: licensing.WindowsServer2022})
		},
		"answer_key": func(tx store.Tx) error { return tx.PutAnswer(store.Answer{At: time.Unix(0, 0)}) },
	} {
		var err error
		committed := s.Update(t.Context(), func(tx store.Tx) error {
			err = write(tx)
			return tx.Audit(store.AuditRecord{Action: constraint})
		})
		if err == nil || !strings.Contains(err.Error(), constraint) {
			t.Errorf("%s: %v; want an error that names the constraint", constraint, err)
		}
		if licensing.KindOf(err) != licensing.Internal || !errors.Is(committed, err) {
			t.Errorf("%s: Update returned %v; want the internal error of the write, %v", constraint, committed, err)
		}
	}
	if err := s.View(t.Context(), func(r store.Reader) error {
		records, err := r.AuditRecords(0, 10)
		if len(records) != 1 {
			t.Errorf("there are %d audit records; want that of the installation only", len(records))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestLastCAL fills the IDs of CALs up: WMI has 32 bits for them.
func TestLastCAL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "licenses.db")
	s := open(t, path)
	execute(t, connect(t, path), "INSERT INTO sqlite_sequence (name, seq) VALUES ('cal', 4294967294)")
	for _, want := range []string{"", "cal_id"} {
		err := s.Update(t.Context(), func(tx store.Tx) error {
			return errors.Join(insertCAL(tx, func(c *licensing.CAL) { c.Holder += want }), tx.Audit(store.AuditRecord{Action: "issue"}))
		})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("InsertCAL: %v; want an error with %q", err, want)
		}
	}
	if err := s.View(t.Context(), func(r store.Reader) error {
		_, err := r.CAL(4294967295)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestInterrupt cancels the context in the body of a loop.
func TestInterrupt(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "licenses.db"))
	install(t, s, 3)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	err := s.View(ctx, func(r store.Reader) error {
		for _, err := range r.KeyPacks() {
			if err != nil {
				return err
			}
			seen++
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || seen != 1 {
		t.Errorf("View returned %v after %d key packs; want %v after 1", err, seen, context.Canceled)
	}
}

// TestKept uses what a function kept beyond its transaction.
func TestKept(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "licenses.db"))
	install(t, s, 3)
	var kept store.Tx
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		kept = tx
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	sequence := kept.KeyPacks()
	for _, err := range sequence {
		if err == nil {
			t.Error("an iterator works after its transaction")
		}
	}
	var next func() (licensing.KeyPack, error, bool)
	var stop func()
	if err := s.View(t.Context(), func(r store.Reader) error {
		next, stop = iter.Pull2(r.KeyPacks())
		_, err, _ := next()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err, more := next(); err == nil || !more {
		t.Errorf("an iterator that was kept in the middle goes on after its transaction (%v, %v)", err, more)
	}
	stop()
	if _, err := kept.Server(); err == nil {
		t.Error("Server works after its transaction")
	}
	if err := kept.Audit(store.AuditRecord{}); err == nil {
		t.Error("Audit works after its transaction")
	}
	install(t, s, 1)
}
