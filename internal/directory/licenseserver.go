package directory

import (
	"context"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"calkeeper/internal/licensing"
)

const (
	// group is Terminal Server License Servers, whose members may write per user CALs into the accounts of users ([MS-DTYP], section
	// 2.4.2.4). Its name may be another, its SID is the same in every domain ([MS-ADTS], section 3.1.1.3.1.2.4, for the form).
	group = "<SID=S-1-5-32-561>"

	// A license server is published by its name among those of the object TS-Enterprise-License-Server, a child of its site.
	published     = "TS-Enterprise-License-Server"
	siteSettings  = "licensingSiteSettings"
	publishedName = "siteServer"

	// connectionPoint is the service connection point, a child of the computer.
	connectionPoint = "TermServLicensing"

	// serverTrustAccount is the bit of userAccountControl that domain controllers have ([MS-ADTS], section 2.2.16).
	serverTrustAccount = 0x2000
)

// OnDomainController tells whether the license server's computer is a domain controller. Fault: NotFound without an account.
func (d *Directory) OnDomainController(ctx context.Context) (is bool, err error) {
	err = d.call(ctx, "ask for the computer account", func(s *session) error {
		flags, err := strconv.ParseInt(s.computer.GetAttributeValue("userAccountControl"), 10, 64)
		if err != nil {
			return fault(licensing.Internal, err, "userAccountControl of %s is no number", s.computer.DN)
		}
		is = flags&serverTrustAccount != 0
		return nil
	})
	return is, err
}

// InGroup tells whether the license server is a member of the group, directly. Domain is empty, or the DNS or NetBIOS name of its own
// domain. Fault: NotFound for another.
func (d *Directory) InGroup(ctx context.Context, domain string) (is bool, err error) {
	err = d.call(ctx, "ask for the group", func(s *session) error {
		if domain != "" {
			if err := s.checkDomain(domain); err != nil {
				return err
			}
		}
		is, err = s.inGroup()
		return err
	})
	return is, err
}

// checkDomain has the domain controller compare a name with those that the forest has for its domain.
func (s *session) checkDomain(name string) error {
	escaped := ldap.EscapeFilter(strings.TrimSuffix(name, "."))
	found, err := s.search("CN=Partitions,"+s.configuration, ldap.ScopeSingleLevel,
		"(&(objectClass=crossRef)(nCName="+ldap.EscapeFilter(s.domain)+")(|(dnsRoot="+escaped+")(nETBIOSName="+escaped+")))")
	if err == nil && len(found) == 0 {
		return fault(licensing.NotFound, nil, "%q is not the license server's domain, %s, and no other is known", name, s.domain)
	}
	return err
}

func (s *session) inGroup() (bool, error) {
	is, err := s.holds(group, "member")
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
		return false, fault(licensing.NotFound, err, "%s has no group Terminal Server License Servers (S-1-5-32-561)", s.domain)
	}
	return is, err
}

// AddToGroup makes the license server a member of the group in its domain.
func (d *Directory) AddToGroup(ctx context.Context) (changed bool, err error) {
	return d.setMember(ctx, "add to the group", true)
}

// RemoveFromGroup ends the membership.
func (d *Directory) RemoveFromGroup(ctx context.Context) (changed bool, err error) {
	return d.setMember(ctx, "remove from the group", false)
}

func (d *Directory) setMember(ctx context.Context, op string, want bool) (changed bool, err error) {
	err = d.call(ctx, op, func(s *session) error {
		changed, err = settle(want, s.inGroup, func() error {
			return s.right(s.setValue(group, "member", want), "write the members of the group Terminal Server License Servers")
		})
		return err
	})
	return changed, err
}

// setValue puts the computer among the values of an attribute, or takes it away.
func (s *session) setValue(dn, attribute string, want bool) error {
	r := ldap.NewModifyRequest(dn, nil)
	if want {
		r.Add(attribute, []string{s.computer.DN})
	} else {
		r.Delete(attribute, []string{s.computer.DN})
	}
	return s.conn.Modify(r)
}

// site returns the distinguished name of the license server's site.
func (s *session) site() (string, error) {
	name := s.d.o.Site
	if name == "" {
		// A domain controller is a child of Servers, which is a child of its site.
		server, err := ldap.ParseDN(s.server)
		if err != nil || len(server.RDNs) < 3 {
			return "", fault(licensing.Internal, err, "the domain controller's name %s has no site: give directory-site", s.server)
		}
		name = server.RDNs[2].Attributes[0].Value
	}
	// EscapeDN leaves the equals sign, as RFC 4514, section 2.4, permits; not every server reads it so.
	return "CN=" + strings.ReplaceAll(ldap.EscapeDN(name), "=", `\3D`) + ",CN=Sites," + s.configuration, nil
}

// Published tells whether the license server is among those of its site.
func (d *Directory) Published(ctx context.Context) (is bool, err error) {
	err = d.call(ctx, "ask for the site", func(s *session) error {
		site, err := s.site()
		if err == nil {
			is, err = s.published(site)
		}
		return err
	})
	return is, err
}

func (s *session) published(site string) (bool, error) {
	is, err := s.holds("CN="+published+","+site, publishedName)
	if !ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
		return is, err
	}
	_, err = s.read(site, "(objectClass=site)")
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
		err = fault(licensing.NotFound, err, "the directory has no site %s: directory-site must name one", site)
	}
	return false, err
}

// Publish puts the license server among those of its site.
func (d *Directory) Publish(ctx context.Context) (changed bool, err error) {
	return d.setPublished(ctx, "publish", true)
}

// Unpublish takes it away. The object that lists them stays, empty if it was the last.
func (d *Directory) Unpublish(ctx context.Context) (changed bool, err error) {
	return d.setPublished(ctx, "unpublish", false)
}

func (d *Directory) setPublished(ctx context.Context, op string, want bool) (changed bool, err error) {
	err = d.call(ctx, op, func(s *session) error {
		site, err := s.site()
		if err != nil {
			return err
		}
		changed, err = settle(want, func() (bool, error) { return s.published(site) }, func() error {
			dn := "CN=" + published + "," + site
			write := func() error {
				return s.right(s.setValue(dn, publishedName, want), "write %s of %s", publishedName, dn)
			}
			err := write()
			if want && ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
				err = s.right(s.addSettings(dn), "create objects of class %s in %s", siteSettings, site)
				if ldap.IsErrorWithCode(err, ldap.LDAPResultEntryAlreadyExists) {
					err = write() // another license server has just made it
				}
			}
			return err
		})
		return err
	})
	return changed, err
}

func (s *session) addSettings(dn string) error {
	r := ldap.NewAddRequest(dn, nil)
	r.Attribute("objectClass", []string{siteSettings})
	r.Attribute(publishedName, []string{s.computer.DN})
	return s.conn.Add(r)
}

// Registered tells whether the license server has a service connection point.
func (d *Directory) Registered(ctx context.Context) (is bool, err error) {
	err = d.call(ctx, "ask for the service connection point", func(s *session) error {
		is, err = s.registered()
		return err
	})
	return is, err
}

func (s *session) connectionPoint() string { return "CN=" + connectionPoint + "," + s.computer.DN }

func (s *session) registered() (bool, error) {
	e, err := s.read(s.connectionPoint(), "(objectClass=serviceConnectionPoint)")
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
		return false, nil
	}
	return e != nil, err
}

// Register makes the service connection point. Its attributes beyond the class are those of [MS-ADSC] that every service may set.
func (d *Directory) Register(ctx context.Context) (changed bool, err error) {
	err = d.call(ctx, "register the service connection point", func(s *session) error {
		changed, err = settle(true, s.registered, func() error {
			r := ldap.NewAddRequest(s.connectionPoint(), nil)
			r.Attribute("objectClass", []string{"serviceConnectionPoint"})
			r.Attribute("serviceClassName", []string{connectionPoint})
			r.Attribute("serviceDNSName", []string{s.d.o.ServerName})
			r.Attribute("serviceDNSNameType", []string{"A"})
			r.Attribute("keywords", []string{"calkeeper"}) // so that nobody takes it for Windows' own
			return s.right(s.conn.Add(r), "create and delete objects of class serviceConnectionPoint in %s", s.computer.DN)
		})
		return err
	})
	return changed, err
}

// Unregister removes the service connection point.
func (d *Directory) Unregister(ctx context.Context) (changed bool, err error) {
	err = d.call(ctx, "unregister the service connection point", func(s *session) error {
		changed, err = settle(false, s.registered, func() error {
			err := s.conn.Del(ldap.NewDelRequest(s.connectionPoint(), nil))
			return s.right(err, "create and delete objects of class serviceConnectionPoint in %s", s.computer.DN)
		})
		return err
	})
	return changed, err
}
