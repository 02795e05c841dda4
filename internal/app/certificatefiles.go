package app

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// certificateLook is how often the files of a certificate are looked at, at most.
const certificateLook = 2 * time.Second

// certificateFiles is a certificate in PEM files, which may change while it is served.
type certificateFiles struct {
	certificate, key string // paths
	log              *slog.Logger
	now              func() time.Time

	current atomic.Pointer[tls.Certificate]

	mu      sync.Mutex
	seen    [sha256.Size]byte // of what the files had when they were looked at last
	next    time.Time         // when they will be again
	invalid bool              // what they had could not be used, and a warning says so
}

// openCertificate reads a certificate from its files.
func openCertificate(certificate, key string, log *slog.Logger) (*certificateFiles, error) {
	f := &certificateFiles{certificate: certificate, key: key, log: log, now: time.Now}
	c, sum, err := f.read()
	if err != nil {
		return nil, err
	}
	f.current.Store(c)
	f.seen, f.next = sum, f.now().Add(certificateLook)
	return f, nil
}

// read reads the files. The sum stands for what is in them; it is zero if that cannot be read.
func (f *certificateFiles) read() (c *tls.Certificate, sum [sha256.Size]byte, err error) {
	certificate, err := os.ReadFile(f.certificate)
	if err != nil {
		return nil, sum, err
	}
	key, err := os.ReadFile(f.key)
	if err != nil {
		return nil, sum, err
	}
	first, second := sha256.Sum256(certificate), sha256.Sum256(key)
	sum = sha256.Sum256(append(first[:], second[:]...))
	if sum == f.seen {
		return nil, sum, nil
	}
	pair, err := tls.X509KeyPair(certificate, key) // refuses a key that is not the certificate's
	if err != nil {
		return nil, sum, fmt.Errorf("%s with %s: %w", f.certificate, f.key, err)
	}
	return &pair, sum, nil
}

// get returns the certificate to show in a handshake: what is in the files now, or what was when they were last right. Two files
// cannot be changed at one moment: in between they do not fit, and one may be there in part.
func (f *certificateFiles) get() *tls.Certificate {
	// Handshakes do not wait for one that looks at the files.
	if f.mu.TryLock() {
		if now := f.now(); !now.Before(f.next) {
			f.next = now.Add(certificateLook)
			f.look()
		}
		f.mu.Unlock()
	}
	return f.current.Load()
}

// look takes the certificate from the files if it has changed. f.mu is held.
func (f *certificateFiles) look() {
	c, sum, err := f.read()
	f.seen = sum
	switch {
	case err != nil && !f.invalid:
		f.invalid = true
		f.log.Warn("the changed certificate cannot be used: the one before stays in use until it can be", "error", err)
	case err == nil && c != nil:
		f.invalid = false
		f.current.Store(c)
		f.log.Info("certificate read again", "certificate", f.certificate, "sha256", fingerprint(c), "until", c.Leaf.NotAfter)
	}
}

// fingerprint returns the SHA-256 of a certificate, in hexadecimal.
func fingerprint(c *tls.Certificate) string {
	return fmt.Sprintf("%X", sha256.Sum256(c.Certificate[0]))
}
