package ntlm_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf16"

	"golang.org/x/crypto/md4" //lint:ignore SA1019 the NT hash is MD4
)

// Bits of NegotiateFlags, as MS-NLMP 2.2.2.5 has them, from A at the right.
const (
	bitUnicode    = 0x0000_0001
	bitOEM        = 0x0000_0002
	bitTarget     = 0x0000_0004
	bitSign       = 0x0000_0010
	bitSeal       = 0x0000_0020
	bitNTLM       = 0x0000_0200
	bitAnonymous  = 0x0000_0800
	bitAlwaysSign = 0x0000_8000
	bitServer     = 0x0002_0000
	bitESS        = 0x0008_0000
	bitTargetInfo = 0x0080_0000
	bitVersion    = 0x0200_0000
	bit128        = 0x2000_0000
	bitKeyExch    = 0x4000_0000
	bit56         = 0x8000_0000

	// windows is what Windows offers.
	windows = bitUnicode | bitOEM | bitTarget | bitSign | bitSeal | bitNTLM | bitAlwaysSign | bitESS | bitVersion | bit128 | bitKeyExch | bit56
)

// initiator is a client, written apart from the package, from MS-NLMP. What the functions return is sent in place of what they are given.
type initiator struct {
	user, domain, password string
	offers                 uint32 // windows, where it is 0
	hash                   []byte // the NT hash, in place of the password's

	noMIC     bool // neither the MIC nor the flag that tells of it
	noVersion bool // leaves Version out
	nilDomain bool // has none in ResponseKeyNT
	bindings  []byte
	flags     func(uint32) uint32 // of AUTHENTICATE_MESSAGE
	pairs     func([]pair) []pair // of the response, before it is computed
	blob      func([]byte) []byte // NTLMv2_CLIENT_CHALLENGE, likewise
	response  func([]byte) []byte // NtChallengeResponse
	lm        []byte
	session   []byte // EncryptedRandomSessionKey, in place of the right one
	unsigned  bool   // the MIC's room is there, and zero

	negotiation []byte
	peer        *peer // as soon as there is an AUTHENTICATE_MESSAGE
}

type pair struct {
	id    uint16
	value []byte
}

func (i *initiator) negotiate() []byte {
	offers := i.offers
	if offers == 0 {
		offers = windows
	}
	m := append([]byte("NTLMSSP\x00\x01\x00\x00\x00"), binary.LittleEndian.AppendUint32(nil, offers)...)
	m = append(m, make([]byte, 16)...)
	i.negotiation = append(m, 10, 0, 0x61, 0x4a, 0, 0, 0, 15)
	return i.negotiation
}

var errChallenge = errors.New("not a CHALLENGE_MESSAGE")

// authenticate answers a CHALLENGE_MESSAGE.
func (i *initiator) authenticate(challenge []byte) ([]byte, error) {
	if len(challenge) < 56 || !bytes.HasPrefix(challenge, []byte("NTLMSSP\x00\x02\x00\x00\x00")) {
		return nil, errChallenge
	}
	le := binary.LittleEndian
	flags, nonce := le.Uint32(challenge[20:]), challenge[24:32]
	length, offset := int(le.Uint16(challenge[40:])), int(le.Uint32(challenge[44:]))
	if offset > len(challenge) || length > len(challenge)-offset {
		return nil, errChallenge
	}
	var pairs []pair
	timestamp := make([]byte, 8)
	for rest := challenge[offset : offset+length]; ; {
		if len(rest) < 4 || len(rest)-4 < int(le.Uint16(rest[2:])) {
			return nil, errChallenge
		}
		p := pair{le.Uint16(rest), rest[4 : 4+le.Uint16(rest[2:])]}
		if p.id == 0 {
			break
		}
		if p.id == 7 && len(p.value) == 8 {
			timestamp = p.value
		}
		pairs = append(pairs, p)
		rest = rest[4+len(p.value):]
	}
	if !i.noMIC {
		pairs = append(pairs, pair{6, []byte{2, 0, 0, 0}})
	}
	if i.bindings != nil {
		pairs = append(pairs, pair{10, i.bindings})
	}
	if i.pairs != nil {
		pairs = i.pairs(pairs)
	}
	blob := append([]byte{1, 1, 0, 0, 0, 0, 0, 0}, timestamp...)
	blob = append(blob, "CLIENTCH\x00\x00\x00\x00"...)
	for _, p := range append(pairs, pair{}) {
		blob = le.AppendUint16(blob, p.id)
		blob = le.AppendUint16(blob, uint16(len(p.value)))
		blob = append(blob, p.value...)
	}
	blob = append(blob, 0, 0, 0, 0)
	if i.blob != nil {
		blob = i.blob(blob)
	}

	hash := i.hash
	if hash == nil {
		h := md4.New()
		h.Write(utf16LE(i.password))
		hash = h.Sum(nil)
	}
	hashed := i.domain
	if i.nilDomain {
		hashed = ""
	}
	key := mac(hash, utf16LE(strings.ToUpper(i.user)), utf16LE(hashed))
	proof := mac(key, nonce, blob)
	response := append(bytes.Clone(proof), blob...)
	if i.response != nil {
		response = i.response(response)
	}
	exported := mac(key, proof)
	var session []byte
	if flags&bitKeyExch != 0 {
		session = stream(exported, []byte("a session key 16"))
		exported = []byte("a session key 16")
	}
	if i.session != nil {
		session = i.session
	}
	text := utf16LE
	if flags&bitUnicode == 0 {
		text = func(s string) []byte { return []byte(s) }
	}
	sent := flags
	if i.flags != nil {
		sent = i.flags(sent)
	}

	head := 64
	if !i.noVersion {
		head += 8
	}
	at := head
	if !i.noMIC {
		head += 16
	}
	fixed := []byte("NTLMSSP\x00\x03\x00\x00\x00")
	var payload []byte
	for _, field := range [][]byte{i.lm, response, text(i.domain), text(i.user), text("WS"), session} {
		fixed = le.AppendUint16(fixed, uint16(len(field)))
		fixed = le.AppendUint16(fixed, uint16(len(field)))
		fixed = le.AppendUint32(fixed, uint32(head+len(payload)))
		payload = append(payload, field...)
	}
	fixed = le.AppendUint32(fixed, sent)
	message := append(append(fixed, make([]byte, head-64)...), payload...)
	if !i.noMIC && !i.unsigned {
		copy(message[at:], mac(exported, i.negotiation, challenge, message))
	}
	i.peer = newPeer(exported, flags&bitKeyExch != 0)
	return message, nil
}

// peer is the client's end of a context.
type peer struct {
	out, in   half
	encrypted bool
}

type half struct {
	sign, seal []byte
	cipher     *rc4.Cipher
	sequence   uint32
}

func newPeer(exported []byte, encrypted bool) *peer {
	key := func(direction, use string) []byte {
		sum := md5.Sum(append(bytes.Clone(exported), "session key to "+direction+" "+use+" key magic constant\x00"...))
		return sum[:]
	}
	p := &peer{encrypted: encrypted}
	for direction, h := range map[string]*half{"client-to-server": &p.out, "server-to-client": &p.in} {
		h.sign, h.seal = key(direction, "signing"), key(direction, "sealing")
		h.reset()
	}
	return p
}

func (h *half) reset() { h.cipher, _ = rc4.NewCipher(h.seal) }

func (p *peer) signature(h *half, message []byte) []byte {
	sequence := binary.LittleEndian.AppendUint32(nil, h.sequence)
	h.sequence++
	sum := mac(h.sign, sequence, message)[:8]
	if p.encrypted {
		h.cipher.XORKeyStream(sum, sum)
	}
	return append(append([]byte{1, 0, 0, 0}, sum...), sequence...)
}

func (p *peer) wrap(message []byte) (signature, sealed []byte) {
	sealed = make([]byte, len(message))
	p.out.cipher.XORKeyStream(sealed, message)
	return p.signature(&p.out, message), sealed
}

func (p *peer) unwrap(signature, sealed []byte) (message []byte, ok bool) {
	message = make([]byte, len(sealed))
	p.in.cipher.XORKeyStream(message, sealed)
	return message, bytes.Equal(p.signature(&p.in, message), signature)
}

func (p *peer) mic(message []byte) []byte { return p.signature(&p.out, message) }

func (p *peer) verify(message, mic []byte) bool { return bytes.Equal(p.signature(&p.in, message), mic) }

func (p *peer) reset() {
	p.out.reset()
	p.in.reset()
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(md5.New, key)
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

func stream(key, data []byte) []byte {
	c, err := rc4.NewCipher(key)
	if err != nil {
		panic(err)
	}
	out := make([]byte, len(data))
	c.XORKeyStream(out, data)
	return out
}

func utf16LE(s string) []byte {
	var b []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		b = append(b, byte(unit), byte(unit>>8))
	}
	return b
}

// bindingsOf is MsvAvChannelBindings for tls-server-end-point of a certificate's hash.
func bindingsOf(certificate string) (endPoint, sent []byte) {
	hash := sha256.Sum256([]byte(certificate))
	data := append([]byte("tls-server-end-point:"), hash[:]...)
	sum := md5.Sum(append(append(make([]byte, 16), byte(len(data)), 0, 0, 0), data...))
	return hash[:], sum[:]
}
