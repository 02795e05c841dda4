package directory_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"calkeeper/internal/directory"
)

// What the controller's directory has.
const (
	domainDN   = "DC=example,DC=com"
	computerDN = "CN=LS1,CN=Computers," + domainDN
	groupDN    = "<SID=S-1-5-32-561>"
	siteDN     = "CN=Paris,CN=Sites,CN=Configuration," + domainDN
	settingsDN = "CN=TS-Enterprise-License-Server," + siteDN
	pointDN    = "CN=TermServLicensing," + computerDN
	password   = "correct horse"
)

// entry is one of the directory: the values of its attributes.
type entry map[string][]string

// controller is a domain controller of the test. It does what a real one cannot be made to do: answer an operation with any result,
// late, or with what is no LDAP.
type controller struct {
	t          *testing.T
	tls        *tls.Config
	ca         string // PEM file
	encrypted  bool   // from the first byte
	mutex      sync.Mutex
	entries    map[string]entry
	results    map[string][]uint16 // of operations, such as "modify CN=…", in turn, instead of doing them; the last one stays
	diagnostic string              // message of those results
	before     func(op string)     // called before an operation is done, without the mutex; may be nil
	raw        []byte              // sent instead of an answer, and nothing after it
	rawAfter   int                 // answers that come before raw
	silent     string              // the operation that is never answered
	log        []string            // operations
	account    string              // the filter that the account was looked for with
}

func newController(t *testing.T) *controller {
	t.Helper()
	certificate, ca := newCertificate(t)
	return newControllerWith(t, certificate, ca)
}

func newControllerWith(t *testing.T, certificate tls.Certificate, ca []byte) *controller {
	t.Helper()
	c := &controller{t: t, encrypted: true, results: map[string][]uint16{}, ca: filepath.Join(t.TempDir(), "ca.pem"), entries: map[string]entry{
		"": {"defaultNamingContext": {domainDN}, "configurationNamingContext": {"CN=Configuration," + domainDN},
			"serverName": {"CN=DC1,CN=Servers,CN=Paris,CN=Sites,CN=Configuration," + domainDN}},
		computerDN: {"objectClass": {"computer"}, "sAMAccountName": {"LS1$"}, "userAccountControl": {"4096"}},
		groupDN:    {"objectClass": {"group"}},
		siteDN:     {"objectClass": {"site"}},
	}}
	c.tls = &tls.Config{Certificates: []tls.Certificate{certificate}}
	if err := os.WriteFile(c.ca, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

func newCertificate(t testing.TB) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"dc1.example.com"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// options are those of a license server that this controller serves.
func (c *controller) options() directory.Options {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		c.t.Fatal(err)
	}
	scheme := "ldap"
	if c.encrypted {
		scheme = "ldaps"
	}
	return directory.Options{
		URL: scheme + "://dc1.example.com", User: "service@example.com", PasswordFile: file, CAFile: c.ca, ServerName: "ls1.example.com",
		Dial: c.dial, Timeout: 20 * time.Second,
	}
}

func (c *controller) directory() *directory.Directory { return newDirectory(c.t, c.options()) }

func newDirectory(t testing.TB, o directory.Options) *directory.Directory {
	t.Helper()
	d, err := directory.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// dial returns one end of a connection to the controller.
func (c *controller) dial(_ context.Context, network, address string) (net.Conn, error) {
	want := "dc1.example.com:389"
	if c.encrypted {
		want = "dc1.example.com:636"
	}
	if network != "tcp" || address != want {
		c.t.Errorf("dialled %s %s, want %s", network, address, want)
	}
	ours, theirs := net.Pipe()
	go c.serve(ours)
	return theirs, nil
}

func (c *controller) serve(conn net.Conn) {
	defer func() { conn.Close() }()
	if c.encrypted {
		conn = tls.Server(conn, c.tls)
	}
	for {
		request, err := ber.ReadPacket(conn)
		if err != nil {
			return
		}
		op, answers := c.answer(request)
		if op == c.silent {
			request, err = ber.ReadPacket(conn) // until the caller has had enough
			if err == nil {
				c.t.Errorf("after %s went unanswered came %s", op, operation(request.Children[1]))
			}
			return
		}
		if c.raw != nil && len(c.log) > c.rawAfter {
			go io.Copy(io.Discard, conn) // the end of TLS
			conn.Write(c.raw)
			return
		}
		for _, answer := range answers {
			if _, err := conn.Write(answer.Bytes()); err != nil {
				return
			}
		}
		if op == "start TLS" && len(c.results[op]) == 0 {
			conn = tls.Server(conn, c.tls)
		}
	}
}

func text(p *ber.Packet) string { return p.Data.String() }

// operation names what a request asks for (RFC 4511, section 4).
func operation(request *ber.Packet) string {
	switch request.Tag {
	case ldap.ApplicationBindRequest:
		return "bind " + text(request.Children[1])
	case ldap.ApplicationSearchRequest:
		return "search " + text(request.Children[0])
	case ldap.ApplicationModifyRequest:
		return "modify " + text(request.Children[0])
	case ldap.ApplicationAddRequest:
		return "add " + text(request.Children[0])
	case ldap.ApplicationDelRequest:
		return "delete " + text(request)
	case ldap.ApplicationExtendedRequest:
		return "start TLS"
	}
	return "?"
}

func (c *controller) answer(message *ber.Packet) (op string, answers []*ber.Packet) {
	request := message.Children[1]
	op = operation(request)
	if c.before != nil {
		c.before(op)
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.log = append(c.log, op)
	if op == c.silent {
		return op, nil
	}
	reply := func(tag ber.Tag, children ...*ber.Packet) {
		envelope := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
		envelope.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, message.Children[0].Value, ""))
		body := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
		for _, child := range children {
			body.AppendChild(child)
		}
		envelope.AppendChild(body)
		answers = append(answers, envelope)
	}
	var result uint16
	if planned := c.results[op]; len(planned) > 0 {
		if result = planned[0]; len(planned) > 1 {
			c.results[op] = planned[1:]
		}
	} else {
		result = c.do(request, func(dn string, e entry) {
			attributes := sequence(ber.TagSequence)
			for name, values := range e {
				set := sequence(ber.TagSet)
				for _, v := range values {
					set.AppendChild(octets(v))
				}
				attribute := sequence(ber.TagSequence)
				attribute.AppendChild(octets(name))
				attribute.AppendChild(set)
				attributes.AppendChild(attribute)
			}
			reply(ldap.ApplicationSearchResultEntry, octets(dn), attributes)
		})
	}
	tag := map[ber.Tag]ber.Tag{
		ldap.ApplicationBindRequest: ldap.ApplicationBindResponse, ldap.ApplicationSearchRequest: ldap.ApplicationSearchResultDone,
		ldap.ApplicationModifyRequest: ldap.ApplicationModifyResponse, ldap.ApplicationAddRequest: ldap.ApplicationAddResponse,
		ldap.ApplicationDelRequest: ldap.ApplicationDelResponse, ldap.ApplicationExtendedRequest: ldap.ApplicationExtendedResponse,
	}[request.Tag]
	reply(tag, ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, int64(result), ""), octets(""), octets(c.diagnostic))
	return op, answers
}

func sequence(tag ber.Tag) *ber.Packet {
	return ber.Encode(ber.ClassUniversal, ber.TypeConstructed, tag, nil, "")
}

func octets(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

// do does an operation and returns its result. It knows the filters that are asked for, and one value for each attribute of a change.
func (c *controller) do(request *ber.Packet, found func(dn string, e entry)) uint16 {
	switch request.Tag {
	case ldap.ApplicationBindRequest:
		if text(request.Children[2]) != password {
			return ldap.LDAPResultInvalidCredentials
		}
	case ldap.ApplicationSearchRequest:
		return c.search(text(request.Children[0]), request.Children[6], found)
	case ldap.ApplicationModifyRequest:
		e, ok := c.entries[text(request.Children[0])]
		if !ok {
			return ldap.LDAPResultNoSuchObject
		}
		change := request.Children[1].Children[0]
		name, value := text(change.Children[1].Children[0]), text(change.Children[1].Children[1].Children[0])
		if change.Children[0].Value.(int64) == ldap.AddAttribute {
			if slices.Contains(e[name], value) {
				return ldap.LDAPResultAttributeOrValueExists
			}
			e[name] = append(e[name], value)
		} else {
			e[name] = slices.DeleteFunc(e[name], func(v string) bool { return v == value })
		}
	case ldap.ApplicationAddRequest:
		dn, e := text(request.Children[0]), entry{}
		if c.entries[dn] != nil {
			return ldap.LDAPResultEntryAlreadyExists
		}
		for _, attribute := range request.Children[1].Children {
			for _, v := range attribute.Children[1].Children {
				e[text(attribute.Children[0])] = append(e[text(attribute.Children[0])], text(v))
			}
		}
		c.entries[dn] = e
	case ldap.ApplicationDelRequest:
		if c.entries[text(request)] == nil {
			return ldap.LDAPResultNoSuchObject
		}
		delete(c.entries, text(request))
	}
	return ldap.LDAPResultSuccess
}

func (c *controller) search(base string, filter *ber.Packet, found func(string, entry)) uint16 {
	asked, err := ldap.DecompileFilter(filter)
	if err != nil {
		c.t.Error(err)
	}
	switch base {
	case domainDN:
		c.account = asked
		if asked == "(&(objectClass=computer)(sAMAccountName=LS1$))" && c.entries[computerDN] != nil {
			found(computerDN, c.entries[computerDN])
		}
	case "CN=Partitions,CN=Configuration," + domainDN:
		for _, name := range []string{"example.com", "EXAMPLE"} {
			if asked == "(&(objectClass=crossRef)(nCName="+domainDN+")(|(dnsRoot="+name+")(nETBIOSName="+name+")))" {
				found("CN=EXAMPLE,"+base, nil)
			}
		}
	default:
		e, ok := c.entries[base]
		if !ok {
			return ldap.LDAPResultNoSuchObject
		}
		name, value, _ := strings.Cut(strings.Trim(asked, "()"), "=")
		if value == "*" || slices.Contains(e[name], value) {
			found(base, e)
		}
	}
	return ldap.LDAPResultSuccess
}
