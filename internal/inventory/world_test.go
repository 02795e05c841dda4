package inventory_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"calkeeper/internal/activation"
	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/client"
	"calkeeper/internal/clearinghouse/server"
	ledger "calkeeper/internal/clearinghouse/sqlite"
	"calkeeper/internal/inventory"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
}

// world is one clearinghouse and its license servers in one process, with real databases, and with faults between them.
type world struct {
	t       tester
	dir     string
	now     time.Time
	random  *lockedRandom
	log     bytes.Buffer
	house   *house
	members []*member
	sales   []*sale
	codes   []*offlineCode

	plan
	late     []*http.Request // copies of requests that arrive a second time, later
	granting map[string]bool // keys of all granting operations that were ever sent
	asked    int             // of these, since the call began
}

// crashed is the panic that stands for the death of a process.
type crashed struct{ name string }

// lockedRandom is reproducible randomness that several goroutines can read.
type lockedRandom struct {
	mu     sync.Mutex
	source *rand.ChaCha8
}

func (r *lockedRandom) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.source.Read(p)
}

// newWorld returns a world whose license servers are enrolled but not activated.
func newWorld(t tester, dir string, seed uint64, members int) *world {
	w := &world{
		t: t, dir: dir, now: time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC), granting: map[string]bool{},
		random: &lockedRandom{source: rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24)})},
	}
	keys, err := clearinghouse.NewKeys(w.random)
	w.must(err)
	w.house = &house{w: w, keys: keys, path: filepath.Join(dir, "clearinghouse.db")}
	w.house.open()
	o, err := w.house.service.CreateOrganization(context.Background(), "Example")
	w.must(err)
	w.house.enrolment = o.EnrolmentKey
	for i := range members {
		m := &member{w: w, index: i, name: fmt.Sprintf("ls%d.example.net", i), online: true}
		m.newIdentity()
		m.open()
		w.members = append(w.members, m)
	}
	return w
}

func (w *world) close() {
	for _, m := range w.members {
		m.stop()
	}
	w.house.stop()
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%v\n%s", err, w.log.String())
	}
}

func (w *world) clock() time.Time { return w.now }

func (w *world) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// house is the clearinghouse; its fields but the last survive its process.
type house struct {
	w         *world
	keys      clearinghouse.Keys
	path      string
	enrolment string

	up      bool
	life    int // counts the processes
	store   *ledger.Store
	service *clearinghouse.Service
	handler http.Handler
}

func (h *house) open() {
	h.life++
	life := h.life
	st, err := ledger.Open(context.Background(), h.path, ledger.Options{})
	h.w.must(err)
	h.store, h.up = st, true
	step := func(name string) { h.w.point(-1, h.life == life, "clearinghouse", name) }
	h.service = clearinghouse.New(houseStore{st, step}, h.keys, clearinghouse.Options{
		Now: h.w.clock, Random: h.w.random, Logger: h.w.logger(), ReleaseWait: time.Millisecond, Step: step,
	})
	h.handler = server.New(h.service, server.Options{Authority: h.authority(), Logger: h.w.logger()})
}

func (h *house) authority() clearinghouse.Authority {
	a := h.keys.Authority()
	a.URL = "https://clearinghouse.test"
	return a
}

func (h *house) stop() {
	if h.up {
		h.up = false
		h.life++
		h.w.must(h.store.Close())
	}
}

// member is one license server.
type member struct {
	w        *world
	index    int
	name     string
	identity *ecdh.PrivateKey
	database int // counts the databases; a lost one is not used again
	online   bool
	lost     bool   // it has lost a database, and has not reinstalled everything yet
	everLost bool   // it has lost a database
	lastID   string // the last license server ID that it knew
	stranger bool   // it has lost its identity, and not been recognized yet

	up         bool
	life       int
	busy       int // calls under way
	store      *sqlite.Store
	client     *client.Client
	activation *activation.Service
	inventory  *inventory.Service
}

func (m *member) newIdentity() {
	seed := make([]byte, 32)
	_, err := io.ReadFull(m.w.random, seed)
	m.w.must(err)
	m.identity, err = ecdh.X25519().NewPrivateKey(seed)
	m.w.must(err)
}

func (m *member) path() string {
	return filepath.Join(m.w.dir, fmt.Sprintf("ls%d-%d.db", m.index, m.database))
}

func (m *member) open() {
	m.life++
	life := m.life
	ctx := context.Background()
	st, err := sqlite.Open(ctx, m.path(), sqlite.Options{})
	m.w.must(err)
	m.store, m.up, m.busy = st, true, 0
	step := func(name string) { m.w.point(m.index, m.life == life, m.name, name) }
	m.client, err = client.New(client.Options{
		Authority: m.w.house.authority(), Identity: m.identity, Transport: &network{m.w, m, step}, Random: m.w.random,
	})
	m.w.must(err)
	m.activation, err = activation.New(ctx, memberStore{st, step}, m.client, activation.Options{
		ProductID: m.productID(), Name: m.name, EnrolmentKey: m.w.house.enrolment, Now: m.w.clock,
	})
	m.w.must(err)
	m.w.must(m.activation.SetContact(ctx, "test", func(c *licensing.Contact) {
		*c = licensing.Contact{FirstName: "Ada", LastName: "Lovelace", Company: "Example", CountryRegion: "GB"}
	}))
	m.inventory = inventory.New(memberStore{st, step}, m.client, inventory.Options{
		Now: m.w.clock, Random: m.w.random, Logger: m.w.logger(), Step: step,
	})
}

func (m *member) stop() {
	if m.up {
		m.up = false
		m.life++
		m.w.must(m.store.Close())
	}
}

func (m *member) restart() {
	m.stop()
	m.open()
}

// loseDatabase starts the license server with an empty database.
func (m *member) loseDatabase() {
	m.stop()
	m.w.must(os.Remove(m.path()))
	m.database++
	m.lost, m.everLost = true, true
	m.open()
}

// call runs f as the license server's process: it may crash in it.
func (m *member) call(f func(ctx context.Context) error) (err error) {
	life := m.life
	m.busy++
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(crashed); !ok {
				panic(p)
			}
			if m.life == life {
				m.stop()
			}
			err = p.(crashed)
		}
		if m.life == life {
			m.busy--
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), m.patience())
	defer cancel()
	return f(ctx)
}

// patience bounds a call that another one of the same license server surrounds: it may wait for its end in vain.
func (m *member) patience() time.Duration {
	if m.busy > 1 {
		return 100 * time.Millisecond
	}
	return time.Minute
}

func (c crashed) Error() string { return c.name + " crashed" }

func isCrash(err error) bool { return errors.As(err, new(crashed)) }

// houseStore lets a process die before and after each commit.
type houseStore struct {
	clearinghouse.Store
	point func(string)
}

func (s houseStore) Update(ctx context.Context, f func(clearinghouse.Tx) error) error {
	s.point("before commit")
	err := s.Store.Update(ctx, f)
	s.point("after commit")
	return err
}

type memberStore struct {
	store.Store
	point func(string)
}

func (s memberStore) Update(ctx context.Context, f func(store.Tx) error) error {
	s.point("before commit")
	err := s.Store.Update(ctx, f)
	s.point("after commit")
	return err
}
