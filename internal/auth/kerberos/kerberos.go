// Package kerberos is the acceptor of Kerberos v5 (RFC 4120) as a GSS-API mechanism (RFC 4121): it knows initiators by the tickets that
// they bring for this server, whose keys are in a keytab. It asks no domain controller anything.
//
// The package must not know a transport, nor SPNEGO: it takes and makes bare tokens.
package kerberos

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"calkeeper/internal/auth/gss"
)

// mechanism is what initiators are told apart by.
const mechanism = "Kerberos"

// defaultSkew is how far clocks may be apart (RFC 4120, section 3.2.3).
const defaultSkew = 5 * time.Minute

// Options say how a Service works.
type Options struct {
	Keytab string        // path of a keytab in MIT's format
	Skew   time.Duration // how far the initiators' clocks may be from this one; 0 is 5 minutes
	// AllowRC4 takes tickets that are encrypted with RC4 (RFC 4757), as domain controllers make them for accounts that are not
	// marked for AES. The session's key must be of AES all the same.
	AllowRC4 bool
	Now      func() time.Time // nil is time.Now
}

// Service is this server as a principal of its realm. It is safe for concurrent use.
type Service struct {
	skew     time.Duration
	allowRC4 bool
	now      func() time.Time
	started  time.Time // who was here before that is forgotten
	replays  *replayCache

	mu     sync.Mutex
	keytab keytabFile
}

// New reads the keytab. It is read again whenever the file has changed.
func New(options Options) (*Service, error) {
	s := &Service{
		skew: cmp.Or(options.Skew, defaultSkew), allowRC4: options.AllowRC4, now: options.Now, replays: newReplayCache(),
		keytab: keytabFile{path: options.Keytab},
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.started = s.now()
	if err := s.keytab.refresh(); err != nil {
		return nil, err
	}
	return s, nil
}

// Realm returns the realm of this server: that of the keytab's first key.
func (s *Service) Realm() string {
	keys, _ := s.keys() // those of before are good enough
	return keys[0].realm
}

// keys returns what is in the keytab now. If it cannot be read any more, the keys of before stay.
func (s *Service) keys() (keys []serviceKey, stale error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stale = s.keytab.refresh()
	return s.keytab.keys, stale
}

// Acceptor takes the token of one initiator.
type Acceptor struct {
	service  *Service
	bindings gss.ChannelBindings
	claimed  string // who the ticket is for, once it was decrypted
	spent    bool
}

// NewAcceptor returns an acceptor for one initiator, who has to send the channel bindings b, as far as their policy says.
func (s *Service) NewAcceptor(b gss.ChannelBindings) *Acceptor {
	return &Acceptor{service: s, bindings: b}
}

// Accept takes the initial token: a KRB_AP_REQ (RFC 4121, section 4.1). It always establishes the context, or refuses. The reply is a
// KRB_AP_REP if the initiator asks for mutual authentication, else empty.
func (a *Acceptor) Accept(_ context.Context, token []byte) (reply []byte, established gss.Context, err error) {
	defer func() {
		// What others have written to take messages apart may panic on hostile ones.
		if r := recover(); r != nil {
			err = refuse(gss.ErrDefectiveToken, "the message is malformed")
		}
		if err != nil {
			refusal := err.(*gss.Error)
			refusal.Mechanism, refusal.Name = mechanism, a.claimed
			reply, established = nil, nil
		}
	}()
	if a.spent {
		return nil, nil, refuse(gss.ErrDefectiveToken, "no token is wanted any more")
	}
	a.spent = true
	message, err := parseInitialToken(token)
	if err != nil {
		return nil, nil, err
	}
	r, err := a.verify(message)
	if err != nil {
		return nil, nil, err
	}
	return r.establish()
}

// refuse returns a refusal, an *gss.Error.
func refuse(status error, format string, args ...any) error {
	return &gss.Error{Status: status, Detail: fmt.Sprintf(format, args...)}
}
