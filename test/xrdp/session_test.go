//go:build linux

package xrdp_test

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"calkeeper/test/machine"
)

// session is a desktop on the session host.
type session struct {
	display string // such as ":10"
	leader  int    // the process of xrdp-sesman that has opened the session with PAM, and closes it
	x, wm   int    // its children: the X server, and what the user's .xsession has become
}

// sessions returns the desktops of a user. The session leader of one that nobody leads any more is 1.
func (h *sessionHost) sessions(name string) []session {
	h.t.Helper()
	var all []session
	wm := map[int]int{} // by session leader
	for _, p := range processes(h.t, name) {
		switch filepath.Base(p.args[0]) {
		case "Xorg":
			all = append(all, session{display: p.args[1], leader: p.parent, x: p.id})
		case "xterm":
			wm[p.parent] = p.id
		}
	}
	for i := range all {
		all[i].wm = wm[all[i].leader]
	}
	return all
}

// session returns the only desktop of a user.
func (h *sessionHost) session(name string) session {
	h.t.Helper()
	all := h.sessions(name)
	if len(all) != 1 {
		h.t.Fatalf("%s has the desktops %+v, want one", name, all)
	}
	return all[0]
}

// logout ends a session as its user does.
func (h *sessionHost) logout(s session) {
	h.t.Helper()
	end(h.t, s.wm, syscall.SIGTERM)
	machine.Await(h.t, "the X server of the session ends", func() bool { return !exists(filepath.Join("/proc", strconv.Itoa(s.x))) })
}

func end(t *testing.T, id int, signal syscall.Signal) {
	t.Helper()
	if id <= 1 {
		t.Fatalf("there is no process %d to end", id)
	}
	if err := syscall.Kill(id, signal); err != nil {
		t.Fatal(err)
	}
}

// process is one that runs.
type process struct {
	id, parent int
	args       []string
}

// processes returns those of a user.
func processes(t *testing.T, name string) []process {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var all []process
	for _, entry := range entries {
		status, err := os.ReadFile(filepath.Join(entry, "status"))
		if err != nil {
			continue // it has just ended
		}
		args, err := os.ReadFile(filepath.Join(entry, "cmdline"))
		if err != nil || len(args) == 0 { // a zombie has none
			continue
		}
		var p process
		owner := ""
		for line := range strings.Lines(string(status)) {
			switch f := strings.Fields(line); f[0] {
			case "Pid:":
				p.id, err = strconv.Atoi(f[1])
			case "PPid:":
				p.parent, err = strconv.Atoi(f[1])
			case "Uid:":
				owner = f[1]
			}
			if err != nil {
				t.Fatalf("%s/status: %v", entry, err)
			}
		}
		if owner == u.Uid {
			p.args = strings.Split(strings.TrimSuffix(string(args), "\x00"), "\x00")
			all = append(all, p)
		}
	}
	return all
}
