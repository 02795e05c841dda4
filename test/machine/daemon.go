//go:build linux

package machine

import (
	"bytes"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Deadline is how long anything may take that a test waits for.
const Deadline = time.Minute

// Await polls until ok says that something has happened.
func Await(t T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(Deadline); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in %v it did not happen that %s", Deadline, what)
		}
	}
}

// output collects what a program says, also while it is read.
type output struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.String()
}

// Daemon is a program that runs until it is stopped, or the test ends.
type Daemon struct {
	*exec.Cmd
	out   output
	ended chan struct{}
}

// Start runs a daemon, with variables for its environment. What it said is shown if the test fails.
func Start(t T, environ []string, name string, args ...string) *Daemon {
	t.Helper()
	d := &Daemon{Cmd: exec.Command(name, args...), ended: make(chan struct{})}
	d.Env, d.Dir = append(os.Environ(), environ...), "/"
	d.Stdout, d.Stderr = &d.out, &d.out
	d.WaitDelay = time.Second // its children may outlive it, and have its output
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		d.Wait() // its error is in ProcessState
		close(d.ended)
	}()
	t.Cleanup(func() {
		d.Process.Kill()
		<-d.ended
		if t.Failed() {
			t.Logf("%v: %v\n%s", d.Args, d.ProcessState, &d.out)
		}
	})
	return d
}

// Output is what the daemon has said until now.
func (d *Daemon) Output() string { return d.out.String() }

// Ended tells whether the daemon has ended.
func (d *Daemon) Ended() bool {
	select {
	case <-d.ended:
		return true
	default:
		return false
	}
}

// Stop ends the daemon as a supervisor does.
func (d *Daemon) Stop(t T) {
	t.Helper()
	if err := d.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.AwaitEnd(t)
}

// AwaitEnd waits until the daemon ends.
func (d *Daemon) AwaitEnd(t T) {
	t.Helper()
	Await(t, d.Args[0]+" ends", d.Ended)
}
