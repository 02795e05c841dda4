package inventory_test

import (
	"os"
	"testing"

	"calkeeper/internal/rapidchecks"
)

// TestMain makes the simulation short enough for every day, unless -rapid.checks says how long it shall be: with the race
// detector, a check of it takes almost a second.
func TestMain(m *testing.M) {
	rapidchecks.Default(12)
	os.Exit(m.Run())
}
