package directory_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"calkeeper/internal/directory"
)

// netDialer reaches nobody.
type netDialer struct{}

func (netDialer) DialContext(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("no route")
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	passwords, empty, noPEM := write("password", password), write("empty", "\n"), write("ca.pem", "no certificate")
	valid := directory.Options{URL: "ldaps://dc1.example.com", User: "service@example.com", PasswordFile: passwords, ServerName: "ls1.example.com"}
	for _, test := range []struct {
		want string
		set  func(*directory.Options)
	}{
		{"", func(*directory.Options) {}},
		{"", func(o *directory.Options) { o.URL = "ldap://dc1.example.com:3389/" }},
		{"", func(o *directory.Options) { o.URL = "ldaps://[2001:db8::1]:636" }},
		{"", func(o *directory.Options) { o.ServerName, o.Computer = "192.0.2.1", "LS1$" }},
		{"must have the form", func(o *directory.Options) { o.URL = "dc1.example.com" }},
		{"must have the form", func(o *directory.Options) { o.URL = "ldaps://" }},
		{"must have the form", func(o *directory.Options) { o.URL = "ldaps://:636" }},
		{"must have the form", func(o *directory.Options) { o.URL = "ldaps://dc1.example.com/DC=example,DC=com" }},
		{"must have the form", func(o *directory.Options) { o.URL = "ldaps://dc1.example.com?cn" }},
		{"must have the form", func(o *directory.Options) { o.URL = "ldaps://ada:" + password + "@dc1.example.com" }},
		{"must have the form", func(o *directory.Options) { o.URL = "ldaps://" + password + "\n" }},
		{"begins with http", func(o *directory.Options) { o.URL = "http://dc1.example.com" }},
		{"goes with directory-user", func(o *directory.Options) { o.User = "" }},
		{"directory-password-file", func(o *directory.Options) { o.PasswordFile = "" }},
		{"is empty", func(o *directory.Options) { o.PasswordFile = empty }},
		{"no such file", func(o *directory.Options) { o.PasswordFile = filepath.Join(dir, "none") }},
		{"directory-ca-file", func(o *directory.Options) { o.CAFile = filepath.Join(dir, "none") }},
		{"no certificate in PEM form", func(o *directory.Options) { o.CAFile = noPEM }},
		{"directory-computer is missing", func(o *directory.Options) { o.ServerName = "192.0.2.1" }},
		{"directory-computer is missing", func(o *directory.Options) { o.ServerName = "2001:db8::1" }},
	} {
		o := valid
		test.set(&o)
		_, err := directory.New(o)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want one with %q", o, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), password) {
			t.Errorf("the error shows a password: %v", err)
		}
	}
}

// TestTheComputerFollowsFromTheName looks which account is asked for.
func TestTheComputerFollowsFromTheName(t *testing.T) {
	for _, test := range []struct{ name, computer, want string }{
		{"ls1.example.com", "", "LS1$"}, {"LS1", "", "LS1$"}, {"a-very-long-host-name.example.com", "", "A-VERY-LONG-HOS$"},
		{"ls1.example.com", "other", "other$"}, {"ls1.example.com", "OTHER$", "OTHER$"}, {"192.0.2.1", "LS1", "LS1$"},
		{"ls1.example.com", "LS1*", "LS1*$"}, {"ls1.example.com", "LS1$)(cn=*", "LS1$)(cn=*$"},
	} {
		c := newController(t)
		delete(c.entries, computerDN)
		o := c.options()
		o.ServerName, o.Computer = test.name, test.computer
		if _, err := newDirectory(t, o).OnDomainController(t.Context()); err == nil || !strings.Contains(err.Error(), "computer account "+test.want+" in") {
			t.Errorf("%s, %q: %v, want a missing account %s", test.name, test.computer, err, test.want)
		}
		if want := "(&(objectClass=computer)(sAMAccountName=" + ldap.EscapeFilter(test.want) + "))"; c.account != want {
			t.Errorf("%s, %q: %s was looked for, want %s", test.name, test.computer, c.account, want)
		}
	}
}
