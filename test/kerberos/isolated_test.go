//go:build linux

// Package kerberos_test has clients of MIT's Kerberos authenticate, with tickets of MIT's KDC.
package kerberos_test

import (
	"errors"
	"os"
	"testing"

	"calkeeper/test/machine"
)

// isolated is for a KDC, which has a well-known port, and a license server whose name the tickets have.
func isolated(t *testing.T, test func(*testing.T)) {
	machine.Machine{
		Why: "the test needs root, for namespaces in which a KDC runs",
		Build: func() (string, error) {
			programs := t.TempDir()
			// The test's own programs go there, too: this directory may be hidden.
			return programs, errors.Join(machine.Build(programs), os.CopyFS(programs, os.DirFS("testdata")))
		},
	}.Run(t, func() { test(t) })
}
