package kerberos_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/crypto/etype"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/kerberos"
)

const (
	realm                                       = "EXAMPLE.COM"
	aes128, aes256, aes128SHA2, aes256SHA2, rc4 = etypeID.AES128_CTS_HMAC_SHA1_96, etypeID.AES256_CTS_HMAC_SHA1_96,
		etypeID.AES128_CTS_HMAC_SHA256_128, etypeID.AES256_CTS_HMAC_SHA384_192, etypeID.RC4_HMAC
)

// start is when the license server of a test starts. Clients come later.
var start = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// world is a realm with a KDC and a license server.
type world struct {
	t       testing.TB
	service *kerberos.Service
	now     time.Time // at the license server
	path    string    // of its keytab
}

// entry is a key of the license server.
type entry struct {
	name  string
	kvno  uint8
	etype int32
}

// machineKeytab has the keys of a computer account: one password under two names, in every encryption.
var machineKeytab = func() (entries []entry) {
	for _, name := range []string{"LS1$", "HTTP/ls1.example.com"} {
		for _, e := range []int32{aes128, aes256, aes128SHA2, aes256SHA2, rc4} {
			entries = append(entries, entry{name, 2, e})
		}
	}
	return entries
}()

func writeKeytab(t testing.TB, path string, entries ...entry) {
	t.Helper()
	kt := keytab.New()
	for _, e := range entries {
		if err := kt.AddEntry(e.name, realm, "password", start, e.kvno, rc4); err != nil { // quickly: its key is replaced
			t.Fatal(err)
		}
		kt.Entries[len(kt.Entries)-1].Key = serverKey(e.kvno, e.etype)
	}
	text, err := kt.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// serverKey is the key of the license server in a version and encryption.
func serverKey(kvno uint8, id int32) types.EncryptionKey {
	k := types.EncryptionKey{KeyType: id, KeyValue: bytes.Repeat([]byte{kvno, byte(id)}, 16)}
	if id == aes128 || id == aes128SHA2 || id == rc4 {
		k.KeyValue = k.KeyValue[:16]
	}
	return k
}

// newWorld returns a world whose license server has the keys, those of machineKeytab if none are named.
func newWorld(t testing.TB, options kerberos.Options, entries ...entry) *world {
	t.Helper()
	w := &world{t: t, now: start, path: filepath.Join(t.TempDir(), "krb5.keytab")}
	if entries == nil {
		entries = machineKeytab
	}
	writeKeytab(t, w.path, entries...)
	options.Keytab, options.Now = w.path, func() time.Time { return w.now }
	var err error
	if w.service, err = kerberos.New(options); err != nil {
		t.Fatal(err)
	}
	w.now = start.Add(time.Hour)
	return w
}

// offer is a KRB_AP_REQ to be made, which the license server should take as it is.
type offer struct {
	service       string
	realm         string // of the service
	kvno          int
	serverKey     types.EncryptionKey
	ticket        messages.EncTicketPart
	sessionKey    types.EncryptionKey // the authenticator's, normally the ticket's
	authenticator types.Authenticator
	options       []int // of the message
	id            int   // message type
}

func key(id int32) types.EncryptionKey {
	k := types.EncryptionKey{KeyType: id, KeyValue: make([]byte, 32)}
	if id == aes128 || id == aes128SHA2 || id == rc4 {
		k.KeyValue = k.KeyValue[:16]
	}
	rand.Read(k.KeyValue)
	return k
}

// gssChecksum is the checksum of an authenticator (RFC 4121, section 4.1.1).
func gssChecksum(bindings []byte, flags uint32) types.Checksum {
	sum := binary.LittleEndian.AppendUint32(nil, 16)
	sum = append(sum, bindings...)
	sum = append(sum, make([]byte, 16-len(bindings))...)
	return types.Checksum{CksumType: chksumtype.GSSAPI, Checksum: binary.LittleEndian.AppendUint32(sum, flags)}
}

const mutual, others = 0x2, 0x3c // the flags of GSS-API: mutual; replay, sequence, confidentiality, integrity

// offer returns what alice sends, with keys of an encryption type.
func (w *world) offer(id int32) *offer {
	alice := types.NewPrincipalName(1, "alice")
	session := key(id)
	return &offer{
		service: "HTTP/ls1.example.com", realm: realm, kvno: 2, serverKey: serverKey(2, id), sessionKey: session, id: 14,
		ticket: messages.EncTicketPart{
			Flags: types.NewKrbFlags(), Key: session, CRealm: realm, CName: alice, AuthTime: w.now.Add(-2 * time.Hour),
			StartTime: w.now.Add(-time.Hour), EndTime: w.now.Add(time.Hour),
		},
		authenticator: types.Authenticator{
			AVNO: 5, CRealm: realm, CName: alice, Cksum: gssChecksum(nil, mutual|others), CTime: w.now, Cusec: 123456, SubKey: key(id), SeqNumber: 1000,
		},
	}
}

// message makes the KRB_AP_REQ.
func (o *offer) message(t testing.TB) []byte {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	part, err := asn1.Marshal(o.ticket)
	must(err)
	ticket := messages.Ticket{TktVNO: 5, Realm: o.realm, SName: types.NewPrincipalName(2, o.service)}
	ticket.EncPart, err = crypto.GetEncryptedData(asn1tools.AddASNAppTag(part, 3), o.serverKey, 2, o.kvno)
	must(err)
	o.authenticator.CTime = o.authenticator.CTime.Truncate(time.Second)
	part, err = o.authenticator.Marshal()
	must(err)
	m := messages.APReq{PVNO: 5, MsgType: o.id, APOptions: types.NewKrbFlags(), Ticket: ticket}
	types.SetFlags(&m.APOptions, o.options)
	m.EncryptedAuthenticator, err = crypto.GetEncryptedData(part, o.sessionKey, 11, 0)
	must(err)
	b, err := m.Marshal()
	must(err)
	return b
}

// token frames a message as GSS-API does.
func token(t testing.TB, oid string, id uint16, message []byte) []byte {
	t.Helper()
	var arcs asn1.ObjectIdentifier
	for arc := range strings.SplitSeq(oid, ".") {
		n := 0
		for _, digit := range arc {
			n = 10*n + int(digit-'0')
		}
		arcs = append(arcs, n)
	}
	b, err := asn1.Marshal(arcs)
	if err != nil {
		t.Fatal(err)
	}
	return asn1tools.AddASNAppTag(append(binary.BigEndian.AppendUint16(b, id), message...), 0)
}

const krb5 = "1.2.840.113554.1.2.2"

func (o *offer) token(t testing.TB) []byte { return token(t, krb5, 0x0100, o.message(t)) }

// accept has the license server take a token.
func (w *world) accept(token []byte) (reply []byte, c gss.Context, err error) {
	return w.service.NewAcceptor(gss.ChannelBindings{Policy: gss.Relaxed}).Accept(w.t.Context(), token)
}

// refused has the license server refuse a token, and returns why.
func (w *world) refused(token []byte, status error) *gss.Error {
	w.t.Helper()
	reply, c, err := w.accept(token)
	e, ok := errors.AsType[*gss.Error](err)
	switch {
	case err == nil:
		w.t.Fatal("accepted")
	case !ok || e.Status != status || e.Mechanism != "Kerberos":
		w.t.Fatalf("refused with %#v, want %v", err, status)
	case reply != nil || c != nil:
		w.t.Fatal("refused, and still there is a reply or a context")
	}
	return e
}

// initiator is the other side of a context.
type initiator struct {
	t             testing.TB
	etype         etype.EType
	key           []byte
	send, receive uint64
	flags         byte // acceptor subkey
	extra         int  // bytes of filler in messages
	rotation      int  // of messages
}

// establish has the license server accept the offer, and returns both sides.
func (w *world) establish(o *offer) (*initiator, gss.Context) {
	w.t.Helper()
	reply, c, err := w.accept(o.token(w.t))
	if err != nil {
		w.t.Fatal(err)
	}
	return o.finish(w.t, reply), c
}

// finish takes the reply, if there is one.
func (o *offer) finish(t testing.TB, reply []byte) *initiator {
	t.Helper()
	k := o.sessionKey
	if o.authenticator.SubKey.KeyValue != nil {
		k = o.authenticator.SubKey
	}
	number := uint64(uint32(o.authenticator.SeqNumber))
	i := &initiator{t: t, send: number, receive: number, rotation: 28}
	if reply != nil {
		want := token(t, krb5, 0x0200, nil)
		head := len(want)
		if reply[1] >= 0x80 {
			head += int(reply[1] & 0x7f)
		}
		if !bytes.HasSuffix(reply[:head], want[2:]) {
			t.Fatalf("the reply begins with %x", reply[:head])
		}
		var m messages.APRep
		if err := m.Unmarshal(reply[head:]); err != nil {
			t.Fatal(err)
		}
		plain, err := crypto.DecryptEncPart(m.EncPart, o.sessionKey, 12)
		if err != nil {
			t.Fatal(err)
		}
		var part messages.EncAPRepPart
		if err := part.Unmarshal(plain); err != nil {
			t.Fatal(err)
		}
		if !part.CTime.Equal(o.authenticator.CTime) || part.Cusec != o.authenticator.Cusec {
			t.Errorf("the reply is to an authenticator of %v and %d µs", part.CTime, part.Cusec)
		}
		if part.Subkey.KeyType != k.KeyType || len(part.Subkey.KeyValue) != len(k.KeyValue) || bytes.Equal(part.Subkey.KeyValue, k.KeyValue) {
			t.Error("the acceptor's subkey is none of its own")
		}
		k, i.receive, i.flags = part.Subkey, uint64(part.SequenceNumber), 0x04
	}
	e, err := crypto.GetEtype(k.KeyType)
	if err != nil {
		t.Fatal(err)
	}
	i.etype, i.key = e, k.KeyValue
	return i
}

// seal returns the whole token of a sealed message (RFC 4121, section 4.2.4).
func (i *initiator) seal(message []byte) []byte {
	i.t.Helper()
	header := []byte{5, 4, i.flags | 2, 0xff}
	header = binary.BigEndian.AppendUint16(header, uint16(i.extra))
	header = append(header, 0, 0)
	header = binary.BigEndian.AppendUint64(header, i.send)
	i.send++
	_, body, err := i.etype.EncryptMessage(i.key, slices.Concat(message, make([]byte, i.extra), header), 24)
	if err != nil {
		i.t.Fatal(err)
	}
	binary.BigEndian.PutUint16(header[6:], uint16(i.rotation))
	n := len(body) - i.rotation%len(body)
	return slices.Concat(header, body[n:], body[:n])
}

// open takes a sealed message of the license server.
func (i *initiator) open(signature, sealed []byte) []byte {
	i.t.Helper()
	token := slices.Concat(signature, sealed)
	header, body := token[:16], token[16:]
	want := binary.BigEndian.AppendUint64([]byte{5, 4, i.flags | 3, 0xff, 0, 0, 0, byte(16 + i.etype.GetHMACBitLength()/8)}, i.receive)
	if !bytes.Equal(header, want) {
		i.t.Fatalf("the header is %x, want %x", header, want)
	}
	i.receive++
	n := int(header[7])
	plain, err := i.etype.DecryptMessage(i.key, slices.Concat(body[n:], body[:n]), 22)
	if err != nil {
		i.t.Fatal(err)
	}
	header[7] = 0
	if !bytes.Equal(plain[len(plain)-16:], header) {
		i.t.Fatalf("the sealed header is %x, want %x", plain[len(plain)-16:], header)
	}
	return plain[:len(plain)-16]
}

// mic signs a message.
func (i *initiator) mic(message []byte) []byte {
	i.t.Helper()
	header := binary.BigEndian.AppendUint64([]byte{4, 4, i.flags, 0xff, 0xff, 0xff, 0xff, 0xff}, i.send)
	i.send++
	sum, err := i.etype.GetChecksumHash(i.key, slices.Concat(message, header), 25)
	if err != nil {
		i.t.Fatal(err)
	}
	return append(header, sum...)
}

// verify takes a signature of the license server.
func (i *initiator) verify(message, mic []byte) {
	i.t.Helper()
	want := binary.BigEndian.AppendUint64([]byte{4, 4, i.flags | 1, 0xff, 0xff, 0xff, 0xff, 0xff}, i.receive)
	i.receive++
	if !bytes.Equal(mic[:16], want) || !i.etype.VerifyChecksum(i.key, slices.Concat(message, want), mic[16:], 23) {
		i.t.Fatalf("the signature is %x", mic)
	}
}
