package licensing_test

import (
	"testing"

	"calkeeper/internal/licensing"
)

func TestAvailabilityOf(t *testing.T) {
	for _, test := range []struct {
		installed, issued uint64
		want              licensing.Availability
	}{
		{0, 0, licensing.CALsNone},
		{0, 3, licensing.CALsNone},
		{100, 100, licensing.CALsNone},
		{100, 101, licensing.CALsNone},
		{100, 99, licensing.CALsLimited},
		{100, 90, licensing.CALsLimited},
		{100, 89, licensing.CALsAvailable},
		{5, 4, licensing.CALsAvailable},
		{5, 5, licensing.CALsNone},
		{1, 0, licensing.CALsAvailable},
	} {
		if got := licensing.AvailabilityOf(test.installed, test.issued); got != test.want {
			t.Errorf("%d installed, %d issued: %s, want %s", test.installed, test.issued, got, test.want)
		}
	}
}
