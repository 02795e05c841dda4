package agent_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"calkeeper/internal/agent"
)

// host is a session host with a license server.
type host struct {
	*machine
	t      testing.TB
	server *licenseServer
	dir    string
	offset atomic.Int64 // of its clock
	start  time.Time
}

// newHost returns a session host whose license server has that many CALs; more is what agent.toml has beside what it needs.
func newHost(t testing.TB, cals int, more string) *host {
	t.Helper()
	h := &host{machine: newMachine(t), t: t, dir: t.TempDir(), start: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}
	h.server = newLicenseServer(t, cals, h.now)
	h.configure(more)
	return h
}

func (h *host) now() time.Time { return h.start.Add(time.Duration(h.offset.Load())) }

// pass lets time pass; a negative one sets the clock back.
func (h *host) pass(d time.Duration) { h.offset.Add(int64(d)) }

func (h *host) configure(more string) {
	h.t.Helper()
	text := fmt.Sprintf("url = %q\ntoken = %q\nstate-dir = \"state\"\n%s\n", h.server.url, goodToken, more)
	if !strings.Contains(more, "timeout") {
		text += "timeout = \"1800ms\"\n" // for busy machines
	}
	if err := os.WriteFile(h.configPath(), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// offline returns the settings that allow logons for that long.
func (h *host) offline(hours int) string {
	return fmt.Sprintf("offline = \"allow\"\noffline-hours = %d\nserver-key = %q\n", hours, h.server.publicKey())
}

func (h *host) configPath() string { return filepath.Join(h.dir, "agent.toml") }

// path returns the path of a file of the state.
func (h *host) path(name string) string { return filepath.Join(h.dir, "state", name) }

// hook calls the agent as pam_exec does.
func (h *host) hook(parent int, environ ...string) (code int, line string) {
	h.t.Helper()
	var out bytes.Buffer
	code = agent.PAM(context.Background(), agent.Hook{
		ConfigPath: h.configPath(), Environ: environ, Parent: parent, Stdout: &out, Options: agent.Options{Now: h.now, Proc: h.proc},
	})
	if strings.Count(out.String(), "\n") > 1 {
		h.t.Errorf("the hook has written more than one line: %q", out.String())
	}
	return code, strings.TrimSuffix(out.String(), "\n")
}

func environ(hookType, user, tty, rhost string) []string {
	list := []string{"LANG=C", "PAM_SERVICE=xrdp-sesman", "PAM_USER=" + user}
	if tty != "" {
		list = append(list, "PAM_TTY="+tty)
	}
	if rhost != "" {
		list = append(list, "PAM_RHOST="+rhost)
	}
	return append(list, "PAM_TYPE="+hookType)
}

// want fails the test unless a hook answers so; the line must have all of these parts, and be empty without any.
func (h *host) want(code int, parts []string, parent int, environ ...string) {
	h.t.Helper()
	got, line := h.hook(parent, environ...)
	if got != code {
		h.t.Fatalf("%v: exit code %d (%q), want %d", environ, got, line, code)
	}
	if len(parts) == 0 && line != "" {
		h.t.Fatalf("%v: the hook says %q, want nothing", environ, line)
	}
	for _, part := range parts {
		if !strings.Contains(line, part) {
			h.t.Fatalf("%v: the hook says %q, which lacks %q", environ, line, part)
		}
	}
}

// logon lets a user log on from an address until the session is there.
func (h *host) logon(user, address, display string, leader int) {
	h.t.Helper()
	h.want(agent.ExitAllowed, nil, daemonPID, environ("account", user, "xrdp-sesman", address)...)
	h.run(leader, daemonPID, "xrdp-sesman", uint64(leader))
	h.want(agent.ExitAllowed, nil, leader, environ("open_session", user, display, "")...)
}

func (h *host) agent() *agent.Agent {
	h.t.Helper()
	c, err := agent.LoadConfig(h.configPath())
	if err != nil {
		h.t.Fatal(err)
	}
	a, err := agent.New(c, agent.Options{Now: h.now, Proc: h.proc})
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

// reap reaps, and returns what was done and said.
func (h *host) reap() (agent.Reaped, string) {
	h.t.Helper()
	var out bytes.Buffer
	done, err := h.agent().Reap(h.t.Context(), &out)
	if err != nil {
		h.t.Fatalf("Reap: %v\n%s", err, &out)
	}
	return done, out.String()
}

// wantReaped fails the test unless a Reap does that, and says the parts.
func (h *host) wantReaped(want agent.Reaped, parts ...string) {
	h.t.Helper()
	done, said := h.reap()
	if done != want {
		h.t.Fatalf("Reap did %+v, want %+v\n%s", done, want, said)
	}
	for _, part := range parts {
		if !strings.Contains(said, part) {
			h.t.Fatalf("Reap says %q, which lacks %q", said, part)
		}
	}
}

// files returns how many files a room of the state has.
func (h *host) files(room string) int {
	h.t.Helper()
	all, err := filepath.Glob(h.path(room + "/[^.]*")) // what a killed hook has begun to write is no record
	if err != nil {
		h.t.Fatal(err)
	}
	return len(all)
}

// wantFiles fails the test unless the rooms have that many files.
func (h *host) wantFiles(receipts, logons, sessions int) {
	h.t.Helper()
	for room, want := range map[string]int{"receipts": receipts, "logons": logons, "sessions": sessions} {
		if got := h.files(room); got != want {
			h.t.Fatalf("there are %d %s, want %d", got, room, want)
		}
	}
}
