package test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/rc4"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/crypto/md4" //lint:ignore SA1019 the NT hash is MD4
)

// Bits of NegotiateFlags (MS-NLMP 2.2.2.5).
const (
	ntlmSign       = 1 << 4
	ntlmSeal       = 1 << 5
	ntlmAlwaysSign = 1 << 15
	ntlmESS        = 1 << 19
	ntlm128        = 1 << 29
	ntlmKeyExch    = 1 << 30

	ntlmOffer = 1<<0 | 1<<2 | ntlmSign | ntlmSeal | 1<<9 | ntlmAlwaysSign | ntlmESS | 1<<25 | ntlm128 | ntlmKeyExch | 1<<31
)

// ntlmClient is a client of NTLM with sealed messages, on one connection over HTTP, that can do it wrong.
type ntlmClient struct {
	t              *testing.T
	conn           net.Conn
	answers        *bufio.Reader
	user, password string
	offer          uint32 // ntlmOffer

	negotiation, challenge []byte
	exported               []byte // ExportedSessionKey
	out, in                sealing
}

// ntlmAnswer is what came back.
type ntlmAnswer struct {
	status int
	header http.Header
	body   []byte
}

// dialNTLM connects from a loopback address.
func dialNTLM(t *testing.T, server, from, user, password string) *ntlmClient {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.DialContext(t.Context(), "tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &ntlmClient{t: t, conn: conn, answers: bufio.NewReader(conn), user: user, password: password, offer: ntlmOffer}
}

// write sends a request, and read takes an answer.
func (c *ntlmClient) write(authorization, contentType string, body []byte) {
	c.t.Helper()
	head := fmt.Sprintf("POST /wsman HTTP/1.1\r\nHost: ls\r\nContent-Type: %s\r\nContent-Length: %d\r\n", contentType, len(body))
	if authorization != "" {
		head += "Authorization: " + authorization + "\r\n"
	}
	if _, err := c.conn.Write(append([]byte(head+"\r\n"), body...)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *ntlmClient) read() ntlmAnswer {
	c.t.Helper()
	r, err := http.ReadResponse(c.answers, &http.Request{Method: http.MethodPost})
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return ntlmAnswer{r.StatusCode, r.Header, body}
}

func (c *ntlmClient) send(authorization, contentType string, body []byte) ntlmAnswer {
	c.t.Helper()
	c.write(authorization, contentType, body)
	return c.read()
}

const soapXML = "application/soap+xml;charset=UTF-8"

func negotiateToken(token []byte) string {
	return "Negotiate " + base64.StdEncoding.EncodeToString(token)
}

// negotiate is the first leg.
func (c *ntlmClient) negotiate() ntlmAnswer {
	c.t.Helper()
	c.negotiation = binary.LittleEndian.AppendUint32([]byte("NTLMSSP\x00\x01\x00\x00\x00"), c.offer)
	c.negotiation = append(c.negotiation, make([]byte, 24)...)
	a := c.send(negotiateToken(c.negotiation), soapXML, nil)
	token, ok := strings.CutPrefix(a.header.Get("WWW-Authenticate"), "Negotiate ")
	if a.status == http.StatusUnauthorized && ok {
		var err error
		if c.challenge, err = base64.StdEncoding.DecodeString(token); err != nil {
			c.t.Fatal(err)
		}
	}
	return a
}

// forgery is what is wrong with an AUTHENTICATE_MESSAGE.
type forgery struct {
	drop  uint32               // flags
	noMIC bool                 // nothing says that there is one
	alter func(message []byte) // the whole message, at the end
}

// ntlmMIC is where the MIC is in an AUTHENTICATE_MESSAGE, and ntlmPayload what follows it.
const (
	ntlmMIC     = 64 + 8
	ntlmPayload = ntlmMIC + 16
)

// tellsOfMIC is MsvAvFlags in the response.
var tellsOfMIC = []byte{6, 0, 4, 0, 2, 0, 0, 0}

// authenticate returns an AUTHENTICATE_MESSAGE with a MIC (MS-NLMP 3.1.5.1.2), and sets the keys.
func (c *ntlmClient) authenticate(f forgery) []byte {
	c.t.Helper()
	le := binary.LittleEndian
	if len(c.challenge) < 56 {
		c.t.Fatalf("no CHALLENGE_MESSAGE came: %q", c.challenge)
	}
	flags := le.Uint32(c.challenge[20:])
	info := c.challenge[le.Uint32(c.challenge[44:]):][:le.Uint16(c.challenge[40:])]
	timestamp := make([]byte, 8)
	for rest := info; le.Uint16(rest) != 0; rest = rest[4+le.Uint16(rest[2:]):] {
		if le.Uint16(rest) == 7 {
			timestamp = rest[4:12]
		}
	}
	avs := bytes.Clone(info[:len(info)-4])
	if !f.noMIC {
		avs = append(avs, tellsOfMIC...)
	}
	blob := append([]byte{1, 1, 0, 0, 0, 0, 0, 0}, timestamp...)
	blob = append(append(append(blob, "a chance\x00\x00\x00\x00"...), avs...), make([]byte, 8)...)

	key := hmacMD5(ntHash(c.password), encodeUTF16(strings.ToUpper(c.user)))
	proof := hmacMD5(key, c.challenge[24:32], blob)
	c.exported = hmacMD5(key, proof)
	var encrypted []byte
	if flags&ntlmKeyExch != 0 {
		cipher, err := rc4.NewCipher(c.exported)
		if err != nil {
			c.t.Fatal(err)
		}
		c.exported, encrypted = make([]byte, 16), make([]byte, 16)
		rand.Read(c.exported)
		cipher.XORKeyStream(encrypted, c.exported)
	}

	message, rest := []byte("NTLMSSP\x00\x03\x00\x00\x00"), []byte{}
	for _, field := range [][]byte{nil, append(proof, blob...), nil, encodeUTF16(c.user), nil, encrypted} {
		message = le.AppendUint16(le.AppendUint16(message, uint16(len(field))), uint16(len(field)))
		message = le.AppendUint32(message, uint32(ntlmPayload+len(rest)))
		rest = append(rest, field...)
	}
	message = append(le.AppendUint32(message, flags&^f.drop), make([]byte, 8+16)...)
	message = append(message, rest...)
	if !f.noMIC {
		copy(message[ntlmMIC:], hmacMD5(c.exported, c.negotiation, c.challenge, message))
	}
	if f.alter != nil {
		f.alter(message)
	}
	c.out, c.in = newSealing(c.exported, "client-to-server"), newSealing(c.exported, "server-to-client")
	return message
}

// logOn completes a handshake.
func (c *ntlmClient) logOn() {
	c.t.Helper()
	if a := c.negotiate(); a.status != http.StatusUnauthorized {
		c.t.Fatalf("the first leg has status %d", a.status)
	}
	if a := c.send(negotiateToken(c.authenticate(forgery{})), soapXML, nil); a.status != http.StatusOK {
		c.t.Fatalf("the second leg has status %d: %s", a.status, a.body)
	}
}

const sealedType = `multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary="Encrypted Boundary"`

// frame frames a sealed message (MS-WSMV 2.2.9.1).
func frame(signature, sealed []byte, length int) []byte {
	body := fmt.Appendf(nil, "--Encrypted Boundary\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n"+
		"\tOriginalContent: type=%s;Length=%d\r\n--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n", soapXML, length)
	body = binary.LittleEndian.AppendUint32(body, uint32(len(signature)))
	return append(append(append(body, signature...), sealed...), "--Encrypted Boundary--\r\n"...)
}

// sealed returns a message as it goes out.
func (c *ntlmClient) sealed(message []byte) []byte {
	signature, sealed := c.out.seal(message)
	return frame(signature, sealed, len(message))
}

// open opens a sealed answer.
func (c *ntlmClient) open(a ntlmAnswer) []byte {
	c.t.Helper()
	_, blob, ok := bytes.Cut(a.body, []byte("application/octet-stream\r\n"))
	if !ok || len(blob) < 20 || !bytes.HasSuffix(blob, []byte("--Encrypted Boundary--\r\n")) {
		c.t.Fatalf("the answer, of status %d, is not sealed: %s", a.status, a.body)
	}
	blob = blob[:len(blob)-len("--Encrypted Boundary--\r\n")]
	message, signature := c.in.open(blob[20:])
	if !bytes.Equal(signature, blob[4:20]) {
		c.t.Error("the answer has a wrong signature")
	}
	return message
}

// sealing is one direction of a context with extended session security and key exchange (MS-NLMP 3.4).
type sealing struct {
	sign, key []byte
	cipher    *rc4.Cipher
	sequence  uint32
}

func newSealing(exported []byte, direction string) sealing {
	derive := func(use string) []byte {
		sum := md5.Sum([]byte(string(exported) + "session key to " + direction + " " + use + " key magic constant\x00"))
		return sum[:]
	}
	s := sealing{sign: derive("signing"), key: derive("sealing")}
	s.cipher, _ = rc4.NewCipher(s.key)
	return s
}

func (s *sealing) signature(message []byte) []byte {
	sequence := binary.LittleEndian.AppendUint32(nil, s.sequence)
	s.sequence++
	sum := hmacMD5(s.sign, sequence, message)[:8]
	s.cipher.XORKeyStream(sum, sum)
	return append(append([]byte{1, 0, 0, 0}, sum...), sequence...)
}

func (s *sealing) seal(message []byte) (signature, sealed []byte) {
	sealed = make([]byte, len(message))
	s.cipher.XORKeyStream(sealed, message)
	return s.signature(message), sealed
}

func (s *sealing) open(sealed []byte) (message, signature []byte) {
	message = make([]byte, len(sealed))
	s.cipher.XORKeyStream(message, sealed)
	return message, s.signature(message)
}

func ntHash(password string) []byte {
	h := md4.New()
	h.Write(encodeUTF16(password))
	return h.Sum(nil)
}

func hmacMD5(key []byte, parts ...[]byte) []byte {
	h := hmac.New(md5.New, key)
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

func encodeUTF16(s string) []byte {
	var b []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return b
}

// secrets are the forms in which a log could hold what must not be there: the password, its NT hash, and the keys.
func (c *ntlmClient) secrets() []string {
	list := []string{c.password}
	for _, secret := range [][]byte{ntHash(c.password), c.exported, c.out.sign, c.out.key, c.in.sign, c.in.key} {
		if secret != nil {
			text := hex.EncodeToString(secret)
			list = append(list, text, strings.ToUpper(text), base64.StdEncoding.EncodeToString(secret), strings.Trim(fmt.Sprint(secret), "[]"))
		}
	}
	return list
}
