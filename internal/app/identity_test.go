package app_test

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"calkeeper/internal/app"
	"calkeeper/internal/keycode"
	"calkeeper/internal/sqlitedb"
)

func TestIdentityIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "directory")
	l := open(t, options(dir))
	if _, err := keycode.ParseProductID(l.ProductID); err != nil {
		t.Errorf("the product ID %q: %v", l.ProductID, err)
	}
	first := read(t, dir, "identity.key")
	info, err := os.Stat(filepath.Join(dir, "identity.key"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("identity.key has mode %v; want 0600", info.Mode())
	}
	stop(t, l.Stop)
	again := open(t, options(dir))
	if second := read(t, dir, "identity.key"); second != first || again.ProductID != l.ProductID {
		t.Errorf("the second start has product ID %q, the first had %q", again.ProductID, l.ProductID)
	}
	if other := open(t, options(t.TempDir())); other.ProductID == l.ProductID {
		t.Error("two directories have the same identity")
	}
}

func TestPrivateFilesOfALicenseServer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ls")
	o := options(dir)
	o.ListenHTTPS = "127.0.0.1:0"
	wsman(t, start(t, o))
	public := map[string]bool{"tls.crt": true}
	checkModes(t, dir, public, "identity.key", "calkeeper.db", "tls.key", "tls.crt")
}

func TestPrivateFilesOfAClearinghouse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "house")
	house(t, dir, "127.0.0.1:0")
	public := map[string]bool{"tls.crt": true, app.AuthorityFile: true}
	checkModes(t, dir, public, "clearinghouse.key", "clearinghouse.db", "operator.json", "tls.key", "tls.crt", app.AuthorityFile)
}

// checkModes checks that the files are there, and that only the public ones can be read by others.
func checkModes(t *testing.T, dir string, public map[string]bool, files ...string) {
	t.Helper()
	for _, name := range files {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if runtime.GOOS == "windows" {
		return // has access control lists instead
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if !public[e.Name()] && info.Mode().Perm()&0o077 != 0 && !strings.HasSuffix(e.Name(), ".lock") {
			t.Errorf("%s has mode %v: others can read it", e.Name(), info.Mode())
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, %v; want 0700", info.Mode(), err)
	}
}

func TestIdentityFileIsNoKey(t *testing.T) {
	zeros := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for name, text := range map[string]string{
		"empty": "", "words": "this is no key", "too short": zeros(31), "too long": zeros(33), "two": zeros(32) + "\n" + zeros(32),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "identity.key")
			write(t, path, text)
			_, err := app.OpenLicenseServer(t.Context(), options(dir))
			checkError(t, err, nil, path, "no identity file")
			if text != "" && strings.Contains(err.Error(), text) {
				t.Errorf("the error repeats the key: %v", err)
			}
			if got := read(t, path); got != text {
				t.Errorf("the file was changed to %q", got)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			open(t, options(dir)) // and nothing is locked
		})
	}
}

func TestClearinghouseKeysAreNoKeys(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "words": "no key", "no fields": "{}", "short": `{"signing":"AAAA","agreement":"AAAA"}`} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "clearinghouse.key")
			write(t, path, text)
			_, err := app.StartClearinghouse(t.Context(), app.ClearinghouseOptions{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
			checkError(t, err, nil, path, "not a clearinghouse's keys")
			if got := read(t, path); got != text {
				t.Errorf("the file was changed to %q", got)
			}
		})
	}
}

// TestDatabaseOfAnotherIdentity starts with the right database and another identity file.
func TestDatabaseOfAnotherIdentity(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "identity.key")
	l := open(t, options(dir))
	stop(t, l.Stop)
	right := read(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err := app.OpenLicenseServer(t.Context(), options(dir))
	checkError(t, err, nil, "belongs to the license server "+keycode.FirstGroup(l.ProductID), "calkeeper.db", "restore the file that fits")
	write(t, path, right)
	if again := open(t, options(dir)); again.ProductID != l.ProductID {
		t.Errorf("with the identity restored, the product ID is %q; want %q", again.ProductID, l.ProductID)
	}
}

func TestDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	l := start(t, options(dir))
	wants := []string{filepath.Join(dir, "calkeeper.db"), "in use by another process", "process ID " + strconv.Itoa(os.Getpid())}
	_, err := app.OpenLicenseServer(t.Context(), options(dir))
	checkError(t, err, sqlitedb.ErrInUse, wants...)

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := func() (string, error) {
		c := exec.CommandContext(t.Context(), self)
		c.Env = append(os.Environ(), openElsewhere+"="+dir)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	text, err := elsewhere()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("another process: %v: %s", err, text)
	}
	checkError(t, errors.New(text), nil, wants...)
	if _, err := l.Activation.Server(t.Context()); err != nil {
		t.Errorf("the first instance: %v", err)
	}
	stop(t, l.Stop)
	if text, err := elsewhere(); err != nil || text != "opened" {
		t.Errorf("another process after the first has stopped: %v: %s", err, text)
	}
}

func TestClearinghouseDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	c := house(t, dir, "127.0.0.1:0")
	access := read(t, dir, "operator.json")
	_, err := app.StartClearinghouse(t.Context(), app.ClearinghouseOptions{Dir: dir, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	checkError(t, err, sqlitedb.ErrInUse, filepath.Join(dir, "clearinghouse.db"))
	if read(t, dir, "operator.json") != access {
		t.Error("the one that was refused has replaced the operator's access")
	}
	stop(t, c.Stop)
	house(t, dir, "127.0.0.1:0")
}

// TestFirstStartsAtOnce starts many on a new directory at the same time: the one that gets it keeps its identity.
func TestFirstStartsAtOnce(t *testing.T) {
	for range 5 {
		dir := t.TempDir()
		var (
			wg     sync.WaitGroup
			mu     sync.Mutex
			winner *app.LicenseServer
		)
		for range 8 {
			wg.Go(func() {
				l, err := app.OpenLicenseServer(t.Context(), options(dir))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil && winner == nil:
					winner = l
				case err == nil:
					t.Error("two have the directory at once")
					l.Stop(t.Context())
				case !errors.Is(err, sqlitedb.ErrInUse):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if winner == nil {
			t.Fatal("nobody got the directory")
		}
		stop(t, winner.Stop)
		if again := open(t, options(dir)); again.ProductID != winner.ProductID {
			t.Fatalf("the next start has product ID %q; want %q", again.ProductID, winner.ProductID)
		}
	}
}
