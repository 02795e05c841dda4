package keycode

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
)

const (
	retailGroups = 5
	// retailTag is the value of the letter R, with which every retail code begins.
	retailTag = 24
	// retailDomain keeps a fingerprint apart from every other SHA-256 in the project.
	retailDomain = "calkeeper retail code v1\x00"
)

// NewRetail returns a new retail code: 25 characters, the letter R and 95 bits
// from rand. Whoever knows the code can redeem it, and only the clearinghouse, which
// keeps its Fingerprint, can tell whether it exists. rand must be a cryptographic
// source; exactly 12 bytes are read, and an error of rand is returned wrapped.
func NewRetail(rand io.Reader) (string, error) {
	if rand == nil {
		return "", fmt.Errorf("making a retail code: no source of randomness was given")
	}
	var random [12]byte
	if _, err := io.ReadFull(rand, random[:]); err != nil {
		return "", fmt.Errorf("making a retail code: reading randomness: %w", err)
	}
	// 96 bits were read; 15 go after the tag, 80 fill the other groups, and one is left out.
	first, rest := binary.BigEndian.Uint16(random[:]), random[2:]
	groups := [retailGroups]uint32{retailTag<<15 | uint32(first&0x7fff)}
	for i := range 2 {
		five := rest[5*i : 5*i+5] // 40 bits are two groups
		groups[2*i+1] = uint32(five[0])<<12 | uint32(five[1])<<4 | uint32(five[2]>>4)
		groups[2*i+2] = uint32(five[2]&0xf)<<16 | uint32(five[3])<<8 | uint32(five[4])
	}
	return render(groups[:]), nil
}

// CheckRetail checks length, alphabet, check characters and the leading R of a
// retail code and returns it in upper case. The error is a *FormatError. A code
// that passes is well-formed; only the clearinghouse knows whether it is worth anything.
func CheckRetail(s string) (canonical string, err error) {
	var groups [retailGroups]uint32
	if _, err := scan(groups[:], ObjectRetailCode, s); err != nil {
		return "", err
	}
	if groups[0]>>15 != retailTag {
		return "", &FormatError{Object: ObjectRetailCode, Reason: ReasonTag, Length: len(s), Want: len(s), Group: 1, Position: 1}
	}
	return render(groups[:]), nil
}

// Fingerprint returns the SHA-256 of "calkeeper retail code v1", a zero byte and the
// retail code in upper case. The clearinghouse stores this instead of the code. It
// needs no salt or slow hash, because a code holds 95 random bits. code should have
// passed CheckRetail; a text that has not gets a fingerprint that no retail code has.
func Fingerprint(code string) [32]byte {
	h := sha256.New()
	h.Write([]byte(retailDomain))
	var chunk [64]byte // text of any length, without a copy of it
	for len(code) > 0 {
		n := copy(chunk[:], code)
		for i, b := range chunk[:n] {
			if 'a' <= b && b <= 'z' {
				chunk[i] = b - 'a' + 'A'
			}
		}
		h.Write(chunk[:n])
		code = code[n:]
	}
	var sum [32]byte
	h.Sum(sum[:0])
	return sum
}
