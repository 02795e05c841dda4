package ntlm_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"testing"

	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/ntlm"
)

// The examples of MS-NLMP 4.2.4, NTLMv2 Authentication, whose inputs are in 4.2.1.

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPublishedKeys(t *testing.T) {
	hash := ntlm.NTHash("Password")
	response, base, derived := ntlm.Keys("Password", "User", "Domain", unhex(t, "68cd0ab851e51c96aabc927bebef6a1c"), sessionKey)
	for name, test := range map[string]struct{ got, want string }{
		"NTOWFv1 (4.2.2.1.2)":             {hex.EncodeToString(hash[:]), "a4f49c406510bdcab6824ee7c30fd852"},
		"NTOWFv2 (4.2.4.1.1)":             {response, "0c868a403bfd7a93a3001ef22ef02e3f"},
		"Session Base Key (4.2.4.1.2)":    {base, "8de40ccadbc14a82f15cb0ad0de95ca3"},
		"SIGNKEY of the client (4.2.4.4)": {derived[0], "4788dc861b4782f35d43fd98fe1a2d39"},
		"SEALKEY of the client (4.2.4.4)": {derived[2], "59f600973cc4960a25480a7c196e4c58"},
		// Not in MS-NLMP; impacket's SIGNKEY and SEALKEY give them.
		"SIGNKEY of the server": {derived[1], "d04d6f10741041d1d246d64188d7a8ad"},
		"SEALKEY of the server": {derived[3], "9355f3a957c1583d25c4c2f11e40390e"},
	} {
		if test.got != test.want {
			t.Errorf("%s is %s, not %s", name, test.got, test.want)
		}
	}
	if empty := ntlm.NTHash(""); hex.EncodeToString(empty[:]) != "31d6cfe0d16ae931b73c59d7e0c089c0" {
		t.Errorf("the NT hash of an empty password is %x", empty)
	}
}

// user knows User by Password.
type user struct{}

func (user) NTHash(_ context.Context, name string) (hash [16]byte, err error) {
	if name != "User" {
		return hash, noAccount
	}
	return ntlm.NTHash("Password"), nil
}

// The AUTHENTICATE_MESSAGE of 4.2.4.3 answers the server challenge of 4.2.1. It has Version and no MIC, and drops OEM and
// TARGET_TYPE_SERVER. What it establishes opens the example of GSS_WrapEx, 4.2.4.4.
func TestPublishedMessages(t *testing.T) {
	authenticate := unhex(t, "4e544c4d5353500003000000180018006c00000054005400840000000c000c00480000000800080054000000100010005c000000"+
		"10001000d8000000358288e20501280a0000000f44006f006d00610069006e00550073006500720043004f004d0050005500540045005200"+
		"86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa68cd0ab851e51c96aabc927bebef6a1c01010000000000000000000000000000"+
		"aaaaaaaaaaaaaaaa0000000002000c0044006f006d00610069006e0001000c005300650072007600650072000000000000000000"+
		"c5dad2544fc9799094ce1ce90bc9d03e")
	o := ntlm.Options{
		Accounts: user{}, NetBIOSComputer: "Server", NetBIOSDomain: "Domain", Bindings: gss.ChannelBindings{Policy: gss.Relaxed},
		Random: io.MultiReader(bytes.NewReader(unhex(t, "0123456789abcdef")), repeated(0)),
	}
	a, challenge := challenged(t, o, (&initiator{}).negotiate())
	if !bytes.Contains(challenge, unhex(t, "02000c0044006f006d00610069006e0001000c00530065007200760065007200")) {
		t.Errorf("the challenge has other names: %x", challenge)
	}
	_, c, err := a.Accept(t.Context(), authenticate)
	if err != nil {
		t.Fatal(err)
	}
	if c.Initiator().Name != "User" {
		t.Errorf("the initiator is %+v", c.Initiator())
	}
	plain, err := c.Unwrap(unhex(t, "010000007fb38ec5c55d497600000000"), unhex(t, "54e50165bf1936dc996020c1811b0f06fb5f"))
	if err != nil || !bytes.Equal(plain, utf16LE("Plaintext")) {
		t.Errorf("GSS_WrapEx's example opens as %q, %v", plain, err)
	}
}

// The test's own client computes what is published, too.
func TestInitiatorAgainstPublished(t *testing.T) {
	signature, sealed := newPeer(sessionKey, true).wrap(utf16LE("Plaintext"))
	if got := hex.EncodeToString(signature) + hex.EncodeToString(sealed); got != "010000007fb38ec5c55d49760000000054e50165bf1936dc996020c1811b0f06fb5f" {
		t.Errorf("it seals as %s", got)
	}
}
