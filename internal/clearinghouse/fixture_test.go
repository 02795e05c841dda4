package clearinghouse_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/sqlite"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// office is a clearinghouse over a real ledger, with a clock that stands still.
type office struct {
	*clearinghouse.Service
	t     *testing.T
	clock *clock
	store *sqlite.Store
	keys  clearinghouse.Keys
	own   clearinghouse.NewOrganization
	other clearinghouse.NewOrganization
	asked int
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// newOffice returns a clearinghouse with two organizations.
func newOffice(t *testing.T) *office {
	t.Helper()
	c := &clock{now: time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)}
	o := newOfficeAt(t, c.Now)
	o.clock = c
	return o
}

func newOfficeAt(t *testing.T, now func() time.Time) *office {
	t.Helper()
	keys, err := clearinghouse.NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, store: store, keys: keys}
	o.Service = clearinghouse.New(store, keys, clearinghouse.Options{Now: now, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler)})
	if o.own, err = o.CreateOrganization(t.Context(), "own"); err == nil {
		o.other, err = o.CreateOrganization(t.Context(), "other")
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// server is a license server, or somebody who says he is one.
type server struct {
	productID string
	identity  *ecdh.PrivateKey
	name      string
	id        string // license server ID
}

func newServer(t *testing.T, name string) *server {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &server{productID: keycode.ProductID(key.PublicKey()), identity: key, name: name}
}

func (v *server) request(enrolmentKey string, names ...string) clearinghouse.ActivateRequest {
	return clearinghouse.ActivateRequest{
		EnrolmentKey: enrolmentKey, Name: v.name, Names: names,
		Contact: licensing.Contact{FirstName: "Ada", LastName: "Lovelace", Company: "Example", CountryRegion: "GB"},
	}
}

// enrol activates a license server in an organization.
func (o *office) enrol(in clearinghouse.NewOrganization, name string, names ...string) *server {
	o.t.Helper()
	v := newServer(o.t, name)
	o.activation(v)(o.Activate(o.t.Context(), v.productID, v.request(in.EnrolmentKey, names...)))
	return v
}

// activation takes the ID out of a signed answer.
func (o *office) activation(v *server) func(clearinghouse.Signed, error) {
	return func(signed clearinghouse.Signed, err error) {
		o.t.Helper()
		var a clearinghouse.Activation
		if err == nil {
			err = signed.Verify(o.keys.Authority().SigningKey, clearinghouse.PurposeActivation, &a)
		}
		if err != nil {
			o.t.Fatalf("activate %s: %v", v.name, err)
		}
		if a.ProductID != v.productID {
			o.t.Fatalf("the activation names product ID %s", a.ProductID)
		}
		v.id = a.LicenseServerID
	}
}

// registered returns what the clearinghouse knows of a license server.
func (o *office) registered(v *server) (s clearinghouse.Server) {
	o.t.Helper()
	err := o.store.View(o.t.Context(), func(r clearinghouse.Reader) (err error) {
		s, err = r.ServerByProductID(v.productID)
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return s
}

// sell sells CALs of version 7, per device, to the own organization.
func (o *office) sell(program licensing.Program, count uint32) clearinghouse.Sale {
	o.t.Helper()
	return o.sellAs(clearinghouse.SellRequest{
		Organization: o.own.ID, Credentials: licensing.Credentials{Program: program}, ProductVersion: 7, Count: count,
	})
}

func (o *office) sellAs(r clearinghouse.SellRequest) clearinghouse.Sale {
	o.t.Helper()
	sale, err := o.Sell(o.t.Context(), r)
	if err != nil {
		o.t.Fatal(err)
	}
	return sale
}

// ask returns an operation with a new key.
func (o *office) ask(op clearinghouse.Operation) clearinghouse.Operation {
	o.asked++
	op.Key = fmt.Sprintf("operation-%06d", o.asked)
	return op
}

func (o *office) install(s clearinghouse.Sale, count uint32) clearinghouse.Operation {
	return o.ask(clearinghouse.Operation{
		Kind: clearinghouse.Install, Credentials: s.Credentials, ProductVersion: licensing.ProductVersion(s.ProductVersion),
		ProductType: licensing.ProductType(s.ProductType), Count: count,
	})
}

func (o *office) importOf(s clearinghouse.Sale, count uint32, source *server) clearinghouse.Operation {
	op := o.install(s, count)
	op.Kind, op.SourceID, op.SourceName = clearinghouse.Import, source.id, source.name
	return op
}

func (o *office) convert(s clearinghouse.Sale, count uint32) clearinghouse.Operation {
	return o.ask(clearinghouse.Operation{
		Kind: clearinghouse.Convert, Entitlement: s.Entitlement, ProductVersion: licensing.ProductVersion(s.ProductVersion),
		ProductType: licensing.ProductType(s.ProductType), Count: count,
	})
}

func (o *office) giveBack(s clearinghouse.Sale, count uint32) clearinghouse.Operation {
	op := o.convert(s, count)
	op.Kind = clearinghouse.Return
	return op
}

// do performs an operation that must succeed and returns its grant.
func (o *office) do(v *server, op clearinghouse.Operation) clearinghouse.Grant {
	o.t.Helper()
	signed, err := o.Perform(o.t.Context(), v.productID, op)
	if err != nil {
		o.t.Fatalf("%s %s: %v", v.name, op.Kind, err)
	}
	return o.grant(signed)
}

func (o *office) grant(signed clearinghouse.Signed) (g clearinghouse.Grant) {
	o.t.Helper()
	if err := signed.Verify(o.keys.Authority().SigningKey, clearinghouse.PurposeGrant, &g); err != nil {
		o.t.Fatal(err)
	}
	return g
}

// issue makes an offline code; source may be nil.
func (o *office) issue(s clearinghouse.Sale, count uint32, target, source *server) clearinghouse.IssuedCode {
	o.t.Helper()
	r := clearinghouse.CodeRequest{Entitlement: s.Entitlement, ProductType: s.ProductType, Count: count, Target: target.id}
	if source != nil {
		r.Source = source.id
	}
	code, err := o.IssueCode(o.t.Context(), r)
	if err != nil {
		o.t.Fatal(err)
	}
	return code
}

// useCode returns the operation that settles a code; source may be nil.
func (o *office) useCode(code string, source *server) clearinghouse.Operation {
	op := o.ask(clearinghouse.Operation{Kind: clearinghouse.Install, Code: code})
	if source != nil {
		op.Kind, op.SourceID, op.SourceName = clearinghouse.Import, source.id, source.name
	}
	return op
}

// wantKind checks that err is a fault of the kind.
func wantKind(t *testing.T, err error, want licensing.Kind) {
	t.Helper()
	if err == nil || licensing.KindOf(err) != want {
		t.Errorf("got %v; want a fault that is %s", err, want)
	}
}

// wantBalance checks what a license server, or the holder if it is nil, has of a sale.
func (o *office) wantBalance(s clearinghouse.Sale, t licensing.ProductType, v *server, h clearinghouse.Holder, want int64) {
	o.t.Helper()
	if v != nil {
		h = clearinghouse.ServerHolder(o.registered(v).ID)
	}
	err := o.store.View(o.t.Context(), func(r clearinghouse.Reader) error {
		got, err := r.Balance(clearinghouse.Account{Entitlement: s.Entitlement, ProductType: t, Holder: h})
		if got != want {
			o.t.Errorf("%s has %d %s CALs; want %d", h, got, t, want)
		}
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// state returns everything that an operation can change, as text.
func (o *office) state() string {
	o.t.Helper()
	entries, err := o.Ledger(o.t.Context(), 0, 10000)
	if err != nil {
		o.t.Fatal(err)
	}
	transfers, err := o.Transfers(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	codes, err := o.Codes(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	servers, err := o.Servers(o.t.Context(), "")
	if err != nil {
		o.t.Fatal(err)
	}
	for i := range servers {
		servers[i].LastContact = time.Time{}
	}
	text, err := json.Marshal([]any{entries, transfers, codes, servers})
	if err != nil {
		o.t.Fatal(err)
	}
	return string(text)
}

// poll asks for notices without waiting.
func (o *office) poll(v *server, after uint64) []clearinghouse.Notice {
	o.t.Helper()
	signed, err := o.Poll(o.t.Context(), v.productID, after, 0)
	if err != nil {
		o.t.Fatal(err)
	}
	var notices []clearinghouse.Notice
	for _, s := range signed {
		var n clearinghouse.Notice
		if err := s.Verify(o.keys.Authority().SigningKey, clearinghouse.PurposeNotice, &n); err != nil {
			o.t.Fatal(err)
		}
		notices = append(notices, n)
	}
	return notices
}

func (o *office) close() {
	if err := o.store.Close(); err != nil {
		o.t.Error(err)
	}
}
