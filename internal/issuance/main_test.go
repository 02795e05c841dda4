package issuance_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// TestMain says how many checks the simulation runs, unless -rapid.checks does.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", "300"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
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
