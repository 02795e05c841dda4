// Package spnego finds out which mechanism an initiator authenticates with, and negotiates it if he leaves the choice: SPNEGO
// (RFC 4178, MS-SPNG), and the tokens of a mechanism alone as they come under HTTP's Negotiate (RFC 4559) and in DCE/RPC.
//
// The package must not know how a mechanism works, nor a transport.
package spnego

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"calkeeper/internal/auth/gss"
)

const (
	maxToken = 64 << 10 // bytes of one token
	maxLegs  = 10       // tokens of the initiator
)

// Mechanism is one that this side accepts.
type Mechanism struct {
	OIDs []OID // those that it is offered as
	// New returns an acceptor for one handshake. The context that it establishes may have a method ResetHandles(): it is called
	// after an exchange of mechListMIC, whose messages count but leave the ciphers as they were (MS-SPNG 3.3.5.1, for NTLM).
	New func() gss.Acceptor
}

// Acceptor is a gss.Acceptor that leaves the work to that of a mechanism.
type Acceptor struct {
	mechanisms []Mechanism
	legs       int // tokens so far
	over       bool

	chosen     gss.Acceptor // nil before the first token
	mechType   OID          // as what the initiator has listed it
	mechTypes  []byte       // the DER of the initiator's list; nil means that there was no SPNEGO
	requireMIC bool
	unproved   gss.Context // established but for the initiator's mechListMIC
}

// NewAcceptor returns an acceptor for one handshake.
func NewAcceptor(mechanisms ...Mechanism) *Acceptor { return &Acceptor{mechanisms: mechanisms} }

// Accept takes the initiator's next token. Without SPNEGO the replies are the mechanism's own, too.
//
// Both sides have to sign the initiator's list (mechListMIC) when another than its first mechanism was chosen, and this side signs it
// whenever the initiator does. RFC 4178, section 5, wants that also when this side would have preferred a mechanism that the list has
// not. As MIT Kerberos does, we leave this to the initiator: if it did list that mechanism, it misses its first choice, and signs.
func (a *Acceptor) Accept(ctx context.Context, token []byte) (reply []byte, established gss.Context, err error) {
	a.legs++
	switch {
	case a.over:
		err = defective("a token came after the end of the handshake")
	case a.legs > maxLegs:
		err = defective("there was no context after %d tokens", maxLegs)
	case len(token) == 0:
		err = defective("the token is empty")
	case len(token) > maxToken:
		err = defective("the token has %d bytes, and may have %d", len(token), maxToken)
	case a.chosen == nil:
		reply, established, err = a.first(ctx, token)
	case a.mechTypes == nil:
		reply, established, err = a.chosen.Accept(ctx, token)
	default:
		reply, established, err = a.next(ctx, token)
	}
	a.over = err != nil || established != nil
	if err != nil {
		return nil, nil, err
	}
	return reply, established, nil
}

// first chooses the mechanism.
func (a *Acceptor) first(ctx context.Context, token []byte) ([]byte, gss.Context, error) {
	if bytes.HasPrefix(token, []byte("NTLMSSP\x00")) { // MS-NLMP 2.2.1
		return a.alone(ctx, NTLM, token)
	}
	if token[0] != byte(tagInitialToken) {
		return nil, nil, defective("the token begins with %#02x, as none of NTLM, Kerberos and SPNEGO does at the beginning", token[0])
	}
	mechanism, rest, err := readInitialToken(token)
	if err != nil {
		return nil, nil, err
	}
	if mechanism != oidSPNEGO {
		return a.alone(ctx, mechanism, token)
	}
	init, err := readNegTokenInit(rest)
	if err != nil {
		return nil, nil, err
	}
	for _, a.mechType = range init.mechTypes {
		if a.choose(a.mechType) {
			break
		}
	}
	if a.chosen == nil {
		return nil, nil, none(init.mechTypes...)
	}
	a.mechTypes = bytes.Clone(init.mechTypeList)
	if a.mechType != init.mechTypes[0] { // and mechToken is of the first
		a.requireMIC = true
		return negTokenResp{negState: requestMIC, supportedMech: a.mechType}.marshal(), nil, nil
	}
	if len(init.mechToken) > 0 {
		return a.step(ctx, init.mechToken, init.mechListMIC, a.mechType)
	}
	if init.mechListMIC != nil {
		return nil, nil, defective("mechListMIC came before the mechanism's first token")
	}
	return negTokenResp{negState: acceptIncomplete, supportedMech: a.mechType}.marshal(), nil, nil
}

// alone takes the first token of a mechanism without SPNEGO.
func (a *Acceptor) alone(ctx context.Context, mechanism OID, token []byte) ([]byte, gss.Context, error) {
	if !a.choose(mechanism) {
		return nil, nil, none(mechanism)
	}
	return a.chosen.Accept(ctx, token)
}

// choose takes the mechanism if there is such a one.
func (a *Acceptor) choose(mechanism OID) bool {
	for _, m := range a.mechanisms {
		if slices.Contains(m.OIDs, mechanism) {
			a.chosen = m.New()
			return true
		}
	}
	return false
}

// none refuses what the initiator offers.
func none(offered ...OID) error {
	const most = 8
	var list []string
	for _, oid := range offered[:min(most, len(offered))] {
		list = append(list, oid.String())
	}
	if more := len(offered) - most; more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return &gss.Error{Status: gss.ErrBadMechanism, Detail: "SPNEGO: the initiator offers only " + strings.Join(list, ", ")}
}

// next takes a NegTokenResp.
func (a *Acceptor) next(ctx context.Context, token []byte) ([]byte, gss.Context, error) {
	resp, err := readNegTokenResp(token)
	switch {
	case err != nil:
		return nil, nil, err
	case resp.negState == reject:
		return nil, nil, defective("the initiator rejects the negotiation")
	case resp.supportedMech != "" && resp.supportedMech != a.mechType:
		return nil, nil, defective("supportedMech is %v, after %v was chosen", resp.supportedMech, a.mechType)
	case a.unproved != nil && len(resp.responseToken) > 0:
		return nil, nil, defective("the initiator has sent a token of the mechanism after its last")
	case a.unproved != nil:
		if err := a.verify(a.unproved, resp.mechListMIC); err != nil {
			return nil, nil, err
		}
		resetHandles(a.unproved)
		return nil, a.unproved, nil
	case len(resp.responseToken) == 0:
		return nil, nil, defective("NegTokenResp has no responseToken, and the mechanism has not ended")
	}
	return a.step(ctx, resp.responseToken, resp.mechListMIC, "")
}

// step gives the mechanism its next token and answers with what it returns. The answer names supportedMech, unless that is empty.
func (a *Acceptor) step(ctx context.Context, token, mic []byte, supportedMech OID) ([]byte, gss.Context, error) {
	responseToken, established, err := a.chosen.Accept(ctx, token)
	if err != nil {
		return nil, nil, err
	}
	resp := negTokenResp{negState: acceptIncomplete, supportedMech: supportedMech, responseToken: responseToken}
	switch {
	case established == nil && mic != nil:
		return nil, nil, defective("mechListMIC came before the mechanism has ended")
	case established == nil:
		return resp.marshal(), nil, nil
	case mic == nil && !a.requireMIC:
		resp.negState = acceptCompleted
		return resp.marshal(), established, nil
	case mic == nil && len(responseToken) > 0: // the initiator can prove it only after this token
		if resp.mechListMIC, err = a.sign(established); err != nil {
			return nil, nil, err
		}
		a.unproved = established
		return resp.marshal(), nil, nil
	}
	if err := a.verify(established, mic); err != nil {
		return nil, nil, err
	}
	if resp.mechListMIC, err = a.sign(established); err != nil {
		return nil, nil, err
	}
	resetHandles(established)
	resp.negState = acceptCompleted
	return resp.marshal(), established, nil
}

// verify checks the initiator's mechListMIC, nil if it has sent none.
func (a *Acceptor) verify(c gss.Context, mic []byte) error {
	if mic == nil {
		return badMIC(c, "the initiator has sent no mechListMIC, and its first mechanism was not chosen")
	}
	if err := c.VerifyMIC(a.mechTypes, mic); err != nil {
		return badMIC(c, "mechListMIC is not of the list of mechanisms that came: "+err.Error())
	}
	return nil
}

// sign returns this side's mechListMIC.
func (a *Acceptor) sign(c gss.Context) ([]byte, error) {
	mic, err := c.MIC(a.mechTypes)
	if err != nil {
		return nil, badMIC(c, "mechListMIC cannot be made: "+err.Error())
	}
	return mic, nil
}

func badMIC(c gss.Context, detail string) error {
	initiator := c.Initiator()
	return &gss.Error{Status: gss.ErrBadMIC, Mechanism: initiator.Mechanism, Name: initiator.Name, Detail: "SPNEGO: " + detail}
}

func resetHandles(c gss.Context) {
	if c, ok := c.(interface{ ResetHandles() }); ok {
		c.ResetHandles()
	}
}
