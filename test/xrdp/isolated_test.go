//go:build linux

// Package xrdp_test logs on to Debian's own xrdp with xfreerdp, and looks at who gets a desktop, and what the license server says.
package xrdp_test

import (
	"fmt"
	"os"
	"sync"
	"testing"

	_ "calkeeper/internal/agent" // tested from outside; see machine.Build
	_ "calkeeper/internal/app"
	"calkeeper/test/machine"
)

var programs string // a directory: it is /usr/local/bin for an isolated test

func TestMain(m *testing.M) {
	code := func() int {
		var err error
		if programs, err = os.MkdirTemp("", "calkeeper-xrdp-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(programs)
		return m.Run()
	}()
	os.Exit(code)
}

// isolated is for xrdp, which has one port for its session manager, one directory under /run and one name for PAM on a machine, and
// the test needs users whose passwords it knows. So it is no trouble to an xrdp of the machine, to other tests, or to itself when it
// was killed the last time.
func isolated(t *testing.T, test func(*testing.T)) {
	m := machine.Machine{
		Why:   "xrdp logs users on: the test needs root, for namespaces with users of its own",
		Build: func() (string, error) { return programs, build() },
		Nice:  "-10", // a logon has limits in time, and other tests may want all processors
	}
	if *updateScreenshot {
		m.Flags = []string{"-update-screenshot"}
	}
	m.Run(t, func() { test(t) })
}

// build is for all tests together.
var build = sync.OnceValue(func() error {
	os.Stat(screenshot) // go test notices; there is none before the first -update-screenshot
	return machine.Build(programs)
})
