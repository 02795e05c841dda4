package test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"calkeeper/internal/auth"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// auditRecords returns the audit log of a license server that does not run.
func auditRecords(t *testing.T, dir string) (records []store.AuditRecord) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "calkeeper.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.View(t.Context(), func(r store.Reader) (err error) {
		records, err = r.AuditRecords(0, 100_000)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func envelope(action, body string) []byte {
	return fmt.Appendf(nil, `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="%s">
<s:Header><a:To>http://ls/wsman</a:To><a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>
<a:MessageID>uuid:7f1c2a60-3a1d-4c0e-9d2b-1f6b0d7e5a11</a:MessageID><a:Action>%s</a:Action><w:ResourceURI>%s</w:ResourceURI></s:Header>
<s:Body>%s</s:Body></s:Envelope>`, wsmanURI, action, wmiURI+serverClass, body)
}

// putCompany is a message that would change the state.
func putCompany(company string) []byte {
	return envelope(transferURI+"/Put", fmt.Sprintf(`<p:%s xmlns:p="%s"><p:Company>%s</p:Company></p:%[1]s>`, serverClass, wmiURI+serverClass, company))
}

var getServer = envelope(transferURI+"/Get", "")

// sealedCase is a request, with all that goes before it on its connection, that is refused with that status.
type sealedCase struct {
	name   string
	status int
	send   func(t *testing.T) ntlmAnswer
}

// TestSealedMessagesRefused does to a handshake, and to sealed messages, what an attacker in the network could. Every message asks for a
// change; none is made, each is answered with the status that is right, and others go on.
func TestSealedMessagesRefused(t *testing.T) {
	log := &lockedBuffer{}
	f := newFarm(t)
	f.logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	m := f.join("ls", f.organization)
	ada := m.takeNTLM(t, "ada", auth.Administrator)
	u, err := url.Parse(m.URL())
	if err != nil {
		t.Fatal(err)
	}
	const mallory = "MALLORY and sons"
	attack := putCompany(mallory)
	var from string // an address of each case's own, so that none is held back for the others' failures
	var clients []*ntlmClient
	dialAs := func(t *testing.T, user, password string) *ntlmClient {
		c := dialNTLM(t, u.Host, from, user, password)
		clients = append(clients, c)
		return c
	}
	dial := func(t *testing.T) *ntlmClient { return dialAs(t, "ada", ada) }
	loggedOn := func(t *testing.T) *ntlmClient {
		c := dial(t)
		c.logOn()
		return c
	}
	// altered sends the frame of a sealed message after something was done to it.
	altered := func(alter func(body []byte) []byte) func(t *testing.T) ntlmAnswer {
		return func(t *testing.T) ntlmAnswer {
			c := loggedOn(t)
			return c.send("", sealedType, alter(c.sealed(attack)))
		}
	}
	// forged ends a handshake with a message that is wrong, and a change behind it.
	forged := func(offer uint32, f forgery) func(t *testing.T) ntlmAnswer {
		return func(t *testing.T) ntlmAnswer {
			c := dial(t)
			c.offer = offer
			c.negotiate()
			message := c.authenticate(f)
			return c.send(negotiateToken(message), sealedType, c.sealed(attack))
		}
	}
	// offered begins a handshake with flags that are too weak.
	offered := func(offer uint32) func(t *testing.T) ntlmAnswer {
		return func(t *testing.T) ntlmAnswer {
			c := dial(t)
			c.offer = offer
			a := c.negotiate()
			if c.challenge != nil {
				t.Error("it was challenged")
			}
			return a
		}
	}
	whole := len(frame(make([]byte, 16), attack, len(attack)))
	blob := whole - len("--Encrypted Boundary--\r\n") - len(attack) - 16 - 4 // where the signature's length is
	cases := []sealedCase{
		{"wrong password", 401, func(t *testing.T) ntlmAnswer {
			c := dialAs(t, "ada", "a wrong password")
			c.negotiate()
			message := c.authenticate(forgery{})
			return c.send(negotiateToken(message), sealedType, c.sealed(attack))
		}},
		{"no such account", 401, func(t *testing.T) ntlmAnswer {
			c := dialAs(t, "mallory", ada)
			c.negotiate()
			message := c.authenticate(forgery{})
			return c.send(negotiateToken(message), sealedType, c.sealed(attack))
		}},
		{"AUTHENTICATE replayed on another connection", 401, func(t *testing.T) ntlmAnswer {
			victim, c := dial(t), dial(t)
			victim.negotiate()
			c.negotiate()
			message := victim.authenticate(forgery{})
			if a := victim.send(negotiateToken(message), soapXML, nil); a.status != http.StatusOK {
				t.Fatalf("the victim's handshake has status %d", a.status)
			}
			return c.send(negotiateToken(message), sealedType, victim.sealed(attack))
		}},
		{"AUTHENTICATE replayed on its own connection", 401, func(t *testing.T) ntlmAnswer {
			c := dial(t)
			c.negotiate()
			message := c.authenticate(forgery{})
			if a := c.send(negotiateToken(message), soapXML, nil); a.status != http.StatusOK {
				t.Fatalf("the handshake has status %d", a.status)
			}
			return c.send(negotiateToken(message), sealedType, c.sealed(attack))
		}},
		{"AUTHENTICATE without a challenge", 401, func(t *testing.T) ntlmAnswer {
			victim := dial(t)
			victim.negotiate()
			message := victim.authenticate(forgery{})
			return dial(t).send(negotiateToken(message), sealedType, victim.sealed(attack))
		}},
		{"a challenge without AUTHENTICATE", 401, func(t *testing.T) ntlmAnswer {
			c := dial(t)
			c.negotiate()
			c.authenticate(forgery{})
			return c.send("", sealedType, c.sealed(attack))
		}},
		{"a MIC that is missing", 401, forged(ntlmOffer, forgery{alter: func(message []byte) { clear(message[ntlmMIC:ntlmPayload]) }})},
		{"a MIC that is another's", 401, forged(ntlmOffer, forgery{alter: func(message []byte) { message[ntlmMIC] ^= 1 }})},
		{"a flag in the NEGOTIATE_MESSAGE that was altered on the way", 401, func(t *testing.T) ntlmAnswer {
			c := dial(t)
			c.offer = ntlmOffer &^ ntlmAlwaysSign
			c.negotiate()
			c.negotiation[13] |= ntlmAlwaysSign >> 8 // what the client believes that it has sent
			message := c.authenticate(forgery{})
			return c.send(negotiateToken(message), sealedType, c.sealed(attack))
		}},
		{"what tells of the MIC taken away", 401, forged(ntlmOffer, forgery{alter: func(message []byte) {
			message[bytes.Index(message, tellsOfMIC)+4] = 0
		}})},
		{"sealing dropped by AUTHENTICATE", 401, forged(ntlmOffer, forgery{drop: ntlmSeal})},
		{"signing dropped by AUTHENTICATE", 401, forged(ntlmOffer, forgery{drop: ntlmSign})},
		{"128 bits dropped by AUTHENTICATE", 401, forged(ntlmOffer, forgery{drop: ntlm128})},
		{"NTLMv1 offered", 401, offered(ntlmOffer &^ ntlmESS)},
		{"56 bits offered", 401, offered(ntlmOffer &^ ntlm128)},
		{"neither UNICODE nor OEM offered", 401, offered(ntlmOffer &^ 1)},
		{"nothing offered to seal with, and sealed", 401, forged(ntlmOffer&^(ntlmSign|ntlmSeal|ntlmKeyExch), forgery{})},
		{"a sealed byte altered", 401, altered(func(body []byte) []byte { body[blob+4+16+len(attack)/2] ^= 1; return body })},
		{"the checksum altered", 401, altered(func(body []byte) []byte { body[blob+4+7] ^= 1; return body })},
		{"the sequence number altered", 401, altered(func(body []byte) []byte { body[blob+4+12] ^= 1; return body })},
		{"the version of the signature altered", 401, altered(func(body []byte) []byte { body[blob+4] ^= 2; return body })},
		{"a signature that is shorter", 401, func(t *testing.T) ntlmAnswer {
			c := loggedOn(t)
			signature, sealed := c.out.seal(attack)
			return c.send("", sealedType, frame(signature[:8], sealed, len(sealed)))
		}},
		{"the signature's length altered", 400, altered(func(body []byte) []byte { body[blob]++; return body })},
		{"a signature as long as can be said", 400, altered(func(body []byte) []byte { copy(body[blob:], "\xff\xff\xff\xff"); return body })},
		{"a Length that is smaller", 400, func(t *testing.T) ntlmAnswer {
			c := loggedOn(t)
			signature, sealed := c.out.seal(attack)
			return c.send("", sealedType, frame(signature, sealed, len(sealed)-1))
		}},
		{"a Length that is greater", 400, func(t *testing.T) ntlmAnswer {
			c := loggedOn(t)
			signature, sealed := c.out.seal(attack)
			return c.send("", sealedType, frame(signature, sealed, len(sealed)+1))
		}},
		{"sealed by another connection's session", 401, func(t *testing.T) ntlmAnswer {
			victim, c := loggedOn(t), loggedOn(t)
			return c.send("", sealedType, victim.sealed(attack))
		}},
		{"sealed by the session before, on the same connection", 401, func(t *testing.T) ntlmAnswer {
			c := loggedOn(t)
			before := c.sealed(attack)
			c.logOn()
			return c.send("", sealedType, before)
		}},
		{"the same message twice", 401, func(t *testing.T) ntlmAnswer {
			c := loggedOn(t)
			message := c.sealed(getServer)
			if a := c.send("", sealedType, message); a.status != http.StatusOK || !bytes.Contains(c.open(a), []byte("Ada")) {
				t.Fatalf("the first time it has status %d", a.status)
			}
			return c.send("", sealedType, message)
		}},
		{"a message left out", 401, func(t *testing.T) ntlmAnswer {
			c := loggedOn(t)
			c.sealed(getServer)
			return c.send("", sealedType, c.sealed(attack))
		}},
		{"a message sealed by the server", 401, func(t *testing.T) ntlmAnswer {
			c := loggedOn(t)
			signature, sealed := c.in.seal(attack)
			return c.send("", sealedType, frame(signature, sealed, len(sealed)))
		}},
		{"garbage", 401, func(t *testing.T) ntlmAnswer {
			return loggedOn(t).send("", sealedType, frame(make([]byte, 16), attack, len(attack)))
		}},
		{"garbage, nobody having logged on", 401, func(t *testing.T) ntlmAnswer {
			return dial(t).send("", sealedType, frame(make([]byte, 16), attack, len(attack)))
		}},
		{"unsealed", 400, func(t *testing.T) ntlmAnswer { return loggedOn(t).send("", soapXML, attack) }},
		{"unsealed, with the end of the handshake", 400, func(t *testing.T) ntlmAnswer {
			c := dial(t)
			c.negotiate()
			return c.send(negotiateToken(c.authenticate(forgery{})), soapXML, attack)
		}},
		{"unsealed, after one that is sealed", 400, func(t *testing.T) ntlmAnswer {
			c := loggedOn(t)
			c.write("", sealedType, c.sealed(getServer))
			c.write("", soapXML, attack)
			if a := c.read(); a.status != http.StatusOK {
				t.Fatalf("the sealed one has status %d", a.status)
			}
			return c.read()
		}},
		{"unsealed, said to be for anybody", 401, func(t *testing.T) ntlmAnswer {
			c := loggedOn(t)
			return c.send("", soapXML+"\r\nWSMANIDENTIFY: unauthenticated", attack)
		}},
		{"sealed, and said to be unsealed", 400, func(t *testing.T) ntlmAnswer {
			c := loggedOn(t)
			return c.send("", soapXML, c.sealed(attack))
		}},
		{"unsealed, and said to be sealed", 400, func(t *testing.T) ntlmAnswer { return loggedOn(t).send("", sealedType, attack) }},
		{"unsealed behind the sealed part", 400, func(t *testing.T) ntlmAnswer {
			c := loggedOn(t)
			return c.send("", sealedType, append(c.sealed(getServer), attack...))
		}},
		{"unsealed before the sealed part", 400, func(t *testing.T) ntlmAnswer {
			c := loggedOn(t)
			return c.send("", sealedType, append(bytes.Clone(attack), c.sealed(getServer)...))
		}},
		{"unsealed between signature and closing boundary", 400, func(t *testing.T) ntlmAnswer {
			c := loggedOn(t)
			signature, sealed := c.out.seal(getServer)
			return c.send("", sealedType, frame(signature, append(sealed, attack...), len(sealed)))
		}},
		{"two sealed messages", 400, func(t *testing.T) ntlmAnswer {
			c := loggedOn(t)
			return c.send("", sealedType, append(c.sealed(getServer), c.sealed(attack)...))
		}},
		{"a sealed message for CredSSP", 400, func(t *testing.T) ntlmAnswer {
			c := loggedOn(t)
			return c.send("", strings.Replace(sealedType, "SPNEGO", "CredSSP", 1), c.sealed(attack))
		}},
	}
	for _, length := range []int{1, 20, 60, 200, blob - 1, blob + 2, blob + 10, blob + 4 + 16, blob + 100, whole - 30, whole - 3} {
		cases = append(cases, sealedCase{fmt.Sprintf("cut after %d of %d bytes", length, whole), 400, altered(func(body []byte) []byte { return body[:length] })})
	}

	company := m.company(t)
	from = "127.0.1.0"
	healthy := loggedOn(t) // for all that follows
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			from = fmt.Sprintf("127.0.1.%d", i+1)
			a := c.send(t)
			if a.status != c.status || bytes.Contains(a.body, []byte(mallory)) {
				t.Errorf("the status is %d, want %d: %s", a.status, c.status, a.body)
			}
			if got := m.company(t); got != company {
				t.Fatalf("the company is %q, and was %q", got, company)
			}
			another := loggedOn(t)
			for _, c := range []*ntlmClient{healthy, another} {
				if a := c.send("", sealedType, c.sealed(getServer)); a.status != http.StatusOK || !bytes.Contains(c.open(a), []byte("Ada")) {
					t.Errorf("then a healthy client's message has status %d", a.status)
				}
			}
		})
	}
	// The same message changes the state if nobody is in between.
	if a := healthy.send("", sealedType, healthy.sealed(attack)); a.status != http.StatusOK || m.company(t) != mallory {
		t.Errorf("the message that was refused has status %d as it should be; the company is %q", a.status, m.company(t))
	}

	m.stop()
	text := log.String()
	for _, c := range clients {
		for _, secret := range append(c.secrets(), mallory, password) {
			if strings.Contains(text, secret) {
				t.Errorf("the log holds %q", secret)
			}
		}
	}
	if !strings.Contains(text, "message refused") {
		t.Errorf("the log, which has no secret, says little:\n%s", text)
	}
	changes := 0
	for _, r := range auditRecords(t, m.dir) {
		if strings.HasPrefix(r.Remote, "127.0.1.") && r.Action != "logon" && r.Action != "logon refused" {
			changes++
		}
	}
	if changes != 1 { // that of the healthy client
		t.Errorf("the audit log has %d changes", changes)
	}
}

// company returns the license server's contact data of that name.
func (m *member) company(t *testing.T) string {
	t.Helper()
	i, err := m.admin.Get(t.Context(), serverClass, nil)
	if err != nil {
		t.Fatal(err)
	}
	return i.Text("Company")
}
