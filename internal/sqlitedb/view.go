package sqlitedb

import (
	"context"
	"log/slog"

	"zombiezen.com/go/sqlite"
)

// View runs fn in a read transaction and returns fn's error. All reads of fn
// see the database as it was at its first read, which is never older than the
// last Update that returned before View was called. Writing fails.
//
// If ctx ends, SQLite interrupts fn's statements and View returns an error that
// wraps ctx.Err(). After Close, View returns ErrClosed. A panic of fn passes
// through. A long view keeps the log from being reused, so the file
// "<path>-wal" grows while it lasts.
//
// fn runs on the caller's goroutine. It must not keep conn, must finalize
// transient statements, and must not call View again, which could wait for a
// connection that only it can give back. BEGIN, COMMIT, ROLLBACK, ATTACH and
// DETACH are denied to it.
func (db *DB) View(ctx context.Context, fn func(conn *sqlite.Conn) error) error {
	select {
	case <-db.closing:
		return ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-db.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case r := <-db.readers:
		defer db.putReader(r)
		return r.view(ctx, fn)
	}
}

// putReader ends the transaction of r and gives r back to the pool.
func (db *DB) putReader(r *connection) {
	r.release()
	if err := r.rollback(); err != nil {
		db.log.Error("end of a read transaction failed", slog.Any("error", err))
	}
	db.readers <- r
}

func (c *connection) view(ctx context.Context, fn func(*sqlite.Conn) error) error {
	// This costs a goroutine for each view. One channel for all of them, closed by context.AfterFunc, costs less, but closes a
	// moment after ctx has ended, and statements begun in between would succeed.
	c.SetInterrupt(ctx.Done())
	err := c.begin("BEGIN")
	if err == nil {
		c.guard.shut = true
		err = fn(c.Conn)
	}
	return interrupted(ctx, err)
}
