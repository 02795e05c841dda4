package agent_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/agent"
	"calkeeper/internal/licensing"
)

// Variables that make this program another: the process whose environment TestTakeEnviron looks at, or a hook, which is told
// what time it is, and whose child it is.
const (
	takeVariable   = "CALKEEPER_TEST_TAKE_ENVIRON"
	hookVariable   = "CALKEEPER_TEST_HOOK"
	hookParentName = "CALKEEPER_TEST_PARENT"
)

func parentVariable(pid int) string { return hookParentName + "=" + strconv.Itoa(pid) }

func TestMain(m *testing.M) {
	if now, err := time.Parse(time.RFC3339, os.Getenv(hookVariable)); err == nil {
		parent, _ := strconv.Atoi(os.Getenv(hookParentName))
		os.Exit(agent.PAM(context.Background(), agent.Hook{
			ConfigPath: os.Args[1], Environ: agent.TakeEnviron(), Parent: parent, Stdout: io.Discard,
			Options: agent.Options{Now: func() time.Time { return now }, Proc: os.Args[2]},
		}))
	}
	if os.Getenv(takeVariable) != "" {
		taken := agent.TakeEnviron()
		fmt.Printf("%q %d", taken, len(os.Environ()))
		return
	}
	m.Run()
}

// TestTakeEnviron sees all variables of one name, in order, and leaves none behind.
func TestTakeEnviron(t *testing.T) {
	variables := []string{takeVariable + "=1", "PAM_USER=root", "HTTPS_PROXY=x", "PAM_USER=ada"}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// os/exec would leave out the first of two: os does not.
	p, err := os.StartProcess("/proc/self/exe", []string{"agent.test"}, &os.ProcAttr{Env: variables, Files: []*os.File{nil, w, os.Stderr}})
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%q 0", variables); out.String() != want {
		t.Errorf("%s\nwant\n%s", &out, want)
	}
}

// FuzzHook calls the agent with any environment while the license server refuses everybody: only those who need no CAL, and
// sessions that end, are answered with 0.
func FuzzHook(f *testing.F) {
	for _, e := range [][]string{
		environ("account", "ada", ":10", "192.0.2.7"), environ("open_session", "root", "", ""), environ("close_session", "ada", ":10", ""),
		{"PAM_USER=root", "PAM_SERVICE=x", "PAM_USER=ada", "PAM_TYPE=account"}, {"PAM_USER=root", "PAM_TYPE=auth"}, {"PAM_TYPE=account"},
	} {
		f.Add(strings.Join(e, "\x00"))
	}
	h := newHost(f, 0, "")
	h.server.answer(func(w http.ResponseWriter, _ *http.Request) bool {
		problem(w, http.StatusForbidden, licensing.Denied, "no", "")
		return true
	})
	f.Fuzz(func(t *testing.T, text string) {
		list := strings.Split(text, "\x00")
		e, err := agent.ParseEnvironment(list)
		var out bytes.Buffer
		code := agent.PAM(context.Background(), agent.Hook{
			ConfigPath: h.configPath(), Environ: list, Parent: leaderPID, Stdout: &out, Options: agent.Options{Now: h.now, Proc: h.proc},
		})
		want := agent.ExitForbidden
		switch {
		case err != nil:
			want = agent.ExitUsage
		case slices.Contains(agent.DefaultExemptUsers(), e.User), e.Type == "close_session":
			want = agent.ExitAllowed
		}
		busy := want == agent.ExitForbidden && code == agent.ExitUnreachable // the fuzzer leaves the license server no time
		if code != want && !busy {
			t.Fatalf("%q: exit code %d (%s), want %d", list, code, &out, want)
		}
		if line := out.String(); strings.Count(line, "\n") > 1 || len(line) > 4096 || strings.ContainsAny(line, "\x1b\r\x00") {
			t.Fatalf("%q: the line is %q", list, line)
		}
	})
}

// BenchmarkAccount is a logon through xrdp on a machine with many processes: reading the configuration, finding the client,
// asking the license server over a new connection, and noting the logon.
func BenchmarkAccount(b *testing.B) {
	h := newHost(b, 1, "")
	for pid := 10_000; pid < 10_500; pid++ {
		h.run(pid, 1, "bash", uint64(pid), "bash")
		h.open(pid)
	}
	h.front(6000, "[::ffff:192.0.2.7]:50000", 40000, 0)
	variables := environ("account", "ada", "xrdp-sesman", "")
	for b.Loop() {
		if code, line := h.hook(daemonPID, variables...); code != agent.ExitAllowed {
			b.Fatalf("exit code %d, %s", code, line)
		}
	}
	if l := h.server.snapshot(); len(l) != 1 || l[0].Device.ID != "ip:192.0.2.7" {
		b.Fatalf("the leases are %+v", l)
	}
}
