package kerberos

import (
	"encoding/binary"
	"slices"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/adtype"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/types"

	"calkeeper/internal/auth/gss"
)

// The types of a PAC's buffers (MS-PAC 2.4).
const (
	bufferLogonInfo       = 1
	bufferServerSignature = 6
	bufferKDCSignature    = 7
)

// readSIDs returns the SIDs of user and groups that the PAC in a ticket has. A ticket without a PAC, or a PAC without logon information,
// as MIT's KDC makes it, has none.
func readSIDs(data types.AuthorizationData, key types.EncryptionKey) ([]string, error) {
	found, err := findPAC(data)
	if err != nil || found == nil {
		return nil, err
	}
	buffers, err := verifyPAC(found, key)
	if err != nil {
		return nil, err
	}
	logon, ok := buffers[bufferLogonInfo]
	if !ok {
		return nil, nil
	}
	return parseLogonInfo(logon)
}

// findPAC returns the PAC in a ticket's authorization data, nil if there is none (MS-PAC 1.3).
func findPAC(data types.AuthorizationData) (found []byte, err error) {
	for _, outer := range data {
		if outer.ADType != adtype.ADIfRelevant {
			continue
		}
		var inner types.AuthorizationData
		if err := inner.Unmarshal(outer.ADData); err != nil {
			return nil, refuse(gss.ErrDefectiveToken, "the ticket's authorization data are malformed")
		}
		for _, entry := range inner {
			if entry.ADType != adtype.ADWin2KPAC {
				continue
			}
			if found != nil {
				return nil, refuse(gss.ErrDefectiveToken, "the ticket has more than one PAC")
			}
			found = entry.ADData
		}
	}
	return found, nil
}

// verifyPAC checks the server's signature of a PAC and returns its buffers by type (MS-PAC 2.3 and 2.8). The KDC's signature is for others:
// its key is the KDC's own.
func verifyPAC(data []byte, key types.EncryptionKey) (map[uint32][]byte, error) {
	malformed := refuse(gss.ErrDefectiveToken, "the PAC is malformed")
	const head, entry = 8, 16 // lengths
	if len(data) < head || binary.LittleEndian.Uint32(data[4:]) != 0 {
		return nil, malformed
	}
	count := uint64(binary.LittleEndian.Uint32(data))
	if count > uint64(len(data)-head)/entry {
		return nil, malformed
	}
	buffers := map[uint32][]byte{}
	var signature []byte
	signed := slices.Clone(data) // with signatures of zeros
	for info := range slices.Chunk(data[head:head+count*entry], entry) {
		kind, size := binary.LittleEndian.Uint32(info), uint64(binary.LittleEndian.Uint32(info[4:]))
		offset := binary.LittleEndian.Uint64(info[8:])
		if offset > uint64(len(data)) || size > uint64(len(data))-offset || buffers[kind] != nil {
			return nil, malformed
		}
		buffers[kind] = signed[offset : offset+size]
		if kind == bufferServerSignature || kind == bufferKDCSignature {
			n := signatureLength(data[offset : offset+size])
			if n < 0 {
				return nil, malformed
			}
			if kind == bufferServerSignature {
				signature = data[offset : offset+4+uint64(n)]
			}
			clear(signed[offset+4 : offset+4+uint64(n)])
		}
	}
	if signature == nil {
		return nil, refuse(gss.ErrDefectiveCred, "the PAC has no server signature")
	}
	e, err := crypto.GetEtype(key.KeyType)
	if err != nil {
		return nil, refuse(gss.ErrDefectiveCred, "%v", err)
	}
	if int32(binary.LittleEndian.Uint32(signature)) != e.GetHashID() ||
		!e.VerifyChecksum(key.KeyValue, signed, signature[4:], keyusage.KERB_NON_KERB_CKSUM_SALT) {
		return nil, refuse(gss.ErrDefectiveCred, "the PAC's server signature is wrong")
	}
	return buffers, nil
}

// signatureLength returns the length of the signature in a PAC_SIGNATURE_DATA (MS-PAC 2.8), after 4 bytes for its type; -1 if it is
// not all there, or of an unknown type.
func signatureLength(buffer []byte) int {
	if len(buffer) < 4 {
		return -1
	}
	n := -1
	switch int32(binary.LittleEndian.Uint32(buffer)) {
	case chksumtype.HMAC_SHA1_96_AES128, chksumtype.HMAC_SHA1_96_AES256:
		n = 12
	case chksumtype.KERB_CHECKSUM_HMAC_MD5, chksumtype.HMAC_SHA256_128_AES128:
		n = 16
	case chksumtype.HMAC_SHA384_192_AES256:
		n = 24
	}
	if len(buffer) < 4+n {
		return -1
	}
	return n
}
