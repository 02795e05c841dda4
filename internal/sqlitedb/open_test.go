package sqlitedb_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"calkeeper/internal/sqlitedb"
)

func TestFileModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db := openAt(t, path, options())
	if err := db.Update(t.Context(), insert(1, "x")); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("mode of test.db%s is %v", suffix, mode)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, synchronous := range []sqlitedb.Synchronous{
		sqlitedb.SynchronousFull, sqlitedb.SynchronousNormal, sqlitedb.SynchronousOff,
	} {
		opt := options()
		opt.Synchronous = synchronous
		db := openNew(t, opt)
		check := func(conn *sqlite.Conn, settings map[string]string) error {
			for name, want := range settings {
				got, err := sqlitex.ResultText(conn.Prep("PRAGMA " + name))
				if err != nil {
					return err
				}
				if got != want {
					t.Errorf("%s: %s is %s, not %s", synchronous, name, got, want)
				}
			}
			return nil
		}
		err := db.Update(t.Context(), func(conn *sqlite.Conn) error {
			return check(conn, map[string]string{
				"journal_mode":    "wal",
				"synchronous":     map[string]string{"FULL": "2", "NORMAL": "1", "OFF": "0"}[synchronous.String()],
				"foreign_keys":    "1",
				"busy_timeout":    "5000",
				"trusted_schema":  "0",
				"cell_size_check": "1",
				"application_id":  "1128352817",
				"user_version":    "1",
			})
		})
		if err != nil {
			t.Error(err)
		}
		err = db.View(t.Context(), func(conn *sqlite.Conn) error {
			return check(conn, map[string]string{
				"query_only":      "1",
				"busy_timeout":    "5000",
				"trusted_schema":  "0",
				"cell_size_check": "1",
			})
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestOpenRefusesForeignFiles(t *testing.T) {
	database := func(script string) func(path string) error {
		return func(path string) error {
			conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite, sqlite.OpenCreate)
			if err != nil {
				return err
			}
			return errors.Join(sqlitex.ExecuteScript(conn, script, nil), conn.Close())
		}
	}
	tests := []struct {
		name   string
		create func(path string) error
		text   string
	}{
		{"text", func(path string) error {
			return os.WriteFile(path, bytes.Repeat([]byte("not a database\n"), 100), 0o600)
		}, "this is not a calkeeper test database, nor any SQLite database"},
		{"other application", database("PRAGMA application_id=7; CREATE TABLE t (x)"),
			"this is not a calkeeper test database (its application ID is 7, not 1128352817)"},
		{"other application, empty", database("PRAGMA application_id=7"), "application ID is 7"},
		{"no application, not empty", database("CREATE TABLE t (x)"), "application ID is 0"},
		{"no application, versioned", database("PRAGMA user_version=1"), "application ID is 0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "test.db")
			if err := test.create(path); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = sqlitedb.Open(t.Context(), path, options())
			if !errors.Is(err, sqlitedb.ErrForeign) || !strings.Contains(err.Error(), test.text) ||
				!strings.Contains(err.Error(), path) {
				t.Errorf("Open: %v", err)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestOpenAcceptsEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db := openAt(t, path, options())
	if err := db.Update(t.Context(), insert(1, "x")); err != nil {
		t.Error(err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	done, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name   string
		ctx    context.Context
		path   string
		change func(*sqlitedb.Options)
		want   string
	}{
		{"no path", t.Context(), "", nil, "path of the database is empty"},
		{"a directory", t.Context(), dir, nil, "unable to open database file"},
		{"no name", t.Context(), filepath.Join(dir, "0"), func(o *sqlitedb.Options) { o.Name = "" }, "Name"},
		{"no application ID", t.Context(), filepath.Join(dir, "1"), func(o *sqlitedb.Options) { o.ApplicationID = 0 }, "ApplicationID"},
		{"no migrations", t.Context(), filepath.Join(dir, "2"), func(o *sqlitedb.Options) { o.Migrations = nil }, "Migrations"},
		{"unknown synchronous", t.Context(), filepath.Join(dir, "3"), func(o *sqlitedb.Options) { o.Synchronous = 9 }, "Synchronous(9)"},
		{"ended context", done, filepath.Join(dir, "4"), nil, "context canceled"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			opt := options()
			if test.change != nil {
				test.change(&opt)
			}
			_, err := sqlitedb.Open(test.ctx, test.path, opt)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Open: %v, want %q", err, test.want)
			}
		})
	}
	if _, err := sqlitedb.Open(t.Context(), filepath.Join(dir, "none", "5"), options()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open in a directory that does not exist: %v", err)
	}
	// What failed has given its lock back.
	openAt(t, filepath.Join(dir, "4"), options())
}

// TestSpecialNames opens names that SQLite itself would take for something else
// than a file.
func TestSpecialNames(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{":memory:", "file:x?mode=memory"} {
		if runtime.GOOS == "windows" {
			name = strings.NewReplacer(":", "_", "?", "_").Replace(name)
		}
		openAt(t, name, options())
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "test.db")
	db, err := sqlitedb.Open(t.Context(), path, options())
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		if _, err := sqlitedb.Open(t.Context(), name, options()); !errors.Is(err, sqlitedb.ErrInUse) {
			t.Errorf("second Open of %s: %v", name, err)
		}
	}
	if err := db.Update(t.Context(), insert(1, "x")); err != nil {
		t.Errorf("after the attempts: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	openAt(t, link, options())
}

func TestClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db, err := sqlitedb.Open(t.Context(), path, options())
	if err != nil {
		t.Fatal(err)
	}
	release := hold(t, db)
	var results []<-chan error
	for i := range 10 {
		results = append(results, enqueue(t.Context(), db, insert(int64(i), "queued")))
	}
	closed := make(chan error, 1)
	go func() { closed <- db.Close() }()
	for !errors.Is(db.View(t.Context(), func(*sqlite.Conn) error { return nil }), sqlitedb.ErrClosed) {
		runtime.Gosched()
	}
	release()
	for i, result := range results {
		if err := <-result; err != nil {
			t.Errorf("update %d was queued before Close: %v", i, err)
		}
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if err := db.Update(t.Context(), insert(99, "x")); !errors.Is(err, sqlitedb.ErrClosed) {
		t.Errorf("Update after Close: %v", err)
	}
	if err := db.Backup(t.Context(), path+".bak"); !errors.Is(err, sqlitedb.ErrClosed) {
		t.Errorf("Backup after Close: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the log is still there after Close: %v", err)
	}
	if n := number(t, openAt(t, path, options()), "SELECT count(*) FROM item"); n != 10 {
		t.Errorf("%d items after Close, not 10", n)
	}
}
