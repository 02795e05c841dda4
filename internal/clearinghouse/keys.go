package clearinghouse

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"calkeeper/internal/keycode"
)

// Keys are the clearinghouse's private keys. They are kept in a file of their own, not in its database.
type Keys struct {
	Signing   ed25519.PrivateKey
	Agreement *ecdh.PrivateKey // X25519
}

// NewKeys makes keys from random bytes.
func NewKeys(random io.Reader) (Keys, error) {
	seed := make([]byte, ed25519.SeedSize+32)
	if _, err := io.ReadFull(random, seed); err != nil {
		return Keys{}, fmt.Errorf("clearinghouse keys: %w", err)
	}
	agreement, err := ecdh.X25519().NewPrivateKey(seed[ed25519.SeedSize:])
	if err != nil {
		return Keys{}, fmt.Errorf("clearinghouse keys: %w", err)
	}
	return Keys{ed25519.NewKeyFromSeed(seed[:ed25519.SeedSize]), agreement}, nil
}

type keyFile struct {
	Signing   []byte `json:"signing"`   // Ed25519 seed
	Agreement []byte `json:"agreement"` // X25519 scalar
}

// Marshal returns the keys as ParseKeys reads them.
func (k Keys) Marshal() ([]byte, error) {
	return json.Marshal(keyFile{k.Signing.Seed(), k.Agreement.Bytes()})
}

// ParseKeys reads what Marshal wrote.
func ParseKeys(text []byte) (Keys, error) {
	var f keyFile
	if err := json.Unmarshal(text, &f); err != nil || len(f.Signing) != ed25519.SeedSize {
		return Keys{}, errors.New("these are not a clearinghouse's keys")
	}
	agreement, err := ecdh.X25519().NewPrivateKey(f.Agreement)
	if err != nil {
		return Keys{}, fmt.Errorf("these are not a clearinghouse's keys: %w", err)
	}
	return Keys{ed25519.NewKeyFromSeed(f.Signing), agreement}, nil
}

// Authority is the public half of a clearinghouse: all that a license server must know, and trust, to use it.
type Authority struct {
	URL          string            `json:"url"`                    // https://host:port
	SigningKey   ed25519.PublicKey `json:"signingKey"`             // Ed25519
	AgreementKey []byte            `json:"agreementKey"`           // X25519
	Certificates string            `json:"certificates,omitempty"` // PEM: what to trust for TLS instead of the system's roots
}

// Authority returns the public half of the keys. URL and Certificates are the server's to fill in.
func (k Keys) Authority() Authority {
	return Authority{
		SigningKey:   k.Signing.Public().(ed25519.PublicKey),
		AgreementKey: k.Agreement.PublicKey().Bytes(),
	}
}

// Secret agrees with a clearinghouse on the secret that codes and requests of the license server with this key are bound to.
func (a Authority) Secret(own *ecdh.PrivateKey) (keycode.Secret, error) {
	public, err := ecdh.X25519().NewPublicKey(a.AgreementKey)
	if err != nil {
		return keycode.Secret{}, fmt.Errorf("the clearinghouse's agreement key: %w", err)
	}
	return keycode.Agree(own, own.PublicKey(), public)
}

// Check tells whether the document is complete.
func (a Authority) Check() error {
	if len(a.SigningKey) != ed25519.PublicKeySize {
		return errors.New("the authority document has no Ed25519 signingKey of 32 bytes")
	}
	if _, err := ecdh.X25519().NewPublicKey(a.AgreementKey); err != nil {
		return errors.New("the authority document has no X25519 agreementKey of 32 bytes")
	}
	return nil
}
