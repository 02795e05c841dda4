package ntlm_test

import (
	"bytes"
	"errors"
	"testing"

	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/ntlm"
)

// FuzzAccept feeds an acceptor with any two messages. All that it takes is what the account's password proves: nothing but the seeds.
func FuzzAccept(f *testing.F) {
	right := map[string]bool{}
	for _, i := range []initiator{
		{user: "alice", domain: "SRV"}, {user: "alice@example.org", noMIC: true}, {user: "alice", noVersion: true},
		{user: "alice", offers: windows &^ bitUnicode}, {user: "alice", offers: windows &^ bitKeyExch, noMIC: true},
		{user: "alice", offers: bitOEM | bitTarget | bitNTLM | bitESS | bitAlwaysSign, noMIC: true, noVersion: true, lm: make([]byte, 24)},
		{user: "bob"}, {user: "alice", noMIC: true, bindings: make([]byte, 16)},
	} {
		i.password = password
		_, challenge := challenged(f, options(), i.negotiate())
		token, err := i.authenticate(challenge)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i.negotiation, token)
		at := bytes.Index(token, []byte("CLIENTCH"))
		right[string(token[at-32:at-16])] = true // NTProofStr
	}
	f.Fuzz(func(t *testing.T, negotiate, authenticate []byte) {
		a := ntlm.NewAcceptor(options())
		reply, c, err := a.Accept(t.Context(), negotiate)
		if (reply == nil) == (err == nil) || c != nil {
			t.Fatalf("%x, %v, %v", reply, c, err)
		}
		reply, c, err = a.Accept(t.Context(), authenticate)
		if (c == nil) == (err == nil) || reply != nil {
			t.Fatalf("%x, %v, %v", reply, c, err)
		}
		if _, ok := errors.AsType[*gss.Error](err); err != nil && !ok {
			t.Fatalf("not a refusal: %v", err)
		}
		if err != nil {
			return
		}
		for proof := range right {
			if bytes.Contains(authenticate, []byte(proof)) {
				return
			}
		}
		t.Fatalf("accepted: %x", authenticate)
	})
}

// FuzzUnwrap feeds a context with any signature and message: it opens what the client has sealed, and nothing else.
func FuzzUnwrap(f *testing.F) {
	for _, keyExchange := range []bool{true, false} {
		_, p := conversation(keyExchange)
		signature, sealed := p.wrap([]byte("a message"))
		f.Add(keyExchange, signature, sealed)
	}
	f.Add(true, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, keyExchange bool, signature, sealed []byte) {
		c, p := conversation(keyExchange)
		message, err := c.Unwrap(signature, sealed)
		if _, ok := errors.AsType[*gss.Error](err); err != nil && !ok {
			t.Fatalf("not a refusal: %v", err)
		}
		if err != nil {
			if _, again := c.Unwrap(signature, sealed); !errors.Is(again, err) || message != nil {
				t.Fatalf("%x, %v", message, again)
			}
			return
		}
		if s, m := p.wrap(message); !bytes.Equal(s, signature) || !bytes.Equal(m, sealed) {
			t.Fatalf("opened %x, which the client seals otherwise", message)
		}
	})
}
