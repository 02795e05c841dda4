package auth_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"calkeeper/internal/auth"
	"calkeeper/internal/auth/gss"
)

// on sends requests on one connection.
type on struct {
	t *testing.T
	h *auth.HTTP
	c *auth.Connection
}

func (o on) send(authorization ...string) (auth.Identity, http.Header, error) {
	o.t.Helper()
	reply := http.Header{}
	r := request(o.t, o.c, "192.0.2.1:5985", "192.0.2.7:49152", o.c.Certificate() != nil, authorization...)
	ctx, err := o.h.Authenticate(r.Context(), r, reply)
	return auth.FromContext(ctx), reply, err
}

func (o on) security() (gss.Context, bool) {
	o.t.Helper()
	r := request(o.t, o.c, "192.0.2.1:5985", "192.0.2.7:49152", false)
	return o.h.Security(r.Context())
}

// TestHandshake goes through one, and what follows on its connection.
func TestHandshake(t *testing.T) {
	b := &book{roles: map[string]auth.Role{"ada": auth.Operator}}
	h := newHTTP(b, nil)
	o := on{t, h, auth.NewConnection(nil)}
	_, _, err := o.send(negotiate("hello"))
	var step *auth.Refusal
	if !errors.As(err, &step) || step.StatusCode() != 401 || !slices.Equal(step.Challenges(), []string{negotiate("who are you?")}) {
		t.Fatalf("first leg: %v", err)
	}
	if _, _, err := (on{t, h, auth.NewConnection(nil)}).send(negotiate("I am ada")); err == nil {
		t.Error("the second leg was taken on another connection")
	}
	want := auth.Identity{User: "ada", Role: auth.Operator, Mechanism: "Scripted", Remote: "192.0.2.7"}
	i, reply, err := o.send(negotiate("I am ada"))
	if err != nil || i != want || len(reply) != 0 {
		t.Fatalf("second leg: %+v, %v, %v", i, reply, err)
	}
	if i, _, err := o.send(); err != nil || i != want {
		t.Errorf("the request after it: %+v, %v", i, err)
	}
	if c, required := o.security(); c == nil || !required {
		t.Error("messages over HTTP need no protection")
	}
	if _, _, err := (on{t, h, auth.NewConnection(nil)}).send(); err == nil {
		t.Error("another connection is authenticated")
	}
	// A handshake that fails ends what the one before it gave; so does Basic.
	if _, _, err := o.send(negotiate("nonsense")); err == nil {
		t.Error("nonsense was taken")
	}
	if _, _, err := o.send(); err == nil {
		t.Error("the connection is still authenticated")
	}
	if i, reply, err := o.send("ntlm " + base64.StdEncoding.EncodeToString([]byte("I am quick"))); err != nil || i.User != "quick" || i.Role != "" ||
		reply.Get("WWW-Authenticate") != "NTLM "+base64.StdEncoding.EncodeToString([]byte("welcome")) {
		t.Errorf("of one leg: %+v, %v, %v", i, reply, err)
	}
	if _, _, err := o.send(basicHeader("ada", right)); !errors.Is(err, auth.ErrUnencrypted) {
		t.Errorf("Basic over HTTP: %v", err)
	}
	if _, _, err := o.send(); err == nil {
		t.Error("the connection is still authenticated")
	}
}

// TestHandshakeBegunAnew is of a client that gave up the first one.
func TestHandshakeBegunAnew(t *testing.T) {
	b := &book{}
	o := on{t, newHTTP(b, nil), auth.NewConnection(nil)}
	for range 2 {
		if _, _, err := o.send(negotiate("hello")); err == nil || err.Error() != "the handshake goes on" {
			t.Fatal(err)
		}
	}
	if _, _, err := o.send(negotiate("I am mallory")); !errors.Is(err, gss.ErrDefectiveCred) {
		t.Errorf("mallory: %v", err)
	}
	want := []string{"refuse credentials are wrong: he is not"}
	if !slices.Equal(b.told, want) || b.attempts[0].Mechanism != "Scripted" || b.attempts[0].Remote != "192.0.2.7" {
		t.Errorf("told %q, %+v", b.told, b.attempts)
	}
}

// TestAccountChangedAfterHandshake ends what rests on the account as it was.
func TestAccountChangedAfterHandshake(t *testing.T) {
	b := &book{}
	o := on{t, newHTTP(b, nil), auth.NewConnection(nil)}
	if _, _, err := o.send(negotiate("I am quick")); err != nil {
		t.Fatal(err)
	}
	b.changed = noon.Add(time.Second)
	for range 2 {
		if _, _, err := o.send(); err == nil {
			t.Error("still authenticated")
		}
	}
}

// TestTicketExpires ends what rests on it: whom the domain controllers have locked out does not get another one.
func TestTicketExpires(t *testing.T) {
	clock := noon
	h := newHTTP(&book{}, nil)
	h.Now = func() time.Time { return clock }
	o := on{t, h, auth.NewConnection(nil)}
	handshake := func() {
		t.Helper()
		_, _, _ = o.send(negotiate("hello"))
		if _, _, err := o.send(negotiate("I am cinderella")); err != nil {
			t.Fatal(err)
		}
	}
	handshake()
	clock = noon.Add(12 * time.Hour)
	if i, _, err := o.send(); err != nil || i.User != "cinderella" {
		t.Errorf("until then: %+v, %v", i, err)
	}
	clock = clock.Add(1)
	for range 2 {
		var refusal *auth.Refusal
		if _, _, err := o.send(); !errors.As(err, &refusal) || refusal.StatusCode() != 401 {
			t.Errorf("after it: %v", err)
		}
		if c, _ := o.security(); c != nil {
			t.Error("messages are still sealed")
		}
	}
}

// changing changes the account while it is admitted: after it was read.
type changing struct {
	*book
	clock *time.Time
}

func (c changing) Admit(ctx context.Context, a auth.Attempt, i gss.Initiator) (auth.Identity, error) {
	identity, err := c.book.Admit(ctx, a, i)
	c.changed = c.clock.Add(time.Second)
	*c.clock = c.changed.Add(time.Second)
	return identity, err
}

// TestAccountChangedInHandshake is of a change that the end of the handshake did not see.
func TestAccountChangedInHandshake(t *testing.T) {
	clock := noon
	h := newHTTP(nil, nil)
	h.Accounts, h.Now = changing{&book{}, &clock}, func() time.Time { return clock }
	o := on{t, h, auth.NewConnection(nil)}
	if _, _, err := o.send(negotiate("I am quick")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.send(); !errors.Is(err, auth.ErrCredentials) {
		t.Errorf("the next request: %v", err)
	}
}

// TestBindings are those of the certificate that the connection has shown.
func TestBindings(t *testing.T) {
	leaf := &x509.Certificate{Raw: []byte("certificate"), SignatureAlgorithm: x509.ECDSAWithSHA256}
	for _, test := range []struct {
		name     string
		leaf     *x509.Certificate
		allow    bool
		required bool
	}{{"HTTP", nil, false, true}, {"HTTP, allowed", nil, true, false}, {"TLS", leaf, false, false}} {
		t.Run(test.name, func(t *testing.T) {
			var bindings gss.ChannelBindings
			h := newHTTP(&book{}, &bindings)
			h.AllowUnencrypted = test.allow
			o := on{t, h, auth.NewConnection(func() *x509.Certificate { return test.leaf })}
			if _, _, err := o.send(negotiate("I am quick")); err != nil {
				t.Fatal(err)
			}
			if bindings.Policy != gss.Relaxed || (test.leaf == nil) != (bindings.EndPoint == nil) ||
				test.leaf != nil && !bytes.Equal(bindings.EndPoint, gss.EndPoint(test.leaf)) {
				t.Errorf("bindings %+v", bindings)
			}
			if c, required := o.security(); c == nil || required != test.required {
				t.Errorf("required %v; want %v", required, test.required)
			}
		})
	}
}

// TestFirst tells the first success on a connection from those that repeat it.
func TestFirst(t *testing.T) {
	b := &book{roles: map[string]auth.Role{"ada": auth.Auditor, "bob": auth.Auditor}}
	h := newHTTP(b, nil)
	h.AllowUnencrypted = true
	o := on{t, h, auth.NewConnection(nil)}
	for _, step := range []struct {
		user, password string
		first          bool
	}{{"ada", wrong, true}, {"ada", right, true}, {"ada", right, false}, {"ada", wrong, false}, {"bob", right, true}, {"ada", right, true}} {
		_, _, _ = o.send(basicHeader(step.user, step.password))
		if got := b.attempts[len(b.attempts)-1]; got != (auth.Attempt{Remote: "192.0.2.7", Mechanism: "Basic", First: step.first}) {
			t.Errorf("%+v: %+v", step, got)
		}
	}
}
