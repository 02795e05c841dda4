package accounts_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/auth"
)

var waits = []time.Duration{
	1 * time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, 64 * time.Second, 128 * time.Second,
	256 * time.Second, 512 * time.Second, 15 * time.Minute, 15 * time.Minute,
}

// TestLockoutOfAccount fails from another address each time, for an account that there is and one that there is not: both are held back alike.
func TestLockoutOfAccount(t *testing.T) {
	for _, user := range []string{"Administrator", "nobody"} {
		h := newHouse(t)
		other := 0
		fail := func() {
			other++
			h.refused(basic(fmt.Sprintf("192.0.2.%d", other)), user, wrong)
		}
		for range 5 {
			fail()
		}
		for i, wait := range waits {
			fail()
			before := h.slow.Load()
			h.locked(basic(there), user, right, wait)
			h.locked(basic(there), strings.ToUpper(user), wrong, wait)
			h.pass(wait - 1)
			h.locked(basic(there), user, right, 1)
			if h.slow.Load() != before {
				t.Errorf("a password was checked in the time of %s", wait)
			}
			h.pass(1)
			if i == 3 && user == "Administrator" { // a success resets nothing
				h.accepted(basic("203.0.113.5"), user, right, identity("Administrator", auth.Administrator))
			}
		}
	}
}

// TestLockoutIgnoresCase: variants of a name are one account.
func TestLockoutIgnoresCase(t *testing.T) {
	h := newHouse(t)
	h.set(accounts.Change{Name: "ſkip", Role: auth.Auditor, Password: right})
	for i, user := range []string{"ſkip", "skip", "SKIP", `X\Skip`, "sKip", "SKiP"} {
		h.refused(basic(fmt.Sprintf("192.0.2.%d", i+1)), user, wrong)
	}
	h.locked(basic(there), "ſkip", right, time.Second)
}

// TestNamesOfNobody: what can be no account's name is not counted, however long it is; the address is.
func TestNamesOfNobody(t *testing.T) {
	h := newHouse(t)
	for _, user := range []string{strings.Repeat("x", 10_000), "", "a:b", "a@b@c"} {
		for i := range 10 {
			h.refused(basic(fmt.Sprintf("192.0.2.%d", i)), user, wrong)
		}
	}
	for range 17 {
		h.refused(basic("192.0.2.1"), "", wrong)
	}
	h.locked(basic("192.0.2.1"), "", wrong, time.Second)
}

// TestLockoutOfAddress fails for another account each time.
func TestLockoutOfAddress(t *testing.T) {
	for from, same := range map[string]string{"192.0.2.1": "::ffff:192.0.2.1", "2001:db8::1": "2001:db8::ffff:1", "fe80::1%eth0": "fe80::2%eth1"} {
		h := newHouse(t)
		n := 0
		fail := func(remote string) {
			n++
			h.refused(basic(remote), fmt.Sprintf("user%d", n), wrong)
		}
		for range 20 {
			fail(from)
		}
		for _, wait := range waits {
			fail(same)
			h.locked(basic(from), "Administrator", right, wait)
			h.locked(basic(same), "", "", wait)
			h.pass(wait)
		}
		h.refused(basic(from), "last", wrong)
		h.accepted(basic("2001:db8:0:1::1"), "Administrator", right, identity("Administrator", auth.Administrator))
		h.pass(15 * time.Minute)
		h.accepted(basic(from), "Administrator", right, identity("Administrator", auth.Administrator))
	}
}

// TestFailuresAge: after a quarter of an hour without one, one fewer counts.
func TestFailuresAge(t *testing.T) {
	h := newHouse(t)
	fail := func(times int) {
		t.Helper()
		for range times {
			h.refused(basic(here), "Administrator", wrong)
		}
	}
	for range 30 {
		fail(1)
		h.pass(15 * time.Minute)
	}
	fail(5)
	h.pass(44 * time.Minute) // two fewer
	fail(3)
	h.locked(basic(here), "Administrator", wrong, time.Second)
	h.pass(time.Second + 30*time.Minute - 1) // one fewer
	fail(1)
	h.locked(basic(here), "Administrator", wrong, time.Second)
	h.pass(-time.Hour) // a clock that is set back
	h.locked(basic(here), "Administrator", wrong, time.Hour+time.Second)
}

// TestClientThatWasInStaysIn while strangers lock its account, and neighbors its address.
func TestClientThatWasInStaysIn(t *testing.T) {
	h := newHouse(t)
	h.set(accounts.Change{Name: "ada", Role: auth.Operator, Password: right})
	ada := identity("ada", auth.Operator)
	h.accepted(basic(here), "ada", right, ada)
	for i := range 6 {
		h.refused(basic(fmt.Sprintf("203.0.113.%d", i)), "ada", wrong)
	}
	h.locked(basic(there), "ada", right, time.Second)
	h.accepted(basic(here), "ada", right, ada)
	// A typo here is checked: the strangers' failures do not count.
	h.refused(basic(here), "ada", wrong)
	for i := range 20 {
		h.refused(basic(here), fmt.Sprintf("user%d", i), wrong)
	}
	h.locked(basic(here), "Administrator", right, time.Second)
	h.accepted(basic(here), "ADA", right, ada)
	h.locked(basic(here), "ada", wrong, time.Second)
	h.accepted(basic(here), "ada", right, ada)
	// A new start remembers neither.
	h.open()
	h.accepted(basic(there), "ada", right, ada)
}

// TestGuessesAgainstARememberedPassword are counted: who shares the client's address must not try as many as he likes.
func TestGuessesAgainstARememberedPassword(t *testing.T) {
	h := newHouse(t)
	admin := identity("Administrator", auth.Administrator)
	h.accepted(basic(here), "Administrator", right, admin)
	for range 6 {
		h.refused(basic(here), "Administrator", wrong)
	}
	for range accounts.MaxGuesses - 1 {
		h.locked(basic(here), "Administrator", wrong, time.Second)
	}
	h.accepted(basic(here), "Administrator", right, admin)
	h.locked(basic(here), "Administrator", wrong, time.Second)
	// Forgotten: it is checked like any other, by the failures of the account elsewhere, of which there are none.
	before := h.slow.Load()
	h.accepted(basic(here), "Administrator", right, admin)
	if h.slow.Load() != before+1 {
		t.Error("the password is remembered still")
	}
}

// TestRefusalsWhileLockedAreCounted: a flood makes no more records than there are waits.
func TestRefusalsWhileLockedAreCounted(t *testing.T) {
	h := newHouse(t)
	for range 5 {
		h.refused(basic(here), "Administrator", wrong)
	}
	n := len(h.records(0))
	h.refused(basic(here), "Administrator", wrong)
	for range 13 {
		h.locked(basic(there), "administrator", right, time.Second)
	}
	h.pass(time.Second)
	h.refused(basic(here), "Administrator", wrong)
	for range 3 {
		h.locked(basic(there), "Administrator", right, 2*time.Second)
	}
	h.pass(2 * time.Second)
	h.accepted(basic(there), "Administrator", right, identity("Administrator", auth.Administrator))
	h.recorded(n,
		"Administrator | logon refused | wrong password; locked for 1s | 192.0.2.1 | Basic",
		"administrator | logon refused | locked for 1s | 198.51.100.7 | Basic",
		"Administrator | logon refused | wrong password; locked for 2s; 12 refusals before were not recorded | 192.0.2.1 | Basic",
		"Administrator | logon refused | locked for 2s | 198.51.100.7 | Basic",
		"Administrator | logon | Administrator; 2 refusals before were not recorded | 198.51.100.7 | Basic",
	)
}
