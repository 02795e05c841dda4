//go:build unix

package agent_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"calkeeper/internal/agent"
)

// TestInTimeWithoutDisk has a configuration that nobody ever finishes reading.
func TestInTimeWithoutDisk(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var out bytes.Buffer
	code := agent.PAM(context.Background(), agent.Hook{ConfigPath: fifo, Environ: environ("account", "ada", "", ""), Parent: 1, Stdout: &out})
	if took := time.Since(began); code != agent.ExitUnreachable || took > 2*time.Second {
		t.Errorf("exit code %d after %v", code, took)
	}
	if !strings.Contains(out.String(), "no answer within the time") {
		t.Errorf("the hook says %q", &out)
	}
	// Lets the reader go that still waits.
	w, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
}

// TestKilledHooks kills hooks at any instant. Whatever they leave, a Reap ends what the license server knows of sessions whose
// leader is gone, and nothing is left over.
func TestKilledHooks(t *testing.T) {
	h := newHost(t, 50, "")
	for i := range 25 {
		leader := 7100 + i
		h.run(leader, daemonPID, "xrdp-sesman", uint64(leader))
		for _, phase := range []string{"account", "open_session", "close_session"} {
			h.killedHook(time.Duration(rand.Int64N(int64(30*time.Millisecond))), leader, environ(phase, "ada", ":10", "192.0.2.7"))
		}
		if i%2 == 0 {
			h.want(agent.ExitAllowed, nil, leader, environ("open_session", "ada", ":10", "192.0.2.7")...)
			h.killedHook(time.Duration(rand.Int64N(int64(30*time.Millisecond))), leader, environ("close_session", "ada", ":10", ""))
		}
		h.kill(leader)
		h.pass(11 * time.Minute)
		_, said := h.reap()
		if strings.Contains(said, "no record") {
			t.Fatalf("a hook has left half a record: %s", said)
		}
		h.wantFiles(0, 0, 0)
		for _, l := range h.server.snapshot() {
			if l.Session != "" {
				t.Fatalf("%+v is left; Reap has said: %s", l, said)
			}
		}
	}
}

// killedHook runs a hook in a process of its own, and kills it after that time, if it lives as long.
func (h *host) killedHook(after time.Duration, parent int, environ []string) {
	h.t.Helper()
	p, err := os.StartProcess("/proc/self/exe", []string{"agent.test", h.configPath(), h.proc}, &os.ProcAttr{
		Env: append([]string{hookVariable + "=" + h.now().Format(time.RFC3339), parentVariable(parent)}, environ...),
	})
	if err != nil {
		h.t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { p.Kill() })
	defer timer.Stop()
	if _, err := p.Wait(); err != nil {
		h.t.Fatal(err)
	}
}
