//go:build linux

package activedirectory_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"calkeeper/internal/wsman/client"
)

// TestActiveDirectory runs license servers in one domain. The domain controller is stopped last.
func TestActiveDirectory(t *testing.T) {
	isolated(t, func(t *testing.T) {
		d := newDomain(t)
		t.Run("ADomainAdministratorMayEverything", d.administrator)
		t.Run("TheRightsOfTheGuideSuffice", d.delegated)
		t.Run("WithoutRightsAccessIsDenied", d.denied)
		t.Run("AWrongPasswordIsDenied", d.wrongPassword)
		t.Run("NamesAreNames", d.hostile)
		t.Run("WhatIsNotThereIsNotFound", d.missing)
		t.Run("OnADomainController", d.onDomainController)
		t.Run("Role", d.role)
		t.Run("TwoAtOnce", d.twoAtOnce)
		t.Run("NobodyElseGetsThePassword", d.untrusted)
		t.Run("Kerberos", d.kerberos)
		t.Run("AwayAndBack", d.away)
	})
}

// in runs a subtest with the domain's helpers failing that one.
func (d *domain) in(t *testing.T) *domain {
	c := *d
	c.t = t
	return &c
}

// everything changes everything there and back, each twice, and compares what the license server says with what the directory has.
func (d *domain) everything(l *licenseServer, computer string) {
	d.t.Helper()
	for _, step := range []struct {
		method string
		want   state
	}{
		{"AddLStoTSLSGroup", state{member: true}},
		{"PublishLS", state{member: true, published: true}},
		{"RegisterLSToSCP", state{true, true, true}},
		{"RemoveLSfromTSLSGroup", state{published: true, registered: true}},
		{"UnpublishLS", state{registered: true}},
		{"UnRegisterLSFromSCP", state{}},
	} {
		for range 2 { // the second time nothing is left to do
			l.call(done, step.method)
		}
		if got := d.state(computer); got != step.want {
			d.t.Errorf("after %s the directory has %+v, want %+v", step.method, got, step.want)
		}
		if got := l.state(); got != step.want {
			d.t.Errorf("after %s the license server says %+v, want %+v", step.method, got, step.want)
		}
	}
}

func (d *domain) administrator(t *testing.T) {
	d = d.in(t)
	l := d.newLicenseServer(t, "ls1", domainAdmin, domainPassword)
	if got := l.state(); got != (state{}) {
		t.Errorf("before anything it says %+v", got)
	}
	d.everything(l, "CN=LS1")
	if l.is("IsLSonDC", "OnDC") {
		t.Error("it is on a domain controller")
	}
	l.call(done, "AddLStoTSLSGroup")
	if out := d.run("samba-tool", "group", "listmembers", "Terminal Server License Servers"); !strings.Contains(out, "LS1$") {
		t.Errorf("samba-tool shows the members %s", out)
	}
	for _, name := range []string{"", "example.com", "EXAMPLE.COM", "example.com.", "EXAMPLE", "example"} {
		if !l.is("IsLSinTSLSGroup", "IsMember", inDomain(name)) {
			t.Errorf("in the domain %q it is no member", name)
		}
	}
	for _, name := range []string{"other", "com", "ample", "sub.example.com", ".", " ", "example.*", "*", "EXAMPLE)(objectClass=*", `\2a`, "é", domainDN} {
		l.call(notFound, "IsLSinTSLSGroup", inDomain(name))
	}
	l.call(done, "RemoveLSfromTSLSGroup")

	l.call(done, "RegisterLSToSCP")
	for attribute, want := range map[string]string{
		"serviceClassName": "TermServLicensing", "serviceDNSName": "ls1.example.com", "serviceDNSNameType": "A", "keywords": "calkeeper",
	} {
		if got, _ := d.values("CN=TermServLicensing,"+ls1DN, attribute); len(got) != 1 || got[0] != want {
			t.Errorf("%s of the service connection point is %q, want %s", attribute, got, want)
		}
	}
	l.call(done, "UnRegisterLSFromSCP")
	l.logged()
}

func (d *domain) delegated(t *testing.T) {
	d = d.in(t)
	l := d.newLicenseServer(t, "ls1", delegated, servicePassword)
	d.everything(l, "CN=LS1")
	l.logged()
	for _, as := range []struct{ user, url string }{
		{`EXAMPLE\calkeeper-ls1`, "ldap://" + domainHost}, // TLS is started
		{"CN=calkeeper-ls1,CN=Users," + domainDN, "ldaps://" + domainHost + ":636/"},
	} {
		l := d.newLicenseServer(t, "ls1", as.user, servicePassword, `directory-url = "`+as.url+`"`)
		l.call(done, "AddLStoTSLSGroup")
		if !l.is("IsLSinTSLSGroup", "IsMember", inDomain("")) {
			t.Errorf("%s at %s has not made it a member", as.user, as.url)
		}
		l.call(done, "RemoveLSfromTSLSGroup")
		l.logged()
		l.process.Stop(t)
	}
}

func (d *domain) denied(t *testing.T) {
	d = d.in(t)
	administrator := d.newLicenseServer(t, "ls1", domainAdmin, domainPassword)
	l := d.newLicenseServer(t, "ls1", withoutRights, servicePassword)
	for _, method := range there {
		l.call(accessDenied, method)
		administrator.call(done, method)
		l.call(done, method) // nothing is to be changed
	}
	if got := l.state(); got != (state{true, true, true}) {
		t.Errorf("it says %+v: it may ask", got)
	}
	for _, method := range back {
		l.call(accessDenied, method)
	}
	if got := d.state("CN=LS1"); got != (state{true, true, true}) {
		t.Errorf("the directory has %+v", got)
	}
	l.logged("returnValue=WBEM_E_ACCESS_DENIED", withoutRights, "write the members of the group Terminal Server License Servers",
		"write siteServer of CN=TS-Enterprise-License-Server,"+siteDN, "create and delete objects of class serviceConnectionPoint in "+ls1DN)
	for _, method := range back {
		administrator.call(done, method)
	}
	d.run("ldapdelete", "-x", "-H", "ldaps://"+domainHost, "-D", domainAdmin, "-w", domainPassword, "CN=TS-Enterprise-License-Server,"+siteDN)
	l.call(accessDenied, "PublishLS")
	l.logged("create objects of class licensingSiteSettings in " + siteDN)
}

func (d *domain) wrongPassword(t *testing.T) {
	d = d.in(t)
	l := d.newLicenseServer(t, "ls1", delegated, wrongPassword)
	l.callAll(accessDenied)
	l.logged("returnValue=WBEM_E_ACCESS_DENIED", "user or password is wrong", "directory-password-file")
	l.setPassword(servicePassword)
	l.state() // the new one holds at once

	nobody := d.newLicenseServer(t, "ls1", "nobody@example.com", servicePassword)
	nobody.callAll(accessDenied)
	nobody.logged("nobody@example.com")
}

func (d *domain) hostile(t *testing.T) {
	d = d.in(t)
	l := d.newLicenseServer(t, "ls2", domainAdmin, domainPassword)
	for _, methods := range [][]string{there, back} {
		for _, method := range methods {
			l.call(done, method)
		}
		if got, want := l.state(), d.state("CN=LS2"); got != want || got.member != (methods[0] == there[0]) {
			t.Errorf("after %s the license server says %+v, the directory has %+v", methods, got, want)
		}
	}
	// Within a filter these would find the account.
	for _, computer := range []string{"LS1*", `LS\31`} {
		l := d.newLicenseServer(t, "ls1", domainAdmin, domainPassword, `directory-computer = '`+computer+`'`)
		l.call(notFound, "IsLSonDC")
		l.call(notFound, "AddLStoTSLSGroup")
		l.process.Stop(t)
	}
	// As part of a distinguished name this would lead to the right site.
	l = d.newLicenseServer(t, "ls1", domainAdmin, domainPassword, `directory-site = 'Default-First-Site-Name,CN=Sites,CN=Configuration,`+domainDN+`'`)
	l.call(notFound, "PublishLS")
	l.call(notFound, "IsLSPublished")
	// And these are other ways to write the right ones.
	l = d.newLicenseServer(t, "anything", domainAdmin, domainPassword, `directory-computer = "ls1$"`, `directory-site = "default-first-site-name"`)
	for _, method := range slices.Concat(there, back) {
		l.call(done, method)
	}
}

func (d *domain) missing(t *testing.T) {
	d = d.in(t)
	l := d.newLicenseServer(t, "ls7", domainAdmin, domainPassword)
	l.callAll(notFound)
	l.logged("computer account LS7$")
	l = d.newLicenseServer(t, "ls1", domainAdmin, domainPassword, `directory-site = "Elsewhere"`)
	for _, method := range []string{"IsLSPublished", "PublishLS", "UnpublishLS"} {
		l.call(notFound, method)
	}
	l.logged("has no site CN=Elsewhere")
	for _, method := range []string{"AddLStoTSLSGroup", "RemoveLSfromTSLSGroup", "RegisterLSToSCP", "UnRegisterLSFromSCP"} {
		l.call(done, method) // which need none
	}
}

func (d *domain) onDomainController(t *testing.T) {
	d = d.in(t)
	if !d.newLicenseServer(t, "dc1", delegated, servicePassword).is("IsLSonDC", "OnDC") {
		t.Error("IsLSonDC says no")
	}
}

func (d *domain) role(t *testing.T) {
	d = d.in(t)
	l := d.newLicenseServer(t, "ls1", withoutRights, servicePassword)
	for _, role := range []uint32{2, 1, 0, 1} {
		l.call(done, "ChangeRole", client.Uint32("ServerRole", role))
		instance, err := l.client.Get(t.Context(), serverClass, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := instance.Uint32("ServerRole"); !ok || got != role {
			t.Errorf("ServerRole is %d, want %d", got, role)
		}
	}
	l.call(invalidParameter, "ChangeRole", client.Uint32("ServerRole", 3))
}

// twoAtOnce has two license servers publish themselves in a site that has none yet.
func (d *domain) twoAtOnce(t *testing.T) {
	d = d.in(t)
	servers := map[string]*licenseServer{
		"CN=LS1": d.newLicenseServer(t, "ls1", domainAdmin, domainPassword), "CN=LS2": d.newLicenseServer(t, "ls2", domainAdmin, domainPassword),
	}
	d.run("ldapdelete", "-x", "-H", "ldaps://"+domainHost, "-D", domainAdmin, "-w", domainPassword, "CN=TS-Enterprise-License-Server,"+siteDN)
	for _, step := range []struct {
		methods []string
		want    state
	}{
		{there, state{true, true, true}},
		{back, state{}},
	} {
		var all sync.WaitGroup
		for _, l := range servers {
			for _, method := range step.methods {
				all.Go(func() { l.call(done, method) })
			}
		}
		all.Wait()
		for computer := range servers {
			if got := d.state(computer); got != step.want {
				t.Errorf("the directory has %+v of %s, want %+v", got, computer, step.want)
			}
		}
	}
}

// untrusted calls domain controllers whose certificate does not prove that they are the one.
func (d *domain) untrusted(t *testing.T) {
	d = d.in(t)
	for _, settings := range [][]string{
		{`directory-ca-file = ""`},
		{`directory-url = "ldap://127.0.0.1"`},               // the certificate is for the name
		{`directory-url = "ldaps://` + domainHost + `:389"`}, // no TLS there
	} {
		l := d.newLicenseServer(t, "ls1", domainAdmin, domainPassword, settings...)
		l.call(notAvailable, "IsLSonDC")
		l.logged("no TLS with the domain controller")
		l.process.Stop(t)
	}
}

func (d *domain) away(t *testing.T) {
	outside := d
	d = d.in(t)
	l := d.newLicenseServer(t, "ls1", delegated, servicePassword)
	l.state()
	outside.controller.Stop(t)
	l.callAll(notAvailable)
	l.call(done, "ChangeRole", client.Uint32("ServerRole", 0))
	l.logged("returnValue=WBEM_E_NOT_AVAILABLE", domainHost+":636 cannot be reached")
	d.newLicenseServer(t, "ls2", delegated, servicePassword).call(notAvailable, "PublishLS") // it starts without the directory

	outside.start()
	if got := l.state(); got != (state{}) {
		t.Errorf("when it is back, the license server says %+v", got)
	}
	l.call(done, "PublishLS")
	l.call(done, "UnpublishLS")
}
