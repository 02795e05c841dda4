package agent_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/agent"
	"calkeeper/internal/licensing"
)

// TestLogon follows a session from the logon to its end, and the second user who waits for the CAL.
func TestLogon(t *testing.T) {
	h := newHost(t, 1, "")
	ada := environ("account", "ada", "xrdp-sesman", "192.0.2.7")
	h.want(agent.ExitAllowed, nil, daemonPID, ada...)
	h.want(agent.ExitAllowed, nil, daemonPID, ada...) // it fires twice, and nothing changes
	leases := h.server.snapshot()
	if len(leases) != 1 || !leases[0].Provisional || leases[0].Session != "" || leases[0].Device.ID != "ip:192.0.2.7" {
		t.Fatalf("after account the leases are %+v", leases)
	}

	h.want(agent.ExitAllowed, nil, leaderPID, environ("open_session", "ada", ":10", "")...)
	leases = h.server.snapshot()
	if len(leases) != 1 || leases[0].Provisional || leases[0].Session != ":10" || leases[0].Device.ID != "ip:192.0.2.7" {
		t.Fatalf("after open_session the leases are %+v", leases)
	}

	h.want(agent.ExitUnlicensed, []string{"No license for grace at ip:192.0.2.8: all CALs are in use (no-free-cal)"}, daemonPID,
		environ("account", "grace", "xrdp-sesman", "192.0.2.8")...)

	// Another device takes the session over: only account fires.
	h.want(agent.ExitAllowed, nil, daemonPID, environ("account", "ada", "xrdp-sesman", "192.0.2.9")...)
	if leases = h.server.snapshot(); len(leases) != 1 || leases[0].Session != ":10" || leases[0].Device.ID != "ip:192.0.2.9" {
		t.Fatalf("after the takeover the leases are %+v", leases)
	}
	h.wantFiles(0, 1, 1)

	h.want(agent.ExitAllowed, nil, leaderPID, environ("close_session", "ada", ":10", "")...)
	if leases = h.server.snapshot(); len(leases) != 0 {
		t.Fatalf("after close_session the leases are %+v", leases)
	}
	h.wantFiles(0, 1, 0)
	h.want(agent.ExitAllowed, nil, daemonPID, environ("account", "grace", "xrdp-sesman", "192.0.2.8")...)
}

// TestLatestLogon has two logons of a user before a session: the session is the later one's.
func TestLatestLogon(t *testing.T) {
	for i, addresses := range [][]string{{"192.0.2.7", "192.0.2.8"}, {"192.0.2.8", "192.0.2.7"}} {
		h := newHost(t, 5, "")
		for _, address := range addresses {
			h.want(agent.ExitAllowed, nil, daemonPID, environ("account", "ada", "xrdp-sesman", address)...)
			h.pass(time.Second)
		}
		h.want(agent.ExitAllowed, nil, leaderPID, environ("open_session", "ada", ":10", "")...)
		for _, l := range h.server.snapshot() {
			if l.Session == ":10" && l.Device.ID != "ip:"+addresses[1] {
				t.Errorf("%d: the session is at %s", i, l.Device.ID)
			}
		}
		h.wantFiles(0, 1, 1)
	}
}

// TestRefusals are answers of the license server that no policy overrules.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		kind   licensing.Kind
		detail string
		code   int
		says   string
	}{
		"denied":    {401, licensing.Denied, "the token is not one of a session host", agent.ExitForbidden, "does not take this session host: the token"},
		"forbidden": {403, licensing.Denied, "the host is not registered", agent.ExitForbidden, "does not take this session host"},
		"invalid":   {400, licensing.Invalid, "the device is missing", agent.ExitRefused, "No license for ada at ip:192.0.2.7: the device is missing"},
		"limited":   {429, licensing.Limited, "too many requests", agent.ExitUnreachable, "too many requests"},
		"hostile":   {400, licensing.Invalid, "a\nb\x1b[2Jc" + strings.Repeat("x", 1000), agent.ExitRefused, "a b [2Jc"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, 1, "")
			h.configure(h.offline(24) + "message = \"Call 4711.\"")
			h.want(agent.ExitAllowed, nil, daemonPID, environ("account", "ada", "", "192.0.2.7")...)
			h.server.answer(func(w http.ResponseWriter, _ *http.Request) bool {
				problem(w, c.status, c.kind, c.detail, "")
				return true
			})
			h.want(c.code, []string{c.says, ". Call 4711."}, daemonPID, environ("account", "ada", "", "192.0.2.7")...)
			h.want(c.code, []string{c.says}, leaderPID, environ("open_session", "ada", ":10", "")...)
			h.wantFiles(1, 0, 0)
			if _, line := h.hook(daemonPID, environ("account", "ada", "", "192.0.2.7")...); len(line) > 600 {
				t.Errorf("the line has %d bytes", len(line))
			}
		})
	}
}

func TestExemptUsers(t *testing.T) {
	h := newHost(t, 0, "")
	for _, user := range []string{"root", "gdm", "Debian-gdm", "lightdm", "sddm"} {
		for _, phase := range []string{"account", "open_session", "close_session"} {
			h.want(agent.ExitAllowed, nil, daemonPID, environ(phase, user, ":10", "")...)
		}
	}
	if n := len(h.server.calls); n != 0 {
		t.Errorf("the license server was asked %d times", n)
	}
	h.want(agent.ExitUnlicensed, []string{"Root"}, daemonPID, environ("account", "Root", "", "192.0.2.7")...)
	h.configure("exempt-users = [\"ada\"]")
	h.want(agent.ExitAllowed, nil, daemonPID, environ("account", "ada", "", "")...)
	h.want(agent.ExitUnlicensed, []string{"root"}, daemonPID, environ("account", "root", "", "192.0.2.7")...)
}

// TestWrongStack keeps the agent from opening a door where it does not belong.
func TestWrongStack(t *testing.T) {
	h := newHost(t, 1, "")
	for _, phase := range []string{"auth", "setcred", "password", "", "ACCOUNT", "account\n"} {
		h.want(agent.ExitUsage, []string{"calkeeper: "}, daemonPID, environ(phase, "root", ":10", "")...)
	}
	for _, user := range []string{"", " ada", "a\x00b", "a\nb", "\xff", strings.Repeat("a", 300), strings.Repeat("a", 1<<20), `A\B\c`} {
		h.want(agent.ExitUsage, []string{"PAM_USER"}, daemonPID, environ("account", user, ":10", "")...)
	}
	if n := len(h.server.calls); n != 0 {
		t.Errorf("the license server was asked %d times", n)
	}
}

func TestWrongConfiguration(t *testing.T) {
	h := newHost(t, 1, "ofline = \"allow\"")
	h.want(agent.ExitUsage, []string{"agent.toml", "ofline"}, daemonPID, environ("account", "root", "", "")...)
	h.configure("ca-file = \"none.pem\"")
	h.want(agent.ExitUsage, []string{"none.pem"}, daemonPID, environ("account", "ada", "", "")...)
}

// TestDeviceNeeded has a license server that counts by device, and a logon of which nobody knows from where it comes.
func TestDeviceNeeded(t *testing.T) {
	h := newHost(t, 1, "")
	h.server.mode = "per-device"
	h.want(agent.ExitRefused, []string{"No license for ada: the device is missing", "the device is not known: the server that asks has no connection"},
		daemonPID, environ("account", "ada", "", "")...)
	h.front(6000, "[::ffff:192.0.2.7]:50000", 40000, 0)
	h.want(agent.ExitAllowed, nil, daemonPID, environ("account", "ada", "", "")...)
	h.want(agent.ExitUnlicensed, []string{"grace at ip:192.0.2.8"}, daemonPID, environ("account", "grace", "", "192.0.2.8")...)
}

// TestInTime has a license server that takes connections and says nothing.
func TestInTime(t *testing.T) {
	h := newHost(t, 1, "timeout = \"400ms\"")
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	h.server.answer(func(http.ResponseWriter, *http.Request) bool { <-release; return true })
	began := time.Now()
	h.want(agent.ExitUnreachable, []string{"did not answer in time", "not allowed (offline = \"deny\")"}, daemonPID, environ("account", "ada", "", "192.0.2.7")...)
	if took := time.Since(began); took < 300*time.Millisecond || took > 1500*time.Millisecond {
		t.Errorf("timeout is 400ms; the hook took %v", took)
	}
}

// TestVerdictSurvivesTheDisk has a good answer of the license server, and a state directory in which nothing can be noted.
func TestVerdictSurvivesTheDisk(t *testing.T) {
	h := newHost(t, 1, "")
	if err := os.WriteFile(h.path(""), nil, 0o600); err != nil { // a file where the directory should be
		t.Fatal(err)
	}
	h.want(agent.ExitAllowed, nil, daemonPID, environ("account", "ada", "", "192.0.2.7")...)
	h.want(agent.ExitFailure, []string{"cannot be noted"}, leaderPID, environ("open_session", "ada", ":10", "")...)
	h.want(agent.ExitAllowed, nil, leaderPID, environ("close_session", "ada", ":10", "")...)
}

// TestOpenStateDirectory does not trust a directory into which others can write.
func TestOpenStateDirectory(t *testing.T) {
	h := newHost(t, 1, "")
	if err := os.Mkdir(h.path(""), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(h.path(""), 0o777); err != nil {
		t.Fatal(err)
	}
	h.want(agent.ExitFailure, []string{"others may write into", "chmod 700"}, leaderPID, environ("open_session", "ada", ":10", "")...)
	if err := os.Chmod(h.path(""), 0o700); err != nil {
		t.Fatal(err)
	}
	h.configure(h.offline(24))
	h.want(agent.ExitAllowed, nil, daemonPID, environ("account", "ada", "", "192.0.2.7")...)
	if err := os.Chmod(h.path(""), 0o770); err != nil {
		t.Fatal(err)
	}
	h.server.down(true)
	h.want(agent.ExitUnreachable, []string{"others may write into"}, daemonPID, environ("account", "ada", "", "192.0.2.7")...)
}

// TestRetry has a license server that is just starting: the first connection is refused.
func TestRetry(t *testing.T) {
	h := newHost(t, 1, "")
	first := true
	h.server.answer(func(http.ResponseWriter, *http.Request) bool {
		if first {
			first = false
			panic(http.ErrAbortHandler)
		}
		return false
	})
	h.want(agent.ExitAllowed, nil, daemonPID, environ("account", "ada", "", "192.0.2.7")...)
	if n := len(h.server.answers); n != 1 {
		t.Errorf("the license server has decided %d times", n)
	}
}

// TestSessionNames tells sessions apart that PAM does not.
func TestSessionNames(t *testing.T) {
	for tty, want := range map[string]string{
		":10": ":10", "pts/3": "pts/3", "tty2": "tty2", "": "pid:7000", "ssh": "pid:7000", "xrdp-sesman": "pid:7000", "a\x01" + "1": "pid:7000",
		strings.Repeat("1", 200): "pid:7000",
	} {
		h := newHost(t, 1, "")
		h.want(agent.ExitAllowed, nil, leaderPID, environ("open_session", "ada", tty, "192.0.2.7")...)
		if leases := h.server.snapshot(); len(leases) != 1 || leases[0].Session != want {
			t.Errorf("PAM_TTY %q: the leases are %+v", tty, leases)
		}
		h.want(agent.ExitAllowed, nil, leaderPID, environ("close_session", "ada", tty, "192.0.2.7")...)
		if leases := h.server.snapshot(); len(leases) != 0 {
			t.Errorf("PAM_TTY %q: after the session the leases are %+v", tty, leases)
		}
		h.wantFiles(0, 0, 0)
	}
}

// TestScriptBetween has a script between pam_exec and the agent: the leader is the process that has called PAM.
func TestScriptBetween(t *testing.T) {
	h := newHost(t, 1, "")
	h.run(8000, leaderPID, "hook.sh", 8000, "/bin/sh", "/usr/lib/hook.sh")
	h.setenv(8000, environ("open_session", "ada", ":10", "")...)
	h.run(8001, 8000, "sh", 8001)
	h.setenv(8001, environ("open_session", "ada", ":10", "")...)
	h.want(agent.ExitAllowed, nil, 8001, environ("open_session", "ada", ":10", "192.0.2.7")...)
	h.kill(8000)
	h.kill(8001)
	h.wantReaped(agent.Reaped{Renewed: 1})
	h.kill(leaderPID)
	h.wantReaped(agent.Reaped{Ended: 1, Forgotten: 1}, "its leader, process 7000, is gone")
}
