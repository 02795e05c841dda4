package tlswmiprov_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"calkeeper/internal/auth"
	"calkeeper/internal/cim"
	"calkeeper/internal/inventory"
	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/sqlitedb"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
	"calkeeper/internal/tlswmiprov"
	"calkeeper/internal/wsman"
	"calkeeper/internal/wsman/client"
)

const (
	issuedClass  = "Win32_TSIssuedLicense"
	keyPackClass = "Win32_TSLicenseKeyPack"
)

// counted is a store that knows how many of its snapshots are open, and how many rows were read of them.
type counted struct {
	*sqlite.Store
	open, rows atomic.Int64
}

func (c *counted) Snapshot(ctx context.Context, fn func(store.Reader) error) error {
	return c.Store.Snapshot(ctx, func(r store.Reader) error {
		c.open.Add(1)
		defer c.open.Add(-1)
		return fn(countedReader{r, &c.rows})
	})
}

type countedReader struct {
	store.Reader
	rows *atomic.Int64
}

func (r countedReader) CALSummaries() iter.Seq2[licensing.CALSummary, error] {
	return counting(r.Reader.CALSummaries(), r.rows)
}

func (r countedReader) KeyPacks() iter.Seq2[licensing.KeyPack, error] {
	return counting(r.Reader.KeyPacks(), r.rows)
}

func counting[T any](sequence iter.Seq2[T, error], n *atomic.Int64) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v, err := range sequence {
			n.Add(1)
			if !yield(v, err) {
				return
			}
		}
	}
}

// awaitNone returns when no snapshot is open.
func (c *counted) awaitNone() {
	for c.open.Load() != 0 {
		runtime.Gosched()
	}
}

// anybody takes every caller for an administrator.
type anybody struct{}

func (anybody) Authenticate(ctx context.Context, _ *http.Request, _ http.Header) (context.Context, error) {
	return auth.WithIdentity(ctx, auth.Identity{User: "Administrator", Role: auth.Administrator}), nil
}
func (anybody) Protection(context.Context) wsman.Protection { return wsman.Protection{} }

func (anybody) Challenges() []string            { return nil }
func (anybody) Identity(context.Context) string { return "Administrator" }

// served is the classes of a license server, behind WS-Management.
type served struct {
	store  *counted
	wsman  *wsman.Server
	client *client.Client
}

// serve starts one with so many key packs and CALs.
func serve(t *testing.T, rows int, o sqlite.Options, limits wsman.Limits) *served {
	t.Helper()
	o.Synchronous = sqlitedb.SynchronousOff
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "calkeeper.db"), o)
	if err != nil {
		t.Fatal(err)
	}
	s := &served{store: &counted{Store: st}}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	s.update(t, func(tx store.Tx) error {
		for i := range rows {
			if err := s.add(tx, i); err != nil {
				return err
			}
		}
		return nil
	})
	logger := slog.New(slog.DiscardHandler)
	provider := &tlswmiprov.Provider{
		Inventory: inventory.New(s.store, nil, inventory.Options{Now: time.Now, Random: rand.Reader, Logger: logger}),
		Issuance:  issuance.New(s.store, issuance.Options{Now: time.Now, Random: rand.Reader, Logger: logger}),
		Logger:    logger,
	}
	namespace, err := provider.Namespace()
	if err != nil {
		t.Fatal(err)
	}
	s.wsman = wsman.NewServer(wsman.Options{Namespaces: []*cim.Namespace{namespace}, Authenticator: anybody{}, Limits: limits})
	t.Cleanup(s.wsman.Close)
	listener := httptest.NewServer(s.wsman)
	t.Cleanup(listener.Close)
	if s.client, err = client.New(client.Options{URL: listener.URL, MaxEnvelopeSize: 8192}); err != nil { // a dozen items
		t.Fatal(err)
	}
	t.Cleanup(s.client.Close)
	return s
}

func (s *served) update(t *testing.T, fn func(store.Tx) error) {
	t.Helper()
	if err := s.store.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(fn(tx), tx.Audit(store.AuditRecord{At: time.Now(), Actor: "test", Action: "test"}))
	}); err != nil {
		t.Fatal(err)
	}
}

// add adds a key pack and a CAL of it.
func (s *served) add(tx store.Tx, n int) error {
	now := time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)
	id, err := tx.InsertKeyPack(licensing.KeyPack{
		Type: licensing.KeyPackOpen, ProductVersion: licensing.WindowsServer2022, ProductType: licensing.PerUser, Total: 1,
		Installed: now, Expires: licensing.PerpetualExpiry(now),
	})
	if err != nil {
		return err
	}
	_, err = tx.InsertCAL(licensing.CAL{
		KeyPackID: id, ProductVersion: licensing.WindowsServer2022, ProductType: licensing.PerUser, Status: licensing.StatusActive,
		Holder: fmt.Sprint("user ", n), User: fmt.Sprintf(`FARM\user%d`, n), Host: "rds1", Issued: now, Expires: now.Add(licensing.PerUserTerm),
	})
	return err
}

// change makes the n-th row of each class another one, removes the next, and adds one.
func (s *served) change(t *testing.T, n uint32) {
	t.Helper()
	s.update(t, func(tx store.Tx) error {
		pack, err := tx.KeyPack(licensing.FirstKeyPackID + n)
		if err != nil {
			return err
		}
		pack.Total += 1000
		cal, err := tx.CAL(1 + n)
		if err != nil {
			return err
		}
		cal.User = "changed"
		return errors.Join(tx.UpdateKeyPack(pack), tx.UpdateCAL(cal), tx.DeleteKeyPack(licensing.FirstKeyPackID+n+1), tx.DeleteCAL(2+n),
			s.add(tx, 10_000+int(n)))
	})
}

// count counts the instances of a class.
func (s *served) count(t *testing.T, class string) (n int, err error) {
	t.Helper()
	for _, err := range s.client.Enumerate(t.Context(), class, "") {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// list returns the whole of a class, as text. between is called after each item.
func (s *served) list(t *testing.T, class string, between func(int)) (lines []string) {
	t.Helper()
	for i, err := range s.client.Enumerate(t.Context(), class, "") {
		if err != nil {
			t.Fatal(err)
		}
		line := ""
		for _, v := range i.Values {
			line += fmt.Sprintf("%v ", v)
		}
		lines = append(lines, line)
		between(len(lines))
	}
	return lines
}

// TestListsAreSnapshots changes what is still to come between the replies, each of which has room for a few items only.
func TestListsAreSnapshots(t *testing.T) {
	const rows, ahead = 1300, 150
	for _, class := range []string{issuedClass, keyPackClass} {
		s := serve(t, rows, sqlite.Options{}, wsman.Limits{})
		want := s.list(t, class, func(int) {})
		if len(want) < rows {
			t.Fatalf("%s: %d items", class, len(want))
		}
		got := s.list(t, class, func(n int) {
			if n%40 == 1 && n < rows-ahead-2 {
				s.change(t, uint32(n+ahead))
			}
			if open := s.store.open.Load(); open > 1 {
				t.Fatalf("%d snapshots are open", open)
			}
		})
		if len(got) != len(want) {
			t.Errorf("%s: %d items; want %d", class, len(got), len(want))
		}
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("%s, item %d: %s; want %s", class, i, got[i], want[i])
			}
		}
		if after := s.list(t, class, func(int) {}); strings.Join(after, "\n") == strings.Join(want, "\n") {
			t.Errorf("%s: a later list does not show the changes", class)
		}
		if open := s.store.open.Load(); open != 0 {
			t.Errorf("%s: %d snapshots are open after EndOfSequence", class, open)
		}
	}
}

// TestListsReadWhatTheySend counts what is read of the store: a page and one row more, however many there are.
func TestListsReadWhatTheySend(t *testing.T) {
	const rows = 2000
	for _, class := range []string{issuedClass, keyPackClass} {
		s := serve(t, rows, sqlite.Options{}, wsman.Limits{})
		sent := int64(0)
		s.list(t, class, func(int) {
			// What the client has is at most a page of 8,192 bytes ahead of what it has looked at.
			if read := s.store.rows.Load(); read > sent+40 {
				t.Fatalf("%s: %d rows were read when %d items were looked at", class, read, sent)
			}
			sent++
		})
		if read := s.store.rows.Load(); read != rows {
			t.Errorf("%s: %d rows were read of %d", class, read, rows)
		}
	}
}

// TestListsGiveBack ends lists in every way: afterwards no snapshot is open.
func TestListsGiveBack(t *testing.T) {
	begin := func(t *testing.T, s *served) (next func() (client.Instance, error, bool), stop func()) {
		next, stop = iter.Pull2(s.client.Enumerate(t.Context(), issuedClass, ""))
		if _, err, ok := next(); err != nil || !ok {
			t.Fatal(err, ok)
		}
		if open := s.store.open.Load(); open != 1 {
			t.Fatalf("%d snapshots are open in the middle of a list", open)
		}
		return next, stop
	}
	wantCode := func(t *testing.T, next func() (client.Instance, error, bool), code uint32, words string) {
		t.Helper()
		for {
			_, err, ok := next()
			if ok && err == nil {
				continue // of the page that was there already
			}
			var fault *client.Fault
			if !errors.As(err, &fault) || fault.WSManCode != code || !strings.Contains(err.Error(), words) {
				t.Errorf("%v; want a fault with code 0x%08X that says %q", err, code, words)
			}
			return
		}
	}
	const invalidContext = 0x8033801B
	t.Run("Release", func(t *testing.T) {
		s := serve(t, 100, sqlite.Options{}, wsman.Limits{})
		_, stop := begin(t, s)
		stop()
		if open := s.store.open.Load(); open != 0 {
			t.Errorf("%d snapshots are open", open)
		}
	})
	t.Run("expiry", func(t *testing.T) {
		s := serve(t, 100, sqlite.Options{}, wsman.Limits{EnumerationIdle: 50 * time.Millisecond})
		next, stop := begin(t, s)
		defer stop()
		s.store.awaitNone() // no request comes: the timer does it
		wantCode(t, next, invalidContext, "not valid")
	})
	t.Run("the server stops", func(t *testing.T) {
		s := serve(t, 100, sqlite.Options{}, wsman.Limits{})
		next, stop := begin(t, s)
		defer stop()
		s.wsman.Close()
		if open := s.store.open.Load(); open != 0 {
			t.Errorf("%d snapshots are open", open)
		}
		wantCode(t, next, invalidContext, "not valid")
	})
	t.Run("the log grows too long", func(t *testing.T) {
		s := serve(t, 100, sqlite.Options{LogLimit: 1 << 20}, wsman.Limits{})
		next, stop := begin(t, s)
		defer stop()
		for range 40 { // 4 MB
			s.update(t, func(tx store.Tx) error {
				return tx.Audit(store.AuditRecord{At: time.Now(), Actor: "test", Action: "test", Detail: strings.Repeat("x", 100_000)})
			})
		}
		wantCode(t, next, invalidContext, "read it anew")
		if open := s.store.open.Load(); open != 0 {
			t.Errorf("%d snapshots are open", open)
		}
		// The writer looks at the log after it has answered: the first reading may still meet the end of what went before.
		var n int
		var err error
		for range 2 {
			if n, err = s.count(t, issuedClass); err == nil {
				break
			}
		}
		if n != 100 || err != nil {
			t.Errorf("%d items when it is read anew, %v", n, err)
		}
	})
	t.Run("too many", func(t *testing.T) {
		s := serve(t, 100, sqlite.Options{Snapshots: 2}, wsman.Limits{})
		_, stop := begin(t, s)
		defer stop()
		second, stopSecond := iter.Pull2(s.client.Enumerate(t.Context(), keyPackClass, ""))
		if _, err, ok := second(); err != nil || !ok {
			t.Fatal(err)
		}
		third, stopThird := iter.Pull2(s.client.Enumerate(t.Context(), issuedClass, ""))
		defer stopThird()
		wantCode(t, third, 0x8033803F, "try again later")
		stopSecond()
		if n := len(s.list(t, issuedClass, func(int) {})); n != 100 {
			t.Errorf("%d items when there is room again", n)
		}
	})
}
