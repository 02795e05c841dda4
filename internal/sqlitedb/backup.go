package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Backup writes a copy of the database as it is now to a new file at path, with
// mode 0600, while updates and views go on. It refuses a path that exists with
// an error that wraps fs.ErrExist. The copy is written to "<path>.*.partial",
// flushed, and only then renamed, so that path never holds half a backup. If ctx
// ends, Backup removes what it wrote and returns an error that wraps ctx.Err().
// One backup runs at a time; others wait. After Close, Backup returns ErrClosed.
//
// The copy comes from VACUUM INTO (https://sqlite.org/lang_vacuum.html), which
// keeps the application ID and the schema version, and may renumber the rows of
// tables that have no INTEGER PRIMARY KEY.
func (db *DB) Backup(ctx context.Context, path string) error {
	select {
	case <-db.closing:
		return ErrClosed
	default:
	}
	select {
	case <-db.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case db.backup <- struct{}{}:
	}
	defer func() { <-db.backup }()
	if err := copyDatabase(ctx, db.path, path); err != nil {
		return fmt.Errorf("back up to %s: %w", path, err)
	}
	return nil
}

func copyDatabase(ctx context.Context, source, path string) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// os.CreateTemp creates with mode 0600; VACUUM INTO accepts an empty file.
	partial, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.partial")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			partial.Close()
			err = errors.Join(err, os.Remove(partial.Name()))
		}
	}()
	if err := vacuumInto(ctx, source, partial.Name()); err != nil {
		return err
	}
	if err := partial.Sync(); err != nil {
		return err
	}
	if err := partial.Close(); err != nil {
		return err
	}
	if err := os.Rename(partial.Name(), path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// vacuumInto uses a connection of its own, because those of the pool are
// query_only and the writer's is busy.
func vacuumInto(ctx context.Context, source, target string) (err error) {
	target, err = filepath.Abs(target)
	if err != nil {
		return err
	}
	c, err := openConnection(source, sqlite.OpenReadOnly)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	c.SetInterrupt(ctx.Done())
	err = sqlitex.ExecuteTransient(c.Conn, "VACUUM INTO ?", &sqlitex.ExecOptions{Args: []any{target}})
	return interrupted(ctx, err)
}
