package keycode

import (
	"crypto/ecdh"
	"fmt"
)

const (
	keyLen        = 32 // bytes of an X25519 public key, RFC 7748 section 6.1
	productGroups = maxGroups
)

// ProductID returns the product ID of the license server with this X25519 public
// key: 65 characters that hold the key itself, so that a clearinghouse that is given
// it by telephone can agree on a secret at once. For nil, or a key of another curve,
// it returns "".
func ProductID(pub *ecdh.PublicKey) string {
	if pub == nil || pub.Curve() != ecdh.X25519() {
		return ""
	}
	var groups [productGroups]uint32
	key := pub.Bytes()
	for bit := range productGroups * 20 {
		if bit < 8*keyLen && key[bit/8]>>(7-bit%8)&1 == 1 {
			groups[bit/20] |= 1 << (19 - bit%20)
		}
	}
	return render(groups[:])
}

// ParseProductID returns the X25519 public key that a product ID holds. It takes the
// bare 65 characters in upper or lower case; the error is a *FormatError. A key has
// exactly one product ID: the four bits after the key must be zero, and the key must
// be a number below 2^255-19. Keys of low order are refused later, by Agree.
func ParseProductID(s string) (*ecdh.PublicKey, error) {
	var groups [productGroups]uint32
	if _, err := scan(groups[:], ObjectProductID, s); err != nil {
		return nil, err
	}
	if groups[productGroups-1]&0xf != 0 {
		return nil, &FormatError{Object: ObjectProductID, Reason: ReasonPadding, Length: len(s), Want: len(s), Group: productGroups}
	}
	var key [keyLen]byte
	for bit := range 8 * keyLen {
		key[bit/8] |= byte(groups[bit/20]>>(19-bit%20)&1) << (7 - bit%8)
	}
	if !isReduced(&key) {
		return nil, &FormatError{Object: ObjectProductID, Reason: ReasonKey, Length: len(s), Want: len(s)}
	}
	pub, err := ecdh.X25519().NewPublicKey(key[:])
	if err != nil {
		return nil, fmt.Errorf("product ID: %w", err)
	}
	return pub, nil
}

// isReduced reports whether key, a little-endian number, is below 2^255-19.
func isReduced(key *[keyLen]byte) bool {
	if key[keyLen-1] != 0x7f {
		return key[keyLen-1] < 0x7f
	}
	for _, b := range key[1 : keyLen-1] {
		if b != 0xff {
			return true
		}
	}
	return key[0] < 0xed
}
