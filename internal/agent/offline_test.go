package agent_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/agent"
	"calkeeper/internal/licensing"
)

// account returns how PAM asks for a user at an address.
func account(user, address string) []string { return environ("account", user, "xrdp-sesman", address) }

// TestOffline allows logons on an earlier answer, for as long as the policy says, and for nobody else.
func TestOffline(t *testing.T) {
	h := newHost(t, 5, "")
	h.configure(h.offline(24))
	h.want(agent.ExitAllowed, nil, daemonPID, account("ada", "192.0.2.7")...)
	h.wantFiles(1, 1, 0)
	h.server.down(true)
	h.pass(23 * time.Hour)
	h.want(agent.ExitAllowed, []string{"ada is let in on an earlier answer: the license server at"}, daemonPID, account("ada", "192.0.2.8")...)
	h.want(agent.ExitAllowed, []string{"earlier answer"}, daemonPID, account("ADA", "192.0.2.8")...) // another spelling
	h.want(agent.ExitUnreachable, []string{"No license for grace at ip:192.0.2.7", "no earlier answer for this user"}, daemonPID, account("grace", "192.0.2.7")...)
	h.pass(2 * time.Hour)
	h.want(agent.ExitUnreachable, []string{"more than 24 hours ago"}, daemonPID, account("ada", "192.0.2.8")...)
	h.configure(h.offline(48))
	h.want(agent.ExitAllowed, []string{"earlier answer"}, daemonPID, account("ada", "192.0.2.8")...)
	h.configure("")
	h.want(agent.ExitUnreachable, []string{"not allowed (offline = \"deny\")"}, daemonPID, account("ada", "192.0.2.8")...)
}

// TestOfflineByDevice has CALs that devices hold: an answer for one is none for another.
func TestOfflineByDevice(t *testing.T) {
	h := newHost(t, 5, "")
	h.server.mode = "per-device"
	h.configure(h.offline(24))
	h.want(agent.ExitAllowed, nil, daemonPID, account("ada", "192.0.2.7")...)
	h.server.down(true)
	h.want(agent.ExitAllowed, []string{"earlier answer"}, daemonPID, account("ada", "192.0.2.7")...)
	h.want(agent.ExitUnreachable, []string{"no earlier answer"}, daemonPID, account("ada", "192.0.2.8")...)
	h.want(agent.ExitUnreachable, []string{"no earlier answer"}, daemonPID, account("ada", "")...)
	h.want(agent.ExitUnreachable, []string{"no earlier answer"}, daemonPID, account("grace", "192.0.2.7")...)
}

// TestUnreachable are answers that are none.
func TestUnreachable(t *testing.T) {
	h := newHost(t, 5, "")
	h.configure(h.offline(24))
	h.want(agent.ExitAllowed, nil, daemonPID, account("ada", "192.0.2.7")...)
	h.configure(h.offline(24) + "timeout = \"200ms\"")
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"internal": func(w http.ResponseWriter, _ *http.Request) bool {
			problem(w, 500, licensing.Internal, "internal error", "")
			return true
		},
		"unavailable": func(w http.ResponseWriter, _ *http.Request) bool {
			problem(w, 503, licensing.Unavailable, "starting", "")
			return true
		},
		"proxy": func(w http.ResponseWriter, _ *http.Request) bool {
			http.Error(w, "bad gateway", http.StatusBadGateway)
			return true
		},
		"not the API":  func(w http.ResponseWriter, _ *http.Request) bool { w.Write([]byte("<html>")); return true },
		"half of it":   func(w http.ResponseWriter, _ *http.Request) bool { w.Write([]byte(`{"outcome":"held"`)); return true },
		"disconnected": func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
		"silent": func(_ http.ResponseWriter, r *http.Request) bool {
			io.Copy(io.Discard, r.Body) // only then does it notice that the client is gone
			<-r.Context().Done()
			return true
		},
	} {
		h.server.answer(answer)
		if code, line := h.hook(daemonPID, account("ada", "192.0.2.7")...); code != agent.ExitAllowed || !strings.Contains(line, "earlier answer") {
			t.Errorf("%s: exit code %d, %q", name, code, line)
		}
		if code, line := h.hook(daemonPID, account("grace", "192.0.2.7")...); code != agent.ExitUnreachable {
			t.Errorf("%s: exit code %d, %q", name, code, line)
		}
	}
}

// TestClockSetBack does not let an old answer be young again.
func TestClockSetBack(t *testing.T) {
	h := newHost(t, 5, "")
	h.configure(h.offline(1))
	h.want(agent.ExitAllowed, nil, daemonPID, account("ada", "192.0.2.7")...)
	h.pass(3 * time.Hour)
	h.want(agent.ExitAllowed, nil, daemonPID, account("grace", "192.0.2.7")...) // so late it has been
	h.server.down(true)
	h.pass(-150 * time.Minute)
	h.want(agent.ExitUnreachable, []string{"the clock was set back"}, daemonPID, account("ada", "192.0.2.7")...)
	h.pass(148 * time.Minute) // as far as a clock may be corrected
	h.want(agent.ExitAllowed, []string{"earlier answer"}, daemonPID, account("grace", "192.0.2.7")...)
	h.pass(-4 * time.Hour) // before the answers
	if err := os.Remove(h.path("clock")); err != nil {
		t.Fatal(err)
	}
	h.want(agent.ExitUnreachable, []string{"of the future"}, daemonPID, account("ada", "192.0.2.7")...)
	// An answer of the license server is true whatever the clock says, and sets it right.
	h.server.down(false)
	h.want(agent.ExitAllowed, nil, daemonPID, account("ada", "192.0.2.7")...)
}

// TestUselessReceipts says at once when the pinned key is not the license server's.
func TestUselessReceipts(t *testing.T) {
	h := newHost(t, 5, "")
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h.configure(h.offline(24))
	h.server.receiptKey = other
	h.want(agent.ExitAllowed, []string{"could not log on while the license server cannot be reached", "not signed with this license server's key"},
		daemonPID, account("ada", "192.0.2.7")...)
	h.wantFiles(0, 1, 0)
	h.server.down(true)
	h.want(agent.ExitUnreachable, []string{"no earlier answer"}, daemonPID, account("ada", "192.0.2.7")...)
}

// TestForgedReceipts changes what is on the disk.
func TestForgedReceipts(t *testing.T) {
	h := newHost(t, 5, "")
	h.configure(h.offline(24))
	h.want(agent.ExitAllowed, nil, daemonPID, account("ada", "192.0.2.7")...)
	h.want(agent.ExitAllowed, nil, daemonPID, account("grace", "192.0.2.8")...)
	h.server.mode = "per-device"
	h.want(agent.ExitAllowed, nil, daemonPID, account("alan", "192.0.2.9")...)
	h.server.down(true)

	path := func(licenseType, user, address string) string {
		return h.path(agent.ReceiptFile(agent.ReceiptRecord{Type: licenseType, User: user, Device: licensing.Device{ID: "ip:" + address}}))
	}
	read := func(path string) (r agent.ReceiptRecord) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	ada, grace, alan := path("per-user", "ada", ""), path("per-user", "grace", ""), path("per-device", "alan", "192.0.2.9")
	for name, c := range map[string]struct {
		path string
		of   string // whose record is changed
		user string
		f    func(*agent.ReceiptRecord)
	}{
		"another's":                  {ada, grace, "ada", func(*agent.ReceiptRecord) {}},
		"another's under her name":   {ada, grace, "ada", func(r *agent.ReceiptRecord) { r.User = "ada" }},
		"a device's made a user's":   {ada, alan, "ada", func(r *agent.ReceiptRecord) { r.User, r.Type = "ada", "per-user" }},
		"a changed signature":        {ada, ada, "ada", func(r *agent.ReceiptRecord) { r.Receipt += "A" }},
		"no receipt":                 {ada, ada, "ada", func(r *agent.ReceiptRecord) { r.Receipt = "" }},
		"of no type":                 {ada, ada, "ada", func(r *agent.ReceiptRecord) { r.Type = "" }},
		"another device's":           {path("per-device", "alan", "192.0.2.10"), alan, "alan", func(r *agent.ReceiptRecord) { r.Device.ID = "ip:192.0.2.10" }},
		"no device":                  {alan, alan, "alan", func(r *agent.ReceiptRecord) { r.Device = licensing.Device{} }},
		"a user who cannot be right": {ada, ada, "ada", func(r *agent.ReceiptRecord) { r.User = "a\nb" }},
	} {
		before, err := os.ReadFile(c.path)
		existed := err == nil
		r := read(c.of)
		c.f(&r)
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(c.path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		address := "192.0.2.7"
		if c.user == "alan" {
			address = "192.0.2.10"
		}
		if c.path == alan {
			address = "192.0.2.9"
		}
		if code, line := h.hook(daemonPID, account(c.user, address)...); code != agent.ExitUnreachable {
			t.Errorf("%s: exit code %d, %q", name, code, line)
		}
		if err := os.Remove(c.path); err != nil {
			t.Fatal(err)
		}
		if existed {
			if err := os.WriteFile(c.path, before, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.want(agent.ExitAllowed, []string{"earlier answer"}, daemonPID, account("ada", "192.0.2.7")...)
	h.want(agent.ExitAllowed, []string{"earlier answer"}, daemonPID, account("alan", "192.0.2.9")...)
}

// TestUnnotedOffline refuses what it could not tell the license server of later.
func TestUnnotedOffline(t *testing.T) {
	h := newHost(t, 5, "")
	h.configure(h.offline(24))
	h.want(agent.ExitAllowed, nil, daemonPID, account("ada", "192.0.2.7")...)
	h.server.down(true)
	if err := os.RemoveAll(h.path("logons")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.path("logons"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.want(agent.ExitUnreachable, []string{"logons"}, daemonPID, account("ada", "192.0.2.7")...)
}

// TestOfflineSession lets a session begin, and end, without the license server, which learns of it later.
func TestOfflineSession(t *testing.T) {
	h := newHost(t, 5, "")
	h.configure(h.offline(24))
	h.want(agent.ExitAllowed, nil, daemonPID, account("ada", "192.0.2.7")...)
	h.pass(2 * time.Hour)
	h.server.mu.Lock()
	h.server.leases = nil // it has lapsed
	h.server.mu.Unlock()
	h.server.down(true)
	h.want(agent.ExitAllowed, []string{"earlier answer"}, daemonPID, account("ada", "192.0.2.7")...)
	h.want(agent.ExitAllowed, []string{"ada's session :10 is confirmed later"}, leaderPID, environ("open_session", "ada", ":10", "")...)
	h.wantFiles(1, 0, 1)
	if _, err := h.agent().Reap(t.Context(), &strings.Builder{}); licensing.KindOf(err) != licensing.Unavailable {
		t.Errorf("Reap: %v, want Unavailable", err)
	}
	h.wantFiles(1, 0, 1)

	h.server.down(false)
	h.pass(3 * time.Second)
	h.wantReaped(agent.Reaped{Settled: 1}, "ada's session :10 is confirmed now")
	if l := h.server.snapshot(); len(l) != 1 || l[0].Session != ":10" || l[0].Provisional || l[0].Device.ID != "ip:192.0.2.7" {
		t.Fatalf("the leases are %+v", l)
	}
	h.wantReaped(agent.Reaped{Renewed: 1})

	h.server.down(true)
	h.want(agent.ExitAllowed, []string{"ada's session :10 is ended later"}, leaderPID, environ("close_session", "ada", ":10", "")...)
	h.server.down(false)
	h.wantReaped(agent.Reaped{Ended: 1, Forgotten: 1}, "it was closed") // although its leader lives
	if l := h.server.snapshot(); len(l) != 0 {
		t.Fatalf("the leases are %+v", l)
	}
	h.wantFiles(1, 0, 0)
}

// TestOfflineSessionEnds lets the license server come back before the session ends, and before anybody has told it of the session.
func TestOfflineSessionEnds(t *testing.T) {
	h := newHost(t, 5, "")
	h.server.term = true
	h.configure(h.offline(24))
	h.want(agent.ExitAllowed, nil, daemonPID, account("ada", "192.0.2.7")...)
	h.server.down(true)
	h.want(agent.ExitAllowed, []string{"earlier"}, daemonPID, account("ada", "192.0.2.7")...)
	h.want(agent.ExitAllowed, []string{"later"}, leaderPID, environ("open_session", "ada", ":10", "")...)
	h.server.down(false)
	h.server.holders = map[string]bool{}
	h.want(agent.ExitAllowed, nil, leaderPID, environ("close_session", "ada", ":10", "")...)
	h.wantFiles(1, 0, 1)
	h.wantReaped(agent.Reaped{Settled: 1, Forgotten: 1}, "ada was let in on an earlier answer: the license server knows it now")
	if !h.server.holders["ada@"] {
		t.Error("ada's CAL was not counted")
	}
	h.wantFiles(1, 0, 0)
}

// TestOpenWithoutAccount asks the policy where the account phase has said nothing.
func TestOpenWithoutAccount(t *testing.T) {
	h := newHost(t, 5, "")
	h.server.down(true)
	h.want(agent.ExitUnreachable, []string{"offline = \"deny\""}, leaderPID, environ("open_session", "ada", ":10", "")...)
	h.wantFiles(0, 0, 0)
	h.server.down(false)
	h.want(agent.ExitAllowed, nil, daemonPID, account("ada", "192.0.2.7")...)
	h.server.down(true)
	h.pass(11 * time.Minute) // too late to belong to that
	h.want(agent.ExitUnreachable, []string{"offline = \"deny\""}, leaderPID, environ("open_session", "ada", ":10", "")...)
	h.server.down(false)
	h.want(agent.ExitAllowed, nil, daemonPID, account("ada", "192.0.2.7")...)
	h.server.down(true)
	h.want(agent.ExitAllowed, []string{"confirmed later"}, leaderPID, environ("open_session", "ada", ":10", "")...)
}

// FuzzReceiptRecord puts anything where an earlier answer is kept: without the license server's signature nobody gets in.
func FuzzReceiptRecord(f *testing.F) {
	f.Add([]byte(`{"user":"ada","device":{"id":"ip:192.0.2.7"},"type":"per-user","at":"2026-11-22T08:00:00Z","receipt":"a.b.c"}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`null`))
	f.Add([]byte("{\"type\":\"per-user\",\"user\":\"ada\",\"receipt\":\"\"}"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := agent.ParseConfig([]byte("url = \"http://127.0.0.1:1/v1\"\ntoken = \"x\"\noffline = \"allow\"\noffline-hours = 1\n" +
			"server-key = \"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\nstate-dir = \"" + dir + "\""))
		if err != nil {
			t.Fatal(err)
		}
		for _, licenseType := range []string{"per-user", "per-device"} {
			path := filepath.Join(dir, agent.ReceiptFile(agent.ReceiptRecord{Type: licenseType, User: "ada"}))
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		a, err := agent.New(c, agent.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if a.AllowedOffline("ada", licensing.Device{}, time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)) {
			t.Fatalf("%q lets ada in", text)
		}
	})
}
