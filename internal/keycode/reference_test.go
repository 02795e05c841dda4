package keycode_test

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"calkeeper/internal/keycode"
)

// This file is a second, slow implementation of docs/codes.md, written with strings
// of bits and the schoolbook method, and HKDF by its definition. The package is held
// against it.

const refAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// The key pairs of RFC 7748 section 6.1: Alice is the license server, Bob the clearinghouse.
const (
	serverPrivate        = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
	clearinghousePrivate = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"
)

func mustKey(t testing.TB, hexKey string) *ecdh.PrivateKey {
	t.Helper()
	raw, err := hex.DecodeString(hexKey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdh.X25519().NewPrivateKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// keyFrom makes a different key pair for each n.
func keyFrom(t testing.TB, n byte) *ecdh.PrivateKey {
	t.Helper()
	raw := sha256.Sum256([]byte{'t', 'e', 's', 't', n})
	return mustKey(t, hex.EncodeToString(raw[:]))
}

// testSecret is the secret of the RFC 7748 pairs.
func testSecret(t testing.TB) keycode.Secret {
	t.Helper()
	server, house := mustKey(t, serverPrivate), mustKey(t, clearinghousePrivate)
	secret, err := keycode.Agree(server, server.PublicKey(), house.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// refTimes multiplies in GF(2)[x]/(x^5+x^2+1).
func refTimes(a, b int) int {
	product := 0
	for ; b > 0; b >>= 1 {
		if b&1 == 1 {
			product ^= a
		}
		a <<= 1
		if a >= 32 {
			a ^= 0b100101
		}
	}
	return product
}

func refCheck(c [4]int, index int) int {
	return refTimes(2, c[0]) ^ refTimes(4, c[1]) ^ refTimes(8, c[2]) ^ refTimes(15, c[3]) ^ (index + 1)
}

// refRender writes a string of bits, a multiple of 20, as groups.
func refRender(bits string) string {
	var out strings.Builder
	for i := 0; i < len(bits); i += 20 {
		var c [4]int
		for k := range c {
			v, err := strconv.ParseUint(bits[i+5*k:i+5*k+5], 2, 5)
			if err != nil {
				panic(err)
			}
			c[k] = int(v)
			out.WriteByte(refAlphabet[v])
		}
		out.WriteByte(refAlphabet[refCheck(c, i/20)])
	}
	return out.String()
}

// otherGroup returns text with other data in one group (place counts from 0) and
// the check character that is right for it.
func otherGroup(text string, place int) string {
	var c [4]int
	for k := range c {
		c[k] = strings.IndexByte(refAlphabet, text[5*place+k])
	}
	c[3] ^= 1
	group := text[5*place:5*place+3] + string(refAlphabet[c[3]]) + string(refAlphabet[refCheck(c, place)])
	return text[:5*place] + group + text[5*place+5:]
}

func refHMAC(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}

// refDerive is HKDF of RFC 5869 with an empty salt and one block of output.
func refDerive(t testing.TB, info string) []byte {
	t.Helper()
	server, house := mustKey(t, serverPrivate), mustKey(t, clearinghousePrivate)
	shared, err := server.ECDH(house.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return refHMAC(refHMAC(make([]byte, 32), shared), append([]byte(info), 1))
}

func refParties(t testing.TB) string {
	t.Helper()
	return string(mustKey(t, serverPrivate).PublicKey().Bytes()) + string(mustKey(t, clearinghousePrivate).PublicKey().Bytes())
}

// refSeal seals any kind and format version, known or not, for testSecret.
func refSeal(t testing.TB, format int, c keycode.Code, context string) string {
	t.Helper()
	data := fmt.Sprintf("%04b%03b%04b%02b%020b%032b%011b",
		c.Kind, format, c.ProductVersion, c.ProductType, c.Quantity, c.Serial, c.ExpiryMonth)
	n, ok := new(big.Int).SetString(data+"0000", 2)
	if !ok || len(data) != 76 {
		t.Fatalf("%d data bits: %s", len(data), data)
	}
	message := append(n.FillBytes(make([]byte, 10)), 0)
	key := refDerive(t, "calkeeper code v1"+refParties(t))
	mac := new(big.Int).SetBytes(refHMAC(key, append(message, context...))[:8])
	return refRender(data + fmt.Sprintf("%064b", mac))
}
