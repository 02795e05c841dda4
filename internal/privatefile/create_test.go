package privatefile_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"calkeeper/internal/privatefile"
)

// TestCreate writes a file piece by piece: until it is committed, there is what was there.
func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report")
	old := []byte("old")
	if err := os.WriteFile(path, old, 0o644); err != nil {
		t.Fatal(err)
	}
	piece := bytes.Repeat([]byte("x"), 100_000)
	for _, commit := range []bool{false, true} {
		f, err := privatefile.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if n, err := f.Write(piece); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, old) {
			t.Errorf("before Commit the file has %d bytes, %v; want the old ones", len(got), err)
		}
		if commit {
			if err := f.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if !commit {
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, old) {
				t.Errorf("after Close the file has %d bytes, %v; want the old ones", len(got), err)
			}
			checkAlone(t, path)
		}
	}
	checkFile(t, path, bytes.Repeat(piece, 3))
}

func TestCreateFails(t *testing.T) {
	dir := t.TempDir()
	if _, err := privatefile.Create(filepath.Join(dir, "none", "report")); err == nil {
		t.Error("a file was begun in a directory that does not exist")
	}
	path := filepath.Join(dir, "report")
	f, err := privatefile.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "in", "the", "way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, "x"); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err == nil {
		t.Error("a directory was replaced")
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	checkAlone(t, path)
}
