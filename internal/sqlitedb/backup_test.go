package sqlitedb_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"zombiezen.com/go/sqlite"
)

func TestBackup(t *testing.T) {
	db := openNew(t, options())
	appendOne := func() {
		err := db.Update(t.Context(), func(conn *sqlite.Conn) error {
			_, err := appendItem(conn, "x")
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	for range 5 {
		appendOne()
	}
	path := filepath.Join(t.TempDir(), "backup.db")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				appendOne()
			}
		}
	})
	err := db.Backup(t.Context(), path)
	close(stop)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("mode %v", mode)
	}
	checkOnlyFile(t, path)

	if err := db.Backup(t.Context(), path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Backup over a file that exists: %v", err)
	}
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if after.Size() != info.Size() || !after.ModTime().Equal(info.ModTime()) {
		t.Error("the existing backup was changed")
	}

	restored := openAt(t, path, options())
	checkIntegrity(t, restored)
	if n, all := number(t, restored, "SELECT count(*) FROM item"), number(t, db, "SELECT count(*) FROM item"); n < 5 || n > all {
		t.Errorf("the backup has %d items; the database had 5 before and %d after", n, all)
	}
}

func TestBackupLeavesNothingBehind(t *testing.T) {
	db := openNew(t, options())
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Backup(ctx, filepath.Join(dir, "backup.db")); !errors.Is(err, context.Canceled) {
		t.Errorf("Backup with a context that has ended: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
	if err := db.Backup(t.Context(), filepath.Join(dir, "none", "backup.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Backup into a directory that does not exist: %v", err)
	}
}

// checkOnlyFile checks that there is no file beside path.
func checkOnlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("files beside the backup: %v", entries)
	}
}
