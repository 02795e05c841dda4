//go:build linux

// Package activedirectory_test runs a license server in a domain of Active Directory: a domain controller of Debian's Samba, made for
// the test.
package activedirectory_test

import (
	"testing"

	_ "calkeeper/internal/app" // tested from outside; see machine.Build
	"calkeeper/test/machine"
)

// isolated is for a domain controller, which has its well-known ports, its files below /var/lib/samba and a name that DNS knows.
func isolated(t *testing.T, test func(*testing.T)) {
	machine.Machine{
		Why: "the test needs root, for namespaces in which a domain controller runs",
		Build: func() (string, error) {
			programs := t.TempDir()
			return programs, machine.Build(programs, "../../docs/guide.md", "testdata/envelopes.py", moduleKerberos)
		},
	}.Run(t, func() { test(t) })
}
