package ntlm

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
	"unicode"
	"unicode/utf16"
)

// maxMessage bounds a message, in bytes; those of real clients have less than 1 KiB.
const maxMessage = 16 << 10

// The messages' types (MS-NLMP 2.2.1).
const (
	typeNegotiate    = 1
	typeChallenge    = 2
	typeAuthenticate = 3
)

// magic is the field Signature of all messages.
const magic = "NTLMSSP\x00"

// defective says what is malformed in a message.
type defective string

// Error returns it.
func (d defective) Error() string { return string(d) }

// header checks signature and type of a message, and that it has at least so many bytes.
func header(message []byte, kind uint32, name string, size int) error {
	switch {
	case len(message) > maxMessage:
		return defective(fmt.Sprintf("a message of %d bytes is longer than %d", len(message), maxMessage))
	case len(message) < len(magic)+4 || string(message[:len(magic)]) != magic:
		return defective("it does not begin as an NTLM message")
	case binary.LittleEndian.Uint32(message[len(magic):]) != kind:
		return defective(fmt.Sprintf("type %d in place of %s", binary.LittleEndian.Uint32(message[len(magic):]), name))
	case len(message) < size:
		return defective(fmt.Sprintf("%s of %d bytes, which is less than %d", name, len(message), size))
	}
	return nil
}

// parseNegotiate returns the flags of a NEGOTIATE_MESSAGE (section 2.2.1.1). What else it has, the client's workstation and the like, is
// for nothing but a server's log, and is often not there.
func parseNegotiate(message []byte) (flags, error) {
	if err := header(message, typeNegotiate, "NEGOTIATE_MESSAGE", 16); err != nil {
		return 0, err
	}
	return flags(binary.LittleEndian.Uint32(message[12:])), nil
}

// appendChallenge makes a CHALLENGE_MESSAGE (section 2.2.1.2). The target's name is that of the server, for those that asked.
func appendChallenge(message []byte, chosen flags, nonce [8]byte, computer string, targetInfo []byte) []byte {
	const payload = 56
	var target []byte
	switch {
	case chosen&flagRequestTarget == 0:
	case chosen&flagUnicode != 0:
		target = encode(computer)
	default:
		target = []byte(computer)
	}
	message = append(message, magic...)
	message = binary.LittleEndian.AppendUint32(message, typeChallenge)
	message = appendField(message, len(target), payload)
	message = binary.LittleEndian.AppendUint32(message, uint32(chosen))
	message = append(message, nonce[:]...)
	message = append(message, make([]byte, 8)...)
	message = appendField(message, len(targetInfo), payload+len(target))
	version := make([]byte, 8) // section 2.2.2.10: only for debugging
	if chosen&flagVersion != 0 {
		version = []byte{10, 0, 0, 0, 0, 0, 0, 15} // 10.0, NTLMSSP_REVISION_W2K3
	}
	message = append(message, version...)
	message = append(message, target...)
	return append(message, targetInfo...)
}

func appendField(message []byte, length, offset int) []byte {
	message = binary.LittleEndian.AppendUint16(message, uint16(length))
	message = binary.LittleEndian.AppendUint16(message, uint16(length))
	return binary.LittleEndian.AppendUint32(message, uint32(offset))
}

// authenticate is an AUTHENTICATE_MESSAGE (section 2.2.1.3).
type authenticate struct {
	lmResponse, ntResponse, domain, user, sessionKey []byte
	flags                                            flags
	// payload is where the first field begins: it tells which of Version and MIC stand before it.
	payload int
}

// minAuthenticate is up to NegotiateFlags: some clients leave out Version and MIC.
const minAuthenticate = 64

// parseAuthenticate reads the message. Fields that reach out of it, or into another, are refused.
func parseAuthenticate(message []byte) (m authenticate, err error) {
	if err := header(message, typeAuthenticate, "AUTHENTICATE_MESSAGE", minAuthenticate); err != nil {
		return m, err
	}
	type span struct {
		name       string
		begin, end int
	}
	var spans []span
	var workstation []byte
	for i, f := range []struct {
		name string
		to   *[]byte
	}{
		{"LmChallengeResponse", &m.lmResponse}, {"NtChallengeResponse", &m.ntResponse}, {"DomainName", &m.domain},
		{"UserName", &m.user}, {"Workstation", &workstation}, {"EncryptedRandomSessionKey", &m.sessionKey},
	} {
		at := 12 + 8*i
		length := int(binary.LittleEndian.Uint16(message[at:]))
		offset := int64(binary.LittleEndian.Uint32(message[at+4:]))
		if length == 0 {
			continue // with any offset
		}
		if offset < minAuthenticate || offset > int64(len(message)-length) {
			return m, defective(fmt.Sprintf("AUTHENTICATE_MESSAGE: %s of %d bytes at %d, in %d bytes", f.name, length, offset, len(message)))
		}
		begin := int(offset)
		*f.to = message[begin : begin+length]
		spans = append(spans, span{f.name, begin, begin + length})
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.begin, b.begin) })
	m.payload = len(message)
	for i, s := range spans {
		if i > 0 && s.begin < spans[i-1].end {
			return m, defective(fmt.Sprintf("AUTHENTICATE_MESSAGE: %s and %s overlap", spans[i-1].name, s.name))
		}
		m.payload = min(m.payload, s.begin)
	}
	m.flags = flags(binary.LittleEndian.Uint32(message[60:]))
	return m, nil
}

// mic returns where the MIC is, 0 if there is no room for one. It stands behind Version, or where clients leave that out, in its place.
func (m authenticate) mic() int {
	switch {
	case m.payload >= 72+16:
		return 72
	case m.payload >= 64+16:
		return 64
	}
	return 0
}

// The AvId of AV_PAIR (section 2.2.2.1).
const (
	avEOL             = 0
	avNbComputerName  = 1
	avNbDomainName    = 2
	avDNSComputerName = 3
	avDNSDomainName   = 4
	avFlags           = 6
	avTimestamp       = 7
	avChannelBindings = 10
)

// avFlagMIC of MsvAvFlags says that the message has a MIC.
const avFlagMIC = 2

// maxAVPairs bounds a list; MS-NLMP knows ten.
const maxAVPairs = 32

func appendAVPair(list []byte, id uint16, value []byte) []byte {
	list = binary.LittleEndian.AppendUint16(list, id)
	list = binary.LittleEndian.AppendUint16(list, uint16(len(value)))
	return append(list, value...)
}

// clientChallenge is what is used of NTLMv2_CLIENT_CHALLENGE (section 2.2.2.7).
type clientChallenge struct {
	timestamp []byte // MsvAvTimestamp, nil without
	mic       bool   // MsvAvFlags
	bindings  []byte // MsvAvChannelBindings, nil without
}

// parseClientChallenge reads what follows NTProofStr in NTLMv2_RESPONSE (section 2.2.2.8). Behind the list's end clients put zeros, which
// MS-NLMP has in section 3.3.2, though not in the structure; and not all the same number.
func parseClientChallenge(blob []byte) (c clientChallenge, err error) {
	const list = 28
	if len(blob) < list {
		return c, defective(fmt.Sprintf("NTLMv2_CLIENT_CHALLENGE of %d bytes, which is less than %d", len(blob), list))
	}
	if blob[0] != 1 || blob[1] != 1 {
		return c, defective(fmt.Sprintf("NTLMv2_CLIENT_CHALLENGE of the type %d, %d, which is not 1, 1", blob[0], blob[1]))
	}
	seen := map[uint16]bool{}
	for rest := blob[list:]; ; {
		if len(rest) < 4 {
			return c, defective("NTLMv2_CLIENT_CHALLENGE: the AV_PAIRs have no MsvAvEOL")
		}
		id, length := binary.LittleEndian.Uint16(rest), int(binary.LittleEndian.Uint16(rest[2:]))
		if id == avEOL {
			return c, nil
		}
		switch {
		case len(rest)-4 < length:
			return c, defective(fmt.Sprintf("NTLMv2_CLIENT_CHALLENGE: AV_PAIR %d of %d bytes, where %d are left", id, length, len(rest)-4))
		case seen[id]:
			return c, defective(fmt.Sprintf("NTLMv2_CLIENT_CHALLENGE: a second AV_PAIR %d", id))
		case len(seen) == maxAVPairs:
			return c, defective(fmt.Sprintf("NTLMv2_CLIENT_CHALLENGE: more than %d AV_PAIRs", maxAVPairs))
		}
		seen[id] = true
		value := rest[4 : 4+length]
		rest = rest[4+length:]
		want := length
		switch id {
		case avFlags:
			if want = 4; length == want {
				c.mic = binary.LittleEndian.Uint32(value)&avFlagMIC != 0
			}
		case avTimestamp:
			want, c.timestamp = 8, value
		case avChannelBindings:
			want, c.bindings = 16, value
		}
		if length != want {
			return c, defective(fmt.Sprintf("NTLMv2_CLIENT_CHALLENGE: AV_PAIR %d of %d bytes, which is not %d", id, length, want))
		}
	}
}

// fileTime is FILETIME (MS-DTYP 2.3.3): 100 nanoseconds since 1601, UTC.
func fileTime(t time.Time) []byte {
	const epoch = 11_644_473_600 // seconds from 1601 to 1970
	return binary.LittleEndian.AppendUint64(nil, uint64((t.Unix()+epoch)*1e7+int64(t.Nanosecond()/100)))
}

// encode returns UTF-16LE.
func encode(s string) []byte {
	var b []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return b
}

// units returns a string of an AUTHENTICATE_MESSAGE in the encoding that was agreed on. OEM is a code page that only the client knows:
// of that ASCII is understood, which all of them share.
func units(text []byte, agreed flags, name string) ([]uint16, error) {
	var list []uint16
	if agreed&flagUnicode == 0 {
		for _, b := range text {
			if b > unicode.MaxASCII {
				return nil, defective(fmt.Sprintf("AUTHENTICATE_MESSAGE: %s has OEM characters beyond ASCII; the client should offer UNICODE", name))
			}
			list = append(list, uint16(b))
		}
		return list, nil
	}
	if len(text)%2 != 0 {
		return nil, defective(fmt.Sprintf("AUTHENTICATE_MESSAGE: %s has %d bytes, which is no UTF-16", name, len(text)))
	}
	for i := 0; i < len(text); i += 2 {
		list = append(list, binary.LittleEndian.Uint16(text[i:]))
	}
	return list, nil
}
