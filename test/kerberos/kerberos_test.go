//go:build linux

package kerberos_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/messages"

	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/kerberos"
)

const (
	spn   = "HTTP/ls1.example.com"
	alice = "alice@EXAMPLE.COM"
)

// TestKerberos has one realm for all.
func TestKerberos(t *testing.T) {
	isolated(t, func(t *testing.T) {
		r := newRealm(t)
		for name, test := range map[string]func(*realm, *testing.T){
			"sessions": (*realm).sessions, "refused": (*realm).refused, "clock": (*realm).clock, "replay": (*realm).replay,
			"forged ticket": (*realm).forgedTicket, "altered message": (*realm).alteredMessage, "bindings": (*realm).bindings,
			"python3-winrm": (*realm).winRM,
		} {
			t.Run(name, func(t *testing.T) { test(r.in(t), t) })
		}
	})
}

func (r *realm) service(o kerberos.Options) *kerberos.Service {
	r.t.Helper()
	o.Keytab = r.keytab()
	s, err := kerberos.New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// establish has the license server accept a client.
func establish(t *testing.T, s *kerberos.Service, i *initiator) gss.Context {
	t.Helper()
	first := i.do("step", nil)
	reply, c, err := s.NewAcceptor(gss.ChannelBindings{Policy: gss.Relaxed}).Accept(t.Context(), first[0])
	if err != nil {
		t.Fatal(err)
	}
	switch last := first[1]; {
	case len(reply) == 0 && string(last) != "complete":
		t.Fatal("the client wants an answer")
	case len(reply) > 0 && string(last) == "complete":
		t.Fatal("the client wants no answer")
	case len(reply) > 0:
		if second := i.do("step", reply); string(second[1]) != "complete" {
			t.Fatal("the client does not take the answer")
		}
	}
	return c
}

// sessions have messages both ways, in every way that the client knows.
func (r *realm) sessions(t *testing.T) {
	once := []string{"out_of_sequence_detection", "replay_detection", "confidentiality", "integrity"}
	cache := r.login("alice")
	for name, test := range map[string]struct {
		service   string
		flags     []string
		allowRC4  bool
		signature int
	}{
		"AES256":         {spn, nil, false, 60},
		"not mutual":     {spn, once, false, 60},
		"WSMAN":          {"WSMAN/ls1.example.com", nil, false, 60},
		"host":           {"host/ls1.example.com", nil, false, 60},
		"AES128":         {"HTTP/aes128.example.com", nil, false, 60},
		"AES256 of SHA2": {"HTTP/aes256-sha2.example.com", nil, false, 72},
		"AES128 of SHA2": {"HTTP/aes128-sha2.example.com", nil, false, 64},
		"RC4 ticket":     {"HTTP/rc4-ticket.example.com", nil, true, 60},
	} {
		t.Run(name, func(t *testing.T) {
			r := r.in(t)
			s := r.service(kerberos.Options{AllowRC4: test.allowRC4}) // which takes nothing from before
			i := r.initiator(cache, initiatorOptions{Service: test.service, Flags: test.flags})
			c := establish(t, s, i)
			// MIT's KDC puts a PAC into its tickets, that has no logon information.
			if got := c.Initiator(); got.Mechanism != "Kerberos" || got.Name != alice || got.Realm != "EXAMPLE.COM" || got.SIDs != nil {
				t.Errorf("the initiator is %+v", got)
			}
			for _, message := range [][]byte{[]byte("<s:Envelope/>"), {}, bytes.Repeat([]byte("0123456789abcdefg"), 20_000)} {
				signature, sealed, err := c.Wrap(message)
				if err != nil {
					t.Fatal(err)
				}
				if len(signature) != test.signature || len(sealed) != len(message) {
					t.Errorf("%d bytes were wrapped into %d and %d", len(message), len(signature), len(sealed))
				}
				if got := i.do("unwrap_iov", signature, sealed)[0]; !bytes.Equal(got, message) {
					t.Errorf("wrapped %d bytes, the client reads %d others", len(message), len(got))
				}
				if signature, sealed, err = c.Wrap(message); err != nil {
					t.Fatal(err)
				}
				if got := i.do("unwrap", slices.Concat(signature, sealed))[0]; !bytes.Equal(got, message) {
					t.Errorf("wrapped %d bytes, the client reads %d others", len(message), len(got))
				}

				parts := i.do("wrap_iov", message)
				if len(parts[0]) != test.signature || len(parts[1]) != len(message) {
					t.Errorf("the client wraps %d bytes into %d and %d", len(message), len(parts[0]), len(parts[1]))
				}
				if got, err := c.Unwrap(parts[0], parts[1]); err != nil || !bytes.Equal(got, message) {
					t.Errorf("the client's %d bytes are unwrapped into %d: %v", len(message), len(got), err)
				}
				if got, err := c.Unwrap(i.do("wrap", message)[0], nil); err != nil || !bytes.Equal(got, message) {
					t.Errorf("the client's %d bytes are unwrapped into %d: %v", len(message), len(got), err)
				}

				mic, err := c.MIC(message)
				if err != nil {
					t.Fatal(err)
				}
				i.do("verify", message, mic)
				if err := c.VerifyMIC(message, i.do("mic", message)[0]); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// refuse has the license server refuse a client, for that reason.
func refuse(t *testing.T, s *kerberos.Service, token []byte, status error, detail string) {
	t.Helper()
	_, _, err := s.NewAcceptor(gss.ChannelBindings{Policy: gss.Relaxed}).Accept(t.Context(), token)
	if e, ok := errors.AsType[*gss.Error](err); !ok || e.Status != status || !strings.Contains(e.Detail, detail) {
		t.Errorf("refused with %v, want %v: %s", err, status, detail)
	}
}

func (r *realm) refused(t *testing.T) {
	cache := r.login("alice")
	for name, test := range map[string]struct {
		service string
		options kerberos.Options
		detail  string
	}{
		"another class":   {"cifs/ls1.example.com", kerberos.Options{}, "wrong SPN: the ticket is for cifs/ls1.example.com@EXAMPLE.COM, not for"},
		"another machine": {"HTTP/elsewhere.example.com", kerberos.Options{}, "HTTP/elsewhere.example.com@EXAMPLE.COM kvno "},
		"RC4":             {"HTTP/rc4.example.com", kerberos.Options{}, "encrypted with RC4, which is not allowed"},
		"RC4 session":     {"HTTP/rc4.example.com", kerberos.Options{AllowRC4: true}, "only AES is taken"},
	} {
		t.Run(name, func(t *testing.T) {
			r := r.in(t)
			s := r.service(test.options) // which takes nothing from before
			token := r.initiator(cache, initiatorOptions{Service: test.service}).do("step", nil)[0]
			refuse(t, s, token, gss.ErrDefectiveCred, test.detail)
		})
	}
}

// clock has the license server's clock go wrong.
func (r *realm) clock(t *testing.T) {
	cache := r.login("alice", "-l", "1h")
	var off time.Duration
	s := r.service(kerberos.Options{Now: func() time.Time { return time.Now().Add(off) }})
	for _, test := range []struct {
		off    time.Duration
		detail string
	}{
		{6*time.Minute + 30*time.Second, "the client's clock is 6m"},
		{2 * time.Hour, "the ticket has expired 1h0m"},
		{-6*time.Minute - 30*time.Second, "the ticket is valid in "},
	} {
		off = test.off
		token := r.initiator(cache, initiatorOptions{Service: spn}).do("step", nil)[0]
		refuse(t, s, token, gss.ErrCredentialsStale, test.detail)
	}
	off = 4 * time.Minute
	establish(t, s, r.initiator(cache, initiatorOptions{Service: spn}))
}

func (r *realm) replay(t *testing.T) {
	cache := r.login("alice")
	s := r.service(kerberos.Options{})
	i := r.initiator(cache, initiatorOptions{Service: spn})
	token := i.do("step", nil)[0]
	if _, _, err := s.NewAcceptor(gss.ChannelBindings{}).Accept(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	refuse(t, s, token, gss.ErrDuplicateToken, "used before")
	establish(t, s, r.initiator(cache, initiatorOptions{Service: spn})) // with the same ticket
	other := establish(t, s, r.initiator(r.login("bob"), initiatorOptions{Service: spn}))
	if got := other.Initiator().Name; got != "bob@EXAMPLE.COM" {
		t.Errorf("bob is %s", got)
	}
}

// forgedTicket changes the ticket in the client's cache.
func (r *realm) forgedTicket(t *testing.T) {
	cache := r.login("alice")
	s := r.service(kerberos.Options{})
	token := r.initiator(cache, initiatorOptions{Service: spn}).do("step", nil)[0]
	var m messages.APReq
	if err := m.Unmarshal(token[bytes.IndexByte(token, 0x6e):]); err != nil {
		t.Fatal(err)
	}
	ticket := m.Ticket.EncPart.Cipher
	text, err := os.ReadFile(cache)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(text, ticket)
	if at < 0 {
		t.Fatal("the ticket is not in the cache")
	}
	text[at+len(ticket)/2] ^= 1
	if err := os.WriteFile(cache, text, 0o600); err != nil {
		t.Fatal(err)
	}
	token = r.initiator(cache, initiatorOptions{Service: spn}).do("step", nil)[0]
	refuse(t, s, token, gss.ErrDefectiveCred, "another key")
}

// alteredMessage: MIT's library refuses what is altered of ours, and we what is altered of its.
func (r *realm) alteredMessage(t *testing.T) {
	cache := r.login("alice")
	s := r.service(kerberos.Options{})
	message := []byte("message")

	i := r.initiator(cache, initiatorOptions{Service: spn})
	c := establish(t, s, i)
	parts := i.do("wrap_iov", message)
	parts[1][0] ^= 1
	if _, err := c.Unwrap(parts[0], parts[1]); !errors.Is(err, gss.ErrBadMIC) {
		t.Error(err)
	}

	i = r.initiator(cache, initiatorOptions{Service: spn})
	c = establish(t, s, i)
	signature, sealed, err := c.Wrap(message)
	if err != nil {
		t.Fatal(err)
	}
	sealed[0] ^= 1
	if _, failure := i.try("unwrap_iov", signature, sealed); !strings.Contains(failure, "GSSError") && !strings.Contains(failure, "BadMIC") {
		t.Errorf("the client says %q of an altered message", failure)
	}
}

func (r *realm) bindings(t *testing.T) {
	cache := r.login("alice")
	s := r.service(kerberos.Options{})
	endPoint := gss.EndPoint(&x509.Certificate{Raw: []byte("certificate")})
	var latin1 strings.Builder // what the client encodes as these bytes
	for _, b := range endPoint {
		latin1.WriteRune(rune(b))
	}
	for name, test := range map[string]struct {
		sent string
		want error
	}{
		"right":            {"tls-server-end-point:" + latin1.String(), nil},
		"none":             {"", gss.ErrBadBindings},
		"another's":        {"tls-server-end-point:another", gss.ErrBadBindings},
		"of another kind":  {"tls-unique:" + latin1.String(), gss.ErrBadBindings},
		"with more behind": {"tls-server-end-point:" + latin1.String() + "more", gss.ErrBadBindings},
	} {
		t.Run(name, func(t *testing.T) {
			token := r.in(t).initiator(cache, initiatorOptions{Service: spn, Bindings: test.sent}).do("step", nil)[0]
			_, _, err := s.NewAcceptor(gss.ChannelBindings{Policy: gss.Strict, EndPoint: endPoint}).Accept(t.Context(), token)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}
