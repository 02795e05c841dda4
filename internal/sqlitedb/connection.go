package sqlitedb

import (
	"context"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
)

// busyTimeout is how long a connection waits for a lock that a tool outside
// this process holds.
const busyTimeout = 5 * time.Second

// savepoint is the name of the SAVEPOINT around each request.
const savepoint = "sqlitedb_request"

// Synchronous says when a commit reaches the disk
// (https://sqlite.org/pragma.html#pragma_synchronous).
type Synchronous int

const (
	// SynchronousFull flushes every commit: what Update acknowledged survives a
	// loss of power.
	SynchronousFull Synchronous = iota
	// SynchronousNormal flushes at checkpoints only: a loss of power can undo
	// the latest commits, the death of the process cannot.
	SynchronousNormal
	// SynchronousOff never flushes: a loss of power can destroy the database.
	SynchronousOff
)

// String returns the name that SQLite's PRAGMA synchronous uses.
func (s Synchronous) String() string {
	switch s {
	case SynchronousFull:
		return "FULL"
	case SynchronousNormal:
		return "NORMAL"
	case SynchronousOff:
		return "OFF"
	}
	return fmt.Sprintf("Synchronous(%d)", int(s))
}

// connection is one SQLite connection, the statements that this package itself
// runs on it, and the guard that keeps those statements from anybody else.
type connection struct {
	*sqlite.Conn
	own   map[string]*sqlite.Stmt
	guard *guard
}

// guard denies, while it is shut, the statements by which a caller's function
// or a migration would end the transaction that it runs in.
type guard struct {
	shut bool
}

// Authorize implements sqlite.Authorizer.
func (g *guard) Authorize(a sqlite.Action) sqlite.AuthResult {
	if !g.shut {
		return sqlite.AuthResultOK
	}
	switch a.Type() {
	case sqlite.OpTransaction, sqlite.OpAttach, sqlite.OpDetach:
		return sqlite.AuthResultDeny
	case sqlite.OpSavepoint:
		if a.Savepoint() == savepoint {
			return sqlite.AuthResultDeny
		}
	}
	return sqlite.AuthResultOK
}

// openConnection opens the existing file at path and sets what every connection
// needs and no transaction depends on; it does not touch the file yet.
func openConnection(path string, flags sqlite.OpenFlags) (*connection, error) {
	conn, err := sqlite.OpenConn(path, flags)
	if err != nil {
		return nil, err
	}
	conn.SetBusyTimeout(busyTimeout)
	c := &connection{Conn: conn, own: map[string]*sqlite.Stmt{}, guard: &guard{}}
	err = conn.SetAuthorizer(c.guard)
	if err == nil {
		err = conn.SetDefensive(true)
	}
	for _, pragma := range []string{"PRAGMA trusted_schema=OFF", "PRAGMA cell_size_check=ON"} {
		if err == nil {
			err = c.exec(pragma)
		}
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// close finalizes the package's own statements and closes the connection,
// rolling back what it had not committed.
func (c *connection) close() error {
	for _, stmt := range c.own {
		stmt.Finalize()
	}
	return c.Close()
}

// statement returns the prepared statement for query. It is kept apart from
// the cache of sqlite.Conn, where a guarded function could find it.
func (c *connection) statement(query string) (*sqlite.Stmt, error) {
	if stmt := c.own[query]; stmt != nil {
		return stmt, nil
	}
	stmt, _, err := c.PrepareTransient(query)
	if err != nil {
		return nil, err
	}
	c.own[query] = stmt
	return stmt, nil
}

// exec runs one statement that has no parameters and ignores its rows.
func (c *connection) exec(query string) error {
	stmt, err := c.statement(query)
	if err != nil {
		return err
	}
	if _, err := stmt.Step(); err != nil {
		return err
	}
	return stmt.Reset()
}

// text runs one statement and returns the first column of its first row, or ""
// if there is no row.
func (c *connection) text(query string) (string, error) {
	stmt, err := c.statement(query)
	if err != nil {
		return "", err
	}
	row, err := stmt.Step()
	if err != nil {
		return "", err
	}
	var value string
	if row {
		value = stmt.ColumnText(0)
	}
	return value, stmt.Reset()
}

// integer runs one statement and returns the first column of its first row.
func (c *connection) integer(query string) (int64, error) {
	stmt, err := c.statement(query)
	if err != nil {
		return 0, err
	}
	if _, err := stmt.Step(); err != nil {
		return 0, err
	}
	value := stmt.ColumnInt64(0)
	return value, stmt.Reset()
}

// begin starts a transaction with the statement given. A transaction that an
// earlier failure left open is rolled back first, which is what lets the
// connection recover once the disk does.
func (c *connection) begin(statement string) error {
	if err := c.rollback(); err != nil {
		return err
	}
	return c.exec(statement)
}

// rollback ends the transaction, if there is one, without its changes.
func (c *connection) rollback() error {
	if c.AutocommitEnabled() {
		return nil
	}
	return c.exec("ROLLBACK")
}

// release opens the guard after a caller's function has run, drops the
// interrupt that it may have set, and resets the statements that it left
// active: they would hold a read lock and so keep the log from being reused.
func (c *connection) release() {
	c.guard.shut = false
	c.SetInterrupt(nil)
}

// prepareFile makes sure that the file is ours, puts it into WAL mode and
// migrates it. Nothing is written before the file is known to be ours.
func (c *connection) prepareFile(ctx context.Context, opt Options, steps []migration) error {
	c.SetInterrupt(ctx.Done())
	defer c.SetInterrupt(nil)
	if err := c.checkOwner(opt); err != nil {
		return err
	}
	settings := []string{
		"PRAGMA synchronous=" + opt.Synchronous.String(),
		// On macOS, fsync alone stops at the drive's cache.
		"PRAGMA fullfsync=ON",
		// What a savepoint may have to restore stays in memory: no directory for
		// temporary files is needed, and SQLite allocates 1 KB pieces for it where
		// it otherwise maps and unmaps 64 KB for every savepoint (twice as slow).
		"PRAGMA temp_store=MEMORY",
		// Give the disk back after a log that long reads made long.
		fmt.Sprintf("PRAGMA journal_size_limit=%d", min(64<<20, opt.LogLimit)),
	}
	for _, pragma := range settings {
		if err := c.exec(pragma); err != nil {
			return err
		}
	}
	mode, err := c.text("PRAGMA journal_mode=WAL")
	if err != nil {
		return fmt.Errorf("switch to WAL mode: %w", err)
	}
	if mode != "wal" {
		return fmt.Errorf("the journal mode stays %q: the file system does not support WAL mode (a network share?)", mode)
	}
	if err := c.migrate(opt, steps); err != nil {
		return err
	}
	return c.exec("PRAGMA foreign_keys=ON")
}

// checkOwner accepts a file with our application ID, and an empty one.
func (c *connection) checkOwner(opt Options) error {
	id, err := c.integer("PRAGMA application_id")
	if sqlite.ErrCode(err).ToPrimary() == sqlite.ResultNotADB {
		return fmt.Errorf("this is not a %s database, nor any SQLite database: %w", opt.Name, ErrForeign)
	}
	if err != nil {
		return err
	}
	if id == int64(opt.ApplicationID) {
		return nil
	}
	used, err := c.integer("SELECT (SELECT count(*) FROM sqlite_schema) + (SELECT user_version FROM pragma_user_version)")
	if err != nil {
		return err
	}
	if id != 0 || used != 0 {
		return fmt.Errorf("this is not a %s database (its application ID is %d, not %d): %w",
			opt.Name, id, opt.ApplicationID, ErrForeign)
	}
	return nil
}

// interrupted makes err wrap ctx.Err(), too, if it is what SQLite says of a
// statement that the end of ctx has interrupted.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && sqlite.ErrCode(err) == sqlite.ResultInterrupt {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}
