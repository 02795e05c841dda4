package clearinghouse_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"

	"calkeeper/internal/clearinghouse"
)

func newKeys(t *testing.T) clearinghouse.Keys {
	t.Helper()
	keys, err := clearinghouse.NewKeys(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestVerify: a signed document passes for nothing but what it is.
func TestVerify(t *testing.T) {
	keys, others := newKeys(t), newKeys(t)
	public := keys.Authority().SigningKey
	signed, err := clearinghouse.Sign(keys.Signing, clearinghouse.PurposeGrant, clearinghouse.Grant{Key: "a", Count: 7})
	if err != nil {
		t.Fatal(err)
	}
	var g clearinghouse.Grant
	if err := signed.Verify(public, clearinghouse.PurposeGrant, &g); err != nil || g.Count != 7 {
		t.Errorf("verified as %+v, %v", g, err)
	}
	for name, c := range map[string]struct {
		signed  clearinghouse.Signed
		key     ed25519.PublicKey
		purpose clearinghouse.Purpose
	}{
		"another purpose":   {signed, public, clearinghouse.PurposeNotice},
		"another key":       {signed, others.Authority().SigningKey, clearinghouse.PurposeGrant},
		"another payload":   {clearinghouse.Signed{Payload: bytes.Replace(signed.Payload, []byte("7"), []byte("9"), 1), Signature: signed.Signature}, public, clearinghouse.PurposeGrant},
		"a short signature": {clearinghouse.Signed{Payload: signed.Payload, Signature: signed.Signature[:63]}, public, clearinghouse.PurposeGrant},
		"no signature":      {clearinghouse.Signed{Payload: signed.Payload}, public, clearinghouse.PurposeGrant},
	} {
		var g clearinghouse.Grant
		if err := c.signed.Verify(c.key, c.purpose, &g); err == nil || g != (clearinghouse.Grant{}) {
			t.Errorf("%s: verified as %+v, %v", name, g, err)
		}
	}
	answer := ed25519.Sign(keys.Signing, signed.Payload)
	if clearinghouse.VerifyAnswer(public, signed.Payload, answer) || clearinghouse.VerifyAnswer(public, signed.Payload, nil) {
		t.Error("a bare signature passes for an answer's")
	}
}

func TestKeys(t *testing.T) {
	keys := newKeys(t)
	text, err := keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	same, err := clearinghouse.ParseKeys(text)
	if err != nil || !same.Signing.Equal(keys.Signing) || !same.Agreement.Equal(keys.Agreement) {
		t.Errorf("the keys do not survive their file: %v", err)
	}
	for _, text := range []string{"", "{}", "null", `{"signing":"AAAA","agreement":"AAAA"}`, strings.Replace(string(text), `"agreement":"`, `"agreement":"AAAA`, 1)} {
		if _, err := clearinghouse.ParseKeys([]byte(text)); err == nil || strings.Contains(err.Error(), "AAAA") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := clearinghouse.NewKeys(strings.NewReader("too short")); err == nil {
		t.Error("keys were made of no randomness")
	}
	good := keys.Authority()
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*clearinghouse.Authority){
		"no signing key":       func(a *clearinghouse.Authority) { a.SigningKey = nil },
		"a short signing key":  func(a *clearinghouse.Authority) { a.SigningKey = a.SigningKey[1:] },
		"no agreement key":     func(a *clearinghouse.Authority) { a.AgreementKey = nil },
		"a long agreement key": func(a *clearinghouse.Authority) { a.AgreementKey = append(a.AgreementKey, 0) },
	} {
		bad := keys.Authority()
		change(&bad)
		if bad.Check() == nil {
			t.Errorf("%s: the authority document is complete", name)
		}
	}
}
