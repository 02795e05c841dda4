package accounts_test

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/accounts"
	"calkeeper/internal/auth"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// fails checks a change that must be refused with that kind and a text that says something, and leaves all as it was.
func (h *house) fails(err error, kind licensing.Kind, says string, before []accounts.Account) {
	h.t.Helper()
	if licensing.KindOf(err) != kind || err == nil || !strings.Contains(licensing.Message(err), says) {
		h.t.Errorf("%v; want %s that says %q", err, kind, says)
	}
	if after := h.list(); !reflect.DeepEqual(after, before) {
		h.t.Errorf("the accounts are %+v; they were %+v", after, before)
	}
}

func (h *house) list() []accounts.Account {
	h.t.Helper()
	list, err := h.List(context.Background())
	must(h.t, err)
	return list
}

func TestSet(t *testing.T) {
	h := newHouse(t)
	longest := strings.Repeat("é", 512)
	sum := bytes.Repeat([]byte{0xab}, 32)
	ctx := store.WithOrigin(t.Context(), store.Origin{Remote: there, Mechanism: "Kerberos"})
	n := len(h.records(0))
	for _, c := range []accounts.Change{
		{Name: "bob", Role: auth.Auditor, Password: longest},
		{Name: "BOB", Role: auth.Operator},
		{Name: "bob", Role: auth.Operator}, // as it is: no record
		{Name: "bob", Certificate: sum, NTLM: new(true), Password: right},
		{Name: "bob", NTLM: new(true)},
		{Name: "bob", NTLM: new(false), Certificate: []byte{}},
		{Name: "ada@EXAMPLE.ORG", Role: auth.Administrator},
	} {
		must(t, h.Set(ctx, "Administrator", c))
	}
	must(t, h.Remove(ctx, "Administrator", "Ada@example.org"))
	h.recorded(n,
		"Administrator | set account | bob, new: role Auditor, password | 198.51.100.7 | Kerberos",
		"Administrator | set account | bob: role Operator | 198.51.100.7 | Kerberos",
		fmt.Sprintf("Administrator | set account | bob: password, certificate %x, NTLM | 198.51.100.7 | Kerberos", sum),
		"Administrator | set account | bob: no certificate, no NTLM | 198.51.100.7 | Kerberos",
		"Administrator | set account | ada@EXAMPLE.ORG, new: role Administrator | 198.51.100.7 | Kerberos",
		"Administrator | remove account | ada@EXAMPLE.ORG | 198.51.100.7 | Kerberos",
	)
	a, err := h.Account(t.Context(), "BoB")
	want := accounts.Account{Name: "bob", Role: auth.Operator, Password: true, Changed: h.clock()}
	if err != nil || !a.Changed.Equal(want.Changed) {
		t.Errorf("%+v, %v", a, err)
	}
	if a.Changed = want.Changed; !reflect.DeepEqual(a, want) {
		t.Errorf("%+v; want %+v", a, want)
	}
	must(t, h.store.View(t.Context(), func(r store.Reader) error {
		list, err := r.Accounts()
		for _, a := range list {
			if !strings.HasPrefix(a.Password, "$argon2id$") {
				t.Errorf("%s: the hash is %q", a.Name, a.Password)
			}
		}
		return err
	}))
}

func TestSetRefuses(t *testing.T) {
	h := newHouse(t)
	sum := bytes.Repeat([]byte{0xab}, 32)
	h.set(accounts.Change{Name: "card", Role: auth.Operator, Certificate: sum})
	h.set(accounts.Change{Name: "ada@EXAMPLE.ORG", Role: auth.Operator})
	before, n := h.list(), len(h.records(0))
	for _, test := range []struct {
		accounts.Change
		kind licensing.Kind
		says string
	}{
		{accounts.Change{}, licensing.Invalid, "not empty"},
		{accounts.Change{Name: "a:b", Role: auth.Auditor, Password: right}, licensing.Invalid, "colon"},
		{accounts.Change{Name: `FARM\ada`, Role: auth.Auditor, Password: right}, licensing.Invalid, "backslash"},
		{accounts.Change{Name: "a\r\nb", Role: auth.Auditor, Password: right}, licensing.Invalid, "control"},
		{accounts.Change{Name: "a\xff", Role: auth.Auditor, Password: right}, licensing.Invalid, "characters"},
		{accounts.Change{Name: strings.Repeat("a", 257), Role: auth.Auditor, Password: right}, licensing.Invalid, "256"},
		{accounts.Change{Name: "Clearinghouse", Role: auth.Auditor, Password: right}, licensing.Invalid, "choose another"},
		{accounts.Change{Name: "\u212Aarl@EXAMPLE.ORG", Role: auth.Auditor}, licensing.Invalid, "Kelvin"},
		{accounts.Change{Name: "\u0130van", Role: auth.Auditor, Password: right}, licensing.Invalid, "lower case"},
		{accounts.Change{Name: "@A", Role: auth.Auditor}, licensing.Invalid, "user@REALM"},
		{accounts.Change{Name: "a@", Role: auth.Auditor}, licensing.Invalid, "user@REALM"},
		{accounts.Change{Name: "a@b@c", Role: auth.Auditor}, licensing.Invalid, "user@REALM"},
		{accounts.Change{Name: "a@B", Role: auth.Auditor, Password: right}, licensing.Invalid, "Kerberos principal"},
		{accounts.Change{Name: "ada@EXAMPLE.ORG", NTLM: new(true)}, licensing.Invalid, "Kerberos principal"},
		{accounts.Change{Name: "bob", Password: right}, licensing.Invalid, "give it a role"},
		{accounts.Change{Name: "bob", Role: "administrator", Password: right}, licensing.Invalid, "no such role"},
		{accounts.Change{Name: "bob", Role: auth.Auditor}, licensing.Invalid, "neither password nor certificate"},
		{accounts.Change{Name: "bob", Role: auth.Auditor, Password: "1234567"}, licensing.Invalid, "8 to 1024"},
		{accounts.Change{Name: "bob", Role: auth.Auditor, Password: strings.Repeat("x", 1025)}, licensing.Invalid, "8 to 1024"},
		{accounts.Change{Name: "bob", Role: auth.Auditor, Password: right + "\xff"}, licensing.Invalid, "UTF-8"},
		{accounts.Change{Name: "bob", Role: auth.Auditor, Certificate: sum[1:]}, licensing.Invalid, "32 bytes, not 31"},
		{accounts.Change{Name: "bob", Role: auth.Auditor, Certificate: sum}, licensing.AlreadyExists, ""},
		{accounts.Change{Name: "card", Certificate: []byte{}}, licensing.Invalid, "neither password nor certificate"},
		{accounts.Change{Name: "card", NTLM: new(true)}, licensing.Invalid, "needs the password"},
		{accounts.Change{Name: "Administrator", NTLM: new(true)}, licensing.Invalid, "needs the password"},
		{accounts.Change{Name: "administrator", Role: auth.Operator}, licensing.NotSupported, "no Administrator"},
	} {
		h.fails(h.Set(t.Context(), "test", test.Change), test.kind, test.says, before)
	}
	h.fails(h.Remove(t.Context(), "test", "nobody"), licensing.NotFound, "there is no account nobody", before)
	h.fails(h.Remove(t.Context(), "test", "ADMINISTRATOR"), licensing.NotSupported, "no Administrator", before)
	h.recorded(n)
}

// TestLastAdministrator is the last who can log on: by password, by certificate, or by Kerberos if there is a realm.
func TestLastAdministrator(t *testing.T) {
	for _, test := range []struct {
		accounts.Change
		realm string
		want  bool
	}{
		{accounts.Change{Name: "Grace", Role: auth.Administrator, Password: right}, "", true},
		{accounts.Change{Name: "Grace", Role: auth.Administrator, Certificate: make([]byte, 32)}, "", true},
		{accounts.Change{Name: "Grace", Role: auth.Operator, Password: right}, "", false},
		{accounts.Change{Name: "Grace@EXAMPLE.ORG", Role: auth.Administrator}, "", false},
		{accounts.Change{Name: "Grace@EXAMPLE.ORG", Role: auth.Administrator}, realm, true},
	} {
		h := newHouse(t)
		h.options.Realm = test.realm
		h.open()
		h.set(test.Change)
		if err := h.Set(t.Context(), "test", accounts.Change{Name: "Administrator", Role: auth.Auditor}); (err == nil) != test.want {
			t.Errorf("%+v: the other is no Administrator any more: %v", test, err)
		}
		if err := h.Remove(t.Context(), "test", "Administrator"); (err == nil) != test.want {
			t.Errorf("%+v: the other is removed: %v", test, err)
		}
	}
	empty := accounts.New(openStore(t), accounts.Options{})
	if is, err := empty.Empty(t.Context()); !is || err != nil {
		t.Errorf("empty: %v, %v", is, err)
	}
	if err := empty.Set(t.Context(), "test", accounts.Change{Name: "ada", Role: auth.Auditor, Certificate: make([]byte, 32)}); licensing.KindOf(err) != licensing.NotSupported {
		t.Errorf("the first account is an Auditor: %v", err)
	}
	must(t, empty.Set(t.Context(), "test", accounts.Change{Name: "ada", Role: auth.Administrator, Certificate: make([]byte, 32)}))
	if is, err := empty.Empty(t.Context()); is || err != nil {
		t.Errorf("empty: %v, %v", is, err)
	}
}

// TestNoSecretIsRecorded looks for passwords in all that is kept for people.
func TestNoSecretIsRecorded(t *testing.T) {
	h := newHouse(t)
	h.set(accounts.Change{Name: "ada", Role: auth.Operator, Password: "very secret", NTLM: new(true)})
	h.accepted(basic(here), "ada", "very secret", identity("ada", auth.Operator))
	h.refused(basic(here), "ada", "secret, too")
	_, err := h.NTHash(t.Context(), "ada")
	must(t, err)
	for _, r := range h.records(0) {
		if strings.Contains(fmt.Sprintf("%+v", r), "secret") {
			t.Errorf("%+v", r)
		}
	}
	if strings.Contains(h.log.String()+fmt.Sprintf("%+v", h.list()), "secret") {
		t.Errorf("%s", h.log)
	}
	if !slices.IsSortedFunc(h.list(), func(a, b accounts.Account) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	}) {
		t.Error("the list is not by name")
	}
}
