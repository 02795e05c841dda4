//go:build linux

// Package machine gives a test from outside a machine of its own, in namespaces of the kernel, and runs daemons there.
package machine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// insideVariable says in the environment of this program that it is isolated.
const insideVariable = "CALKEEPER_TEST_ISOLATED"

// self is the name of this program where the isolated test runs it.
const self = "isolated.test"

// T is what of *testing.T is needed here: only tests import that package.
type T interface {
	Cleanup(f func())
	Deadline() (time.Time, bool)
	Failed() bool
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Helper()
	Logf(format string, args ...any)
	Name() string
	Parallel()
}

// Machine says how tests are isolated.
type Machine struct {
	Why   string                 // root is needed
	Build func() (string, error) // makes the directory that is /usr/local/bin for the test: see Build
	Nice  string                 // adjustment of the priority, if not empty
	Flags []string               // more of them for this program
}

// Run runs a test in this program, started again in namespaces of its own, which testdata/namespaces.sh furnishes.
func (m Machine) Run(t T, test func()) {
	if os.Getenv(insideVariable) != "" {
		test()
		return
	}
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Fatal(m.Why + ". Run it with sudo")
	}
	programs, err := m.Build()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc",
		"sh", "testdata/namespaces.sh", programs, self, "-test.run=^" + t.Name() + "$", "-test.v=true", "-test.timeout=" + timeLeft(t).String()}
	if m.Nice != "" {
		args = append([]string{"nice", "--adjustment=" + m.Nice}, args...)
	}
	args = append(args, m.Flags...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"=yes", "LC_ALL=C.UTF-8")
	// If this process dies, so does that one. The kernel looks at the thread: it must not end before.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	t.Logf("isolated:\n%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// timeLeft leaves this process the time to show what the isolated one has said.
func timeLeft(t T) time.Duration {
	end, ok := t.Deadline()
	if !ok {
		return 10 * time.Minute
	}
	return time.Until(end) - 5*time.Second
}

// Build puts calkeeper, and this program, into a directory. inputs are files that the isolated test depends on beside them.
//
// go test repeats a result if neither what this process imports nor the files that it opens have changed: so the inputs are
// opened here, and the test imports the packages of calkeeper that it tests.
func Build(programs string, inputs ...string) error {
	for _, path := range append(inputs, "../../cmd/calkeeper", "testdata/namespaces.sh") {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		f.Close()
	}
	out, err := exec.Command("go", "build", "-race=false", "-o", filepath.Join(programs, "calkeeper"), "calkeeper/cmd/calkeeper").CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	original, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer original.Close()
	again, err := os.OpenFile(filepath.Join(programs, self), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(again, original)
	return errors.Join(err, again.Close())
}
