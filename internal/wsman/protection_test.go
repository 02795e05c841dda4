package wsman_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/http/httptest"
	"strings"
	"testing"

	"calkeeper/internal/wsman"
	"calkeeper/internal/wsman/encryption"
)

// mask seals by XOR: the signature is a checksum and a sequence number. Each direction has one.
type mask struct{ sent, received uint32 }

func (m *mask) Wrap(message []byte) (signature, sealed []byte, err error) {
	signature, sealed = seal(message, m.sent)
	m.sent++
	return signature, sealed, nil
}

func (m *mask) Unwrap(signature, sealed []byte) ([]byte, error) {
	message := bytes.Clone(sealed)
	for i := range message {
		message[i] ^= 0x5A
	}
	want, _ := seal(message, m.received)
	if !bytes.Equal(want, signature) {
		return nil, errors.New("bad checksum")
	}
	m.received++
	return message, nil
}

func seal(message []byte, sequence uint32) (signature, sealed []byte) {
	signature = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(message)), sequence)
	for _, c := range message {
		sealed = append(sealed, c^0x5A)
	}
	return signature, sealed
}

// sealing is an Authenticator whose callers have keys.
type sealing struct {
	basic
	protection wsman.Protection
}

func (s sealing) Protection(context.Context) wsman.Protection { return s.protection }

// sealedPeer is a client and its server, with keys.
type sealedPeer struct {
	t        *testing.T
	server   *wsman.Server
	keys     mask
	protocol string
}

func newSealedPeer(t *testing.T, w *world, required bool) *sealedPeer {
	p := &sealedPeer{t: t, protocol: encryption.SPNEGO}
	p.server = server(t, w, func(o *wsman.Options) {
		o.Authenticator = sealing{protection: wsman.Protection{Sealer: &mask{}, Required: required}}
	})
	return p
}

// body returns a message as the client seals it next.
func (p *sealedPeer) body(message, contentType string) []byte {
	signature, sealed := seal([]byte(message), p.keys.sent)
	p.keys.sent++
	return encryption.Message{Protocol: p.protocol, OriginalContent: contentType, Signature: signature, Sealed: sealed}.Append(nil)
}

func (p *sealedPeer) post(contentType string, body []byte) reply {
	p.t.Helper()
	r := httptest.NewRequest("POST", "/wsman", bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.SetBasicAuth("alice", "Secret1!")
	return serve(p.t, p.server, r)
}

// opened returns a sealed reply as what it was before it was sealed.
func (p *sealedPeer) opened(got reply) reply {
	p.t.Helper()
	m, err := encryption.Parse(got.header.Get("Content-Type"), []byte(got.raw))
	if err != nil {
		p.t.Fatalf("status %d, %q: %v", got.status, got.raw, err)
	}
	message, err := p.keys.Unwrap(m.Signature, m.Sealed)
	if err != nil || m.Protocol != p.protocol {
		p.t.Fatalf("%v, sealed by %q", err, m.Protocol)
	}
	got.raw, got.node = string(message), nil
	got.header = got.header.Clone()
	got.header.Set("Content-Type", m.OriginalContent)
	if strings.HasSuffix(m.OriginalContent, "UTF-8") {
		got.node = parse(p.t, got.raw)
	}
	return got
}

func sealedType(protocol string) string { return encryption.Message{Protocol: protocol}.ContentType() }

const soapUTF8 = "application/soap+xml;charset=UTF-8"

// TestSealed sends messages that are sealed, and gets replies and faults that are.
func TestSealed(t *testing.T) {
	for _, protocol := range []string{encryption.SPNEGO, encryption.Kerberos} {
		p := newSealedPeer(t, newWorld(1), true)
		p.protocol = protocol
		contentType := sealedType(protocol)
		if got := p.opened(p.post(contentType, p.body(getSite, soapUTF8))); got.status != 200 || got.text("Body/Test_Site/Name") != "LICENSES" {
			t.Errorf("status %d, %s", got.status, got.raw)
		}
		if got := p.opened(p.post(contentType, p.body(get(wmi+"Test_None", "").String(), soapUTF8))); got.status != 500 || got.at("Body/Fault") == nil {
			t.Errorf("a fault: status %d, %s", got.status, got.raw)
		}
		if got := p.opened(p.post(contentType, p.body("no XML", soapUTF8))); got.status != 400 || got.at("Body/Fault") == nil {
			t.Errorf("no XML: status %d, %s", got.status, got.raw)
		}
		if got := p.opened(p.post(contentType, p.body("{}", "application/json"))); got.status != 415 || got.at("Body/Fault") == nil {
			t.Errorf("JSON: status %d, %s", got.status, got.raw)
		}
		if got := p.opened(p.post(contentType, p.body(identify, soapUTF8))); got.text("Body/IdentifyResponse/ProductVersion") != "OS: Linux SP: 0.0 Stack: 1.2" {
			t.Errorf("Identify: %s", got.raw)
		}
		got := p.opened(p.post(contentType, p.body(string(toUTF16(getSite, "le")), "application/soap+xml;charset=UTF-16")))
		if name := parse(t, fromUTF16(t, got.raw)).text("Body/Test_Site/Name"); name != "LICENSES" {
			t.Errorf("UTF-16: %q", name)
		}
	}
}

// TestSealedOrNot checks what is taken on a connection with keys, and without.
func TestSealedOrNot(t *testing.T) {
	p := newSealedPeer(t, newWorld(1), true)
	got := p.post(soapUTF8, []byte(getSite))
	if got.status != 400 || !strings.HasPrefix(got.raw, "over HTTP a message must be sealed") || got.header.Get("Connection") != "close" {
		t.Errorf("in clear, where it must be sealed: status %d, %q", got.status, got.raw)
	}
	if got := p.post(soapUTF8, nil); got.status != 200 || got.raw != "" {
		t.Errorf("the end of a handshake: status %d, %q", got.status, got.raw)
	}
	if got := p.post(soapUTF8, []byte(identify)); got.status != 400 {
		t.Errorf("Identify in clear: status %d", got.status)
	}
	stranger := httptest.NewRequest("POST", "/wsman", strings.NewReader(identify))
	stranger.Header.Set("Content-Type", soapUTF8)
	stranger.Header.Set("WSMANIDENTIFY", "unauthenticated")
	if got := serve(t, p.server, stranger); got.status != 200 || got.text("Body/IdentifyResponse/ProductVersion") != "OS: 0.0.0 SP: 0.0 Stack: 3.0" {
		t.Errorf("a stranger's Identify: status %d, %s", got.status, got.raw)
	}

	optional := newSealedPeer(t, newWorld(1), false)
	if got := optional.post(soapUTF8, []byte(getSite)); got.status != 200 || got.text("Body/Test_Site/Name") != "LICENSES" {
		t.Errorf("in clear, where it may be: status %d, %q", got.status, got.raw)
	}
	without := newSealedPeer(t, newWorld(1), false)
	without.server = server(t, newWorld(1), nil)
	if got := without.post(sealedType(encryption.SPNEGO), without.body(getSite, soapUTF8)); got.status != 401 || got.header.Get("Www-Authenticate") == "" {
		t.Errorf("sealed without keys: status %d, %v", got.status, got.header)
	}
}

// TestSealedAndAltered changes a Put on its way: it is refused, below SOAP, and nothing is changed.
func TestSealedAndAltered(t *testing.T) {
	put := message{action: transfer + "Put", uri: wmi + "Test_Site", body: `<p:Test_Site xmlns:p="` + wmi + `Test_Site"><p:Company>Mallory</p:Company></p:Test_Site>`}.String()
	contentType := sealedType(encryption.SPNEGO)
	for _, c := range []struct {
		name   string
		alter  func([]byte) []byte
		status int
	}{
		{"nothing", func(b []byte) []byte { return b }, 200},
		{"a byte of the message", func(b []byte) []byte { b[len(b)-100] ^= 1; return b }, 401},
		{"a byte of the signature", func(b []byte) []byte { b[bytes.Index(b, []byte("octet-stream\r\n"))+18] ^= 1; return b }, 401},
		{"a longer length", func(b []byte) []byte { return bytes.Replace(b, []byte("Length="), []byte("Length=1"), 1) }, 400},
		{"no length", func(b []byte) []byte { return bytes.Replace(b, []byte(";Length="), []byte(";Size="), 1) }, 400},
		{"cut off", func(b []byte) []byte { return b[:len(b)-30] }, 400},
		{"half", func(b []byte) []byte { return b[:len(b)/2] }, 400},
		{"in clear behind it", func(b []byte) []byte { return append(b, put...) }, 400},
		{"in clear before it", func(b []byte) []byte { return append([]byte(put), b...) }, 400},
		{"twice", func(b []byte) []byte { return append(b, b...) }, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			w := newWorld(1)
			p := newSealedPeer(t, w, true)
			p.server = server(t, w, func(o *wsman.Options) {
				o.Authenticator = sealing{protection: wsman.Protection{Sealer: &mask{}, Required: true}}
				logTo(&log)(o)
			})
			got := p.post(contentType, c.alter(p.body(put, soapUTF8)))
			if got.status != c.status {
				t.Errorf("status %d, want %d: %q", got.status, c.status, got.raw)
			}
			if company := w.site.Company; (company == "Mallory") != (c.status == 200) {
				t.Errorf("the company is %q now", company)
			}
			if c.status != 200 && (got.header.Get("Connection") != "close" || got.raw == "" || strings.Contains(log.String(), "Mallory")) {
				t.Errorf("header %v, %q, log:\n%s", got.header, got.raw, log.String())
			}
		})
	}
}

// TestSealedTwice repeats a sealed message.
func TestSealedTwice(t *testing.T) {
	p := newSealedPeer(t, newWorld(1), true)
	body := p.body(getSite, soapUTF8)
	if got := p.opened(p.post(sealedType(encryption.SPNEGO), body)); got.status != 200 {
		t.Fatalf("status %d", got.status)
	}
	if got := p.post(sealedType(encryption.SPNEGO), body); got.status != 401 {
		t.Errorf("again: status %d", got.status)
	}
}
