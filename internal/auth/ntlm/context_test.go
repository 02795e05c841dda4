package ntlm_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/ntlm"
)

var sessionKey = bytes.Repeat([]byte{0x55}, 16)

// conversation returns both ends of a context.
func conversation(keyExchange bool) (*ntlm.Context, *peer) {
	return ntlm.NewContext(sessionKey, keyExchange), newPeer(sessionKey, keyExchange)
}

// Messages of both sides, sealed and signed in any order, open in the order in which each side has made them.
func TestConversations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, p := conversation(rapid.Bool().Draw(t, "key exchange"))
		for range rapid.IntRange(1, 12).Draw(t, "messages") {
			message := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "message")
			sent := bytes.Clone(message)
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				signature, sealed := p.wrap(message)
				got, err := c.Unwrap(signature, sealed)
				if err != nil || !bytes.Equal(got, message) {
					t.Fatalf("Unwrap: %x, %v, want %x", got, err, message)
				}
			case 1:
				signature, sealed, err := c.Wrap(message)
				if err != nil || len(signature) != 16 || len(sealed) != len(message) {
					t.Fatalf("Wrap: %x, %x, %v", signature, sealed, err)
				}
				if got, ok := p.unwrap(signature, sealed); !ok || !bytes.Equal(got, message) {
					t.Fatalf("the client opens %x, %v, not %x", got, ok, message)
				}
			case 2:
				if err := c.VerifyMIC(message, p.mic(message)); err != nil {
					t.Fatal(err)
				}
			case 3:
				mic, err := c.MIC(message)
				if err != nil || !p.verify(message, mic) {
					t.Fatalf("MIC: %x, %v", mic, err)
				}
			}
			if !bytes.Equal(message, sent) {
				t.Fatal("the caller's message was changed")
			}
		}
	})
}

// After the mechListMICs both sides' RC4 begins anew, and the sequence numbers go on (MS-SPNG 3.3.5.1).
func TestResetHandles(t *testing.T) {
	for _, keyExchange := range []bool{true, false} {
		for _, name := range []string{"both", "only the client's", "none"} {
			c, p := conversation(keyExchange)
			var established gss.Context = c
			if name != "none" {
				if err := established.VerifyMIC([]byte("mechTypes"), p.mic([]byte("mechTypes"))); err != nil {
					t.Fatal(err)
				}
			}
			if name == "both" {
				mic, err := established.MIC([]byte("mechTypes"))
				if err != nil || !p.verify([]byte("mechTypes"), mic) {
					t.Fatal(mic, err)
				}
			}
			established.(interface{ ResetHandles() }).ResetHandles()
			p.reset()
			for n := range 3 {
				signature, sealed := p.wrap([]byte("message"))
				if want := byte(n + 1); name != "none" && signature[12] != want {
					t.Fatalf("%s: the client's sequence number is %d, not %d", name, signature[12], want)
				}
				if _, err := c.Unwrap(signature, sealed); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				signature, sealed, err := c.Wrap([]byte("message"))
				if err != nil {
					t.Fatal(err)
				}
				if want := byte(n + 1); name == "both" && signature[12] != want {
					t.Errorf("%s: the sequence number is %d, not %d", name, signature[12], want)
				}
				if _, ok := p.unwrap(signature, sealed); !ok {
					t.Errorf("%s: the client cannot open message %d", name, n)
				}
			}
		}
	}
	// A client that does not do so is found out, where the checksum is encrypted.
	c, p := conversation(true)
	if err := c.VerifyMIC(nil, p.mic(nil)); err != nil {
		t.Fatal(err)
	}
	c.ResetHandles()
	_, err := c.Unwrap(p.wrap([]byte("message")))
	refused(t, "RC4 goes on", err, gss.ErrBadMIC, "message 1")
}

func TestAlteredMessages(t *testing.T) {
	flip := func(at int) func(signature, sealed []byte) ([]byte, []byte) {
		return func(signature, sealed []byte) ([]byte, []byte) {
			all := append(bytes.Clone(signature), sealed...)
			all[at] ^= 0x10
			return all[:16], all[16:]
		}
	}
	type test struct {
		alter  func(signature, sealed []byte) ([]byte, []byte)
		status error
	}
	tests := map[string]test{
		"a short signature": {func(s, m []byte) ([]byte, []byte) { return s[:15], m }, gss.ErrDefectiveToken},
		"a long signature":  {func(s, m []byte) ([]byte, []byte) { return append(s, 0), m }, gss.ErrDefectiveToken},
		"no signature":      {func(_, m []byte) ([]byte, []byte) { return nil, m }, gss.ErrDefectiveToken},
		"cut":               {func(s, m []byte) ([]byte, []byte) { return s, m[:len(m)-1] }, gss.ErrBadMIC},
		"longer":            {func(s, m []byte) ([]byte, []byte) { return s, append(m, 0) }, gss.ErrBadMIC},
		"empty":             {func(s, _ []byte) ([]byte, []byte) { return s, nil }, gss.ErrBadMIC},
	}
	for at := range 16 + len("a message") {
		status := gss.ErrBadMIC
		if 12 <= at && at < 16 {
			status = gss.ErrSequence
		}
		tests[fmt.Sprintf("byte %d", at)] = test{flip(at), status}
	}
	for name, test := range tests {
		for _, keyExchange := range []bool{true, false} {
			c, p := conversation(keyExchange)
			if _, err := c.Unwrap(p.wrap([]byte("the first"))); err != nil {
				t.Fatal(err)
			}
			signature, sealed := p.wrap([]byte("a message"))
			message, err := c.Unwrap(test.alter(bytes.Clone(signature), bytes.Clone(sealed)))
			refused(t, name, err, test.status, "")
			if message != nil {
				t.Errorf("%s: opened as %q", name, message)
			}
			broken(t, name, c, err, func() error { _, err := c.Unwrap(signature, sealed); return err })
		}
	}
}

// broken checks that a context that has refused a message refuses all that comes then, with the same error.
func broken(t *testing.T, name string, c *ntlm.Context, first error, right func() error) {
	t.Helper()
	_, _, wrap := c.Wrap(nil)
	_, mic := c.MIC(nil)
	c.ResetHandles()
	for i, err := range []error{right(), wrap, mic, c.VerifyMIC(nil, nil)} {
		if !errors.Is(err, first) {
			t.Errorf("%s: call %d after the refusal: %v", name, i, err)
		}
	}
	if e, ok := errors.AsType[*gss.Error](first); !ok || e.Name != "user" {
		t.Errorf("%s: the error does not tell whose message it is: %#v", name, first)
	}
}

func TestMessagesOutOfOrder(t *testing.T) {
	for name, test := range map[string]struct {
		open   func(c *ntlm.Context, p *peer) error
		status error
	}{
		"swapped": {func(c *ntlm.Context, p *peer) error {
			p.wrap([]byte("one"))
			_, err := c.Unwrap(p.wrap([]byte("two")))
			return err
		}, gss.ErrSequence},
		"repeated": {func(c *ntlm.Context, p *peer) error {
			signature, sealed := p.wrap([]byte("one"))
			if _, err := c.Unwrap(signature, sealed); err != nil {
				return err
			}
			_, err := c.Unwrap(signature, sealed)
			return err
		}, gss.ErrSequence},
		"two with the number of one": {func(c *ntlm.Context, p *peer) error {
			p.wrap([]byte("one"))
			signature, sealed := p.wrap([]byte("two"))
			signature[12] = 0
			_, err := c.Unwrap(signature, sealed)
			return err
		}, gss.ErrBadMIC},
		"reflected": {func(c *ntlm.Context, _ *peer) error {
			signature, sealed, err := c.Wrap([]byte("one"))
			if err != nil {
				return nil
			}
			_, err = c.Unwrap(signature, sealed)
			return err
		}, gss.ErrBadMIC},
		"a reflected signature": {func(c *ntlm.Context, _ *peer) error {
			mic, err := c.MIC([]byte("one"))
			if err != nil {
				return nil
			}
			return c.VerifyMIC([]byte("one"), mic)
		}, gss.ErrBadMIC},
		"of another context": {func(c *ntlm.Context, _ *peer) error {
			_, err := c.Unwrap(newPeer([]byte("another key of 16"), true).wrap([]byte("one")))
			return err
		}, gss.ErrBadMIC},
		"without key exchange": {func(c *ntlm.Context, _ *peer) error {
			_, err := c.Unwrap(newPeer(sessionKey, false).wrap([]byte("one")))
			return err
		}, gss.ErrBadMIC},
		"signed, not sealed": {func(c *ntlm.Context, p *peer) error {
			_, err := c.Unwrap(p.mic([]byte("one")), []byte("one"))
			return err
		}, gss.ErrBadMIC},
		"sealed, not signed": {func(c *ntlm.Context, p *peer) error {
			signature, _ := p.wrap([]byte("one"))
			return c.VerifyMIC([]byte("one"), signature)
		}, gss.ErrBadMIC},
		"signature of another message": {func(c *ntlm.Context, p *peer) error {
			return c.VerifyMIC([]byte("two"), p.mic([]byte("one")))
		}, gss.ErrBadMIC},
	} {
		c, p := conversation(true)
		err := test.open(c, p)
		refused(t, name, err, test.status, "")
		broken(t, name, c, err, func() error { return c.VerifyMIC(nil, p.mic(nil)) })
	}
}
