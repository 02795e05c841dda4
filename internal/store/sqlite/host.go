package sqlite

import (
	"fmt"
	"strings"
	"time"

	"calkeeper/internal/licensing"
)

const (
	hostColumns = `name, product_version, mode, concurrent, lease_ttl, token_hash, certificate, added, license_servers`

	selectHost  = `SELECT ` + hostColumns + ` FROM host WHERE name = ?`
	selectHosts = `SELECT ` + hostColumns + ` FROM host ORDER BY name`
	// Both parts use an index that leaves out the hosts without such a credential.
	selectHostByCredential = `SELECT ` + hostColumns + ` FROM host WHERE token_hash = ?1 AND token_hash <> x''
		UNION ALL SELECT ` + hostColumns + ` FROM host WHERE certificate = ?1 AND certificate <> x''`

	// A credential is of one session host, be it a token or a certificate; the UNIQUE indexes alone would not see that.
	putHost = `INSERT INTO host (` + hostColumns + `) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE NOT EXISTS (
			SELECT 1 FROM host WHERE name <> ?1 AND (token_hash <> x'' AND token_hash IN (?6, ?7) OR certificate <> x'' AND certificate IN (?6, ?7)))
		ON CONFLICT (name) DO UPDATE SET (` + hostColumns + `) = (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`
	deleteHost = `DELETE FROM host WHERE name = ?`
)

// Host returns one session host, or a Fault of kind NotFound.
func (r *reader) Host(name string) (licensing.Host, error) {
	all, err := r.hosts(selectHost, func(p *parameters) { p.text("Name", name) })
	if err == nil && len(all) == 0 {
		err = noHost(name)
	}
	if err != nil {
		return licensing.Host{}, err
	}
	return all[0], nil
}

func noHost(name string) error {
	return licensing.Faultf(licensing.NotFound, "there is no session host %q", name)
}

// HostByCredential returns the session host whose token or client certificate has this SHA-256, or a Fault of kind
// NotFound; that is also the answer to an empty hash.
func (r *reader) HostByCredential(hash []byte) (licensing.Host, error) {
	all, err := r.hosts(selectHostByCredential, func(p *parameters) { p.blob(hash) })
	if err == nil && len(all) == 0 {
		err = licensing.Faultf(licensing.NotFound, "no session host has this token or client certificate")
	}
	if err != nil {
		return licensing.Host{}, err
	}
	return all[0], nil
}

// Hosts returns all session hosts by name.
func (r *reader) Hosts() ([]licensing.Host, error) { return r.hosts(selectHosts, nil) }

func (r *reader) hosts(query string, bind func(*parameters)) (all []licensing.Host, err error) {
	err = r.rows(query, bind, func(c *columns) {
		h := licensing.Host{
			Name: c.text(), ProductVersion: licensing.ProductVersion(c.uint32()), Mode: licensing.ProductType(c.uint32()),
			Concurrent: c.boolean(), LeaseTTL: time.Duration(c.integer()), TokenHash: c.blob(), Certificate: c.blob(), Added: c.instant(),
		}
		if names := c.text(); names != "" {
			h.LicenseServers = strings.Split(names, " ")
		}
		all = append(all, h)
	})
	if err != nil {
		return nil, fmt.Errorf("read the session hosts: %w", err)
	}
	return all, nil
}

// PutHost stores a session host in place of the one of that name. A credential of another host is a Fault of kind
// AlreadyExists.
func (t *tx) PutHost(h licensing.Host) error {
	n, err := t.change("put a session host", putHost, func(p *parameters) {
		p.text("Name", h.Name)
		p.integer(int64(h.ProductVersion))
		p.integer(int64(h.Mode))
		p.boolean(h.Concurrent)
		p.integer(int64(h.LeaseTTL))
		p.blob(h.TokenHash)
		p.blob(h.Certificate)
		p.instant("Added", h.Added)
		p.text("LicenseServers", strings.Join(h.LicenseServers, " ")) // no name has a space
	})
	if err == nil && n == 0 {
		return licensing.Faultf(licensing.AlreadyExists,
			"another session host has the token or the client certificate that is given for %q; each needs its own", h.Name)
	}
	return err
}

// DeleteHost removes a session host and its leases; one that is not there is a Fault of kind NotFound.
func (t *tx) DeleteHost(name string) error {
	n, err := t.change("delete a session host", deleteHost, func(p *parameters) { p.text("Name", name) })
	if err != nil {
		return err
	}
	if n == 0 {
		return noHost(name)
	}
	_, err = t.change("delete the leases of a session host", deleteLeases, func(p *parameters) { p.text("Host", name) })
	return err
}
