package accounts_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/auth"
	"calkeeper/internal/auth/gss"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// The NT hash of MS-NLMP, section 4.2.2.1.2, of "Password", and that of the password right.
const ntHashOfPassword = "a4f49c406510bdcab6824ee7c30fd852"

func (h *house) ntHash(user, want string) {
	h.t.Helper()
	hash, err := h.NTHash(h.t.Context(), user)
	if got := hex.EncodeToString(hash[:]); err != nil || got != want {
		h.t.Errorf("%s has the NT hash %s, %v; want %s", user, got, err, want)
	}
}

func (h *house) noNTHash(user string) {
	h.t.Helper()
	if hash, err := h.NTHash(h.t.Context(), user); !errors.Is(err, gss.ErrDefectiveCred) || hash != [16]byte{} {
		h.t.Errorf("%s: %v", user, err)
	}
}

// stored returns what the store keeps of an account.
func (h *house) stored(name string) (a store.Account) {
	h.t.Helper()
	must(h.t, h.store.View(h.t.Context(), func(r store.Reader) (err error) {
		a, err = r.Account(name)
		return err
	}))
	return a
}

func TestNTHash(t *testing.T) {
	h := newHouse(t)
	if _, err := os.Stat(h.options.KeyFile); !os.IsNotExist(err) {
		t.Errorf("there is a key file before anybody has opted in: %v", err)
	}
	h.set(accounts.Change{Name: "Ada", Role: auth.Operator, Password: "Password", NTLM: new(true)})
	h.set(accounts.Change{Name: "bob", Role: auth.Operator, Password: "Password"})
	h.set(accounts.Change{Name: "eve", Role: auth.Operator, Password: "Password", NTLM: new(true)})
	info, err := os.Stat(h.options.KeyFile)
	if err != nil || info.Size() != 32 || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("the key file: %v, %v", info, err)
	}
	for _, user := range []string{"ada", "ADA", "eve"} {
		h.ntHash(user, ntHashOfPassword)
	}
	for _, user := range []string{"bob", "nobody", "", "Administrator", `FARM\ada`} {
		h.noNTHash(user)
	}
	sealed := h.stored("ada").NTHash
	want, err := hex.DecodeString(ntHashOfPassword)
	must(t, err)
	if bytes.Contains(sealed, want) || bytes.Equal(sealed, h.stored("eve").NTHash) {
		t.Errorf("the store keeps %x", sealed)
	}
	// Another password, another hash; NTLM off, none.
	h.set(accounts.Change{Name: "ada", Password: right})
	if hash, err := h.NTHash(t.Context(), "ada"); err != nil || hash == [16]byte(want) {
		t.Errorf("the NT hash is %x, %v", hash, err)
	}
	h.set(accounts.Change{Name: "ada", NTLM: new(false)})
	h.noNTHash("ada")
	if sealed := h.stored("ada").NTHash; sealed != nil {
		t.Errorf("the store keeps %x", sealed)
	}
	h.accepted(basic(here), "ada", right, identity("Ada", auth.Operator))
}

// TestNTHashOfAnother: in a database that somebody has changed, one account's hash does not stand for another's.
func TestNTHashOfAnother(t *testing.T) {
	h := newHouse(t)
	h.set(accounts.Change{Name: "ada", Role: auth.Operator, Password: "Password", NTLM: new(true)})
	must(t, h.store.Update(t.Context(), func(tx store.Tx) error {
		a, err := tx.Account("Administrator")
		must(t, err)
		ada, err := tx.Account("ada")
		must(t, err)
		a.NTHash = ada.NTHash
		must(t, tx.PutAccount(a))
		return tx.Audit(store.AuditRecord{At: h.clock(), Actor: "test", Action: "test"})
	}))
	h.noNTHash("Administrator")
	h.ntHash("ada", ntHashOfPassword)
}

// TestKeyFileLost: NTLM is refused with a line in the log; all else goes on.
func TestKeyFileLost(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"lost":    os.Remove,
		"another": func(path string) error { return os.WriteFile(path, make([]byte, 32), 0o600) },
		"short":   func(path string) error { return os.WriteFile(path, make([]byte, 31), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.set(accounts.Change{Name: "ada", Role: auth.Operator, Password: "Password", NTLM: new(true)})
			key, err := os.ReadFile(h.options.KeyFile)
			must(t, err)
			must(t, spoil(h.options.KeyFile))
			h.noNTHash("ada")
			if log := h.log.String(); !strings.Contains(log, "NTLM is refused") || !strings.Contains(log, "account=ada") {
				t.Errorf("the log: %s", log)
			}
			h.accepted(basic(here), "ada", "Password", identity("ada", auth.Operator))
			h.set(accounts.Change{Name: "bob", Role: auth.Auditor, Password: right})
			before := h.list()
			err = h.Set(t.Context(), "test", accounts.Change{Name: "bob", Password: right, NTLM: new(true)})
			if name != "another" { // which cannot be known
				h.fails(err, licensing.NotSupported, "key file", before)
			}
			must(t, os.WriteFile(h.options.KeyFile, key, 0o600))
			h.ntHash("ada", ntHashOfPassword)
			must(t, spoil(h.options.KeyFile))
			h.set(accounts.Change{Name: "ada", NTLM: new(false), Password: right})
		})
	}
}

// TestNTHashIsLocked, as the password is, for the account and for the address.
func TestNTHashIsLocked(t *testing.T) {
	h := newHouse(t)
	h.set(accounts.Change{Name: "ada", Role: auth.Operator, Password: "Password", NTLM: new(true)})
	ctx := store.WithOrigin(t.Context(), store.Origin{Remote: here})
	ntlm := auth.Attempt{Remote: here, Mechanism: "NTLM", First: true}
	refusal := &gss.Error{Status: gss.ErrDefectiveCred, Mechanism: "NTLM", Name: "ada", Detail: "the password is another"}
	n := len(h.records(0))
	for range 6 {
		if _, err := h.NTHash(ctx, "ada"); err != nil {
			t.Fatal(err)
		}
		h.Refuse(ctx, ntlm, refusal)
	}
	_, err := h.NTHash(ctx, "ADA")
	if l, ok := errors.AsType[*auth.LockedError](err); !ok || l.Wait != time.Second || errors.Is(err, gss.ErrDefectiveCred) {
		t.Errorf("%v", err)
	}
	h.locked(basic(there), "ada", "Password", time.Second)
	for range 3 {
		h.Refuse(ctx, ntlm, &gss.Error{Status: err, Mechanism: "NTLM", Name: "ada"})
	}
	h.pass(time.Second)
	h.Refuse(ctx, ntlm, &gss.Error{Status: err, Mechanism: "NTLM", Name: "ada"})
	h.ntHash("ada", ntHashOfPassword)
	i, err := h.Admit(ctx, ntlm, gss.Initiator{Mechanism: "NTLM", Name: "ADA"})
	if want := (auth.Identity{User: "ada", Role: auth.Operator, Mechanism: "NTLM", Remote: here}); err != nil || i != want {
		t.Errorf("%+v, %v; want %+v", i, err, want)
	}
	list := h.records(n)
	last := list[len(list)-1]
	if len(list) != 8 || last.Action != "logon" || !strings.HasSuffix(last.Detail, "Operator; 3 refusals before were not recorded") {
		t.Errorf("%d records, the last is %+v", len(list), last)
	}
	for i := range 14 {
		h.refused(basic(here), "user"+string(rune('a'+i)), wrong)
	}
	h.refused(basic(here), "last", wrong)
	if _, err := h.NTHash(ctx, "Administrator"); licensing.KindOf(err) != licensing.Internal {
		t.Error(err)
	} else if _, ok := errors.AsType[*auth.LockedError](err); !ok {
		t.Errorf("from an address that is locked: %v", err)
	}
	must(t, h.Set(ctx, "test", accounts.Change{Name: "ada", NTLM: new(false)}))
	if _, err := h.Admit(ctx, ntlm, gss.Initiator{Mechanism: "NTLM", Name: "ada"}); !errors.Is(err, auth.ErrCredentials) {
		t.Errorf("one who has left NTLM meanwhile: %v", err)
	}
}

// TestNTHashIsLockedMeanwhile: guesses that wait for the store together are held back like those that come one after the other.
func TestNTHashIsLockedMeanwhile(t *testing.T) {
	for _, user := range []string{"ada", "nobody"} {
		h := newHouse(t)
		h.set(accounts.Change{Name: "ada", Role: auth.Operator, Password: "Password", NTLM: new(true)})
		st := &meeting{Store: h.store}
		h.store = st
		h.open()
		st.others = func() {
			for i := range 6 {
				h.Refuse(t.Context(), auth.Attempt{Remote: fmt.Sprintf("203.0.113.%d", i), Mechanism: "NTLM"},
					&gss.Error{Status: gss.ErrDefectiveCred, Mechanism: "NTLM", Name: user})
			}
		}
		hash, err := h.NTHash(store.WithOrigin(t.Context(), store.Origin{Remote: here}), user)
		if l, ok := errors.AsType[*auth.LockedError](err); !ok || l.Wait != time.Second || hash != [16]byte{} {
			t.Errorf("%s: %v", user, err)
		}
	}
}

// meeting lets others come first while the store is read.
type meeting struct {
	store.Store
	others func()
}

func (m *meeting) View(ctx context.Context, fn func(store.Reader) error) error {
	if others := m.others; others != nil {
		m.others = nil
		others()
	}
	return m.Store.View(ctx, fn)
}
