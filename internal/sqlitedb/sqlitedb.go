// Package sqlitedb runs one SQLite database file for one server process: it
// opens the file, migrates its schema forward, commits waiting changes as a
// group through a single writer, serves consistent reads from a pool of read-only
// connections, and keeps snapshots open for reads that wait for somebody. It must not know any table, nor anything of licensing.
//
// # Writing
//
// DB.Update hands a function to the writer goroutine. The writer takes all the
// requests that wait, runs each in a SAVEPOINT of its own inside one BEGIN
// IMMEDIATE transaction, commits, and only then acknowledges them, so that many
// callers share one disk flush and none is told of success before it is on disk.
//
// # One process, one writer
//
// A lock on the file "<path>.lock" keeps a second server out; the operating
// system drops it when the process dies, however it dies. Tools that only read,
// such as the sqlite3 shell, do not take that lock and are welcome. All commits
// and checkpoints come from the writer's connection, and that is also what keeps
// clear of the race between concurrent checkpoints that SQLite versions before
// 3.51.3 have (https://sqlite.org/wal.html, "The WAL-Reset Bug").
package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"zombiezen.com/go/sqlite"
)

// Errors that callers can tell apart with errors.Is.
var (
	// ErrClosed is returned by every method of a DB after Close was called.
	ErrClosed = errors.New("database is closed")
	// ErrInUse is returned by Open while another Open holds the file, in this
	// process or in another one.
	ErrInUse = errors.New("database is in use by another process")
	// ErrForeign is returned by Open for a file that is no SQLite database, or
	// one of another program or purpose.
	ErrForeign = errors.New("database belongs to another program")
	// ErrNewerSchema is returned by Open for a database that a later version of
	// the program has migrated.
	ErrNewerSchema = errors.New("database schema is newer than this program")
	// ErrNotCommitted is returned by Update when the function did not fail but
	// its transaction did. The change is not there and was acknowledged to
	// nobody. (If the process dies right after a flush that failed, the next
	// Open may still find the change: that the flush failed does not prove that
	// nothing reached the disk.)
	ErrNotCommitted = errors.New("transaction was not committed")
	// ErrTooManySnapshots is returned by Snapshot while as many are open as the
	// options allow.
	ErrTooManySnapshots = errors.New("too many snapshots of the database are open")
	// ErrSnapshotTooOld is returned by the reads of a snapshot that was ended
	// because the log had become too long.
	ErrSnapshotTooOld = errors.New("the snapshot is too old: it was ended so that the log can be written back")
)

// Options says what a database file is and how it is run.
type Options struct {
	// Name is what error messages call the database, such as "calkeeper
	// clearinghouse ledger". It must not be empty.
	Name string
	// ApplicationID marks the file as this program's and must not be 0
	// (https://sqlite.org/pragma.html#pragma_application_id).
	ApplicationID int32
	// Migrations holds the files NNNN_name.sql, numbered from 0001 without gaps.
	Migrations fs.FS
	// Readers is how many View calls can run at the same time; 0 means 4.
	Readers int
	// Snapshots is how many Snapshot calls can be open at the same time; 0 means
	// 64. Each costs a connection, of about 0.7 MB.
	Snapshots int
	// LogLimit is how many bytes the log may have after a commit before open
	// snapshots are ended; 0 means 1 GiB.
	LogLimit int64
	// MaxBatch is how many Update calls share one commit at most; 0 means 256.
	MaxBatch int
	// Synchronous is SynchronousFull unless data may be lost.
	Synchronous Synchronous
	// Logger is told of migrations and of failures; nil discards them.
	Logger *slog.Logger
}

// Stats counts what the writer has done since Open, and what is open.
type Stats struct {
	Updates uint64 // calls of Update that succeeded
	Commits uint64 // transactions that carried them
	Waiting int    // calls of Update that are queued and not yet running

	Snapshots int // calls of Snapshot that are open
}

// DB is an open database file. Its methods are safe for concurrent use.
type DB struct {
	path      string
	log       *slog.Logger
	lock      *os.File
	writer    *writer
	readers   chan *connection // the idle ones
	snapshots snapshots
	backup    chan struct{} // a token: one backup at a time
	closing   chan struct{}
	close     func() error
}

// Open opens the database file at path, creates it with mode 0600 if there is
// none, and applies the migrations that it lacks. The directory must exist. The
// permissions of an existing file are left alone. ctx bounds the opening only.
// Errors wrap ErrInUse, ErrForeign or ErrNewerSchema, or come from a migration,
// SQLite or the operating system.
func Open(ctx context.Context, path string, opt Options) (*DB, error) {
	db, err := open(ctx, path, opt)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return db, nil
}

func open(ctx context.Context, path string, opt Options) (_ *DB, err error) {
	if opt.Name == "" || opt.ApplicationID == 0 || opt.Migrations == nil {
		return nil, errors.New("the options lack a Name, an ApplicationID other than 0, or Migrations")
	}
	if opt.Synchronous < SynchronousFull || opt.Synchronous > SynchronousOff {
		return nil, fmt.Errorf("the option %v is none of SynchronousFull, SynchronousNormal and SynchronousOff", opt.Synchronous)
	}
	if opt.Readers <= 0 {
		opt.Readers = 4
	}
	if opt.Snapshots <= 0 {
		opt.Snapshots = 64
	}
	if opt.LogLimit <= 0 {
		opt.LogLimit = 1 << 30
	}
	if opt.MaxBatch <= 0 {
		opt.MaxBatch = 256
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	steps, err := readMigrations(opt.Migrations)
	if err != nil {
		return nil, err
	}
	path, err = realPath(path)
	if err != nil {
		return nil, err
	}

	db := &DB{
		path:    path,
		log:     opt.Logger,
		readers: make(chan *connection, opt.Readers),
		backup:  make(chan struct{}, 1),
		closing: make(chan struct{}),
	}
	db.snapshots.max, db.snapshots.logLimit, db.snapshots.endAt = opt.Snapshots, opt.LogLimit, opt.LogLimit
	db.snapshots.open = map[*Snapshot]struct{}{}
	db.close = sync.OnceValue(db.shut)
	var opened []*connection
	defer func() {
		if err == nil {
			return
		}
		for _, c := range opened {
			err = errors.Join(err, c.close())
		}
		if db.lock != nil {
			err = errors.Join(err, db.lock.Close())
		}
	}()

	if db.lock, err = acquireLock(path + ".lock"); err != nil {
		return nil, err
	}
	if err = createFile(path); err != nil {
		return nil, err
	}
	w, err := openConnection(path, sqlite.OpenReadWrite)
	if err != nil {
		return nil, err
	}
	opened = append(opened, w)
	if err = w.prepareFile(ctx, opt, steps); err != nil {
		return nil, interrupted(ctx, err)
	}
	for range opt.Readers {
		r, err := openConnection(path, sqlite.OpenReadOnly)
		if err != nil {
			return nil, err
		}
		opened = append(opened, r)
		if err = r.exec("PRAGMA query_only=ON"); err != nil {
			return nil, err
		}
		db.readers <- r
	}
	db.writer = startWriter(w, opt.MaxBatch, opt.Logger, db.boundLog)
	return db, nil
}

// realPath makes path absolute, so that SQLite gives no special meaning to
// names such as ":memory:", and follows a symbolic link, so that two names of
// one file lead to one lock.
func realPath(path string) (string, error) {
	if path == "" {
		return "", errors.New("the path of the database is empty")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	return real, err
}

// createFile creates path if there is no such file. It never opens a file that
// exists: closing it again would drop the POSIX locks that an SQLite connection
// of this process may hold on it.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// Stats returns the counters.
func (db *DB) Stats() Stats {
	stats := db.writer.stats()
	db.snapshots.mu.Lock()
	defer db.snapshots.mu.Unlock()
	stats.Snapshots = len(db.snapshots.open)
	return stats
}

// Close refuses new calls with ErrClosed, ends the open snapshots, finishes the
// updates that are queued, waits for the views and the backup that are running,
// writes the log back into the database file and releases the lock. Further calls of Close wait for the
// first and return its result. Close must not be called from within a function
// that Update or View runs.
func (db *DB) Close() error {
	return db.close()
}

func (db *DB) shut() error {
	close(db.closing)
	errs := []error{db.closeSnapshots()}
	db.writer.stop()
	db.backup <- struct{}{}
	for range cap(db.readers) {
		errs = append(errs, (<-db.readers).close())
	}
	// The writer's connection comes last: the last one out checkpoints. A tool
	// that still reads can hold a checkpoint up; nothing is lost by that.
	if err := db.writer.conn.exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		errs = append(errs, fmt.Errorf("checkpoint: %w", err))
	}
	errs = append(errs, db.writer.conn.close(), db.lock.Close())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close %s: %w", db.path, err)
	}
	return nil
}
