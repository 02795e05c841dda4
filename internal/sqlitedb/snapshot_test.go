package sqlitedb_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
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

// itemIDs steps through the items of a snapshot, one read for each, and stays in the middle of the statement in between.
func itemIDs(s *sqlitedb.Snapshot) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		var stmt *sqlite.Stmt
		err := s.Read(func(conn *sqlite.Conn) (err error) {
			stmt, err = conn.Prepare("SELECT id FROM item ORDER BY id")
			return err
		})
		for more := true; err == nil; {
			var id int64
			if err = s.Read(func(*sqlite.Conn) (err error) {
				more, err = stmt.Step()
				id = stmt.ColumnInt64(0)
				return err
			}); err == nil && (!more || !yield(id, nil)) {
				return
			}
		}
		yield(0, err)
	}
}

// list is a client that takes the items of a snapshot one after the other, whenever it likes.
type list struct {
	next func() (int64, error, bool)
	stop func()
}

// enumerate begins a list, which needs no snapshot before its first item.
func enumerate(ctx context.Context, db *sqlitedb.DB) list {
	next, stop := iter.Pull2(func(yield func(int64, error) bool) {
		err := db.Snapshot(ctx, func(s *sqlitedb.Snapshot) error {
			for id, err := range itemIDs(s) {
				if err != nil || !yield(id, nil) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			yield(0, err)
		}
	})
	return list{next, stop}
}

func (l list) want(t *testing.T, id int64) {
	t.Helper()
	if got, err, ok := l.next(); got != id || err != nil || !ok {
		t.Fatalf("item %d, %v, %t; want item %d", got, err, ok, id)
	}
}

func (l list) wantEnd(t *testing.T) {
	t.Helper()
	if id, err, ok := l.next(); ok {
		t.Fatalf("item %d, %v; want the end", id, err)
	}
}

func (l list) wantError(t *testing.T, target error) {
	t.Helper()
	if id, err, ok := l.next(); !ok || !errors.Is(err, target) {
		t.Fatalf("item %d, %v, %t; want an error that wraps %v", id, err, ok, target)
	}
	l.wantEnd(t)
}

// awaitSnapshots returns when so many are open.
func awaitSnapshots(db *sqlitedb.DB, n int) {
	for db.Stats().Snapshots != n {
		runtime.Gosched()
	}
}

func wantSnapshots(t *testing.T, db *sqlitedb.DB, n int) {
	t.Helper()
	if got := db.Stats().Snapshots; got != n {
		t.Errorf("%d snapshots are open; want %d", got, n)
	}
}

func mustUpdate(t *testing.T, db *sqlitedb.DB, fn func(*sqlite.Conn) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// TestSnapshotStays reads a list item by item while others insert and delete.
func TestSnapshotStays(t *testing.T) {
	db := openNew(t, options())
	mustUpdate(t, db, script("INSERT INTO item VALUES (1, 'x'), (2, 'x'), (3, 'x')", nil))
	old := enumerate(t.Context(), db)
	defer old.stop()
	old.want(t, 1)
	mustUpdate(t, db, script("DELETE FROM item WHERE id = 2; INSERT INTO item VALUES (4, 'x')", nil))
	young := enumerate(t.Context(), db)
	defer young.stop()
	young.want(t, 1)
	old.want(t, 2)
	mustUpdate(t, db, script("DELETE FROM item", nil))
	wantSnapshots(t, db, 2)
	old.want(t, 3)
	old.wantEnd(t)
	young.want(t, 3)
	young.want(t, 4)
	young.wantEnd(t)
	wantSnapshots(t, db, 0)
	enumerate(t.Context(), db).wantEnd(t)
}

// TestSnapshotsLeaveViewsAlone opens as many as there may be, and one more.
func TestSnapshotsLeaveViewsAlone(t *testing.T) {
	opt := options()
	opt.Readers, opt.Snapshots = 1, 5
	db := openNew(t, opt)
	mustUpdate(t, db, script("INSERT INTO item VALUES (1, 'x'), (2, 'x')", nil))
	for range 3 {
		var lists []list
		for range opt.Snapshots {
			l := enumerate(t.Context(), db)
			defer l.stop()
			l.want(t, 1)
			lists = append(lists, l)
		}
		wantSnapshots(t, db, opt.Snapshots)
		enumerate(t.Context(), db).wantError(t, sqlitedb.ErrTooManySnapshots)
		if n := number(t, db, "SELECT count(*) FROM item"); n != 2 {
			t.Errorf("a view reads %d items", n)
		}
		for _, l := range lists {
			l.stop()
		}
		wantSnapshots(t, db, 0)
	}
}

// TestSnapshotEnds ends snapshots in every way, and checks that none holds anything afterwards.
func TestSnapshotEnds(t *testing.T) {
	opt := options()
	opt.Snapshots = 1
	db := openNew(t, opt)
	mustUpdate(t, db, script("INSERT INTO item VALUES (1, 'x'), (2, 'x')", nil))
	failure := errors.New("failure of the function")
	readOne := func(s *sqlitedb.Snapshot) {
		for _, err := range itemIDs(s) {
			if err != nil {
				t.Error(err)
			}
			return
		}
	}
	var kept *sqlitedb.Snapshot
	ways := map[string]func(t *testing.T){
		"after its last item": func(t *testing.T) {
			l := enumerate(t.Context(), db)
			l.want(t, 1)
			l.want(t, 2)
			l.wantEnd(t)
		},
		"stopped": func(t *testing.T) {
			l := enumerate(t.Context(), db)
			l.want(t, 1)
			l.stop()
		},
		"by an error": func(t *testing.T) {
			if err := db.Snapshot(t.Context(), func(s *sqlitedb.Snapshot) error {
				readOne(s)
				kept = s
				return failure
			}); err != failure {
				t.Error(err)
			}
			if err := kept.Read(func(*sqlite.Conn) error { t.Error("called"); return nil }); err == nil {
				t.Error("a snapshot that is over can be read")
			}
		},
		"by a panic": func(t *testing.T) {
			defer func() {
				if value := recover(); value != "reason" {
					t.Error(value)
				}
			}()
			_ = db.Snapshot(t.Context(), func(s *sqlitedb.Snapshot) error {
				return s.Read(func(conn *sqlite.Conn) error {
					if _, err := conn.Prep("SELECT id FROM item").Step(); err != nil {
						t.Error(err)
					}
					panic("reason")
				})
			})
		},
		"with its context": func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			l := enumerate(ctx, db)
			l.want(t, 1)
			cancel()
			l.wantError(t, context.Canceled)
		},
		"with its context, while nobody reads": func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			l := enumerate(ctx, db)
			l.want(t, 1)
			cancel()
			awaitSnapshots(db, 0) // although its function has not returned
			next := enumerate(t.Context(), db)
			next.want(t, 1)
			next.stop()
			l.wantError(t, context.Canceled)
		},
		"in the middle of a read": func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			err := db.Snapshot(ctx, func(s *sqlitedb.Snapshot) error {
				return s.Read(script("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", nil))
			})
			if !errors.Is(err, context.DeadlineExceeded) || sqlite.ErrCode(err) != sqlite.ResultInterrupt {
				t.Error(err)
			}
		},
	}
	for name, end := range ways {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				end(t)
				wantSnapshots(t, db, 0)
			}
		})
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Snapshot(done, func(*sqlitedb.Snapshot) error { return failure }); !errors.Is(err, context.Canceled) {
		t.Errorf("Snapshot with a context that has ended: %v", err)
	}
}

func TestSnapshotCannotWrite(t *testing.T) {
	db := openNew(t, options())
	for statement, code := range map[string]sqlite.ResultCode{
		"INSERT INTO item VALUES (1, 'x')": sqlite.ResultReadOnly,
		"PRAGMA user_version=9":            sqlite.ResultReadOnly,
		"COMMIT":                           sqlite.ResultAuth,
		"ROLLBACK":                         sqlite.ResultAuth,
		"ATTACH 'x' AS x":                  sqlite.ResultAuth,
	} {
		err := db.Snapshot(t.Context(), func(s *sqlitedb.Snapshot) error { return s.Read(script(statement, nil)) })
		if sqlite.ErrCode(err).ToPrimary() != code {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

// TestSnapshotTooOld writes much more than the log may hold while a snapshot is open, whose function does not notice, and then
// while one after the other is open.
func TestSnapshotTooOld(t *testing.T) {
	var log bytes.Buffer
	opt := options()
	opt.Synchronous, opt.LogLimit = sqlitedb.SynchronousOff, 6<<20 // more than SQLite lets the log grow by itself
	opt.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	path := filepath.Join(t.TempDir(), "test.db")
	db := openAt(t, path, opt)
	value, next := strings.Repeat("x", 100_000), int64(1)
	longest := int64(0)
	write := func() {
		t.Helper()
		mustUpdate(t, db, insert(next, value))
		next++
		file, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, file.Size())
	}
	write()
	write()
	old := enumerate(t.Context(), db)
	defer old.stop()
	old.want(t, 1)
	for range 40 { // 4 MB
		write()
	}
	wantSnapshots(t, db, 1)
	for range 200 { // 20 MB
		write()
	}
	wantSnapshots(t, db, 0)
	old.wantError(t, sqlitedb.ErrSnapshotTooOld)
	if longest < opt.LogLimit || longest > opt.LogLimit+1_000_000 {
		t.Errorf("the log had %d bytes at its longest; %d are the limit", longest, opt.LogLimit)
	}
	if !strings.Contains(log.String(), "open snapshots were ended") {
		t.Errorf("the log says nothing of it:\n%s", log.String())
	}

	// There is always one that is open, and never one that is old.
	longest = 0
	var last list
	for range 200 {
		l := enumerate(t.Context(), db)
		l.want(t, 1)
		if last.stop != nil {
			last.stop()
		}
		last = l
		write()
	}
	last.stop()
	if longest > 3*opt.LogLimit {
		t.Errorf("the log had %d bytes at its longest, with short snapshots only", longest)
	}
	wantSnapshots(t, db, 0)
	if n := number(t, db, "SELECT count(*) FROM item"); n != next-1 {
		t.Errorf("%d items of %d", n, next-1)
	}
}

// TestSnapshotsNotHoldingTheLog: another reader keeps the log from being reused; snapshots are not ended for it again and again.
func TestSnapshotsNotHoldingTheLog(t *testing.T) {
	opt := options()
	opt.Synchronous, opt.LogLimit = sqlitedb.SynchronousOff, 1<<20
	db := openNew(t, opt)
	mustUpdate(t, db, insert(1, "x"))
	value := strings.Repeat("x", 50_000)
	err := db.View(t.Context(), func(conn *sqlite.Conn) error {
		if _, err := countItems(conn); err != nil {
			return err
		}
		ended := 0
		for id := range int64(80) { // 4 MB
			l := enumerate(t.Context(), db)
			l.want(t, 1)
			if err := db.Update(t.Context(), insert(id+2, value)); err != nil {
				return err
			}
			// The writer looks at the log after it has answered, and before the next update.
			if err := db.Update(t.Context(), func(*sqlite.Conn) error { return nil }); err != nil {
				return err
			}
			if db.Stats().Snapshots == 0 {
				ended++
			}
			l.stop()
		}
		if ended < 2 || ended > 4 {
			t.Errorf("%d snapshots were ended while the log grew to four times its limit", ended)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestCloseEndsSnapshots closes while one waits, and while one reads.
func TestCloseEndsSnapshots(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db, err := sqlitedb.Open(t.Context(), path, options())
	if err != nil {
		t.Fatal(err)
	}
	mustUpdate(t, db, script("INSERT INTO item VALUES (1, 'x'), (2, 'x')", nil))
	waiting := enumerate(t.Context(), db)
	waiting.want(t, 1)
	begun, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- db.Snapshot(context.Background(), func(s *sqlitedb.Snapshot) error {
			return s.Read(func(conn *sqlite.Conn) error {
				close(begun)
				return sqlitex.Execute(conn, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", nil)
			})
		})
	}()
	<-begun
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, sqlitedb.ErrClosed) {
		t.Errorf("the snapshot that was reading: %v", err)
	}
	waiting.wantError(t, sqlitedb.ErrClosed)
	enumerate(t.Context(), db).wantError(t, sqlitedb.ErrClosed)
	again := openAt(t, path, options()) // nothing holds the file
	if n := number(t, again, "SELECT count(*) FROM item"); n != 2 {
		t.Errorf("%d items after Close", n)
	}
	if log, err := os.Stat(path + "-wal"); err != nil || log.Size() > 0 {
		t.Errorf("the log was not written back: %v, %v", log, err)
	}
}

// TestSnapshotsAmongUpdates has snapshots end in all ways, all at once, with a log so short that many are ended: what one reads
// is either consistent or an error that says why.
func TestSnapshotsAmongUpdates(t *testing.T) {
	opt := options()
	opt.Synchronous, opt.LogLimit, opt.Snapshots = sqlitedb.SynchronousOff, 200_000, 6
	db := openNew(t, opt)
	var writers, readers sync.WaitGroup
	written := make(chan struct{})
	for range 2 {
		writers.Go(func() {
			for range 150 {
				if err := db.Update(t.Context(), func(conn *sqlite.Conn) error {
					_, err := appendItem(conn, strings.Repeat("x", 1000))
					return err
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for reader := range 8 {
		readers.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-written:
					return
				default:
				}
				ctx, cancel := context.WithCancel(t.Context())
				if (reader+round)%3 == 0 {
					go cancel()
				}
				err := db.Snapshot(ctx, func(s *sqlitedb.Snapshot) error {
					n, counter := int64(0), int64(-1)
					for _, err := range itemIDs(s) {
						if err != nil {
							return err
						}
						n++
						if (reader+round)%5 == 0 {
							runtime.Gosched()
						}
					}
					err := s.Read(func(conn *sqlite.Conn) (err error) {
						counter, err = sqlitex.ResultInt64(conn.Prep("SELECT n FROM counter"))
						return err
					})
					if err == nil && n != counter {
						t.Errorf("%d items, counter %d", n, counter)
					}
					return err
				})
				if err != nil && !errors.Is(err, sqlitedb.ErrTooManySnapshots) && !errors.Is(err, sqlitedb.ErrSnapshotTooOld) &&
					!errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	writers.Wait()
	close(written)
	readers.Wait()
	wantSnapshots(t, db, 0)
	checkIntegrity(t, db)
}
