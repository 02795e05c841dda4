package restapi_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/auditing"
	"calkeeper/internal/auth"
	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

var (
	_ restapi.Issuance = (*issuance.Service)(nil)
	_ restapi.Accounts = (*accounts.Service)(nil)
	_ restapi.Audit    = (*auditing.Log)(nil)
)

// Session hosts and accounts of the fixture.
const (
	users   = "rds1.example.com" // per user
	devices = "rds2.example.com" // per device
	farm    = "rds3.example.com" // per user, counts sessions

	administrator = "admin"
	operator      = "operate"
	auditor       = "audit"
)

// house is a license server with its API.
type house struct {
	t        testing.TB
	store    *sqlite.Store
	service  *issuance.Service
	accounts *accounts.Service
	options  restapi.Options
	handler  http.Handler
	key      ed25519.PrivateKey
	secrets  map[string]string // tokens of session hosts, passwords of accounts
	packs    map[string]uint32 // IDs of key packs by mode
	log      *lockedBuffer

	mu          sync.Mutex
	now         time.Time
	connections map[string]*auth.Connection
}

// lockedBuffer is a log that several goroutines write.
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

func (b *lockedBuffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Reset()
}

// scratch returns where databases are made: in memory, if the system has files there.
func scratch(t testing.TB) string {
	const memory = "/dev/shm"
	if s, err := os.Stat(memory); err != nil || !s.IsDir() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "calkeeper-restapi-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newHouse returns an activated license server with 10 CALs of Windows Server 2022 of each type. change may change its options.
func newHouse(t testing.TB, policies issuance.Policies, change func(*restapi.Options)) *house {
	t.Helper()
	return openHouse(t, scratch(t), policies, change)
}

func openHouse(t testing.TB, dir string, policies issuance.Policies, change func(*restapi.Options)) *house {
	t.Helper()
	ctx := context.Background()
	h := &house{
		t: t, secrets: map[string]string{}, packs: map[string]uint32{}, log: &lockedBuffer{}, now: time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC),
		key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)),
	}
	var err error
	h.store, err = sqlite.Open(ctx, filepath.Join(dir, "licenses.db"), sqlite.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, h.store.Close()) })
	logger := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.service = issuance.New(h.store, issuance.Options{Policies: policies, Now: h.clock, Random: rand.Reader, Logger: logger})
	must(t, h.store.Update(ctx, func(tx store.Tx) error {
		if err := tx.PutServer(licensing.Server{LicenseServerID: "ABCDEFGHJKMNPQRSTVWXYZ0123456789ABC", ActivatedAt: h.now}); err != nil {
			return err
		}
		for _, mode := range []licensing.ProductType{licensing.PerDevice, licensing.PerUser} {
			id, err := tx.InsertKeyPack(licensing.KeyPack{
				Type: licensing.KeyPackVolume, ProductVersion: licensing.WindowsServer2022, ProductType: mode, Total: 10,
				Installed: h.now, Expires: licensing.PerpetualExpiry(h.now), Entitlement: "e-" + mode.ModeName(),
			})
			if err != nil {
				return err
			}
			h.packs[mode.ModeName()] = id
		}
		return tx.Audit(store.AuditRecord{At: h.now, Actor: "test", Action: "install"})
	}))
	for _, host := range []licensing.Host{
		{Name: users, Mode: licensing.PerUser}, {Name: devices, Mode: licensing.PerDevice},
		{Name: farm, Mode: licensing.PerUser, Concurrent: true, LeaseTTL: time.Hour},
	} {
		host.ProductVersion = licensing.WindowsServer2022
		h.secrets[host.Name], err = h.service.AddHost(ctx, "test", host)
		must(t, err)
	}
	h.accounts = accounts.New(h.store, accounts.Options{KeyFile: filepath.Join(t.TempDir(), "accounts.key"), Now: h.clock, Logger: logger})
	for _, user := range []string{administrator, operator, auditor} {
		role := map[string]auth.Role{administrator: auth.Administrator, operator: auth.Operator, auditor: auth.Auditor}[user]
		h.secrets[user], err = h.accounts.Generate(ctx, "test", accounts.Change{Name: user, Role: role})
		must(t, err)
	}
	h.options = restapi.Options{
		Issuance: h.service, Accounts: h.accounts, Audit: auditing.New(h.store), ServerName: "ls1.example.com", Version: "1.2.3", ReceiptKey: h.key,
		Activated: func(context.Context) (bool, error) { return true, nil },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "calkeeper_build_info 1\n")
		}),
		AllowUnencrypted: true, Logger: logger, Now: h.clock,
	}
	if change != nil {
		change(&h.options)
	}
	h.handler = restapi.New(h.options)
	return h
}

// connection returns the one that somebody keeps.
func (h *house) connection(name string) *auth.Connection {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.connections == nil {
		h.connections = map[string]*auth.Connection{}
	}
	if h.connections[name] == nil {
		h.connections[name] = auth.NewConnection(nil)
	}
	return h.connections[name]
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

// as shows who asks, on a request.
func (h *house) as(name string, r *http.Request) {
	switch name {
	case "":
	case administrator, operator, auditor:
		r.SetBasicAuth(name, h.secrets[name])
	default:
		r.Header.Set("Authorization", "Bearer "+h.secrets[name])
	}
}

// request makes a request of somebody; a body is JSON.
func (h *house) request(name, method, target, body string) *http.Request {
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, content)
	r.RemoteAddr = "192.0.2.9:4711"
	r = r.WithContext(auth.WithConnection(r.Context(), h.connection(name)))
	if body != "" {
		r.Header.Set("Content-Type", wire.JSON)
	}
	h.as(name, r)
	return r
}

// do answers a request, and checks what every answer has.
func (h *house) do(r *http.Request) *httptest.ResponseRecorder {
	h.t.Helper()
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	id := w.Header().Get(wire.RequestIDHeader)
	if len(id) != 16 || !strings.Contains(h.log.String(), "request="+id) {
		h.t.Errorf("%s %s: the request's ID %q is not in the log", r.Method, r.URL, id)
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		h.t.Errorf("%s %s: the answer may be stored", r.Method, r.URL)
	}
	if w.Code >= 400 && r.Method != http.MethodHead {
		p := problemIn(h.t, w)
		if p.Status != w.Code || p.Type == "" || p.Title == "" || p.Instance != "urn:calkeeper:request:"+id {
			h.t.Errorf("%s %s: %d with the problem %+v", r.Method, r.URL, w.Code, p)
		}
	}
	return w
}

// ask makes a request and decodes its answer; the status must be the wanted one.
func (h *house) ask(name, method, target, body string, status int, answer any) *httptest.ResponseRecorder {
	h.t.Helper()
	w := h.do(h.request(name, method, target, body))
	if w.Code != status {
		h.t.Fatalf("%s %s %s of %s: %d, want %d: %s", method, target, body, name, w.Code, status, w.Body)
	}
	if answer != nil {
		must(h.t, json.Unmarshal(w.Body.Bytes(), answer))
	}
	return w
}

// refused makes a request that must be refused with that status and kind, and a text that says something.
func (h *house) refused(name, method, target, body string, status int, kind, says string) wire.Problem {
	h.t.Helper()
	return h.refusal(h.request(name, method, target, body), status, kind, says)
}

func (h *house) refusal(r *http.Request, status int, kind, says string) wire.Problem {
	h.t.Helper()
	w := h.do(r)
	if w.Code < 400 {
		h.t.Fatalf("%s %s: %d %s", r.Method, r.URL, w.Code, w.Body)
	}
	p := problemIn(h.t, w)
	if kind != "" {
		kind = wire.ProblemTypePrefix + kind
	} else {
		kind = "about:blank"
	}
	if w.Code != status || p.Type != kind || !strings.Contains(p.Detail, says) {
		h.t.Errorf("%s %s: %d %+v; want %d %s that says %q", r.Method, r.URL, w.Code, p, status, kind, says)
	}
	return p
}

func problemIn(t testing.TB, w *httptest.ResponseRecorder) (p wire.Problem) {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != wire.ProblemJSON {
		t.Errorf("a problem is of the type %q: %s", got, w.Body)
	}
	d := json.NewDecoder(bytes.NewReader(w.Body.Bytes()))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		t.Fatalf("%d %q: %v", w.Code, w.Body, err)
	}
	return p
}

// serve returns the address of the API on a real connection.
func (h *house) serve() string {
	s := httptest.NewServer(h.handler)
	h.t.Cleanup(s.Close)
	return s.URL
}

func publicKey(h *house) ed25519.PublicKey { return h.key.Public().(ed25519.PublicKey) }
