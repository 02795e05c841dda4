// Package privatefile replaces files as a whole and durably: those that only their owner may read (keys, tokens, accounts, reports), and
// the public ones that belong to them.
package privatefile

import (
	"errors"
	"os"
	"path/filepath"
)

// Write replaces the file at path as a whole, or makes it, with mode 0600. It returns once that is durable: what is made with
// a key must not outlive it. Written by root, the file belongs to whom it belonged, or to the owner of its directory: the
// service that needs it may run as another user.
func Write(path string, text []byte) error { return write(path, text, 0o600) }

// WritePublic is Write for a file that is no secret, such as a certificate: mode 0644.
func WritePublic(path string, text []byte) error { return write(path, text, 0o644) }

func write(path string, text []byte, mode os.FileMode) (err error) {
	f, err := create(path, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Commit()
}

// Publish gives a file that is finished its name, in place of what had that name, and returns once that is durable. Both paths are in
// the same directory.
func Publish(finished, path string) error {
	if err := flush(finished, os.O_RDWR); err != nil {
		return err
	}
	if err := os.Rename(finished, path); err != nil {
		return err
	}
	return flush(filepath.Dir(path), os.O_RDONLY)
}

// flush returns once a file, or what a directory lists, is on the disk.
func flush(path string, flag int) error {
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
