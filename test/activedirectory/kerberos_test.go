//go:build linux

package activedirectory_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

const (
	classURI    = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/"
	transferURI = "http://schemas.xmlsoap.org/ws/2004/09/transfer/"
)

// envelope is a request as curl sends it.
func envelope(class, action, body string) string {
	return `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" ` +
		`xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"><s:Header><a:To>http://ls1.example.com/wsman</a:To>` +
		`<w:ResourceURI>` + classURI + class + `</w:ResourceURI><a:Action>` + action + `</a:Action>` +
		`<a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>` +
		`<a:MessageID>uuid:7f1c2a60-3a1d-4c0e-9d2b-1f6b0d7e5a11</a:MessageID></s:Header><s:Body>` + body + `</s:Body></s:Envelope>`
}

// putCompany changes contact data, for which an Administrator is needed.
func putCompany(company string) string {
	return envelope(serverClass, transferURI+"Put",
		`<p:`+serverClass+` xmlns:p="`+classURI+serverClass+`"><p:Company>`+company+`</p:Company></p:`+serverClass+`>`)
}

var (
	getServer = envelope(serverClass, transferURI+"Get", "")
	// generateReport needs an Operator. It returns WBEM_E_NOT_SUPPORTED to him.
	generateReport = envelope("Win32_TSLicenseReport", classURI+"Win32_TSLicenseReport/GenerateReport",
		`<p:GenerateReport_INPUT xmlns:p="`+classURI+`Win32_TSLicenseReport"><p:ScopeType>1</p:ScopeType><p:ScopeValue></p:ScopeValue></p:GenerateReport_INPUT>`)
	getKeyPack = strings.Replace(envelope("Win32_TSLicenseKeyPack", transferURI+"Get", ""), "<a:ReplyTo>",
		`<w:SelectorSet><w:Selector Name="KeyPackId">2</w:Selector></w:SelectorSet><a:ReplyTo>`, 1)
)

// kerberos has Debian's clients log on to a license server with tickets of Samba's KDC.
func (d *domain) kerberos(t *testing.T) {
	p := newPrincipals(d.in(t))
	for _, test := range []struct {
		name string
		run  func(*principals, *testing.T)
	}{
		{"ADomainAdminAdministers", (*principals).domainAdmin},
		{"SealedMessages", (*principals).sealed},
		{"AGroupHasItsRole", (*principals).groupRole},
		{"WhoIsInNoGroupMayNothing", (*principals).noGroup},
		{"WithoutAPACThereIsNoRole", (*principals).noPAC},
		{"AnotherServicesTicket", (*principals).wrongService},
		{"ATicketOfRC4", (*principals).rc4},
		{"AClockThatIsWrong", (*principals).wrongClock},
		{"WhatIsNotSealedIsRefused", (*principals).unsealed},
		{"NTLMIsForLocalAccounts", (*principals).ntlm},
		{"AnExpiredAccount", (*principals).expired},
		{"StrictChannelBindings", (*principals).strictBindings},
		{"ANewPasswordOfTheService", (*principals).rotation}, // the last one: others' tickets are of the old one
	} {
		t.Run(test.name, func(t *testing.T) { test.run(p, t) })
	}
	const from = "@EXAMPLE.COM|Kerberos|127.0.0.1|"
	p.server.audited(
		"ada"+from+"logon|Administrator by a group\n",
		"ada"+from+"set contact|",
		"olga"+from+"logon|Operator by a group\n",
		"nobody"+from+"logon|no account and no group gives a role\n",
		"ada"+from+"logon|no account and no group gives a role\n", // without a PAC
		"|logon refused|credentials are wrong: wrong SPN: the ticket is for cifs/ls1.example.com@EXAMPLE.COM",
		"|logon refused|credentials are wrong: the ticket for HTTP/other.example.com@EXAMPLE.COM",
		"nobody"+from+"logon|Operator\n", // with an account
		"|logon refused|credentials are wrong: the ticket for HTTP/legacy.example.com@EXAMPLE.COM is encrypted with RC4, which is not allowed",
		"ada"+from+"logon refused|credentials have expired: the client's clock is 10m0s ahead",
		"ada|NTLM|127.0.0.1|logon refused|credentials are wrong",
		"|logon refused|credentials are wrong: the ticket is for HTTP/ls1.example.com@EXAMPLE.COM kvno 3 aes256-cts-hmac-sha1-96, and there is no such key",
		"|logon refused|credentials are wrong: the ticket is for HTTP/ls1.example.com@EXAMPLE.COM kvno 2 aes256-cts-hmac-sha1-96, and there is no such key",
	)
}

// granted fails the test unless the request was answered, by a license server that has proved itself.
func granted(t *testing.T, a answer, words ...string) {
	t.Helper()
	if a.status != 200 || !negotiated.MatchString(a.header) {
		t.Fatalf("HTTP status %d\n%s\n%s", a.status, a.header, a.body)
	}
	for _, word := range words {
		if !strings.Contains(a.body, word) {
			t.Errorf("the answer has no %s:\n%s", word, a.body)
		}
	}
}

// denied fails the test unless the caller is known, and may not.
func denied(t *testing.T, a answer) {
	t.Helper()
	if a.status != 500 || !negotiated.MatchString(a.header) || !strings.Contains(a.body, "w:AccessDenied") || !strings.Contains(a.body, `Code="5"`) {
		t.Errorf("HTTP status %d\n%s\n%s", a.status, a.header, a.body)
	}
}

// refused fails the test unless nobody has been authenticated.
func refused(t *testing.T, a answer) {
	t.Helper()
	if a.status != 401 || negotiated.MatchString(a.header) || strings.Contains(a.body, "ProductId") {
		t.Errorf("HTTP status %d\n%s\n%s", a.status, a.header, a.body)
	}
}

func (p *principals) domainAdmin(t *testing.T) {
	ada, url := p.logOn(t, "ada"), at("ls1.example.com", p.server.secure)
	granted(t, ada.curl(putCompany("Ada by curl"), url), "<p:Company>Ada by curl</p:Company>")
	// python3-winrm wants to know that it is the right server, and takes no answer otherwise.
	for n, options := range []map[string]any{
		{"endpoint": url},
		{"endpoint": url, "service": "WSMAN"},
		{"endpoint": p.server.secure, "service": "HOST", "kerberos_hostname_override": "ls1.example.com"},
	} {
		options["ca_trust_path"] = p.server.authority()
		company := fmt.Sprint("Ada by python3-winrm ", n)
		answers := ada.winrm(nil, options, putCompany(company), getServer, generateReport)
		for i, word := range []string{company, company, "<p:ReturnValue>2147749900</p:ReturnValue>"} {
			if !strings.Contains(answers[i], word) {
				t.Errorf("%v: the answer to request %d has no %s:\n%s", options, i, word, answers[i])
			}
		}
	}
}

// sealed has python3-winrm seal its messages, in a context of Kerberos and one of SPNEGO.
func (p *principals) sealed(t *testing.T) {
	ada := p.logOn(t, "ada")
	long := strings.Repeat("Söhne ", 30)
	for _, environ := range []string{"GSSAPI_MECHANISM=krb5", "GSSAPI_MECHANISM=spnego"} {
		answers := ada.winrm([]string{environ, p.module()},
			map[string]any{"endpoint": at("ls1.example.com", p.server.url), "message_encryption": "always"}, putCompany(long), getServer)
		for _, text := range answers {
			if !strings.Contains(text, "<p:Company>"+long+"</p:Company>") {
				t.Errorf("with %v the answers are\n%s", environ, answers)
			}
		}
	}
}

func (p *principals) groupRole(t *testing.T) {
	olga, url := p.logOn(t, "olga"), at("ls1.example.com", p.server.secure)
	granted(t, olga.curl(getServer, url), "<p:ProductId>")
	granted(t, olga.curl(getKeyPack, url), "<p:KeyPackId>2</p:KeyPackId>")
	granted(t, olga.curl(generateReport, url), "<p:ReturnValue>2147749900</p:ReturnValue>")
	denied(t, olga.curl(putCompany("Olga"), url))
}

// nothing fails the test if the user may do anything but log on.
func (u user) nothing(url string) {
	u.t.Helper()
	a := u.curl(getServer, url)
	granted(u.t, a, "<p:Company></p:Company>", "<p:ProductId></p:ProductId>", "<p:ServerRole>0</p:ServerRole>")
	if shown := regexp.MustCompile(`<p:\w+>[^<]+`).FindAllString(a.body, -1); len(shown) != 1 {
		u.t.Errorf("he is shown\n%s", a.body)
	}
	for _, request := range []string{getKeyPack, generateReport, putCompany("Nobody")} {
		denied(u.t, u.curl(request, url))
	}
}

func (p *principals) noGroup(t *testing.T) {
	nobody, url := p.logOn(t, "nobody"), at("ls1.example.com", p.server.secure)
	nobody.nothing(url)
	p.server.setRole("nobody@EXAMPLE.COM", "Operator")
	granted(t, nobody.curl(generateReport, url), "<p:ReturnValue>2147749900</p:ReturnValue>")
	denied(t, nobody.curl(putCompany("Nobody"), url))
}

// setRole makes an account of a principal.
func (l *licenseServer) setRole(principal, role string) {
	l.t.Helper()
	api := strings.Replace(l.url, "/wsman", "/v1/accounts/", 1) + principal
	r, err := http.NewRequestWithContext(l.t.Context(), http.MethodPut, api, strings.NewReader(`{"role":"`+role+`"}`))
	if err != nil {
		l.t.Fatal(err)
	}
	r.SetBasicAuth("Administrator", adminPassword)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		l.t.Fatal(answer.Status)
	}
}

// noPAC: the KDC leaves out what tells the groups of a Domain Admin.
func (p *principals) noPAC(t *testing.T) {
	p.logOn(t, "ada").nothing(at("plain.example.com", p.server.secure))
}

func (p *principals) wrongService(t *testing.T) {
	nobody := p.logOn(t, "nobody")
	refused(t, nobody.curl(getServer, at("ls1.example.com", p.server.secure), "curl", "--negotiate", "-u", ":", "--service-name", "cifs"))
	refused(t, nobody.curl(getServer, at("other.example.com", p.server.secure)))
}

// rc4: so the KDC encrypts tickets for an account that is not marked for AES, even if the user's are all AES.
func (p *principals) rc4(t *testing.T) {
	refused(t, p.logOn(t, "ada").curl(getServer, at("legacy.example.com", p.server.secure)))
}

func (p *principals) wrongClock(t *testing.T) {
	ada, url := p.logOn(t, "ada"), at("ls1.example.com", p.server.secure)
	granted(t, ada.curl(getServer, url), "<p:ProductId>") // and has the ticket
	refused(t, ada.curl(getServer, url, "faketime", "-f", "+10m", "curl", "--negotiate", "-u", ":"))
	granted(t, ada.curl(getServer, url, "faketime", "-f", "+2m", "curl", "--negotiate", "-u", ":"), "<p:ProductId>")
}

// unsealed: curl can seal nothing, so that it needs TLS.
func (p *principals) unsealed(t *testing.T) {
	if a := p.logOn(t, "ada").curl(putCompany("Unsealed"), at("ls1.example.com", p.server.url)); a.status != 400 {
		t.Errorf("HTTP status %d\n%s", a.status, a.body)
	}
}

// ntlm: only a domain controller could tell whether the password is right.
func (p *principals) ntlm(t *testing.T) {
	refused(t, p.logOn(t, "ada").curl(getServer, at("ls1.example.com", p.server.secure), "curl", "--ntlm", "-u", `EXAMPLE\ada:`+userPassword))
}

// expired: who has a ticket has it until it ends, and nobody gets another one.
func (p *principals) expired(t *testing.T) {
	url := at("ls1.example.com", p.server.secure)
	expired := func(name string) {
		t.Helper()
		if _, out, err := p.kinit(t, name, userPassword); err == nil || !strings.Contains(out, "have been revoked") {
			t.Errorf("kinit: %v\n%s", err, out)
		}
	}
	expired("expired")
	p.change(userEntry("emil", userPassword, normalAccount), entry{operatorsDN, []string{"changetype: modify", "add: member", "member: CN=emil,CN=Users," + domainDN}})
	emil := p.logOn(t, "emil")
	granted(t, emil.curl(getServer, url), "<p:ProductId>")
	p.change(entry{"CN=emil,CN=Users," + domainDN, []string{"changetype: modify", "replace: accountExpires", "accountExpires: " + longAgo}})
	expired("emil")
	granted(t, emil.curl(getServer, url), "<p:ProductId>")
}

// strictBindings: curl of Debian 12 and Debian's python3-kerberos send no channel bindings.
func (p *principals) strictBindings(t *testing.T) {
	ada, relaxed := p.logOn(t, "ada"), p.server
	p.server = p.serve(`channel-bindings = "strict"`)
	defer func() { p.server = relaxed }()
	url := at("ls1.example.com", p.server.secure)
	refused(t, ada.curl(getServer, url))
	options := map[string]any{"endpoint": url, "ca_trust_path": p.server.authority()}
	if answers := ada.winrm(nil, options, getServer); answers[0] != "401" {
		t.Errorf("without bindings the answer is\n%s", answers[0])
	}
	for _, environ := range []string{"GSSAPI_MECHANISM=krb5", "GSSAPI_MECHANISM=spnego"} {
		if answers := ada.winrm([]string{environ, p.module()}, options, getServer); !strings.Contains(answers[0], "<p:ProductId>") {
			t.Errorf("with bindings and %s the answer is\n%s", environ, answers[0])
		}
	}
	p.server.audited("ada@EXAMPLE.COM|Kerberos|127.0.0.1|logon refused|channel bindings do not match: none were sent, and the policy is strict")
}

// rotation: as long as the keytab has the old key too, nobody notices.
func (p *principals) rotation(t *testing.T) {
	url := at("ls1.example.com", p.server.secure)
	before := p.logOn(t, "olga")
	granted(t, before.curl(getServer, url), "<p:ProductId>")
	p.change(entry{ls1DN, []string{"changetype: modify", "replace: unicodePwd", "unicodePwd:: " + unicodePwd(rotatedPassword)}})
	after := p.logOn(t, "olga")
	refused(t, after.curl(getServer, url)) // its key is not in the keytab yet

	fresh := filepath.Join(p.dir, "fresh.keytab")
	p.export(fresh, "LS1$")
	added, err := os.ReadFile(fresh)
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(p.keytab)
	if err != nil {
		t.Fatal(err)
	}
	p.replaceKeytab(slices.Concat(old, added[2:])) // entries after the version of the file
	granted(t, after.curl(getServer, url), "<p:ProductId>")
	granted(t, before.curl(getServer, url), "<p:ProductId>")
	p.replaceKeytab(added)
	granted(t, after.curl(getServer, url), "<p:ProductId>")
	refused(t, before.curl(getServer, url))
	if bytes.Equal(old, added) {
		t.Error("the key is the old one")
	}
}

// replaceKeytab does it as one step, as who administers a running server has to.
func (p *principals) replaceKeytab(text []byte) {
	p.t.Helper()
	p.write("new.keytab", string(text))
	if err := os.Rename(filepath.Join(p.dir, "new.keytab"), p.keytab); err != nil {
		p.t.Fatal(err)
	}
}

// audited stops the license server, and looks for beginnings of lines, or parts of them, in its audit log.
func (l *licenseServer) audited(words ...string) {
	l.t.Helper()
	l.logged() // no password
	l.process.Stop(l.t)
	s, err := sqlite.Open(l.t.Context(), filepath.Join(l.dir, "ls", "calkeeper.db"), sqlite.Options{})
	if err != nil {
		l.t.Fatal(err)
	}
	defer s.Close()
	var log strings.Builder
	if err := s.View(l.t.Context(), func(r store.Reader) error {
		records, err := r.AuditRecords(0, 1000)
		for _, a := range records {
			fmt.Fprintf(&log, "%s|%s|%s|%s|%s\n", a.Actor, a.Mechanism, a.Remote, a.Action, a.Detail)
		}
		return err
	}); err != nil {
		l.t.Fatal(err)
	}
	for _, word := range words {
		if !strings.Contains("\n"+log.String(), word) {
			l.t.Errorf("the audit log has no %s:\n%s", word, &log)
		}
	}
}
