package sqlitedb_test

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"testing"
	"testing/fstest"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"calkeeper/internal/sqlitedb"
)

// schema is the one migration of most tests.
const schema = `
CREATE TABLE item (
	id    INTEGER PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;
CREATE TABLE counter (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	n  INTEGER NOT NULL
) STRICT;
INSERT INTO counter VALUES (1, 0);
`

// files makes migrations 0001_a.sql, 0002_a.sql, ... of the scripts.
func files(scripts ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i, script := range scripts {
		fsys[string([]byte{'0', '0', '0', byte('1' + i)})+"_a.sql"] = &fstest.MapFile{Data: []byte(script)}
	}
	return fsys
}

// options are the options that the tests open their databases with.
func options() sqlitedb.Options {
	return sqlitedb.Options{
		Name:          "calkeeper test",
		ApplicationID: 0x43414c31,
		Migrations:    files(schema),
	}
}

// openNew opens a new database in a directory of the test and closes it at the
// test's end.
func openNew(t testing.TB, opt sqlitedb.Options) *sqlitedb.DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "test.db"), opt)
}

func openAt(t testing.TB, path string, opt sqlitedb.Options) *sqlitedb.DB {
	t.Helper()
	db, err := sqlitedb.Open(t.Context(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// insert returns a function for Update that inserts one item.
func insert(id int64, value string) func(*sqlite.Conn) error {
	return func(conn *sqlite.Conn) error {
		return insertItem(conn, id, value)
	}
}

func insertItem(conn *sqlite.Conn, id int64, value string) error {
	stmt, err := conn.Prepare("INSERT INTO item (id, value) VALUES (?, ?)")
	if err != nil {
		return err
	}
	stmt.BindInt64(1, id)
	stmt.BindText(2, value)
	_, err = stmt.Step()
	return err
}

// appendItem inserts an item with the next free ID and counts it, so that items
// and counter agree exactly if transactions are kept or lost as a whole.
func appendItem(conn *sqlite.Conn, value string) (int64, error) {
	stmt, err := conn.Prepare("INSERT INTO item (value) VALUES (?)")
	if err != nil {
		return 0, err
	}
	stmt.BindText(1, value)
	if _, err := stmt.Step(); err != nil {
		return 0, err
	}
	id := conn.LastInsertRowID()
	return id, sqlitex.Execute(conn, "UPDATE counter SET n = n + 1", nil)
}

// checkIntegrity has SQLite check the file and compares items with counter.
func checkIntegrity(t testing.TB, db *sqlitedb.DB) {
	t.Helper()
	err := db.View(t.Context(), func(conn *sqlite.Conn) error {
		result, err := sqlitex.ResultText(conn.Prep("PRAGMA integrity_check"))
		if err == nil && result != "ok" {
			err = errors.New(result)
		}
		return err
	})
	if err != nil {
		t.Errorf("integrity check: %v", err)
	}
	items, counter := number(t, db, "SELECT count(*) FROM item"), number(t, db, "SELECT n FROM counter")
	if items != counter {
		t.Errorf("%d items, but the counter that their transactions keep is %d", items, counter)
	}
}

// hold occupies the writer until the function that it returns is called.
func hold(t *testing.T, db *sqlitedb.DB) (release func()) {
	t.Helper()
	begun, end, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- db.Update(context.Background(), func(*sqlite.Conn) error {
			close(begun)
			<-end
			return nil
		})
	}()
	<-begun
	return func() {
		t.Helper()
		close(end)
		if err := <-done; err != nil {
			t.Errorf("the update that held the writer: %v", err)
		}
	}
}

// enqueue starts an update behind those that wait already, and returns when it
// is in the queue; its result comes through the channel.
func enqueue(ctx context.Context, db *sqlitedb.DB, fn func(*sqlite.Conn) error) <-chan error {
	before := db.Stats().Waiting
	done := make(chan error, 1)
	go func() { done <- db.Update(ctx, fn) }()
	awaitWaiting(db, before+1)
	return done
}

// awaitWaiting returns when n updates wait.
func awaitWaiting(db *sqlitedb.DB, n int) {
	for db.Stats().Waiting != n {
		runtime.Gosched()
	}
}

// number returns the first column of the first row of query.
func number(t testing.TB, db *sqlitedb.DB, query string) int64 {
	t.Helper()
	var n int64
	err := db.View(t.Context(), func(conn *sqlite.Conn) (err error) {
		n, err = sqlitex.ResultInt64(conn.Prep(query))
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}
