// Package ntlm is the acceptor's side of NTLM (MS-NLMP), connection-oriented: it takes a NEGOTIATE_MESSAGE, answers with a
// CHALLENGE_MESSAGE, and takes an AUTHENTICATE_MESSAGE, of local accounts. Only NTLMv2 is accepted, only with extended session security,
// and only keys of 128 bits; LM, NTLMv1 and anonymous never.
//
// Of what clients differ in, all is accepted that does not weaken it: with MIC and without, with key exchange and without, strings in
// UTF-16 or, of those that offer nothing else (Debian's python3-ntlm-auth, curl), in ASCII; an AUTHENTICATE_MESSAGE without Version.
//
// The package must not know a transport, nor SPNEGO.
package ntlm

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf16"

	"calkeeper/internal/auth/gss"
)

// mechanism is what gss calls NTLM.
const mechanism = "NTLM"

// Accounts knows the NT hashes of those accounts that have opted in to NTLM.
type Accounts interface {
	// NTHash returns the NT hash of a user's password. An error that wraps gss.ErrDefectiveCred says that there is none; the client
	// cannot tell that from a wrong password. Any other, a locked account for one, refuses the client with that error.
	NTHash(ctx context.Context, user string) (hash [16]byte, err error)
}

// Options are what an Acceptor needs.
type Options struct {
	Accounts Accounts
	// What the server tells of itself: its NetBIOS name, and that of its domain, which is the same for a server that is in none; the
	// DNS names can be empty. Clients put them into their response as they are, and show the domain to a user.
	NetBIOSComputer, NetBIOSDomain string
	DNSComputer, DNSDomain         string
	Bindings                       gss.ChannelBindings
	Random                         io.Reader        // nil is crypto/rand
	Now                            func() time.Time // nil is time.Now
}

// Acceptor establishes one context with one client. It implements gss.Acceptor.
type Acceptor struct {
	options Options
	state   state

	negotiate, challenge []byte // the messages so far, which the MIC is over
	nonce                [8]byte
	timestamp            []byte // MsvAvTimestamp of the challenge
	agreed               flags
}

// state is what an Acceptor waits for.
type state int

const (
	waitsNegotiate state = iota
	waitsAuthenticate
	spent
)

// NewAcceptor returns the Acceptor of one handshake.
func NewAcceptor(options Options) *Acceptor {
	if options.Random == nil {
		options.Random = rand.Reader
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Acceptor{options: options}
}

// Accept takes first a NEGOTIATE_MESSAGE, and returns the CHALLENGE_MESSAGE; then an AUTHENTICATE_MESSAGE, and returns the Context. The
// error is an *gss.Error, whose Status may be what Accounts has refused with; or that of ctx, or of the source of randomness.
func (a *Acceptor) Accept(ctx context.Context, token []byte) (reply []byte, established gss.Context, err error) {
	now := a.state
	a.state = spent // unless it goes well; so a challenge is used once
	switch now {
	case waitsNegotiate:
		reply, err := a.answer(token)
		if err != nil {
			return nil, nil, refuse(err, "")
		}
		a.state = waitsAuthenticate
		return reply, nil, nil
	case waitsAuthenticate:
		c, err := a.authenticate(ctx, token)
		if err != nil {
			return nil, nil, err
		}
		return nil, c, nil
	}
	return nil, nil, refuse(defective("the handshake is over"), "")
}

// refuse makes what is defective in a message an error of GSS-API, and leaves others.
func refuse(err error, name string) error {
	if d, ok := errors.AsType[defective](err); ok {
		return &gss.Error{Status: gss.ErrDefectiveToken, Mechanism: mechanism, Name: name, Detail: string(d)}
	}
	return err
}

// answer takes a NEGOTIATE_MESSAGE (section 3.2.5.1.1).
func (a *Acceptor) answer(token []byte) ([]byte, error) {
	offered, err := parseNegotiate(token)
	if err != nil {
		return nil, err
	}
	if a.agreed, err = negotiate(offered); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(a.options.Random, a.nonce[:]); err != nil {
		return nil, fmt.Errorf("ntlm: a challenge: %w", err)
	}
	a.timestamp = fileTime(a.options.Now())
	var info []byte
	info = appendAVPair(info, avNbDomainName, encode(a.options.NetBIOSDomain))
	info = appendAVPair(info, avNbComputerName, encode(a.options.NetBIOSComputer))
	if a.options.DNSDomain != "" {
		info = appendAVPair(info, avDNSDomainName, encode(a.options.DNSDomain))
	}
	if a.options.DNSComputer != "" {
		info = appendAVPair(info, avDNSComputerName, encode(a.options.DNSComputer))
	}
	info = appendAVPair(info, avTimestamp, a.timestamp)
	info = appendAVPair(info, avEOL, nil)
	a.negotiate = append([]byte(nil), token...)
	a.challenge = appendChallenge(nil, a.agreed, a.nonce, a.options.NetBIOSComputer, info)
	return append([]byte(nil), a.challenge...), nil
}

// claim is an AUTHENTICATE_MESSAGE that is well-formed and fits what was agreed on. Nothing of it is proved.
type claim struct {
	authenticate
	user, domain []uint16 // as the client has sent them
	account      string   // the user without what follows an @
	challenge    clientChallenge
}

// authenticate takes an AUTHENTICATE_MESSAGE (section 3.2.5.1.2).
func (a *Acceptor) authenticate(ctx context.Context, token []byte) (*Context, error) {
	c, err := a.read(token)
	if err != nil {
		return nil, refuse(err, c.account)
	}
	refusal := func(status error, detail string) error {
		return &gss.Error{Status: status, Mechanism: mechanism, Name: c.account, Detail: detail}
	}
	// A response to another challenge is told as such: it is a replay, and no guess of a password.
	if c.challenge.timestamp != nil && subtle.ConstantTimeCompare(c.challenge.timestamp, a.timestamp) != 1 {
		return nil, refusal(gss.ErrDuplicateToken, "MsvAvTimestamp is of another CHALLENGE_MESSAGE")
	}

	// Where there is no account, the same is computed with a hash that nobody knows.
	var hash [16]byte
	if _, err := io.ReadFull(a.options.Random, hash[:]); err != nil {
		return nil, fmt.Errorf("ntlm: a hash: %w", err)
	}
	stored, err := a.options.Accounts.NTHash(ctx, c.account)
	known := err == nil
	switch {
	case known:
		hash = stored
	case errors.Is(err, gss.ErrDefectiveCred):
	case ctx.Err() != nil:
		return nil, fmt.Errorf("ntlm: the account %q: %w", c.account, err)
	default:
		return nil, refusal(err, "")
	}
	key, proved := a.prove(hash, c)
	if !proved || !known {
		return nil, refusal(gss.ErrDefectiveCred, "the password is another, or there is no such account that has opted in to NTLM")
	}

	var encrypted []byte
	if a.agreed&flagKeyExchange != 0 {
		encrypted = c.sessionKey
	}
	exported := exportedSessionKey(key, c.ntResponse[:16], encrypted)
	if c.challenge.mic && !a.intact(exported, token, c.mic()) {
		return nil, refusal(gss.ErrBadMIC, "the MIC says that a message of the handshake was altered")
	}
	if err := a.options.Bindings.Check(c.challenge.bindings); err != nil {
		return nil, refusal(gss.ErrBadBindings, strings.TrimPrefix(err.Error(), gss.ErrBadBindings.Error()+": "))
	}
	return newContext(gss.Initiator{Mechanism: mechanism, Name: c.account}, a.agreed, exported), nil
}

// read parses the message and holds it against what was agreed on. The account is there as soon as it is known, also with an error.
func (a *Acceptor) read(token []byte) (c claim, err error) {
	if c.authenticate, err = parseAuthenticate(token); err != nil {
		return c, err
	}
	if c.user, err = units(c.authenticate.user, a.agreed, "UserName"); err != nil {
		return c, err
	}
	c.account, _, _ = strings.Cut(string(utf16.Decode(c.user)), "@")
	if c.domain, err = units(c.authenticate.domain, a.agreed, "DomainName"); err != nil {
		return c, err
	}
	if dropped := a.agreed & binding &^ c.flags; dropped != 0 {
		return c, defective(fmt.Sprintf("AUTHENTICATE_MESSAGE drops what was agreed on: %s", dropped))
	}
	if detail := c.unacceptable(); detail != "" {
		return c, &gss.Error{Status: gss.ErrDefectiveCred, Mechanism: mechanism, Name: c.account, Detail: detail}
	}
	if len(c.ntResponse) < 16 {
		return c, defective(fmt.Sprintf("AUTHENTICATE_MESSAGE: NtChallengeResponse of %d bytes", len(c.ntResponse)))
	}
	if c.challenge, err = parseClientChallenge(c.ntResponse[16:]); err != nil {
		return c, err
	}
	switch {
	case c.challenge.mic && c.mic() == 0:
		return c, defective(fmt.Sprintf("AUTHENTICATE_MESSAGE: MsvAvFlags says that there is a MIC, where the payload begins at %d", c.payload))
	case a.agreed&flagKeyExchange != 0 && len(c.sessionKey) != 16:
		return c, defective(fmt.Sprintf("AUTHENTICATE_MESSAGE: EncryptedRandomSessionKey of %d bytes", len(c.sessionKey)))
	}
	return c, nil
}

// unacceptable says what is wrong with a response that proves too little, or nothing, whatever the password.
func (c claim) unacceptable() string {
	switch {
	case c.flags&flagAnonymous != 0 || len(c.user) == 0:
		return "anonymous logon is not allowed"
	case len(c.ntResponse) == 0 && len(c.lmResponse) != 0:
		return "an LM response; only NTLMv2 is accepted"
	case len(c.ntResponse) == 0:
		return "there is no response to the challenge"
	case len(c.ntResponse) == 24:
		return "an NTLMv1 response; only NTLMv2 is accepted"
	}
	return ""
}

// prove returns ResponseKeyNT, and whether the client has computed NTProofStr with it (section 3.3.2). "NTLM servers SHOULD support NTLM
// clients which incorrectly use NIL for the UserDom" (3.2.5.1.2).
func (a *Acceptor) prove(hash [16]byte, c claim) (key []byte, proved bool) {
	for _, domain := range [][]uint16{c.domain, nil} {
		key := responseKey(hash, c.user, domain)
		proof := hmacMD5(key, a.nonce[:], c.ntResponse[16:])
		if subtle.ConstantTimeCompare(proof, c.ntResponse[:16]) == 1 {
			return key, true
		}
	}
	return nil, false
}

// intact checks the MIC, at that place in the AUTHENTICATE_MESSAGE: it is over all three messages as they were sent, itself being zero.
func (a *Acceptor) intact(exported, message []byte, at int) bool {
	end := at + 16
	want := hmacMD5(exported, a.negotiate, a.challenge, message[:at], make([]byte, 16), message[end:])
	return subtle.ConstantTimeCompare(want, message[at:end]) == 1
}
