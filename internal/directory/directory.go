// Package directory is what Active Directory says about one license server, over LDAP: RFC 4511, and [MS-ADTS] where Active Directory
// has its own. It must not know WMI, nor who asks.
package directory

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

// Options say where the directory is and as what this license server is known there. The errors about them name the settings of
// `calkeeper serve`.
type Options struct {
	URL          string // ldaps://host[:636], or ldap://host[:389], which starts TLS
	User         string // of the service account: a distinguished name, user@domain or DOMAIN\user
	PasswordFile string // its first line; read at each call, so that a new password holds at once
	CAFile       string // PEM file with the certificates to trust; empty: those that the system trusts
	ServerName   string // host name or FQDN of the license server, for its service connection point
	Computer     string // name of its computer account, with or without the $; empty: from ServerName
	Site         string // where it is published; empty: the site of the domain controller

	// Dial connects; nil: a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Timeout is for all that one call does; 0: 15 seconds.
	Timeout time.Duration
}

const defaultTimeout = 15 * time.Second

// Directory is one domain's Active Directory. Each call has a connection of its own: what a member of a group may do is decided when
// it binds.
type Directory struct {
	o        Options
	address  string // host:port
	startTLS bool
	tls      *tls.Config
}

// New returns a Directory. It does not connect: a directory that is away keeps no license server from serving. The error says which
// option cannot be right.
func New(o Options) (*Directory, error) {
	d := &Directory{o: o}
	host, err := d.parseURL()
	if err != nil {
		return nil, err
	}
	if o.User == "" || o.PasswordFile == "" {
		return nil, errors.New("directory-url goes with directory-user and directory-password-file: as whom to ask the directory")
	}
	if _, err := d.password(); err != nil {
		return nil, err
	}
	if d.o.Computer = strings.TrimSuffix(o.Computer, "$"); d.o.Computer == "" {
		if d.o.Computer, err = computerName(o.ServerName); err != nil {
			return nil, err
		}
	}
	roots, err := loadRoots(o.CAFile)
	if err != nil {
		return nil, err
	}
	d.tls = &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12}
	if d.o.Dial == nil {
		d.o.Dial = new(net.Dialer).DialContext
	}
	if d.o.Timeout == 0 {
		d.o.Timeout = defaultTimeout
	}
	return d, nil
}

// parseURL takes the URL apart. The error does not repeat it: somebody may have put a password into it.
func (d *Directory) parseURL() (host string, err error) {
	u, err := url.Parse(d.o.URL)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("directory-url must have the form ldaps://dc1.example.com or, to start TLS, ldap://dc1.example.com")
	}
	port := u.Port()
	switch u.Scheme {
	case "ldaps":
		if port == "" {
			port = "636"
		}
	case "ldap":
		d.startTLS = true
		if port == "" {
			port = "389"
		}
	default:
		return "", fmt.Errorf("directory-url begins with %s: ldaps:// and ldap:// are right; both are encrypted", u.Scheme)
	}
	d.address = net.JoinHostPort(u.Hostname(), port)
	return u.Hostname(), nil
}

// password reads the first line of its file.
func (d *Directory) password() (string, error) {
	text, err := os.ReadFile(d.o.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("directory-password-file: %w", err)
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	password := strings.TrimSuffix(string(line), "\r")
	if password == "" {
		// RFC 4513, section 5.1.2: servers would take it for an anonymous bind.
		return "", fmt.Errorf("directory-password-file: the first line of %s is empty", d.o.PasswordFile)
	}
	return password, nil
}

// maxComputerName is the length of the name that Windows makes of a host name: NetBIOS has no longer ones.
const maxComputerName = 15

// computerName returns the name of the computer account that a machine with a host name gets when it joins a domain.
func computerName(serverName string) (string, error) {
	host, _, _ := strings.Cut(serverName, ".")
	if _, err := netip.ParseAddr(serverName); err == nil || host == "" {
		return "", errors.New("directory-computer is missing, and does not follow from an address: give the name of the computer account")
	}
	return strings.ToUpper(host[:min(len(host), maxComputerName)]), nil
}

// loadRoots returns nil, which stands for what the system trusts, if no file is given.
func loadRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("directory-ca-file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("directory-ca-file: %s has no certificate in PEM form", file)
	}
	return roots, nil
}
