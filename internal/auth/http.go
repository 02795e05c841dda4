package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"calkeeper/internal/auth/gss"
)

// Accounts knows who may do what, and keeps account of who tried: *accounts.Service.
type Accounts interface {
	// Password checks user and password. The error is ErrCredentials, ErrBusy, a *LockedError, or another that is the license
	// server's own.
	Password(ctx context.Context, a Attempt, user, password string) (Identity, error)
	// Certificate returns the identity that a client certificate with that SHA-256 stands for. Errors as with Password.
	Certificate(ctx context.Context, a Attempt, sha256 []byte) (Identity, error)
	// Admit returns the identity of one whom a handshake has proved. It may have no role.
	Admit(ctx context.Context, a Attempt, i gss.Initiator) (Identity, error)
	// Refuse takes notice of a handshake that failed.
	Refuse(ctx context.Context, a Attempt, err error)
	// Still tells whether somebody who was authenticated at an instant is still what he was then; else the error is ErrCredentials.
	Still(ctx context.Context, i Identity, since time.Time) error
}

// HTTP authenticates HTTP requests: by user and password (Basic, RFC 7617), by a client certificate, or by a handshake that holds for the
// connection (Negotiate, RFC 4559, and, as curl sends it, NTLM).
type HTTP struct {
	Accounts         Accounts
	Realm            string
	AllowUnencrypted bool // over plain HTTP also passwords from other machines, and messages that nothing protects
	// Acceptor begins a handshake on a connection with those channel bindings; nil: there are no handshakes.
	Acceptor func(gss.ChannelBindings) gss.Acceptor
	Schemes  []string // those of the handshakes that are offered, such as "Negotiate"
	Bindings gss.BindingsPolicy
	Now      func() time.Time
}

// schemeMutual is what clients of WS-Management send as Authorization with a client certificate (DSP0226, "Security profiles").
const schemeMutual = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"

// handshakeScheme returns the name of a scheme whose tokens an Acceptor takes (which form they have shows in the token), empty for others.
func handshakeScheme(scheme string) string {
	for _, name := range []string{"Negotiate", "NTLM", "Kerberos"} {
		if strings.EqualFold(scheme, name) {
			return name
		}
	}
	return ""
}

var (
	errNothingShown = errors.New("nothing was shown that authenticates")
	errAmbiguous    = errors.New("there is more than one Authorization header")
	errExpired      = errors.New("the ticket that was shown has expired: authenticate again")
	errProxy        = errors.New("a handshake holds for a connection, and a proxy shares connections: authenticate without one, or with Basic over TLS")
)

// Authenticate returns ctx with the caller's identity. The last token of a handshake goes into reply. An error is a *Refusal.
func (h *HTTP) Authenticate(ctx context.Context, r *http.Request, reply http.Header) (context.Context, error) {
	i, err := h.authenticate(ctx, r, reply)
	if err != nil {
		refusal, ok := errors.AsType[*Refusal](err)
		if !ok {
			refusal = &Refusal{err: err}
		}
		return ctx, refusal
	}
	return WithIdentity(ctx, i), nil
}

func (h *HTTP) authenticate(ctx context.Context, r *http.Request, reply http.Header) (Identity, error) {
	connection := ConnectionOf(ctx)
	given := r.Header.Values("Authorization")
	if len(given) > 1 {
		return Identity{}, errAmbiguous
	}
	if len(given) == 0 {
		if i, ok := connection.established(); ok && h.Acceptor != nil {
			return i, h.still(ctx, connection, i)
		}
		return h.certificate(ctx, r, false)
	}
	scheme, value, _ := strings.Cut(given[0], " ")
	name := handshakeScheme(scheme)
	switch {
	case name != "" && h.Acceptor != nil:
		return h.handshake(ctx, r, name, strings.TrimSpace(value), reply)
	case strings.EqualFold(scheme, "Basic"):
		connection.reset()
		return h.password(ctx, r)
	case strings.EqualFold(scheme, schemeMutual):
		connection.reset()
		return h.certificate(ctx, r, true)
	}
	return Identity{}, errNothingShown
}

// still holds for each request what was true in the handshake: an account may have been changed since it began.
func (h *HTTP) still(ctx context.Context, c *Connection, i Identity) error {
	if end := c.security.Initiator().Expires; !end.IsZero() && h.Now().After(end) {
		c.reset()
		return errExpired
	}
	err := h.Accounts.Still(ctx, i, c.begun)
	if err != nil {
		c.reset()
	}
	return err
}

// TakesSecrets tells whether passwords and tokens may come the way that a request has come: encrypted, or from this machine.
func (h *HTTP) TakesSecrets(r *http.Request) bool {
	return h.AllowUnencrypted || r.TLS != nil || fromLoopback(r)
}

func (h *HTTP) password(ctx context.Context, r *http.Request) (Identity, error) {
	user, password, ok := r.BasicAuth()
	connection := ConnectionOf(ctx)
	a := attempt(r, "Basic", connection.first("Basic", user))
	switch {
	case !h.TakesSecrets(r):
		h.Accounts.Refuse(ctx, a, &gss.Error{Status: gss.ErrBadMechanism, Mechanism: "Basic", Name: user, Detail: "the password came unencrypted"})
		return Identity{}, ErrUnencrypted
	case !ok:
		h.Accounts.Refuse(ctx, a, &gss.Error{Status: gss.ErrDefectiveToken, Mechanism: "Basic", Detail: "it is not the base64 of user, colon and password"})
		return Identity{}, ErrCredentials
	}
	i, err := h.Accounts.Password(ctx, a, user, password)
	if err == nil {
		connection.seen("Basic", user)
	}
	return i, err
}

// certificate takes the client certificate of the TLS handshake, in which the caller has proved to have its key. Who issued it does not
// matter: the account was given this one. One that was not meant for an account is no failure, unless the caller says that it is.
func (h *HTTP) certificate(ctx context.Context, r *http.Request, meant bool) (Identity, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return Identity{}, errNothingShown
	}
	leaf, now := r.TLS.PeerCertificates[0], h.Now()
	connection, sum := ConnectionOf(ctx), sha256.Sum256(leaf.Raw)
	a := attempt(r, "Certificate", connection.first("Certificate", ""))
	a.Unasked = !meant
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		detail := fmt.Sprintf("the client certificate %x is valid from %s to %s only", sum, leaf.NotBefore.UTC(), leaf.NotAfter.UTC())
		if meant {
			h.Accounts.Refuse(ctx, a, &gss.Error{Status: gss.ErrCredentialsStale, Mechanism: "Certificate", Detail: detail})
		}
		return Identity{}, fmt.Errorf("%w: %s", ErrCredentials, detail)
	}
	i, err := h.Accounts.Certificate(ctx, a, sum[:])
	switch {
	case err == nil:
		connection.seen("Certificate", "")
	case !meant && errors.Is(err, ErrCredentials):
		err = errNothingShown
	}
	return i, err
}

// handshake takes a step of a handshake. Its state is the connection's.
func (h *HTTP) handshake(ctx context.Context, r *http.Request, scheme, value string, reply http.Header) (Identity, error) {
	connection := ConnectionOf(ctx)
	a := attempt(r, "Negotiate", true)
	switch {
	case connection == nil || proxied(r):
		return Identity{}, errProxy
	case value == "":
		return Identity{}, errNothingShown
	}
	token, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		err = &gss.Error{Status: gss.ErrDefectiveToken, Detail: "the token is not base64"}
		h.Accounts.Refuse(ctx, a, err)
		return Identity{}, err
	}
	answer, established, err := connection.accept(ctx, h, token)
	if err != nil {
		if failed, ok := errors.AsType[*gss.Error](err); ok && failed.Mechanism != "" {
			a.Mechanism = failed.Mechanism
		}
		h.Accounts.Refuse(ctx, a, err)
		return Identity{}, err
	}
	challenge := scheme
	if len(answer) > 0 {
		challenge += " " + base64.StdEncoding.EncodeToString(answer)
	}
	if established == nil {
		return Identity{}, &Refusal{challenges: []string{challenge}}
	}
	initiator := established.Initiator()
	a.Mechanism = initiator.Mechanism
	i, err := h.Accounts.Admit(ctx, a, initiator)
	if err != nil {
		return Identity{}, err
	}
	connection.establish(established, i)
	if len(answer) > 0 {
		reply.Add("WWW-Authenticate", challenge)
	}
	return i, nil
}

// Challenges returns the values of WWW-Authenticate for one who has shown nothing.
func (h *HTTP) Challenges() []string {
	list := make([]string, 0, len(h.Schemes)+1)
	if h.Acceptor != nil {
		list = append(list, h.Schemes...)
	}
	return append(list, `Basic realm="`+h.Realm+`", charset="UTF-8"`)
}

// Identity names the caller of a context that Authenticate returned, with the role that he has: whose role has changed is another one.
func (h *HTTP) Identity(ctx context.Context) string {
	i := FromContext(ctx)
	return i.User + " (" + string(i.Role) + ")"
}

// Security returns the security context that the caller has established on the connection of ctx, nil if there is none, and whether the
// messages have to be protected by it: over plain HTTP nothing else does.
func (h *HTTP) Security(ctx context.Context) (c gss.Context, required bool) {
	connection := ConnectionOf(ctx)
	if _, ok := connection.established(); !ok {
		return nil, false
	}
	return connection.security, connection.Certificate() == nil && !h.AllowUnencrypted
}

// proxied tells whether a proxy says that it has forwarded the request.
func proxied(r *http.Request) bool {
	return r.Header.Get("Via") != "" || r.Header.Get("Forwarded") != "" || r.Header.Get("X-Forwarded-For") != ""
}

func attempt(r *http.Request, mechanism string, first bool) Attempt {
	return Attempt{Remote: AddressOf(r.RemoteAddr), Mechanism: mechanism, First: first}
}
