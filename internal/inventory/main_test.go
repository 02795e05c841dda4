package inventory_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// TestMain makes the simulation short enough for every day, unless -rapid.checks says how long it shall be: with the race
// detector, a check of it takes almost a second.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", "12"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}
