package sqlitedb_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"testing"

	"pgregory.net/rapid"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"calkeeper/internal/sqlitedb"
)

// outcome is how a function of the property test ends.
type outcome int

const (
	succeed outcome = iota
	fail
	panicking
	violate          // returns the error of a constraint
	violateAndIgnore // goes on after the error of a constraint
	undoHalf         // rolls half of its changes back itself
	outcomes
)

// change is one call of Update in the property test.
type change struct {
	outcome outcome
	puts    map[int64]string
	deletes []int64
}

var errChange = errors.New("the change fails")

// run makes the change in the database.
func (c change) run(conn *sqlite.Conn) (err error) {
	exec := func(query string, args ...any) {
		if err == nil {
			err = sqlitex.Execute(conn, query, &sqlitex.ExecOptions{Args: args})
		}
	}
	violation := func() error {
		return sqlitex.Execute(conn, "INSERT INTO counter VALUES (2, 0)", nil)
	}
	for id, value := range c.puts {
		exec("INSERT INTO item VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET value = ?2", id, value)
	}
	exec("UPDATE counter SET n = n + ?", len(c.puts))
	if c.outcome == undoHalf {
		exec("SAVEPOINT half")
	}
	for _, id := range c.deletes {
		exec("DELETE FROM item WHERE id = ?", id)
	}
	switch {
	case err != nil:
		return err
	case c.outcome == fail:
		return errChange
	case c.outcome == panicking:
		panic("the change panics")
	case c.outcome == violate:
		return violation()
	case c.outcome == violateAndIgnore && violation() == nil:
		return errors.New("a second counter was accepted")
	case c.outcome == undoHalf:
		exec("ROLLBACK TO half")
	}
	return err
}

// apply makes the change in the model and returns by how much the counter grew.
func (c change) apply(model map[int64]string) int64 {
	if c.outcome == fail || c.outcome == panicking || c.outcome == violate {
		return 0
	}
	maps.Copy(model, c.puts)
	if c.outcome != undoHalf {
		for _, id := range c.deletes {
			delete(model, id)
		}
	}
	return int64(len(c.puts))
}

// TestInterleavedUpdatesEqualModel runs random changes from several callers at
// once. Each caller has items of its own, so that the end does not depend on the
// order, and all share the counter.
func TestInterleavedUpdatesEqualModel(t *testing.T) {
	const idsPerCaller = 5
	dir, round := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		opt := options()
		opt.Synchronous = sqlitedb.SynchronousOff // what is flushed is not the question here
		opt.MaxBatch = rapid.IntRange(1, 8).Draw(rt, "MaxBatch")
		id := func(caller int) *rapid.Generator[int64] {
			return rapid.Map(rapid.IntRange(0, idsPerCaller-1), func(i int) int64 { return int64(caller*idsPerCaller + i) })
		}
		callers := make([][]change, rapid.IntRange(1, 8).Draw(rt, "callers"))
		model, counter := map[int64]string{}, int64(0)
		for caller := range callers {
			callers[caller] = rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) change {
				return change{
					outcome: rapid.Custom(func(rt *rapid.T) outcome { return outcome(rapid.IntRange(0, int(outcomes)-1).Draw(rt, "n")) }).Draw(rt, "outcome"),
					puts:    rapid.MapOfN(id(caller), rapid.StringMatching(`[a-z]{0,3}`), 0, 4).Draw(rt, "puts"),
					deletes: rapid.SliceOfN(id(caller), 0, 2).Draw(rt, "deletes"),
				}
			}), 0, 10).Draw(rt, "changes")
			for _, c := range callers[caller] {
				counter += c.apply(model)
			}
		}

		round++
		path := filepath.Join(dir, fmt.Sprint(round, ".db"))
		db, err := sqlitedb.Open(context.Background(), path, opt)
		if err != nil {
			rt.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, changes := range callers {
			wg.Go(func() {
				for _, c := range changes {
					err := db.Update(context.Background(), c.run)
					if succeeded := c.outcome == succeed || c.outcome == violateAndIgnore || c.outcome == undoHalf; succeeded != (err == nil) {
						rt.Errorf("outcome %d: %v", c.outcome, err)
					}
				}
			})
		}
		wg.Wait()
		compare(rt, db, model, counter)
		if err := db.Close(); err != nil {
			rt.Fatal(err)
		}
		if db, err = sqlitedb.Open(context.Background(), path, opt); err != nil {
			rt.Fatal(err)
		}
		compare(rt, db, model, counter)
		if err := db.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

func compare(rt *rapid.T, db *sqlitedb.DB, model map[int64]string, counter int64) {
	found := map[int64]string{}
	err := db.View(context.Background(), func(conn *sqlite.Conn) error {
		n, err := sqlitex.ResultInt64(conn.Prep("SELECT n FROM counter"))
		if err != nil {
			return err
		}
		if n != counter {
			rt.Errorf("the counter is %d, not %d", n, counter)
		}
		return sqlitex.Execute(conn, "SELECT id, value FROM item", &sqlitex.ExecOptions{
			ResultFunc: func(stmt *sqlite.Stmt) error {
				found[stmt.ColumnInt64(0)] = stmt.ColumnText(1)
				return nil
			},
		})
	})
	if err != nil {
		rt.Fatal(err)
	}
	if !maps.Equal(found, model) {
		rt.Errorf("the items are %v, not %v", found, model)
	}
}
