package client

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"calkeeper/internal/cim"
)

// Options say which server to call, and how. Only URL is required.
type Options struct {
	// URL of the service: http or https, a host, and unless they are the usual ones a port (5985 for http, 5986 for https)
	// and a path (/wsman).
	URL string

	// User and Password for Basic authentication. Without a User the requests are anonymous.
	User, Password string

	// AllowUnencrypted permits Basic authentication over plain HTTP to another machine, where everybody on the way can read
	// the password.
	AllowUnencrypted bool

	// HTTPClient carries the requests; nil stands for one that connects directly, without a proxy. Its CheckRedirect is not
	// used.
	HTTPClient *http.Client

	// TLS says which certificates to trust; nil stands for those that the system trusts. It goes without HTTPClient only,
	// which has its own.
	TLS *tls.Config

	// Namespace of the classes, root/cimv2 if empty. Backslashes are as good as slashes.
	Namespace string

	// Timeout is how long the server may work on one request (w:OperationTimeout), 60 seconds if 0. The client waits for a
	// few seconds more.
	Timeout time.Duration

	// MaxEnvelopeSize is the length in bytes of the largest reply that the server shall send and that the client reads:
	// 512,000 if 0, as PowerShell has it, and 8,192 at least (DSP0226, section 6.2).
	MaxEnvelopeSize int

	// Rand is the source of message identifiers, crypto/rand if nil.
	Rand io.Reader
}

// The defaults of [Options], and how much longer than the server the client waits.
const (
	defaultTimeout         = 60 * time.Second
	defaultMaxEnvelopeSize = 512_000
	minMaxEnvelopeSize     = 8_192
	grace                  = 10 * time.Second
)

// Client calls one server. It is safe for concurrent use.
type Client struct {
	url             string
	namespace       string
	timeout         time.Duration
	maxEnvelopeSize int
	http            *http.Client

	// These two hold the password in a way that printing a Client does not show.
	authorize func(*http.Request) // nil if anonymous
	redact    func(string) string

	randMutex sync.Mutex
	rand      io.Reader
}

// New returns a client of the server that the options name. It does not connect yet. The error says which option is wrong.
func New(opt Options) (*Client, error) {
	target, err := parseURL(opt.URL)
	if err != nil {
		return nil, err
	}
	c := &Client{
		url:             target.String(),
		namespace:       cim.NormalizeNamespace(opt.Namespace),
		timeout:         opt.Timeout,
		maxEnvelopeSize: opt.MaxEnvelopeSize,
		rand:            opt.Rand,
	}
	if c.namespace == "" {
		c.namespace = "root/cimv2"
	}
	for segment := range strings.SplitSeq(c.namespace, "/") {
		if !isName(segment) {
			return nil, errors.New("wsman: the Namespace must be names with slashes between them, such as root/cimv2")
		}
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.timeout < time.Millisecond {
		return nil, fmt.Errorf("wsman: the Timeout is %s; it must be a millisecond or more", c.timeout)
	}
	if c.maxEnvelopeSize == 0 {
		c.maxEnvelopeSize = defaultMaxEnvelopeSize
	}
	if c.maxEnvelopeSize < minMaxEnvelopeSize {
		return nil, fmt.Errorf("wsman: the MaxEnvelopeSize is %d; it must be %d or more", c.maxEnvelopeSize, minMaxEnvelopeSize)
	}
	if c.rand == nil {
		c.rand = rand.Reader
	}
	if err := c.setCredentials(opt, target); err != nil {
		return nil, err
	}
	return c, c.setHTTP(opt)
}

// parseURL reads the URL of a service. Its errors do not repeat the URL, as somebody may have put a password into it.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("wsman: the URL must have the form https://host:port/wsman")
	case u.User != nil:
		return nil, errors.New("wsman: the URL must not hold a user name or password; they are options of their own")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("wsman: the URL must not have a query or a fragment; its form is https://host:port/wsman")
	}
	if u.Port() == "" {
		port := map[string]string{"http": "5985", "https": "5986"}[u.Scheme]
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/wsman"
	}
	return u, nil
}

func (c *Client) setCredentials(opt Options, target *url.URL) error {
	c.redact = func(s string) string { return s }
	if opt.User == "" {
		if opt.Password != "" {
			return errors.New("wsman: there is a Password but no User")
		}
		return nil
	}
	// RFC 7617, section 2.
	if strings.Contains(opt.User, ":") {
		return errors.New("wsman: the User must not contain a colon, which Basic authentication cannot carry")
	}
	if strings.ContainsFunc(opt.User+opt.Password, unicode.IsControl) {
		return errors.New("wsman: User and Password must not contain control characters such as line ends")
	}
	if target.Scheme == "http" && !opt.AllowUnencrypted && !isLoopback(target.Hostname()) {
		return fmt.Errorf("wsman: Basic authentication over plain http would show the password to everybody on the way to %s: "+
			"use an https URL, or allow unencrypted traffic", target.Hostname())
	}
	if opt.Password != "" {
		token := base64.StdEncoding.EncodeToString([]byte(opt.User + ":" + opt.Password))
		quoted := strconv.Quote(opt.Password) // as %q, which net/http uses for what it cannot read, would show it
		c.redact = strings.NewReplacer(token, "***", opt.Password, "***", quoted[1:len(quoted)-1], "***").Replace
	}
	user, password := opt.User, opt.Password
	c.authorize = func(r *http.Request) { r.SetBasicAuth(user, password) }
	return nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

func (c *Client) setHTTP(opt Options) error {
	switch {
	case opt.HTTPClient != nil && opt.TLS != nil:
		return errors.New("wsman: TLS and HTTPClient exclude each other; the HTTPClient has its own TLS configuration")
	case opt.HTTPClient != nil:
		carrier := *opt.HTTPClient
		c.http = &carrier
	default:
		c.http = &http.Client{Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSClientConfig:     opt.TLS.Clone(),
			TLSHandshakeTimeout: 10 * time.Second,
			IdleConnTimeout:     30 * time.Second,
			MaxIdleConnsPerHost: 4,

			MaxResponseHeaderBytes: 64 << 10,
		}}
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return nil
}

// Close closes the connections that wait for further requests. The client can still be used.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// isName tells whether s can be the name of a class, a property or a method (DSP0004, annex A: IDENTIFIER).
func isName(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return s != "" && len(s) <= 256
}
