//go:build linux

package xrdp_test

import (
	"embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"calkeeper/test/machine"
)

//go:embed testdata
var testdata embed.FS

const sesmanLog, xrdpLog = "/var/log/xrdp-sesman.log", "/var/log/xrdp.log"

// sessionHost is Debian's xrdp on this machine, with the agent in its PAM stanza.
type sessionHost struct{ t *testing.T }

func newSessionHost(t *testing.T, token string) *sessionHost {
	t.Helper()
	h := &sessionHost{t: t}
	h.write("/etc/calkeeper/token", []byte(token), 0o600)
	h.configureAgent(apiURL, "")
	h.copy("deny-all.conf", "/etc/calkeeper/deny-all.conf", 0o644)
	h.copy("xrdp-sesman", "/etc/pam.d/xrdp-sesman", 0o644)
	for _, name := range []string{"ada", "grace"} {
		h.addUser(name)
	}
	// Debian's, but for two things: the session type is not asked for, and the user sees what PAM says.
	h.edit("/etc/xrdp/xrdp.ini", "\nautorun=\n", "\nautorun=Xorg\n",
		"\n[Xorg]\n", "\n[Xorg]\npamusername=same\npampassword=same\npamsessionmng=127.0.0.1\n")
	h.run("", "gpasswd", "--add", "xrdp", "ssl-cert") // as Debian's documentation says: else it cannot read its key
	h.write(xrdpLog, nil, 0o640)
	h.run("", "chown", "xrdp", xrdpLog)
	h.run("", "sh", "/usr/share/xrdp/socksetup")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s:\n%s\n%s:\n%s", sesmanLog, h.read(sesmanLog), xrdpLog, h.read(xrdpLog))
		}
	})
	machine.Start(t, nil, "xrdp-sesman", "--nodaemon")
	machine.Start(t, nil, "setpriv", "--reuid", "xrdp", "--regid", "xrdp", "--init-groups", "xrdp", "--nodaemon")
	machine.Await(t, "xrdp listens", func() bool {
		return (listens("[::1]:3350") || listens("127.0.0.1:3350")) && strings.Contains(h.read(xrdpLog), "listening to port 3389")
	})
	return h
}

func listens(address string) bool {
	c, err := net.Dial("tcp", address)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// configureAgent writes agent.toml; more is what is not the same in all tests.
func (h *sessionHost) configureAgent(url, more string) {
	h.t.Helper()
	h.write("/etc/calkeeper/agent.toml", fmt.Appendf(nil, "url = %q\ntoken-file = \"token\"\nstate-dir = \"/run/calkeeper-agent\"\n%s\n", url, more), 0o644)
}

// addUser makes a user whose desktop is that of testdata.
func (h *sessionHost) addUser(name string) {
	h.t.Helper()
	if _, err := user.Lookup(name); err == nil {
		h.run("", "userdel", "--force", name) // this test's /etc is a copy
	}
	h.run("", "useradd", "--create-home", "--shell", "/bin/sh", name)
	h.run(name+":"+password+"\n", "chpasswd")
	h.copy("xsession", filepath.Join("/home", name, ".xsession"), 0o755)
}

func (h *sessionHost) run(input, name string, args ...string) string {
	h.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func (h *sessionHost) write(path string, text []byte, mode os.FileMode) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, text, mode); err != nil {
		h.t.Fatal(err)
	}
}

func (h *sessionHost) read(path string) string {
	h.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

func (h *sessionHost) copy(name, path string, mode os.FileMode) {
	h.t.Helper()
	text, err := testdata.ReadFile("testdata/" + name)
	if err != nil {
		h.t.Fatal(err)
	}
	h.write(path, text, mode)
}

// edit replaces in a file each text that is followed by another.
func (h *sessionHost) edit(path string, texts ...string) {
	h.t.Helper()
	text := h.read(path)
	for i := 0; i < len(texts); i += 2 {
		if strings.Count(text, texts[i]) != 1 {
			h.t.Fatalf("%s has not exactly one %q", path, texts[i])
		}
		text = strings.Replace(text, texts[i], texts[i+1], 1)
	}
	h.write(path, []byte(text), 0o644)
}
