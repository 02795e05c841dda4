package issuance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"slices"
	"strings"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// tokenPrefix marks the token of a session host, so that people and scanners know one when they see it.
const tokenPrefix = "ckh_"

// tokenBytes is how much of a token is random.
const tokenBytes = 32

// AddHost registers a session host and returns its token, which is not kept; none if it has a certificate. TokenHash and Added
// of h are not read. Faults: Invalid; AlreadyExists.
func (s *Service) AddHost(ctx context.Context, actor string, h licensing.Host) (string, error) {
	if err := checkHost(&h); err != nil {
		return "", err
	}
	token, err := s.newToken(&h)
	if err != nil {
		return "", err
	}
	h.Added = s.now()
	err = s.update(ctx, func(tx store.Tx) error {
		if _, err := tx.Host(h.Name); err == nil {
			return licensing.Faultf(licensing.AlreadyExists, "the session host %s is registered already; it can get a new token", h.Name)
		} else if licensing.KindOf(err) != licensing.NotFound {
			return err
		}
		if err := tx.PutHost(h); err != nil {
			return err
		}
		return s.auditHost(tx, actor, "add host", h.Name+", "+h.Mode.String()+", "+h.ProductVersion.String())
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

func checkHost(h *licensing.Host) (err error) {
	if h.Name, err = licensing.ParseHostName(h.Name); err != nil {
		return err
	}
	if h.ProductVersion, err = licensing.ParseProductVersion(uint32(h.ProductVersion)); err != nil {
		return err
	}
	if _, err = licensing.ParseProductType(uint32(h.Mode)); err != nil {
		return err
	}
	if h.LicenseServers, err = licensing.ParseLicenseServers(h.LicenseServers); err != nil {
		return err
	}
	if n := len(h.Certificate); n != 0 && n != sha256.Size {
		return licensing.Faultf(licensing.Invalid, "the SHA-256 of a certificate has %d bytes, not %d", sha256.Size, n)
	}
	switch {
	case !h.Concurrent && h.LeaseTTL != 0:
		return licensing.Faultf(licensing.Invalid, "a time to live of leases is given, but the host does not count sessions")
	case !h.Concurrent:
		return nil
	case h.LeaseTTL == 0:
		h.LeaseTTL = licensing.DefaultLeaseTTL
	case h.LeaseTTL < licensing.ShortestLeaseTTL || h.LeaseTTL > licensing.LongestLeaseTTL:
		return licensing.Faultf(licensing.Invalid, "leases cannot live %s without being renewed: %s to %s", h.LeaseTTL,
			licensing.ShortestLeaseTTL, licensing.LongestLeaseTTL)
	}
	return nil
}

// newToken gives a host that has no certificate a token.
func (s *Service) newToken(h *licensing.Host) (string, error) {
	if len(h.Certificate) > 0 {
		h.TokenHash = nil
		return "", nil
	}
	b := make([]byte, tokenBytes)
	if _, err := io.ReadFull(s.Random, b); err != nil {
		return "", fmt.Errorf("random bytes: %w", err)
	}
	token := tokenPrefix + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
	h.TokenHash = hash(token)
	return token, nil
}

// hash needs no salt and no rounds: a token is as random as a key.
func hash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// NewToken gives a session host a new token, in place of its token or certificate. Fault: NotFound.
func (s *Service) NewToken(ctx context.Context, actor, name string) (token string, err error) {
	name, err = licensing.ParseHostName(name)
	if err != nil {
		return "", err
	}
	err = s.update(ctx, func(tx store.Tx) error {
		h, err := tx.Host(name)
		if err != nil {
			return err
		}
		h.Certificate = nil
		if token, err = s.newToken(&h); err != nil {
			return err
		}
		if err := tx.PutHost(h); err != nil {
			return err
		}
		return s.auditHost(tx, actor, "new token", h.Name)
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// RemoveHost takes a session host's registration back; its sessions use no CALs any more. Fault: NotFound.
func (s *Service) RemoveHost(ctx context.Context, actor, name string) error {
	name, err := licensing.ParseHostName(name)
	if err != nil {
		return err
	}
	return s.update(ctx, func(tx store.Tx) error {
		leases, err := tx.Leases(store.LeaseFilter{Host: name})
		if err != nil {
			return err
		}
		for _, l := range leases {
			if _, err := s.end(tx, s.now(), actor, "session ended", l); err != nil {
				return err
			}
		}
		if err := tx.DeleteHost(name); err != nil {
			return err
		}
		return s.auditHost(tx, actor, "remove host", name)
	})
}

// ChangeMode changes what a session host counts by from its next request on; CALs that are issued stay as they are. Faults:
// Invalid; NotFound.
func (s *Service) ChangeMode(ctx context.Context, actor, name string, mode licensing.ProductType) error {
	if _, err := licensing.ParseProductType(uint32(mode)); err != nil {
		return err
	}
	return s.changeHost(ctx, actor, name, "change mode", func(h *licensing.Host) (string, error) {
		if h.Mode == mode {
			return "", nil
		}
		h.Mode = mode
		return mode.String(), nil
	})
}

// ChangeLicenseServers changes which license servers a session host is set to ask: change receives the names that it has, none
// for this license server alone, and returns those that it shall have. The list is for those who administer the host; that it
// may ask here does not depend on it. Faults: Invalid; OutOfRange; NotFound; what change returns.
func (s *Service) ChangeLicenseServers(ctx context.Context, actor, name string, change func(servers []string) ([]string, error)) error {
	return s.changeHost(ctx, actor, name, "set license servers", func(h *licensing.Host) (string, error) {
		servers, err := change(slices.Clone(h.LicenseServers))
		if err != nil {
			return "", err
		}
		if servers, err = licensing.ParseLicenseServers(servers); err != nil || slices.Equal(servers, h.LicenseServers) {
			return "", err
		}
		h.LicenseServers = servers
		if len(servers) == 0 {
			return "this one alone", nil
		}
		return strings.Join(servers, " "), nil
	})
}

// changeHost stores and audits what change has changed of a session host, and says; if it says nothing, there is nothing to store.
func (s *Service) changeHost(ctx context.Context, actor, name, action string, change func(*licensing.Host) (detail string, err error)) error {
	name, err := licensing.ParseHostName(name)
	if err != nil {
		return err
	}
	return s.update(ctx, func(tx store.Tx) error {
		h, err := tx.Host(name)
		if err != nil {
			return err
		}
		detail, err := change(&h)
		if err != nil || detail == "" {
			return err
		}
		if err := tx.PutHost(h); err != nil {
			return err
		}
		return s.auditHost(tx, actor, action, h.Name+", "+detail)
	})
}

func (s *Service) auditHost(tx store.Tx, actor, action, detail string) error {
	return tx.Audit(store.AuditRecord{At: s.now(), Actor: actor, Action: action, Detail: detail})
}

// Hosts returns the session hosts by name.
func (s *Service) Hosts(ctx context.Context) (hosts []licensing.Host, err error) {
	err = s.store.View(ctx, func(r store.Reader) error {
		hosts, err = r.Hosts()
		return err
	})
	return hosts, err
}

// Host returns one session host. Faults: Invalid; NotFound.
func (s *Service) Host(ctx context.Context, name string) (h licensing.Host, err error) {
	if name, err = licensing.ParseHostName(name); err != nil {
		return h, err
	}
	err = s.store.View(ctx, func(r store.Reader) error {
		h, err = r.Host(name)
		return err
	})
	return h, err
}

// AuthenticateToken returns the session host that has the token. Fault: Denied, without saying why.
func (s *Service) AuthenticateToken(ctx context.Context, token string) (licensing.Host, error) {
	return s.authenticate(ctx, hash(token), func(h *licensing.Host) []byte { return h.TokenHash })
}

// AuthenticateCertificate returns the session host whose client certificate has the SHA-256. Fault: Denied.
func (s *Service) AuthenticateCertificate(ctx context.Context, fingerprint []byte) (licensing.Host, error) {
	return s.authenticate(ctx, fingerprint, func(h *licensing.Host) []byte { return h.Certificate })
}

// authenticate finds the host of a credential. It must be of the kind that was shown: everybody may see a certificate, and could
// show it as a token.
func (s *Service) authenticate(ctx context.Context, credential []byte, kind func(*licensing.Host) []byte) (h licensing.Host, err error) {
	err = s.store.View(ctx, func(r store.Reader) error {
		h, err = r.HostByCredential(credential)
		return err
	})
	if err != nil && licensing.KindOf(err) != licensing.NotFound {
		return licensing.Host{}, err
	}
	if err != nil || len(credential) != sha256.Size || !bytes.Equal(kind(&h), credential) {
		return licensing.Host{}, licensing.Faultf(licensing.Denied, "the token or certificate is none of a registered session host")
	}
	return h, nil
}

// UnregisteredHost returns a session host that is not registered and is known by its address. Faults: Denied while the license
// server security group is on; Invalid.
func (s *Service) UnregisteredHost(address string, v licensing.ProductVersion, mode licensing.ProductType) (licensing.Host, error) {
	if !s.AnyHost {
		return licensing.Host{}, licensing.Faultf(licensing.Denied, "only registered session hosts are answered: the license server security group is on")
	}
	h := licensing.Host{Name: address, ProductVersion: v, Mode: mode}
	return h, checkHost(&h)
}
