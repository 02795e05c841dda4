package accounts_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/auth"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

const (
	right = "correct horse"
	wrong = "battery staple"
	realm = "EXAMPLE.ORG"
)

// Addresses of callers.
const (
	here  = "192.0.2.1"
	there = "198.51.100.7"
)

// house is a license server's accounts: the Administrator with the password right, at a time that passes when a test says so.
type house struct {
	*accounts.Service
	t       testing.TB
	store   store.Store
	options accounts.Options
	log     *lockedBuffer
	slow    atomic.Int64 // hashes that cost what those of people's passwords do

	mu  sync.Mutex
	now time.Time
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// emptyStore is the file of a new store: to make it takes longer than most tests.
var emptyStore = sync.OnceValues(func() (_ []byte, err error) {
	dir, err := os.MkdirTemp("", "calkeeper-accounts-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "accounts.db")
	st, err := sqlite.Open(context.Background(), path, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	if err := st.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// openStore makes a store: in memory, if the system has files there.
func openStore(t testing.TB) store.Store {
	t.Helper()
	dir, memory := t.TempDir(), "/dev/shm"
	if s, err := os.Stat(memory); err == nil && s.IsDir() {
		dir, err = os.MkdirTemp(memory, "calkeeper-accounts-")
		must(t, err)
		t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	}
	file, err := emptyStore()
	must(t, err)
	path := filepath.Join(dir, "accounts.db")
	must(t, os.WriteFile(path, file, 0o600))
	st, err := sqlite.Open(context.Background(), path, sqlite.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	return st
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, store: openStore(t), log: &lockedBuffer{}, now: time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC)}
	h.options = accounts.Options{
		KeyFile: filepath.Join(t.TempDir(), "accounts.key"), Realm: realm, Now: h.clock, Logger: slog.New(slog.NewTextHandler(h.log, nil)),
	}
	h.open()
	h.set(accounts.Change{Name: "Administrator", Role: auth.Administrator, Password: right})
	return h
}

// open is a start of the process: nothing is remembered.
func (h *house) open() {
	h.Service = accounts.New(h.store, h.options)
	h.SetDerive(h.derive)
}

// derive costs nothing.
func (h *house) derive(password string, salt []byte, memory uint32) []byte {
	if memory == accounts.SlowMemory {
		h.slow.Add(1)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %x %d", password, salt, memory))
	return sum[:]
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) set(c accounts.Change) {
	h.t.Helper()
	must(h.t, h.Set(context.Background(), "test", c))
}

// basic is what a transport says of a request with Basic authentication, the first of its connection.
func basic(remote string) auth.Attempt {
	return auth.Attempt{Remote: remote, Mechanism: "Basic", First: true}
}

func (h *house) accepted(from auth.Attempt, user, password string, want auth.Identity) {
	h.t.Helper()
	want.Mechanism, want.Remote = from.Mechanism, from.Remote
	if i, err := h.Password(context.Background(), from, user, password); err != nil || i != want {
		h.t.Errorf("%q: %+v, %v; want %+v", user, i, err, want)
	}
}

func (h *house) refused(from auth.Attempt, user, password string) {
	h.t.Helper()
	if i, err := h.Password(context.Background(), from, user, password); err != auth.ErrCredentials || i != (auth.Identity{}) {
		h.t.Errorf("%q with a wrong password: %+v, %v; want only %v", user, i, err, auth.ErrCredentials)
	}
}

// locked makes an attempt that must be put off for so long.
func (h *house) locked(from auth.Attempt, user, password string, wait time.Duration) {
	h.t.Helper()
	i, err := h.Password(context.Background(), from, user, password)
	if l, ok := errors.AsType[*auth.LockedError](err); !ok || l.Wait != wait || i != (auth.Identity{}) {
		h.t.Errorf("%q: %+v, %v; want to be locked for %s", user, i, err, wait)
	}
}

// records returns the audit records after those that were read before.
func (h *house) records(after int) (list []store.AuditRecord) {
	h.t.Helper()
	must(h.t, h.store.View(context.Background(), func(r store.Reader) (err error) {
		list, err = r.AuditRecords(uint64(after), 10_000)
		return err
	}))
	return list
}

// recorded checks the audit records after the first ones: "actor | action | detail | remote | mechanism".
func (h *house) recorded(after int, want ...string) {
	h.t.Helper()
	var got []string
	for _, r := range h.records(after) {
		got = append(got, fmt.Sprintf("%s | %s | %s | %s | %s", r.Actor, r.Action, r.Detail, r.Remote, r.Mechanism))
	}
	if !slices.Equal(got, want) {
		h.t.Errorf("recorded:\n%q\nwant:\n%q", got, want)
	}
}

func identity(user string, role auth.Role) auth.Identity {
	return auth.Identity{User: user, Role: role}
}
