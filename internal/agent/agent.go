// Package agent is the session host's side of licensing: it asks the license server for the CALs of the users that log on, as
// pam_exec calls it, and compares the sessions that the license server knows with those that live. No remote desktop server
// needs a patch for it.
//
// It must not know how CALs are issued, nor how the license server stores them: it asks, and does what the answer says.
// Everything that it is given by PAM, in files and under /proc is checked as if an enemy had written it.
package agent

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"time"

	"calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
)

// Exit codes of the hook. They mean what the rest of the command line means by them; PAM knows 0 and not 0 only.
const (
	ExitAllowed     = 0
	ExitFailure     = 1 // of the agent itself
	ExitUsage       = 2 // the configuration, or what PAM says, is wrong
	ExitRefused     = 3 // the license server refuses the request as such
	ExitUnreachable = 4 // the license server cannot be reached, and the offline policy does not allow the logon
	ExitForbidden   = 5 // the license server does not take this session host: its token or certificate is wrong
	ExitUnlicensed  = 7 // there is no CAL for this user and device
)

// LicenseServer is what the agent needs of it; a *client.Client is one. Errors are licensing.Faults: Unavailable means that
// nobody knows what it would answer, Denied that it does not take this session host, Unlicensed, with a licensing.DenialReason
// as its cause, that there is no CAL.
type LicenseServer interface {
	Request(ctx context.Context, r wire.Request, idempotencyKey string) (wire.Answer, error)
	Validate(ctx context.Context, r wire.Request, idempotencyKey string) (wire.Answer, error)
	Renew(ctx context.Context, r wire.Request, idempotencyKey string) (wire.Answer, error)
	Release(context.Context, wire.Request) (wire.Ended, error)
	// Leases returns those of this session host, in pages.
	Leases(context.Context, client.LeaseQuery) (wire.LeasePage, error)
	RenewLease(ctx context.Context, id uint64) (wire.Lease, error)
	EndLease(ctx context.Context, id uint64) (wire.Ended, error)
}

// Options are what an Agent needs of the world; what is zero is the real thing.
type Options struct {
	Server LicenseServer    // nil: the one of the configuration, over HTTP
	Now    func() time.Time // nil: time.Now
	Random io.Reader        // nil: crypto/rand.Reader
	Proc   string           // empty: /proc
}

// Agent asks one license server for one session host.
type Agent struct {
	config Config
	server LicenseServer
	state  state
	proc   procfs
	now    func() time.Time
	random io.Reader
}

// New returns an Agent. It opens nothing yet but the files that the configuration names for TLS.
func New(c Config, o Options) (*Agent, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	if o.Server == nil {
		server, err := connect(c)
		if err != nil {
			return nil, err
		}
		o.Server = server
	}
	return &Agent{config: c, server: o.Server, state: state(c.StateDir), proc: procfs(o.Proc), now: o.Now, random: o.Random}, nil
}

// newKey returns an idempotency key.
func (a *Agent) newKey() (string, error) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(a.random, b); err != nil {
		return "", fmt.Errorf("random bytes: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// connect returns the client of the configuration's license server.
func connect(c Config) (LicenseServer, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		text, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca-file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("ca-file: there is no certificate in %s; PEM is right", c.CAFile)
		}
	}
	if c.Certificate != "" {
		certificate, err := tls.LoadX509KeyPair(c.Certificate, c.CertificateKey)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return client.New(client.Options{URL: c.URL, Token: c.Token, TLS: config, AllowUnencrypted: c.AllowUnencrypted})
}
