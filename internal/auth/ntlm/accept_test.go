package ntlm_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/Azure/go-ntlmssp"

	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/ntlm"
)

const password = "Grüße 1234"

var (
	_ gss.Acceptor = (*ntlm.Acceptor)(nil)
	_ gss.Context  = (*ntlm.Context)(nil)

	errLocked = errors.New("the account is locked")
	noAccount = &gss.Error{Status: gss.ErrDefectiveCred, Detail: "no account"}
	now       = time.Date(2031, 5, 6, 7, 8, 9, 10, time.UTC)
)

// accounts knows alice and Zoë by the password, and locked.
type accounts struct{}

func (accounts) NTHash(ctx context.Context, user string) (hash [16]byte, err error) {
	switch {
	case ctx.Err() != nil:
		return hash, ctx.Err()
	case strings.EqualFold(user, "alice") || strings.EqualFold(user, "Zoë"):
		return ntlm.NTHash(password), nil
	case user == "locked":
		return hash, errLocked
	}
	return hash, noAccount
}

// repeated is a source of the same bytes, so that all its challenges are the same.
type repeated byte

func (r repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r)
	}
	return len(p), nil
}

func options() ntlm.Options {
	return ntlm.Options{
		Accounts: accounts{}, NetBIOSComputer: "SRV", NetBIOSDomain: "WORKGROUP", DNSComputer: "srv.example.org", DNSDomain: "example.org",
		Random: repeated(7), Now: func() time.Time { return now },
	}
}

// challenged returns an acceptor that has answered, and its answer.
func challenged(t testing.TB, o ntlm.Options, negotiate []byte) (*ntlm.Acceptor, []byte) {
	t.Helper()
	a := ntlm.NewAcceptor(o)
	challenge, c, err := a.Accept(t.Context(), negotiate)
	if err != nil || c != nil || len(challenge) == 0 {
		t.Fatalf("NEGOTIATE_MESSAGE: %x, %v, %v", challenge, c, err)
	}
	return a, challenge
}

// handshake returns the context that a client establishes, or the error that it gets.
func handshake(t testing.TB, o ntlm.Options, i *initiator) (gss.Context, error) {
	t.Helper()
	a, challenge := challenged(t, o, i.negotiate())
	token, err := i.authenticate(challenge)
	if err != nil {
		t.Fatal(err)
	}
	reply, c, err := a.Accept(t.Context(), token)
	if len(reply) != 0 || (c == nil) == (err == nil) {
		t.Fatalf("AUTHENTICATE_MESSAGE: %x, %v, %v", reply, c, err)
	}
	return c, err
}

func TestClients(t *testing.T) {
	const noKeys = ^uint32(bitKeyExch)
	for name, test := range map[string]struct {
		initiator
		account string
	}{
		"Windows":                    {initiator{user: "alice", domain: "SRV"}, "alice"},
		"no domain":                  {initiator{user: "alice"}, "alice"},
		"another case":               {initiator{user: "aLICE", domain: "srv"}, "aLICE"},
		"beyond ASCII":               {initiator{user: "zoË", domain: "Bücher"}, "zoË"},
		"user principal name":        {initiator{user: "alice@example.org"}, "alice"},
		"a nil domain in the key":    {initiator{user: "alice", domain: "SRV", nilDomain: true}, "alice"},
		"no MIC":                     {initiator{user: "alice", noMIC: true}, "alice"},
		"no key exchange":            {initiator{user: "alice", offers: windows & noKeys}, "alice"},
		"neither":                    {initiator{user: "alice", offers: windows & noKeys, noMIC: true}, "alice"},
		"no Version":                 {initiator{user: "alice", noVersion: true}, "alice"},
		"no Version, no MIC":         {initiator{user: "alice", noVersion: true, noMIC: true}, "alice"},
		"OEM, as python3-ntlm-auth":  {initiator{user: "alice", domain: "SRV", offers: windows &^ bitUnicode}, "alice"},
		"an LM response of zeros":    {initiator{user: "alice", lm: make([]byte, 24)}, "alice"},
		"more zeros behind the list": {initiator{user: "alice", blob: func(b []byte) []byte { return append(b, 0, 0, 0, 0) }}, "alice"},
		"none behind it":             {initiator{user: "alice", blob: func(b []byte) []byte { return b[:len(b)-4] }}, "alice"},
		"no TargetInfo":              {initiator{user: "alice", noMIC: true, pairs: func([]pair) []pair { return nil }}, "alice"},
		"MsvAvFlags without a MIC": {initiator{user: "alice", noMIC: true, pairs: func(p []pair) []pair {
			return append(p, pair{6, []byte{1, 0, 0, 0}})
		}}, "alice"},
		"a target's name": {initiator{user: "alice", pairs: func(p []pair) []pair {
			return append(p, pair{9, utf16LE("HTTP/srv")}, pair{8, make([]byte, 48)})
		}}, "alice"},
		// MS-NLMP 4.2.4.3 has a message that drops these.
		"drops what does not bind": {initiator{user: "alice", flags: func(f uint32) uint32 {
			return f &^ (bitOEM | bitServer | bit56 | bitAlwaysSign | bitVersion | bitTargetInfo | bitTarget)
		}}, "alice"},
	} {
		t.Run(name, func(t *testing.T) {
			i := test.initiator
			i.password = password
			c, err := handshake(t, options(), &i)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Initiator(); got.Name != test.account || got.Mechanism != "NTLM" || got.Realm != "" || got.SIDs != nil {
				t.Errorf("the initiator is %+v", got)
			}
			both(t, c, i.peer)
		})
	}
}

// both seals a message each way.
func both(t testing.TB, c gss.Context, p *peer) {
	t.Helper()
	signature, sealed := p.wrap([]byte("to the server"))
	if message, err := c.Unwrap(signature, sealed); string(message) != "to the server" || err != nil {
		t.Errorf("Unwrap: %q, %v", message, err)
	}
	signature, sealed, err := c.Wrap([]byte("to the client"))
	if err != nil || len(signature) != 16 || len(sealed) != len("to the client") || bytes.Equal(sealed, []byte("to the client")) {
		t.Errorf("Wrap: %x, %x, %v", signature, sealed, err)
	}
	if message, ok := p.unwrap(signature, sealed); string(message) != "to the client" || !ok {
		t.Errorf("the client opens %q, %v", message, ok)
	}
}

// Without SIGN and SEAL, as curl and Azure/go-ntlmssp are, a client is authenticated, and has nothing to protect messages with.
func TestWithoutSealing(t *testing.T) {
	for name, test := range map[string]struct {
		offers    uint32
		sign, sel bool
	}{
		"curl":            {bitOEM | bitTarget | bitNTLM | bitESS | bitAlwaysSign, false, false},
		"with more":       {windows &^ (bitSign | bitSeal), false, false},
		"sign only":       {windows &^ bitSeal, true, false},
		"sign, no KEY_EX": {windows &^ (bitSeal | bitKeyExch), true, false},
		"seal only":       {windows &^ bitSign, false, true},
	} {
		i := initiator{user: "alice", password: password, offers: test.offers}
		c, err := handshake(t, options(), &i)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, err = c.MIC([]byte("m"))
		if (err == nil) != test.sign {
			t.Errorf("%s: MIC: %v", name, err)
		}
		if err := c.VerifyMIC([]byte("m"), i.peer.mic([]byte("m"))); (err == nil) != test.sign {
			t.Errorf("%s: VerifyMIC: %v", name, err)
		}
		_, _, err = c.Wrap([]byte("m"))
		if (err == nil) != test.sel {
			t.Errorf("%s: Wrap: %v", name, err)
		}
		if test.sel {
			i.peer = newPeer([]byte("a session key 16"), true) // the MIC above has moved it on
		}
		if _, err := c.Unwrap(i.peer.wrap([]byte("m"))); (err == nil) != test.sel {
			t.Errorf("%s: Unwrap: %v", name, err)
		}
	}
}

// The flags of the challenge are of those that the client offers, and what MS-NLMP demands.
func TestChallengeFlags(t *testing.T) {
	const always = bitNTLM | bitTargetInfo | bitESS
	for name, test := range map[string]struct{ offers, want uint32 }{
		"Windows":      {windows, windows&^bitOEM | bitServer | bitTargetInfo},
		"curl":         {bitOEM | bitTarget | bitNTLM | bitESS | bitAlwaysSign, always | bitOEM | bitTarget | bitServer | bitAlwaysSign},
		"no target":    {windows &^ bitTarget, windows&^(bitOEM|bitTarget) | bitTargetInfo},
		"no KEY_EXCH":  {windows &^ bitKeyExch, windows&^(bitOEM|bitKeyExch) | bitServer | bitTargetInfo},
		"not to seal":  {windows &^ (bitSeal | bitSign), bitUnicode | bitTarget | bitServer | bitAlwaysSign | bitVersion | always},
		"all":          {0xffffffff, windows&^bitOEM | bitServer | bitTargetInfo},
		"go-ntlmssp":   {0xa0888201, bitUnicode | bitAlwaysSign | always},
		"bare minimum": {bitUnicode | bitESS, bitUnicode | always},
	} {
		_, challenge := challenged(t, options(), (&initiator{offers: test.offers}).negotiate())
		if got := binary.LittleEndian.Uint32(challenge[20:]); got != test.want {
			t.Errorf("%s: offers %#x, the challenge has %#x, not %#x", name, test.offers, got, test.want)
		}
	}
}

// The whole message, byte for byte (MS-NLMP 2.2.1.2).
func TestChallengeMessage(t *testing.T) {
	_, challenge := challenged(t, options(), (&initiator{}).negotiate())
	want := "4e544c4d53535000" + "02000000" + "0600060038000000" + "3582" + "8ae2" + "0707070707070707" + "0000000000000000" + "6c006c003e000000" +
		"0a0000000000000f" + hex.EncodeToString(utf16LE("SRV")) +
		"02001200" + hex.EncodeToString(utf16LE("WORKGROUP")) + "01000600" + hex.EncodeToString(utf16LE("SRV")) +
		"04001600" + hex.EncodeToString(utf16LE("example.org")) + "03001e00" + hex.EncodeToString(utf16LE("srv.example.org")) +
		"07000800" + "8092459e0778e201" + "00000000"
	if got := hex.EncodeToString(challenge); got != want {
		t.Errorf("the challenge is\n%s, not\n%s", got, want)
	}
}

// The challenge is random, and one that cannot be is not made.
func TestChallengeIsRandom(t *testing.T) {
	o := options()
	o.Random, o.Now = nil, nil
	seen := map[string]bool{}
	for range 50 {
		_, challenge := challenged(t, o, (&initiator{}).negotiate())
		seen[string(challenge[24:32])] = true
		at := bytes.Index(challenge, []byte{7, 0, 8, 0}) + 4
		stamp := time.Unix(int64(binary.LittleEndian.Uint64(challenge[at:])/1e7)-11644473600, 0)
		if since := time.Since(stamp); since < -time.Second || since > time.Minute {
			t.Fatalf("the timestamp is %s", stamp)
		}
	}
	if len(seen) != 50 {
		t.Errorf("%d challenges of 50 are different", len(seen))
	}
	o.Random = io.LimitReader(repeated(1), 7)
	if reply, _, err := ntlm.NewAcceptor(o).Accept(t.Context(), (&initiator{}).negotiate()); !errors.Is(err, io.ErrUnexpectedEOF) || reply != nil {
		t.Errorf("without randomness: %x, %v", reply, err)
	}
}

// What the MIC is over is kept, whatever the transport does with its buffers.
func TestBuffersAreTheCallers(t *testing.T) {
	i := initiator{user: "alice", password: password}
	buffer := bytes.Clone(i.negotiate())
	a, challenge := challenged(t, options(), buffer)
	token, err := i.authenticate(bytes.Clone(challenge))
	if err != nil {
		t.Fatal(err)
	}
	clear(buffer)
	clear(challenge)
	_, c, err := a.Accept(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	clear(token)
	both(t, c, i.peer)
}

// Azure/go-ntlmssp is a client that others have written.
func TestGoNTLMSSP(t *testing.T) {
	for _, test := range []struct {
		user, password string
		status         error
	}{
		{"alice", password, nil},
		{`SRV\alice`, password, nil},
		{"alice@example.org", password, nil},
		{"alice", "other", gss.ErrDefectiveCred},
		{"bob", password, gss.ErrDefectiveCred},
	} {
		negotiate, err := ntlmssp.NewNegotiateMessage("", "")
		if err != nil {
			t.Fatal(err)
		}
		a, challenge := challenged(t, options(), negotiate)
		token, err := ntlmssp.NewAuthenticateMessage(challenge, test.user, test.password, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := a.Accept(t.Context(), token); !errors.Is(err, test.status) || (err == nil) != (test.status == nil) {
			t.Errorf("%s: %v, want %v", test.user, err, test.status)
		}
	}
}
