package directory_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"calkeeper/internal/directory"
	"calkeeper/internal/discovery"
	"calkeeper/internal/licensing"
)

var _ discovery.Directory = (*directory.Directory)(nil)

type question = func(*directory.Directory, context.Context) (bool, error)

func inGroup(d *directory.Directory, ctx context.Context) (bool, error) { return d.InGroup(ctx, "") }

// things are what can be so or not, and the operations that make it so.
var things = []struct {
	name         string
	is, do, undo question
	doing        string // the operation of do, if nobody was before
	undoing      string
	right        string // that do needs
}{
	{"member", inGroup, (*directory.Directory).AddToGroup, (*directory.Directory).RemoveFromGroup,
		"modify " + groupDN, "modify " + groupDN, "write the members of the group Terminal Server License Servers"},
	{"published", (*directory.Directory).Published, (*directory.Directory).Publish, (*directory.Directory).Unpublish,
		"add " + settingsDN, "modify " + settingsDN, "create objects of class licensingSiteSettings in " + siteDN},
	{"registered", (*directory.Directory).Registered, (*directory.Directory).Register, (*directory.Directory).Unregister,
		"add " + pointDN, "delete " + pointDN, "create and delete objects of class serviceConnectionPoint in " + computerDN},
}

// check fails the test unless a call has answered with that.
func check(t *testing.T, what string, want bool) func(bool, error) {
	t.Helper()
	return func(got bool, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", what, got, err, want)
		}
	}
}

// checkFault fails the test unless a call has failed with that kind, and says all the words.
func checkFault(t *testing.T, what string, want licensing.Kind, words ...string) func(bool, error) {
	t.Helper()
	return func(got bool, err error) {
		t.Helper()
		var fault *licensing.Fault
		if got || !errors.As(err, &fault) || fault.Kind != want {
			t.Errorf("%s: %v, %v; want a fault of kind %s", what, got, err, want)
			return
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q does not say %q", what, err, word)
			}
		}
		if strings.Contains(err.Error(), password) || fault.Op == "" {
			t.Errorf("%s: %q shows the password, or not what was done", what, err)
		}
	}
}

func TestThereAndBack(t *testing.T) {
	for _, encrypted := range []bool{true, false} {
		c := newController(t)
		c.encrypted = encrypted
		d := c.directory()
		for _, thing := range things {
			for range 2 { // the second time, the site has its list
				check(t, thing.name+" at first", false)(thing.is(d, t.Context()))
				check(t, "undoing nothing", false)(thing.undo(d, t.Context()))
				check(t, "doing", true)(thing.do(d, t.Context()))
				check(t, "doing again", false)(thing.do(d, t.Context()))
				check(t, thing.name, true)(thing.is(d, t.Context()))
				check(t, "undoing", true)(thing.undo(d, t.Context()))
				check(t, "undoing again", false)(thing.undo(d, t.Context()))
				check(t, thing.name+" at last", false)(thing.is(d, t.Context()))
			}
		}
	}
}

func TestDomains(t *testing.T) {
	d := newController(t).directory()
	check(t, "adding", true)(d.AddToGroup(t.Context()))
	for _, name := range []string{"", "example.com", "example.com.", "EXAMPLE"} {
		check(t, name, true)(d.InGroup(t.Context(), name))
	}
	for _, name := range []string{"other", ".", "*", "example.com)(cn=*", "\x00", "\xff", `\`, "\n", strings.Repeat("x", 10000)} {
		checkFault(t, name, licensing.NotFound, "no other is known")(d.InGroup(t.Context(), name))
	}
}

func TestOnDomainController(t *testing.T) {
	c := newController(t)
	d := c.directory()
	for flags, want := range map[string]bool{"4096": false, "532480": true, "8192": true, "0": false, "-2147475456": true} {
		c.entries[computerDN]["userAccountControl"] = []string{flags}
		check(t, flags, want)(d.OnDomainController(t.Context()))
	}
	c.entries[computerDN]["userAccountControl"] = nil
	checkFault(t, "no flags", licensing.Internal, "userAccountControl")(d.OnDomainController(t.Context()))
	delete(c.entries, computerDN)
	checkFault(t, "no account", licensing.NotFound, "LS1$", "directory-computer")(d.OnDomainController(t.Context()))
}

// TestSomebodyElseWasQuicker has another do the same between question and change: the result is one of several, and it is so.
func TestSomebodyElseWasQuicker(t *testing.T) {
	for _, thing := range things {
		for _, result := range []uint16{ldap.LDAPResultEntryAlreadyExists, ldap.LDAPResultAttributeOrValueExists, ldap.LDAPResultUnwillingToPerform,
			ldap.LDAPResultNoSuchAttribute, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInsufficientAccessRights} {
			c := newController(t)
			d := c.directory()
			quicker := func(change question, op string) {
				done := false
				c.before = func(now string) {
					if now != op || done {
						return
					}
					done = true
					another := c.directory()
					check(t, "the other", true)(change(another, t.Context()))
					c.mutex.Lock()
					defer c.mutex.Unlock()
					c.results[op] = []uint16{result}
				}
			}
			quicker(thing.do, thing.doing)
			check(t, thing.name+" by another", false)(thing.do(d, t.Context()))
			delete(c.results, thing.doing)
			check(t, thing.name, true)(thing.is(d, t.Context()))
			quicker(thing.undo, thing.undoing)
			check(t, thing.name+" undone by another", false)(thing.undo(d, t.Context()))
		}
	}
}

// TestTwoPublishAtOnce has another license server make the site's list between two operations of this one.
func TestTwoPublishAtOnce(t *testing.T) {
	c := newController(t)
	c.before = func(op string) {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		if op == "add "+settingsDN {
			c.entries[settingsDN] = entry{"objectClass": {"licensingSiteSettings"}, "siteServer": {"CN=LS2,CN=Computers," + domainDN}}
		}
	}
	d := c.directory()
	check(t, "publishing", true)(d.Publish(t.Context()))
	check(t, "published", true)(d.Published(t.Context()))
	if list := c.entries[settingsDN]["siteServer"]; len(list) != 2 {
		t.Errorf("the site has %q", list)
	}
}

func TestResults(t *testing.T) {
	for _, test := range []struct {
		result uint16
		want   licensing.Kind
		word   string
	}{
		{ldap.LDAPResultInsufficientAccessRights, licensing.Denied, "lacks the right to"},
		{ldap.LDAPResultBusy, licensing.Unavailable, "cannot answer now"},
		{ldap.LDAPResultUnavailable, licensing.Unavailable, "cannot answer now"},
		{ldap.LDAPResultTimeLimitExceeded, licensing.Unavailable, "cannot answer now"},
		{ldap.LDAPResultReferral, licensing.Unavailable, "that can be written to"},
		{ldap.LDAPResultUnwillingToPerform, licensing.Internal, "53"},
		{ldap.LDAPResultEntryAlreadyExists, licensing.Internal, "68"},
		{ldap.LDAPResultConstraintViolation, licensing.Internal, "19"},
	} {
		for _, thing := range things {
			c := newController(t)
			d := c.directory()
			c.results[thing.doing] = []uint16{test.result}
			words := []string{test.word}
			if test.want == licensing.Denied {
				words = append(words, thing.right, "service@example.com")
			}
			if thing.name == "published" && test.result == ldap.LDAPResultEntryAlreadyExists {
				words = []string{"32"} // it is said to be there, and is not when it is to be changed
			}
			checkFault(t, thing.name, test.want, words...)(thing.do(d, t.Context()))
		}
	}
}

func TestQuestionsThatAreRefused(t *testing.T) {
	for result, want := range map[uint16]licensing.Kind{
		ldap.LDAPResultInsufficientAccessRights: licensing.Denied, ldap.LDAPResultUnavailable: licensing.Unavailable, ldap.LDAPResultOther: licensing.Internal,
	} {
		for _, op := range []string{"search ", "search " + domainDN, "search " + groupDN, "search " + settingsDN, "search " + pointDN} {
			c := newController(t)
			d := c.directory()
			c.results[op] = []uint16{result}
			asked := false
			for _, thing := range things {
				before := len(c.log)
				is, err := thing.is(d, t.Context())
				for _, done := range c.log[before:] {
					if done == op {
						asked = true
						checkFault(t, thing.name, want)(is, err)
					}
				}
			}
			if !asked {
				t.Errorf("nothing needed %s", op)
			}
		}
	}
	c := newController(t)
	d := c.directory()
	delete(c.entries, groupDN)
	checkFault(t, "no group", licensing.NotFound, "S-1-5-32-561")(inGroup(d, t.Context()))
	checkFault(t, "no group", licensing.NotFound)(d.AddToGroup(t.Context()))
	delete(c.entries, siteDN)
	checkFault(t, "no site", licensing.NotFound, siteDN, "directory-site")(d.Published(t.Context()))
	checkFault(t, "no site", licensing.NotFound, siteDN)(d.Publish(t.Context()))
	c.entries[""]["serverName"] = []string{"CN=Paris"}
	checkFault(t, "odd name", licensing.Internal, "directory-site")(d.Published(t.Context()))
	c.entries[""] = entry{"namingContexts": {domainDN}}
	checkFault(t, "another server", licensing.Unavailable, "no domain controller of Active Directory")(inGroup(d, t.Context()))
}

func TestTheServiceAccountIsNotLetIn(t *testing.T) {
	for diagnostic, want := range map[string]string{
		"80090308: LdapErr: DSID-0C09041C, comment: AcceptSecurityContext error, data 52e, v4563":  "user or password is wrong",
		"80090308: LdapErr: DSID-0C09041C, comment: AcceptSecurityContext error, data 533, v4563":  "it is disabled",
		"80090308: LdapErr: DSID-0C09041C, comment: AcceptSecurityContext error, data 775, v4563":  "it is locked out",
		"80090308: LdapErr: DSID-0C09041C, comment: AcceptSecurityContext error, data 532":         "its password has expired",
		"80090308: LdapErr: DSID-0C09041C, comment: AcceptSecurityContext error, data ffff, v4563": "user or password is wrong",
		"Simple Bind Failed: NT_STATUS_LOGON_FAILURE":                                              "user or password is wrong",
		"": "user or password is wrong",
	} {
		c := newController(t)
		c.results["bind service@example.com"], c.diagnostic = []uint16{ldap.LDAPResultInvalidCredentials}, diagnostic
		d := c.directory()
		for _, thing := range things {
			checkFault(t, diagnostic, licensing.Denied, want, "directory-user", "directory-password-file")(thing.is(d, t.Context()))
			checkFault(t, diagnostic, licensing.Denied, want)(thing.do(d, t.Context()))
		}
	}
	c := newController(t)
	c.results["bind service@example.com"] = []uint16{ldap.LDAPResultBusy}
	checkFault(t, "busy", licensing.Unavailable)(inGroup(c.directory(), t.Context()))
}

// TestNoPasswordInTheClear has a controller that does not start TLS.
func TestNoPasswordInTheClear(t *testing.T) {
	for _, result := range []uint16{ldap.LDAPResultProtocolError, ldap.LDAPResultUnavailable, ldap.LDAPResultInsufficientAccessRights} {
		c := newController(t)
		c.encrypted = false
		c.results["start TLS"] = []uint16{result}
		checkFault(t, "no TLS", licensing.Unavailable, "no TLS")(inGroup(c.directory(), t.Context()))
		if len(c.log) != 1 {
			t.Errorf("the controller saw %q", c.log)
		}
	}
	for _, encrypted := range []bool{true, false} {
		c := newController(t)
		c.encrypted = encrypted
		o := c.options()
		o.CAFile = filepath.Join(t.TempDir(), "other.pem")
		_, other := newCertificate(t)
		if err := os.WriteFile(o.CAFile, other, 0o600); err != nil {
			t.Fatal(err)
		}
		d := newDirectory(t, o)
		checkFault(t, "another authority", licensing.Unavailable, "no TLS", "directory-ca-file", "unknown authority")(inGroup(d, t.Context()))
	}
}

func TestAnAnswerThatDoesNotCome(t *testing.T) {
	for _, encrypted := range []bool{true, false} {
		for _, op := range []string{"start TLS", "bind service@example.com", "search ", "search " + domainDN, "search " + groupDN, "modify " + groupDN} {
			if encrypted && op == "start TLS" {
				continue
			}
			c := newController(t)
			c.encrypted, c.silent = encrypted, op
			o := c.options()
			o.Timeout = 50 * time.Millisecond
			checkFault(t, op, licensing.Unavailable, "deadline exceeded")(newDirectory(t, o).AddToGroup(t.Context()))

			c = newController(t)
			c.encrypted, c.silent = encrypted, op
			ctx, cancel := context.WithCancel(t.Context())
			c.before = func(now string) {
				if now == op {
					cancel()
				}
			}
			checkFault(t, op, licensing.Unavailable, "canceled")(c.directory().AddToGroup(ctx))
			cancel()
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	c := newController(t)
	o := c.options()
	o.Dial = new(netDialer).DialContext
	checkFault(t, "refused", licensing.Unavailable, "dc1.example.com:636 cannot be reached", "no route")(inGroup(newDirectory(t, o), t.Context()))
}

func TestGarbage(t *testing.T) {
	for name, raw := range map[string][]byte{
		"nothing":       {},
		"HTTP":          []byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
		"no LDAP":       {0x04, 0x02, 'h', 'i'},
		"empty message": {0x30, 0x00},
		"only an ID":    {0x30, 0x03, 0x02, 0x01, 0x01},
		"half":          {0x30, 0x0c, 0x02, 0x01, 0x01, 0x61},
		"two gigabytes": {0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x02, 0x01, 0x01, 0x04, 0x84, 0x7f, 0xff, 0xff, 0x00, 'x'},
		"endless":       append([]byte{0x30, 0x84, 0x40, 0x00, 0x00, 0x00, 0x04, 0x84, 0x3f, 0x00, 0x00, 0x00}, bytes.Repeat([]byte{'x'}, 4<<20)...),
		"deep":          bytes.Repeat([]byte{0x30, 0x80}, 100000),
	} {
		for _, encrypted := range []bool{true, false} {
			c := newController(t)
			c.encrypted, c.raw = encrypted, raw
			var words []string
			if name == "endless" {
				words = []string{"more than 1048576 bytes"}
			}
			checkFault(t, name, licensing.Unavailable, words...)(inGroup(c.directory(), t.Context()))
		}
	}
}

func TestANewPasswordHoldsAtOnce(t *testing.T) {
	c := newController(t)
	o := c.options()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(o.PasswordFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("an old one")
	d := newDirectory(t, o)
	checkFault(t, "the old one", licensing.Denied)(inGroup(d, t.Context()))
	for _, text := range []string{password, password + "\n", password + "\r\n", password + "\nanother line\n"} {
		write(text)
		check(t, text, false)(inGroup(d, t.Context()))
	}
	for _, text := range []string{"", "\n", "\r\n", "\n" + password} {
		write(text)
		checkFault(t, text, licensing.Internal, "directory-password-file")(inGroup(d, t.Context()))
	}
	if err := os.Remove(o.PasswordFile); err != nil {
		t.Fatal(err)
	}
	checkFault(t, "no file", licensing.Internal, "directory-password-file")(inGroup(d, t.Context()))
}
