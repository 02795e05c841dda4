package simulation_test

import (
	"os"
	"testing"

	"calkeeper/internal/rapidchecks"
)

// TestMain makes the comparison with the model short enough for every day, unless -rapid.checks says how long it shall be.
func TestMain(m *testing.M) {
	rapidchecks.Default(10)
	os.Exit(m.Run())
}
