package sqlitedb_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"syscall"
	"testing"

	"zombiezen.com/go/sqlite"

	"calkeeper/internal/sqlitedb"
)

func childRoles() map[string]func(string) error {
	return map[string]func(string) error{
		"write forever": writeForever,
		"fill the disk": fillTheDisk,
	}
}

// TestDiskFullAndBack runs in a child, because the limit on the size of files
// that stands for the full disk holds for a whole process.
func TestDiskFullAndBack(t *testing.T) {
	path := t.TempDir() + "/test.db"
	if output, err := child(t, "fill the disk", path).Output(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	db := openAt(t, path, options())
	checkIntegrity(t, db)
	if n := number(t, db, "SELECT count(*) FROM item WHERE value = 'refused'"); n != 0 {
		t.Errorf("%d items are there that Update reported as failed", n)
	}
	if n := number(t, db, "SELECT count(*) FROM item WHERE value = 'kept'"); n != 32 {
		t.Errorf("%d of the 32 acknowledged items are there", n)
	}
}

// fillTheDisk is a child role: it lets 16 concurrent updates succeed, then fail
// because the log cannot grow, then succeed again.
func fillTheDisk(path string) error {
	db, err := sqlitedb.Open(context.Background(), path, options())
	if err != nil {
		return err
	}
	round := func(value string) []error {
		errs := make([]error, 16)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				errs[i] = db.Update(context.Background(), func(conn *sqlite.Conn) error {
					_, err := appendItem(conn, value)
					return err
				})
			})
		}
		wg.Wait()
		return errs
	}

	if err := errors.Join(round("kept")...); err != nil {
		return fmt.Errorf("before: %w", err)
	}
	log, err := os.Stat(path + "-wal")
	if err != nil {
		return err
	}
	if err := limitFiles(uint64(log.Size())); err != nil {
		return err
	}
	for _, err := range round("refused") {
		if !errors.Is(err, sqlitedb.ErrNotCommitted) || sqlite.ErrCode(err).ToPrimary() != sqlite.ResultIOErr {
			return fmt.Errorf("with the disk full, Update returned %v", err)
		}
	}
	if err := limitFiles(math.MaxUint64); err != nil {
		return err
	}
	if err := errors.Join(round("kept")...); err != nil {
		return fmt.Errorf("after: %w", err)
	}
	return db.Close()
}

func limitFiles(size uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	limit.Cur = min(size, limit.Max)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
}
