package spnego_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/spnego"
)

func checkError(t *testing.T, err, status error, detail string) {
	t.Helper()
	if status == nil {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	refusal, ok := errors.AsType[*gss.Error](err)
	if !ok || refusal.Status != status || !strings.Contains(refusal.Detail, detail) {
		t.Errorf("the error is %v, not %v with %q", err, status, detail)
	}
}

// TestAccept has every way that a handshake succeeds.
func TestAccept(t *testing.T) {
	unknownFirst := mechTypeList(negoEx, spnego.NTLM)
	windows := mechTypeList(spnego.MSKerberos, spnego.Kerberos, negoEx, spnego.NTLM)
	onlyNTLM := mechTypeList(spnego.NTLM)
	mechListMIC := func(list []byte) []byte { return octets(3, mic("initiator", list)) }
	ours := func(list []byte) []byte { return octets(3, mic("acceptor", list)) }
	supported := func(o spnego.OID) []byte { return tlv(0xa1, oid(o)) }

	// The mechanism ends with a token of this side, and was not the first of the list.
	twoTokens := []exchange{{token: "one", reply: "two", established: &fakeContext{}}}
	// Kerberos with three legs, as DCE/RPC has it.
	threeTokens := []exchange{{token: apReq, reply: apRep}, {token: "AP-REP of the initiator", established: &fakeContext{}}}

	for _, c := range []struct {
		name           string
		kerberos, ntlm []exchange
		legs           []leg
		signs          string // what happened to the context
	}{
		{name: "NTLM alone", ntlm: ntlmScript(&fakeNTLMContext{}), legs: []leg{
			{token: []byte(negotiate), reply: []byte(challenge)},
			{token: []byte(authenticate), established: true},
		}},
		{name: "Kerberos alone", kerberos: kerberosScript(&fakeContext{}), legs: []leg{
			{token: []byte(apReq), reply: []byte(apRep), established: true},
		}},
		{name: "Kerberos alone, by Microsoft's identifier", kerberos: []exchange{{token: string(tlv(0x60, oid(spnego.MSKerberos))), established: &fakeContext{}}},
			legs: []leg{{token: tlv(0x60, oid(spnego.MSKerberos)), established: true}}},
		{name: "Kerberos first, as Windows lists it", kerberos: kerberosScript(&fakeContext{}), ntlm: ntlmScript(nil), legs: []leg{
			{token: initToken(windows, octets(2, []byte(apReq))),
				reply: respToken(state(0), supported(spnego.MSKerberos), octets(2, []byte(apRep))), established: true},
		}},
		{name: "Kerberos first, with its own identifier", kerberos: kerberosScript(&fakeContext{}), legs: []leg{
			{token: initToken(mechTypeList(spnego.Kerberos, spnego.MSKerberos), octets(2, []byte(apReq))),
				reply: respToken(state(0), supported(spnego.Kerberos), octets(2, []byte(apRep))), established: true},
		}},
		{name: "Kerberos without mutual authentication, the list signed at once", kerberos: []exchange{{token: apReq, established: &fakeContext{}}}, legs: []leg{
			{token: initToken(windows, octets(2, []byte(apReq)), mechListMIC(windows)),
				reply: respToken(state(0), supported(spnego.MSKerberos), ours(windows)), established: true},
		}, signs: "VerifyMIC MIC"},
		{name: "Kerberos with three legs", kerberos: threeTokens, legs: []leg{
			{token: initToken(windows, octets(2, []byte(apReq))), reply: respToken(state(1), supported(spnego.MSKerberos), octets(2, []byte(apRep)))},
			{token: respToken(octets(2, []byte("AP-REP of the initiator"))), reply: respToken(state(0)), established: true},
		}},
		{name: "NTLM, the list not signed", ntlm: ntlmScript(&fakeNTLMContext{}), legs: []leg{
			{token: initToken(onlyNTLM, octets(2, []byte(negotiate))), reply: respToken(state(1), supported(spnego.NTLM), octets(2, []byte(challenge)))},
			{token: respToken(octets(2, []byte(authenticate))), reply: respToken(state(0)), established: true},
		}},
		{name: "NTLM, the list signed", ntlm: ntlmScript(&fakeNTLMContext{}), legs: []leg{
			{token: initToken(onlyNTLM, octets(2, []byte(negotiate))), reply: respToken(state(1), supported(spnego.NTLM), octets(2, []byte(challenge)))},
			{token: respToken(state(1), octets(2, []byte(authenticate)), mechListMIC(onlyNTLM)), reply: respToken(state(0), ours(onlyNTLM)), established: true},
		}, signs: "VerifyMIC MIC ResetHandles"},
		{name: "NTLM, no optimistic token", ntlm: ntlmScript(&fakeNTLMContext{}), legs: []leg{
			{token: initToken(onlyNTLM), reply: respToken(state(1), supported(spnego.NTLM))},
			{token: respToken(octets(2, []byte(negotiate))), reply: respToken(state(1), octets(2, []byte(challenge)))},
			{token: respToken(octets(2, []byte(authenticate))), reply: respToken(state(0)), established: true},
		}},
		{name: "NTLM second: the token of Kerberos is left, and the list must be signed", ntlm: ntlmScript(&fakeNTLMContext{}), legs: []leg{
			{token: initToken(windows, octets(2, []byte(apReq))), reply: respToken(state(3), supported(spnego.NTLM))},
			{token: respToken(octets(2, []byte(negotiate))), reply: respToken(state(1), octets(2, []byte(challenge)))},
			{token: respToken(octets(2, []byte(authenticate)), mechListMIC(windows)), reply: respToken(state(0), ours(windows)), established: true},
		}, signs: "VerifyMIC MIC ResetHandles"},
		{name: "NTLM second, with what initiators need not send", ntlm: ntlmScript(&fakeNTLMContext{}), legs: []leg{
			{token: initToken(unknownFirst, tlv(0xa1, tlv(3, []byte("\x01\x62"))), octets(2, []byte("of NegoEx")), mechListMIC(nil), tlv(0xa4, tlv(2, []byte{7}))),
				reply: respToken(state(3), supported(spnego.NTLM))},
			{token: respToken(state(1), supported(spnego.NTLM), octets(2, []byte(negotiate)), tlv(0xa4, tlv(5))),
				reply: respToken(state(1), octets(2, []byte(challenge)))},
			{token: respToken(state(0), octets(2, []byte(authenticate)), mechListMIC(unknownFirst)),
				reply: respToken(state(0), ours(unknownFirst)), established: true},
		}, signs: "VerifyMIC MIC ResetHandles"},
		{name: "hints of a NegTokenInit2", ntlm: ntlmScript(&fakeNTLMContext{}), legs: []leg{
			{token: initToken(onlyNTLM, octets(2, []byte(negotiate)), tlv(0xa3, tlv(0x30, tlv(0xa0, tlv(0x1b, []byte("not_defined_in_RFC4178@please_ignore")))))),
				reply: respToken(state(1), supported(spnego.NTLM), octets(2, []byte(challenge)))},
			{token: respToken(octets(2, []byte(authenticate))), reply: respToken(state(0)), established: true},
		}},
		{name: "the extra leg: this side's token is the last, so it signs first", kerberos: twoTokens, legs: []leg{
			{token: initToken(mechTypeList(negoEx, spnego.Kerberos)), reply: respToken(state(3), supported(spnego.Kerberos))},
			{token: respToken(octets(2, []byte("one"))),
				reply: respToken(state(1), octets(2, []byte("two")), ours(mechTypeList(negoEx, spnego.Kerberos)))},
			{token: respToken(state(0), mechListMIC(mechTypeList(negoEx, spnego.Kerberos))), established: true},
		}, signs: "MIC VerifyMIC"},
		{name: "the extra leg with NTLM's reset", ntlm: []exchange{{token: "one", reply: "two", established: &fakeNTLMContext{}}}, legs: []leg{
			{token: initToken(windows), reply: respToken(state(3), supported(spnego.NTLM))},
			{token: respToken(octets(2, []byte("one"))), reply: respToken(state(1), octets(2, []byte("two")), ours(windows))},
			{token: respToken(mechListMIC(windows)), established: true},
		}, signs: "MIC VerifyMIC ResetHandles"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := spnego.NewAcceptor(mechanisms(t, c.kerberos, c.ntlm)...)
			var signs []string
			switch established := run(t, a, c.legs...).(type) {
			case *fakeContext:
				signs = established.signs
			case *fakeNTLMContext:
				signs = established.signs
			}
			if got := strings.Join(signs, " "); got != c.signs {
				t.Errorf("the context did %q, not %q", got, c.signs)
			}
			run(t, a, leg{token: []byte(negotiate), status: gss.ErrDefectiveToken, detail: "after the end of the handshake"})
		})
	}
}

// TestReplyBytes has the replies in bytes, as Windows and MIT Kerberos send them.
func TestReplyBytes(t *testing.T) {
	token := strings.Repeat("T", 148)
	list := mechTypeList(spnego.NTLM)
	a := spnego.NewAcceptor(mechanisms(t, nil, []exchange{{token: negotiate, reply: token}, {token: authenticate, established: &fakeNTLMContext{}}})...)
	run(t, a,
		leg{token: initToken(list, octets(2, []byte(negotiate))),
			reply: []byte("\xa1\x81\xb0\x30\x81\xad\xa0\x03\x0a\x01\x01\xa1\x0c\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a\xa2\x81\x97\x04\x81\x94" + token)},
		leg{token: respToken(octets(2, []byte(authenticate)), octets(3, mic("initiator", list))), established: true,
			reply: []byte("\xa1\x1b\x30\x19\xa0\x03\x0a\x01\x00\xa3\x12\x04\x10" + string(mic("acceptor", list)))})

	token = strings.Repeat("T", 153)
	a = spnego.NewAcceptor(mechanisms(t, []exchange{{token: apReq, reply: token, established: &fakeContext{}}}, nil)...)
	run(t, a, leg{token: initToken(mechTypeList(spnego.Kerberos), octets(2, []byte(apReq))), established: true,
		reply: []byte("\xa1\x81\xb4\x30\x81\xb1\xa0\x03\x0a\x01\x00\xa1\x0b\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\xa2\x81\x9c\x04\x81\x99" + token)})
}

// TestRefuse has what ends a handshake, each at the last leg.
func TestRefuse(t *testing.T) {
	windows := mechTypeList(spnego.MSKerberos, spnego.Kerberos, negoEx, spnego.NTLM)
	onlyNTLM := mechTypeList(spnego.NTLM)
	supported := tlv(0xa1, oid(spnego.NTLM))
	begin := leg{token: initToken(onlyNTLM, octets(2, []byte(negotiate))), reply: respToken(state(1), supported, octets(2, []byte(challenge)))}
	second := []leg{
		{token: initToken(windows, octets(2, []byte(apReq))), reply: respToken(state(3), supported)},
		{token: respToken(octets(2, []byte(negotiate))), reply: respToken(state(1), octets(2, []byte(challenge)))},
	}
	extra := []leg{
		{token: initToken(windows), reply: respToken(state(3), supported)},
		{token: respToken(octets(2, []byte("one"))), reply: respToken(state(1), octets(2, []byte("two")), octets(3, mic("acceptor", windows)))},
	}
	endsHere := []exchange{{token: "one", reply: "two", established: &fakeNTLMContext{}}}
	signed := func(list []byte) []byte {
		return respToken(octets(2, []byte(authenticate)), octets(3, mic("initiator", list)))
	}
	refusal := &gss.Error{Status: gss.ErrDefectiveCred, Mechanism: "NTLM", Name: "Guest"}

	for _, c := range []struct {
		name   string
		ntlm   []exchange
		before []leg
		token  []byte
		status error
		detail string
	}{
		{name: "no token", token: nil, status: gss.ErrDefectiveToken, detail: "empty"},
		{name: "something else", token: []byte("Basic"), status: gss.ErrDefectiveToken, detail: "begins with 0x42"},
		{name: "part of NTLM's signature", token: []byte("NTLMSSP"), status: gss.ErrDefectiveToken, detail: "begins with 0x4e"},
		{name: "NegTokenInit without its frame", token: tlv(0xa0, tlv(0x30, tlv(0xa0, onlyNTLM))), status: gss.ErrDefectiveToken, detail: "begins with 0xa0"},
		{name: "NegTokenResp first", token: respToken(octets(2, []byte(negotiate))), status: gss.ErrDefectiveToken, detail: "begins with 0xa1"},
		{name: "too long", token: append([]byte(negotiate), make([]byte, 64<<10)...), status: gss.ErrDefectiveToken, detail: "may have 65536"},
		{name: "frame without a mechanism", token: tlv(0x60, tlv(4, nil)), status: gss.ErrDefectiveToken, detail: "names no mechanism"},
		{name: "frame with an empty mechanism", token: tlv(0x60, tlv(6)), status: gss.ErrDefectiveToken, detail: "names no mechanism"},
		{name: "SPNEGO without NegTokenInit", token: tlv(0x60, oid(spnegoOID)), status: gss.ErrDefectiveToken, detail: "no NegTokenInit"},
		{name: "a NegTokenResp in the frame", token: tlv(0x60, oid(spnegoOID), respToken()), status: gss.ErrDefectiveToken, detail: "no NegTokenInit"},
		{name: "two of them", token: tlv(0x60, oid(spnegoOID), tlv(0xa0, tlv(0x30, tlv(0xa0, onlyNTLM))), tlv(0xa0, tlv(0x30))),
			status: gss.ErrDefectiveToken, detail: "more than it"},
		{name: "no mechTypes", token: tlv(0x60, oid(spnegoOID), tlv(0xa0, tlv(0x30, octets(2, []byte(negotiate))))), status: gss.ErrDefectiveToken, detail: "no mechTypes"},
		{name: "empty mechTypes", token: initToken(tlv(0x30)), status: gss.ErrDefectiveToken, detail: "not a list"},
		{name: "one mechanism that is no list", token: initToken(oid(spnego.NTLM)), status: gss.ErrDefectiveToken, detail: "not a list"},
		{name: "two lists", token: initToken(append(bytes.Clone(onlyNTLM), onlyNTLM...)), status: gss.ErrDefectiveToken, detail: "not a list"},
		{name: "a list of something else", token: initToken(tlv(0x30, oid(spnego.NTLM), tlv(4, nil))), status: gss.ErrDefectiveToken, detail: "mechanism 2"},
		{name: "a length that is not minimal", token: initToken(slices.Concat([]byte{0x30, 0x81, 12}, oid(spnego.NTLM))), status: gss.ErrDefectiveToken, detail: "not a list"},
		{name: "a length without end", token: initToken(slices.Concat([]byte{0x30, 0x80}, oid(spnego.NTLM), []byte{0, 0})), status: gss.ErrDefectiveToken, detail: "not a list"},
		{name: "a mechToken that is no OCTET STRING", token: initToken(onlyNTLM, tlv(0xa2, []byte(negotiate))), status: gss.ErrDefectiveToken, detail: "mechToken"},
		{name: "fields in the wrong order", token: initToken(onlyNTLM, octets(3, nil), octets(2, []byte(negotiate))), status: gss.ErrDefectiveToken, detail: "end of NegTokenInit"},
		{name: "a field twice", token: initToken(onlyNTLM, octets(2, []byte(negotiate)), octets(2, []byte(negotiate))), status: gss.ErrDefectiveToken, detail: "end of NegTokenInit"},
		{name: "a mechListMIC of another type", token: initToken(onlyNTLM, tlv(0xa3, tlv(2, []byte{1}))), status: gss.ErrDefectiveToken, detail: "mechListMIC"},
		{name: "mechListMIC without a token", token: initToken(onlyNTLM, octets(3, mic("initiator", onlyNTLM))), status: gss.ErrDefectiveToken, detail: "before the mechanism's first token"},
		{name: "mechListMIC too early", token: initToken(onlyNTLM, octets(2, []byte(negotiate)), octets(3, mic("initiator", onlyNTLM))),
			status: gss.ErrDefectiveToken, detail: "before the mechanism has ended"},
		{name: "mechListMIC too early, beside hints", token: initToken(onlyNTLM, octets(2, []byte(negotiate)), tlv(0xa3, tlv(0x30)), octets(4, nil)),
			status: gss.ErrDefectiveToken, detail: "before the mechanism has ended"},
		{name: "no mechanism in common", token: initToken(mechTypeList(spnego.Kerberos, negoEx), octets(2, []byte(apReq))),
			status: gss.ErrBadMechanism, detail: "offers only 1.2.840.113554.1.2.2, 1.3.6.1.4.1.311.2.2.30"},
		{name: "many of them", token: initToken(mechTypeList(slices.Repeat([]spnego.OID{"\x2a", spnego.OID(bytes.Repeat([]byte{1}, 300)), "\x2a\x80"}, 100)...)),
			status: gss.ErrBadMechanism, detail: "1.2, (300 bytes that are no usual object identifier), and 292 more"},
		{name: "Kerberos alone, and only NTLM is here", token: []byte(apReq), status: gss.ErrBadMechanism, detail: "1.2.840.113554.1.2.2"},
		{name: "what the mechanism refuses", ntlm: []exchange{{token: negotiate, reply: "in vain", established: &fakeContext{}, err: refusal}},
			token: initToken(onlyNTLM, octets(2, []byte(negotiate))), status: gss.ErrDefectiveCred},
		{name: "what the mechanism refuses alone", ntlm: []exchange{{token: negotiate, reply: "in vain", established: &fakeContext{}, err: refusal}},
			token: []byte(negotiate), status: gss.ErrDefectiveCred},

		{name: "another NegTokenInit", before: []leg{begin}, token: begin.token, status: gss.ErrDefectiveToken, detail: "not a NegTokenResp"},
		{name: "NTLM without SPNEGO in between", before: []leg{begin}, token: []byte(authenticate), status: gss.ErrDefectiveToken, detail: "not a NegTokenResp"},
		{name: "rejected", before: []leg{begin}, token: respToken(state(2)), status: gss.ErrDefectiveToken, detail: "rejects"},
		{name: "a state that there is not", before: []leg{begin}, token: respToken(state(4), octets(2, []byte(authenticate))), status: gss.ErrDefectiveToken, detail: "negState"},
		{name: "a state below", before: []leg{begin}, token: respToken(state(0xff), octets(2, []byte(authenticate))), status: gss.ErrDefectiveToken, detail: "negState"},
		{name: "another supportedMech", before: []leg{begin}, token: respToken(tlv(0xa1, oid(spnego.Kerberos)), octets(2, []byte(authenticate))),
			status: gss.ErrDefectiveToken, detail: "supportedMech is 1.2.840.113554.1.2.2, after 1.3.6.1.4.1.311.2.2.10"},
		{name: "supportedMech in a SEQUENCE", before: []leg{begin}, token: respToken(tlv(0xa1, tlv(0x30, oid(spnego.NTLM))), octets(2, []byte(authenticate))),
			status: gss.ErrDefectiveToken, detail: "supportedMech of NegTokenResp is malformed"},
		{name: "no responseToken", before: []leg{begin}, token: respToken(state(1)), status: gss.ErrDefectiveToken, detail: "no responseToken"},
		{name: "only mechListMIC", before: []leg{begin}, token: respToken(octets(3, mic("initiator", onlyNTLM))), status: gss.ErrDefectiveToken, detail: "no responseToken"},
		{name: "two NegTokenResp", before: []leg{begin}, token: append(respToken(octets(2, []byte(authenticate))), respToken()...),
			status: gss.ErrDefectiveToken, detail: "more than it"},
		{name: "mechListMIC that is wrong", before: []leg{begin}, token: respToken(octets(2, []byte(authenticate)), octets(3, make([]byte, 16))),
			status: gss.ErrBadMIC, detail: "not of the list of mechanisms that came: integrity check failed"},
		{name: "mechListMIC that is empty", before: []leg{begin}, token: respToken(octets(2, []byte(authenticate)), octets(3, nil)), status: gss.ErrBadMIC},
		{name: "mechListMIC of the field and not of the list", before: []leg{begin}, token: signed(tlv(0xa0, onlyNTLM)), status: gss.ErrBadMIC},
		{name: "downgrade: a better mechanism was taken off the list", before: []leg{begin}, token: signed(windows), status: gss.ErrBadMIC},
		{name: "downgrade: the order was changed", before: []leg{
			{token: initToken(mechTypeList(negoEx, spnego.NTLM, spnego.Kerberos)), reply: respToken(state(3), supported)},
			{token: respToken(octets(2, []byte(negotiate))), reply: respToken(state(1), octets(2, []byte(challenge)))},
		}, token: signed(mechTypeList(spnego.Kerberos, negoEx, spnego.NTLM)), status: gss.ErrBadMIC},
		{name: "required mechListMIC is missing", before: second, token: respToken(state(0), octets(2, []byte(authenticate))),
			status: gss.ErrBadMIC, detail: "has sent no mechListMIC"},
		{name: "required mechListMIC is wrong", before: second, token: signed(onlyNTLM), status: gss.ErrBadMIC, detail: "not of the list"},
		{name: "no integrity, which mechListMIC needs", ntlm: ntlmScript(&fakeContext{noMIC: true}), before: second, token: signed(windows),
			status: gss.ErrBadMIC, detail: "cannot be made: no integrity was negotiated"},
		{name: "the extra leg without mechListMIC", ntlm: endsHere, before: extra, token: respToken(state(0)), status: gss.ErrBadMIC, detail: "has sent no mechListMIC"},
		{name: "the extra leg with a wrong one", ntlm: endsHere, before: extra, token: respToken(octets(3, mic("initiator", onlyNTLM))), status: gss.ErrBadMIC},
		{name: "the extra leg with this side's", ntlm: endsHere, before: extra, token: respToken(octets(3, mic("acceptor", windows))), status: gss.ErrBadMIC},
		{name: "the extra leg with a token", ntlm: endsHere, before: extra, token: respToken(octets(2, []byte("one")), octets(3, mic("initiator", windows))),
			status: gss.ErrDefectiveToken, detail: "after its last"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.ntlm == nil {
				c.ntlm = ntlmScript(&fakeNTLMContext{fakeContext{mechanism: "NTLM"}})
			}
			a := spnego.NewAcceptor(mechanisms(t, nil, c.ntlm)...)
			run(t, a, append(slices.Clone(c.before), leg{token: c.token, status: c.status, detail: c.detail})...)
			run(t, a, leg{token: c.token, status: gss.ErrDefectiveToken, detail: "after the end of the handshake"})
		})
	}
}

// TestErrorNamesTheInitiator proves that a refusal after the mechanism has ended says whom it has proved.
func TestErrorNamesTheInitiator(t *testing.T) {
	a := spnego.NewAcceptor(mechanisms(t, nil, ntlmScript(&fakeNTLMContext{fakeContext{mechanism: "NTLM"}}))...)
	if _, _, err := a.Accept(t.Context(), initToken(mechTypeList(spnego.NTLM), octets(2, []byte(negotiate)))); err != nil {
		t.Fatal(err)
	}
	_, _, err := a.Accept(t.Context(), respToken(octets(2, []byte(authenticate)), octets(3, []byte("wrong"))))
	if refusal, ok := errors.AsType[*gss.Error](err); !ok || refusal.Mechanism != "NTLM" || refusal.Name != "Administrator" {
		t.Errorf("the error is %+v", err)
	}
}

// TestLegs proves that an initiator cannot go on for ever.
func TestLegs(t *testing.T) {
	endless := slices.Repeat([]exchange{{token: negotiate, reply: challenge}}, 10)
	for name, tokens := range map[string]func(leg int) []byte{
		"alone": func(int) []byte { return []byte(negotiate) },
		"in SPNEGO": func(leg int) []byte {
			if leg == 0 {
				return initToken(mechTypeList(spnego.NTLM), octets(2, []byte(negotiate)))
			}
			return respToken(octets(2, []byte(negotiate)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := spnego.NewAcceptor(mechanisms(t, nil, endless)...)
			for leg := range 10 {
				if _, _, err := a.Accept(t.Context(), tokens(leg)); err != nil {
					t.Fatalf("leg %d: %v", leg+1, err)
				}
			}
			run(t, a, leg{token: tokens(10), status: gss.ErrDefectiveToken, detail: "no context after 10 tokens"})
		})
	}
}

// TestCutAndLengthened proves that a token with a byte less or more is refused, wherever it is cut.
func TestCutAndLengthened(t *testing.T) {
	list := mechTypeList(negoEx, spnego.NTLM)
	tokens := [][]byte{
		initToken(list, tlv(0xa1, tlv(3, []byte("\x01\x62"))), octets(2, []byte("of NegoEx")), octets(3, nil), tlv(0xa4, tlv(5))),
		respToken(state(1), tlv(0xa1, oid(spnego.NTLM)), octets(2, []byte(negotiate))),
		respToken(octets(2, []byte(authenticate)), octets(3, mic("initiator", list)), tlv(0xa4, tlv(5))),
	}
	check := func(t *testing.T, before [][]byte, token []byte) {
		t.Helper()
		a := spnego.NewAcceptor(mechanisms(t, kerberosScript(nil), ntlmScript(&fakeNTLMContext{}))...)
		for _, token := range before {
			if _, _, err := a.Accept(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
		run(t, a, leg{token: token, status: gss.ErrDefectiveToken})
	}
	for i, token := range tokens {
		for n := range token {
			check(t, tokens[:i], token[:n])
		}
		check(t, tokens[:i], append(bytes.Clone(token), 0))
	}
	for n := range len(apReq) {
		check(t, nil, []byte(apReq[:n]))
	}
	check(t, nil, []byte(apReq+"\x00"))
}
