package storetest

import (
	"errors"
	"fmt"
	"testing"

	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

func testAuditOrigin(t *testing.T, h Harness) {
	s := h.open(t)
	given, context := store.Origin{Remote: "192.0.2.7", Mechanism: "Basic"}, store.Origin{Remote: "fd00::1", Mechanism: "Kerberos"}
	if err := s.Update(store.WithOrigin(t.Context(), context), func(tx store.Tx) error {
		own := auditRecord("own", 0)
		own.Origin = given
		return errors.Join(tx.Audit(own), tx.Audit(auditRecord("of the context", 0)))
	}); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(store.Tx) error { return nil })
	all := contentOf(t, s).Audit
	if len(all) != 3 {
		t.Fatalf("%d records", len(all))
	}
	for i, want := range []store.Origin{given, context, {}} {
		if err := differ(fmt.Sprintf("origin of record %d", i), all[i].Origin, want); err != nil {
			t.Error(err)
		}
	}
}

func testAccounts(t *testing.T, h Harness) {
	s := h.open(t)
	ada := store.Account{Name: "Ada", Role: "Administrator", Password: "$argon2id$…", NTHash: []byte{0, 1, 2}, Certificate: credential(1), Changed: noon()}
	principal := store.Account{Name: "bob@EXAMPLE.TEST", Role: "Auditor"}
	zoë := store.Account{Name: "ZOË", Certificate: credential(2)}
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.PutAccount(zoë), tx.PutAccount(principal), tx.PutAccount(ada))
	})
	want := []store.Account{ada, principal, zoë}
	if err := differ("Accounts", contentOf(t, s).Accounts, want); err != nil {
		t.Fatal(err)
	}
	view(t, s, func(r store.Reader) error {
		var problems []error
		for name, want := range map[string]store.Account{"ADA": ada, "ada": ada, "BOB@example.test": principal, "zoë": zoë} {
			got, err := r.Account(name)
			problems = append(problems, err, differ("Account "+name, got, want))
		}
		got, err := r.AccountByCertificate(credential(2))
		problems = append(problems, err, differ("AccountByCertificate", got, zoë))
		for _, sum := range [][]byte{nil, {}, credential(3), credential(1)[:31]} {
			_, err := r.AccountByCertificate(sum)
			problems = append(problems, fault(fmt.Sprintf("AccountByCertificate(%x)", sum), err, licensing.NotFound))
		}
		_, err = r.Account("nobody")
		return errors.Join(append(problems, fault("Account of nobody", err, licensing.NotFound))...)
	})
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(
			fault("a certificate of another", tx.PutAccount(store.Account{Name: "new", Certificate: credential(1)}), licensing.AlreadyExists),
			fault("a certificate of another, in an account", tx.PutAccount(store.Account{Name: "zOë", Certificate: credential(1)}), licensing.AlreadyExists),
			fault("a name that is no text", tx.PutAccount(store.Account{Name: "a\x00"}), licensing.Invalid),
			fault("DeleteAccount of nobody", tx.DeleteAccount("nobody"), licensing.NotFound))
	}); err != nil {
		t.Fatal(err)
	}
	if err := differ("Accounts after faults", contentOf(t, s).Accounts, want); err != nil {
		t.Fatal(err)
	}
	ada.Name, ada.NTHash, ada.Password, principal.Certificate = "ada", nil, "", credential(2)
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.PutAccount(ada), tx.DeleteAccount("zOË"), tx.PutAccount(principal))
	})
	if err := differ("Accounts after changes", contentOf(t, s).Accounts, []store.Account{ada, principal}); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error { return errors.Join(tx.DeleteAccount("ada"), errUndo) }); !errors.Is(err, errUndo) {
		t.Fatal(err)
	}
	if err := differ("Accounts after a rollback", contentOf(t, s).Accounts, []store.Account{ada, principal}); err != nil {
		t.Fatal(err)
	}
}

var errUndo = errors.New("undo")
