// Package client talks to a clearinghouse, as a license server (Client) or as its operator (Operator). It trusts an answer
// only if it carries the clearinghouse's signature.
package client

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/wire"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
)

// maxAnswer is the greatest answer that is read, in bytes.
const maxAnswer = 16 << 20

// Options are what a Client needs.
type Options struct {
	Authority clearinghouse.Authority
	Identity  *ecdh.PrivateKey  // the license server's
	Transport http.RoundTripper // nil: TLS that trusts Authority.Certificates
	Random    io.Reader
	Timeout   time.Duration // of a request other than a poll; 0 means 20 s
}

// Client asks the clearinghouse as one license server. Its methods return Faults: those of the clearinghouse's functions,
// and Unavailable, with clearinghouse.ErrNotSent in the chain if the request has certainly not arrived.
type Client struct {
	Options
	secret    keycode.Secret
	productID string
	http      *http.Client
}

// New returns a Client.
func New(o Options) (*Client, error) {
	if err := o.Authority.Check(); err != nil {
		return nil, err
	}
	secret, err := o.Authority.Secret(o.Identity)
	if err != nil {
		return nil, err
	}
	o.Authority.URL = strings.TrimSuffix(o.Authority.URL, "/")
	if o.Timeout == 0 {
		o.Timeout = 20 * time.Second
	}
	c, err := httpClient(o.Transport, o.Authority.Certificates)
	if err != nil {
		return nil, err
	}
	return &Client{Options: o, secret: secret, productID: keycode.ProductID(o.Identity.PublicKey()), http: c}, nil
}

func httpClient(transport http.RoundTripper, certificates string) (*http.Client, error) {
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		if certificates != "" {
			t.TLSClientConfig.RootCAs = x509.NewCertPool()
			if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM([]byte(certificates)) {
				return nil, errors.New("the authority document's certificates are not PEM")
			}
		}
		transport = t
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// Secret returns the secret that codes for this license server are bound to.
func (c *Client) Secret() keycode.Secret { return c.secret }

// SigningKey returns the key that verifies grants, notices and activations.
func (c *Client) SigningKey() []byte { return c.Authority.SigningKey }

// Activate asks for a license server ID.
func (c *Client) Activate(ctx context.Context, r clearinghouse.ActivateRequest) (clearinghouse.Activation, error) {
	return c.activation(ctx, wire.ActivatePath, r)
}

// Reactivate asks for a new license server ID.
func (c *Client) Reactivate(ctx context.Context, r clearinghouse.ReactivateRequest) (clearinghouse.Activation, error) {
	return c.activation(ctx, wire.ReactivatePath, r)
}

func (c *Client) activation(ctx context.Context, path string, request any) (clearinghouse.Activation, error) {
	var signed clearinghouse.Signed
	if err := c.ask(ctx, path, c.Timeout, request, &signed); err != nil {
		return clearinghouse.Activation{}, err
	}
	var a clearinghouse.Activation
	if err := signed.Verify(c.Authority.SigningKey, clearinghouse.PurposeActivation, &a); err != nil {
		return a, err
	}
	if a.ProductID != c.productID {
		return a, errors.New("the activation is another license server's")
	}
	return a, nil
}

// Deactivate retires this license server's ID.
func (c *Client) Deactivate(ctx context.Context) error {
	return c.ask(ctx, wire.DeactivatePath, c.Timeout, struct{}{}, &struct{}{})
}

// Perform asks for an operation; the answer is a signed Grant.
func (c *Client) Perform(ctx context.Context, op clearinghouse.Operation) (clearinghouse.Signed, error) {
	var signed clearinghouse.Signed
	err := c.ask(ctx, wire.PerformPath, c.Timeout, op, &signed)
	return signed, err
}

// Poll acknowledges the notices up to after and returns those behind it; it waits so long for the first.
func (c *Client) Poll(ctx context.Context, after uint64, wait time.Duration) ([]clearinghouse.Signed, error) {
	var notices []clearinghouse.Signed
	err := c.ask(ctx, wire.PollPath, wait+c.Timeout, wire.Poll{After: after, WaitMilliseconds: wait.Milliseconds()}, &notices)
	return notices, err
}

func (c *Client) ask(ctx context.Context, path string, timeout time.Duration, request, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	random := make([]byte, 16)
	if _, err := io.ReadFull(c.Random, random); err != nil {
		return fmt.Errorf("random bytes: %w", err)
	}
	nonce := hex.EncodeToString(random)
	header := http.Header{}
	header.Set(wire.ProductIDHeader, c.productID)
	header.Set(wire.NonceHeader, nonce)
	header.Set(wire.MACHeader, hex.EncodeToString(wire.MAC(c.secret, path, c.productID, nonce, body)))
	response, text, err := post(ctx, c.http, c.Authority.URL+path, header, body)
	if err != nil {
		return err
	}
	signature, err := base64.StdEncoding.DecodeString(response.Header.Get(wire.SignatureHeader))
	if err != nil || !clearinghouse.VerifyAnswer(c.Authority.SigningKey, wire.SignedAnswer(path, c.productID, nonce, response.StatusCode, text), signature) {
		return licensing.Faultf(licensing.Unavailable, "the answer from %s (HTTP %d) is not signed by the clearinghouse of the authority document", c.Authority.URL, response.StatusCode)
	}
	return decode(response.StatusCode, text, answer)
}

// post sends a request. An error is a Fault of kind Unavailable.
func post(ctx context.Context, client *http.Client, url string, header http.Header, body []byte) (*http.Response, []byte, error) {
	connected := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }})
	unavailable := func(err error) error {
		if !connected {
			err = fmt.Errorf("%w: %w", clearinghouse.ErrNotSent, err)
		}
		return &licensing.Fault{Kind: licensing.Unavailable, Msg: "the clearinghouse cannot be reached", Err: err}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, unavailable(err)
	}
	request.Header = header
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, unavailable(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, nil, unavailable(err)
	}
	return response, text, nil
}

func decode(status int, text []byte, answer any) error {
	if status == http.StatusOK {
		if err := json.Unmarshal(text, answer); err != nil {
			return fmt.Errorf("the clearinghouse's answer: %w", err)
		}
		return nil
	}
	var p wire.Problem
	if err := json.Unmarshal(text, &p); err != nil {
		return licensing.Faultf(licensing.Unavailable, "the clearinghouse answered with HTTP status %d", status)
	}
	kind := licensing.ParseKind(p.Title)
	if kind == licensing.Internal {
		// It could not decide: asking again later may be answered.
		kind = licensing.Unavailable
	}
	return licensing.Faultf(kind, "%s", p.Detail)
}

// Operator asks the clearinghouse as its operator.
type Operator struct {
	url, token string
	http       *http.Client
}

// NewOperator returns an Operator. A nil transport means TLS that trusts the authority's certificates.
func NewOperator(a clearinghouse.Authority, token string, transport http.RoundTripper) (*Operator, error) {
	c, err := httpClient(transport, a.Certificates)
	if err != nil {
		return nil, err
	}
	return &Operator{strings.TrimSuffix(a.URL, "/"), token, c}, nil
}

// Call calls one of the operator's functions; see the names in package wire.
func (o *Operator) Call(ctx context.Context, function string, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	header := http.Header{}
	header.Set("Authorization", "Bearer "+o.token)
	response, text, err := post(ctx, o.http, o.url+wire.OperatorPath+function, header, body)
	if err != nil {
		return err
	}
	return decode(response.StatusCode, text, answer)
}
