package accounts_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/auth"
	"calkeeper/internal/auth/gss"
)

const domain = "S-1-5-21-1004336348-1177238915-682003330"

var kerberos = auth.Attempt{Remote: here, Mechanism: "Kerberos", First: true}

// TestKerberosRoles: the account decides, or else the greatest role of the groups.
func TestKerberosRoles(t *testing.T) {
	h := newHouse(t)
	h.options.Groups = map[string]auth.Role{
		domain + "-1105": auth.Auditor, domain + "-1106": auth.Operator, "S-1-5-21-1-2-3-512": auth.Operator, domain + "-519": auth.Auditor,
	}
	h.open()
	h.set(accounts.Change{Name: "ada@" + realm, Role: auth.Auditor})
	h.set(accounts.Change{Name: "eve@OTHER.ORG", Role: auth.Operator})
	h.set(accounts.Change{Name: "karl@" + realm, Role: auth.Administrator})
	for _, test := range []struct {
		user, realm string
		sids        []string
		want        auth.Role
		detail      string
	}{
		{"ada", realm, nil, auth.Auditor, "Auditor"},
		{"ada", realm, []string{domain + "-512"}, auth.Auditor, "Auditor"},
		{"ADA", strings.ToLower(realm), nil, auth.Auditor, "Auditor"},
		{"ada", "OTHER.ORG", nil, "", ""},
		{"eve", "OTHER.ORG", nil, auth.Operator, "Operator"},
		{"\u212Aarl", realm, nil, "", ""}, // the Kelvin sign, in lower case a k
		{"bob", realm, nil, "", ""},
		{"bob", realm, []string{domain + "-1105"}, auth.Auditor, "Auditor by a group"},
		{"bob", realm, []string{domain + "-1105", domain + "-1106", domain + "-1105"}, auth.Operator, "Operator by a group"},
		{"bob", realm, []string{domain + "-1105", domain + "-512"}, auth.Administrator, "Administrator by a group"},
		{"bob", realm, []string{"S-1-5-21-5-6-7-519"}, auth.Administrator, "Administrator by a group"},
		{"bob", realm, []string{domain + "-519"}, auth.Auditor, "Auditor by a group"}, // configured
		{"bob", "OTHER.ORG", []string{domain + "-512", "S-1-5-21-5-6-7-519"}, "", ""},
		{"bob", "OTHER.ORG", []string{"S-1-5-21-1-2-3-512"}, auth.Operator, "Operator by a group"},
		{"bob", realm, []string{domain + "-513", domain + "-1512", "S-1-5-32-512", "S-1-5-21-512", "S-1-5-21-1-2-512", "S-1-5-21-1-2-3-4-512"}, "", ""},
		{"bob", realm, []string{"", "512", "-512", "S-1-5-21-1-2-3-0512", "S-1-5-21-1-2--512", "S-1-5-21-1-2-4294967296-512", "s-1-5-21-1-2-3-512"}, "", ""},
		{"bob", realm, []string{"S-1-5-21-1-2-3-512 ", "XS-1-5-21-1-2-3-512", "S-1-5-21-+1-2-3-512"}, "", ""},
	} {
		n := len(h.records(0))
		i, err := h.Admit(t.Context(), kerberos, gss.Initiator{Mechanism: "Kerberos", Name: test.user + "@" + test.realm, Realm: test.realm, SIDs: test.sids})
		if err != nil || i.Role != test.want || !strings.EqualFold(i.User, test.user+"@"+test.realm) || i.Mechanism != "Kerberos" || i.Remote != here {
			t.Errorf("%+v: %+v, %v", test, i, err)
		}
		if test.detail == "" {
			test.detail = "no account and no group gives a role"
		}
		h.recorded(n, fmt.Sprintf("%s | logon | %s | %s | Kerberos", i.User, test.detail, here))
	}
	h.options.Realm = ""
	h.open()
	i, err := h.Admit(t.Context(), kerberos, gss.Initiator{Mechanism: "Kerberos", Name: "bob@" + realm, Realm: realm, SIDs: []string{domain + "-512"}})
	if err != nil || i.Role != "" {
		t.Errorf("without a realm: %+v, %v", i, err)
	}
}

// TestAdmitThatCannotBeRecorded lets nobody in.
func TestAdmitThatCannotBeRecorded(t *testing.T) {
	h := newHouse(t)
	broken := errors.New("the disk is full")
	h.store = failing{h.store, broken}
	h.open()
	i, err := h.Admit(t.Context(), kerberos, gss.Initiator{Mechanism: "Kerberos", Name: "bob@" + realm, Realm: realm, SIDs: []string{domain + "-512"}})
	if !errors.Is(err, broken) || i != (auth.Identity{}) {
		t.Errorf("%+v, %v", i, err)
	}
}

func TestCertificate(t *testing.T) {
	h := newHouse(t)
	sum, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	h.set(accounts.Change{Name: "card", Role: auth.Operator, Certificate: sum})
	from := auth.Attempt{Remote: here, Mechanism: "Certificate", First: true}
	want := auth.Identity{User: "card", Role: auth.Operator, Mechanism: "Certificate", Remote: here}
	n := len(h.records(0))
	for range 2 {
		if i, err := h.Certificate(t.Context(), from, sum); err != nil || i != want {
			t.Errorf("%+v, %v", i, err)
		}
		from.First = false
	}
	if i, err := h.Certificate(t.Context(), from, other); !errors.Is(err, auth.ErrCredentials) || i != (auth.Identity{}) {
		t.Errorf("%+v, %v", i, err)
	}
	h.recorded(n,
		"card | logon | Operator | 192.0.2.1 | Certificate",
		"unknown | logon refused | no account has the certificate "+strings.Repeat("02", 32)+" | 192.0.2.1 | Certificate",
	)
	for range 20 {
		_, _ = h.Certificate(t.Context(), from, other)
	}
	if _, err := h.Certificate(t.Context(), from, other); !errors.As(err, new(*auth.LockedError)) {
		t.Errorf("the 22nd: %v", err)
	}
	if i, err := h.Certificate(t.Context(), from, sum); err != nil || i != want {
		t.Errorf("the right one from an address that is locked: %+v, %v", i, err)
	}
	h.set(accounts.Change{Name: "card", Certificate: other})
	h.pass(time.Hour)
	if _, err := h.Certificate(t.Context(), from, sum); !errors.Is(err, auth.ErrCredentials) {
		t.Errorf("one that was replaced: %v", err)
	}
}

// TestCertificateThatIsJustThere is of a client that shows one to every server, before it authenticates otherwise.
func TestCertificateThatIsJustThere(t *testing.T) {
	h := newHouse(t)
	n := len(h.records(0))
	from := auth.Attempt{Remote: here, Mechanism: "Certificate", First: true, Unasked: true}
	for range 30 {
		if i, err := h.Certificate(t.Context(), from, bytes.Repeat([]byte{2}, 32)); err != auth.ErrCredentials || i != (auth.Identity{}) {
			t.Fatalf("%+v, %v", i, err)
		}
	}
	h.recorded(n)
	h.refused(basic(here), "Administrator", wrong) // and not locked
}

func TestRefuse(t *testing.T) {
	h := newHouse(t)
	n := len(h.records(0))
	negotiate := auth.Attempt{Remote: here, Mechanism: "Negotiate", First: true}
	for _, err := range []error{
		&gss.Error{Status: gss.ErrDefectiveToken, Detail: "SPNEGO: \x1b[2J"},
		&gss.Error{Status: gss.ErrBadMIC, Mechanism: "NTLM", Name: "ada"},
		&gss.Error{Status: gss.ErrCredentialsStale, Mechanism: "Kerberos", Name: "ada@" + realm, Detail: strings.Repeat("x", 1000)},
		errors.New("the secret disk is full"),
		context.Canceled,
		&gss.Error{Status: context.DeadlineExceeded, Mechanism: "NTLM", Name: "ada"},
	} {
		h.Refuse(t.Context(), negotiate, err)
	}
	h.recorded(n,
		"unknown | logon refused | defective token: SPNEGO: �[2J | 192.0.2.1 | Negotiate",
		"ada | logon refused | integrity check failed | 192.0.2.1 | NTLM",
		"ada@EXAMPLE.ORG | logon refused | credentials have expired: "+strings.Repeat("x", 300-len("credentials have expired: "))+"… | 192.0.2.1 | Kerberos",
		"unknown | logon refused | internal error | 192.0.2.1 | Negotiate",
	)
	// What is no guess locks no account; whatever it is, the address.
	for range 17 {
		h.Refuse(t.Context(), negotiate, &gss.Error{Status: gss.ErrBadBindings, Mechanism: "NTLM", Name: "Administrator"})
	}
	h.accepted(basic(there), "Administrator", right, identity("Administrator", auth.Administrator))
	h.Refuse(t.Context(), negotiate, &gss.Error{Status: gss.ErrBadBindings, Mechanism: "NTLM", Name: "Administrator"})
	h.locked(basic(here), "Administrator", right, time.Second)
}

// TestStill: what a handshake has given ends with the account that it was given for.
func TestStill(t *testing.T) {
	h := newHouse(t)
	h.set(accounts.Change{Name: "ada@" + realm, Role: auth.Auditor})
	admit := func(user string) auth.Identity {
		t.Helper()
		i, err := h.Admit(t.Context(), kerberos, gss.Initiator{Mechanism: "Kerberos", Name: user + "@" + realm, Realm: realm, SIDs: []string{domain + "-512"}})
		must(t, err)
		return i
	}
	ada, bob := admit("ada"), admit("bob")
	since := h.clock()
	still := func(i auth.Identity, want error) {
		t.Helper()
		if err := h.Still(t.Context(), i, since); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%s: %v; want %v", i.User, err, want)
		}
	}
	still(ada, nil)
	still(bob, nil)
	h.pass(time.Second)
	h.set(accounts.Change{Name: "ada@" + realm, Role: auth.Administrator})
	still(ada, auth.ErrCredentials)
	still(bob, nil)
	since = h.clock()
	still(ada, nil)
	must(t, h.Remove(t.Context(), "Administrator", "ada@"+realm))
	still(ada, auth.ErrCredentials)
	h.set(accounts.Change{Name: "bob@" + realm, Role: auth.Auditor})
	still(bob, auth.ErrCredentials)
}

// TestStillReadsNothing as long as no account has changed since.
func TestStillReadsNothing(t *testing.T) {
	h := newHouse(t)
	h.set(accounts.Change{Name: "ada@" + realm, Role: auth.Auditor})
	st := &counting{Store: h.store}
	h.store = st
	h.open()
	since := h.clock()
	i, err := h.Admit(t.Context(), kerberos, gss.Initiator{Mechanism: "Kerberos", Name: "ada@" + realm, Realm: realm})
	must(t, err)
	reads := func(want int64) {
		t.Helper()
		before := st.reads.Load()
		for range 3 {
			must(t, h.Still(t.Context(), i, since))
		}
		if n := st.reads.Load() - before; n != want {
			t.Errorf("the store was read %d times, not %d", n, want)
		}
	}
	reads(0)
	h.pass(time.Second)
	h.set(accounts.Change{Name: "bob@" + realm, Role: auth.Auditor})
	reads(3)
	h.set(accounts.Change{Name: "ada@" + realm, Role: auth.Operator})
	if err := h.Still(t.Context(), i, since); !errors.Is(err, auth.ErrCredentials) {
		t.Errorf("after a change: %v", err)
	}
}

// TestKerberosWhileLocked: nobody guesses tickets, so that those who guess passwords do not keep them out.
func TestKerberosWhileLocked(t *testing.T) {
	h := newHouse(t)
	for i := range 25 {
		_, _ = h.Password(t.Context(), basic(here), fmt.Sprintf("nobody%d", i), wrong)
	}
	var locked *auth.LockedError
	if _, err := h.Password(t.Context(), basic(here), "Administrator", right); !errors.As(err, &locked) {
		t.Fatalf("the address is not locked: %v", err)
	}
	i, err := h.Admit(t.Context(), kerberos, gss.Initiator{Mechanism: "Kerberos", Name: "bob@" + realm, Realm: realm, SIDs: []string{domain + "-512"}})
	if err != nil || i.Role != auth.Administrator {
		t.Errorf("%+v, %v", i, err)
	}
}
