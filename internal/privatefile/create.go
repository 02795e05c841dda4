package privatefile

import (
	"errors"
	"os"
	"path/filepath"
)

// File is a file in the making. It has a name of its own, in the directory of the one that it becomes with Commit.
type File struct {
	f    *os.File
	path string
}

// Create begins a file too long for Write: mode 0600, and owner as with Write. Until Commit, what is at path stays.
func Create(path string) (*File, error) { return create(path, 0o600) }

func create(path string, mode os.FileMode) (*File, error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Chmod(mode), keepOwner(f, path, dir)); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return &File{f, path}, nil
}

// Write appends.
func (f *File) Write(p []byte) (int, error) { return f.f.Write(p) }

// Commit gives the file its name, in place of what had it, and returns once that is durable.
func (f *File) Commit() error {
	if err := f.f.Close(); err != nil {
		return err
	}
	return Publish(f.f.Name(), f.path)
}

// Close drops the file, unless it was committed.
func (f *File) Close() error {
	_ = f.f.Close() // of what is dropped, or a second time after Commit
	if err := os.Remove(f.f.Name()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
