package sqlitedb_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// benchValue is the text that the benchmarks insert.
var benchValue = strings.Repeat("x", 100)

func BenchmarkUpdate(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			db := openNew(b, options())
			var id atomic.Int64
			update := func() {
				if err := db.Update(b.Context(), insert(id.Add(1), benchValue)); err != nil {
					b.Error(err)
				}
			}
			if callers == 1 {
				for b.Loop() {
					update()
				}
			} else {
				b.SetParallelism((callers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						update()
					}
				})
			}
			stats := db.Stats()
			b.ReportMetric(float64(stats.Updates)/float64(stats.Commits), "updates/commit")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
		})
	}
}

// openBare opens a plain connection with the settings of a DB's writer.
func openBare(b *testing.B) *sqlite.Conn {
	conn, err := sqlite.OpenConn(filepath.Join(b.TempDir(), "bare.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := conn.Close(); err != nil {
			b.Error(err)
		}
	})
	if err := sqlitex.ExecuteTransient(conn, "PRAGMA synchronous=FULL", nil); err != nil {
		b.Fatal(err)
	}
	if err := sqlitex.ExecuteScript(conn, schema, nil); err != nil {
		b.Fatal(err)
	}
	return conn
}

// BenchmarkBareLoop is what one caller of Update is measured against: one
// insert, one commit, no goroutine between.
func BenchmarkBareLoop(b *testing.B) {
	conn := openBare(b)
	for id := int64(1); b.Loop(); id++ {
		if err := insertItem(conn, id, benchValue); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
}

// BenchmarkBareGroupLoop is what 64 callers of Update are measured against: 64
// inserts, one commit, no goroutine and no savepoint.
func BenchmarkBareGroupLoop(b *testing.B) {
	const group = 64
	conn := openBare(b)
	exec := func(query string) {
		if err := sqlitex.Execute(conn, query, nil); err != nil {
			b.Fatal(err)
		}
	}
	id := int64(0)
	for b.Loop() {
		if id%group == 0 {
			exec("BEGIN IMMEDIATE")
		}
		id++
		if err := insertItem(conn, id, benchValue); err != nil {
			b.Fatal(err)
		}
		if id%group == 0 {
			exec("COMMIT")
		}
	}
	if id%group != 0 {
		exec("COMMIT")
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
}

// BenchmarkView is one read transaction that reads one row.
func BenchmarkView(b *testing.B) {
	db := openNew(b, options())
	for b.Loop() {
		number(b, db, "SELECT n FROM counter")
	}
}
