// Package client talks to the REST API of a license server, as a session host (with a token or a client certificate) or as an
// account. It must not know how licenses are issued.
//
// Its errors are Faults of the kind that the license server answered with; a license that was refused is Unlicensed, with a
// licensing.DenialReason as its cause. A license server that cannot be reached, does not answer in time, or answers with what is
// not its API is Unavailable.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
)

// maxAnswer is the greatest answer that is read, in bytes: a page of 1000 items has less than 1 MB.
const maxAnswer = 8 << 20

// idleConnections are kept for the next requests of a program that asks much at the same time.
const idleConnections = 64

// defaultTimeout leaves the license server time for a slow disk.
const defaultTimeout = 20 * time.Second

// Options say which license server is asked, and as whom.
type Options struct {
	// URL is the address of the API, such as https://ls1.example.com:5986/v1; a path other than /v1 is a proxy's.
	URL string
	// Token is a session host's; User and Password are an account's. Without both the client certificate of TLS counts, or
	// nothing at all.
	Token, User, Password string
	// TLS is how HTTPS is spoken: RootCAs to trust, Certificates to show. nil means the machine's trust and TLS 1.2 at least.
	TLS *tls.Config
	// Timeout is how long one request may take, beside what a poll waits; 0 means 20 seconds. A stream has none.
	Timeout time.Duration
	// AllowUnencrypted sends tokens and passwords over plain HTTP to other machines too.
	AllowUnencrypted bool
}

// Client asks one license server. It is safe for concurrent use.
type Client struct {
	options Options
	base    *url.URL
	http    *http.Client
}

// New returns a Client. A Fault of kind Invalid says what is wrong with the options.
func New(o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimSuffix(o.URL, "/"))
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, licensing.Faultf(licensing.Invalid, "the address of the license server's API must be like https://ls1.example.com:5986/v1")
	}
	if o.Token != "" && (o.User != "" || o.Password != "") {
		return nil, licensing.Faultf(licensing.Invalid, "a token and a password are given; one of them says who asks")
	}
	for _, c := range []byte(o.Token) {
		if c <= ' ' || c > '~' {
			return nil, licensing.Faultf(licensing.Invalid, "the token has a character that no token has: is there a line break in its file?")
		}
	}
	if (o.Token != "" || o.Password != "") && base.Scheme == "http" && !o.AllowUnencrypted && !Loopback(base.Hostname()) {
		return nil, licensing.Faultf(licensing.Invalid, "%s is not encrypted and not this machine: use https, or allow to send tokens and passwords unencrypted", base)
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	// Directly, without a proxy: the environment may be that of a user who logs on, and a proxy would get the token.
	transport := &http.Transport{
		DialContext: (&net.Dialer{Timeout: o.Timeout}).DialContext, TLSHandshakeTimeout: o.Timeout,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: idleConnections, IdleConnTimeout: time.Minute,
	}
	if o.TLS != nil {
		transport.TLSClientConfig = o.TLS.Clone()
	}
	return &Client{options: o, base: base, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // it would get the token
	}}, nil
}

// Loopback tells whether a host name or IP address is this machine itself, where tokens and passwords may go unencrypted.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// String names the license server for people.
func (c *Client) String() string { return c.base.Host }

// do sends a request and decodes its answer.
func (c *Client) do(ctx context.Context, method, path string, header http.Header, body, answer any) error {
	return c.within(ctx, c.options.Timeout, method, path, header, body, answer)
}

func (c *Client) within(ctx context.Context, timeout time.Duration, method, path string, header http.Header, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	response, err := c.send(ctx, method, path, header, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return c.unreachable(err)
	}
	if response.StatusCode/100 != 2 {
		return c.problem(response, text)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return c.unreachable(fmt.Errorf("the answer is not the API's: %w", err))
	}
	return nil
}

// send sends a request. An error is a Fault of kind Unavailable.
func (c *Client) send(ctx context.Context, method, path string, header http.Header, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, content)
	if err != nil {
		return nil, c.unreachable(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	if body != nil {
		r.Header.Set("Content-Type", wire.JSON)
	}
	switch {
	case c.options.Token != "":
		r.Header.Set("Authorization", "Bearer "+c.options.Token)
	case c.options.User != "":
		r.SetBasicAuth(c.options.User, c.options.Password)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, c.unreachable(err)
	}
	return response, nil
}

// unreachable says that there was no answer. The cause stays in the chain, so that a certificate that is not trusted or a port
// that is closed can be told.
func (c *Client) unreachable(err error) error {
	what := "cannot be reached"
	var timeout net.Error
	if asTimeout(err, &timeout) {
		what = "did not answer in time"
	}
	return &licensing.Fault{Kind: licensing.Unavailable, Msg: "the license server at " + c.base.Host + " " + what, Err: err}
}

// query joins the parameters that are not empty or zero.
func query(path string, parameters ...string) string {
	values := url.Values{}
	for i := 0; i < len(parameters); i += 2 {
		if v := parameters[i+1]; v != "" && v != "0" {
			values.Set(parameters[i], v)
		}
	}
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

func number[N ~int | ~uint32 | ~uint64](n N) string { return strconv.FormatUint(uint64(n), 10) }
