package spnego_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"

	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/spnego"
)

// tlv is the DER of one value with a one-byte tag, independent of the codec under test.
func tlv(tag byte, contents ...[]byte) []byte {
	content := slices.Concat(contents...)
	n := len(content)
	switch {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, content...)
	case n < 0x100:
		return append([]byte{tag, 0x81, byte(n)}, content...)
	case n < 0x10000:
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, content...)
	}
	return append([]byte{tag, 0x83, byte(n >> 16), byte(n >> 8), byte(n)}, content...)
}

func oid(o spnego.OID) []byte { return tlv(6, []byte(o)) }

// mechTypeList is the DER of a list of mechanisms.
func mechTypeList(oids ...spnego.OID) []byte {
	var list []byte
	for _, o := range oids {
		list = append(list, oid(o)...)
	}
	return tlv(0x30, list)
}

const (
	spnegoOID spnego.OID = "\x2b\x06\x01\x05\x05\x02"
	negoEx    spnego.OID = "\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x1e" // 1.3.6.1.4.1.311.2.2.30
)

// initToken frames the fields of a NegTokenInit after mechTypes.
func initToken(list []byte, fields ...[]byte) []byte {
	return tlv(0x60, oid(spnegoOID), tlv(0xa0, tlv(0x30, tlv(0xa0, list), slices.Concat(fields...))))
}

// octets is an OCTET STRING in the field with the number.
func octets(number byte, content []byte) []byte { return tlv(0xa0+number, tlv(4, content)) }

func state(n byte) []byte { return tlv(0xa0, tlv(10, []byte{n})) }

func respToken(fields ...[]byte) []byte { return tlv(0xa1, tlv(0x30, fields...)) }

// fakeContext signs with a key that both ends know. NTLM's counts resets.
type fakeContext struct {
	mechanism string
	signs     []string // what was signed and verified, in order
	noMIC     bool
}

func mic(direction string, message []byte) []byte {
	h := hmac.New(sha256.New, []byte(direction))
	h.Write(message)
	return h.Sum(nil)[:16]
}

func (c *fakeContext) Initiator() gss.Initiator {
	return gss.Initiator{Mechanism: c.mechanism, Name: "Administrator"}
}
func (c *fakeContext) Wrap([]byte) (signature, sealed []byte, err error) { panic("nobody wraps") }
func (c *fakeContext) Unwrap(signature, sealed []byte) ([]byte, error)   { panic("nobody unwraps") }

func (c *fakeContext) MIC(message []byte) ([]byte, error) {
	if c.noMIC {
		return nil, errors.New("no integrity was negotiated")
	}
	c.signs = append(c.signs, "MIC")
	return mic("acceptor", message), nil
}

func (c *fakeContext) VerifyMIC(message, sent []byte) error {
	c.signs = append(c.signs, "VerifyMIC")
	if !hmac.Equal(sent, mic("initiator", message)) {
		return gss.ErrBadMIC
	}
	return nil
}

type fakeNTLMContext struct{ fakeContext }

func (c *fakeNTLMContext) ResetHandles() { c.signs = append(c.signs, "ResetHandles") }

// exchange is a step of a scripted mechanism.
type exchange struct {
	token, reply string
	established  gss.Context
	err          error
}

// script is an acceptor that wants these tokens.
type script struct {
	t     *testing.T
	steps []exchange
}

func (s *script) Accept(ctx context.Context, token []byte) ([]byte, gss.Context, error) {
	if ctx == nil {
		s.t.Error("the mechanism got no context")
	}
	if len(s.steps) == 0 {
		s.t.Errorf("the mechanism got %q, and nothing was to come", token)
		return nil, nil, fmt.Errorf("unexpected")
	}
	step := s.steps[0]
	s.steps = s.steps[1:]
	if step.token != string(token) {
		s.t.Errorf("the mechanism got %q, not %q", token, step.token)
	}
	return []byte(step.reply), step.established, step.err
}

// mechanisms are Kerberos and NTLM with these scripts. Without a script there is no such mechanism.
func mechanisms(t *testing.T, kerberos, ntlm []exchange) []spnego.Mechanism {
	var list []spnego.Mechanism
	add := func(steps []exchange, oids ...spnego.OID) {
		if steps != nil {
			list = append(list, spnego.Mechanism{OIDs: oids, New: func() gss.Acceptor { return &script{t, slices.Clone(steps)} }})
		}
	}
	add(kerberos, spnego.Kerberos, spnego.MSKerberos)
	add(ntlm, spnego.NTLM)
	return list
}

// Tokens of the mechanisms, as far as this package looks at them.
const (
	negotiate    = "NTLMSSP\x00\x01negotiate"
	challenge    = "NTLMSSP\x00\x02challenge"
	authenticate = "NTLMSSP\x00\x03authenticate"
)

var (
	apReq = string(tlv(0x60, oid(spnego.Kerberos), []byte("\x01\x00AP-REQ")))
	apRep = string(tlv(0x60, oid(spnego.Kerberos), []byte("\x02\x00AP-REP")))
)

func ntlmScript(c gss.Context) []exchange {
	return []exchange{{token: negotiate, reply: challenge}, {token: authenticate, established: c}}
}

func kerberosScript(c gss.Context) []exchange {
	return []exchange{{token: apReq, reply: apRep, established: c}}
}

// leg is a token of the initiator and what is to come of it.
type leg struct {
	token       []byte
	reply       []byte
	established bool
	status      error // the refusal
	detail      string
}

// run holds an acceptor to the legs, and returns the context.
func run(t *testing.T, a gss.Acceptor, legs ...leg) gss.Context {
	t.Helper()
	var last gss.Context
	for i, l := range legs {
		token := bytes.Clone(l.token)
		reply, established, err := a.Accept(t.Context(), token)
		clear(token) // it is the caller's again
		checkError(t, err, l.status, l.detail)
		if !bytes.Equal(reply, l.reply) {
			t.Errorf("leg %d: the reply is\n%x, not\n%x", i+1, reply, l.reply)
		}
		if (established != nil) != l.established {
			t.Errorf("leg %d: established is %v", i+1, established)
		}
		last = established
	}
	return last
}
