package clearinghouse

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// Service is the clearinghouse: what license servers and its operator ask of it.
type Service struct {
	store       Store
	keys        Keys
	now         func() time.Time
	random      io.Reader
	log         *slog.Logger
	releaseWait time.Duration
	step        func(string)
	hub         *hub

	mu       sync.Mutex
	failures map[uint32]*rate.Limiter // of credentials, by license server
}

// Options are what a Service needs beside its store and keys.
type Options struct {
	Now         func() time.Time
	Random      io.Reader
	Logger      *slog.Logger
	ReleaseWait time.Duration // how long an import waits for a source that is reachable; 0 means 5 s
	Step        func(string)  // called at each named step of a transfer; may be nil. Crash tests stop the process there.
}

// Failed credentials are limited for each license server: so many at once, then one more in each interval. Guessing a
// seven-digit agreement number of one's own organization then takes years.
const (
	failureBurst    = 100
	failureInterval = 6 * time.Second
)

// New returns a Service.
func New(store Store, keys Keys, o Options) *Service {
	if o.ReleaseWait == 0 {
		o.ReleaseWait = 5 * time.Second
	}
	if o.Step == nil {
		o.Step = func(string) {}
	}
	return &Service{
		store: store, keys: keys, now: o.Now, random: o.Random, log: o.Logger, releaseWait: o.ReleaseWait, step: o.Step,
		hub: newHub(o.Now), failures: map[uint32]*rate.Limiter{},
	}
}

// Secret returns the secret shared with the license server of that product ID, whether it is known or not: the product ID
// carries its public key. Fault: Invalid, also for an ID that is not in upper case.
func (s *Service) Secret(productID string) (keycode.Secret, error) {
	public, err := keycode.ParseProductID(productID)
	if err != nil {
		return keycode.Secret{}, licensing.Faultf(licensing.Invalid, "the product ID: %v", err)
	}
	if keycode.ProductID(public) != productID {
		return keycode.Secret{}, licensing.Faultf(licensing.Invalid, "the product ID must be in upper case")
	}
	secret, err := keycode.Agree(s.keys.Agreement, public, s.keys.Agreement.PublicKey())
	if err != nil {
		return secret, licensing.Faultf(licensing.Invalid, "the product ID's key: %v", err)
	}
	return secret, nil
}

// typedProductID returns a product ID that a person typed, with hyphens and in any case, as it is kept.
func typedProductID(text string) (string, error) {
	public, err := keycode.ParseProductID(keycode.Ungroup(text))
	if err != nil {
		return "", licensing.Faultf(licensing.Invalid, "the product ID: %v", err)
	}
	return keycode.ProductID(public), nil
}

// SignAnswer signs the bytes of an answer, so that the license server knows whose it is. See the packages server and client.
func (s *Service) SignAnswer(answer []byte) []byte { return signAnswer(s.keys.Signing, answer) }

// checkFailures refuses a license server that gave wrong credentials too often.
func (s *Service) checkFailures(server uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.failures[server]; l != nil && l.TokensAt(s.now()) < 1 {
		return licensing.Faultf(licensing.Limited, "too many wrong license or agreement numbers from this license server; wait a minute and check the number")
	}
	return nil
}

func (s *Service) countFailure(server uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.failures[server]
	if l == nil {
		l = rate.NewLimiter(rate.Every(failureInterval), failureBurst)
		s.failures[server] = l
	}
	l.AllowN(s.now(), 1)
}

// randomText returns n characters of the code alphabet.
func (s *Service) randomText(n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.random, b); err != nil {
		return "", fmt.Errorf("random bytes: %w", err)
	}
	var t strings.Builder
	for _, c := range b {
		t.WriteByte("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[c&31])
	}
	return t.String(), nil
}

// randomDigits returns n decimal digits, the first of which is not 0.
func (s *Service) randomDigits(n int) (string, error) {
	var t strings.Builder
	for t.Len() < n {
		var b [1]byte
		if _, err := io.ReadFull(s.random, b[:]); err != nil {
			return "", fmt.Errorf("random bytes: %w", err)
		}
		// 250 is the largest multiple of 10 in a byte: above it digits would not be equally likely.
		if d := b[0] % 10; b[0] < 250 && (d != 0 || t.Len() > 0) {
			t.WriteByte('0' + d)
		}
	}
	return t.String(), nil
}

func hash(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}
