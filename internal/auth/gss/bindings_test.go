package gss_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/auth/gss"
)

// certificate returns a certificate of that key, with that signature.
func certificate(t *testing.T, key crypto.Signer, algorithm x509.SignatureAlgorithm) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), SignatureAlgorithm: algorithm, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The hash is that of the certificate's signature, but none weaker than SHA-256 (RFC 5929, section 4.1).
func TestEndPoint(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sum256 := func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
	sum384 := func(b []byte) []byte { s := sha512.Sum384(b); return s[:] }
	sum512 := func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }
	for algorithm, hash := range map[x509.SignatureAlgorithm]func([]byte) []byte{
		x509.SHA256WithRSA: sum256, x509.SHA384WithRSA: sum384, x509.SHA512WithRSA: sum512,
		x509.ECDSAWithSHA256: sum256, x509.ECDSAWithSHA384: sum384, x509.ECDSAWithSHA512: sum512,
		x509.SHA256WithRSAPSS: sum256, x509.SHA384WithRSAPSS: sum384, x509.SHA512WithRSAPSS: sum512,
	} {
		var key crypto.Signer = rsaKey
		if strings.HasPrefix(algorithm.String(), "ECDSA") {
			key = ecdsaKey
		}
		c := certificate(t, key, algorithm)
		if got := gss.EndPoint(c); !bytes.Equal(got, hash(c.Raw)) {
			t.Errorf("%s: %x, want %x", algorithm, got, hash(c.Raw))
		}
	}
	// Signatures that Go does not make any more, or that have no hash.
	for _, algorithm := range []x509.SignatureAlgorithm{
		x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.PureEd25519, x509.UnknownSignatureAlgorithm,
	} {
		c := &x509.Certificate{Raw: []byte("certificate"), SignatureAlgorithm: algorithm}
		if got := gss.EndPoint(c); !bytes.Equal(got, sum256(c.Raw)) {
			t.Errorf("%s: %x, want SHA-256", algorithm, got)
		}
	}
}

// sent is what an initiator sends for a channel: the MD5 of a gss_channel_bindings_struct, spelled out.
func sent(kind, endPoint string) []byte {
	data := kind + ":" + endPoint
	structure := "\x00\x00\x00\x00\x00\x00\x00\x00" + // initiator's address: type, length
		"\x00\x00\x00\x00\x00\x00\x00\x00" + // acceptor's address
		string([]byte{byte(len(data)), 0, 0, 0}) + data
	sum := md5.Sum([]byte(structure))
	return sum[:]
}

func TestCheck(t *testing.T) {
	const endPoint = "0123456789abcdef0123456789abcdef"
	right := sent("tls-server-end-point", endPoint)
	for name, value := range map[string][]byte{
		"right":            right,
		"none":             nil,
		"zeros":            make([]byte, 16),
		"another channel":  sent("tls-server-end-point", "another"),
		"another type":     sent("tls-unique", endPoint),
		"cut":              right[:15],
		"longer":           append(bytes.Clone(right), 0),
		"too few zeros":    make([]byte, 15),
		"one bit is other": append([]byte{right[0] ^ 1}, right[1:]...),
	} {
		none := name == "none" || name == "zeros"
		for _, test := range []struct {
			policy   gss.BindingsPolicy
			endPoint []byte
			fits     bool
		}{
			{gss.Relaxed, []byte(endPoint), none || name == "right"},
			{gss.Strict, []byte(endPoint), name == "right"},
			{gss.Off, []byte(endPoint), true},
			{gss.Relaxed, nil, none}, // a proxy has ended TLS
			{gss.Strict, nil, none},
			{gss.Off, nil, true},
			{"", []byte(endPoint), none || name == "right"}, // what is not set is no hole
		} {
			err := gss.ChannelBindings{Policy: test.policy, EndPoint: test.endPoint}.Check(value)
			if (err == nil) != test.fits || err != nil && !errors.Is(err, gss.ErrBadBindings) {
				t.Errorf("%s, policy %q, TLS %v: %v", name, test.policy, test.endPoint != nil, err)
			}
		}
	}
}

// What python3-ntlm-auth sends for a certificate of this hash, as Windows accepts it.
func TestCheckAgainstAnother(t *testing.T) {
	b := gss.ChannelBindings{Policy: gss.Strict, EndPoint: unhex(t, "e3ca49271e5089cc48ce82109f1324f41dbeddc29a777410c738f7868c4ff405")}
	if err := b.Check(unhex(t, "6ea19df066da4622051f9c4f92c6df74")); err != nil {
		t.Error(err)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
