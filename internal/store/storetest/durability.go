package storetest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

func testReopen(t *testing.T, h Harness) {
	s := h.open(t)
	for serial := range uint32(3) {
		if err := s.Update(t.Context(), func(tx store.Tx) error {
			_, err := fill(tx, serial)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		before := contentOf(t, s)
		s = h.reopen(t, s)
		expect(t, s, before)
		err := tryUpdate(t.Context(), s, func(tx store.Tx) error { return tx.UseSerial(serial) })
		if err := fault("UseSerial again after reopening", err, licensing.AlreadyExists); err != nil {
			t.Error(err)
		}
	}
}

// testIDsNeverReused removes the newest key pack and operation in different ways before it adds others.
func testIDsNeverReused(t *testing.T, h Harness) {
	s := h.open(t)
	var lastID uint32
	var lastSeq uint64
	add := func(when string) {
		t.Helper()
		var id uint32
		update(t, s, func(tx store.Tx) (err error) {
			id, err = tx.InsertKeyPack(keyPack(1))
			return errors.Join(err, tx.InsertOperation(operation("the only one")))
		})
		seq := contentOf(t, s).Operations[0].Seq
		if id <= lastID || id < licensing.FirstKeyPackID {
			t.Errorf("%s: the key pack got ID %d, and %d was in use before", when, id, lastID)
		}
		if seq <= lastSeq {
			t.Errorf("%s: the operation got Seq %d, and %d was in use before", when, seq, lastSeq)
		}
		lastID, lastSeq = id, seq
	}
	remove := func() {
		t.Helper()
		update(t, s, func(tx store.Tx) error {
			return errors.Join(tx.DeleteKeyPack(lastID), tx.DeleteOperation("the only one"))
		})
	}
	add("in an empty store")
	remove()
	add("after removal")
	remove()
	s = h.reopen(t, s)
	add("after removal and reopening")
	remove()
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		_, err := fill(tx, 1)
		return errors.Join(err, errRefused)
	}); !errors.Is(err, errRefused) {
		t.Fatal(err)
	}
	add("after a transaction that failed")
	remove()
	path := filepath.Join(t.TempDir(), "backup")
	if err := s.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	s = h.restore(t, path)
	add("after removal and in a restored backup")
}

func testClosed(t *testing.T, h Harness) {
	s := h.open(t)
	path := s.Path()
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatalf("Close: %v", err)
	}
	called := func() { t.Error("the function was called") }
	backup := filepath.Join(t.TempDir(), "backup")
	for name, err := range map[string]error{
		"View": s.View(t.Context(), func(store.Reader) error {
			called()
			return nil
		}),
		"Snapshot": s.Snapshot(t.Context(), func(store.Reader) error {
			called()
			return nil
		}),
		"Update": s.Update(t.Context(), func(store.Tx) error {
			called()
			return nil
		}),
		"Backup": s.Backup(t.Context(), backup),
	} {
		if err == nil {
			t.Errorf("%s after Close succeeded", name)
		}
	}
	if s.Path() != path {
		t.Errorf("Path is %q after Close, and was %q", s.Path(), path)
	}
}

func testBackup(t *testing.T, h Harness) {
	s := h.open(t)
	for serial := range uint32(3) {
		if err := s.Update(t.Context(), func(tx store.Tx) error {
			_, err := fill(tx, serial)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	before := contentOf(t, s)
	path := filepath.Join(t.TempDir(), "backup")
	if err := s.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	insert(t, s, keyPack(99))
	after := contentOf(t, s)

	restored := h.restore(t, path)
	expect(t, restored, before)
	err := tryUpdate(t.Context(), restored, func(tx store.Tx) error { return tx.UseSerial(1) })
	if err := fault("UseSerial again in a restored backup", err, licensing.AlreadyExists); err != nil {
		t.Error(err)
	}
	insert(t, restored, keyPack(7), keyPack(8))
	expect(t, s, after)
}

func testBackupRefused(t *testing.T, h Harness) {
	s := h.open(t)
	insert(t, s, keyPack(1))
	dir := t.TempDir()
	existing := filepath.Join(dir, "existing")
	if err := os.WriteFile(existing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{existing, dir} {
		if err := fault("Backup to what exists", s.Backup(t.Context(), path), licensing.AlreadyExists); err != nil {
			t.Error(err)
		}
	}
	if content, err := os.ReadFile(existing); err != nil || len(content) > 0 {
		t.Errorf("the existing file has %d bytes now (%v)", len(content), err)
	}
	if err := s.Backup(t.Context(), filepath.Join(dir, "missing", "backup")); err == nil {
		t.Error("Backup into a directory that does not exist succeeded")
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(dir, "canceled")
	if err := s.Backup(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("Backup with a canceled context: %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a canceled backup left a file: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("refused backups left %v (%v)", entries, err)
	}
}

// testBackupWhileUpdating backs up while CALs move one by one between two key packs.
func testBackupWhileUpdating(t *testing.T, h Harness) {
	s := h.open(t)
	const total = 1_000_000
	packs := insert(t, s, keyPack(total), keyPack(0))
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := tryUpdate(t.Context(), s, func(tx store.Tx) error { return move(tx, packs[0].ID, packs[1].ID) }); err != nil {
				stopped <- err
				return
			}
		}
	}()
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "1"), filepath.Join(dir, "2"), filepath.Join(dir, "3")}
	for _, path := range paths {
		if err := s.Backup(t.Context(), path); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		c := contentOf(t, h.restore(t, path))
		if len(c.KeyPacks) != 2 || len(c.Audit) == 0 {
			t.Fatalf("the backup %s has %d key packs and %d audit records", path, len(c.KeyPacks), len(c.Audit))
		}
		moved := uint32(len(c.Audit) - 1)
		if c.KeyPacks[0].Total != total-moved || c.KeyPacks[1].Total != moved {
			t.Errorf("the backup %s is torn: %d moves and key packs %+v", path, moved, c.KeyPacks)
		}
	}
}

// move moves one CAL.
func move(tx store.Tx, from, to uint32) error {
	source, err := tx.KeyPack(from)
	if err != nil {
		return err
	}
	target, err := tx.KeyPack(to)
	if err != nil {
		return err
	}
	source.Total--
	target.Total++
	return errors.Join(tx.UpdateKeyPack(source), tx.UpdateKeyPack(target))
}
