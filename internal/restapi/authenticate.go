package restapi

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"

	"calkeeper/internal/auth"
	"calkeeper/internal/auth/gss"
	"calkeeper/internal/licensing"
)

// realm is the protection space (RFC 9110, section 11.5).
const realm = "calkeeper"

// maxToken is longer than any token, in characters.
const maxToken = 128

// access says who may use a route.
type access uint8

const (
	strangers      access = 1 << iota // session hosts that are not registered, while the license server answers such
	hosts                             // session hosts
	auditors                          // accounts that only read
	operators                         // accounts that revoke and release, too
	administrators                    // accounts

	operating  = operators | administrators
	anyAccount = auditors | operating
	anyone     = hosts | anyAccount
)

// caller is who asks.
type caller struct {
	is   access // 0: an account without a role
	name string // the session host's or the account's; for a stranger its address
	host licensing.Host

	mechanism string // by which he was authenticated; empty for a stranger
}

// key tells clients apart that have the same name.
func (c *caller) key() string { return string(rune(c.is)) + c.name }

// authenticate tells who asks. Its error is a problem, or a Fault that is the license server's own.
func (s *server) authenticate(r *http.Request, x *exchange) error {
	given := r.Header.Values("Authorization")
	certificate := r.TLS != nil && len(r.TLS.PeerCertificates) > 0
	if len(given) == 0 && !certificate {
		return s.stranger(r, x)
	}
	network := auth.NetworkOf(x.address)
	tooMany := func() error {
		if wait := s.failures.exhausted(network, s.Now()); wait > 0 {
			return limited(wait, "too many failed authentications came from this address")
		}
		return nil
	}
	// A right token passes even then: else anybody on a session host could lock it out. Wrong passwords the accounts count.
	err := s.identify(r, x, given)
	if licensing.KindOf(err) != licensing.Denied {
		return err
	}
	if _, _, password := r.BasicAuth(); password {
		return s.unauthenticated(licensing.Message(err))
	}
	if err := tooMany(); err != nil {
		return err
	}
	s.failures.take(network, s.Now())
	s.refuseHost(r, x, given)
	return s.unauthenticated(licensing.Message(err))
}

// refuseHost has it recorded that somebody has shown what is no session host's. What is an account's, the accounts record.
func (s *server) refuseHost(r *http.Request, x *exchange, given []string) {
	mechanism := "Certificate"
	if len(given) > 0 {
		if scheme, _, _ := strings.Cut(given[0], " "); !strings.EqualFold(scheme, "Bearer") {
			return
		}
		mechanism = "Token"
	}
	s.Accounts.Refuse(r.Context(), auth.Attempt{Remote: x.address, Mechanism: mechanism},
		&gss.Error{Status: gss.ErrDefectiveCred, Mechanism: mechanism, Detail: "no session host has it, or it may not come this way"})
}

// identify checks what the caller has shown. What a proxy has added beside it would be ambiguous: one is taken.
func (s *server) identify(r *http.Request, x *exchange, given []string) (err error) {
	if len(given) == 0 {
		return s.certificate(r, x)
	}
	if len(given) > 1 {
		return licensing.Faultf(licensing.Denied, "there is more than one Authorization header")
	}
	if !s.accounts.TakesSecrets(r) {
		return licensing.Faultf(licensing.Denied, "tokens and passwords are taken over TLS, or from this machine, only")
	}
	if scheme, token, _ := strings.Cut(given[0], " "); strings.EqualFold(scheme, "Bearer") {
		if len(token) > maxToken {
			return licensing.Faultf(licensing.Denied, wrong)
		}
		host, err := s.Issuance.AuthenticateToken(r.Context(), token)
		x.caller = caller{is: hosts, name: host.Name, host: host, mechanism: "Token"}
		return err
	}
	return s.identifyAccount(r, x)
}

// wrong does not say what is.
const wrong = "user or password is wrong, or the token"

// identifyAccount checks what an account shows.
func (s *server) identifyAccount(r *http.Request, x *exchange) error {
	ctx, err := s.accounts.Authenticate(r.Context(), r, http.Header{})
	if err == nil {
		x.account(auth.FromContext(ctx))
		return nil
	}
	locked, isLocked := errors.AsType[*auth.LockedError](err)
	refusal, isRefusal := errors.AsType[*auth.Refusal](err)
	switch {
	case isLocked:
		return limited(locked.Wait, locked.Error())
	case errors.Is(err, auth.ErrBusy):
		return licensing.Faultf(licensing.Unavailable, "%s", auth.ErrBusy)
	case isRefusal && refusal.StatusCode() == http.StatusUnauthorized:
		return licensing.Faultf(licensing.Denied, wrong)
	}
	return err
}

// account notes which account asks.
func (x *exchange) account(i auth.Identity) {
	x.caller.name, x.caller.mechanism = i.User, i.Mechanism
	switch i.Role {
	case auth.Administrator:
		x.caller.is = administrators
	case auth.Operator:
		x.caller.is = operators
	case auth.Auditor:
		x.caller.is = auditors
	}
}

// certificate takes the client certificate of the TLS handshake, in which the caller has proved to have its key. Who issued it does
// not matter: the host was registered with this one.
func (s *server) certificate(r *http.Request, x *exchange) error {
	leaf, now := r.TLS.PeerCertificates[0], s.Now()
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return licensing.Faultf(licensing.Denied, "the client certificate is valid from %s to %s only", leaf.NotBefore.UTC(), leaf.NotAfter.UTC())
	}
	sum := sha256.Sum256(leaf.Raw)
	host, err := s.Issuance.AuthenticateCertificate(r.Context(), sum[:])
	if licensing.KindOf(err) == licensing.Denied && s.identifyAccount(r, x) == nil {
		return nil
	}
	x.caller = caller{is: hosts, name: host.Name, host: host, mechanism: "Certificate"}
	return err
}

// stranger lets a caller without credentials pass as a session host that is not registered, if the license server answers such. One
// at the address of a registered host must say who it is: else it would have that host's sessions.
func (s *server) stranger(r *http.Request, x *exchange) error {
	const who = "say who asks: with a session host's token (Bearer) or client certificate, or an account's user and password (Basic)"
	if _, err := s.Issuance.UnregisteredHost(x.address, licensing.WindowsServer2025, licensing.PerUser); err != nil {
		return s.unauthenticated(who)
	}
	switch _, err := s.Issuance.Host(r.Context(), x.address); {
	case err == nil:
		return s.unauthenticated(who)
	case licensing.KindOf(err) != licensing.NotFound:
		return err
	}
	x.caller = caller{is: strangers, name: x.address}
	return nil
}

// admit tells whether the caller may use a route.
func (s *server) admit(c *caller, to access) error {
	switch {
	case c.is&to != 0:
		return nil
	case c.is == strangers:
		return s.unauthenticated("only registered session hosts and accounts may ask for this")
	case c.is == 0:
		return licensing.Faultf(licensing.Denied, "%s has no role on this license server", c.name)
	case to&anyAccount == 0:
		return licensing.Faultf(licensing.Denied, "only session hosts may ask for this, with their tokens or certificates")
	case to&auditors != 0:
		return licensing.Faultf(licensing.Denied, "this is for accounts")
	}
	whom := "administrators"
	if to&operators != 0 {
		whom = "operators and administrators"
	}
	if c.is == auditors {
		return licensing.Faultf(licensing.Denied, "%s may read only: this is for %s", c.name, whom)
	}
	return licensing.Faultf(licensing.Denied, "this is for %s", whom)
}
