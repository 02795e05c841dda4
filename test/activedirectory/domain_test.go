//go:build linux

package activedirectory_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"calkeeper/test/machine"
)

// The domain is that of the guide, so that its commands can be run as they stand there.
const (
	domainDN        = "DC=example,DC=com"
	domainHost      = "dc1.example.com"
	siteDN          = "CN=Default-First-Site-Name,CN=Sites,CN=Configuration," + domainDN
	groupDN         = "CN=Terminal Server License Servers,CN=Builtin," + domainDN
	ls1DN           = "CN=LS1,CN=Computers," + domainDN
	hostileOU       = `OU=Servers\, \"Farm\" \+ \<x\>\; \#1 \\ (*) \= é,` + domainDN
	ls2DN           = "CN=LS2," + hostileOU
	domainAdmin     = "Administrator@example.com"
	delegated       = "calkeeper-ls1@example.com"
	withoutRights   = "calkeeper-ls2@example.com"
	sambaPrivate    = "/var/lib/samba/private"
	domainPassword  = "Domain horse 1" // the administrator's
	servicePassword = "Service horse 2"
)

// domain is a domain of Active Directory with one domain controller.
type domain struct {
	t          *testing.T
	ca         string // PEM file
	controller *machine.Daemon
}

// newDomain makes a domain with accounts for two license servers and two service accounts, of which calkeeper-ls1 has the rights that
// the guide tells to give.
func newDomain(t *testing.T) *domain {
	t.Helper()
	d := &domain{t: t, ca: filepath.Join(t.TempDir(), "ca.pem")}
	d.run("samba-tool", "domain", "provision", "--realm=EXAMPLE.COM", "--domain=EXAMPLE", "--server-role=dc", "--dns-backend=SAMBA_INTERNAL",
		"--adminpass="+domainPassword, "--host-ip=127.0.0.1", "--option=interfaces=lo", "--option=bind interfaces only=yes",
		"--option=server services=rpc, ldap, kdc, cldap, dns")
	d.certify()
	d.start()
	d.seed()
	d.run("sh", "-euc", delegation(t))
	return d
}

func (d *domain) run(name string, args ...string) string {
	d.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LDAPTLS_CACERT="+d.ca)
	cmd.Dir = "/" // Samba wants to know its name: the one of this directory may be hidden
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// certify gives the domain controller a certificate for its name. Samba makes one without, which Go's TLS refuses.
func (d *domain) certify() {
	d.t.Helper()
	dir := filepath.Join(sambaPrivate, "tls")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		d.t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		d.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: domainHost}, DNSNames: []string{domainHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		d.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		d.t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for path, text := range map[string][]byte{
		filepath.Join(dir, "key.pem"): pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), filepath.Join(dir, "cert.pem"): certificate,
		filepath.Join(dir, "ca.pem"): certificate, d.ca: certificate,
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
}

// start runs the domain controller until it answers, for the first time or again.
func (d *domain) start() {
	d.t.Helper()
	d.controller = machine.Start(d.t, nil, "samba", "--interactive", "--debug-stdout")
	machine.Await(d.t, "the domain controller answers", func() bool {
		cmd := exec.Command("ldapsearch", "-x", "-H", "ldaps://"+domainHost, "-s", "base", "-b", "", "defaultNamingContext")
		cmd.Env = append(os.Environ(), "LDAPTLS_CACERT="+d.ca)
		return cmd.Run() == nil
	})
}

// seed adds the accounts.
func (d *domain) seed() {
	d.t.Helper()
	entries := []entry{
		{hostileOU, []string{"objectClass: organizationalUnit"}},
		{ls1DN, []string{"objectClass: computer", "sAMAccountName: LS1$", "userAccountControl: 4096"}},
		{ls2DN, []string{"objectClass: computer", "sAMAccountName: LS2$", "userAccountControl: 4096"}},
	}
	for _, user := range []string{delegated, withoutRights} {
		name, _, _ := strings.Cut(user, "@")
		entries = append(entries, userEntry(name, servicePassword, 512, "userPrincipalName: "+user))
	}
	d.change(entries...)
}

// entry is one of an LDIF file: a new one, or, if its lines begin with changetype, a change.
type entry struct {
	dn    string
	lines []string
}

// userEntry is a new user with that userAccountControl, and more attributes.
func userEntry(name, password string, control uint32, more ...string) entry {
	return entry{"CN=" + name + ",CN=Users," + domainDN, append([]string{"objectClass: user", "sAMAccountName: " + name,
		"unicodePwd:: " + unicodePwd(password), fmt.Sprint("userAccountControl: ", control)}, more...)}
}

// change changes the directory.
func (d *domain) change(entries ...entry) {
	d.t.Helper()
	var ldif strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&ldif, "dn:: %s\n%s\n\n", base64.StdEncoding.EncodeToString([]byte(e.dn)), strings.Join(e.lines, "\n"))
	}
	file := filepath.Join(d.t.TempDir(), "change.ldif")
	if err := os.WriteFile(file, []byte(ldif.String()), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.run("ldapadd", "-x", "-H", "ldaps://"+domainHost, "-D", domainAdmin, "-w", domainPassword, "-f", file)
}

// unicodePwd is how Active Directory takes a new password ([MS-ADTS], section 3.1.1.3.1.5.1), in base64.
func unicodePwd(password string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(`"` + password + `"`)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return base64.StdEncoding.EncodeToString(b)
}

var delegating = regexp.MustCompile(`(?m)^dc1\$ (SID=.*(?:\n    .*)*|samba-tool dsacl set (?:.*\\\n)*.*)$`)

// delegation returns the commands of the guide that give the service account its rights.
func delegation(t *testing.T) string {
	t.Helper()
	guide, err := os.ReadFile("../../docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	found := delegating.FindAllSubmatch(guide, -1)
	for _, command := range found {
		script.Write(command[1])
		script.WriteByte('\n')
	}
	if len(found) != 5 {
		t.Fatalf("docs/guide.md has %d commands that delegate rights, want 5:\n%s", len(found), &script)
	}
	return script.String()
}

// values returns the values of an attribute of an entry, as ldapsearch reads them.
func (d *domain) values(dn, attribute string) (values []string, found bool) {
	d.t.Helper()
	var errs bytes.Buffer
	cmd := exec.Command("ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", "ldaps://"+domainHost, "-D", domainAdmin, "-w", domainPassword,
		"-s", "base", "-b", dn, "(objectClass=*)", attribute)
	cmd.Env = append(os.Environ(), "LDAPTLS_CACERT="+d.ca)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if cmd.ProcessState.ExitCode() == 32 { // RFC 4511: noSuchObject
		return nil, false
	}
	if err != nil {
		d.t.Fatalf("ldapsearch %s: %v\n%s%s", dn, err, out, &errs)
	}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		if !strings.EqualFold(name, attribute) {
			continue
		}
		if encoded, ok := strings.CutPrefix(value, ":"); ok {
			text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
			if err != nil {
				d.t.Fatal(err)
			}
			value = string(text)
		}
		values = append(values, strings.TrimPrefix(value, " "))
	}
	return values, true
}

// state is what the directory has of a license server.
type state struct{ member, published, registered bool }

// state looks into the directory. It takes a distinguished name as it was given, and looks for the name of the account.
func (d *domain) state(computer string) (s state) {
	d.t.Helper()
	names := func(list []string) bool {
		for _, dn := range list {
			if strings.HasPrefix(dn, computer+",") {
				return true
			}
		}
		return false
	}
	members, found := d.values(groupDN, "member")
	if !found {
		d.t.Fatal("there is no group " + groupDN)
	}
	s.member = names(members)
	servers, _ := d.values("CN=TS-Enterprise-License-Server,"+siteDN, "siteServer")
	s.published = names(servers)
	dn := map[string]string{"CN=LS1": ls1DN, "CN=LS2": ls2DN}[computer]
	class, _ := d.values("CN=TermServLicensing,"+dn, "objectClass")
	for _, c := range class {
		s.registered = s.registered || c == "serviceConnectionPoint"
	}
	return s
}
