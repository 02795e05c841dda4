package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"calkeeper/internal/auth"
	"calkeeper/internal/privatefile"
)

// certificateLife is how long a certificate that we sign ourselves is valid.
const certificateLife = 10 * 365 * 24 * time.Hour

// tlsListener accepts connections that know which certificate they have shown.
type tlsListener struct{ net.Listener }

// Accept returns the next one, before its TLS handshake.
func (l tlsListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &tlsTransport{Conn: c}, nil
}

// tlsTransport is the connection below TLS.
type tlsTransport struct {
	net.Conn
	shown atomic.Pointer[tls.Certificate] // nil until the client has said hello
}

func (c *tlsTransport) certificate() *x509.Certificate {
	shown := c.shown.Load()
	if shown == nil {
		return nil
	}
	return shown.Leaf
}

// withConnection gives the context of a connection what auth wants to know of it.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	var certificate func() *x509.Certificate
	if secured, ok := c.(*tls.Conn); ok {
		certificate = secured.NetConn().(*tlsTransport).certificate
	}
	return auth.WithConnection(ctx, auth.NewConnection(certificate))
}

// listenTLS listens at an address. Each handshake shows the certificate that the function returns then; a connection keeps its own.
func listenTLS(address string, certificate func() *tls.Certificate, clients tls.ClientAuthType) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(tlsListener{listener}, &tls.Config{
		MinVersion: tls.VersionTLS12,
		// Of TLS 1.2 only those with forward secrecy that authenticate what they encrypt. All of TLS 1.3 do.
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		NextProtos: []string{"http/1.1"},
		ClientAuth: clients,
		// A session that is resumed shows no certificate: neither would a new one be seen, nor be known which one the client has seen.
		SessionTicketsDisabled: true,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			c := certificate()
			hello.Conn.(*tlsTransport).shown.Store(c)
			return c, nil
		},
	}), nil
}

// ownCertificate returns the files of the certificate that a directory has, tls.crt with tls.key. If it is not there, both are made:
// self-signed, for the names.
func ownCertificate(dir string, names []string) (certFile, keyFile string, err error) {
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	if _, err = os.Stat(certFile); errors.Is(err, fs.ErrNotExist) {
		err = makeCertificate(certFile, keyFile, names)
	}
	return certFile, keyFile, err
}

func makeCertificate(certFile, keyFile string, names []string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[0], Organization: []string{"calkeeper"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := privatefile.Write(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})); err != nil {
		return err
	}
	return privatefile.WritePublic(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
