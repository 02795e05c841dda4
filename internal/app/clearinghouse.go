package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/client"
	"calkeeper/internal/clearinghouse/server"
	"calkeeper/internal/clearinghouse/sqlite"
	"calkeeper/internal/privatefile"
)

// Files in a clearinghouse's directory.
const (
	clearinghouseDatabase = "clearinghouse.db"
	clearinghouseKeys     = "clearinghouse.key"
	operatorFile          = "operator.json"
	// AuthorityFile is what license servers need to know of the clearinghouse; nothing in it is secret.
	AuthorityFile = "authority.json"
)

// inProcess stands for the address of a clearinghouse that does not listen.
const inProcess = "https://clearinghouse.invalid"

// ClearinghouseOptions say how a clearinghouse runs.
type ClearinghouseOptions struct {
	Dir         string
	Listen      string // host:port; empty: it serves its own process only
	URL         string // under which license servers reach it; empty: the address it listens on
	Logger      *slog.Logger
	ReleaseWait time.Duration // see clearinghouse.Options
}

// Clearinghouse is a running clearinghouse.
type Clearinghouse struct {
	Service   *clearinghouse.Service
	Authority clearinghouse.Authority

	store   *sqlite.Store
	handler http.Handler
	http    *httpServer // nil if it does not listen
	token   string
	// operatorURL is where the command line on this machine reaches it: Authority.URL may be a name known elsewhere only.
	operatorURL string
}

// operatorAccess is how the command line on the same machine reaches a clearinghouse.
type operatorAccess struct {
	Authority clearinghouse.Authority `json:"authority"`
	Token     string                  `json:"token"`
}

// StartClearinghouse opens a clearinghouse and serves it until Stop.
func StartClearinghouse(ctx context.Context, o ClearinghouseOptions) (_ *Clearinghouse, err error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	// The database is locked first: whatever is made below is made by one process only.
	c := &Clearinghouse{token: rand.Text()}
	c.store, err = sqlite.Open(ctx, filepath.Join(o.Dir, clearinghouseDatabase), sqlite.Options{Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop(ctx))
		}
	}()
	keys, err := loadKeys(filepath.Join(o.Dir, clearinghouseKeys))
	if err != nil {
		return nil, err
	}
	c.Authority = keys.Authority()
	c.Service = clearinghouse.New(c.store, keys, clearinghouse.Options{
		Now: time.Now, Random: rand.Reader, Logger: o.Logger, ReleaseWait: o.ReleaseWait, Step: crashStep,
	})
	c.Authority.URL = inProcess
	var listener net.Listener
	if o.Listen != "" {
		if listener, err = c.listen(o); err != nil {
			return nil, err
		}
	}
	c.handler = server.New(c.Service, server.Options{Authority: c.Authority, OperatorToken: c.token, Logger: o.Logger})
	if listener == nil {
		return c, nil
	}
	c.http = serveHTTP(listener, c.handler, o.Logger)
	return c, c.writeAccess(o.Dir)
}

func (c *Clearinghouse) listen(o ClearinghouseOptions) (net.Listener, error) {
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("clearinghouse: listen address %q: %w", o.Listen, err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	name, err := publicName(o.URL, host)
	if err != nil {
		return nil, err
	}
	certFile, keyFile, err := ownCertificate(o.Dir, slices.Compact([]string{name, host, "localhost", "127.0.0.1", "::1"}))
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(certFile)
	if err != nil {
		return nil, err
	}
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	if err := certificate.Leaf.VerifyHostname(name); err != nil {
		return nil, fmt.Errorf("the certificate in %s is not for %s: change --url, or delete tls.crt and tls.key there, and a new one is made: %w", o.Dir, name, err)
	}
	if certificate.Leaf.VerifyHostname(host) != nil {
		host = name // a certificate from elsewhere: the command line calls the public name as well
	}
	listener, err := listenTLS(o.Listen, func() *tls.Certificate { return &certificate }, tls.NoClientCert)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	c.operatorURL = "https://" + net.JoinHostPort(host, port)
	c.Authority.URL, c.Authority.Certificates = strings.TrimSuffix(o.URL, "/"), string(text)
	if o.URL == "" {
		c.Authority.URL = "https://" + net.JoinHostPort(name, port)
	}
	return listener, nil
}

// publicName returns the name under which license servers reach a clearinghouse that listens on host.
func publicName(address, host string) (string, error) {
	if address == "" {
		if host != "localhost" {
			return host, nil
		}
		return os.Hostname()
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" {
		return "", fmt.Errorf("clearinghouse: the URL %q is not https://host:port", address)
	}
	return u.Hostname(), nil
}

func (c *Clearinghouse) writeAccess(dir string) error {
	public, err := json.MarshalIndent(c.Authority, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, AuthorityFile)
	if before, err := os.ReadFile(path); err != nil || !bytes.Equal(before, public) {
		if err := privatefile.WritePublic(path, public); err != nil {
			return err
		}
	}
	access := operatorAccess{c.Authority, c.token}
	access.Authority.URL = c.operatorURL
	private, err := json.MarshalIndent(access, "", "  ")
	if err != nil {
		return err
	}
	return privatefile.Write(filepath.Join(dir, operatorFile), private)
}

// Transport carries requests of license servers in this process.
func (c *Clearinghouse) Transport() http.RoundTripper { return server.Transport(c.handler) }

// Stop ends serving and closes the ledger.
func (c *Clearinghouse) Stop(ctx context.Context) error {
	return errors.Join(c.http.stop(ctx), c.store.Close())
}

// OpenOperator returns access to the clearinghouse of a directory: the one that runs, or, if none does, one that runs until
// the function is called that is returned.
func OpenOperator(ctx context.Context, dir string, log *slog.Logger) (_ *client.Operator, stop func(context.Context) error, err error) {
	if text, err := os.ReadFile(filepath.Join(dir, operatorFile)); err == nil {
		var access operatorAccess
		if err := json.Unmarshal(text, &access); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", filepath.Join(dir, operatorFile), err)
		}
		if conn, err := net.DialTimeout("tcp", hostOf(access.Authority.URL), 2*time.Second); err == nil {
			conn.Close()
			o, err := client.NewOperator(access.Authority, access.Token, nil)
			return o, func(context.Context) error { return nil }, err
		}
	}
	c, err := StartClearinghouse(ctx, ClearinghouseOptions{Dir: dir, Logger: log})
	if err != nil {
		return nil, nil, err
	}
	o, err := client.NewOperator(c.Authority, c.token, c.Transport())
	return o, c.Stop, err
}
