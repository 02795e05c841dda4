//go:build linux

package activedirectory_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The passwords of users, and of the accounts that have service principal names.
const (
	userPassword      = "User horse 4"
	principalPassword = "Principal horse 5"
	rotatedPassword   = "Rotated horse 6"
)

// The userAccountControl of accounts (MS-ADTS, section 2.2.16).
const (
	normalAccount      = 0x200
	noAuthDataRequired = 0x2000000 // on a service's account: tickets for it have no PAC
)

const (
	operatorsDN = "CN=CAL Operators,CN=Users," + domainDN
	aes         = "msDS-SupportedEncryptionTypes: 24" // else tickets are encrypted with RC4
)

// moduleKerberos seals messages and sends channel bindings, which Debian's python3-kerberos cannot.
const moduleKerberos = "../kerberos/testdata/kerberos.py"

// principals is what the domain has for Kerberos: the license server as LS1$, for plain.example.com as an account whose tickets have no
// PAC, for legacy.example.com as one whose tickets are encrypted with RC4, and users. other.example.com is another service.
type principals struct {
	*domain
	dir    string
	keytab string
	role   string // setting that makes members of the group Operators
	server *licenseServer
	files  int // how many have been made in dir
}

func newPrincipals(d *domain) *principals {
	d.t.Helper()
	p := &principals{domain: d, dir: d.t.TempDir()}
	p.keytab = filepath.Join(p.dir, "krb5.keytab")
	spn := func(names ...string) (lines []string) {
		for _, name := range names {
			lines = append(lines, "servicePrincipalName: "+name)
		}
		return lines
	}
	service := func(dn string, names ...string) entry {
		return entry{dn, append([]string{"changetype: modify", "replace: msDS-SupportedEncryptionTypes", aes, "-", "replace: unicodePwd",
			"unicodePwd:: " + unicodePwd(principalPassword), "-", "replace: servicePrincipalName"}, spn(names...)...)}
	}
	p.change(
		service(ls1DN, "HTTP/ls1.example.com", "WSMAN/ls1.example.com", "HOST/ls1.example.com", "HOST/ls1", "cifs/ls1.example.com"),
		service(ls2DN, "HTTP/other.example.com"),
		userEntry("plain", principalPassword, normalAccount|noAuthDataRequired, aes, "servicePrincipalName: HTTP/plain.example.com"),
		userEntry("legacy", principalPassword, normalAccount, "msDS-SupportedEncryptionTypes: 4", "servicePrincipalName: HTTP/legacy.example.com"),
		userEntry("ada", userPassword, normalAccount), userEntry("olga", userPassword, normalAccount), userEntry("nobody", userPassword, normalAccount),
		userEntry("expired", userPassword, normalAccount, "accountExpires: "+longAgo),
		entry{"CN=Domain Admins,CN=Users," + domainDN, []string{"changetype: modify", "add: member", "member: CN=ada,CN=Users," + domainDN}},
		entry{operatorsDN, []string{"objectClass: group", "sAMAccountName: CAL Operators", "member: CN=olga,CN=Users," + domainDN}},
	)
	// Where Python finds them: this directory may be hidden.
	for name, script := range map[string]string{"envelopes.py": "testdata/envelopes.py", "module/kerberos.py": moduleKerberos} {
		text, err := os.ReadFile(script)
		if err != nil {
			d.t.Fatal(err)
		}
		p.write(name, string(text))
	}
	p.role = `role-group = ["` + p.sid(operatorsDN) + `=Operator"]`
	p.export(p.keytab, "LS1$")
	p.export(p.keytab, "HTTP/plain.example.com")
	p.export(p.keytab, "HTTP/legacy.example.com")
	p.write("krb5.conf", `[libdefaults]
	default_realm = EXAMPLE.COM
	dns_lookup_kdc = false
	dns_canonicalize_hostname = false
	rdns = false
[realms]
	EXAMPLE.COM = {
		kdc = 127.0.0.1
	}
`)
	p.server = p.serve()
	return p
}

// longAgo is an accountExpires in 2020: 100 ns since 1601.
const longAgo = "132223104000000000"

// sid returns the SID of a group of the domain (MS-DTYP, section 2.4.2).
func (p *principals) sid(dn string) string {
	p.t.Helper()
	values, _ := p.values(dn, "objectSid")
	if len(values) != 1 || len(values[0]) != 28 || values[0][:8] != "\x01\x05\x00\x00\x00\x00\x00\x05" {
		p.t.Fatalf("the SID of %s is %q", dn, values)
	}
	text := "S-1-5"
	for b := []byte(values[0][8:]); len(b) > 0; b = b[4:] {
		text += fmt.Sprint("-", binary.LittleEndian.Uint32(b))
	}
	return text
}

// export adds the keys of a principal to a keytab.
func (p *principals) export(keytab, principal string) {
	p.t.Helper()
	p.run("samba-tool", "domain", "exportkeytab", keytab, "--principal="+principal)
}

func (p *principals) write(name, text string) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		p.t.Fatal(err)
	}
}

// serve runs a license server with the keytab.
func (p *principals) serve(settings ...string) *licenseServer {
	p.t.Helper()
	return p.newLicenseServer(p.t, "ls1", delegated, servicePassword,
		append(settings, `listen-https = "127.0.0.1:0"`, `alias = ["plain.example.com", "other.example.com", "legacy.example.com"]`, `kerberos-keytab = "`+p.keytab+`"`, p.role)...)
}

// module has python3-winrm use moduleKerberos.
func (p *principals) module() string { return "PYTHONPATH=" + filepath.Join(p.dir, "module") }

// at returns an address of the license server with another name.
func at(name, url string) string { return strings.Replace(url, "127.0.0.1", name, 1) }

// authority is the certificate to trust.
func (l *licenseServer) authority() string { return filepath.Join(l.dir, "ls", "tls.crt") }

// user is somebody with a credential cache.
type user struct {
	*principals
	t       *testing.T
	environ []string
}

// kinit gets a ticket-granting ticket.
func (p *principals) kinit(t *testing.T, name, password string) (u user, out string, err error) {
	t.Helper()
	p.files++
	u = user{p, t, append(os.Environ(), "KRB5_CONFIG="+filepath.Join(p.dir, "krb5.conf"), "KRB5CCNAME=FILE:"+filepath.Join(p.dir, fmt.Sprint(name, p.files)))}
	cmd := exec.Command("kinit", name)
	cmd.Env, cmd.Stdin = u.environ, strings.NewReader(password+"\n")
	text, err := cmd.CombinedOutput()
	return u, string(text), err
}

// logOn gets a ticket-granting ticket, or fails the test.
func (p *principals) logOn(t *testing.T, name string) user {
	t.Helper()
	u, out, err := p.kinit(t, name, userPassword)
	if err != nil {
		t.Fatalf("kinit: %v\n%s", err, out)
	}
	return u
}

// answer is what came over HTTP.
type answer struct {
	status int
	header string
	body   string
}

// negotiated finds the last token of a handshake, with which the license server proves itself.
var negotiated = regexp.MustCompile(`(?mi)^WWW-Authenticate: Negotiate [A-Za-z0-9+/=]{100,}\r$`)

// curl sends an envelope. The arguments are before the address, and begin with the program: curl may be run by another one.
func (u user) curl(envelope, url string, args ...string) (a answer) {
	u.t.Helper()
	if len(args) == 0 {
		args = []string{"curl", "--negotiate", "-u", ":"}
	}
	var out, errs bytes.Buffer
	args = append(args, "-sS", "-i", "-w", "\n%{http_code}", "-H", "Content-Type: application/soap+xml;charset=UTF-8", "--cacert", u.server.authority(),
		"--data-binary", "@-", url)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = u.environ, strings.NewReader(envelope), &out, &errs
	if err := cmd.Run(); err != nil {
		u.t.Fatalf("%v: %v\n%s", args, err, &errs)
	}
	text := out.String()
	end := strings.LastIndexByte(text, '\n')
	a.status, _ = strconv.Atoi(text[end+1:])
	// Before a challenge, and before the body of a request is sent, there are other headers.
	if begin := strings.LastIndex(text[:end], "HTTP/1.1 "); begin >= 0 {
		a.header, a.body, _ = strings.Cut(text[begin:end], "\r\n\r\n")
		a.header += "\r\n"
	}
	return a
}

// winrm sends envelopes with python3-winrm, and returns the answers.
func (u user) winrm(environ []string, options map[string]any, envelopes ...string) []string {
	u.t.Helper()
	options["transport"] = "kerberos"
	job, err := json.Marshal(map[string]any{"options": options, "envelopes": envelopes})
	if err != nil {
		u.t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.Command("/usr/bin/python3", filepath.Join(u.dir, "envelopes.py"))
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = append(u.environ, environ...), bytes.NewReader(job), &out, &errs
	if err := cmd.Run(); err != nil {
		u.t.Fatalf("python3-winrm: %v\n%s", err, &errs)
	}
	var answers []string
	if err := json.Unmarshal(out.Bytes(), &answers); err != nil || len(answers) != len(envelopes) {
		u.t.Fatalf("python3-winrm: %v\n%s%s", err, &out, &errs)
	}
	return answers
}
