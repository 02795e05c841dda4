//go:build linux

package bench_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"calkeeper/internal/licensing"
)

// What issuing a CAL to a user who has none must read and write, as the store does it.
const (
	plainServer = `SELECT product_id, license_server_id, activated_at, first_name, last_name, company, country_region, e_mail,
		org_unit, address, city, state, postal_code, role, notice_seq FROM server`
	plainCALs = `SELECT id, key_pack_id, product_version, product_type, status, slot, holder, user, device_id, device_name, host,
		validated, issued, expires FROM cal WHERE holder = ? AND product_type = ? AND slot >= 0 ORDER BY slot`
	plainPacks = `SELECT id, type, product_version, product_type, total, issued, held, installed, expires, entitlement, code, flag,
		over_use, warn_at, deny_beyond FROM key_pack WHERE id <= (SELECT max(id) FROM key_pack) ORDER BY id`
	plainCount  = `UPDATE key_pack SET issued = issued + ?1 WHERE id = ?2 AND issued + ?1 BETWEEN 0 AND 4294967295`
	plainInsert = `INSERT INTO cal (key_pack_id, product_version, product_type, status, slot, holder, user, device_id, device_name, host,
		validated, issued, expires) VALUES (?, ?, ?, ?, 0, ?, ?, '', '', ?, 0, ?, ?)`
	plainAudit = `INSERT INTO audit_record (at, actor, action, key_pack_id, license_id, delta, detail) VALUES (?, ?, 'issue', ?, ?, 0, ?)`
)

// plainDatabase returns a connection of the driver to a database like the one that is measured, with the same settings.
func plainDatabase(b *testing.B) *sqlite.Conn {
	b.Helper()
	dir := b.TempDir()
	fillLicenses(b, dir, 1000)
	conn, err := sqlite.OpenConn(filepath.Join(dir, database), sqlite.OpenReadWrite)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := conn.Close(); err != nil {
			b.Error(err)
		}
	})
	for _, pragma := range []string{
		"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA temp_store=MEMORY", "PRAGMA foreign_keys=ON",
	} {
		if err := sqlitex.ExecuteTransient(conn, pragma, nil); err != nil {
			b.Fatal(err)
		}
	}
	return conn
}

// plainIssue runs the statements that issue a CAL.
func plainIssue(conn *sqlite.Conn, user string) error {
	holder, err := licensing.UserKey(user)
	if err != nil {
		return err
	}
	activated := false
	if err := plainRows(conn, plainServer, nil, func(s *sqlite.Stmt) { activated = s.ColumnText(1) != "" }); err != nil {
		return err
	}
	held := false
	if err := plainRows(conn, plainCALs, []any{holder, int(licensing.PerUser)}, func(*sqlite.Stmt) { held = true }); err != nil {
		return err
	}
	pack := int64(0)
	if err := plainRows(conn, plainPacks, nil, func(s *sqlite.Stmt) {
		if s.ColumnInt64(4) > s.ColumnInt64(5) {
			pack = s.ColumnInt64(0)
		}
	}); err != nil {
		return err
	}
	if !activated || held || pack == 0 {
		return fmt.Errorf("activated %t, held %t, key pack %d", activated, held, pack)
	}
	now := time.Now().UTC()
	if err := plainRows(conn, plainCount, []any{1, pack}, nil); err != nil {
		return err
	}
	err = plainRows(conn, plainInsert, []any{
		pack, int(licensing.WindowsServer2022), int(licensing.PerUser), int(licensing.StatusActive), holder, user, sessionHost,
		now.UnixMicro(), now.Add(licensing.PerUserTerm).UnixMicro(),
	}, nil)
	if err != nil {
		return err
	}
	return plainRows(conn, plainAudit, []any{now.UnixMicro(), sessionHost, pack, conn.LastInsertRowID(), user}, nil)
}

// plainRows runs one prepared statement.
func plainRows(conn *sqlite.Conn, query string, arguments []any, row func(*sqlite.Stmt)) error {
	stmt, err := conn.Prepare(query)
	if err != nil {
		return err
	}
	for i, a := range arguments {
		switch a := a.(type) {
		case int:
			stmt.BindInt64(i+1, int64(a))
		case int64:
			stmt.BindInt64(i+1, a)
		case string:
			stmt.BindText(i+1, a)
		}
	}
	for {
		more, err := stmt.Step()
		if err != nil || !more {
			return err
		}
		row(stmt)
	}
}

// plainSingle returns what issues one CAL after the other, each with a commit of its own.
func plainSingle(conn *sqlite.Conn) func(int, string) error {
	var mu sync.Mutex
	return func(_ int, user string) error {
		mu.Lock()
		defer mu.Unlock()
		if err := plainRows(conn, "BEGIN IMMEDIATE", nil, nil); err != nil {
			return err
		}
		if err := plainIssue(conn, user); err != nil {
			return err
		}
		return plainRows(conn, "COMMIT", nil, nil)
	}
}

// plainRequest is a CAL that somebody waits for.
type plainRequest struct {
	user string
	done chan error
}

// startPlainGroup starts a loop that takes all who wait into one transaction, each in a savepoint of its own, and answers them
// after its commit.
func startPlainGroup(b *testing.B, conn *sqlite.Conn) func(int, string) error {
	requests := make(chan plainRequest, 256)
	var loop sync.WaitGroup
	loop.Go(func() {
		var batch []plainRequest
		for first := range requests {
			batch = append(batch[:0], first)
			for waiting := len(requests); waiting > 0; waiting-- {
				batch = append(batch, <-requests)
			}
			err := plainCommit(conn, batch)
			for _, r := range batch {
				r.done <- err
			}
		}
	})
	b.Cleanup(func() {
		close(requests)
		loop.Wait()
	})
	return func(_ int, user string) error {
		r := plainRequest{user: user, done: make(chan error, 1)}
		requests <- r
		return <-r.done
	}
}

func plainCommit(conn *sqlite.Conn, batch []plainRequest) error {
	if err := plainRows(conn, "BEGIN IMMEDIATE", nil, nil); err != nil {
		return err
	}
	for _, r := range batch {
		if err := plainRows(conn, "SAVEPOINT issue", nil, nil); err != nil {
			return err
		}
		if err := plainIssue(conn, r.user); err != nil {
			return err
		}
		if err := plainRows(conn, "RELEASE issue", nil, nil); err != nil {
			return err
		}
	}
	return plainRows(conn, "COMMIT", nil, nil)
}
