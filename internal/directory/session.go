package directory

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"calkeeper/internal/licensing"
)

// maxAnswers is how many bytes a domain controller may send in one call. What is asked for takes some thousand.
const maxAnswers = 1 << 20

// session is one connection, bound as the service account, and where things are in the directory.
type session struct {
	d             *Directory
	conn          *ldap.Conn
	domain        string // distinguished name of the domain
	configuration string // of the configuration of the forest
	server        string // of the domain controller in its site
	computer      *ldap.Entry
}

// call does something in a session of its own. It ends when ctx does, or after the time limit.
func (d *Directory) call(ctx context.Context, op string, do func(*session) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.o.Timeout)
	defer cancel()
	err := d.session(ctx, do)
	if err == nil {
		return nil
	}
	f, ok := errors.AsType[*licensing.Fault](err)
	if !ok {
		f = d.sort(err)
	}
	f.Op = op
	if ctx.Err() != nil && f.Err != nil {
		f.Err = fmt.Errorf("%w: %w", ctx.Err(), f.Err)
	}
	return f
}

func (d *Directory) session(ctx context.Context, do func(*session) error) error {
	password, err := d.password()
	if err != nil {
		return fault(licensing.Internal, err, "the password of %s", d.o.User)
	}
	conn, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.Bind(d.o.User, password); err != nil {
		return bindFault(d.o.User, err)
	}
	s := &session{d: d, conn: conn}
	if err := s.locate(); err != nil {
		return err
	}
	return do(s)
}

// connect returns an encrypted connection. The end of ctx closes it, whatever it waits for.
func (d *Directory) connect(ctx context.Context) (*ldap.Conn, error) {
	raw, err := d.o.Dial(ctx, "tcp", d.address)
	if err != nil {
		return nil, fault(licensing.Unavailable, err, "the domain controller at %s cannot be reached", d.address)
	}
	context.AfterFunc(ctx, func() { raw.Close() })
	limited := &limitedConn{raw, maxAnswers}
	insecure := func(err error) error {
		return fault(licensing.Unavailable, err, "no TLS with the domain controller at %s: its certificate must be for that name, "+
			"and come from directory-ca-file or an authority that the system trusts", d.address)
	}
	if !d.startTLS {
		secure := tls.Client(limited, d.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, insecure(err)
		}
		return d.started(secure, true), nil
	}
	conn := d.started(limited, false)
	if err := conn.StartTLS(d.tls); err != nil {
		conn.Close()
		return nil, insecure(err)
	}
	return conn, nil
}

func (d *Directory) started(c net.Conn, isTLS bool) *ldap.Conn {
	conn := ldap.NewConn(c, isTLS)
	conn.SetTimeout(2 * d.o.Timeout) // the context ends before: this is for the library's own queues
	conn.Start()
	return conn
}

// limitedConn ends what an endless answer would fill the memory with.
type limitedConn struct {
	net.Conn
	left int
}

func (c *limitedConn) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, fmt.Errorf("more than %d bytes: %w", maxAnswers, io.ErrShortBuffer)
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// locate asks the domain controller where the directory has what, and finds the license server's account.
func (s *session) locate() error {
	root, err := s.read("", "(objectClass=*)", "defaultNamingContext", "configurationNamingContext", "serverName")
	if err != nil {
		return err
	}
	if root != nil {
		s.domain, s.configuration = root.GetAttributeValue("defaultNamingContext"), root.GetAttributeValue("configurationNamingContext")
		s.server = root.GetAttributeValue("serverName")
	}
	if s.domain == "" || s.configuration == "" || s.server == "" {
		return fault(licensing.Unavailable, nil, "the server at %s is no domain controller of Active Directory", s.d.address)
	}
	account := s.d.o.Computer + "$"
	filter := "(&(objectClass=computer)(sAMAccountName=" + ldap.EscapeFilter(account) + "))"
	found, err := s.search(s.domain, ldap.ScopeWholeSubtree, filter, "userAccountControl")
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fault(licensing.NotFound, nil, "the directory has no computer account %s in %s: the license server's computer must join "+
			"the domain, or directory-computer must name its account", account, s.domain)
	}
	s.computer = found[0]
	return nil
}

// read returns the entry with that distinguished name if the filter holds for it, and nil if not. A missing entry is an error.
func (s *session) read(dn, filter string, attributes ...string) (*ldap.Entry, error) {
	found, err := s.search(dn, ldap.ScopeBaseObject, filter, attributes...)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// noAttributes asks for none (RFC 4511, section 4.5.1.8).
const noAttributes = "1.1"

func (s *session) search(dn string, scope int, filter string, attributes ...string) ([]*ldap.Entry, error) {
	if len(attributes) == 0 {
		attributes = []string{noAttributes}
	}
	result, err := s.conn.Search(&ldap.SearchRequest{
		BaseDN: dn, Scope: scope, DerefAliases: ldap.NeverDerefAliases, Filter: filter, Attributes: attributes,
		TimeLimit: max(1, int(s.d.o.Timeout/time.Second)),
	})
	if err != nil {
		return nil, err
	}
	return result.Entries, nil
}

// holds tells whether a value that names the computer is among those of an attribute of an entry. The domain controller compares: it
// knows that two distinguished names are one, and does not send a thousand others.
func (s *session) holds(dn, attribute string) (bool, error) {
	e, err := s.read(dn, "("+attribute+"="+ldap.EscapeFilter(s.computer.DN)+")")
	return e != nil, err
}

// settle makes the answer to a question want. It asks first, and again if the change failed: somebody else may have made it meanwhile,
// and domain controllers answer that with various results.
func settle(want bool, is func() (bool, error), change func() error) (changed bool, err error) {
	now, err := is()
	if err != nil || now == want {
		return false, err
	}
	if err = change(); err == nil {
		return true, nil
	}
	if now, again := is(); again == nil && now == want {
		return false, nil
	}
	return false, err
}

func fault(kind licensing.Kind, err error, format string, args ...any) *licensing.Fault {
	return &licensing.Fault{Kind: kind, Msg: fmt.Sprintf(format, args...), Err: err}
}

// right turns the refusal of a change (RFC 4511, result 50) into one that tells which right is missing.
func (s *session) right(err error, format string, args ...any) error {
	if !ldap.IsErrorWithCode(err, ldap.LDAPResultInsufficientAccessRights) {
		return err
	}
	return fault(licensing.Denied, err, "the directory does not let %s do this: it lacks the right to %s", s.d.o.User, fmt.Sprintf(format, args...))
}

// bindReasons are what Active Directory adds to result 49, by the code after "data": a Win32 error in hexadecimal.
var bindReasons = map[string]string{
	"525": "there is no such user", "52e": "user or password is wrong", "530": "it may not log on at this time", "532": "its password has expired",
	"533": "it is disabled", "701": "it has expired", "773": "it must change its password first", "775": "it is locked out",
}

// bindFault explains why the directory does not know the service account.
func bindFault(user string, err error) error {
	if !ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
		return err
	}
	reason := "user or password is wrong"
	if _, data, ok := strings.Cut(err.Error(), ", data "); ok {
		code, _, _ := strings.Cut(data, ",")
		if known, ok := bindReasons[strings.ToLower(code)]; ok {
			reason = known
		}
	}
	return fault(licensing.Denied, err, "the directory does not let %s in: %s; check directory-user and directory-password-file", user, reason)
}

// sort makes a fault of an error that no operation has explained.
func (d *Directory) sort(err error) *licensing.Fault {
	answer, ok := errors.AsType[*ldap.Error](err)
	if !ok {
		return fault(licensing.Unavailable, err, "the domain controller at %s gave no answer", d.address)
	}
	switch answer.ResultCode {
	case ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.LDAPResultTimeLimitExceeded, ldap.LDAPResultAdminLimitExceeded:
		return fault(licensing.Unavailable, err, "the domain controller at %s cannot answer now", d.address)
	case ldap.LDAPResultReferral:
		return fault(licensing.Unavailable, err, "the domain controller at %s names another: directory-url must be one of the license server's "+
			"domain that can be written to", d.address)
	case ldap.LDAPResultInsufficientAccessRights:
		return fault(licensing.Denied, err, "the directory does not let %s read what this needs", d.o.User)
	}
	if answer.ResultCode >= ldap.ErrorNetwork { // the library's own
		return fault(licensing.Unavailable, err, "the domain controller at %s gave no answer", d.address)
	}
	return fault(licensing.Internal, err, "the domain controller at %s refused", d.address)
}
