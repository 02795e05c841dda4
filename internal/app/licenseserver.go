// Package app wires the parts into what runs: a license server, a clearinghouse, or both in one process. It is the only
// package that knows all the others.
package app

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/activation"
	"calkeeper/internal/auditing"
	"calkeeper/internal/auth"
	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/kerberos"
	"calkeeper/internal/cim"
	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/client"
	"calkeeper/internal/discovery"
	"calkeeper/internal/inventory"
	"calkeeper/internal/issuance"
	"calkeeper/internal/keycode"
	"calkeeper/internal/metrics"
	"calkeeper/internal/reporting"
	reports "calkeeper/internal/reporting/sqlite"
	"calkeeper/internal/restapi"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
	"calkeeper/internal/tlswmiprov"
	"calkeeper/internal/wsman"
)

// Version is the version of this program.
const Version = "0.1.0"

// Files in a license server's directory.
const (
	database     = "calkeeper.db"
	identityFile = "identity.key"
	accountKey   = "accounts.key"
	reportsDir   = "reports"
)

// LicenseServerOptions say how a license server runs.
type LicenseServerOptions struct {
	Dir              string
	Name             string   // host name or FQDN under which it registers
	Names            []string // further names and addresses
	ListenHTTP       string   // host:port of WS-Management and the REST API over HTTP; empty: none
	ListenHTTPS      string   // over HTTPS; empty: none
	Certificate      string   // PEM file, followed when it changes; empty: one that signs itself
	CertificateKey   string
	AllowUnencrypted bool   // passwords and tokens over HTTP also from other machines
	APIRate          uint32 // requests per second of the REST API by each session host or account; 0: 200

	Policies issuance.Policies

	AccountKeyFile string               // of the key that encrypts NT hashes; empty: accounts.key in Dir
	RoleGroups     map[string]auth.Role // roles of groups of Kerberos realms by SID

	Keytab          string             // file with this server's keys in a Kerberos realm; empty: no Kerberos
	AllowRC4        bool               // take tickets that are encrypted with RC4
	ChannelBindings gss.BindingsPolicy // of handshakes; empty: gss.Relaxed

	Directory discovery.Directory // nil: none

	Authority    *clearinghouse.Authority // nil: no clearinghouse
	Transport    http.RoundTripper        // to it; nil: HTTPS
	EnrolmentKey string

	Logger *slog.Logger
}

// LicenseServer is a running license server.
type LicenseServer struct {
	Activation *activation.Service
	Discovery  *discovery.Service
	Inventory  *inventory.Service
	Issuance   *issuance.Service
	Reporting  *reporting.Service
	Accounts   *accounts.Service
	ProductID  string
	// CertificateFingerprint is the SHA-256 of the HTTPS certificate at the start, empty without HTTPS.
	CertificateFingerprint string

	options     LicenseServerOptions
	store       store.Store
	metrics     *metrics.Metrics
	receiptKey  ed25519.PrivateKey
	kerberos    *kerberos.Service // nil: none
	wsman       *wsman.Server
	http, https *httpServer
	cancel      context.CancelFunc
	background  sync.WaitGroup
}

// authority is what a license server asks of its clearinghouse.
type authority interface {
	activation.Clearinghouse
	inventory.Clearinghouse
}

// OpenLicenseServer opens a license server's directory without serving it. Stop closes it.
func OpenLicenseServer(ctx context.Context, o LicenseServerOptions) (_ *LicenseServer, err error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	// The database is locked first: whatever is made below is made by one process only.
	l := &LicenseServer{options: o, cancel: func() {}}
	if l.store, err = sqlite.Open(ctx, filepath.Join(o.Dir, database), sqlite.Options{Logger: o.Logger}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.store.Close())
		}
	}()
	identity, err := loadIdentity(filepath.Join(o.Dir, identityFile))
	if err != nil {
		return nil, err
	}
	l.ProductID = keycode.ProductID(identity.PublicKey())
	if l.receiptKey, err = receiptKey(identity); err != nil {
		return nil, err
	}
	if l.kerberos, err = openKerberos(o); err != nil {
		return nil, err
	}
	l.Accounts = newAccounts(l.store, o, l.realm())
	var house authority = noClearinghouse{}
	if o.Authority != nil {
		house, err = client.New(client.Options{Authority: *o.Authority, Identity: identity, Transport: o.Transport, Random: rand.Reader})
		if err != nil {
			return nil, err
		}
	}
	l.Activation, err = activation.New(ctx, l.store, house, activation.Options{
		ProductID: l.ProductID, Name: o.Name, Names: append(slices.Clone(o.Names), addresses(o.ListenHTTP, o.ListenHTTPS)...), EnrolmentKey: o.EnrolmentKey, Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	l.Discovery = discovery.New(l.store, discovery.Options{Directory: o.Directory, Now: time.Now})
	l.Inventory = inventory.New(l.store, house, inventory.Options{Now: time.Now, Random: rand.Reader, Logger: o.Logger, Step: crashStep})
	l.metrics = metrics.New(Version)
	l.Issuance = issuance.New(l.store, issuance.Options{
		Policies: o.Policies, Now: time.Now, Random: rand.Reader, Logger: o.Logger, Observe: l.metrics.Observe,
	})
	l.Reporting = reporting.New(l.store, reports.New(filepath.Join(o.Dir, reportsDir)), reporting.Options{Now: time.Now, Logger: o.Logger})
	return l, nil
}

// Start serves WS-Management and the REST API and talks to the clearinghouse, until Stop.
func (l *LicenseServer) Start() (err error) {
	if err := l.Reporting.Recover(context.Background()); err != nil {
		return err
	}
	handler, err := l.handler()
	if err != nil {
		return err
	}
	if l.options.ListenHTTP != "" {
		listener, err := net.Listen("tcp", l.options.ListenHTTP)
		if err != nil {
			return err
		}
		l.http = serveHTTP(listener, handler, l.options.Logger)
	}
	if l.options.ListenHTTPS != "" {
		if err := l.startHTTPS(handler); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.background.Go(func() { l.Inventory.Run(ctx) })
	l.background.Go(func() { l.Issuance.Run(ctx) })
	return nil
}

// handler returns what all listeners serve.
func (l *LicenseServer) handler() (http.Handler, error) {
	provider := &tlswmiprov.Provider{
		Activation: l.Activation, Discovery: l.Discovery, Inventory: l.Inventory, Issuance: l.Issuance, Reporting: l.Reporting,
		Version: Version, Logger: l.options.Logger,
	}
	namespace, err := provider.Namespace()
	if err != nil {
		return nil, err
	}
	sessionHosts, err := provider.TerminalServices()
	if err != nil {
		return nil, err
	}
	l.wsman = wsman.NewServer(wsman.Options{
		Namespaces:    []*cim.Namespace{namespace, sessionHosts},
		Authenticator: l.authenticator(),
		Product:       wsman.Product{Vendor: "calkeeper", Version: Version},
		ServerName:    l.options.Name,
		Logger:        l.options.Logger,
		Now:           time.Now,
	})
	api := restapi.New(restapi.Options{
		Issuance: l.Issuance, Accounts: l.Accounts, Audit: auditing.New(l.store), Activated: l.activated, ReceiptKey: l.receiptKey,
		ServerName: l.options.Name, Version: Version,
		AllowUnencrypted: l.options.AllowUnencrypted, Metrics: l.metrics.Handler(l.Issuance, l.options.Logger), Logger: l.options.Logger,
		Limits: restapi.Limits{Rate: float64(l.options.APIRate), Burst: 2 * int(l.options.APIRate)},
	})
	return dividing(l.wsman, api), nil
}

func (l *LicenseServer) activated(ctx context.Context) (bool, error) {
	server, err := l.Activation.Server(ctx)
	return server.Activated(), err
}

func (l *LicenseServer) startHTTPS(handler http.Handler) error {
	o := l.options
	if (o.Certificate == "") != (o.CertificateKey == "") {
		return errors.New("certificate and certificate key are given both or not at all")
	}
	certFile, keyFile := o.Certificate, o.CertificateKey
	var err error
	if certFile == "" {
		certFile, keyFile, err = ownCertificate(o.Dir, append([]string{o.Name, "localhost", "127.0.0.1", "::1"}, o.Names...))
		if err != nil {
			return err
		}
	}
	certificate, err := openCertificate(certFile, keyFile, o.Logger)
	if err != nil {
		return err
	}
	l.CertificateFingerprint = fingerprint(certificate.get())
	// Clients may show a certificate. Nobody has to, and no authority is asked: a session host is known by the fingerprint of its
	// certificate, which it proves to hold the key of.
	listener, err := listenTLS(o.ListenHTTPS, certificate.get, tls.RequestClientCert)
	if err != nil {
		return err
	}
	l.https = serveHTTP(listener, handler, o.Logger)
	return nil
}

// Paths of what is served.
const (
	wsmanPath = "/wsman"
	apiPath   = "/v1"
)

// URL returns the address of WS-Management over HTTP, empty if there is none.
func (l *LicenseServer) URL() string { return l.address("http://", l.http, wsmanPath) }

// SecureURL returns the address of WS-Management over HTTPS, empty if there is none.
func (l *LicenseServer) SecureURL() string { return l.address("https://", l.https, wsmanPath) }

// APIURL returns the address of the REST API over HTTP, empty if there is none.
func (l *LicenseServer) APIURL() string { return l.address("http://", l.http, apiPath) }

// SecureAPIURL returns the address of the REST API over HTTPS, empty if there is none.
func (l *LicenseServer) SecureAPIURL() string { return l.address("https://", l.https, apiPath) }

func (l *LicenseServer) address(scheme string, s *httpServer, path string) string {
	if s == nil {
		return ""
	}
	return scheme + l.named(s.address) + path
}

// named returns a host:port that others can use: an address that stands for all of them becomes the server's name.
func (l *LicenseServer) named(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsUnspecified() {
		return address
	}
	return net.JoinHostPort(l.options.Name, port)
}

// Stop ends serving, waits for what is under way, and closes the database.
func (l *LicenseServer) Stop(ctx context.Context) error {
	l.cancel()
	err := errors.Join(l.http.stop(ctx), l.https.stop(ctx))
	if l.wsman != nil {
		l.wsman.Close()
	}
	l.background.Wait()
	return errors.Join(err, l.store.Close())
}
