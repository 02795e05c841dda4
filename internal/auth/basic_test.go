package auth_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/auth"
)

const (
	right = "correct horse"
	wrong = "battery staple"
)

// administrator is the only account, with the password right.
type administrator struct{}

func (administrator) Password(_ context.Context, from auth.Attempt, user, password string) (auth.Identity, error) {
	if !strings.EqualFold(user, "Administrator") || password != right {
		return auth.Identity{}, auth.ErrCredentials
	}
	return auth.Identity{User: "Administrator", Role: auth.Administrator, Mechanism: from.Mechanism, Remote: from.Remote}, nil
}

// request returns one as net/http hands it to a handler.
func request(t *testing.T, local, remote string, encrypted bool, user, password string) *http.Request {
	t.Helper()
	ctx := t.Context()
	if local != "" {
		ctx = context.WithValue(ctx, http.LocalAddrContextKey, net.Addr(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(local))))
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/wsman", nil)
	r.RemoteAddr = remote
	if encrypted {
		r.TLS = &tls.ConnectionState{}
	}
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	return r
}

func TestBasicWhere(t *testing.T) {
	a := administrator{}
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
			b := &auth.Basic{Accounts: a, Realm: "WSMAN", AllowUnencrypted: test.allow}
			ctx, err := b.Authenticate(t.Context(), request(t, test.local, test.remote, test.tls, "administrator", right))
			if !errors.Is(err, test.want) {
				t.Fatalf("error %v; want %v", err, test.want)
			}
			want := auth.Identity{}
			if test.want == nil {
				want = auth.Identity{User: "Administrator", Role: auth.Administrator, Mechanism: "Basic", Remote: test.remote}
			}
			if got := auth.FromContext(ctx); got != want || got.Administrator() != (test.want == nil) || b.Identity(ctx) != want.User {
				t.Errorf("identity %+v; want %+v", got, want)
			}
			// What is wrong with the way is told before, and regardless of, what is wrong with the password.
			ctx, err = b.Authenticate(t.Context(), request(t, test.local, test.remote, test.tls, "administrator", wrong))
			if test.want == nil && !errors.Is(err, auth.ErrCredentials) || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("a wrong password: %v", err)
			}
			if got := auth.FromContext(ctx); got != (auth.Identity{}) {
				t.Errorf("a wrong password makes %+v", got)
			}
		})
	}
}

func TestBasicHeader(t *testing.T) {
	a := administrator{}
	b := &auth.Basic{Accounts: a, Realm: "WSMAN"}
	for name, header := range map[string]string{
		"none": "", "another scheme": "Negotiate TlRMTVNTUAAB", "no base64": "Basic !", "no colon": "Basic QWRtaW5pc3RyYXRvcg==",
		"empty": "Basic ", "a word": "Basic",
	} {
		r := request(t, "127.0.0.1:5985", "127.0.0.1:1", false, "", "")
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		if _, err := b.Authenticate(t.Context(), r); !errors.Is(err, auth.ErrCredentials) {
			t.Errorf("%s: %v; want %v", name, err, auth.ErrCredentials)
		}
	}
	if got, want := b.Challenges(), []string{`Basic realm="WSMAN", charset="UTF-8"`}; !slices.Equal(got, want) {
		t.Errorf("challenges %q; want %q", got, want)
	}
}

// TestBasicOverSockets has the addresses that a real server sets.
func TestBasicOverSockets(t *testing.T) {
	a := administrator{}
	b := &auth.Basic{Accounts: a, Realm: "WSMAN"}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, err := b.Authenticate(r.Context(), r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		i := auth.FromContext(ctx)
		if !strings.HasPrefix(i.Remote, "127.0.0.1:") {
			t.Errorf("the remote address is %q", i.Remote)
		}
		w.Write([]byte(i.User))
	})
	for name, server := range map[string]*httptest.Server{"HTTP": httptest.NewServer(handler), "HTTPS": httptest.NewTLSServer(handler)} {
		t.Run(name, func(t *testing.T) {
			defer server.Close()
			for password, want := range map[string]int{right: http.StatusOK, wrong: http.StatusUnauthorized} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.SetBasicAuth("Administrator", password)
				response, err := server.Client().Do(r)
				if err != nil {
					t.Fatal(err)
				}
				response.Body.Close()
				if response.StatusCode != want {
					t.Errorf("status %d; want %d", response.StatusCode, want)
				}
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	if i := auth.FromContext(t.Context()); i != (auth.Identity{}) || i.Administrator() {
		t.Errorf("a context without identity has %+v", i)
	}
	for role, want := range map[auth.Role]bool{auth.Administrator: true, auth.Auditor: false, "": false, "administrator": false} {
		i := auth.Identity{User: "a", Role: role}
		if got := auth.FromContext(auth.WithIdentity(t.Context(), i)); got != i || got.Administrator() != want {
			t.Errorf("role %q: %+v, administrator %v; want %v", role, got, got.Administrator(), want)
		}
	}
}
