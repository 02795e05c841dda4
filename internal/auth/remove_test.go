package auth_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"calkeeper/internal/auth"
)

// TestRemove: an account is gone at once and in the file, whatever was proved before; the last Administrator stays.
func TestRemove(t *testing.T) {
	a, path := accounts(t, "Administrator", "bob")
	set(t, a, "monitor", right, auth.Auditor)
	checkAccepted(t, a, "bob", right, auth.Identity{User: "bob", Role: auth.Administrator})
	if err := a.Remove("nobody"); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("one who is not there was removed: %v", err)
	}
	for _, user := range []string{"BOB", "monitor"} {
		if err := a.Remove(user); err != nil {
			t.Errorf("%s: %v", user, err)
		}
	}
	checkRefused(t, a, "bob", right)
	if err := a.Remove("administrator"); err == nil || !strings.Contains(err.Error(), "last Administrator") {
		t.Errorf("the last Administrator was removed: %v", err)
	}
	for _, a := range []*auth.Accounts{a, load(t, path)} {
		if list := a.List(); len(list) != 1 || list[0].User != "Administrator" {
			t.Errorf("the accounts are %+v", list)
		}
		checkAccepted(t, a, "Administrator", right, auth.Identity{User: "Administrator", Role: auth.Administrator})
	}
}

// TestRemoveThatCannotBeStored keeps what holds.
func TestRemoveThatCannotBeStored(t *testing.T) {
	a, path := accounts(t, "Administrator", "bob")
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if err := a.Remove("bob"); err == nil {
		t.Error("Remove succeeded without a directory")
	}
	checkAccepted(t, a, "bob", right, auth.Identity{User: "bob", Role: auth.Administrator})
}
