// Package sqlite keeps a clearinghouse's state in one SQLite file: it implements clearinghouse.Store over sqlitedb.
//
// The postings are the ledger, and append-only. The balances are their sums, kept in a table of their own by the same
// transaction that posts; Check counts them again. Instants are kept in UTC to the microsecond below, and an empty list
// or byte string comes back as nil.
//
// The package must not know what operations mean, who may ask for them, or how statements are signed.
package sqlite

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"

	"zombiezen.com/go/sqlite"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/sqlitedb"
)

// ApplicationID marks the file as a clearinghouse's ledger (https://sqlite.org/pragma.html#pragma_application_id): "ckCH".
const ApplicationID = 0x636b4348

//go:embed migrations/*.sql
var migrations embed.FS

// Options say how a ledger is run. The zero value is good.
type Options struct {
	Logger  *slog.Logger // told of migrations and of failures; nil discards them
	Readers int          // how many View calls can run at the same time; 0 means 4
}

// Store is an open ledger. Its methods are safe for concurrent use.
type Store struct {
	db *sqlitedb.DB
}

var _ clearinghouse.Store = (*Store)(nil)

// Open opens the ledger at path, creates it with mode 0600 if there is none, and migrates it to the present schema. The
// directory must exist. Errors wrap sqlitedb.ErrInUse, ErrForeign or ErrNewerSchema, or come from SQLite or the system.
func Open(ctx context.Context, path string, opt Options) (*Store, error) {
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	db, err := sqlitedb.Open(ctx, path, sqlitedb.Options{
		Name: "calkeeper clearinghouse ledger", ApplicationID: ApplicationID, Migrations: steps,
		Readers: opt.Readers, Logger: opt.Logger,
	})
	if err != nil {
		return nil, err
	}
	return &Store{db}, nil
}

// View runs fn on a consistent snapshot: the state at fn's first read.
func (s *Store) View(ctx context.Context, fn func(clearinghouse.Reader) error) error {
	return s.db.View(ctx, func(conn *sqlite.Conn) error { return fn(reader{conn}) })
}

// Update runs fn in a transaction of its own and returns once it is on disk. Errors of fn come back as they are; the others
// wrap sqlitedb.ErrNotCommitted, sqlitedb.ErrClosed or ctx.Err(). Once fn has begun, the end of ctx does not stop it.
func (s *Store) Update(ctx context.Context, fn func(clearinghouse.Tx) error) error {
	return s.db.Update(ctx, func(conn *sqlite.Conn) error { return fn(tx{reader{conn}}) })
}

// Backup writes a consistent copy, itself a ledger, to a new file with mode 0600. If path exists, the error wraps
// fs.ErrExist.
func (s *Store) Backup(ctx context.Context, path string) error { return s.db.Backup(ctx, path) }

// Close finishes the updates that wait and closes the file.
func (s *Store) Close() error { return s.db.Close() }
