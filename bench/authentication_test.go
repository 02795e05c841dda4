//go:build linux

package bench_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/argon2"

	"calkeeper/internal/accounts"
	"calkeeper/internal/app"
	"calkeeper/internal/auth"
	"calkeeper/internal/wsman/client"
	"calkeeper/internal/wsman/encryption"
)

// chooser is an account whose password a person chose, so that it is hashed slowly, and which takes NTLM.
const (
	chooser        = "chooser"
	chosenPassword = "correct horse battery staple"
)

// BenchmarkAuthenticated reads the properties of the license server, again and again, on connections that are authenticated already.
// The reference takes and answers as many bytes over the same kind of connection; only the license server's client seals and opens.
func BenchmarkAuthenticated(b *testing.B) {
	for _, connections := range []int{1, 8} {
		for _, way := range []struct {
			name    string
			connect func(*service) (*conversation, error)
			secure  bool
		}{
			{"Basic", (*service).basic, false},
			{"NTLM sealed", (*service).ntlm, false},
			{"Kerberos sealed", (*service).kerberos, false},
			{"Basic over TLS", (*service).basicTLS, true},
			{"NTLM over TLS", (*service).ntlmTLS, true},
		} {
			b.Run(fmt.Sprintf("%s/connections=%d", way.name, connections), func(b *testing.B) {
				s := newService(b)
				var last *conversation
				ours := sideOf(s.get, connections, func() exchanger {
					var err error
					if last, err = way.connect(s); err != nil {
						b.Fatal(err)
					}
					b.Cleanup(func() { last.conn.Close() })
					return last
				})
				if _, err := last.exchange(s.get); err != nil {
					b.Fatal(err)
				}
				reference := s.reference(b, way.secure, len(last.body))
				compare(b, ours, sideOf(bytes.Clone(last.wire), connections, func() exchanger {
					c, err := s.dial(reference, way.secure, nil)
					if err != nil {
						b.Fatal(err)
					}
					b.Cleanup(func() { c.conn.Close() })
					return c
				}))
			})
		}
	}
}

// BenchmarkLogon connects, authenticates, reads the properties of the license server once, and closes the connection. Each logon has an
// audit record that is on the disk before the answer. The reference is a connection with TLS to a bare handler that answers once.
func BenchmarkLogon(b *testing.B) {
	for _, callers := range []int{1, 8} {
		for _, way := range []struct {
			name    string
			connect func(*service) (*conversation, error)
		}{
			{"NTLM", (*service).ntlm},
			{"Kerberos", (*service).kerberos},
			{"Basic remembered", (*service).basic},
			{"Basic hashed", (*service).basicFromElsewhere},
			{"Basic remembered over TLS", (*service).basicTLS},
			{"NTLM over TLS", (*service).ntlmTLS},
		} {
			b.Run(fmt.Sprintf("%s/callers=%d", way.name, callers), func(b *testing.B) {
				s := newService(b)
				known, err := s.basic() // and is remembered
				if err != nil {
					b.Fatal(err)
				}
				defer known.conn.Close()
				if _, err := known.exchange(s.get); err != nil {
					b.Fatal(err)
				}
				reference := s.reference(b, true, len(known.body))
				once := func(connect func() (*conversation, error)) *side {
					return sideOf(s.get, callers, func() exchanger { return visit(connect) })
				}
				compareRounds(b, once(func() (*conversation, error) { return way.connect(s) }), once(func() (*conversation, error) {
					c, err := s.dial(reference, true, nil)
					return &conversation{connection: c, header: s.basicHeader()}, err
				}), 64)
			})
		}
	}
}

// BenchmarkPassword checks the password of an account that nobody has shown from there yet. The reference is its hash alone, on as many
// threads as the license server lets hash at once.
func BenchmarkPassword(b *testing.B) {
	for _, callers := range []int{1, 2, 8} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := newService(b)
			hashed := make(chan struct{}, 2)
			salt := []byte("16 bytes of salt")
			compareRounds(b, sideOf(nil, callers, func() exchanger {
				return task(func() error {
					from := auth.Attempt{Remote: s.elsewhere().String(), Mechanism: "Basic"}
					_, err := s.Accounts.Password(context.Background(), from, chooser, chosenPassword)
					return err
				})
			}), sideOf(nil, callers, func() exchanger {
				return task(func() error {
					hashed <- struct{}{}
					argon2.IDKey([]byte(chosenPassword), salt, 2, 19*1024, 1, 32)
					<-hashed
					return nil
				})
			}), 16)
		})
	}
}

// service is a license server that takes everything, and what its clients need.
type service struct {
	*server
	ticket *kerberosClient
	own    tls.Certificate
	get    []byte        // the envelope that reads Win32_TSLicenseServer
	next   atomic.Uint32 // of the addresses of elsewhere
}

func newService(b *testing.B) *service {
	b.Helper()
	dir := b.TempDir()
	path := filepath.Join(dir, "krb5.keytab")
	s := &service{ticket: newKerberosClient(b, path)}
	s.server = serve(b, app.LicenseServerOptions{Dir: dir, Name: "ls1.farm.example", ListenHTTPS: "127.0.0.1:0", Keytab: path})
	for _, c := range []accounts.Change{
		{Name: chooser, Role: auth.Auditor, Password: chosenPassword, NTLM: new(true)},
		{Name: kerberosUser + "@" + realm, Role: auth.Auditor},
	} {
		if err := s.Accounts.Set(b.Context(), "bench", c); err != nil {
			b.Fatal(err)
		}
	}
	var err error
	if s.own, err = tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")); err != nil {
		b.Fatal(err)
	}
	request, _ := record(b, s.server, func(c *client.Client) error {
		_, err := c.Get(b.Context(), "Win32_TSLicenseServer", nil)
		return err
	})
	_, s.get, _ = bytes.Cut(request, []byte("\r\n\r\n"))
	return s
}

// reference starts a bare handler that answers so many bytes, with the same certificate if it is secure.
func (s *service) reference(b *testing.B, secure bool, length int) (address string) {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	if secure {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{s.own}, SessionTicketsDisabled: true})
	}
	return bareOn(b, listener, length)
}

// elsewhere returns an address of loopback that nobody has come from yet.
func (s *service) elsewhere() netip.Addr {
	n := s.next.Add(1)
	return netip.AddrFrom4([4]byte{127, 1 + byte(n>>16), byte(n >> 8), byte(n)})
}

// dial connects from that address, from any if it is nil.
func (s *service) dial(address string, secure bool, from net.Addr) (*connection, error) {
	conn, err := (&net.Dialer{LocalAddr: from}).Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // it signs itself
	}
	return newConnection(conn), nil
}

func (s *service) basicHeader() string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(chooser+":"+chosenPassword)) + "\r\n"
}

func (s *service) basic() (*conversation, error) {
	c, err := s.dial(addressOf(s.URL()), false, nil)
	return &conversation{connection: c, header: s.basicHeader()}, err
}

// basicFromElsewhere comes from where no password is remembered.
func (s *service) basicFromElsewhere() (*conversation, error) {
	c, err := s.dial(addressOf(s.URL()), false, net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.elsewhere(), 0)))
	return &conversation{connection: c, header: s.basicHeader()}, err
}

func (s *service) basicTLS() (*conversation, error) {
	c, err := s.dial(addressOf(s.SecureURL()), true, nil)
	return &conversation{connection: c, header: s.basicHeader()}, err
}

func (s *service) ntlm() (*conversation, error) {
	c, err := s.dial(addressOf(s.URL()), false, nil)
	if err != nil {
		return nil, err
	}
	session, err := logOnNTLM(c)
	return &conversation{connection: c, keys: session, protocol: encryption.SPNEGO}, err
}

// ntlmTLS authenticates in TLS, which protects the messages.
func (s *service) ntlmTLS() (*conversation, error) {
	c, err := s.dial(addressOf(s.SecureURL()), true, nil)
	if err == nil {
		_, err = logOnNTLM(c)
	}
	return &conversation{connection: c}, err
}

func (s *service) kerberos() (*conversation, error) {
	c, err := s.dial(addressOf(s.URL()), false, nil)
	if err != nil {
		return nil, err
	}
	token, session, err := s.ticket.initialToken()
	if err == nil {
		_, err = negotiate(c, token, http.StatusOK)
	}
	return &conversation{connection: c, keys: session, protocol: encryption.Kerberos}, err
}

func logOnNTLM(c *connection) (*ntlmSession, error) {
	challenge, err := negotiate(c, negotiateMessage(), http.StatusUnauthorized)
	if err != nil {
		return nil, err
	}
	message, session, err := authenticateMessage(challenge, chooser, chosenPassword)
	if err == nil {
		_, err = negotiate(c, message, http.StatusOK)
	}
	return session, err
}

// negotiate sends a token without a message, and returns that of the answer.
func negotiate(c *connection, token []byte, status int) ([]byte, error) {
	if _, err := fmt.Fprintf(c.conn, "POST /wsman HTTP/1.1\r\nHost: ls1.farm.example\r\nAuthorization: Negotiate %s\r\nContent-Length: 0\r\n\r\n",
		base64.StdEncoding.EncodeToString(token)); err != nil {
		return nil, err
	}
	r, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if text, err := io.ReadAll(r.Body); err != nil || r.StatusCode != status {
		return nil, fmt.Errorf("the answer to a token is %s %q (%v)", r.Status, text, err)
	}
	answer, _ := strings.CutPrefix(r.Header.Get("WWW-Authenticate"), "Negotiate ")
	return base64.StdEncoding.DecodeString(answer)
}

// conversation is an authenticated client of one connection.
type conversation struct {
	*connection
	header   string // of each request
	keys     sealer // nil: nothing is sealed
	protocol string
	wire     []byte // the last request
}

// exchange sends an envelope, sealed if there are keys, and opens the answer.
func (c *conversation) exchange(envelope []byte) ([]byte, error) {
	const soap = "application/soap+xml;charset=UTF-8"
	contentType, body := soap, envelope
	if c.keys != nil {
		signature, sealed, err := c.keys.wrap(envelope)
		if err != nil {
			return nil, err
		}
		m := encryption.Message{Protocol: c.protocol, OriginalContent: soap, Signature: signature, Sealed: sealed}
		contentType, body = m.ContentType(), m.Append(nil)
	}
	c.wire = fmt.Appendf(c.wire[:0], "POST /wsman HTTP/1.1\r\nHost: ls1.farm.example\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		c.header, contentType, len(body))
	c.wire = append(c.wire, body...)
	answer, err := c.connection.exchange(c.wire)
	if err != nil || c.keys == nil {
		return answer, err
	}
	m, err := encryption.Parse(contentType, answer)
	if err != nil {
		return nil, err
	}
	return c.keys.unwrap(m.Signature, m.Sealed)
}

// visit is a connection for each request.
type visit func() (*conversation, error)

func (v visit) exchange(envelope []byte) ([]byte, error) {
	c, err := v()
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	return c.exchange(envelope)
}

// task is something that is done in place of a request.
type task func() error

func (t task) exchange([]byte) ([]byte, error) { return nil, t() }
