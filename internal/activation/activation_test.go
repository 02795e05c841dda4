package activation_test

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/activation"
	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

// house is a clearinghouse that gives IDs to whoever asks, and counts them.
type house struct {
	secret      keycode.Secret
	serial      uint32
	err         error // what it answers instead
	activate    []clearinghouse.ActivateRequest
	reactivate  []clearinghouse.ReactivateRequest
	deactivated int
	id          string // given instead of a good one
}

func (h *house) give() (clearinghouse.Activation, error) {
	if h.err != nil {
		return clearinghouse.Activation{}, h.err
	}
	if h.id != "" {
		return clearinghouse.Activation{LicenseServerID: h.id}, nil
	}
	id, err := h.seal(keycode.LicenseServerID, keycode.Binding{})
	return clearinghouse.Activation{LicenseServerID: id}, err
}

func (h *house) seal(kind keycode.Kind, b keycode.Binding) (string, error) {
	h.serial++
	return keycode.Code{Kind: kind, Serial: h.serial}.Seal(h.secret, b)
}

func (h *house) Activate(_ context.Context, r clearinghouse.ActivateRequest) (clearinghouse.Activation, error) {
	h.activate = append(h.activate, r)
	return h.give()
}

func (h *house) Reactivate(_ context.Context, r clearinghouse.ReactivateRequest) (clearinghouse.Activation, error) {
	h.reactivate = append(h.reactivate, r)
	return h.give()
}

func (h *house) Deactivate(context.Context) error {
	h.deactivated++
	return h.err
}

func (h *house) Secret() keycode.Secret { return h.secret }

// desk is a license server at which an administrator sits.
type desk struct {
	*activation.Service
	t         *testing.T
	house     *house
	store     *sqlite.Store
	productID string
	now       time.Time
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "calkeeper.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	d := &desk{t: t, store: st, now: time.Date(2026, 5, 4, 8, 0, 0, 987654321, time.UTC)}
	identity := newIdentity(t)
	d.productID = keycode.ProductID(identity.PublicKey())
	d.house = &house{secret: agree(t, identity)}
	if d.Service, err = d.open(d.productID); err != nil {
		t.Fatal(err)
	}
	return d
}

func newIdentity(t *testing.T) *ecdh.PrivateKey {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// agree returns the secret that a license server shares with a clearinghouse of its own.
func agree(t *testing.T, identity *ecdh.PrivateKey) keycode.Secret {
	t.Helper()
	secret, err := keycode.Agree(identity, identity.PublicKey(), newIdentity(t).PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func (d *desk) open(productID string) (*activation.Service, error) {
	return activation.New(d.t.Context(), d.store, d.house, activation.Options{
		ProductID: productID, Name: "a.example.net", Names: []string{"192.0.2.1"}, EnrolmentKey: "enrolment", Now: func() time.Time { return d.now },
	})
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) wantKind(err error, want licensing.Kind) {
	d.t.Helper()
	if err == nil || licensing.KindOf(err) != want {
		d.t.Errorf("got %v; want a fault that is %s", err, want)
	}
}

func (d *desk) server() licensing.Server {
	d.t.Helper()
	s, err := d.Server(d.t.Context())
	d.must(err)
	return s
}

// fill completes the contact data.
func (d *desk) fill() {
	d.t.Helper()
	d.must(d.SetContact(d.t.Context(), "admin", func(c *licensing.Contact) {
		*c = licensing.Contact{FirstName: "Ada", LastName: "Lovelace", Company: "Example", CountryRegion: "GB", City: "London"}
	}))
}

// audit returns the actions of all audit records.
func (d *desk) audit() string {
	d.t.Helper()
	var actions []string
	id := d.server().LicenseServerID
	d.must(d.store.View(d.t.Context(), func(r store.Reader) error {
		records, err := r.AuditRecords(0, 1000)
		for _, a := range records {
			actions = append(actions, a.Actor+" "+a.Action)
			if id != "" && strings.Contains(a.Detail, id) {
				d.t.Errorf("a whole license server ID is in the audit record %+v", a)
			}
		}
		return err
	}))
	return strings.Join(actions, ", ")
}

func (d *desk) newID() string {
	d.t.Helper()
	id, err := d.house.seal(keycode.LicenseServerID, keycode.Binding{})
	d.must(err)
	return id
}

func TestContact(t *testing.T) {
	d := newDesk(t)
	d.fill()
	d.must(d.SetContact(t.Context(), "admin", func(c *licensing.Contact) { c.City = "Leeds" }))
	d.must(d.SetContact(t.Context(), "admin", func(c *licensing.Contact) { c.City = "Leeds" }))
	if c := d.server().Contact; c.City != "Leeds" || c.FirstName != "Ada" {
		t.Errorf("the contact is %+v", c)
	}
	if got := d.audit(); got != "calkeeper initialize, admin set contact, admin set contact" {
		t.Errorf("audited %s; setting what is set already is no change", got)
	}
	d.wantKind(d.SetContact(t.Context(), "admin", func(c *licensing.Contact) { c.City = "\x00" }), licensing.Invalid)
}

// TestIncompleteContact: each way of activation needs its own data.
func TestIncompleteContact(t *testing.T) {
	for name, c := range map[string]struct {
		clear                           func(*licensing.Contact)
		activates, reactivates, givesUp bool
	}{
		"first name": {func(c *licensing.Contact) { c.FirstName = "" }, false, false, false},
		"last name":  {func(c *licensing.Contact) { c.LastName = "" }, false, false, false},
		"company":    {func(c *licensing.Contact) { c.Company = "" }, false, true, true},
		"country":    {func(c *licensing.Contact) { c.CountryRegion = "" }, false, true, true},
		"city":       {func(c *licensing.Contact) { c.City = "" }, true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.fill()
			d.must(d.SetContact(t.Context(), "admin", c.clear))
			want := func(err error, works bool) {
				t.Helper()
				if works {
					d.must(err)
				} else {
					d.wantKind(err, licensing.Invalid)
				}
			}
			want(d.ActivateAutomatic(t.Context(), "admin"), c.activates)
			want(d.ReactivateAutomatic(t.Context(), "admin", 0), c.reactivates)
			d.must(d.Reactivate(t.Context(), "admin", d.newID())) // by phone nothing is needed
			want(d.DeactivateAutomatic(t.Context(), "admin"), c.givesUp)
			if asked := len(d.house.activate); asked > 0 != c.activates {
				t.Errorf("the clearinghouse was asked %d times", asked)
			}
		})
	}
}

func TestActivateAutomatic(t *testing.T) {
	d := newDesk(t)
	if _, err := d.LicenseServerID(t.Context()); licensing.KindOf(err) != licensing.NotActivated {
		t.Errorf("one that is not activated has an ID, %v", err)
	}
	d.fill()
	for _, kind := range []licensing.Kind{licensing.Denied, licensing.NotActivated, licensing.Unavailable} {
		d.house.err = licensing.Faultf(kind, "no")
		d.wantKind(d.ActivateAutomatic(t.Context(), "admin"), kind)
	}
	d.house.err = nil
	d.must(d.ActivateAutomatic(t.Context(), "admin"))
	s := d.server()
	id, err := d.LicenseServerID(t.Context())
	if err != nil || id != s.LicenseServerID || len(id) != 35 || !s.ActivatedAt.Equal(d.now.Truncate(time.Second)) || s.ProductID != d.productID {
		t.Errorf("activated as %+v with the ID %s, %v", s, id, err)
	}
	r := d.house.activate[len(d.house.activate)-1]
	if r.EnrolmentKey != "enrolment" || r.Name != "a.example.net" || len(r.Names) != 1 || r.Contact != s.Contact {
		t.Errorf("the clearinghouse was asked with %+v", r)
	}
	asked := len(d.house.activate)
	d.now = d.now.Add(time.Hour)
	d.must(d.ActivateAutomatic(t.Context(), "admin"))
	if len(d.house.activate) != asked || d.server() != s {
		t.Error("activating once more has done something")
	}
	if got := d.audit(); got != "calkeeper initialize, admin set contact, admin activate" {
		t.Errorf("audited %s", got)
	}
}

// TestClearinghouseGivesForeignID: what does not open is not taken, even from the clearinghouse.
func TestClearinghouseGivesForeignID(t *testing.T) {
	d := newDesk(t)
	d.fill()
	stranger := newDesk(t)
	for _, id := range []string{stranger.newID(), "nonsense"} {
		d.house.id = id
		d.wantKind(d.ActivateAutomatic(t.Context(), "admin"), licensing.Invalid)
		d.wantKind(d.ReactivateAutomatic(t.Context(), "admin", 0), licensing.Invalid)
	}
	if s := d.server(); s.Activated() {
		t.Errorf("activated as %+v", s)
	}
}

func TestReactivateAutomatic(t *testing.T) {
	d := newDesk(t)
	d.fill()
	d.must(d.ActivateAutomatic(t.Context(), "admin"))
	for reason := range uint32(5) {
		before := d.server().LicenseServerID
		d.must(d.ReactivateAutomatic(t.Context(), "admin", reason))
		if d.server().LicenseServerID == before {
			t.Error("the ID is the same")
		}
		if r := d.house.reactivate[reason]; uint32(r.Reason) != reason || r.EnrolmentKey != "enrolment" {
			t.Errorf("the clearinghouse was asked with %+v", r)
		}
	}
	for _, reason := range []uint32{5, 6, 1 << 31, 1<<32 - 1} {
		d.wantKind(d.ReactivateAutomatic(t.Context(), "admin", reason), licensing.Invalid)
	}
	if len(d.house.reactivate) != 5 {
		t.Errorf("the clearinghouse was asked %d times", len(d.house.reactivate))
	}
	before := d.server()
	d.house.err = licensing.Faultf(licensing.Unavailable, "no")
	d.wantKind(d.ReactivateAutomatic(t.Context(), "admin", 0), licensing.Unavailable)
	if d.server() != before {
		t.Error("a reactivation that failed has changed something")
	}
}

// TestManualIDs types in what the operator read out.
func TestManualIDs(t *testing.T) {
	d := newDesk(t)
	id := d.newID()
	confirmation, err := d.house.seal(keycode.Confirmation, keycode.Binding{Target: id})
	d.must(err)
	wrong := []byte(id)
	wrong[17]++
	for name, text := range map[string]string{
		"nothing": "", "with hyphens": keycode.Groups(id), "one character short": id[:34], "one too many": id + "0", "with a space": id[:34] + " ",
		"mistyped": string(wrong), "another license server's": newDesk(t).newID(), "a confirmation code": confirmation,
		"a product ID": d.productID, "not ASCII": strings.Repeat("é", 35),
	} {
		for _, f := range []func(context.Context, string, string) error{d.Activate, d.Reactivate} {
			err := f(t.Context(), "admin", text)
			d.wantKind(err, licensing.Invalid)
			if err != nil && len(text) > 5 && strings.Contains(err.Error(), text) {
				t.Errorf("%s: the fault repeats it: %v", name, err)
			}
		}
	}
	if s := d.server(); s.Activated() {
		t.Fatalf("activated as %+v", s)
	}
	d.must(d.Activate(t.Context(), "admin", strings.ToLower(id)))
	if got := d.server().LicenseServerID; got != id {
		t.Errorf("the ID is kept as %s", got)
	}
	at := d.server().ActivatedAt
	d.now = d.now.Add(time.Hour)
	d.must(d.Activate(t.Context(), "admin", id))
	d.must(d.Reactivate(t.Context(), "admin", id))
	if !d.server().ActivatedAt.Equal(at) {
		t.Error("the same ID again is a new activation")
	}
	second := d.newID()
	d.wantKind(d.Activate(t.Context(), "admin", second), licensing.AlreadyExists)
	d.must(d.Reactivate(t.Context(), "admin", second))
	if s := d.server(); s.LicenseServerID != second || !s.ActivatedAt.Equal(d.now.Truncate(time.Second)) {
		t.Errorf("reactivated as %+v", s)
	}
	if got := d.audit(); got != "calkeeper initialize, admin activate, admin reactivate" {
		t.Errorf("audited %s", got)
	}
}

func TestDeactivate(t *testing.T) {
	d := newDesk(t)
	d.wantKind(d.Deactivate(t.Context(), "admin", strings.Repeat("0", 35)), licensing.NotActivated)
	first, second := d.newID(), d.newID()
	d.must(d.Activate(t.Context(), "admin", first))
	d.must(d.Reactivate(t.Context(), "admin", second))
	confirm := func(target string) string {
		code, err := d.house.seal(keycode.Confirmation, keycode.Binding{Target: target})
		d.must(err)
		return code
	}
	foreign := newDesk(t)
	foreignCode, err := foreign.house.seal(keycode.Confirmation, keycode.Binding{Target: second})
	d.must(err)
	for name, code := range map[string]string{
		"the code of an ID of before": confirm(first), "a license server ID": second, "nothing": "",
		"with hyphens": keycode.Groups(confirm(second)), "of another clearinghouse": foreignCode,
	} {
		if err := d.Deactivate(t.Context(), "admin", code); licensing.KindOf(err) != licensing.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	code := confirm(second)
	d.must(d.Deactivate(t.Context(), "admin", strings.ToLower(code)))
	if s := d.server(); s.Activated() || !s.ActivatedAt.IsZero() || s.ProductID != d.productID {
		t.Errorf("deactivated as %+v", s)
	}
	if d.house.deactivated != 0 {
		t.Error("the clearinghouse was told, which had made the code")
	}
	d.wantKind(d.Deactivate(t.Context(), "admin", code), licensing.NotActivated)
}

func TestDeactivateAutomatic(t *testing.T) {
	d := newDesk(t)
	d.fill()
	d.wantKind(d.DeactivateAutomatic(t.Context(), "admin"), licensing.NotActivated)
	d.must(d.ActivateAutomatic(t.Context(), "admin"))
	d.house.err = licensing.Faultf(licensing.Unavailable, "no")
	d.wantKind(d.DeactivateAutomatic(t.Context(), "admin"), licensing.Unavailable)
	if s := d.server(); !s.Activated() {
		t.Error("the ID is gone and the clearinghouse does not know")
	}
	d.house.err = licensing.Faultf(licensing.NotActivated, "you were") // its answer to the first attempt was lost
	d.must(d.DeactivateAutomatic(t.Context(), "admin"))
	if s := d.server(); s.Activated() || s.Contact.FirstName != "Ada" {
		t.Errorf("deactivated as %+v", s)
	}
}

// TestNoClearinghouse: without an authority document there is no secret that an ID could be checked with.
func TestNoClearinghouse(t *testing.T) {
	d := newDesk(t)
	id := d.newID()
	d.house.secret = keycode.Secret{}
	d.wantKind(d.Activate(t.Context(), "admin", id), licensing.Unavailable)
	d.wantKind(d.Activate(t.Context(), "admin", "nonsense"), licensing.Invalid)
	d.house.secret = newDesk(t).house.secret
	d.wantKind(d.Activate(t.Context(), "admin", id), licensing.Invalid)
}

// TestClearinghouseLost: the configuration of one that is activated has lost its clearinghouse. No code is wrong for that.
func TestClearinghouseLost(t *testing.T) {
	d := newDesk(t)
	id := d.newID()
	d.must(d.Activate(t.Context(), "admin", id))
	confirmation, err := d.house.seal(keycode.Confirmation, keycode.Binding{Target: id})
	d.must(err)
	d.house.secret = keycode.Secret{}
	d.wantKind(d.Deactivate(t.Context(), "admin", "nonsense"), licensing.Invalid)
	err = d.Deactivate(t.Context(), "admin", confirmation)
	d.wantKind(err, licensing.Unavailable)
	if err != nil && !strings.Contains(err.Error(), "this license server has no clearinghouse configured") {
		t.Errorf("the fault does not say what is missing: %v", err)
	}
	if s := d.server(); !s.Activated() {
		t.Error("deactivated by a code that nobody could check")
	}
}

// TestDatabaseOfAnother: a database works with one identity only.
func TestDatabaseOfAnother(t *testing.T) {
	d := newDesk(t)
	if _, err := d.open(d.productID); err != nil {
		t.Errorf("opened again: %v", err)
	}
	_, err := d.open(newDesk(t).productID)
	if err == nil || strings.Contains(err.Error(), d.productID) || !strings.Contains(err.Error(), d.productID[:5]) {
		t.Errorf("another identity: %v", err)
	}
}
