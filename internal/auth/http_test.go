package auth_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/auth"
	"calkeeper/internal/auth/gss"
)

const (
	right = "correct horse"
	wrong = "battery staple"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// book is made of accounts whose password is right, and notes what it is told.
type book struct {
	roles    map[string]auth.Role
	err      error     // of every question, if not nil
	changed  time.Time // when all accounts were changed
	told     []string
	attempts []auth.Attempt
}

func (b *book) note(what, user string, a auth.Attempt) {
	b.told, b.attempts = append(b.told, what+" "+user), append(b.attempts, a)
}

func (b *book) Password(_ context.Context, a auth.Attempt, user, password string) (auth.Identity, error) {
	b.note("password", user, a)
	role, ok := b.roles[user]
	switch {
	case b.err != nil:
		return auth.Identity{}, b.err
	case !ok || password != right:
		return auth.Identity{}, auth.ErrCredentials
	}
	return auth.Identity{User: user, Role: role, Mechanism: a.Mechanism, Remote: a.Remote}, nil
}

func (b *book) Certificate(_ context.Context, a auth.Attempt, sum []byte) (auth.Identity, error) {
	b.note("certificate", "", a)
	if b.err != nil {
		return auth.Identity{}, b.err
	}
	if len(sum) != 32 || b.roles["certificate"] == "" {
		return auth.Identity{}, auth.ErrCredentials
	}
	return auth.Identity{User: "certificate", Role: b.roles["certificate"], Mechanism: a.Mechanism, Remote: a.Remote}, nil
}

func (b *book) Admit(_ context.Context, a auth.Attempt, i gss.Initiator) (auth.Identity, error) {
	b.note("admit", i.Name, a)
	return auth.Identity{User: i.Name, Role: b.roles[i.Name], Mechanism: a.Mechanism, Remote: a.Remote}, b.err
}

func (b *book) Refuse(_ context.Context, a auth.Attempt, err error) { b.note("refuse", err.Error(), a) }

func (b *book) Still(_ context.Context, i auth.Identity, since time.Time) error {
	if b.changed.After(since) {
		return auth.ErrCredentials
	}
	return nil
}

// scripted is a mechanism of two legs: "hello", and "I am NAME".
type scripted struct {
	legs int
}

func (s *scripted) Accept(ctx context.Context, token []byte) ([]byte, gss.Context, error) {
	name, named := bytes.CutPrefix(token, []byte("I am "))
	s.legs++
	switch {
	case string(token) == "hello" && s.legs == 1:
		return []byte("who are you?"), nil, nil
	case named && s.legs == 2 && string(name) != "mallory":
		return nil, &secured{name: string(name)}, nil
	case named && s.legs == 2:
		return nil, nil, &gss.Error{Status: gss.ErrDefectiveCred, Mechanism: "Scripted", Name: "mallory", Detail: "he is not"}
	case string(name) == "locked":
		return nil, nil, &gss.Error{Status: &auth.LockedError{Wait: time.Second}, Mechanism: "Scripted", Name: "locked"}
	case named && s.legs == 1 && string(name) == "quick":
		return []byte("welcome"), &secured{name: "quick"}, nil
	case named && s.legs == 1 && string(name) == "unlucky":
		return nil, nil, &gss.Error{Status: errBroken, Mechanism: "Scripted", Name: "unlucky"}
	}
	return nil, nil, &gss.Error{Status: gss.ErrDefectiveToken, Mechanism: "Scripted"}
}

type secured struct {
	gss.Context
	name string
}

func (c *secured) Initiator() gss.Initiator {
	i := gss.Initiator{Mechanism: "Scripted", Name: c.name}
	if c.name == "cinderella" {
		i.Expires = noon.Add(12 * time.Hour)
	}
	return i
}

// newHTTP returns what is tested; bindings notes those of the last handshake.
func newHTTP(b *book, bindings *gss.ChannelBindings) *auth.HTTP {
	return &auth.HTTP{
		Accounts: b, Realm: "WSMAN", Schemes: []string{"Negotiate", "Kerberos"}, Bindings: gss.Relaxed, Now: func() time.Time { return noon },
		Acceptor: func(cb gss.ChannelBindings) gss.Acceptor {
			if bindings != nil {
				*bindings = cb
			}
			return &scripted{}
		},
	}
}

// request returns one as net/http hands it to a handler, on a connection.
func request(t *testing.T, c *auth.Connection, local, remote string, encrypted bool, authorization ...string) *http.Request {
	t.Helper()
	ctx := t.Context()
	if local != "" {
		ctx = context.WithValue(ctx, http.LocalAddrContextKey, net.Addr(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(local))))
	}
	if c != nil {
		ctx = auth.WithConnection(ctx, c)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/wsman", nil)
	r.RemoteAddr = remote
	if encrypted {
		r.TLS = &tls.ConnectionState{}
	}
	for _, a := range authorization {
		r.Header.Add("Authorization", a)
	}
	return r
}

func basicHeader(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func negotiate(token string) string {
	return "Negotiate " + base64.StdEncoding.EncodeToString([]byte(token))
}

// TestBasicWhere holds passwords back from unencrypted networks.
func TestBasicWhere(t *testing.T) {
	const lan, otherLAN = "192.0.2.1:5985", "192.0.2.7:49152"
	for _, test := range []struct {
		name          string
		local, remote string
		tls, allow    bool
		want          error
	}{
		{"loopback", "127.0.0.1:5985", "127.0.0.1:49152", false, false, nil},
		{"another loopback address", "127.0.0.1:5985", "127.3.2.1:49152", false, false, nil},
		{"loopback of IPv6", "[::1]:5985", "[::1]:49152", false, false, nil},
		{"loopback of IPv4 in IPv6", "[::ffff:127.0.0.1]:5985", "[::ffff:127.0.0.1]:49152", false, false, nil},
		{"TLS from another machine", lan, otherLAN, true, false, nil},
		{"another machine", lan, otherLAN, false, false, auth.ErrUnencrypted},
		{"another machine of IPv6", "[2001:db8::1]:5985", "[2001:db8::7]:49152", false, false, auth.ErrUnencrypted},
		{"a link-local one", "[fe80::1%eth0]:5985", "[fe80::7%eth0]:49152", false, false, auth.ErrUnencrypted},
		{"this machine by its own address", lan, "192.0.2.1:49152", false, false, auth.ErrUnencrypted},
		{"loopback at one end only", lan, "127.0.0.1:49152", false, false, auth.ErrUnencrypted},
		{"loopback at the other end only", "127.0.0.1:5985", otherLAN, false, false, auth.ErrUnencrypted},
		{"unknown local address", "", "127.0.0.1:49152", false, false, auth.ErrUnencrypted},
		{"unknown remote address", "127.0.0.1:5985", "@", false, false, auth.ErrUnencrypted},
		{"another machine, allowed", lan, otherLAN, false, true, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &book{roles: map[string]auth.Role{"ada": auth.Administrator}}
			h := newHTTP(b, nil)
			h.AllowUnencrypted = test.allow
			for password, want := range map[string]error{right: test.want, wrong: or(test.want, auth.ErrCredentials)} {
				r := request(t, nil, test.local, test.remote, test.tls, basicHeader("ada", password))
				ctx, err := h.Authenticate(r.Context(), r, http.Header{})
				if !errors.Is(err, want) || (err == nil) != (want == nil) {
					t.Errorf("password %q: error %v; want %v", password, err, want)
				}
				wantIdentity := auth.Identity{}
				if want == nil {
					wantIdentity = auth.Identity{User: "ada", Role: auth.Administrator, Mechanism: "Basic", Remote: auth.AddressOf(test.remote)}
				}
				if got := auth.FromContext(ctx); got != wantIdentity || h.Identity(ctx) != wantIdentity.User+" ("+string(wantIdentity.Role)+")" {
					t.Errorf("identity %+v; want %+v", got, wantIdentity)
				}
				if c, required := h.Security(ctx); c != nil || required {
					t.Error("a password protects nothing that follows")
				}
			}
			const refusal = "refuse unsupported mechanism: the password came unencrypted"
			if test.want != nil && !slices.Equal(b.told, []string{refusal, refusal}) {
				t.Errorf("of passwords that must not be taken is told %q; want refusals", b.told)
			}
		})
	}
}

// or returns the first that is not nil.
func or(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

var errBroken = errors.New("disk full, in /var/lib/secret")

// TestRefusals checks how each failure is answered.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name          string
		authorization []string
		err           error
		via           bool
		status        int
		explanation   string
		retry         time.Duration
	}{
		{name: "nothing", status: 401},
		{name: "another scheme", authorization: []string{"Digest username=ada"}, status: 401},
		{name: "a word", authorization: []string{"Basic"}, status: 401},
		{name: "no base64", authorization: []string{"Basic !"}, status: 401},
		{name: "no colon", authorization: []string{"Basic QWRtaW5pc3RyYXRvcg=="}, status: 401},
		{name: "wrong password", authorization: []string{basicHeader("ada", wrong)}, status: 401},
		{name: "two", authorization: []string{basicHeader("ada", right), negotiate("hello")}, status: 401, explanation: "there is more than one Authorization header"},
		{name: "locked", authorization: []string{basicHeader("ada", right)}, err: &auth.LockedError{Wait: 90 * time.Second}, status: 401,
			explanation: "there were too many failed authentications; try again in 1m30s", retry: 90 * time.Second},
		{name: "busy", authorization: []string{basicHeader("ada", right)}, err: auth.ErrBusy, status: 503, explanation: auth.ErrBusy.Error(), retry: time.Second},
		{name: "the client left", authorization: []string{basicHeader("ada", right)}, err: context.Canceled, status: 503},
		{name: "broken", authorization: []string{basicHeader("ada", right)}, err: errBroken, status: 500},
		{name: "mutual without certificate", authorization: []string{"http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"}, status: 401},
		{name: "handshake without token", authorization: []string{"Negotiate"}, status: 401},
		{name: "handshake without base64", authorization: []string{"Negotiate *"}, status: 401, explanation: "defective token"},
		{name: "handshake of nonsense", authorization: []string{negotiate("nonsense")}, status: 401, explanation: "defective token"},
		{name: "handshake while locked", authorization: []string{negotiate("I am locked")}, status: 401,
			explanation: "there were too many failed authentications; try again in 1s", retry: time.Second},
		{name: "handshake through a proxy", authorization: []string{negotiate("hello")}, via: true, status: 401,
			explanation: "a handshake holds for a connection, and a proxy shares connections: authenticate without one, or with Basic over TLS"},
		{name: "handshake that cannot be checked", authorization: []string{negotiate("I am unlucky")}, status: 500},
		{name: "handshake that cannot be recorded", authorization: []string{negotiate("I am quick")}, err: errBroken, status: 500},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &book{roles: map[string]auth.Role{"ada": auth.Administrator}, err: test.err}
			h, connection := newHTTP(b, nil), auth.NewConnection(nil)
			r := request(t, connection, "127.0.0.1:5985", "127.0.0.1:1", false, test.authorization...)
			if test.via {
				r.Header.Set("Via", "1.1 proxy")
			}
			reply := http.Header{}
			ctx, err := h.Authenticate(r.Context(), r, reply)
			var refusal *auth.Refusal
			if !errors.As(err, &refusal) {
				t.Fatalf("error %v", err)
			}
			if refusal.StatusCode() != test.status || refusal.Explanation() != test.explanation || refusal.RetryAfter() != test.retry || refusal.Challenges() != nil {
				t.Errorf("status %d, %q, after %v, challenges %q", refusal.StatusCode(), refusal.Explanation(), refusal.RetryAfter(), refusal.Challenges())
			}
			if auth.FromContext(ctx) != (auth.Identity{}) || len(reply) != 0 {
				t.Errorf("identity %+v, header %v", auth.FromContext(ctx), reply)
			}
			// Nothing of it is left on the connection.
			r = request(t, connection, "127.0.0.1:5985", "127.0.0.1:1", false)
			if _, err := h.Authenticate(r.Context(), r, reply); err == nil {
				t.Error("the next request is authenticated")
			}
		})
	}
}

// TestClientCertificate takes one that an account was given, and passes over others.
func TestClientCertificate(t *testing.T) {
	const mutual = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
	for _, test := range []struct {
		name          string
		known         bool
		from, to      time.Time
		authorization []string
		want          bool
	}{
		{name: "known", known: true, want: true},
		{name: "known, and said", known: true, authorization: []string{mutual}, want: true},
		{name: "unknown"},
		{name: "unknown, and said", authorization: []string{mutual}},
		{name: "expired", known: true, to: noon.Add(-time.Second)},
		{name: "not valid yet", known: true, from: noon.Add(time.Second)},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &book{}
			if test.known {
				b.roles = map[string]auth.Role{"certificate": auth.Auditor}
			}
			r := request(t, nil, "192.0.2.1:5986", "192.0.2.7:49152", true, test.authorization...)
			leaf := &x509.Certificate{Raw: []byte("certificate"), NotBefore: test.from, NotAfter: test.to}
			if leaf.NotAfter.IsZero() {
				leaf.NotAfter = noon
			}
			r.TLS.PeerCertificates = []*x509.Certificate{leaf}
			ctx, err := newHTTP(b, nil).Authenticate(r.Context(), r, http.Header{})
			if len(b.attempts) > 0 && b.attempts[0].Unasked != (test.authorization == nil) {
				t.Errorf("attempt %+v", b.attempts[0])
			}
			if (err == nil) != test.want || test.want != (auth.FromContext(ctx).User == "certificate") {
				t.Errorf("%+v, %v", auth.FromContext(ctx), err)
			}
			var refusal *auth.Refusal
			if errors.As(err, &refusal) && refusal.StatusCode() != 401 {
				t.Errorf("status %d", refusal.StatusCode())
			}
		})
	}
}

func TestChallenges(t *testing.T) {
	h := newHTTP(&book{}, nil)
	if got, want := h.Challenges(), []string{"Negotiate", "Kerberos", `Basic realm="WSMAN", charset="UTF-8"`}; !slices.Equal(got, want) {
		t.Errorf("challenges %q; want %q", got, want)
	}
	h.Acceptor = nil
	if got := strings.Join(h.Challenges(), ", "); got != `Basic realm="WSMAN", charset="UTF-8"` {
		t.Errorf("challenges %q", got)
	}
	o := on{t, h, auth.NewConnection(nil)}
	if _, _, err := o.send(negotiate("I am quick")); err == nil {
		t.Error("a handshake that is not offered was taken")
	}
}

func TestIdentity(t *testing.T) {
	if i := auth.FromContext(t.Context()); i != (auth.Identity{}) {
		t.Errorf("a context without identity has %+v", i)
	}
	for role, want := range map[auth.Role][2]bool{
		auth.Administrator: {true, true}, auth.Operator: {true, true}, auth.Auditor: {true, false}, "": {}, "administrator": {},
	} {
		i := auth.Identity{User: "a", Role: role}
		if got := auth.FromContext(auth.WithIdentity(t.Context(), i)); got != i || got.Administrator() != (role == auth.Administrator) {
			t.Errorf("role %q: %+v", role, got)
		}
		if got := [2]bool{role.Reads(), role.Operates()}; got != want {
			t.Errorf("role %q reads and operates: %v; want %v", role, got, want)
		}
	}
}
