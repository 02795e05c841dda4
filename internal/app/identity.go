package app

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/privatefile"
)

// loadIdentity reads the license server's X25519 key, which is made if the file is not there. It is kept outside of the
// database: a server that lost its database is still the same, and a copy of the database gives no key away.
func loadIdentity(path string) (*ecdh.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return key, privatefile.Write(path, []byte(base64.StdEncoding.EncodeToString(key.Bytes())+"\n"))
	}
	if err != nil {
		return nil, err
	}
	bytes, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("%s is no identity file: %w", path, err)
	}
	key, err := ecdh.X25519().NewPrivateKey(bytes)
	if err != nil {
		return nil, fmt.Errorf("%s is no identity file: %w", path, err)
	}
	return key, nil
}

// receiptKeyInfo separates the receipt key from whatever else may once be derived from the identity (RFC 5869, section 3.2).
const receiptKeyInfo = "calkeeper receipt key 1"

// receiptKey derives the Ed25519 key that signs receipts from the license server's identity: a server that lost its database
// still signs with the key that its session hosts know.
func receiptKey(identity *ecdh.PrivateKey) (ed25519.PrivateKey, error) {
	seed, err := hkdf.Key(sha256.New, identity.Bytes(), nil, receiptKeyInfo, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// loadKeys reads a clearinghouse's keys, which are made if the file is not there.
func loadKeys(path string) (clearinghouse.Keys, error) {
	text, err := os.ReadFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return clearinghouse.Keys{}, err
		}
		keys, err := clearinghouse.ParseKeys(text)
		if err != nil {
			return keys, fmt.Errorf("%s: %w", path, err)
		}
		return keys, nil
	}
	keys, err := clearinghouse.NewKeys(rand.Reader)
	if err != nil {
		return keys, err
	}
	text, err = keys.Marshal()
	if err != nil {
		return keys, err
	}
	return keys, privatefile.Write(path, text)
}
