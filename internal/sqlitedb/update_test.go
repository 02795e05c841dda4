package sqlitedb_test

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"calkeeper/internal/sqlitedb"
)

// script returns a function for Update that runs statements, and returns result
// if they succeed.
func script(statements string, result error) func(*sqlite.Conn) error {
	return func(conn *sqlite.Conn) error {
		for statement := range strings.SplitSeq(statements, ";") {
			if err := sqlitex.Execute(conn, statement, nil); err != nil {
				return err
			}
		}
		return result
	}
}

func TestGroupCommit(t *testing.T) {
	const callers, each = 64, 20
	path := filepath.Join(t.TempDir(), "test.db")
	db, err := sqlitedb.Open(t.Context(), path, options())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				err := db.Update(t.Context(), func(conn *sqlite.Conn) error {
					_, err := appendItem(conn, "x")
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	stats := db.Stats()
	if stats.Updates != callers*each || stats.Commits == 0 || stats.Commits >= stats.Updates || stats.Waiting != 0 {
		t.Errorf("stats: %+v", stats)
	}
	t.Logf("%.1f updates per commit", float64(stats.Updates)/float64(stats.Commits))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openAt(t, path, options())
	checkIntegrity(t, db)
	if n := number(t, db, "SELECT count(*) FROM item"); n != callers*each {
		t.Errorf("%d items, not %d", n, callers*each)
	}
}

func TestMaxBatch(t *testing.T) {
	opt := options()
	opt.MaxBatch = 4
	db := openNew(t, opt)
	release := hold(t, db)
	var results []<-chan error
	for i := range 10 {
		results = append(results, enqueue(t.Context(), db, insert(int64(i), "x")))
	}
	if waiting := db.Stats().Waiting; waiting != 10 {
		t.Errorf("%d updates wait, not 10", waiting)
	}
	release()
	for _, result := range results {
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
	// 1 for the update that held the writer, 3 for the 10 others.
	if stats := db.Stats(); stats.Commits != 4 || stats.Updates != 11 {
		t.Errorf("stats: %+v", stats)
	}
}

// TestOneGroup puts several updates into one transaction and checks what each
// is told and what is kept.
func TestOneGroup(t *testing.T) {
	failure := errors.New("failure of the function")
	ok := func(id int64) func(*sqlite.Conn) error { return insert(id, "x") }
	tests := []struct {
		name string
		fns  []func(*sqlite.Conn) error
		want []error // nil, an error to be found with errors.Is, or a sqlite.ResultCode's error
		kept string
	}{
		{
			"a function fails",
			[]func(*sqlite.Conn) error{ok(1), script("INSERT INTO item VALUES (2, 'x'); UPDATE item SET value = 'y'", failure), ok(3)},
			[]error{nil, failure, nil}, "1x 3x",
		},
		{
			"a function sees the changes before it, and not those that were undone",
			[]func(*sqlite.Conn) error{ok(1), script("DELETE FROM item", failure), script("INSERT INTO item SELECT id + 10, value FROM item", nil)},
			[]error{nil, failure, nil}, "1x 11x",
		},
		{
			"all functions fail",
			[]func(*sqlite.Conn) error{script("INSERT INTO item VALUES (1, 'x')", failure), script("INSERT INTO item VALUES (2, 'x')", failure)},
			[]error{failure, failure}, "",
		},
		{
			"savepoints of a function's own",
			[]func(*sqlite.Conn) error{
				script("SAVEPOINT a; INSERT INTO item VALUES (1, 'x'); ROLLBACK TO a; INSERT INTO item VALUES (2, 'x')", nil),
				script("SAVEPOINT b; INSERT INTO item VALUES (3, 'x'); SAVEPOINT c", failure), ok(4),
			},
			[]error{nil, failure, nil}, "2x 4x",
		},
		{
			"SQLite rolls the transaction back",
			[]func(*sqlite.Conn) error{ok(1), script("INSERT OR ROLLBACK INTO item VALUES (1, 'y')", nil), ok(1), ok(2)},
			[]error{sqlitedb.ErrNotCommitted, sqlite.ResultConstraintPrimaryKey.ToError(), nil, nil}, "1x 2x",
		},
		{
			"SQLite rolls the transaction back and the function hides it",
			[]func(*sqlite.Conn) error{ok(1), func(conn *sqlite.Conn) error {
				_ = sqlitex.Execute(conn, "INSERT OR ROLLBACK INTO item VALUES (1, 'y')", nil)
				return nil
			}, ok(2)},
			[]error{sqlitedb.ErrNotCommitted, sqlitedb.ErrNotCommitted, nil}, "2x",
		},
		{
			"the commit fails",
			[]func(*sqlite.Conn) error{ok(1), script("INSERT INTO late VALUES (99)", nil), script("SELECT 1", failure)},
			[]error{sqlitedb.ErrNotCommitted, sqlite.ResultConstraintForeignKey.ToError(), failure}, "",
		},
		{
			"the database is full",
			[]func(*sqlite.Conn) error{ok(1), script("PRAGMA max_page_count = 1; INSERT INTO item VALUES (2, hex(zeroblob(99999)))", nil), ok(3)},
			[]error{sqlitedb.ErrNotCommitted, sqlite.ResultFull.ToError(), nil}, "3x",
		},
		{
			"functions try to end the transaction",
			[]func(*sqlite.Conn) error{
				ok(1), script("COMMIT", nil), script("ROLLBACK", nil), script("BEGIN", nil), script("ATTACH 'x' AS x", nil),
				script("ROLLBACK TO sqlitedb_request", nil), script("RELEASE sqlitedb_request", nil), ok(2),
			},
			[]error{nil, sqlite.ResultAuth.ToError(), sqlite.ResultAuth.ToError(), sqlite.ResultAuth.ToError(), sqlite.ResultAuth.ToError(),
				sqlite.ResultAuth.ToError(), sqlite.ResultAuth.ToError(), nil}, "1x 2x",
		},
		{
			"a function leaves statements active",
			[]func(*sqlite.Conn) error{ok(1), func(conn *sqlite.Conn) error {
				_, err := conn.Prep("SELECT id FROM item UNION ALL SELECT id FROM counter").Step()
				return err
			}, func(conn *sqlite.Conn) error {
				_, err := conn.Prep("INSERT INTO item VALUES (2, 'x'), (3, 'x') RETURNING id").Step()
				return err
			}, func(conn *sqlite.Conn) error {
				_, err := conn.Prep("DELETE FROM item RETURNING id").Step()
				return errors.Join(err, failure)
			}},
			[]error{nil, nil, nil, failure}, "1x 2x 3x",
		},
		{
			"a function sets an interrupt",
			[]func(*sqlite.Conn) error{func(conn *sqlite.Conn) error {
				done := make(chan struct{})
				close(done)
				conn.SetInterrupt(done)
				return sqlitex.Execute(conn, "INSERT INTO item VALUES (1, 'x')", nil)
			}, ok(2)},
			[]error{sqlite.ResultInterrupt.ToError(), nil}, "2x",
		},
		{
			"a function ends the goroutine",
			[]func(*sqlite.Conn) error{ok(1), func(*sqlite.Conn) error { runtime.Goexit(); return nil }, ok(3)},
			[]error{sqlitedb.ErrNotCommitted, sqlitedb.ErrNotCommitted, sqlitedb.ErrNotCommitted}, "",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			opt := options()
			opt.Migrations = files(schema, "CREATE TABLE late (id INTEGER REFERENCES item DEFERRABLE INITIALLY DEFERRED)")
			db := openNew(t, opt)
			release := hold(t, db)
			var results []<-chan error
			for _, fn := range test.fns {
				results = append(results, enqueue(t.Context(), db, fn))
			}
			release()
			succeeded := uint64(0)
			for i, result := range results {
				err := <-result
				if !matches(err, test.want[i]) {
					t.Errorf("update %d: %v, want %v", i, err, test.want[i])
				}
				if err == nil {
					succeeded++
				}
			}
			if stats := db.Stats(); stats.Updates != succeeded+1 || stats.Commits > stats.Updates {
				t.Errorf("%d updates succeeded; stats: %+v", succeeded+1, stats)
			}
			if got := items(t, db); got != test.kept {
				t.Errorf("kept %q, want %q", got, test.kept)
			}
			if err := db.Update(t.Context(), script("INSERT INTO item VALUES (1000, 'later')", nil)); err != nil {
				t.Errorf("a later update: %v", err)
			}
		})
	}
}

// TestFailedCommitFreesTheFile checks from outside that a commit that failed
// leaves no transaction open until the next update comes.
func TestFailedCommitFreesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	opt := options()
	opt.Migrations = files(schema, "CREATE TABLE late (id INTEGER REFERENCES item DEFERRABLE INITIALLY DEFERRED)")
	db := openAt(t, path, opt)
	if err := db.Update(t.Context(), script("INSERT INTO late VALUES (99)", nil)); !errors.Is(err, sqlitedb.ErrNotCommitted) {
		t.Fatalf("Update: %v", err)
	}
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetBusyTimeout(0)
	if err := errors.Join(sqlitex.Execute(conn, "BEGIN IMMEDIATE", nil), conn.Close()); err != nil {
		t.Errorf("a tool outside: %v", err)
	}
}

// matches reports whether err is want: the same SQLite result code, or an error
// that wraps want.
func matches(err, want error) bool {
	if code := sqlite.ErrCode(want); want != nil && code != sqlite.ResultError {
		return sqlite.ErrCode(err) == code
	}
	return errors.Is(err, want)
}

// items returns the items in order as "1x 2y".
func items(t *testing.T, db *sqlitedb.DB) string {
	t.Helper()
	var list string
	err := db.View(t.Context(), func(conn *sqlite.Conn) (err error) {
		list, err = sqlitex.ResultText(conn.Prep("SELECT coalesce(group_concat(id || value, ' ' ORDER BY id), '') FROM item"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestPanic(t *testing.T) {
	db := openNew(t, options())
	release := hold(t, db)
	before := enqueue(t.Context(), db, insert(1, "x"))
	panicking := enqueue(t.Context(), db, func(conn *sqlite.Conn) error {
		if err := insertItem(conn, 2, "x"); err != nil {
			return err
		}
		panic("reason of the panic")
	})
	after := enqueue(t.Context(), db, insert(3, "x"))
	release()
	if err := errors.Join(<-before, <-after); err != nil {
		t.Errorf("updates beside the one that panicked: %v", err)
	}
	var panicError *sqlitedb.PanicError
	if err := <-panicking; !errors.As(err, &panicError) {
		t.Fatalf("the update that panicked: %v", err)
	}
	if panicError.Error() != "update panicked: reason of the panic" || !strings.Contains(string(panicError.Stack), "TestPanic") {
		t.Errorf("%v\n%s", panicError, panicError.Stack)
	}
	if got := items(t, db); got != "1x 3x" {
		t.Errorf("kept %q", got)
	}
}

func TestContextEndsWhileQueued(t *testing.T) {
	db := openNew(t, options())
	release := hold(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	first := enqueue(t.Context(), db, insert(1, "x"))
	canceled := enqueue(ctx, db, insert(2, "x"))
	third := enqueue(t.Context(), db, insert(3, "x"))
	cancel()
	// The writer is still held: the result comes from the queue.
	if err := <-canceled; err != context.Canceled {
		t.Errorf("the update whose context ended: %v", err)
	}
	if waiting := db.Stats().Waiting; waiting != 2 {
		t.Errorf("%d updates wait, not 2", waiting)
	}
	release()
	if err := errors.Join(<-first, <-third); err != nil {
		t.Error(err)
	}
	if got := items(t, db); got != "1x 3x" {
		t.Errorf("kept %q", got)
	}
	if err := db.Update(ctx, insert(4, "x")); err != context.Canceled {
		t.Errorf("Update with a context that has ended: %v", err)
	}
}

func TestContextEndsWhileRunning(t *testing.T) {
	db := openNew(t, options())
	failure := errors.New("failure of the function")
	for id, want := range []error{nil, failure} {
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Update(ctx, func(conn *sqlite.Conn) error {
			cancel()
			if err := insertItem(conn, int64(id), "x"); err != nil {
				return err
			}
			return want
		})
		if err != want {
			t.Errorf("Update: %v, want %v", err, want)
		}
	}
	if got := items(t, db); got != "0x" {
		t.Errorf("kept %q", got)
	}
}
