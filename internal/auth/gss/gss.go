// Package gss has what the mechanisms of authentication share: the acceptor's side of GSS-API (RFC 2743) in Go's shapes. A transport
// feeds an Acceptor the tokens of one initiator until it has a Context, and then protects messages with that.
//
// The package must not know a mechanism, nor a transport.
package gss

import (
	"context"
	"errors"
	"time"
)

// The statuses of RFC 2743, section 1.2.1.1, with which an Acceptor or a Context refuses. They are in the chain of an Error.
var (
	ErrDefectiveToken   = errors.New("defective token")               // GSS_S_DEFECTIVE_TOKEN: malformed, or not what the protocol wants now
	ErrBadMechanism     = errors.New("unsupported mechanism")         // GSS_S_BAD_MECH
	ErrDefectiveCred    = errors.New("credentials are wrong")         // GSS_S_DEFECTIVE_CREDENTIAL: who he is was not proved
	ErrCredentialsStale = errors.New("credentials have expired")      // GSS_S_CREDENTIALS_EXPIRED: or are not valid yet
	ErrBadBindings      = errors.New("channel bindings do not match") // GSS_S_BAD_BINDINGS
	ErrDuplicateToken   = errors.New("replayed token")                // GSS_S_DUPLICATE_TOKEN
	ErrBadMIC           = errors.New("integrity check failed")        // GSS_S_BAD_MIC
	ErrSequence         = errors.New("message out of sequence")       // GSS_S_UNSEQ_TOKEN, GSS_S_GAP_TOKEN
)

// StatusOf returns which of these an error is, nil for another: one that is no answer to what the initiator has sent.
func StatusOf(err error) error {
	for _, status := range []error{
		ErrDefectiveToken, ErrBadMechanism, ErrDefectiveCred, ErrCredentialsStale, ErrBadBindings, ErrDuplicateToken, ErrBadMIC, ErrSequence,
	} {
		if errors.Is(err, status) {
			return status
		}
	}
	return nil
}

// Error is a refusal.
type Error struct {
	Status    error  // one of the above, or what the accounts have refused with
	Mechanism string // as in Initiator, as far as it is known
	Name      string // whom the initiator claims to be, as far as it is known; nothing of it is proved
	Detail    string // for the log: what was wrong, where; never a secret
}

// Error returns status and detail.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Status.Error()
	}
	return e.Status.Error() + ": " + e.Detail
}

// Unwrap returns the status.
func (e *Error) Unwrap() error { return e.Status }

// Initiator is who established a context, as the mechanism has proved it.
type Initiator struct {
	Mechanism string    // "NTLM" or "Kerberos"
	Name      string    // NTLM: the account's name, without a domain; Kerberos: principal@REALM
	Realm     string    // Kerberos: the initiator's realm
	Expires   time.Time // Kerberos: when the ticket does, and the skew of clocks has passed; zero: never
	SIDs      []string  // Kerberos: of the user and its groups, from a PAC whose signature was verified (MS-PAC)
}

// Acceptor establishes one context with one initiator (GSS_Accept_sec_context). It is not safe for concurrent use.
type Acceptor interface {
	// Accept takes the initiator's next token. It returns the token to answer with, empty if there is none, and the context
	// as soon as it is established; both can come together. After an error, an *Error or that of ctx, the Acceptor is spent.
	Accept(ctx context.Context, token []byte) (reply []byte, established Context, err error)
}

// Context protects messages between the initiator and this side. Messages are opened in the order in which they were sealed; an
// error of Unwrap or VerifyMIC is for good. It is not safe for concurrent use.
type Context interface {
	Initiator() Initiator
	// Wrap seals a message (GSS_Wrap with confidentiality). The signature is what stands before the sealed message, in NTLM (MS-NLMP
	// 3.4.6) the 16 bytes of NTLMSSP_MESSAGE_SIGNATURE, in Kerberos (RFC 4121, section 4.2.4) all of the token but the last
	// len(message) bytes.
	Wrap(message []byte) (signature, sealed []byte, err error)
	// Unwrap opens a message that the initiator has sealed.
	Unwrap(signature, sealed []byte) (message []byte, err error)
	// MIC signs a message that travels in clear (GSS_GetMIC).
	MIC(message []byte) ([]byte, error)
	// VerifyMIC checks the initiator's signature of a message.
	VerifyMIC(message, mic []byte) error
}
