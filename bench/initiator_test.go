//go:build linux

package bench_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/rc4"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/crypto/etype"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	gofork "github.com/jcmturner/gofork/encoding/asn1"

	"calkeeper/internal/auth/ntlm"
)

// sealer is the client's end of a security context.
type sealer interface {
	wrap(message []byte) (signature, sealed []byte, err error)
	unwrap(signature, sealed []byte) (message []byte, err error)
}

var (
	errChallenge = errors.New("it is no CHALLENGE_MESSAGE")
	errSealed    = errors.New("the answer is not what the license server has sealed")
)

// negotiateMessage is a NEGOTIATE_MESSAGE (MS-NLMP 2.2.1.1) that offers what Windows does, apart from Version.
func negotiateMessage() []byte {
	const offered = 0xe008_8237
	return append(binary.LittleEndian.AppendUint32([]byte("NTLMSSP\x00\x01\x00\x00\x00"), offered), make([]byte, 16)...)
}

// authenticateMessage answers a CHALLENGE_MESSAGE with NTLMv2, without a MIC, and returns the session's keys.
func authenticateMessage(challenge []byte, user, password string) (message []byte, session *ntlmSession, err error) {
	le := binary.LittleEndian
	if len(challenge) < 48 {
		return nil, nil, errChallenge
	}
	flags, nonce := le.Uint32(challenge[20:]), challenge[24:32]
	from := int(le.Uint32(challenge[44:]))
	to := from + int(le.Uint16(challenge[40:]))
	if to > len(challenge) {
		return nil, nil, errChallenge
	}
	info := challenge[from:to]
	blob := append([]byte{1, 1, 0, 0, 0, 0, 0, 0}, timestampOf(info)...)
	blob = append(blob, "CLIENTCH\x00\x00\x00\x00"...)
	blob = append(append(blob, info...), 0, 0, 0, 0)

	hash := ntlm.NTHash(password)
	key := hmacMD5(hash[:], utf16LE(strings.ToUpper(user)))
	proof := hmacMD5(key, nonce, blob)
	exported := make([]byte, 16)
	rand.Read(exported)
	encrypted := make([]byte, 16)
	newRC4(hmacMD5(key, proof)).XORKeyStream(encrypted, exported)

	const head = 64
	message = []byte("NTLMSSP\x00\x03\x00\x00\x00")
	var payload []byte
	for _, field := range [][]byte{nil, append(proof, blob...), nil, utf16LE(user), nil, encrypted} {
		message = le.AppendUint16(message, uint16(len(field)))
		message = le.AppendUint16(message, uint16(len(field)))
		message = le.AppendUint32(message, uint32(head+len(payload)))
		payload = append(payload, field...)
	}
	message = append(le.AppendUint32(message, flags), payload...)
	return message, &ntlmSession{newNTLMDirection(exported, "client-to-server"), newNTLMDirection(exported, "server-to-client")}, nil
}

// timestampOf returns MsvAvTimestamp of a list of AV_PAIRs (MS-NLMP 2.2.2.1), 0 without one.
func timestampOf(info []byte) []byte {
	for len(info) >= 4 {
		id, length := binary.LittleEndian.Uint16(info), int(binary.LittleEndian.Uint16(info[2:]))
		if info = info[4:]; id == 7 && length == 8 && len(info) >= 8 {
			return info[:8]
		}
		info = info[min(length, len(info)):]
	}
	return make([]byte, 8)
}

// ntlmSession seals and opens with extended session security and key exchange (MS-NLMP 3.4).
type ntlmSession struct{ out, in *ntlmDirection }

type ntlmDirection struct {
	signing  []byte
	cipher   *rc4.Cipher
	sequence uint32
}

func newNTLMDirection(exported []byte, name string) *ntlmDirection {
	key := func(use string) []byte {
		sum := md5.Sum(slices.Concat(exported, []byte("session key to "+name+" "+use+" key magic constant\x00")))
		return sum[:]
	}
	return &ntlmDirection{signing: key("signing"), cipher: newRC4(key("sealing"))}
}

func (d *ntlmDirection) sign(message []byte) []byte {
	sequence := binary.LittleEndian.AppendUint32(nil, d.sequence)
	d.sequence++
	sum := hmacMD5(d.signing, sequence, message)[:8]
	d.cipher.XORKeyStream(sum, sum)
	return slices.Concat([]byte{1, 0, 0, 0}, sum, sequence)
}

func (s *ntlmSession) wrap(message []byte) (signature, sealed []byte, err error) {
	sealed = make([]byte, len(message))
	s.out.cipher.XORKeyStream(sealed, message)
	return s.out.sign(message), sealed, nil
}

func (s *ntlmSession) unwrap(signature, sealed []byte) ([]byte, error) {
	message := make([]byte, len(sealed))
	s.in.cipher.XORKeyStream(message, sealed)
	if !bytes.Equal(s.in.sign(message), signature) {
		return nil, errSealed
	}
	return message, nil
}

func hmacMD5(key []byte, parts ...[]byte) []byte {
	h := hmac.New(md5.New, key)
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

func newRC4(key []byte) *rc4.Cipher {
	c, _ := rc4.NewCipher(key) // of 16 bytes: there is no error
	return c
}

func utf16LE(s string) (b []byte) {
	for _, unit := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return b
}

// The realm of the license server, what it is called there, and who comes from there.
const (
	realm            = "EXAMPLE.COM"
	servicePrincipal = "HTTP/ls1.farm.example"
	kerberosUser     = "alice"
)

// kerberosClient has a ticket for the license server, with AES-256.
type kerberosClient struct {
	ticket  messages.Ticket
	session types.EncryptionKey
}

// newKerberosClient writes the license server's keytab, and the ticket that a KDC would give with that key.
func newKerberosClient(b *testing.B, path string) *kerberosClient {
	b.Helper()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	now := time.Now().UTC()
	table := keytab.New()
	must(table.AddEntry(servicePrincipal, realm, rand.Text(), now, 1, etypeID.AES256_CTS_HMAC_SHA1_96))
	text, err := table.Marshal()
	must(err)
	must(os.WriteFile(path, text, 0o600))

	k := &kerberosClient{session: newAES256()}
	part, err := gofork.Marshal(messages.EncTicketPart{
		Flags: types.NewKrbFlags(), Key: k.session, CRealm: realm, CName: types.NewPrincipalName(1, kerberosUser), AuthTime: now,
		StartTime: now, EndTime: now.Add(24 * time.Hour),
	})
	must(err)
	k.ticket = messages.Ticket{TktVNO: 5, Realm: realm, SName: types.NewPrincipalName(2, servicePrincipal)}
	k.ticket.EncPart, err = crypto.GetEncryptedData(asn1tools.AddASNAppTag(part, 3), table.Entries[0].Key, keyusage.KDC_REP_TICKET, 1)
	must(err)
	return k
}

func newAES256() types.EncryptionKey {
	k := types.EncryptionKey{KeyType: etypeID.AES256_CTS_HMAC_SHA1_96, KeyValue: make([]byte, 32)}
	rand.Read(k.KeyValue)
	return k
}

// initialToken returns a KRB_AP_REQ as GSS-API frames it (RFC 4121, section 4.1), without mutual authentication, and the session.
func (k *kerberosClient) initialToken() (token []byte, session *kerberosSession, err error) {
	const flags = 0x3c // replay, sequence, confidentiality, integrity
	checksum := append(binary.LittleEndian.AppendUint32(nil, 16), make([]byte, 16)...)
	var number [4]byte
	rand.Read(number[:])
	now := time.Now().UTC()
	a := types.Authenticator{
		AVNO: 5, CRealm: realm, CName: types.NewPrincipalName(1, kerberosUser), SubKey: newAES256(), SeqNumber: int64(binary.BigEndian.Uint32(number[:]) >> 2),
		CTime: now.Truncate(time.Second), Cusec: now.Nanosecond() / 1000,
		Cksum: types.Checksum{CksumType: chksumtype.GSSAPI, Checksum: binary.LittleEndian.AppendUint32(checksum, flags)},
	}
	part, err := a.Marshal()
	if err != nil {
		return nil, nil, err
	}
	m := messages.APReq{PVNO: 5, MsgType: 14, APOptions: types.NewKrbFlags(), Ticket: k.ticket}
	if m.EncryptedAuthenticator, err = crypto.GetEncryptedData(part, k.session, keyusage.AP_REQ_AUTHENTICATOR, 0); err != nil {
		return nil, nil, err
	}
	message, err := m.Marshal()
	if err != nil {
		return nil, nil, err
	}
	oid, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2})
	if err != nil {
		return nil, nil, err
	}
	session = &kerberosSession{key: a.SubKey.KeyValue, out: uint64(a.SeqNumber), in: uint64(a.SeqNumber)}
	if session.etype, err = crypto.GetEtype(a.SubKey.KeyType); err != nil {
		return nil, nil, err
	}
	return asn1tools.AddASNAppTag(slices.Concat(oid, []byte{1, 0}, message), 0), session, nil
}

// kerberosSession seals and opens with the initiator's subkey (RFC 4121, section 4.2.4).
type kerberosSession struct {
	etype   etype.EType
	key     []byte
	out, in uint64
}

func (s *kerberosSession) rotation() int { return 16 + s.etype.GetHMACBitLength()/8 }

func (s *kerberosSession) wrap(message []byte) (signature, sealed []byte, err error) {
	header := binary.BigEndian.AppendUint64([]byte{5, 4, 2, 0xff, 0, 0, 0, 0}, s.out)
	s.out++
	_, body, err := s.etype.EncryptMessage(s.key, slices.Concat(message, header), keyusage.GSSAPI_INITIATOR_SEAL)
	if err != nil {
		return nil, nil, err
	}
	binary.BigEndian.PutUint16(header[6:], uint16(s.rotation()))
	end, confounder := len(body)-s.rotation(), s.etype.GetConfounderByteSize()
	return slices.Concat(header, body[end:], body[:confounder]), body[confounder:end], nil
}

func (s *kerberosSession) unwrap(signature, sealed []byte) ([]byte, error) {
	want := binary.BigEndian.AppendUint64([]byte{5, 4, 3, 0xff, 0, 0, 0, byte(s.rotation())}, s.in)
	s.in++
	if !bytes.HasPrefix(signature, want) {
		return nil, errSealed
	}
	body := slices.Concat(signature[16:], sealed)
	plain, err := s.etype.DecryptMessage(s.key, slices.Concat(body[s.rotation():], body[:s.rotation()]), keyusage.GSSAPI_ACCEPTOR_SEAL)
	if err != nil {
		return nil, err
	}
	return plain[:len(plain)-16], nil
}
