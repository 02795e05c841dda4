package spnego

import (
	"crypto/x509"
	"fmt"

	"calkeeper/internal/auth/gss"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// OID is the object identifier of a mechanism: the contents of its DER.
type OID string

// The mechanisms that occur.
const (
	Kerberos   OID = "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"     // 1.2.840.113554.1.2.2 (RFC 4121)
	MSKerberos OID = "\x2a\x86\x48\x82\xf7\x12\x01\x02\x02"     // 1.2.840.48018.1.2.2: the same, with the mistake of Windows 2000
	NTLM       OID = "\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a" // 1.3.6.1.4.1.311.2.2.10

	oidSPNEGO OID = "\x2b\x06\x01\x05\x05\x02" // 1.3.6.1.5.5.2
)

// String returns the identifier in dotted form.
func (o OID) String() string {
	const most = 32 // bytes, far more than any mechanism has
	var oid x509.OID
	if len(o) > most || oid.UnmarshalBinary([]byte(o)) != nil {
		return fmt.Sprintf("(%d bytes that are no usual object identifier)", len(o))
	}
	return oid.String()
}

// The tags of the tokens, and the states of negTokenResp (RFC 4178, section 4.2).
const (
	tagInitialToken = asn1.Tag(0x60) // [APPLICATION 0] (RFC 2743, section 3.1)
	tagNegTokenInit = asn1.Tag(0xa0)
	tagNegTokenResp = asn1.Tag(0xa1)

	acceptCompleted  = 0
	acceptIncomplete = 1
	reject           = 2
	requestMIC       = 3

	noState = -1 // none was sent
)

// field is the tag of the field with this number.
func field(number uint8) asn1.Tag { return asn1.Tag(number).ContextSpecific().Constructed() }

// readInitialToken reads the frame of a mechanism's first token. The rest is as the mechanism defines it.
func readInitialToken(token []byte) (mechanism OID, rest cryptobyte.String, err error) {
	in := cryptobyte.String(token)
	if !in.ReadASN1(&rest, tagInitialToken) || !in.Empty() {
		return "", nil, defective("the length of the initial token is not that of what it contains")
	}
	if !readOID(&rest, &mechanism) {
		return "", nil, defective("the initial token names no mechanism")
	}
	return mechanism, rest, nil
}

// negTokenInit is what an initiator begins with (RFC 4178, section 4.2.1).
type negTokenInit struct {
	mechTypes    []OID  // at least one
	mechTypeList []byte // their DER as received, which mechListMIC is over
	mechToken    []byte // empty: none
	mechListMIC  []byte // nil: none
}

// readNegTokenInit reads a NegTokenInit, or a NegTokenInit2 (MS-SPNG 2.2.1), whose hints are for initiators.
func readNegTokenInit(in cryptobyte.String) (negTokenInit, error) {
	var t negTokenInit
	var choice, fields, list, types, ignored cryptobyte.String
	if !in.ReadASN1(&choice, tagNegTokenInit) || !in.Empty() || !choice.ReadASN1(&fields, asn1.SEQUENCE) || !choice.Empty() {
		return t, defective("there is no NegTokenInit in the initial token, or more than it")
	}
	if !fields.ReadASN1(&list, field(0)) {
		return t, defective("NegTokenInit has no mechTypes")
	}
	t.mechTypeList = list
	if !list.ReadASN1(&types, asn1.SEQUENCE) || !list.Empty() || types.Empty() {
		return t, defective("mechTypes of NegTokenInit is not a list of mechanisms")
	}
	for !types.Empty() {
		var oid OID
		if !readOID(&types, &oid) {
			return t, defective("mechanism %d of mechTypes is not an object identifier", len(t.mechTypes)+1)
		}
		t.mechTypes = append(t.mechTypes, oid)
	}
	if !fields.ReadOptionalASN1(&ignored, nil, field(1)) {
		return t, defective("reqFlags of NegTokenInit is malformed")
	}
	if !readOctets(&fields, &t.mechToken, 2) {
		return t, defective("mechToken of NegTokenInit is malformed")
	}
	mic := uint8(3)
	if hints := fields; hints.ReadASN1(&ignored, field(3)) && ignored.PeekASN1Tag(asn1.SEQUENCE) {
		fields, mic = hints, 4
	}
	if !readOctets(&fields, &t.mechListMIC, mic) {
		return t, defective("mechListMIC of NegTokenInit is malformed")
	}
	if !skipExtensions(&fields, mic) {
		return t, defective("something malformed is at the end of NegTokenInit")
	}
	return t, nil
}

// negTokenResp is every later token of both sides (RFC 4178, section 4.2.2).
type negTokenResp struct {
	negState      int // noState: none
	supportedMech OID // "": none
	responseToken []byte
	mechListMIC   []byte // nil: none
}

func readNegTokenResp(token []byte) (negTokenResp, error) {
	t := negTokenResp{negState: noState}
	in := cryptobyte.String(token)
	var choice, fields, content cryptobyte.String
	var present bool
	if !in.ReadASN1(&choice, tagNegTokenResp) || !in.Empty() || !choice.ReadASN1(&fields, asn1.SEQUENCE) || !choice.Empty() {
		return t, defective("the token is not a NegTokenResp, or is more than it")
	}
	if !fields.ReadOptionalASN1(&content, &present, field(0)) || present && (!content.ReadASN1Enum(&t.negState) || !content.Empty()) ||
		present && (t.negState < acceptCompleted || t.negState > requestMIC) {
		return t, defective("negState of NegTokenResp is malformed")
	}
	if !fields.ReadOptionalASN1(&content, &present, field(1)) || present && (!readOID(&content, &t.supportedMech) || !content.Empty()) {
		return t, defective("supportedMech of NegTokenResp is malformed")
	}
	if !readOctets(&fields, &t.responseToken, 2) {
		return t, defective("responseToken of NegTokenResp is malformed")
	}
	if !readOctets(&fields, &t.mechListMIC, 3) {
		return t, defective("mechListMIC of NegTokenResp is malformed")
	}
	if !skipExtensions(&fields, 3) {
		return t, defective("something malformed is at the end of NegTokenResp")
	}
	return t, nil
}

// marshal returns the DER.
func (t negTokenResp) marshal() []byte {
	octets := func(b *cryptobyte.Builder, number uint8, content []byte) {
		b.AddASN1(field(number), func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
	}
	var b cryptobyte.Builder
	b.AddASN1(tagNegTokenResp, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(field(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(t.negState)) })
			if t.supportedMech != "" {
				b.AddASN1(field(1), func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(t.supportedMech)) })
				})
			}
			if len(t.responseToken) > 0 {
				octets(b, 2, t.responseToken)
			}
			if t.mechListMIC != nil {
				octets(b, 3, t.mechListMIC)
			}
		})
	})
	return b.BytesOrPanic() // it would if a length needed more than 4 bytes
}

func readOID(in *cryptobyte.String, oid *OID) bool {
	var contents cryptobyte.String
	ok := in.ReadASN1(&contents, asn1.OBJECT_IDENTIFIER) && !contents.Empty()
	*oid = OID(contents)
	return ok
}

// readOctets reads an optional field that is an OCTET STRING. Without it octets are nil.
func readOctets(in *cryptobyte.String, octets *[]byte, number uint8) bool {
	var present bool
	if !in.ReadOptionalASN1OctetString(octets, &present, field(number)) {
		return false
	}
	if present && *octets == nil {
		*octets = []byte{}
	}
	return true
}

// skipExtensions reads well-formed fields beyond the last that is known, which are to be ignored (RFC 4178, section 6).
func skipExtensions(in *cryptobyte.String, last uint8) bool {
	for !in.Empty() {
		var tag asn1.Tag
		var ignored cryptobyte.String
		if !in.ReadAnyASN1(&ignored, &tag) || tag <= field(last) {
			return false
		}
	}
	return true
}

// defective refuses a token.
func defective(format string, a ...any) error {
	return &gss.Error{Status: gss.ErrDefectiveToken, Detail: "SPNEGO: " + fmt.Sprintf(format, a...)}
}
