package agent_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/agent"
	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
)

// TestReapKilledLeader has a session leader that was killed: nobody ever says that the session has ended.
func TestReapKilledLeader(t *testing.T) {
	h := newHost(t, 2, "")
	h.logon("ada", "192.0.2.7", ":10", 7001)
	h.logon("grace", "192.0.2.8", ":11", 7002)
	h.desktop(7101, 7001, ":10", "ada")
	h.desktop(7102, 7002, ":11", "grace")
	h.pass(50 * time.Minute)
	h.wantReaped(agent.Reaped{Renewed: 2}, "sessions that live, and keep their licenses: 2")
	for _, l := range h.server.snapshot() {
		if !l.Expires.Equal(h.now().Add(time.Hour)) {
			t.Errorf("the lease %+v was not renewed", l)
		}
	}

	// ada's leader is gone, and her desktop lives on, with a device that looks at it.
	h.kill(7001)
	h.desktop(7101, 1, ":10", "ada")
	h.write("net/unix", "Num RefCount Protocol Flags Type St Inode Path\n"+
		"0000000000000000: 00000002 00000000 00010000 0001 01 33001 /run/xrdp/sockdir/xrdp_display_10\n"+
		"0000000000000000: 00000003 00000000 00000000 0001 03 33002 /run/xrdp/sockdir/xrdp_display_10\n")
	h.wantReaped(agent.Reaped{Renewed: 2})
	// The device leaves: nobody can come to the desktop again.
	h.write("net/unix", "Num RefCount Protocol Flags Type St Inode Path\n"+
		"0000000000000000: 00000002 00000000 00010000 0001 01 33001 /run/xrdp/sockdir/xrdp_display_10\n"+
		"0000000000000000: 00000003 00000000 00000000 0001 03 33002 /run/xrdp/sockdir/xrdp_display_101\n"+
		"0000000000000000: 00000003 00000000 00000000 0001 03 33003 /tmp/xrdp/xrdp_display_10\n")
	h.wantReaped(agent.Reaped{Renewed: 1, Ended: 1, Forgotten: 1}, "ended the lease of ada's session :10: its leader, process 7001, is gone", "forgot ada's session :10")
	if l := h.server.snapshot(); len(l) != 1 || l[0].User != "grace" {
		t.Errorf("the leases are %+v", l)
	}
	h.wantFiles(0, 0, 1)
}

// TestReapNewLeader has a user who logs on again where the leader of the first session was killed: on the same display.
func TestReapNewLeader(t *testing.T) {
	h := newHost(t, 2, "")
	h.logon("ada", "192.0.2.7", ":10", 7001)
	h.kill(7001)
	h.logon("ada", "192.0.2.7", ":10", 7002)
	h.desktop(7102, 7002, ":10", "ada")
	h.write("net/unix", "Num RefCount Protocol Flags Type St Inode Path\n"+
		"0000000000000000: 00000003 00000000 00000000 0001 03 33002 /run/xrdp/sockdir/xrdp_display_10\n")
	h.wantFiles(0, 0, 2)
	h.wantReaped(agent.Reaped{Renewed: 1, Forgotten: 1}, "forgot ada's session :10")
	h.kill(7002)
	h.kill(7102)
	h.wantReaped(agent.Reaped{Ended: 1, Forgotten: 1})
}

// TestReapOtherProcesses has processes with the numbers of leaders that are gone.
func TestReapOtherProcesses(t *testing.T) {
	for name, change := range map[string]func(*host){
		"another process": func(h *host) { h.run(7001, 1, "bash", 999999) },
		"a zombie":        func(h *host) { h.write("7001/stat", statOf(7001, daemonPID, "xrdp-sesman", 'Z', 7001)) },
		"another start of the machine": func(h *host) {
			h.write("sys/kernel/random/boot_id", "f3a0b2c4-0000-4000-8000-000000000002\n")
		},
		"nothing to be read": func(h *host) { h.write("7001/stat", "") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, 1, "")
			h.logon("ada", "192.0.2.7", ":10", 7001)
			h.wantReaped(agent.Reaped{Renewed: 1})
			change(h)
			h.wantReaped(agent.Reaped{Ended: 1, Forgotten: 1})
		})
	}
}

// TestReapWithoutRecords has leases of sessions that the agent knows nothing of.
func TestReapWithoutRecords(t *testing.T) {
	for name, c := range map[string]struct {
		session string
		machine func(*host)
		age     time.Duration
		want    agent.Reaped
		says    string
	}{
		"a desktop of xrdp":           {":10", func(h *host) { h.desktop(7101, leaderPID, ":10", "ada") }, time.Hour, agent.Reaped{Renewed: 1}, "sessions that live"},
		"without a leader":            {":10", func(h *host) { h.desktop(7101, 1, ":10", "ada") }, time.Hour, agent.Reaped{Ended: 1}, "no such display"},
		"another's":                   {":10", func(h *host) { h.desktop(7101, leaderPID, ":10", "grace") }, time.Hour, agent.Reaped{Ended: 1}, "no such display"},
		"another display":             {":1", func(h *host) { h.desktop(7101, leaderPID, ":10", "ada") }, time.Hour, agent.Reaped{Ended: 1}, "no such display"},
		"no desktop":                  {":10", func(*host) {}, time.Hour, agent.Reaped{Ended: 1}, "no such display"},
		"no desktop yet":              {":10", func(*host) {}, time.Minute, agent.Reaped{}, "left ada's session :10 alone"},
		"a terminal":                  {"pts/3", func(*host) {}, time.Hour, agent.Reaped{}, "left ada's session pts/3 alone"},
		"a logon that is not through": {"", func(*host) {}, time.Hour, agent.Reaped{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, 1, "")
			h.server.leases = []*wire.Lease{{ID: 5, User: "ada", Session: c.session, Opened: h.now().Add(-c.age), Expires: h.now()}}
			c.machine(h)
			h.wantReaped(c.want, c.says)
		})
	}
}

// TestReapReusedDisplay has a display that is another user's by now.
func TestReapReusedDisplay(t *testing.T) {
	h := newHost(t, 2, "")
	h.logon("ada", "192.0.2.7", ":10", 7001)
	if err := os.RemoveAll(h.path("sessions")); err != nil {
		t.Fatal(err)
	}
	h.logon("grace", "192.0.2.8", ":10", 7002)
	h.wantReaped(agent.Reaped{Renewed: 1, Ended: 1}, "ended the lease of ada's session :10: it is grace's now")
	if l := h.server.snapshot(); len(l) != 1 || l[0].User != "grace" {
		t.Errorf("the leases are %+v", l)
	}
}

// TestReapTerms has a host whose users hold their CALs for a term: there are no leases.
func TestReapTerms(t *testing.T) {
	h := newHost(t, 1, "")
	h.server.term = true
	h.logon("ada", "192.0.2.7", ":10", 7001)
	h.wantReaped(agent.Reaped{Renewed: 1})
	if n := h.server.count("POST /v1/licenses/renew"); n != 1 {
		t.Errorf("renew was called %d times, want 1", n)
	}
	h.server.holders = map[string]bool{} // it has lapsed: the session gets another
	h.wantReaped(agent.Reaped{Renewed: 1})
	h.server.holders = map[string]bool{"grace@": true}
	h.wantReaped(agent.Reaped{Unlicensed: 1}, "ada's session :10 has no license: all CALs are in use")
	h.kill(7001)
	h.wantReaped(agent.Reaped{Forgotten: 1}, "forgot ada's session :10")
}

// TestReapOfflineLogons settles logons to sessions that were there already, and to sessions that have ended.
func TestReapOfflineLogons(t *testing.T) {
	h := newHost(t, 5, "")
	h.configure(h.offline(24))
	h.logon("ada", "192.0.2.7", ":10", 7001)
	h.logon("grace", "192.0.2.8", ":11", 7002)
	h.logon("alan", "192.0.2.6", ":12", 7003)
	h.server.down(true)
	h.want(agent.ExitAllowed, []string{"earlier"}, daemonPID, account("ada", "192.0.2.9")...) // to her desktop, from another device
	h.want(agent.ExitAllowed, []string{"later"}, 7002, environ("close_session", "grace", ":11", "")...)
	h.want(agent.ExitAllowed, []string{"earlier"}, daemonPID, account("grace", "192.0.2.8")...) // whose new session fails to start
	h.want(agent.ExitAllowed, []string{"later"}, 7003, environ("close_session", "alan", ":12", "")...)
	h.want(agent.ExitAllowed, []string{"earlier"}, daemonPID, account("alan", "192.0.2.6")...)
	h.run(7004, daemonPID, "xrdp-sesman", 7004)
	h.want(agent.ExitAllowed, []string{"later"}, 7004, environ("open_session", "alan", ":13", "")...)
	h.kill(7004) // has begun and ended, and nobody has said so
	h.wantFiles(3, 2, 4)
	h.server.down(false)
	h.wantReaped(agent.Reaped{Ended: 2, Renewed: 1, Settled: 1, Forgotten: 3}, "alan was let in on an earlier answer")
	h.wantFiles(3, 2, 1) // their sessions may come
	h.pass(11 * time.Minute)
	h.wantReaped(agent.Reaped{Renewed: 1, Settled: 2, Forgotten: 2}, "ada was let in", "grace was let in")
	h.wantFiles(3, 0, 1)
	l := h.server.snapshot()
	if len(l) != 1 || l[0].Session != ":10" || l[0].Device.ID != "ip:192.0.2.9" {
		t.Errorf("the leases are %+v, want ada's, at the device to which she went", l)
	}
}

// TestReapOfflineSessionBefore has a session that came and went offline, and a later one of the same user: what the first needed
// must not be asked for in place of the second's.
func TestReapOfflineSessionBefore(t *testing.T) {
	h := newHost(t, 5, "")
	h.configure(h.offline(24))
	h.want(agent.ExitAllowed, nil, daemonPID, account("ada", "192.0.2.7")...)
	h.server.down(true)
	h.want(agent.ExitAllowed, []string{"later"}, 7000, environ("open_session", "ada", ":10", "")...)
	h.kill(leaderPID)
	h.server.down(false)
	h.logon("ada", "192.0.2.8", ":11", 7002)
	asked := h.server.count("POST /v1/licenses")
	h.wantReaped(agent.Reaped{Renewed: 1, Forgotten: 1}, "forgot ada's session :10")
	if n := h.server.count("POST /v1/licenses"); n != asked {
		t.Errorf("the license server was asked %d times for a session that is over", n-asked)
	}
	if l := h.server.snapshot(); len(l) != 2 || !l[0].Provisional || l[1].Session != ":11" || l[1].Device.ID != "ip:192.0.2.8" {
		t.Errorf("the leases are %+v", l)
	}
}

// TestReapUnlicensedOffline has no CAL for who was let in.
func TestReapUnlicensedOffline(t *testing.T) {
	h := newHost(t, 1, "")
	h.configure(h.offline(24))
	h.logon("ada", "192.0.2.7", ":10", 7001)
	h.server.mu.Lock()
	h.server.leases[0].User = "grace" // who has the CAL by now
	h.server.leases[0].Session = ":99"
	h.server.mu.Unlock()
	h.server.down(true)
	h.want(agent.ExitAllowed, []string{"later"}, 7001, environ("close_session", "ada", ":10", "")...)
	h.want(agent.ExitAllowed, []string{"earlier"}, daemonPID, account("ada", "192.0.2.7")...)
	h.want(agent.ExitAllowed, []string{"later"}, leaderPID, environ("open_session", "ada", ":11", "")...)
	h.want(agent.ExitAllowed, []string{"earlier"}, daemonPID, account("ada", "192.0.2.8")...)
	h.server.down(false)
	h.pass(time.Minute)
	h.desktop(7109, leaderPID, ":99", "grace")
	h.wantReaped(agent.Reaped{Renewed: 1, Unlicensed: 1, Forgotten: 1}, "ada's session :11 has no license: all CALs are in use")
	h.pass(11 * time.Minute)
	h.wantReaped(agent.Reaped{Renewed: 1, Unlicensed: 1, Forgotten: 1}, "ada was let in on an earlier answer, and has no license")
	h.wantFiles(1, 0, 1)
	h.kill(leaderPID)
	h.desktop(7109, 7777, ":99", "grace")
	h.run(7777, 1, "xrdp-sesexec", 7777)
	h.wantReaped(agent.Reaped{Renewed: 1, Forgotten: 1}, "forgot ada's session :11")
}

// TestReapInterrupted lets each call of a Reap fail once: the next one does what is left.
func TestReapInterrupted(t *testing.T) {
	var stop int
	for stop = 1; ; stop++ {
		h := newHost(t, 5, "")
		h.configure(h.offline(24))
		h.logon("ada", "192.0.2.7", ":10", 7001)
		h.logon("grace", "192.0.2.8", ":11", 7002)
		h.server.down(true)
		h.want(agent.ExitAllowed, []string{"earlier"}, daemonPID, account("ada", "192.0.2.9")...)
		h.want(agent.ExitAllowed, []string{"later"}, 7002, environ("close_session", "grace", ":11", "")...)
		h.want(agent.ExitAllowed, []string{"earlier"}, daemonPID, account("grace", "192.0.2.8")...)
		h.run(7003, daemonPID, "xrdp-sesman", 7003)
		h.want(agent.ExitAllowed, []string{"later"}, 7003, environ("open_session", "grace", ":12", "")...)
		h.pass(11 * time.Minute)

		calls := 0
		h.server.answer(func(w http.ResponseWriter, _ *http.Request) bool {
			if calls++; calls == stop {
				problem(w, http.StatusServiceUnavailable, licensing.Unavailable, "ending", "")
			}
			return calls == stop
		})
		_, err := h.agent().Reap(t.Context(), &strings.Builder{})
		h.server.down(false)
		if calls > stop {
			t.Fatalf("after call %d found the license server away, %d more were made", stop, calls-stop)
		}
		if calls == stop && licensing.KindOf(err) != licensing.Unavailable {
			t.Fatalf("call %d failed: %v, want Unavailable", stop, err)
		}
		h.reap()
		h.reap()
		l := h.server.snapshot()
		if len(l) != 2 || l[0].Session != ":10" || l[0].Device.ID != "ip:192.0.2.9" || l[1].Session != ":12" {
			t.Fatalf("after call %d failed the leases are %+v", stop, l)
		}
		h.wantFiles(2, 0, 2)
		if calls < stop {
			break
		}
	}
	if stop < 5 {
		t.Errorf("a Reap makes %d calls only", stop-1)
	}
}

// TestCrash ends a hook at each of its steps, as the disk would find it, and finds the session nevertheless.
func TestCrash(t *testing.T) {
	leader := agent.Process{PID: leaderPID, Start: 4000}
	record := agent.SessionRecord{
		Session: ":10", User: "ada", Device: licensing.Device{ID: "ip:192.0.2.7"}, Leader: leader, Boot: "f3a0b2c4-0000-4000-8000-000000000001", Unsettled: true,
	}
	put := func(h *host, name string, v any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(h.path(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(h.path(name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		steps  func(*host)
		leases int
		want   agent.Reaped
	}{
		"after the answer, before the logon is noted": {func(h *host) {
			h.want(agent.ExitAllowed, nil, daemonPID, account("ada", "192.0.2.7")...)
			os.RemoveAll(h.path("logons"))
		}, 1, agent.Reaped{}},
		"after the session is noted": {func(h *host) {
			h.want(agent.ExitAllowed, nil, daemonPID, account("ada", "192.0.2.7")...)
			put(h, agent.SessionFile(record), record)
		}, 1, agent.Reaped{Settled: 1, Forgotten: 1}},
		"after the session is confirmed": {func(h *host) {
			h.want(agent.ExitAllowed, nil, leaderPID, environ("open_session", "ada", ":10", "192.0.2.7")...)
			put(h, agent.SessionFile(record), record)
		}, 1, agent.Reaped{Renewed: 1, Settled: 1}},
		"after the session is noted, with its leader": {func(h *host) {
			put(h, agent.SessionFile(record), record)
			h.kill(leaderPID)
		}, 0, agent.Reaped{Settled: 1, Forgotten: 1}},
		"before the session is released": {func(h *host) {
			h.want(agent.ExitAllowed, nil, leaderPID, environ("open_session", "ada", ":10", "192.0.2.7")...)
			h.kill(leaderPID)
		}, 0, agent.Reaped{Ended: 1, Forgotten: 1}},
		"after the session is released": {func(h *host) {
			h.want(agent.ExitAllowed, nil, leaderPID, environ("open_session", "ada", ":10", "192.0.2.7")...)
			h.server.mu.Lock()
			h.server.leases = nil
			h.server.mu.Unlock()
			h.kill(leaderPID)
		}, 0, agent.Reaped{Forgotten: 1}},
		"while a record is written": {func(h *host) {
			put(h, "sessions/.new-1", "half")
			if err := os.Chtimes(h.path("sessions/.new-1"), h.now(), h.now().Add(-2*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}, 0, agent.Reaped{}},
		"records that are none": {func(h *host) {
			put(h, "sessions/a", map[string]any{"session": "a\nb", "user": "ada", "leader": map[string]int{"pid": 1}})
			put(h, "sessions/b", map[string]any{"session": ":1", "user": "ada"})
			put(h, "logons/c", "x")
			put(h, "receipts/d", map[string]any{"user": ""})
		}, 0, agent.Reaped{Forgotten: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, 1, "")
			c.steps(h)
			h.pass(time.Hour)
			done, said := h.reap()
			if done != c.want {
				t.Errorf("Reap did %+v, want %+v\n%s", done, c.want, said)
			}
			if l := h.server.snapshot(); len(l) != c.leases {
				t.Errorf("the leases are %+v", l)
			}
			if left, _ := filepath.Glob(h.path("*/.new-*")); len(left) != 0 {
				t.Errorf("%v were left behind", left)
			}
		})
	}
}

// TestReapPages reads more leases than a page holds.
func TestReapPages(t *testing.T) {
	h := newHost(t, 1, "")
	h.server.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet {
			return false
		}
		after, limit := r.URL.Query().Get("after"), r.URL.Query().Get("limit")
		if limit != "1000" {
			t.Errorf("a page of %s was asked for", limit)
		}
		page := wire.LeasePage{Leases: []wire.Lease{{ID: 1, User: "ada", Session: ":10"}}, Next: 1}
		if after == "1" {
			page = wire.LeasePage{Leases: []wire.Lease{{ID: 2, User: "grace", Session: ":11"}}}
		}
		reply(w, http.StatusOK, page)
		return true
	})
	h.wantReaped(agent.Reaped{}) // both have ended meanwhile
	for id := 1; id <= 2; id++ {
		if n := h.server.count(fmt.Sprintf("DELETE /v1/leases/%d", id)); n != 1 {
			t.Errorf("lease %d was ended %d times", id, n)
		}
	}
}

// TestReapRefused reports that the license server does not take this host, and forgets nothing.
func TestReapRefused(t *testing.T) {
	h := newHost(t, 1, "")
	h.logon("ada", "192.0.2.7", ":10", 7001)
	h.kill(7001)
	h.server.answer(func(w http.ResponseWriter, _ *http.Request) bool {
		problem(w, http.StatusUnauthorized, licensing.Denied, "the token is not one of a session host", "")
		return true
	})
	if _, err := h.agent().Reap(t.Context(), &strings.Builder{}); licensing.KindOf(err) != licensing.Denied {
		t.Errorf("Reap: %v, want Denied", err)
	}
	h.wantFiles(0, 0, 1)
	// Only what concerns leases fails.
	h.server.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			problem(w, http.StatusTooManyRequests, licensing.Limited, "too many requests", "")
		}
		return r.Method == http.MethodDelete
	})
	if _, err := h.agent().Reap(t.Context(), &strings.Builder{}); licensing.KindOf(err) != licensing.Limited {
		t.Errorf("Reap: %v, want Limited", err)
	}
	h.wantFiles(0, 0, 1)
	h.server.answer(nil)
	h.wantReaped(agent.Reaped{Ended: 1, Forgotten: 1})
}
