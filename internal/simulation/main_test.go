package simulation_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// TestMain makes the comparison with the model short enough for every day, unless -rapid.checks says how long it shall be.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", "10"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}
