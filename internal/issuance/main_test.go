package issuance_test

import (
	"os"
	"testing"

	"calkeeper/internal/rapidchecks"
)

// TestMain says how many checks the simulation runs, unless -rapid.checks does.
func TestMain(m *testing.M) {
	rapidchecks.Default(300)
	os.Exit(m.Run())
}

// scratch returns where databases are made: in memory, if the system has files there, because the syncs of a disk would take
// most of the time. What they are good for is tested with the databases.
func scratch() string {
	const memory = "/dev/shm"
	if s, err := os.Stat(memory); err == nil && s.IsDir() {
		return memory
	}
	return ""
}
