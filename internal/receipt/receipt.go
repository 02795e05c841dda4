// Package receipt signs and verifies what a session host keeps of an answer: that the license server has allowed a logon. While
// the license server cannot be reached, the host may take a receipt in its place.
//
// A receipt is a JSON Web Token (RFC 7519) in compact serialization (RFC 7515), signed with Ed25519 (RFC 8037). There is one
// header, and no other is taken: the token cannot choose how it is verified (RFC 8725, section 3.1), and its type keeps other
// tokens of the same key from passing for receipts (section 3.11). The package must not know who asks, nor how licenses are issued.
package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"time"

	"calkeeper/internal/licensing"
)

// header is the JOSE header of every receipt.
const header = `{"alg":"EdDSA","typ":"calkeeper-receipt+jwt"}`

// maxLength is the length of the longest receipt, in characters. All names at their greatest lengths, escaped, fit in.
const maxLength = 8 << 10

// skew is how far the clock of the license server may be ahead.
const skew = 5 * time.Minute

// Claims are what the license server has allowed.
type Claims struct {
	Issuer    string // the license server's name
	Host      string // the session host that asked
	ID        string // never used again
	User      string // as licensing.UserKey returns it; empty if the host named none
	Device    string // as licensing.DeviceKey returns it; empty if the host named none
	LicenseID uint32
	Issued    time.Time // in whole seconds
	Expires   time.Time // until when the receipt may stand for an answer, in whole seconds
}

// payload is Claims as the token carries them.
type payload struct {
	Issuer    string `json:"iss"`
	Host      string `json:"sub"`
	ID        string `json:"jti"`
	Issued    int64  `json:"iat"`
	Expires   int64  `json:"exp"`
	User      string `json:"user,omitempty"`
	Device    string `json:"device,omitempty"`
	LicenseID uint32 `json:"licenseId"`
	Allowed   bool   `json:"allowed"`
}

// Sign returns a receipt.
func Sign(key ed25519.PrivateKey, c Claims) string {
	text, _ := json.Marshal(payload{ // cannot fail: strings and numbers
		c.Issuer, c.Host, c.ID, c.Issued.Unix(), c.Expires.Unix(), c.User, c.Device, c.LicenseID, true,
	})
	signed := encode([]byte(header)) + "." + encode(text)
	return signed + "." + encode(ed25519.Sign(key, []byte(signed)))
}

// Verify returns what a receipt says if the license server with that key has signed it and it is valid at that instant. A Fault of
// kind Invalid says what is wrong.
func Verify(key ed25519.PublicKey, token string, now time.Time) (Claims, error) {
	if len(key) != ed25519.PublicKeySize {
		return Claims{}, licensing.Faultf(licensing.Invalid, "the key of the receipts has %d bytes, not %d", len(key), ed25519.PublicKeySize)
	}
	if len(token) > maxLength {
		return Claims{}, licensing.Faultf(licensing.Invalid, "the receipt has %d characters; at most %d are allowed", len(token), maxLength)
	}
	head, rest, _ := strings.Cut(token, ".")
	body, sig, _ := strings.Cut(rest, ".")
	if head != encode([]byte(header)) {
		return Claims{}, licensing.Faultf(licensing.Invalid, "the text is no receipt of a license server: it begins otherwise")
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(sig)
	if err != nil || encode(signature) != sig /* line breaks are skipped */ || !ed25519.Verify(key, []byte(head+"."+body), signature) {
		return Claims{}, licensing.Faultf(licensing.Invalid, "the receipt is not signed with this license server's key, or was changed")
	}
	p, err := parse(body)
	if err != nil {
		return Claims{}, err
	}
	c := Claims{p.Issuer, p.Host, p.ID, p.User, p.Device, p.LicenseID, time.Unix(p.Issued, 0).UTC(), time.Unix(p.Expires, 0).UTC()}
	switch {
	case !p.Allowed:
		return Claims{}, licensing.Faultf(licensing.Invalid, "the receipt allows nothing")
	case c.Issued.After(now.Add(skew)):
		return Claims{}, licensing.Faultf(licensing.Invalid, "the receipt is of the future (%s): is this machine's clock right?", c.Issued.Format(time.RFC3339))
	case !c.Expires.After(now):
		return Claims{}, licensing.Faultf(licensing.Invalid, "the receipt has expired on %s", c.Expires.Format(time.RFC3339))
	}
	return c, nil
}

// parse reads the payload of a token whose signature is right: it is strict so that a receipt means one thing only.
func parse(body string) (p payload, err error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err = d.Decode(&p); err == nil {
			if _, more := d.Token(); more != io.EOF {
				err = io.ErrUnexpectedEOF
			}
		}
	}
	if err != nil {
		return p, licensing.Faultf(licensing.Invalid, "the receipt says what this version does not understand")
	}
	return p, nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
