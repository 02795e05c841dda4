package ntlm_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/ntlm"
)

// refused checks that an error is a refusal for that reason, and shows no secret.
func refused(t testing.TB, what string, err, status error, detail string) {
	t.Helper()
	e, ok := errors.AsType[*gss.Error](err)
	switch {
	case !ok || !errors.Is(err, status) || e.Mechanism != "NTLM" || !strings.Contains(e.Detail, detail):
		t.Errorf("%s: %#v, want %q and %q in it", what, err, status, detail)
	case strings.Contains(err.Error(), password):
		t.Errorf("%s: the password is in the error: %v", what, err)
	}
}

func TestNegotiateRefused(t *testing.T) {
	whole := (&initiator{}).negotiate()
	other := func(at int, b byte) []byte {
		m := append([]byte(nil), whole...)
		m[at] = b
		return m
	}
	for name, test := range map[string]struct {
		token  []byte
		detail string
	}{
		"empty":               {nil, "does not begin as an NTLM message"},
		"another signature":   {other(7, 1), "does not begin as an NTLM message"},
		"another type":        {other(8, 3), "type 3 in place of NEGOTIATE_MESSAGE"},
		"no flags":            {whole[:15], "15 bytes"},
		"too long":            {append(append([]byte(nil), whole...), make([]byte, 16<<10)...), "longer than 16384"},
		"no encoding":         {(&initiator{offers: windows &^ (bitUnicode | bitOEM)}).negotiate(), "neither UNICODE nor OEM"},
		"no extended session": {(&initiator{offers: windows &^ bitESS}).negotiate(), "EXTENDED_SESSIONSECURITY"},
		"weak sealing":        {(&initiator{offers: windows &^ bit128}).negotiate(), "128 bits"},
		"weak signing":        {(&initiator{offers: windows &^ (bit128 | bitSeal)}).negotiate(), "128 bits"},
	} {
		a := ntlm.NewAcceptor(options())
		reply, c, err := a.Accept(t.Context(), test.token)
		refused(t, name, err, gss.ErrDefectiveToken, test.detail)
		if reply != nil || c != nil {
			t.Errorf("%s: %x, %v", name, reply, c)
		}
		_, _, err = a.Accept(t.Context(), whole)
		refused(t, name+", and then a right one", err, gss.ErrDefectiveToken, "over")
	}
}

func TestAuthenticateRefused(t *testing.T) {
	drop := func(bit uint32) func(uint32) uint32 { return func(f uint32) uint32 { return f &^ bit } }
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
	with := func(pairs ...pair) func([]pair) []pair { return func(p []pair) []pair { return append(p, pairs...) } }
	longPair := func(b []byte) []byte { return append(b[:len(b)-8], 9, 0, 9, 0, 1) }
	stamped := func(value []byte) func([]pair) []pair { return func(p []pair) []pair { p[4].value = value; return p } }
	var many []pair
	for id := range 40 {
		many = append(many, pair{uint16(100 + id), nil})
	}
	for name, test := range map[string]struct {
		initiator
		status error
		detail string
	}{
		"wrong password":             {initiator{password: "other"}, gss.ErrDefectiveCred, "the password is another"},
		"wrong password, no MIC":     {initiator{password: "other", noMIC: true}, gss.ErrDefectiveCred, "the password is another"},
		"no password":                {initiator{password: "-"}, gss.ErrDefectiveCred, "the password is another"},
		"unknown user":               {initiator{user: "bob"}, gss.ErrDefectiveCred, "the password is another"},
		"no user but a domain":       {initiator{user: "@example.org"}, gss.ErrDefectiveCred, "the password is another"},
		"anonymous":                  {initiator{user: "-", response: cut(0), lm: []byte{0}}, gss.ErrDefectiveCred, "anonymous"},
		"anonymous by flag":          {initiator{flags: func(f uint32) uint32 { return f | bitAnonymous }}, gss.ErrDefectiveCred, "anonymous"},
		"no user":                    {initiator{user: "-"}, gss.ErrDefectiveCred, "anonymous"},
		"LM":                         {initiator{response: cut(0), lm: make([]byte, 24)}, gss.ErrDefectiveCred, "an LM response"},
		"no response":                {initiator{response: cut(0)}, gss.ErrDefectiveCred, "no response"},
		"NTLMv1":                     {initiator{response: cut(24), lm: make([]byte, 24)}, gss.ErrDefectiveCred, "an NTLMv1 response"},
		"short response":             {initiator{response: cut(15)}, gss.ErrDefectiveToken, "NtChallengeResponse of 15 bytes"},
		"no client challenge":        {initiator{response: cut(43)}, gss.ErrDefectiveToken, "27 bytes"},
		"no list":                    {initiator{response: cut(44)}, gss.ErrDefectiveToken, "no MsvAvEOL"},
		"no end of the list":         {initiator{blob: func(b []byte) []byte { return b[:len(b)-8] }}, gss.ErrDefectiveToken, "no MsvAvEOL"},
		"a pair beyond the end":      {initiator{blob: longPair}, gss.ErrDefectiveToken, "AV_PAIR 9 of 9 bytes, where 1"},
		"another RespType":           {initiator{blob: func(b []byte) []byte { b[0] = 2; return b }}, gss.ErrDefectiveToken, "type 2, 1"},
		"another HiRespType":         {initiator{blob: func(b []byte) []byte { b[1] = 0; return b }}, gss.ErrDefectiveToken, "type 1, 0"},
		"a pair twice":               {initiator{pairs: with(pair{6, []byte{0, 0, 0, 0}})}, gss.ErrDefectiveToken, "a second AV_PAIR 6"},
		"too many pairs":             {initiator{pairs: with(many...)}, gss.ErrDefectiveToken, "more than 32"},
		"short MsvAvFlags":           {initiator{noMIC: true, pairs: with(pair{6, []byte{2}})}, gss.ErrDefectiveToken, "AV_PAIR 6 of 1 bytes"},
		"no MsvAvFlags in it":        {initiator{noMIC: true, pairs: with(pair{6, nil})}, gss.ErrDefectiveToken, "AV_PAIR 6 of 0 bytes"},
		"short bindings":             {initiator{pairs: with(pair{10, make([]byte, 15)})}, gss.ErrDefectiveToken, "AV_PAIR 10 of 15 bytes"},
		"no bindings in it":          {initiator{pairs: with(pair{10, nil})}, gss.ErrDefectiveToken, "AV_PAIR 10 of 0 bytes"},
		"MIC told of, no room":       {initiator{noMIC: true, pairs: with(pair{6, []byte{2, 0, 0, 0}})}, gss.ErrDefectiveToken, "there is a MIC"},
		"MIC told of, not there":     {initiator{unsigned: true}, gss.ErrBadMIC, "MIC"},
		"drops UNICODE":              {initiator{flags: drop(bitUnicode)}, gss.ErrDefectiveToken, "agreed on: UNICODE"},
		"drops SIGN":                 {initiator{flags: drop(bitSign)}, gss.ErrDefectiveToken, "agreed on: SIGN"},
		"drops SEAL":                 {initiator{flags: drop(bitSeal)}, gss.ErrDefectiveToken, "agreed on: SEAL"},
		"drops extended session":     {initiator{flags: drop(bitESS)}, gss.ErrDefectiveToken, "agreed on: EXTENDED_SESSIONSECURITY"},
		"drops 128":                  {initiator{flags: drop(bit128)}, gss.ErrDefectiveToken, "agreed on: 128"},
		"drops KEY_EXCH":             {initiator{flags: drop(bitKeyExch)}, gss.ErrDefectiveToken, "agreed on: KEY_EXCH"},
		"drops all":                  {initiator{flags: drop(^uint32(0))}, gss.ErrDefectiveToken, "UNICODE, SIGN, SEAL, EXTENDED_"},
		"no session key":             {initiator{session: []byte{}}, gss.ErrDefectiveToken, "EncryptedRandomSessionKey of 0 bytes"},
		"a short session key":        {initiator{session: make([]byte, 8)}, gss.ErrDefectiveToken, "EncryptedRandomSessionKey of 8 bytes"},
		"another session key":        {initiator{session: make([]byte, 16)}, gss.ErrBadMIC, "MIC"},
		"an odd user":                {initiator{offers: windows, user: "alice\x00odd"}, gss.ErrDefectiveCred, "the password is another"},
		"OEM beyond ASCII":           {initiator{user: "Zoë", offers: windows &^ bitUnicode}, gss.ErrDefectiveToken, "UserName has OEM characters"},
		"OEM domain beyond ASCII":    {initiator{domain: "Bücher", offers: windows &^ bitUnicode}, gss.ErrDefectiveToken, "DomainName has OEM characters"},
		"a timestamp of another one": {initiator{pairs: stamped(make([]byte, 8))}, gss.ErrDuplicateToken, "MsvAvTimestamp"},
		"a short timestamp":          {initiator{pairs: stamped(nil)}, gss.ErrDefectiveToken, "AV_PAIR 7 of 0 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			i := test.initiator
			for to, preset := range map[*string]string{&i.user: "alice", &i.password: password} {
				switch *to {
				case "":
					*to = preset
				case "-":
					*to = ""
				}
			}
			_, err := handshake(t, options(), &i)
			refused(t, name, err, test.status, test.detail)
			account, _, _ := strings.Cut(i.user, "@")
			if e, ok := errors.AsType[*gss.Error](err); ok && e.Name != account && account != "Zoë" {
				t.Errorf("the error is about %q, not %q", e.Name, account)
			}
		})
	}
}

// Nobody can tell from the answer whether there is an account, nor from how much is computed.
func TestUnknownUserLooksLikeWrongPassword(t *testing.T) {
	unknown, wrong := initiator{user: "bobby", password: "other"}, initiator{user: "alice", password: "other"}
	_, err1 := handshake(t, options(), &unknown)
	_, err2 := handshake(t, options(), &wrong)
	if err1.Error() != err2.Error() || errors.Is(err1, noAccount) {
		t.Errorf("%v, and %v", err1, err2)
	}
	allocations := func(i *initiator) float64 {
		_, challenge := challenged(t, options(), i.negotiate())
		token, err := i.authenticate(challenge)
		if err != nil {
			t.Fatal(err)
		}
		return testing.AllocsPerRun(100, func() {
			a := ntlm.NewAcceptor(options())
			_, _, _ = a.Accept(t.Context(), i.negotiation)
			_, _, _ = a.Accept(t.Context(), token)
		})
	}
	// The test's own accounts compute the hash of a known one.
	known := testing.AllocsPerRun(100, func() { _ = ntlm.NTHash(password) })
	if a, b := allocations(&unknown), allocations(&wrong)-known; a != b {
		t.Errorf("%v allocations for an unknown user, %v for a wrong password", a, b)
	}
}

// The hash that is computed with in place of an unknown account's opens nothing, even for one that could guess it.
func TestUnknownUserHasNoHash(t *testing.T) {
	for _, hash := range [][]byte{make([]byte, 16), bytes.Repeat([]byte{7}, 16)} {
		_, err := handshake(t, options(), &initiator{user: "bob", hash: hash})
		refused(t, "unknown user", err, gss.ErrDefectiveCred, "the password is another")
	}
}

func TestAccountsRefuse(t *testing.T) {
	i := initiator{user: "locked@example.org", password: password}
	_, err := handshake(t, options(), &i)
	refused(t, "locked", err, errLocked, "")
	if e, ok := errors.AsType[*gss.Error](err); !ok || e.Name != "locked" || errors.Is(err, gss.ErrDefectiveCred) {
		t.Errorf("%#v", err)
	}

	i = initiator{user: "alice", password: password}
	a, challenge := challenged(t, options(), i.negotiate())
	token, err := i.authenticate(challenge)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, c, err := a.Accept(ctx, token)
	if _, refusal := errors.AsType[*gss.Error](err); !errors.Is(err, context.Canceled) || refusal || c != nil {
		t.Errorf("canceled: %v, %v", c, err)
	}
	_, _, err = a.Accept(t.Context(), token)
	refused(t, "after that", err, gss.ErrDefectiveToken, "over")
}

// A response is good for its challenge only, and once.
func TestReplay(t *testing.T) {
	for name, noMIC := range map[string]bool{"MIC": false, "no MIC": true} {
		i := initiator{user: "alice", password: password, noMIC: noMIC}
		a, challenge := challenged(t, options(), i.negotiate())
		token, err := i.authenticate(challenge)
		if err != nil {
			t.Fatal(err)
		}
		if _, c, err := a.Accept(t.Context(), token); err != nil || c == nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, _, err = a.Accept(t.Context(), token)
		refused(t, name+", the same acceptor", err, gss.ErrDefectiveToken, "over")

		later := options()
		later.Now = func() time.Time { return now.Add(100) }
		a, _ = challenged(t, later, i.negotiation)
		_, _, err = a.Accept(t.Context(), token)
		refused(t, name+", later", err, gss.ErrDuplicateToken, "another CHALLENGE_MESSAGE")

		other := options()
		other.Random = repeated(8)
		a, _ = challenged(t, other, i.negotiation)
		_, _, err = a.Accept(t.Context(), token)
		refused(t, name+", at the same time", err, gss.ErrDefectiveCred, "the password is another")

		// After a response that was wrong there is no second try.
		a, _ = challenged(t, options(), i.negotiation)
		_, _, err = a.Accept(t.Context(), append([]byte{0}, token...))
		refused(t, name+", malformed", err, gss.ErrDefectiveToken, "begin")
		_, _, err = a.Accept(t.Context(), token)
		refused(t, name+", the right one then", err, gss.ErrDefectiveToken, "over")
	}
}

// With a MIC, no bit of the three messages can be altered on the way.
func TestAlteredHandshake(t *testing.T) {
	i := initiator{user: "alice", password: password, domain: "SRV"}
	a, challenge := challenged(t, options(), i.negotiate())
	token, err := i.authenticate(challenge)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Accept(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	altered := func(message []byte, bit int) []byte {
		m := append([]byte(nil), message...)
		m[bit/8] ^= 1 << (bit % 8)
		return m
	}
	for bit := range 8 * len(i.negotiation) {
		a := ntlm.NewAcceptor(options())
		challenge, _, err := a.Accept(t.Context(), altered(i.negotiation, bit))
		if err != nil {
			continue
		}
		token, err := i.authenticate(challenge)
		if err != nil {
			continue
		}
		if _, c, err := a.Accept(t.Context(), token); err == nil || c != nil {
			t.Fatalf("bit %d of NEGOTIATE_MESSAGE was altered, and it was accepted", bit)
		}
	}
	for bit := range 8 * len(challenge) {
		a, challenge := challenged(t, options(), i.negotiation)
		token, err := i.authenticate(altered(challenge, bit))
		if err != nil {
			continue
		}
		if _, c, err := a.Accept(t.Context(), token); err == nil || c != nil {
			t.Fatalf("bit %d of CHALLENGE_MESSAGE was altered, and it was accepted", bit)
		}
	}
	for bit := range 8 * len(token) {
		a, _ := challenged(t, options(), i.negotiation)
		_, c, err := a.Accept(t.Context(), altered(token, bit))
		if _, ok := errors.AsType[*gss.Error](err); !ok || c != nil {
			t.Fatalf("bit %d of AUTHENTICATE_MESSAGE was altered: %v, %v", bit, c, err)
		}
	}
}

func TestFieldsOutOfPlace(t *testing.T) {
	i := initiator{user: "alice", password: password, domain: "SRV", noMIC: true}
	_, challenge := challenged(t, options(), i.negotiate())
	token, err := i.authenticate(challenge)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, token []byte, detail string) {
		t.Helper()
		a, _ := challenged(t, options(), i.negotiation)
		_, _, err := a.Accept(t.Context(), token)
		refused(t, what, err, gss.ErrDefectiveToken, detail)
	}
	for n := range token {
		check("cut", token[:n], "")
	}
	check("too long", append(append([]byte(nil), token...), make([]byte, 16<<10)...), "longer than 16384")
	check("a CHALLENGE_MESSAGE", challenge, "type 2")
	check("a NEGOTIATE_MESSAGE", i.negotiation, "type 1")
	const user = 36 // UserNameFields
	for what, test := range map[string]struct {
		at     int
		length uint16
		offset uint32
		detail string
	}{
		"in the header":             {user, 10, 63, "UserName of 10 bytes at 63"},
		"at the begin":              {user, 10, 0, "UserName of 10 bytes at 0"},
		"behind the end":            {user, 10, uint32(len(token)), "UserName"},
		"one byte out":              {user, 10, uint32(len(token) - 9), "UserName"},
		"the most there is":         {user, 65535, 0xffffffff, "UserName of 65535 bytes at 4294967295"},
		"negative as an int32":      {user, 10, 0x80000000, "UserName of 10 bytes at 2147483648"},
		"on another field":          {user, 10, uint32(len(token) - 20), "overlap"},
		"on the response":           {user, 10, 80, "overlap"},
		"over all":                  {user, uint16(len(token) - 72), 72, "overlap"},
		"half a character":          {user, 9, 0, "UserName of 9 bytes at 0"},
		"the workstation, not used": {44, 4, 72, "overlap"},
		"the LM response, not used": {12, 4, 72, "overlap"},
	} {
		m := append([]byte(nil), token...)
		binary.LittleEndian.PutUint16(m[test.at:], test.length)
		binary.LittleEndian.PutUint32(m[test.at+4:], test.offset)
		check(what, m, test.detail)
	}
	m := append([]byte(nil), token...)
	binary.LittleEndian.PutUint16(m[user:], 9)
	check("half a character", m, "UserName has 9 bytes, which is no UTF-16")
}

func TestChannelBindings(t *testing.T) {
	endPoint, right := bindingsOf("certificate")
	_, wrong := bindingsOf("another certificate")
	zero := make([]byte, 16)
	for _, test := range []struct {
		policy   gss.BindingsPolicy
		endPoint []byte
		sent     []byte
		fits     bool
	}{
		{gss.Relaxed, endPoint, right, true}, {gss.Relaxed, endPoint, wrong, false},
		{gss.Relaxed, endPoint, nil, true}, {gss.Relaxed, endPoint, zero, true},
		{gss.Strict, endPoint, right, true}, {gss.Strict, endPoint, wrong, false},
		{gss.Strict, endPoint, nil, false}, {gss.Strict, endPoint, zero, false},
		{gss.Off, endPoint, right, true}, {gss.Off, endPoint, wrong, true}, {gss.Off, endPoint, nil, true}, {gss.Off, nil, wrong, true},
		{gss.Relaxed, nil, right, false}, {gss.Relaxed, nil, nil, true}, {gss.Relaxed, nil, zero, true}, {gss.Strict, nil, nil, true},
	} {
		for _, noMIC := range []bool{false, true} {
			o := options()
			o.Bindings = gss.ChannelBindings{Policy: test.policy, EndPoint: test.endPoint}
			_, err := handshake(t, o, &initiator{user: "alice", password: password, bindings: test.sent, noMIC: noMIC})
			if test.fits {
				if err != nil {
					t.Errorf("%s, TLS %v, %x: %v", test.policy, test.endPoint != nil, test.sent, err)
				}
				continue
			}
			refused(t, string(test.policy), err, gss.ErrBadBindings, "")
			if e, ok := errors.AsType[*gss.Error](err); ok && strings.Count(e.Error(), gss.ErrBadBindings.Error()) != 1 {
				t.Errorf("the error repeats itself: %v", e)
			}
		}
		// Who has not proved who he is learns nothing of the bindings.
		o := options()
		o.Bindings = gss.ChannelBindings{Policy: test.policy, EndPoint: test.endPoint}
		_, err := handshake(t, o, &initiator{user: "alice", password: "other", bindings: test.sent})
		refused(t, string(test.policy), err, gss.ErrDefectiveCred, "password")
	}
}
