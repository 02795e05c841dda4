package kerberos_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"github.com/jcmturner/gokrb5/v8/types"
	"pgregory.net/rapid"

	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/kerberos"
)

// TestUnwrapRotations takes any rotation and filler, and any place where signature and message are told apart.
func TestUnwrapRotations(t *testing.T) {
	w := newWorld(t, kerberos.Options{})
	i, c := w.establish(w.offer(aes256))
	message := []byte("a message of more than one block")
	for _, extra := range []int{0, 1, 15, 16, 100, 1000} {
		for _, rotation := range []int{0, 1, 12, 16, 28, 28 + extra, 60, 75, 76, 77, 1000, 65535} {
			i.extra, i.rotation = extra, rotation
			token := i.seal(message)
			n := (extra + rotation) % len(token)
			if got, err := c.Unwrap(token[:n], token[n:]); err != nil || !bytes.Equal(got, message) {
				t.Fatalf("extra count %d, rotation %d: %q, %v", extra, rotation, got, err)
			}
		}
	}
}

// TestUnwrapRefuses has one thing wrong each time, and the message as it was meant after it.
func TestUnwrapRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(token []byte) []byte
		status error
	}{
		"nothing":              {func([]byte) []byte { return nil }, gss.ErrDefectiveToken},
		"a MIC token":          {func(b []byte) []byte { b[0] = 4; return b }, gss.ErrDefectiveToken},
		"another token":        {func(b []byte) []byte { b[1] = 5; return b }, gss.ErrDefectiveToken},
		"reflected":            {func(b []byte) []byte { b[2] |= 1; return b }, gss.ErrDefectiveToken},
		"not sealed":           {func(b []byte) []byte { b[2] &^= 2; return b }, gss.ErrDefectiveToken},
		"initiator's subkey":   {func(b []byte) []byte { b[2] &^= 4; return b }, gss.ErrDefectiveToken},
		"an unknown flag":      {func(b []byte) []byte { b[2] |= 8; return b }, gss.ErrDefectiveToken},
		"filler":               {func(b []byte) []byte { b[3] = 0; return b }, gss.ErrDefectiveToken},
		"extra count":          {func(b []byte) []byte { b[5]++; return b }, gss.ErrBadMIC},
		"a large extra count":  {func(b []byte) []byte { b[4] = 0xff; return b }, gss.ErrDefectiveToken},
		"rotation":             {func(b []byte) []byte { b[7]++; return b }, gss.ErrBadMIC},
		"sequence number":      {func(b []byte) []byte { b[15]++; return b }, gss.ErrBadMIC},
		"first byte":           {func(b []byte) []byte { b[16] ^= 1; return b }, gss.ErrBadMIC},
		"last byte":            {func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, gss.ErrBadMIC},
		"cut":                  {func(b []byte) []byte { return b[:len(b)-1] }, gss.ErrBadMIC},
		"longer":               {func(b []byte) []byte { return append(b, 0) }, gss.ErrBadMIC},
		"two messages as one":  {func(b []byte) []byte { return append(b, b...) }, gss.ErrBadMIC},
		"rotated, as if it is": {func(b []byte) []byte { binary.BigEndian.PutUint16(b[6:], 0); return b }, gss.ErrBadMIC},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kerberos.Options{})
			i, c := w.establish(w.offer(aes256))
			token := i.seal([]byte("a message of more than one block"))
			changed := test.change(slices.Clone(token))
			n := min(60, len(changed))
			_, err := c.Unwrap(changed[:n], changed[n:])
			refusedForGood(t, c, err, test.status)
			if _, again := c.Unwrap(token[:60], token[60:]); again == nil || again.Error() != err.Error() {
				t.Errorf("after it, the right message: %v", again)
			}
		})
	}
}

// refusedForGood holds an error of a context against the status, and has it repeated by all functions.
func refusedForGood(t testing.TB, c gss.Context, err, status error) {
	t.Helper()
	e, ok := errors.AsType[*gss.Error](err)
	if !ok || e.Status != status || e.Mechanism != "Kerberos" || e.Name != "alice@"+realm {
		t.Errorf("refused with %#v, want %v", err, status)
	}
	_, _, wrap := c.Wrap(nil)
	_, mic := c.MIC(nil)
	_, unwrap := c.Unwrap(nil, nil)
	for name, again := range map[string]error{"Wrap": wrap, "MIC": mic, "Unwrap": unwrap, "VerifyMIC": c.VerifyMIC(nil, nil)} {
		if again != err {
			t.Errorf("%s after it: %v", name, again)
		}
	}
}

func TestUnwrapTruncated(t *testing.T) {
	w := newWorld(t, kerberos.Options{})
	i, _ := w.establish(w.offer(aes128))
	token := i.seal([]byte("message"))
	for n := range token {
		_, c := w.establish(w.offer(aes128))
		if _, err := c.Unwrap(token[:n], nil); err == nil {
			t.Fatalf("the first %d bytes are taken", n)
		}
	}
}

func TestSequence(t *testing.T) {
	message := []byte("message")
	for name, misuse := range map[string]func(i *initiator, c gss.Context) error{
		"replayed": func(i *initiator, c gss.Context) error {
			token := i.seal(message)
			if _, err := c.Unwrap(token[:60], token[60:]); err != nil {
				t.Fatal(err)
			}
			_, err := c.Unwrap(token[:60], token[60:])
			return err
		},
		"left out": func(i *initiator, c gss.Context) error {
			i.seal(message)
			token := i.seal(message)
			_, err := c.Unwrap(token[:60], token[60:])
			return err
		},
		"replayed signature": func(i *initiator, c gss.Context) error {
			mic := i.mic(message)
			if err := c.VerifyMIC(message, mic); err != nil {
				t.Fatal(err)
			}
			return c.VerifyMIC(message, mic)
		},
		"signature after the next message": func(i *initiator, c gss.Context) error {
			mic, token := i.mic(message), i.seal(message)
			if _, err := c.Unwrap(token[:60], token[60:]); err != nil {
				return err
			}
			return c.VerifyMIC(message, mic)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kerberos.Options{})
			i, c := w.establish(w.offer(aes256))
			refusedForGood(t, c, misuse(i, c), gss.ErrSequence)
		})
	}
}

func TestVerifyMICRefuses(t *testing.T) {
	message := []byte("message")
	for name, test := range map[string]struct {
		change func(mic []byte) []byte
		status error
	}{
		"nothing":            {func([]byte) []byte { return nil }, gss.ErrDefectiveToken},
		"the header alone":   {func(b []byte) []byte { return b[:16] }, gss.ErrBadMIC},
		"cut":                {func(b []byte) []byte { return b[:len(b)-1] }, gss.ErrBadMIC},
		"longer":             {func(b []byte) []byte { return append(b, 0) }, gss.ErrBadMIC},
		"a wrap token":       {func(b []byte) []byte { b[0] = 5; return b }, gss.ErrDefectiveToken},
		"reflected":          {func(b []byte) []byte { b[2] |= 1; return b }, gss.ErrDefectiveToken},
		"sealed":             {func(b []byte) []byte { b[2] |= 2; return b }, gss.ErrDefectiveToken},
		"initiator's subkey": {func(b []byte) []byte { b[2] &^= 4; return b }, gss.ErrDefectiveToken},
		"filler":             {func(b []byte) []byte { b[7] = 0; return b }, gss.ErrDefectiveToken},
		"sequence number":    {func(b []byte) []byte { b[15]++; return b }, gss.ErrBadMIC},
		"signature":          {func(b []byte) []byte { b[16] ^= 1; return b }, gss.ErrBadMIC},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kerberos.Options{})
			i, c := w.establish(w.offer(aes256))
			refusedForGood(t, c, c.VerifyMIC(message, test.change(i.mic(message))), test.status)
		})
	}
	w := newWorld(t, kerberos.Options{})
	i, c := w.establish(w.offer(aes256))
	refusedForGood(t, c, c.VerifyMIC([]byte("another"), i.mic(message)), gss.ErrBadMIC)
}

// TestReflected sends the license server its own messages: over one key, both ways, as without mutual authentication.
func TestReflected(t *testing.T) {
	w := newWorld(t, kerberos.Options{})
	for _, clear := range []byte{0, 1} { // as it is, and as if it were the initiator's
		o := w.offer(aes256)
		o.authenticator.Cksum = gssChecksum(nil, others)
		_, c := w.establish(o)
		signature, sealed, err := c.Wrap([]byte("message"))
		if err != nil {
			t.Fatal(err)
		}
		signature[2] &^= clear
		if _, err := c.Unwrap(signature, sealed); err == nil {
			t.Error("its own message is opened")
		}
		_, c = w.establish(w.offer(aes256))
		mic, err := c.MIC([]byte("message"))
		if err != nil {
			t.Fatal(err)
		}
		mic[2] &^= clear
		if err := c.VerifyMIC([]byte("message"), mic); err == nil {
			t.Error("its own signature is taken")
		}
	}
}

// TestOtherSession sends a message of one session in another one.
func TestOtherSession(t *testing.T) {
	w := newWorld(t, kerberos.Options{})
	o := w.offer(aes256)
	i, _ := w.establish(o)
	_, c := w.establish(o) // the same ticket and subkey, and another authenticator
	token := i.seal([]byte("message"))
	_, err := c.Unwrap(token[:60], token[60:])
	refusedForGood(t, c, err, gss.ErrBadMIC)
}

// TestVectors takes signatures that another implementation has made, Cyrus SASL's GSSAPI mechanism with MIT's library, as gokrb5 has
// them in its tests (gssapi/MICToken_test.go).
func TestVectors(t *testing.T) {
	decode := func(text string) []byte {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	k := types.EncryptionKey{KeyType: aes128, KeyValue: decode("14f9bde6b50ec508201a97f74c4e5bd3")}
	message := decode("deadbeef")
	c := kerberos.NewContext(k, 0x575e85d6, 0)
	if mic, err := c.MIC(message); err != nil || !bytes.Equal(mic, decode("040401ffffffffff00000000575e85d6c34d12ba3e5b1b1310cd9cb3")) {
		t.Errorf("the signature is %x: %v", mic, err)
	}
	if err := c.VerifyMIC(message, decode("040400ffffffffff00000000000000009649ca09d2f1bc51ff6e5ca3")); err != nil {
		t.Error(err)
	}
}

// TestConversation has both sides send messages in any order, and an attacker who sometimes interferes: then the session is over.
func TestConversation(t *testing.T) {
	w := newWorld(t, kerberos.Options{})
	rapid.Check(t, func(r *rapid.T) {
		o := w.offer(rapid.SampledFrom([]int32{aes128, aes256, aes128SHA2, aes256SHA2}).Draw(r, "encryption"))
		o.authenticator.SeqNumber = int64(rapid.Uint32().Draw(r, "first"))
		if rapid.Bool().Draw(r, "not mutual") {
			o.authenticator.Cksum = gssChecksum(nil, others)
		}
		if rapid.Bool().Draw(r, "no subkey") {
			o.authenticator.SubKey = types.EncryptionKey{}
		}
		i, c := w.establish(o)
		message := rapid.SliceOfN(rapid.Byte(), 0, 200)
		var old [][]byte
		send := func(token []byte) error {
			n := rapid.IntRange(0, len(token)).Draw(r, "split")
			_, err := c.Unwrap(token[:n], token[n:])
			return err
		}
		for range rapid.IntRange(0, 10).Draw(r, "messages") {
			m := message.Draw(r, "message")
			switch rapid.IntRange(0, 3).Draw(r, "kind") {
			case 0:
				i.extra, i.rotation = rapid.IntRange(0, 40).Draw(r, "extra"), rapid.IntRange(0, 300).Draw(r, "rotation")
				token := i.seal(m)
				n := rapid.IntRange(0, len(token)).Draw(r, "split")
				if got, err := c.Unwrap(token[:n], token[n:]); err != nil || !bytes.Equal(got, m) {
					r.Fatalf("unwrapped %x as %x: %v", m, got, err)
				}
				old = append(old, token)
			case 1:
				signature, sealed, err := c.Wrap(m)
				if err != nil {
					r.Fatal(err)
				}
				if got := i.open(signature, sealed); !bytes.Equal(got, m) {
					r.Fatalf("wrapped %x, opened as %x", m, got)
				}
				old = append(old, slices.Concat(signature, sealed))
			case 2:
				if err := c.VerifyMIC(m, i.mic(m)); err != nil {
					r.Fatal(err)
				}
			case 3:
				mic, err := c.MIC(m)
				if err != nil {
					r.Fatal(err)
				}
				i.verify(m, mic)
			}
		}
		var err error
		if len(old) > 0 && rapid.Bool().Draw(r, "replay") {
			err = send(rapid.SampledFrom(old).Draw(r, "which"))
		} else {
			i.extra, i.rotation = 0, rapid.IntRange(0, 40).Draw(r, "rotation")
			token := i.seal(message.Draw(r, "message"))
			at := rapid.IntRange(0, len(token)-1).Draw(r, "at")
			// The rotation alone may be another number that means the same.
			if at == 6 || at == 7 {
				at = 8
			}
			token[at] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
			err = send(token)
		}
		if err == nil {
			r.Fatal("the attacker's message was opened")
		}
		if _, _, again := c.Wrap(nil); again != err {
			r.Fatal("the session goes on")
		}
	})
}

func FuzzUnwrap(f *testing.F) {
	k := serverKey(1, aes128)
	i := (&offer{sessionKey: k}).finish(f, nil)
	i.extra = 3
	token := i.seal([]byte("message"))
	f.Add(token[:60], token[60:])
	f.Add([]byte("\x05\x04\x02\xff\x00\x00\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00"), make([]byte, 44))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, signature, sealed []byte) {
		c := kerberos.NewContext(k, 0, 0)
		before := slices.Concat(signature, sealed)
		message, err := c.Unwrap(signature, sealed)
		if !bytes.Equal(before, slices.Concat(signature, sealed)) {
			t.Error("the token itself was changed")
		}
		if err == nil && !bytes.Equal(message, []byte("message")) {
			t.Errorf("forged %q", message)
		}
		c = kerberos.NewContext(k, 0, 0)
		if err := c.VerifyMIC(sealed, signature); err == nil {
			t.Errorf("forged the signature of %q", sealed)
		}
	})
}
