//go:build linux

// Package xrdp_test logs on to Debian's own xrdp with xfreerdp, and looks at who gets a desktop, and what the license server says.
package xrdp_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "calkeeper/internal/agent" // tested from outside; see build
	_ "calkeeper/internal/app"
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

// insideVariable says in the environment of this program that it is isolated.
const insideVariable = "CALKEEPER_TEST_ISOLATED"

// isolated runs a test in this program, started again in namespaces of its own: see testdata/namespaces.sh. xrdp has one port
// for its session manager, one directory under /run and one name for PAM on a machine, and the test needs users whose passwords
// it knows. So it is no trouble to an xrdp of the machine, to other tests, or to itself when it was killed the last time.
func isolated(t *testing.T, test func(*testing.T)) {
	if os.Getenv(insideVariable) != "" {
		test(t)
		return
	}
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Fatal("xrdp logs users on: the test needs root, for namespaces with users of its own. Run it with sudo")
	}
	if err := build(); err != nil {
		t.Fatal(err)
	}
	// A logon has limits in time, and other tests may want all processors.
	args := []string{"--adjustment=-10", "unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc",
		"sh", "testdata/namespaces.sh", programs, "xrdp.test", "-test.run=^" + t.Name() + "$", "-test.v=true", "-test.timeout=" + timeLeft(t).String()}
	if *updateScreenshot {
		args = append(args, "-update-screenshot")
	}
	cmd := exec.Command("nice", args...)
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

// build puts calkeeper, and this program, where an isolated test finds them.
var build = sync.OnceValue(func() error {
	// go test repeats a result if neither what this process imports nor the files that it opens have changed: so it looks at
	// what the isolated one depends on.
	if _, err := os.ReadDir("../../cmd/calkeeper"); err != nil {
		return err
	}
	os.Stat(screenshot) // there is none before the first -update-screenshot
	out, err := exec.Command("go", "build", "-race=false", "-o", filepath.Join(programs, "calkeeper"), "calkeeper/cmd/calkeeper").CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	again, err := os.OpenFile(filepath.Join(programs, "xrdp.test"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(again, self)
	return errors.Join(err, again.Close())
})
