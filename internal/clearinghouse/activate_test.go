package clearinghouse_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// opens tells whether an ID or a confirmation code was made for the license server.
func (o *office) opens(v *server, kind keycode.Kind, code string, b keycode.Binding) error {
	o.t.Helper()
	secret, err := o.keys.Authority().Secret(v.identity)
	if err == nil {
		_, err = keycode.Open(code, kind, secret, b)
	}
	return err
}

func TestActivate(t *testing.T) {
	o := newOffice(t)
	t.Cleanup(o.close)
	v := newServer(t, "A.Example.NET")
	for name, c := range map[string]struct {
		change func(*clearinghouse.ActivateRequest)
		want   licensing.Kind
	}{
		"a wrong enrolment key":   {func(r *clearinghouse.ActivateRequest) { r.EnrolmentKey = other(r.EnrolmentKey) }, licensing.Denied},
		"no first name":           {func(r *clearinghouse.ActivateRequest) { r.Contact.FirstName = "" }, licensing.Invalid},
		"no country":              {func(r *clearinghouse.ActivateRequest) { r.Contact.CountryRegion = "" }, licensing.Invalid},
		"no name":                 {func(r *clearinghouse.ActivateRequest) { r.Name = "" }, licensing.Invalid},
		"a name with a space":     {func(r *clearinghouse.ActivateRequest) { r.Name = "a b" }, licensing.Invalid},
		"a bad further name":      {func(r *clearinghouse.ActivateRequest) { r.Names = []string{"good", "bad!"} }, licensing.Invalid},
		"very many further names": {func(r *clearinghouse.ActivateRequest) { r.Names = make([]string, 65) }, licensing.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			r := v.request(o.own.EnrolmentKey)
			c.change(&r)
			_, err := o.Activate(t.Context(), v.productID, r)
			wantKind(t, err, c.want)
		})
	}
	if servers, err := o.Servers(t.Context(), ""); err != nil || len(servers) != 0 {
		t.Fatalf("after refusals only, the license servers are %+v, %v", servers, err)
	}

	o.activation(v)(o.Activate(t.Context(), v.productID, v.request(o.own.EnrolmentKey, "alias", "192.0.2.7", "ALIAS", "a.example.net.")))
	if err := o.opens(v, keycode.LicenseServerID, v.id, keycode.Binding{}); err != nil {
		t.Errorf("the ID does not open: %v", err)
	}
	r := o.registered(v)
	if r.State != clearinghouse.ServerActive || r.Name != "a.example.net" || strings.Join(r.Names, " ") != "a.example.net alias 192.0.2.7" ||
		r.Organization != o.own.ID || r.LicenseServerID != v.id {
		t.Errorf("registered as %+v", r)
	}
	again := *v
	o.activation(&again)(o.Activate(t.Context(), v.productID, v.request("")))
	if again.id != v.id {
		t.Error("one that is active got another ID")
	}
	_, err := o.Activate(t.Context(), v.productID, v.request(o.other.EnrolmentKey))
	wantKind(t, err, licensing.Denied)
}

// TestApproval activates a license server without enrolment key.
func TestApproval(t *testing.T) {
	o := newOffice(t)
	t.Cleanup(o.close)
	v := newServer(t, "a")
	_, err := o.Activate(t.Context(), v.productID, v.request(""))
	wantKind(t, err, licensing.NotActivated)
	if r := o.registered(v); r.State != clearinghouse.ServerWaiting {
		t.Errorf("the operator sees it as %s", r.State)
	}
	_, err = o.Perform(t.Context(), v.productID, o.install(o.sell(licensing.Agreement, 1), 1))
	wantKind(t, err, licensing.NotActivated)
	_, err = o.Reactivate(t.Context(), v.productID, clearinghouse.ReactivateRequest{ActivateRequest: v.request("")})
	wantKind(t, err, licensing.NotActivated)

	_, err = o.Approve(t.Context(), v.productID, "", "a")
	wantKind(t, err, licensing.Invalid) // of which organization?
	_, err = o.Approve(t.Context(), v.productID, "none", "a")
	wantKind(t, err, licensing.NotFound)
	if r, err := o.Approve(t.Context(), v.productID, o.own.ID, ""); err != nil || r.State != clearinghouse.ServerApproved {
		t.Errorf("approved as %+v, %v", r, err)
	}
	_, err = o.Approve(t.Context(), v.productID, o.other.ID, "")
	wantKind(t, err, licensing.AlreadyExists)
	o.activation(v)(o.Activate(t.Context(), v.productID, v.request("")))

	// One that is approved before it has ever called.
	w := newServer(t, "w")
	_, err = o.Approve(t.Context(), w.productID, o.own.ID, "")
	wantKind(t, err, licensing.Invalid) // what is its name?
	if _, err := o.Approve(t.Context(), strings.ToLower(keycode.Groups(w.productID)), o.own.ID, "w"); err != nil {
		t.Error(err)
	}
	o.activation(w)(o.Activate(t.Context(), w.productID, w.request("")))
	for _, id := range []string{"", "nonsense", other(w.productID), strings.Repeat("0", 65)} {
		_, err = o.Approve(t.Context(), id, o.own.ID, "x")
		wantKind(t, err, licensing.Invalid)
	}
}

func TestReactivate(t *testing.T) {
	s := newScene(t)
	old := s.a.id
	reactivate := func(v *server, key string) error {
		signed, err := s.Reactivate(t.Context(), v.productID, clearinghouse.ReactivateRequest{ActivateRequest: v.request(key)})
		if err == nil {
			s.activation(v)(signed, nil)
		}
		return err
	}
	if err := reactivate(s.a, ""); err != nil || s.a.id == old {
		t.Fatalf("reactivated with the ID %s, %v", s.a.id, err)
	}
	s.wantBalance(s.agreement, licensing.PerDevice, s.a, "", 10)
	before := *s.a
	before.id = old
	_, err := s.Perform(t.Context(), s.b.productID, s.importOf(s.agreement, 1, &before))
	wantKind(t, err, licensing.NotFound)
	s.do(s.b, s.importOf(s.agreement, 1, s.a))

	// The contact data are kept if the license server has none.
	r := clearinghouse.ReactivateRequest{ActivateRequest: s.a.request("")}
	r.Contact = licensing.Contact{}
	s.activation(s.a)(s.Reactivate(t.Context(), s.a.productID, r))
	if c := s.registered(s.a).Contact; c.Company != "Example" {
		t.Errorf("the contact is %+v", c)
	}
	if err := reactivate(s.retired, ""); err != nil {
		t.Errorf("a deactivated license server cannot be activated again: %v", err)
	}
	s.do(s.retired, s.office.install(s.agreement, 1))
}

// TestSuccessor: a license server that has lost its identity takes over the account of the one that had its name.
func TestSuccessor(t *testing.T) {
	s := newScene(t)
	reactivate := func(v *server, key string) error {
		signed, err := s.Reactivate(t.Context(), v.productID, clearinghouse.ReactivateRequest{ActivateRequest: v.request(key)})
		if err == nil {
			s.activation(v)(signed, nil)
		}
		return err
	}
	heir := newServer(t, "a.example.net")
	wantKind(t, reactivate(heir, ""), licensing.Denied)
	wantKind(t, reactivate(heir, other(s.own.EnrolmentKey)), licensing.Denied)
	wantKind(t, reactivate(heir, s.other.EnrolmentKey), licensing.NotFound)
	wantKind(t, reactivate(newServer(t, "nobody"), s.own.EnrolmentKey), licensing.NotFound)
	wantKind(t, reactivate(newServer(t, "a"), s.own.EnrolmentKey), licensing.NotFound) // the whole name counts
	wantKind(t, reactivate(heir, s.own.EnrolmentKey), licensing.AlreadyExists)         // it was here just now

	s.clock.advance(10 * time.Minute)
	s.poll(s.a, 0)
	s.clock.advance(time.Second)
	wantKind(t, reactivate(heir, s.own.EnrolmentKey), licensing.AlreadyExists) // it waits for notices
	s.clock.advance(10 * time.Minute)
	s.enrol(s.own, "twin.example.net")
	twin := s.enrol(s.own, "twin.example.net")
	s.clock.advance(10 * time.Minute)
	wantKind(t, reactivate(newServer(t, "twin.example.net"), s.own.EnrolmentKey), licensing.Invalid)
	if err := reactivate(twin, s.own.EnrolmentKey); err != nil {
		t.Errorf("one of two with the same name: %v", err)
	}

	op := s.office.install(s.agreement, 1)
	s.do(s.a, op)
	number := s.registered(s.a).ID
	s.clock.advance(10 * time.Minute)
	if err := reactivate(heir, s.own.EnrolmentKey); err != nil {
		t.Fatal(err)
	}
	if s.registered(heir).ID != number {
		t.Error("the account is another")
	}
	s.wantBalance(s.agreement, licensing.PerDevice, heir, "", 11)
	_, err := s.Perform(t.Context(), s.a.productID, op)
	wantKind(t, err, licensing.NotActivated)
	s.do(s.b, s.importOf(s.agreement, 1, heir))
	if n := s.poll(heir, 0); len(n) != 1 || n[0].LicenseServerID != heir.id {
		t.Errorf("its notices are %+v", n)
	}
}

// TestActivationCode activates and deactivates a license server without network.
func TestActivationCode(t *testing.T) {
	o := newOffice(t)
	t.Cleanup(o.close)
	v := newServer(t, "a")
	id, err := o.ActivationCode(t.Context(), strings.ToLower(keycode.Groups(v.productID)), o.own.ID, "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := o.opens(v, keycode.LicenseServerID, id, keycode.Binding{}); err != nil {
		t.Error(err)
	}
	if err := o.opens(newServer(t, "b"), keycode.LicenseServerID, id, keycode.Binding{}); !errors.Is(err, keycode.ErrMAC) {
		t.Errorf("another license server can use the ID: %v", err)
	}
	v.id = id
	o.do(v, o.install(o.sell(licensing.Agreement, 5), 5)) // once it has network
	again, err := o.ActivationCode(t.Context(), v.productID, o.own.ID, "")
	if err != nil || again == id {
		t.Errorf("a second ID is %s, %v", again, err)
	}
	if servers, err := o.Servers(t.Context(), ""); err != nil || len(servers) != 1 {
		t.Errorf("the license servers are %+v, %v", servers, err)
	}
	_, err = o.ActivationCode(t.Context(), v.productID, o.other.ID, "")
	wantKind(t, err, licensing.AlreadyExists)

	_, err = o.DeactivationCode(t.Context(), id)
	wantKind(t, err, licensing.NotFound) // the ID of before
	_, err = o.DeactivationCode(t.Context(), other(again))
	wantKind(t, err, licensing.Invalid)
	code, err := o.DeactivationCode(t.Context(), keycode.Groups(again))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.opens(v, keycode.Confirmation, code, keycode.Binding{Target: again}); err != nil {
		t.Error(err)
	}
	if r := o.registered(v); r.State != clearinghouse.ServerDeactivated || r.LicenseServerID != again {
		t.Errorf("registered as %+v", r)
	}
	wantKind(t, o.Deactivate(t.Context(), v.productID), licensing.NotActivated)
}

// TestDeactivatedSource: CALs can be imported from a license server that is deactivated.
func TestDeactivatedSource(t *testing.T) {
	s := newScene(t)
	if g := s.do(s.b, s.importOf(s.agreement, 1, s.retired)); g.Count != 1 {
		t.Errorf("granted as %+v", g)
	}
	s.wantBalance(s.agreement, licensing.PerDevice, s.retired, "", 0)
}
