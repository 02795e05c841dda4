// Package sqlite keeps the state of a license server in one SQLite file: it implements the port package store over
// package sqlitedb.
//
// The package must not know what the operations, documents and audit records mean, nor decide any rule about key packs;
// its CHECK constraints only refuse what package licensing calls impossible.
package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"zombiezen.com/go/sqlite"

	"calkeeper/internal/licensing"
	"calkeeper/internal/sqlitedb"
	"calkeeper/internal/store"
)

// ApplicationID marks a file as the database of a license server: "CKLS" in ASCII, for calkeeper license server
// (https://sqlite.org/pragma.html#pragma_application_id).
const ApplicationID = 0x434B4C53

//go:embed migrations/*.sql
var migrations embed.FS

// Options says how the database is run. The zero value works.
type Options struct {
	// Logger is told of migrations and of failures; nil discards them.
	Logger *slog.Logger
	// Readers is how many View calls can run at the same time; 0 means 4.
	Readers int
	// Snapshots is how many Snapshot calls can be open at the same time; 0 means 64.
	Snapshots int
	// LogLimit is how many bytes SQLite's log may have before open snapshots are ended; 0 means 1 GiB.
	LogLimit int64
	// Synchronous is sqlitedb.SynchronousFull, the zero value, unless data may be lost, as those of a simulation.
	Synchronous sqlitedb.Synchronous
}

// Store is the state of one license server in an SQLite file. Its methods are safe for concurrent use.
type Store struct {
	db   *sqlitedb.DB
	path string
}

var _ store.Store = (*Store)(nil)

// Open opens the database at path, creates it with mode 0600 if there is none, and migrates its schema to this version.
// The directory must exist. ctx bounds the opening only. Errors wrap sqlitedb.ErrInUse, ErrForeign or ErrNewerSchema, or
// come from SQLite or the operating system.
func Open(ctx context.Context, path string, opt Options) (*Store, error) {
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	db, err := sqlitedb.Open(ctx, path, sqlitedb.Options{
		Name:          "calkeeper license server",
		ApplicationID: ApplicationID,
		Migrations:    steps,
		Readers:       opt.Readers,
		Snapshots:     opt.Snapshots,
		LogLimit:      opt.LogLimit,
		Synchronous:   opt.Synchronous,
		Logger:        opt.Logger,
	})
	if err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Store{db: db, path: absolute}, nil
}

// View runs fn on a consistent snapshot, on the caller's goroutine. If ctx ends, the reads of fn fail and View returns an
// error that wraps ctx.Err().
func (s *Store) View(ctx context.Context, fn func(store.Reader) error) error {
	return s.db.View(ctx, func(conn *sqlite.Conn) error {
		r := &reader{conn: conn}
		defer r.end()
		return fn(r)
	})
}

// Snapshot runs fn, on the caller's goroutine, on a consistent snapshot that may stay open for long. Not more than
// Options.Snapshots can be open.
func (s *Store) Snapshot(ctx context.Context, fn func(store.Reader) error) error {
	err := s.db.Snapshot(ctx, func(snapshot *sqlitedb.Snapshot) error {
		r := &reader{snapshot: snapshot}
		defer r.end()
		return fn(r)
	})
	if errors.Is(err, sqlitedb.ErrTooManySnapshots) {
		return &licensing.Fault{Kind: licensing.Limited, Msg: "too many lists are being read; try again later", Err: err}
	}
	return err
}

// ended turns the error of a snapshot that was ended into a Fault.
func ended(err error) error {
	if errors.Is(err, sqlitedb.ErrSnapshotTooOld) {
		return &licensing.Fault{
			Kind: licensing.Limited, Msg: "the list was open for too long while much changed; read it anew",
			Err: fmt.Errorf("%w: %w", store.ErrSnapshotEnded, err),
		}
	}
	return err
}

// Update runs fn in a transaction of its own and returns once the commit is durable. fn runs on another goroutine, at most
// once; a panic of fn becomes an error (sqlitedb.PanicError). Nothing is committed if fn returns an error, if a write
// failed otherwise than by a Fault although fn returned nil, or if something was changed without an audit record.
func (s *Store) Update(ctx context.Context, fn func(store.Tx) error) error {
	return s.db.Update(ctx, func(conn *sqlite.Conn) error {
		t := &tx{reader: reader{conn: conn}, origin: store.OriginOf(ctx)}
		defer t.end()
		if err := fn(t); err != nil {
			return err
		}
		if t.failed != nil {
			return t.failed
		}
		if t.changed && !t.audited {
			return licensing.Faultf(licensing.Internal,
				"the transaction changed the store without an audit record; Audit must be called in the same transaction")
		}
		return nil
	})
}

// Backup writes a consistent copy to a new file with mode 0600. A path that exists is a Fault of kind AlreadyExists.
func (s *Store) Backup(ctx context.Context, path string) error {
	err := s.db.Backup(ctx, path)
	if errors.Is(err, fs.ErrExist) {
		return &licensing.Fault{
			Kind: licensing.AlreadyExists, Op: "backup",
			Msg: fmt.Sprintf("%s exists and is not overwritten; name a file that does not exist", path), Err: err,
		}
	}
	return err
}

// Path returns the absolute path of the database file.
func (s *Store) Path() string { return s.path }

// Close waits for what is running and closes the file. Further calls return the result of the first.
func (s *Store) Close() error { return s.db.Close() }
