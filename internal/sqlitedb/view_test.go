package sqlitedb_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"calkeeper/internal/sqlitedb"
)

func countItems(conn *sqlite.Conn) (int64, error) {
	return sqlitex.ResultInt64(conn.Prep("SELECT count(*) FROM item"))
}

func TestViewIsSnapshot(t *testing.T) {
	db := openNew(t, options())
	for i := range int64(10) {
		err := db.View(t.Context(), func(conn *sqlite.Conn) error {
			before, err := countItems(conn)
			if err != nil {
				return err
			}
			if before != i {
				t.Errorf("the view does not see %d acknowledged updates, but %d", i, before)
			}
			if err := db.Update(t.Context(), insert(i, "x")); err != nil {
				return err
			}
			after, err := countItems(conn)
			if after != before {
				t.Errorf("%d items, then %d in the same view", before, after)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestViewsAmongUpdates keeps an invariant in every transaction and has views
// look at it from two tables while updates go on.
func TestViewsAmongUpdates(t *testing.T) {
	db := openNew(t, options())
	var writers, readers sync.WaitGroup
	written := make(chan struct{})
	for range 4 {
		writers.Go(func() {
			for range 25 {
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
	for range 3 {
		readers.Go(func() {
			for last := int64(0); ; {
				err := db.View(t.Context(), func(conn *sqlite.Conn) error {
					n, err := countItems(conn)
					if err != nil {
						return err
					}
					counter, err := sqlitex.ResultInt64(conn.Prep("SELECT n FROM counter"))
					if n != counter || n < last {
						t.Errorf("%d items, counter %d, after a view of %d", n, counter, last)
					}
					last = n
					return err
				})
				if err != nil {
					t.Error(err)
				}
				select {
				case <-written:
					return
				default:
					runtime.Gosched()
				}
			}
		})
	}
	writers.Wait()
	close(written)
	readers.Wait()
}

func TestViewCannotWrite(t *testing.T) {
	db := openNew(t, options())
	for _, statement := range []string{
		"INSERT INTO item VALUES (1, 'x')",
		"CREATE TABLE t (x)",
		"PRAGMA query_only=OFF; INSERT INTO item VALUES (1, 'x')",
		"PRAGMA user_version=9",
	} {
		err := db.View(t.Context(), script(statement, nil))
		if code := sqlite.ErrCode(err).ToPrimary(); code != sqlite.ResultReadOnly {
			t.Errorf("%s: %v", statement, err)
		}
	}
	for _, statement := range []string{"COMMIT", "ROLLBACK", "BEGIN", "ATTACH 'x' AS x"} {
		err := db.View(t.Context(), script(statement, nil))
		if sqlite.ErrCode(err) != sqlite.ResultAuth {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if n := number(t, db, "SELECT count(*) FROM item"); n != 0 {
		t.Errorf("views inserted %d items", n)
	}
}

func TestViewIsInterrupted(t *testing.T) {
	opt := options()
	opt.Readers = 1
	db := openNew(t, opt)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := db.View(ctx, script("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", nil))
	if !errors.Is(err, context.DeadlineExceeded) || sqlite.ErrCode(err) != sqlite.ResultInterrupt {
		t.Errorf("endless view: %v", err)
	}
	if n := number(t, db, "SELECT n FROM counter"); n != 0 {
		t.Errorf("the next view read %d", n)
	}
}

// TestViewEndsAtOnce: no statement begins, or goes on, after the end of the context, not even for the moment that it takes another
// goroutine to interrupt SQLite.
func TestViewEndsAtOnce(t *testing.T) {
	db := openNew(t, options())
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		rows := 0
		err := db.View(ctx, func(conn *sqlite.Conn) error {
			return sqlitex.Execute(conn, "SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3", &sqlitex.ExecOptions{
				ResultFunc: func(*sqlite.Stmt) error {
					rows++
					cancel()
					return nil
				},
			})
		})
		if !errors.Is(err, context.Canceled) || rows != 1 {
			t.Fatalf("%d rows, %v; want the first only", rows, err)
		}
	}
}

// TestInterruptHitsNobodyElse ends contexts at any moment of a view, and after it, while others use the same connection: these
// never notice.
func TestInterruptHitsNobodyElse(t *testing.T) {
	var log bytes.Buffer
	opt := options()
	opt.Readers, opt.Logger = 1, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	db := openNew(t, opt)
	var wg sync.WaitGroup
	for caller := range 4 {
		wg.Go(func() {
			for i := range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan struct{})
				endless := caller == 0 && i%20 == 0
				err := db.View(ctx, func(conn *sqlite.Conn) error {
					if caller%2 == 0 {
						go func() {
							for range i % 50 {
								runtime.Gosched()
							}
							cancel()
							close(ended)
						}()
					}
					if endless {
						return script("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", nil)(conn)
					}
					_, err := countItems(conn)
					return err
				})
				switch {
				case caller%2 != 0 && err != nil:
					t.Errorf("a view whose context goes on: %v", err)
				case endless && err == nil, err != nil && !errors.Is(err, context.Canceled):
					t.Errorf("a view whose context ends: %v", err)
				}
				if caller%2 == 0 {
					<-ended
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if log.Len() > 0 {
		t.Errorf("a transaction did not end:\n%s", log.String())
	}
}

// TestViewGivesReaderBack ends views in every way and then uses the only
// reader again.
func TestViewGivesReaderBack(t *testing.T) {
	opt := options()
	opt.Readers = 1
	db := openNew(t, opt)
	failure := errors.New("failure of the function")
	if err := db.View(t.Context(), func(*sqlite.Conn) error { return failure }); err != failure {
		t.Errorf("the view that failed: %v", err)
	}
	func() {
		defer func() {
			if value := recover(); value != "reason" {
				t.Errorf("the view that panicked: %v", value)
			}
		}()
		_ = db.View(t.Context(), func(*sqlite.Conn) error { panic("reason") })
	}()
	err := db.View(t.Context(), func(conn *sqlite.Conn) error {
		_, err := conn.Prep("SELECT 1 UNION ALL SELECT count(*) FROM item").Step()
		return err
	})
	if err != nil {
		t.Errorf("the view that left a statement active: %v", err)
	}
	if err := db.Update(t.Context(), insert(1, "x")); err != nil {
		t.Fatal(err)
	}
	if n := number(t, db, "SELECT count(*) FROM item"); n != 1 {
		t.Error("a view that left a statement active still holds its snapshot")
	}
}

func TestViewWaitsForReader(t *testing.T) {
	opt := options()
	opt.Readers = 1
	db := openNew(t, opt)
	err := db.View(t.Context(), func(*sqlite.Conn) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		err := db.View(ctx, func(*sqlite.Conn) error { return nil })
		if err != context.DeadlineExceeded {
			t.Errorf("a view with no reader left: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.View(done, func(*sqlite.Conn) error { return nil }); err != context.Canceled {
		t.Errorf("View with a context that has ended: %v", err)
	}
}

// TestLogIsReused writes several times as much as SQLite lets the log grow
// before it writes it back, among views and updates that leave statements
// active: if one of these kept its snapshot, the log would keep everything.
func TestLogIsReused(t *testing.T) {
	opt := options()
	opt.Synchronous = sqlitedb.SynchronousOff
	path := filepath.Join(t.TempDir(), "test.db")
	db := openAt(t, path, opt)
	leave := func(conn *sqlite.Conn) error {
		_, err := conn.Prep("SELECT 1 UNION ALL SELECT count(*) FROM item").Step()
		return err
	}
	value := strings.Repeat("x", 100_000)
	for id := range int64(200) {
		for _, err := range []error{
			db.View(t.Context(), leave),
			db.Update(t.Context(), leave),
			db.Update(t.Context(), insert(id, value)),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	log, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if log.Size() > 10_000_000 {
		t.Errorf("the log has %d bytes after 20 MB of changes", log.Size())
	}
}
