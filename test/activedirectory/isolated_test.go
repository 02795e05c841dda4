//go:build linux

// Package activedirectory_test runs a license server in a domain of Active Directory: a domain controller of Debian's Samba, made for
// the test.
package activedirectory_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	_ "calkeeper/internal/app" // tested from outside; see build
)

// insideVariable says in the environment of this program that it is isolated.
const insideVariable = "CALKEEPER_TEST_ISOLATED"

// isolated runs a test in this program, started again in namespaces of its own: see testdata/namespaces.sh. A domain controller has
// its well-known ports, its files below /var/lib/samba and a name that DNS knows.
func isolated(t *testing.T, test func(*testing.T)) {
	if os.Getenv(insideVariable) != "" {
		test(t)
		return
	}
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Fatal("the test needs root, for namespaces in which a domain controller runs. Run it with sudo")
	}
	programs := t.TempDir()
	if err := build(programs); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc",
		"sh", "testdata/namespaces.sh", programs, "activedirectory.test", "-test.run=^"+t.Name()+"$", "-test.v=true", "-test.timeout="+timeLeft(t).String())
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
func timeLeft(t *testing.T) time.Duration {
	end, ok := t.Deadline()
	if !ok {
		return 10 * time.Minute
	}
	return time.Until(end) - 5*time.Second
}

// build puts calkeeper, and this program, where the isolated test finds them.
func build(programs string) error {
	// go test repeats a result if neither what this process imports nor the files that it opens have changed: so it looks at
	// what the isolated one depends on.
	for _, path := range []string{"../../cmd/calkeeper", "../../docs/guide.md", "testdata/namespaces.sh"} {
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
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	again, err := os.OpenFile(filepath.Join(programs, "activedirectory.test"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(again, self)
	return errors.Join(err, again.Close())
}
