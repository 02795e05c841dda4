package keycode

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"sync"
)

const (
	// The two labels differ before either ends, so that no info given to Derive
	// can yield the key that codes are made with.
	codeLabel   = "calkeeper code v1"
	deriveLabel = "calkeeper derive v1"

	headerLen = 10 // bytes that hold the 76 data bits
	macLen    = 8  // bytes of the HMAC that a code carries
	idLen     = groupLen * codeGroups
)

// Secret is what one license server and one clearinghouse share. Agree makes it. It
// can be copied and used from many goroutines, and it never shows its key. The zero
// Secret shares nothing with anybody: Seal and Open return ErrNoSecret.
type Secret struct{ keys *keys }

type keys struct {
	prk     []byte // HKDF-Extract of the X25519 shared secret
	parties string // server public key, clearinghouse public key
	pool    sync.Pool
}

// mac is a keyed HMAC with its buffers: kept together, they cost no allocation.
type mac struct {
	hash    hash.Hash
	message [headerLen + 1 + 2*idLen]byte
	sum     [sha256.Size]byte
}

// Agree returns the Secret of the license server and the clearinghouse that have
// these X25519 public keys. own is the private key of one of the two, whichever side
// calls. It is an error if own belongs to neither or to both, if a key is missing or
// of another curve, or if the peer's key is of low order (RFC 7748 section 6.1).
//
// PRK = HKDF-Extract(SHA-256, salt "", X25519 shared secret); the key of the codes is
// HKDF-Expand(PRK, "calkeeper code v1" || server key || clearinghouse key, 32).
func Agree(own *ecdh.PrivateKey, serverPub, clearinghousePub *ecdh.PublicKey) (Secret, error) {
	switch {
	case own == nil || serverPub == nil || clearinghousePub == nil:
		return Secret{}, errors.New("key agreement: three keys are needed: own private, license server's public and clearinghouse's public")
	case own.Curve() != ecdh.X25519() || serverPub.Curve() != ecdh.X25519() || clearinghousePub.Curve() != ecdh.X25519():
		return Secret{}, errors.New("key agreement: all keys must be X25519 keys")
	case serverPub.Equal(clearinghousePub):
		return Secret{}, errors.New("key agreement: license server and clearinghouse have the same public key; each must have its own")
	}
	var peer *ecdh.PublicKey
	switch public := own.PublicKey(); {
	case public.Equal(serverPub):
		peer = clearinghousePub
	case public.Equal(clearinghousePub):
		peer = serverPub
	default:
		return Secret{}, errors.New("key agreement: the private key belongs neither to the license server's nor to the clearinghouse's public key")
	}
	shared, err := own.ECDH(peer)
	if err != nil {
		return Secret{}, fmt.Errorf("key agreement: %w", err)
	}
	prk, err := hkdf.Extract(sha256.New, shared, nil)
	if err != nil {
		return Secret{}, fmt.Errorf("key agreement: %w", err)
	}
	k := &keys{prk: prk, parties: string(serverPub.Bytes()) + string(clearinghousePub.Bytes())}
	key, err := hkdf.Expand(sha256.New, prk, codeLabel+k.parties, sha256.Size)
	if err != nil {
		return Secret{}, fmt.Errorf("key agreement: %w", err)
	}
	k.pool.New = func() any { return &mac{hash: hmac.New(sha256.New, key)} }
	return Secret{k}, nil
}

// Derive returns a further 32-byte key that is independent of the one for codes
// and of those for every other info:
//
//	HKDF-Expand(PRK, "calkeeper derive v1" || server key || clearinghouse key || info, 32)
//
// Derive panics for the zero Secret, because any key it returned would be known to all.
func (s Secret) Derive(info string) [32]byte {
	if s.keys == nil {
		panic("keycode: Derive of the zero Secret")
	}
	key, err := hkdf.Expand(sha256.New, s.keys.prk, deriveLabel+s.keys.parties+info, sha256.Size)
	if err != nil {
		panic("keycode: HKDF refused one block of SHA-256: " + err.Error())
	}
	return [32]byte(key)
}

// String returns "redacted".
func (Secret) String() string { return "redacted" }

// GoString returns "redacted".
func (Secret) GoString() string { return "redacted" }

// LogValue returns "redacted".
func (Secret) LogValue() slog.Value { return slog.StringValue("redacted") }

// mac returns the first 64 bits of HMAC-SHA256 over header || 0x00 || target || source.
// Each of the two IDs is empty or 35 bytes long. The kind is in header and decides
// which of them there are, so the concatenation can be read in one way only.
func (s Secret) mac(header [headerLen]byte, b Binding) [macLen]byte {
	m := s.keys.pool.Get().(*mac)
	message := append(m.message[:0], header[:]...)
	message = append(message, 0)
	message = append(message, b.Target...)
	message = append(message, b.Source...)
	m.hash.Reset()
	m.hash.Write(message)
	out := [macLen]byte(m.hash.Sum(m.sum[:0]))
	s.keys.pool.Put(m)
	return out
}
