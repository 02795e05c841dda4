package privatefile_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"calkeeper/internal/privatefile"
)

// checkFile checks content and mode, and that there is nothing beside the file.
func checkFile(t *testing.T, path string, want []byte) {
	t.Helper()
	checkMode(t, path, want, 0o600)
}

func checkMode(t *testing.T, path string, want []byte, mode os.FileMode) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the file has %d bytes; want the %d that were written", len(got), len(want))
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != mode && runtime.GOOS != "windows" {
		t.Errorf("mode %v; want a regular file of mode %v", info.Mode(), mode)
	}
	checkAlone(t, path)
}

func checkAlone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for _, text := range [][]byte{[]byte("first\n"), []byte("shorter"), bytes.Repeat([]byte("long"), 100_000), nil} {
		if err := privatefile.Write(path, text); err != nil {
			t.Fatal(err)
		}
		checkFile(t, path, text)
	}
}

// TestWritePublic: what is no secret is replaced in the same way, and others can read it.
func TestWritePublic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "certificate")
	if err := privatefile.WritePublic(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	checkMode(t, path, []byte("first"), 0o644)
	open, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := privatefile.WritePublic(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	checkMode(t, path, []byte("new"), 0o644)
	if seen, err := io.ReadAll(open); err != nil || string(seen) != "first" {
		t.Errorf("who had the old file open reads %q, %v", seen, err)
	}
	if err := privatefile.Write(path, []byte("private")); err != nil {
		t.Fatal(err)
	}
	checkFile(t, path, []byte("private"))
}

// TestWriteOverOpenFile replaces a file that others may read, and gives them nothing of the new one.
func TestWriteOverOpenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil { // whatever the umask
		t.Fatal(err)
	}
	open, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := privatefile.Write(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	checkFile(t, path, []byte("new"))
	seen := make([]byte, 10)
	if n, err := open.Read(seen); err != nil || string(seen[:n]) != "old" {
		t.Errorf("who had the old file open reads %q, %v", seen[:n], err)
	}
}

// TestWriteReplacesLink leaves the file alone that a symbolic link points to.
func TestWriteReplacesLink(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.Symlink(other, path); err != nil {
		t.Fatal(err)
	}
	if err := privatefile.Write(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	checkFile(t, path, []byte("new"))
	if got, err := os.ReadFile(other); err != nil || string(got) != "other" {
		t.Errorf("the file that the link pointed to has %q, %v", got, err)
	}
}

func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	if err := privatefile.Write(filepath.Join(dir, "none", "key"), []byte("x")); err == nil {
		t.Error("a file was written into a directory that does not exist")
	}
	path := filepath.Join(dir, "key")
	if err := os.MkdirAll(filepath.Join(path, "in", "the", "way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := privatefile.Write(path, []byte("x")); err == nil {
		t.Error("a directory was replaced")
	}
	checkAlone(t, path)
}

// TestWriteIsAtomic reads while others write: what is read is always whole.
func TestWriteIsAtomic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	texts := [][]byte{bytes.Repeat([]byte("a"), 1), bytes.Repeat([]byte("b"), 100_000)}
	if err := privatefile.Write(path, texts[0]); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for _, text := range texts {
		writers.Go(func() {
			for range 20 {
				if err := privatefile.Write(path, text); err != nil {
					t.Error(err)
				}
			}
		})
	}
	written := make(chan struct{})
	go func() {
		writers.Wait()
		close(written)
	}()
	for reading := true; reading; {
		select {
		case <-written:
			reading = false
		default:
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, texts[0]) && !bytes.Equal(got, texts[1]) {
			t.Fatalf("%d bytes were read that nobody wrote as a whole", len(got))
		}
	}
	checkAlone(t, path)
}
