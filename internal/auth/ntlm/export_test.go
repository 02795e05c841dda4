package ntlm

import (
	"encoding/hex"

	"calkeeper/internal/auth/gss"
)

// Keys returns what MS-NLMP 3.3.2 and 3.4.5 compute, as hexadecimal digits: ResponseKeyNT, the SessionBaseKey of a proof, and of an
// ExportedSessionKey the client's and the server's signing and sealing keys.
func Keys(password, user, domain string, proof, exported []byte) (response, base string, derived [4]string) {
	key := responseKey(NTHash(password), utf16Units(user), utf16Units(domain))
	for i, constant := range []string{clientSigning, serverSigning, clientSealing, serverSealing} {
		derived[i] = hex.EncodeToString(deriveKey(exported, constant))
	}
	return hex.EncodeToString(key), hex.EncodeToString(exportedSessionKey(key, proof, nil)), derived
}

func utf16Units(s string) []uint16 {
	list, _ := units(encode(s), flagUnicode, "")
	return list
}

// NewContext is the Context of an ExportedSessionKey.
func NewContext(exported []byte, keyExchange bool) *Context {
	agreed := flagSign | flagSeal | flagExtendedSessionSecurity | flag128
	if keyExchange {
		agreed |= flagKeyExchange
	}
	return newContext(gss.Initiator{Mechanism: mechanism, Name: "user"}, agreed, exported)
}
