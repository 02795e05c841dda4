package agent_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/agent"
	"calkeeper/internal/licensing"
)

// wantDevice lets a user log on and fails the test unless the license server is told that device.
func (h *host) wantDevice(want licensing.Device, rhost string) {
	h.t.Helper()
	h.want(agent.ExitAllowed, nil, daemonPID, environ("account", "ada", "xrdp-sesman", rhost)...)
	var got licensing.Device
	for _, l := range h.server.snapshot() {
		if l.Device != nil {
			got = licensing.Device(*l.Device)
		}
	}
	if got != want {
		h.t.Errorf("PAM_RHOST %q: the device is %+v, want %+v", rhost, got, want)
	}
}

func TestDeviceOfRHost(t *testing.T) {
	for rhost, want := range map[string]licensing.Device{
		"192.0.2.7":              {ID: "ip:192.0.2.7"},
		"::ffff:192.0.2.7":       {ID: "ip:192.0.2.7"},
		"[2001:db8::7]":          {ID: "ip:2001:db8::7"},
		"2001:DB8:0::7":          {ID: "ip:2001:db8::7"},
		"fe80::1%eth0":           {ID: "ip:fe80::1"},
		"192.0.2.7:50000":        {ID: "ip:192.0.2.7"},
		"[2001:db8::7]:50000":    {ID: "ip:2001:db8::7"},
		"dev1.example":           {Name: "dev1.example"},
		"":                       {},
		strings.Repeat("d", 200): {},
		"a\x1bb":                 {},
	} {
		newHost(t, 1, "").wantDevice(want, rhost)
		if want.ID != "" {
			newHost(t, 1, "device = \"name\"").wantDevice(want, rhost)
		}
	}
}

// TestDeviceOfXRDP finds the client at the other end of xrdp's connections.
func TestDeviceOfXRDP(t *testing.T) {
	client := "[::ffff:192.0.2.7]:50000"
	found := licensing.Device{ID: "ip:192.0.2.7"}
	for name, c := range map[string]struct {
		logons func(*host)
		rhost  string
		want   licensing.Device
	}{
		"one logon":                {func(h *host) { h.front(6000, client, 40000, 0) }, "", found},
		"one that is not read yet": {func(h *host) { h.front(6000, client, 40000, 90) }, "", found},
		"another waits":            {func(h *host) { h.front(6000, client, 40000, 0); h.front(6001, "[2001:db8::8]:50000", 40002, 90) }, "", found},
		"which of two":             {func(h *host) { h.front(6000, client, 40000, 0); h.front(6001, "[2001:db8::8]:50000", 40002, 0) }, "", licensing.Device{}},
		"two of one device":        {func(h *host) { h.front(6000, client, 40000, 0); h.front(6001, "[::ffff:192.0.2.7]:50002", 40002, 0) }, "", found},
		"a second connection, not read yet": {func(h *host) {
			h.front(6000, client, 40000, 0)
			h.front(6001, "[2001:db8::8]:50000", 40002, 0)
			h.socket("[::1]:40004", "[::1]:3350", 0x01, 0, h.open(6001))
			h.socket("[::1]:3350", "[::1]:40004", 0x01, 90, h.open(daemonPID))
			h.tables()
		}, "", found},
		"a first connection, not read yet": {func(h *host) {
			h.front(6000, client, 40000, 0)
			h.front(6001, "[2001:db8::8]:50000", 40002, 90)
			h.socket("[::1]:40004", "[::1]:3350", 0x01, 0, h.open(6001))
			h.socket("[::1]:3350", "[::1]:40004", 0x01, 0, h.open(daemonPID))
			h.tables()
		}, "", found},
		"a name as well": {func(h *host) { h.front(6000, client, 40000, 0) }, "dev1.example", licensing.Device{ID: "ip:192.0.2.7", Name: "dev1.example"}},
		"xrdp-sesrun on this machine": {func(h *host) {
			h.front(6000, client, 40000, 90)
			h.run(6001, 1, "xrdp-sesrun", 6001)
			h.socket("[::1]:40002", "[::1]:3350", 0x01, 0, h.open(6001))
			h.socket("[::1]:3350", "[::1]:40002", 0x01, 0, h.open(daemonPID))
			h.tables()
		}, "", licensing.Device{ID: "ip:::1"}},
		"a server that has the client itself": {func(h *host) {
			h.socket("[::]:3389", "[::]:0", 0x0A, 0, h.open(1))
			h.socket("[::ffff:192.0.2.1]:3389", client, 0x01, 0, h.open(daemonPID))
			h.socket("[::ffff:192.0.2.1]:51000", "[::ffff:192.0.2.9]:3389", 0x01, 0, h.open(daemonPID)) // not a client: it is one
			h.socket("[::ffff:192.0.2.1]:3389", "[::ffff:192.0.2.6]:50000", 0x08, 0, h.open(daemonPID)) // gone
			h.tables()
		}, "", found},
		"nobody": {func(*host) {}, "", licensing.Device{}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, 1, "")
			c.logons(h)
			h.wantDevice(c.want, c.rhost)
		})
	}
	t.Run("by name", func(t *testing.T) {
		h := newHost(t, 1, "device = \"name\"")
		h.front(6000, client, 40000, 0)
		h.wantDevice(licensing.Device{Name: "dev1.example"}, "dev1.example")
		h.want(agent.ExitUnlicensed, []string{"grace at ip:192.0.2.7"}, daemonPID, environ("account", "grace", "", "")...)
	})
}

// TestDeviceSettles has a second xrdp that has connected, and not said yet what it wants: a moment later it waits.
func TestDeviceSettles(t *testing.T) {
	h := newHost(t, 1, "")
	h.front(6000, "[::ffff:192.0.2.7]:50000", 40000, 0)
	h.front(6001, "[2001:db8::8]:50000", 40002, 0)
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		waiting := strings.Join(h.tcp6, "\n")
		last := strings.LastIndex(waiting, "00000000:00000000 00:")
		text := waiting[:last] + "00000000:0000005A 00:" + waiting[last+len("00000000:00000000 00:"):]
		select {
		case <-stop:
		case <-time.After(20 * time.Millisecond):
		}
		path := filepath.Join(h.proc, fmt.Sprint(daemonPID), "net", "tcp6")
		if err := os.WriteFile(path+".new", []byte("header\n"+text+"\n"), 0o644); err != nil {
			t.Error(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Error(err)
		}
	}()
	defer func() { close(stop); <-stopped }()
	h.wantDevice(licensing.Device{ID: "ip:192.0.2.7"}, "")
}

// TestSearchIsBounded has more sockets and processes than can be looked at: the logon goes on without the address.
func TestSearchIsBounded(t *testing.T) {
	h := newHost(t, 1, "timeout = \"1500ms\"")
	h.front(6000, "[::ffff:192.0.2.7]:50000", 40000, 0)
	line := h.tcp6[len(h.tcp6)-1]
	h.write(fmt.Sprintf("%d/net/tcp", daemonPID), strings.Repeat(line+"\n", 16<<20/(len(line)+1)))
	began := time.Now()
	h.want(agent.ExitAllowed, nil, daemonPID, environ("account", "ada", "", "")...)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the hook took %v", took)
	}
	h.write(fmt.Sprintf("%d/net/tcp", daemonPID), strings.Repeat("x", 1<<20)) // one line
	h.want(agent.ExitAllowed, nil, daemonPID, environ("account", "ada", "", "")...)
}

func TestParseSocket(t *testing.T) {
	const line = "   1: 0100007F:0D16 020200C0:C350 01 00000000:0000005A 00:00000000 00000000   112        0 23456 1 0000000000000000 20 4 30 10 -1"
	local, remote, state, unread, inode, err := agent.ParseSocket([]byte(line))
	if err != nil || local != netip.MustParseAddrPort("127.0.0.1:3350") || remote != netip.MustParseAddrPort("192.0.2.2:50000") ||
		state != 1 || unread != 0x5A || inode != 23456 {
		t.Errorf("%v %v %d %d %d %v", local, remote, state, unread, inode, err)
	}
	for _, bad := range []string{
		"", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
		"1: 0100007F 020200C0:C350 01 0:0 0 0 112 0 23456", "1: 01007F:0D16 020200C0:C350 01 0:0 0 0 112 0 23456",
		"1: 0100007F:0D16 020200C0:C350 1FF 0:0 0 0 112 0 23456", "1: 0100007F:0D16 020200C0:1C350 01 0:0 0 0 112 0 23456",
		"1: 0100007F:0D16 020200C0:C350 01 0 0 0 112 0 23456", "1: 0100007F:0D16 020200C0:C350 01 0:0 0 0 112 0 -1",
	} {
		if _, _, _, _, _, err := agent.ParseSocket([]byte(bad)); err == nil {
			t.Errorf("%q was taken for a socket", bad)
		}
	}
}

func FuzzSocket(f *testing.F) {
	f.Add("   1: 0100007F:0D16 020200C0:C350 01 00000000:0000005A 00:00000000 00000000   112        0 23456 1")
	f.Add(socketLine(netip.MustParseAddrPort("[::1]:3350"), netip.MustParseAddrPort("[2001:db8::7]:1"), 10, 3, 7))
	f.Fuzz(func(t *testing.T, line string) {
		local, remote, state, unread, inode, err := agent.ParseSocket([]byte(line))
		if err != nil {
			return
		}
		if !local.IsValid() || !remote.IsValid() {
			t.Fatalf("%v, %v", local, remote)
		}
		if inode >= 1<<62 || unread >= 1<<32 {
			return // what follows writes them shorter
		}
		again := socketLine(local, remote, state, int(unread), inode)
		l, r, s, u, i, err := agent.ParseSocket([]byte(again))
		if err != nil || l != local || r != remote || s != state || u != unread || i != inode {
			t.Fatalf("%q is %v %v %d %d %d, and then %v %v %d %d %d, %v", line, local, remote, state, unread, inode, l, r, s, u, i, err)
		}
	})
}

func TestParseStat(t *testing.T) {
	p, parent, name, dead, err := agent.ParseStat([]byte(statOf(4711, 500, "a) Z 1 (b", 'S', 123456)))
	if err != nil || p.PID != 4711 || p.Start != 123456 || parent != 500 || name != "a) Z 1 (b" || dead {
		t.Errorf("%+v %d %q %v %v", p, parent, name, dead, err)
	}
	if _, _, _, dead, err := agent.ParseStat([]byte(statOf(1, 0, "x", 'Z', 1))); err != nil || !dead {
		t.Errorf("a zombie: %v, %v", dead, err)
	}
	for _, bad := range []string{"", "1", "1 x S 1", "1 (x) S 1 1", ") 1 (", "x " + statOf(1, 0, "x", 'S', 1)} {
		if _, _, _, _, err := agent.ParseStat([]byte(bad)); err == nil {
			t.Errorf("%q was taken for the state of a process", bad)
		}
	}
}

func FuzzStat(f *testing.F) {
	f.Add(statOf(4711, 500, "a) Z 1 (b", 'S', 123456))
	f.Add("1 () S")
	f.Fuzz(func(t *testing.T, text string) {
		p, parent, name, dead, err := agent.ParseStat([]byte(text))
		if err != nil || strings.ContainsAny(name, "\x00\n") || p.PID < 0 {
			return
		}
		state := byte('S')
		if dead {
			state = 'Z'
		}
		again, alsoParent, alsoName, alsoDead, err := agent.ParseStat([]byte(statOf(p.PID, parent, name, state, p.Start)))
		if err != nil || again.PID != p.PID || again.Start != p.Start || alsoParent != parent || alsoName != name || alsoDead != dead {
			t.Fatalf("%q is %+v %d %q, and then %+v %d %q, %v", text, p, parent, name, again, alsoParent, alsoName, err)
		}
	})
}
