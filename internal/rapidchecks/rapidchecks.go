// Package rapidchecks says how often the property tests of a package check, for its TestMain: package rapid has one number for
// all of them. Only tests use it.
package rapidchecks

import (
	"flag"
	"fmt"
	"os"
	"strconv"
)

// Default parses the command line of a test, and sets the number of checks unless -rapid.checks does. The test must import
// package rapid, which has the flag; without it the process ends.
func Default(n int) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if given {
		return
	}
	if err := flag.Set("rapid.checks", strconv.Itoa(n)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
