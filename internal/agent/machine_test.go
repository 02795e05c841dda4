package agent_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// machine is a session host: a directory that looks like /proc.
type machine struct {
	t     testing.TB
	proc  string
	tcp6  []string
	inode uint64
}

// Processes of every machine here.
const (
	daemonPID = 500  // xrdp-sesman
	leaderPID = 7000 // the process that it forks for a session
)

func newMachine(t testing.TB) *machine {
	t.Helper()
	m := &machine{t: t, proc: t.TempDir(), inode: 9000}
	m.write("sys/kernel/random/boot_id", "f3a0b2c4-0000-4000-8000-000000000001\n")
	m.write("net/unix", "Num       RefCount Protocol Flags    Type St Inode Path\n")
	m.run(1, 0, "systemd", 1)
	m.run(daemonPID, 1, "xrdp-sesman", 100)
	m.run(leaderPID, daemonPID, "xrdp-sesman", 4000)
	m.tables()
	return m
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	path := filepath.Join(m.proc, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// run adds a process. Its arguments are words; an environment is given by setenv.
func (m *machine) run(pid, parent int, name string, start uint64, args ...string) {
	m.t.Helper()
	dir := strconv.Itoa(pid)
	m.write(dir+"/stat", statOf(pid, parent, name, 'S', start))
	m.write(dir+"/cmdline", strings.Join(append(args, ""), "\x00"))
	m.write(dir+"/environ", "PATH=/bin\x00")
	if err := os.MkdirAll(filepath.Join(m.proc, dir, "fd"), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

func statOf(pid, parent int, name string, state byte, start uint64) string {
	return fmt.Sprintf("%d (%s) %c %d 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 %d 1000 100 18446744073709551615\n", pid, name, state, parent, start)
}

func (m *machine) setenv(pid int, variables ...string) {
	m.t.Helper()
	m.write(strconv.Itoa(pid)+"/environ", strings.Join(variables, "\x00")+"\x00")
}

func (m *machine) kill(pid int) {
	m.t.Helper()
	if err := os.RemoveAll(filepath.Join(m.proc, strconv.Itoa(pid))); err != nil {
		m.t.Fatal(err)
	}
}

// open lets a process have a socket, and returns the inode.
func (m *machine) open(pid int) uint64 {
	m.t.Helper()
	m.inode++
	fd := filepath.Join(m.proc, strconv.Itoa(pid), "fd", strconv.FormatUint(m.inode, 10))
	if err := os.Symlink(fmt.Sprintf("socket:[%d]", m.inode), fd); err != nil {
		m.t.Fatal(err)
	}
	return m.inode
}

func (m *machine) socket(local, remote string, state uint8, unread int, inode uint64) {
	m.tcp6 = append(m.tcp6, socketLine(netip.MustParseAddrPort(local), netip.MustParseAddrPort(remote), state, unread, inode))
}

func socketLine(local, remote netip.AddrPort, state uint8, unread int, inode uint64) string {
	return fmt.Sprintf("%4d: %s %s %02X 00000000:%08X 00:00000000 00000000 %5d        0 %d 1 0000000000000000 100 0 0 10 0",
		inode%1000, kernelAddress(local), kernelAddress(remote), state, unread, os.Getuid(), inode)
}

// kernelAddress writes an address as /proc/net/tcp6 does.
func kernelAddress(a netip.AddrPort) string {
	b := a.Addr().As16()
	for i := 0; i < 16; i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	return fmt.Sprintf("%s:%04X", strings.ToUpper(hex.EncodeToString(b[:])), a.Port())
}

// tables writes the sockets for all processes.
func (m *machine) tables() {
	m.t.Helper()
	header := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	dirs, err := filepath.Glob(filepath.Join(m.proc, "[0-9]*"))
	if err != nil {
		m.t.Fatal(err)
	}
	for _, dir := range dirs {
		m.write(filepath.Base(dir)+"/net/tcp", header)
		m.write(filepath.Base(dir)+"/net/tcp6", header+strings.Join(m.tcp6, "\n")+"\n")
	}
}

// front is a child of xrdp with a client, which asks xrdp-sesman; unread is what that has not read of its question.
func (m *machine) front(pid int, client string, port uint16, unread int) {
	m.t.Helper()
	if len(m.tcp6) == 0 {
		m.socket("[::]:3389", "[::]:0", 0x0A, 0, m.open(1))
		m.socket("[::1]:3350", "[::]:0", 0x0A, 0, m.open(daemonPID))
	}
	m.run(pid, 1, "xrdp", uint64(pid))
	m.socket("[::ffff:192.0.2.1]:3389", client, 0x01, 0, m.open(pid))
	own := fmt.Sprintf("[::1]:%d", port)
	m.socket(own, "[::1]:3350", 0x01, 0, m.open(pid))
	m.socket("[::1]:3350", own, 0x01, unread, m.open(daemonPID))
	m.tables()
}

// desktop is an X server, a child of that process.
func (m *machine) desktop(pid, parent int, display, user string) {
	m.t.Helper()
	m.run(pid, parent, "Xorg", uint64(pid), "/usr/lib/xorg/Xorg", display, "-auth", ".Xauthority", "-config", "xrdp/xorg.conf")
	m.setenv(pid, "HOME=/home/"+user, "USER="+user, "DISPLAY="+display)
}
