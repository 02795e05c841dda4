// Package issuance issues client access licenses (CALs) to the devices and users of session hosts: it decides who gets one, from
// which key pack and for how long, renews, upgrades, revokes and reclaims them, and counts the sessions that use them. It
// must not know WMI, HTTP or SQL.
//
// Every decision is one transaction: the CAL, the counter of its key pack and the audit record are committed together, and
// the answer is given when they are durable. docs/issuance.md has the rules, each with its source.
package issuance

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// Policies are what an administrator decides for the whole license server: what group policies are to Windows.
type Policies struct {
	// PreventUpgrade keeps newer CALs from older session hosts: "Prevent license upgrade".
	PreventUpgrade bool
	// OverUse is what holds for a key pack that has no policy of its own, and where there is no key pack at all.
	OverUse licensing.OverUse
	// AnyHost answers session hosts that are not registered as well: "License server security group" off.
	AnyHost bool
}

// Options are what a Service needs beside its store.
type Options struct {
	Policies
	Now    func() time.Time
	Random io.Reader // for terms and tokens: cryptographically good
	Logger *slog.Logger
	// ProvisionalTTL is how long a logon may take from the request for a CAL to its validation; 0 means 2 minutes.
	ProvisionalTTL time.Duration
	// Observe is told of each decision when it is durable: operation is "request", "validate" or "renew". May be nil.
	Observe func(operation string, a Answer, err error, took time.Duration)
}

// defaultProvisionalTTL leaves time for a slow desktop to start, and frees what a broken logon took soon.
const defaultProvisionalTTL = 2 * time.Minute

// Service issues the CALs of one license server.
type Service struct {
	store store.Store
	Options

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when a transaction has been committed
}

// New returns a Service.
func New(st store.Store, o Options) *Service {
	if o.ProvisionalTTL == 0 {
		o.ProvisionalTTL = defaultProvisionalTTL
	}
	if o.Observe == nil {
		o.Observe = func(string, Answer, error, time.Duration) {}
	}
	if o.OverUse.Policy == licensing.DenyOverUse && o.OverUse.DenyBeyond < 100 {
		o.OverUse.DenyBeyond = 100
	}
	return &Service{store: st, Options: o, changed: make(chan struct{})}
}

// Request is what a session host asks for a device or a user.
type Request struct {
	Host licensing.Host // who asks, authenticated
	// User and Device say for whom. A per user host names the user, a per device host the device; the other is kept as
	// information, and tells sessions apart.
	User   string
	Device licensing.Device
	// Session is what the host calls the session, such as a display; empty while it is not known.
	Session string
	// Provisional says that the logon is not complete: what is issued lapses unless Validate follows within ProvisionalTTL.
	Provisional bool
	// IdempotencyKey makes a repetition of the request return the first answer; empty for none. At most 255 characters.
	IdempotencyKey string
}

// Outcome says what a request has done.
type Outcome string

// The outcomes.
const (
	Issued    Outcome = "issued"    // a new CAL
	Held      Outcome = "held"      // the holder has one already
	Renewed   Outcome = "renewed"   // and its term was extended
	Upgraded  Outcome = "upgraded"  // another CAL in place of a temporary or older one
	TakenOver Outcome = "takenOver" // the user's session, and the CAL with it, has moved to this device
	Validated Outcome = "validated" // the logon is complete
)

// Answer is what a session host gets.
type Answer struct {
	Outcome Outcome
	CAL     licensing.CAL
	Lease   *licensing.Lease // nil unless the host is Concurrent
	// OverUsed tells that the CAL is beyond what is installed.
	OverUsed bool
	// Warning says what an administrator should know, such as that few CALs are left; empty for nothing.
	Warning string
}

// Revocation says how far revoking may go on.
type Revocation struct {
	RevokableCALs       uint32    // how many CALs of the same version may be revoked now
	NextRevokeAllowedOn time.Time // when the next may be, if none may be now; else the present
}

// Ended says what a release has done.
type Ended struct {
	Leases int // how many sessions were ended
	CALs   int // how many CALs are free again
}

// Counter counts the CALs of one version and type.
type Counter struct {
	ProductVersion licensing.ProductVersion
	ProductType    licensing.ProductType
	Installed      uint64 // in installed key packs
	Issued         uint64 // from them
	Available      uint64
	OverUsed       uint64 // per user CALs beyond what is installed
	Temporary      uint64
	Denied         uint64 // requests, since ever
}

// now is the present as the store keeps instants.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// notify wakes those who wait for events.
func (s *Service) notify() {
	s.mu.Lock()
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
}

func (s *Service) awaitChange() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *Service) update(ctx context.Context, f func(store.Tx) error) error {
	err := s.store.Update(ctx, f)
	if err == nil {
		s.notify()
	}
	return err
}
