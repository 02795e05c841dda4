package sqlite

import (
	"math"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"calkeeper/internal/licensing"
)

// reader implements clearinghouse.Reader on the connection of one transaction.
type reader struct {
	conn *sqlite.Conn
}

// tx implements clearinghouse.Tx.
type tx struct {
	reader
}

// row reads the columns of a result row from left to right.
type row struct {
	stmt *sqlite.Stmt
	next int
	err  error // the first that a scan function met
}

func (r *row) column() int {
	r.next++
	return r.next - 1
}

func (r *row) text() string   { return r.stmt.ColumnText(r.column()) }
func (r *row) int64() int64   { return r.stmt.ColumnInt64(r.column()) }
func (r *row) uint32() uint32 { return uint32(r.int64()) } // a CHECK of the schema keeps it in range
func (r *row) uint64() uint64 { return uint64(r.int64()) }
func (r *row) bool() bool     { return r.int64() != 0 }

func (r *row) bytes() []byte {
	column := r.column()
	n := r.stmt.ColumnLen(column)
	if n == 0 {
		return nil
	}
	b := make([]byte, n)
	r.stmt.ColumnBytes(column, b)
	return b
}

func (r *row) time() time.Time {
	column := r.column()
	if r.stmt.ColumnIsNull(column) {
		return time.Time{}
	}
	return time.UnixMicro(r.stmt.ColumnInt64(column)).UTC()
}

// instant returns what is stored for t: microseconds, rounded down, or NULL for the zero time.
func instant(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// optional returns NULL for an empty text.
func optional(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// optionalBytes returns NULL for no bytes.
func optionalBytes(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// optionalID returns NULL for 0.
func optionalID(id uint32) any {
	if id == 0 {
		return nil
	}
	return id
}

// bound returns a sequence number as SQLite, whose integers are signed, can compare it.
func bound(seq uint64) int64 { return int64(min(seq, math.MaxInt64)) }

// limited is the parameter of a LIMIT. SQLite plans a bare LIMIT ? for the number that is bound, and so prepares the statement
// anew each time that another is: also after the bindings were cleared, which is each time that it is used.
const limited = `CAST(? AS INTEGER)`

// all returns the rows of a query. op names the method for the log.
func all[T any](r reader, op, query string, scan func(*row) T, args ...any) ([]T, error) {
	var found []T
	err := sqlitex.Execute(r.conn, query, &sqlitex.ExecOptions{Args: args, ResultFunc: func(stmt *sqlite.Stmt) error {
		current := row{stmt: stmt}
		found = append(found, scan(&current))
		return current.err
	}})
	if err != nil {
		return nil, internal(op, err)
	}
	return found, nil
}

// one returns the only row of a query, and missing if there is none.
func one[T any](r reader, op string, missing *licensing.Fault, query string, scan func(*row) T, args ...any) (T, error) {
	found, err := all(r, op, query, scan, args...)
	if err == nil && len(found) == 0 {
		missing.Op = op
		err = missing
	}
	if err != nil {
		var zero T
		return zero, err
	}
	return found[0], nil
}

func (t tx) exec(query string, args ...any) error {
	return sqlitex.Execute(t.conn, query, &sqlitex.ExecOptions{Args: args})
}

// insert runs an INSERT. what names the row in the fault, without anything that is secret.
func (t tx) insert(op, what, query string, args ...any) error {
	return writeFault(op, what, t.exec(query, args...))
}

// update runs an UPDATE of one row; if there is no such row, that is NotFound.
func (t tx) update(op, what, query string, args ...any) error {
	if err := t.exec(query, args...); err != nil {
		return writeFault(op, what, err)
	}
	if t.conn.Changes() == 0 {
		return &licensing.Fault{Kind: licensing.NotFound, Op: op, Msg: what + " is not known"}
	}
	return nil
}

func internal(op string, err error) error {
	return &licensing.Fault{Kind: licensing.Internal, Op: op, Msg: "the ledger's database refused", Err: err}
}

// writeFault tells the constraints that a caller can meet from those that only a mistake of the program violates. The
// cause names the columns.
func writeFault(op, what string, err error) error {
	if err == nil {
		return nil
	}
	switch sqlite.ErrCode(err) {
	case sqlite.ResultConstraintUnique, sqlite.ResultConstraintPrimaryKey, sqlite.ResultConstraintRowID:
		return &licensing.Fault{Kind: licensing.AlreadyExists, Op: op, Msg: what + " is there already, or shares what must be unique with another", Err: err}
	case sqlite.ResultConstraintForeignKey:
		return &licensing.Fault{Kind: licensing.NotFound, Op: op, Msg: what + " refers to something that is not known", Err: err}
	}
	return internal(op, err)
}
