package accounts_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/auth"
	"calkeeper/internal/store"
)

func TestPassword(t *testing.T) {
	h := newHouse(t)
	h.set(accounts.Change{Name: "bob", Role: auth.Auditor, Password: right})
	h.set(accounts.Change{Name: "ada@" + realm, Role: auth.Administrator})
	h.set(accounts.Change{Name: "card", Role: auth.Operator, Certificate: make([]byte, 32)})
	for range 2 { // the second time, a right password is known already
		for _, user := range []string{
			"Administrator", "administrator", "ADMINISTRATOR", `FARM\Administrator`, `farm.example\administrator`, `.\Administrator`, `\Administrator`,
		} {
			h.accepted(basic(here), user, right, identity("Administrator", auth.Administrator))
		}
		h.accepted(basic(here), "bob", right, identity("bob", auth.Auditor))
		for i, password := range []string{wrong, "", right + " ", strings.ToUpper(right), strings.Repeat("x", 1024), strings.Repeat("x", 1025)} {
			from := basic(fmt.Sprintf("192.0.2.%d", 10+i))
			h.refused(from, "Administrator", password)
			h.refused(from, `FARM\bob`, password)
			h.pass(time.Hour)
		}
	}
	for i, user := range []string{"", `Administrator\`, `FARM\Domain\Administrator`, "Administrator@farm.example", "nobody", "ada@" + realm, "card"} {
		h.refused(basic(fmt.Sprintf("192.0.2.%d", 20+i)), user, right)
		h.refused(basic(fmt.Sprintf("192.0.2.%d", 20+i)), user, "")
	}
}

// TestRefusalsCostTheSame counts the hashes: time must not tell whether there is an account, or how its password was made.
func TestRefusalsCostTheSame(t *testing.T) {
	h := newHouse(t)
	_, err := h.Generate(t.Context(), "test", accounts.Change{Name: "generated", Role: auth.Auditor})
	must(t, err)
	h.set(accounts.Change{Name: "ada@" + realm, Role: auth.Administrator})
	h.set(accounts.Change{Name: "card", Role: auth.Operator, Certificate: make([]byte, 32)})
	for _, user := range []string{"Administrator", "generated", "ada@" + realm, "card", "nobody", ""} {
		var costs []uint32
		h.SetDerive(func(password string, salt []byte, memory uint32) []byte {
			costs = append(costs, memory)
			return h.derive(password, salt, memory)
		})
		h.refused(basic(here), user, wrong)
		if fmt.Sprint(costs) != "[64 19456]" {
			t.Errorf("%q costs %v KiB", user, costs)
		}
	}
}

// TestRememberedPassword: who was in is not hashed again, until anything of his account changes.
func TestRememberedPassword(t *testing.T) {
	h := newHouse(t)
	admin := identity("Administrator", auth.Administrator)
	before := h.slow.Load()
	for range 5 {
		h.accepted(basic(here), "administrator", right, admin)
	}
	if n := h.slow.Load() - before; n != 1 {
		t.Errorf("%d hashes; want 1", n)
	}
	h.accepted(basic(there), "administrator", right, admin)
	if n := h.slow.Load() - before; n != 2 {
		t.Errorf("%d hashes with another address; want 2", n)
	}
	h.set(accounts.Change{Name: "administrator", Password: wrong})
	h.refused(basic(here), "Administrator", right)
	h.accepted(basic(here), "Administrator", wrong, admin)
	h.set(accounts.Change{Name: "Administrator", Password: right})
	h.refused(basic(here), "Administrator", wrong)
	h.accepted(basic(here), "Administrator", right, admin)
	h.set(accounts.Change{Name: "Grace", Role: auth.Administrator, Password: right})
	h.set(accounts.Change{Name: "Administrator", Role: auth.Operator})
	h.accepted(basic(here), "Administrator", right, identity("Administrator", auth.Operator))
	must(t, h.Remove(t.Context(), "test", "administrator"))
	h.refused(basic(here), "Administrator", right)
	h.set(accounts.Change{Name: "Administrator", Role: auth.Auditor, Password: right})
	before = h.slow.Load()
	h.accepted(basic(here), "Administrator", right, identity("Administrator", auth.Auditor))
	if h.slow.Load() == before {
		t.Error("the password of an account that was removed is remembered for the next of that name")
	}
}

// TestRememberedPasswordReadsNothing, on a connection that is known, as long as no account changes.
func TestRememberedPasswordReadsNothing(t *testing.T) {
	h := newHouse(t)
	st := &counting{Store: h.store}
	h.store = st
	h.open()
	admin := identity("Administrator", auth.Administrator)
	h.accepted(basic(here), "administrator", right, admin)
	again := basic(here)
	again.First = false
	before := st.reads.Load()
	for range 3 {
		h.accepted(again, "administrator", right, admin)
	}
	if n := st.reads.Load() - before; n != 0 {
		t.Errorf("the store was read %d times", n)
	}
	h.set(accounts.Change{Name: "ada", Role: auth.Auditor, Password: right})
	before = st.reads.Load()
	for range 3 {
		h.accepted(again, "administrator", right, admin)
	}
	if n := st.reads.Load() - before; n != 1 {
		t.Errorf("after a change the store was read %d times", n)
	}
}

type counting struct {
	store.Store
	reads atomic.Int64
}

func (c *counting) View(ctx context.Context, fn func(store.Reader) error) error {
	c.reads.Add(1)
	return c.Store.View(ctx, fn)
}

// TestPasswordChangedMeanwhile changes the password while the old one is hashed.
func TestPasswordChangedMeanwhile(t *testing.T) {
	for _, first := range []bool{true, false} {
		h := newHouse(t)
		h.SetDerive(func(password string, salt []byte, memory uint32) []byte {
			if password == right && memory == accounts.SlowMemory {
				h.set(accounts.Change{Name: "Administrator", Password: wrong})
			}
			return h.derive(password, salt, memory)
		})
		from := basic(here)
		from.First = first
		h.refused(from, "Administrator", right)
		h.SetDerive(h.derive)
		h.refused(from, "Administrator", right)
		h.accepted(from, "Administrator", wrong, identity("Administrator", auth.Administrator))
	}
}

// TestLogonIsRecorded, the first time on a connection.
func TestLogonIsRecorded(t *testing.T) {
	h := newHouse(t)
	n := len(h.records(0))
	h.accepted(basic(here), "administrator", right, identity("Administrator", auth.Administrator))
	again := basic(here)
	again.First = false
	h.accepted(again, "administrator", right, identity("Administrator", auth.Administrator))
	h.refused(basic(here), "nobody", right)
	h.refused(again, `X\administrator`, wrong)
	h.refused(again, "\x00\n\u202e"+strings.Repeat("é", 100), wrong)
	h.refused(again, "", wrong)
	h.recorded(n,
		"Administrator | logon | Administrator | 192.0.2.1 | Basic",
		"nobody | logon refused | no such account | 192.0.2.1 | Basic",
		"administrator | logon refused | wrong password | 192.0.2.1 | Basic",
		"���"+strings.Repeat("é", 61)+"… | logon refused | no such account | 192.0.2.1 | Basic",
		"unknown | logon refused | no such account | 192.0.2.1 | Basic",
	)
}

// TestLogonThatCannotBeRecorded is none.
func TestLogonThatCannotBeRecorded(t *testing.T) {
	h := newHouse(t)
	broken := errors.New("the disk is full")
	h.store = failing{h.store, broken}
	h.open()
	from := basic(here)
	if i, err := h.Password(t.Context(), from, "Administrator", right); !errors.Is(err, broken) || i != (auth.Identity{}) {
		t.Errorf("%+v, %v", i, err)
	}
	h.refused(from, "Administrator", wrong)
	if !strings.Contains(h.log.String(), "could not be recorded") {
		t.Errorf("the log: %s", h.log)
	}
}

// failing is a store that cannot write.
type failing struct {
	store.Store
	err error
}

func (f failing) Update(context.Context, func(store.Tx) error) error { return f.err }

// TestHashThatCannotBeChecked: a database that somebody has changed lets nobody in, costs no more, and is told.
func TestHashThatCannotBeChecked(t *testing.T) {
	h := newHouse(t)
	must(t, h.store.Update(t.Context(), func(tx store.Tx) error {
		a, err := tx.Account("Administrator")
		must(t, err)
		a.Password = strings.Replace(a.Password, "m=19456", "m=4194304", 1)
		must(t, tx.PutAccount(a))
		return tx.Audit(store.AuditRecord{At: h.clock(), Actor: "test", Action: "test"})
	}))
	h.SetDerive(func(password string, salt []byte, memory uint32) []byte {
		if memory > accounts.SlowMemory {
			t.Errorf("a hash of %d KiB", memory)
		}
		return h.derive(password, salt, memory)
	})
	h.refused(basic(here), "Administrator", right)
	if !strings.Contains(h.log.String(), "a password cannot be checked") {
		t.Errorf("the log: %s", h.log)
	}
}
