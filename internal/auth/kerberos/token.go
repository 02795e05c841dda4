package kerberos

import (
	encodingasn1 "encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"calkeeper/internal/auth/gss"
)

// maxToken bounds an initial token, in bytes. Windows makes none longer (MaxTokenSize).
const maxToken = 65535

// The tokens' identifiers (RFC 4121, section 4.1), and the tags around them.
const (
	tokenRequest = 0x0100 // KRB_AP_REQ
	tokenReply   = 0x0200 // KRB_AP_REP

	tagInitialToken = asn1.Tag(0x60) // RFC 2743, section 3.1: [APPLICATION 0]
	tagRequest      = asn1.Tag(0x6e) // RFC 4120, section 5.10: [APPLICATION 14]
)

// objectIdentifier of the mechanism (RFC 4121, section 1).
var objectIdentifier = encodingasn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2}

// parseInitialToken returns the KRB_AP_REQ of an initial token.
func parseInitialToken(token []byte) (message []byte, err error) {
	if len(token) > maxToken {
		return nil, refuse(gss.ErrDefectiveToken, "the token has %d bytes, at most %d are taken", len(token), maxToken)
	}
	s := cryptobyte.String(token)
	var inner, request cryptobyte.String
	var oid encodingasn1.ObjectIdentifier
	if !s.ReadASN1(&inner, tagInitialToken) || !s.Empty() || !inner.ReadASN1ObjectIdentifier(&oid) {
		return nil, refuse(gss.ErrDefectiveToken, "this is no initial token of GSS-API")
	}
	if !oid.Equal(objectIdentifier) {
		return nil, refuse(gss.ErrBadMechanism, "the token is of mechanism %s, not of Kerberos v5", oid)
	}
	var id uint16
	if !inner.ReadUint16(&id) {
		return nil, refuse(gss.ErrDefectiveToken, "the token ends before its identifier")
	}
	if id != tokenRequest {
		return nil, refuse(gss.ErrDefectiveToken, "token %04x came where a KRB_AP_REQ is wanted", id)
	}
	if !inner.ReadASN1Element(&request, tagRequest) || !inner.Empty() {
		return nil, refuse(gss.ErrDefectiveToken, "the token's KRB_AP_REQ is malformed")
	}
	return request, nil
}

// marshalReplyToken frames a KRB_AP_REP.
func marshalReplyToken(message []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tagInitialToken, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(objectIdentifier)
		b.AddUint16(tokenReply)
		b.AddBytes(message)
	})
	return b.BytesOrPanic()
}
