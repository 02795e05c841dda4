package licensing_test

import (
	"testing"

	"calkeeper/internal/licensing"
)

func TestServerRoles(t *testing.T) {
	for n, want := range []string{"workgroup", "domain", "forest"} {
		if r, err := licensing.ParseServerRole(uint32(n)); err != nil || r.String() != want || int(r) != n {
			t.Errorf("%d is %s, %v; want %s", n, r, err, want)
		}
	}
	for _, n := range []uint32{3, 4294967295} {
		if r, err := licensing.ParseServerRole(n); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%d is %s, %v; want an invalid one", n, r, err)
		}
	}
	if got := licensing.ServerRole(3).String(); got != "role 3" {
		t.Errorf("3 is shown as %q", got)
	}
}
