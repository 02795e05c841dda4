package ntlm

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
	"unicode"
	"unicode/utf16"

	"golang.org/x/crypto/md4" //lint:ignore SA1019 the NT hash is MD4
)

// NTHash returns the NT hash of a password, NTOWFv1 (MS-NLMP 3.3.1): MD4 of its UTF-16LE. Who has the hash can log on with it, and
// needs no password.
func NTHash(password string) (hash [16]byte) {
	h := md4.New()
	h.Write(encode(password))
	h.Sum(hash[:0])
	return hash
}

// responseKey is ResponseKeyNT, NTOWFv2 (section 3.3.2), of user and domain as the client has sent them. Windows makes upper case of
// each UTF-16 unit.
func responseKey(hash [16]byte, user, domain []uint16) []byte {
	var name []byte
	for _, unit := range user {
		if upper := unicode.ToUpper(rune(unit)); !utf16.IsSurrogate(rune(unit)) && upper <= 0xffff {
			unit = uint16(upper)
		}
		name = binary.LittleEndian.AppendUint16(name, unit)
	}
	for _, unit := range domain {
		name = binary.LittleEndian.AppendUint16(name, unit)
	}
	return hmacMD5(hash[:], name)
}

func hmacMD5(key []byte, parts ...[]byte) []byte {
	h := hmac.New(md5.New, key)
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

// exportedSessionKey is the key of all messages to come: the SessionBaseKey (section 3.3.2, which with NTLMv2 is the KeyExchangeKey,
// 3.4.5.1), or one that the client has chosen and encrypted under that.
func exportedSessionKey(responseKey, proof, encrypted []byte) []byte {
	key := hmacMD5(responseKey, proof)
	if encrypted != nil {
		newRC4(key).XORKeyStream(key, encrypted)
	}
	return key
}

// The constants of SIGNKEY and SEALKEY (sections 3.4.5.2 and 3.4.5.3).
const (
	clientSigning = "session key to client-to-server signing key magic constant\x00"
	serverSigning = "session key to server-to-client signing key magic constant\x00"
	clientSealing = "session key to client-to-server sealing key magic constant\x00"
	serverSealing = "session key to server-to-client sealing key magic constant\x00"
)

// deriveKey is SIGNKEY and, of 128 bits, SEALKEY, both with extended session security.
func deriveKey(exported []byte, constant string) []byte {
	sum := md5.Sum(append(exported[:len(exported):len(exported)], constant...))
	return sum[:]
}

// newRC4 is RC4Init (section 6) of a key of 16 bytes, which has no error.
func newRC4(key []byte) *rc4.Cipher {
	cipher, _ := rc4.NewCipher(key)
	return cipher
}
