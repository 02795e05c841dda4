package accounts

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"calkeeper/internal/auth"
	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/ntlm"
	"calkeeper/internal/privatefile"
	"calkeeper/internal/store"
)

const keyLength = 32

// errNoNTHash is why NTLM is refused where the account or the key is missing: one text for all.
var errNoNTHash = fmt.Errorf("%w: no account of that name takes NTLM", gss.ErrDefectiveCred)

// NTHash returns the NT hash of a local account that has opted in to NTLM: what a mechanism needs to verify a response. The address that
// the Origin of ctx names is held back as with Password. The error wraps gss.ErrDefectiveCred if there is none, whatever the reason; it is
// an *auth.LockedError while nothing is checked, or the store's.
func (s *Service) NTHash(ctx context.Context, user string) (hash [16]byte, err error) {
	from := attempt{Attempt: auth.Attempt{Remote: store.OriginOf(ctx).Remote, Mechanism: "NTLM"}, name: user}
	if _, _, wait := s.held(from); wait > 0 {
		return hash, &auth.LockedError{Wait: wait}
	}
	a, err := s.find(ctx, user)
	if err != nil {
		return hash, err
	}
	// As much is done for an account that there is not, or that has not opted in.
	sealed := a.NTHash
	if sealed == nil {
		sealed = make([]byte, 12+len(hash)+16)
	}
	text, err := s.unseal(a.Name, sealed)
	// Others may have failed while the store and the key were read: many guesses at once must not be more than one after the other.
	if _, _, wait := s.held(from); wait > 0 {
		return hash, &auth.LockedError{Wait: wait}
	}
	switch {
	case a.NTHash == nil || err == nil && len(text) != len(hash):
		return hash, errNoNTHash
	case err != nil:
		s.Logger.Error("accounts: NTLM is refused: the NT hash cannot be decrypted; restore the key file, or set the password anew after `calkeeper account set --no-ntlm`",
			"account", a.Name, "file", s.KeyFile, "error", err)
		return hash, errNoNTHash
	}
	return [16]byte(text), nil
}

// seal encrypts the NT hash of an account's password. mayMake allows to make the key: nothing is encrypted with one yet.
func (s *Service) seal(name, password string, mayMake bool) ([]byte, error) {
	key, err := s.key()
	if errors.Is(err, fs.ErrNotExist) && mayMake {
		key, err = s.makeKey()
	}
	if err != nil {
		return nil, err
	}
	hash := ntlm.NTHash(password)
	return key.Seal(nil, nil, hash[:], additional(name)), nil
}

func (s *Service) unseal(name string, sealed []byte) ([]byte, error) {
	key, err := s.key()
	if err != nil {
		return nil, err
	}
	return key.Open(nil, nil, sealed, additional(name))
}

// additional binds what is encrypted to its account.
func additional(name string) []byte { return []byte(strings.ToLower(name)) }

// key reads the key at each use: it may lie on a disk that comes and goes.
func (s *Service) key() (cipher.AEAD, error) {
	text, err := os.ReadFile(s.KeyFile)
	if err != nil {
		return nil, err
	}
	if len(text) != keyLength {
		return nil, fmt.Errorf("the key file %s has %d bytes; it must have %d", s.KeyFile, len(text), keyLength)
	}
	return aead(text)
}

func (s *Service) makeKey() (cipher.AEAD, error) {
	text := make([]byte, keyLength)
	rand.Read(text)
	if err := privatefile.Write(s.KeyFile, text); err != nil {
		return nil, err
	}
	return aead(text)
}

// aead is AES-256-GCM; the nonces are random.
func aead(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
