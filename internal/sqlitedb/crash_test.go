package sqlitedb_test

import (
	"bufio"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"

	"calkeeper/internal/sqlitedb"
)

// TestKill kills a process that writes, again and again, and looks for each row
// that Update had acknowledged to it. It shows that acknowledged transactions
// survive the process whole; it cannot show what survives a loss of power.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	acknowledged := map[int64]bool{}
	for round := range 10 {
		for _, id := range writeAndKill(t, path, 1+rand.IntN(300)) {
			if acknowledged[id] {
				t.Fatalf("round %d: item %d was acknowledged before: its row had been lost", round, id)
			}
			acknowledged[id] = true
		}
		checkAcknowledged(t, path, acknowledged)
	}
}

// writeAndKill lets a child write until it has printed count IDs, kills it and
// returns all that it printed.
func writeAndKill(t *testing.T, path string, count int) []int64 {
	t.Helper()
	cmd := child(t, "write forever", path)
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ids []int64
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		id, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
		if len(ids) == 1 {
			_, err := sqlitedb.Open(t.Context(), path, options())
			if !errors.Is(err, sqlitedb.ErrInUse) || !strings.Contains(err.Error(), strconv.Itoa(cmd.Process.Pid)) {
				t.Errorf("Open while process %d serves the database: %v", cmd.Process.Pid, err)
			}
		}
		if len(ids) == count {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(ids) < count {
		t.Fatalf("the child ended after %d of %d items", len(ids), count)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	return ids
}

func checkAcknowledged(t *testing.T, path string, acknowledged map[int64]bool) {
	t.Helper()
	db, err := sqlitedb.Open(t.Context(), path, options())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	checkIntegrity(t, db)
	err = db.View(t.Context(), func(conn *sqlite.Conn) error {
		stmt := conn.Prep("SELECT value FROM item WHERE id = ?")
		for id := range acknowledged {
			stmt.BindInt64(1, id)
			found, err := stmt.Step()
			if err != nil {
				return err
			}
			if !found || stmt.ColumnText(0) != "by the child" {
				t.Errorf("item %d was acknowledged and is lost", id)
			}
			if err := stmt.Reset(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
