//go:build linux

package xrdp_test

import (
	"bytes"
	"flag"
	"image"
	"image/png"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/restapi/wire"
	"calkeeper/test/machine"
)

// updateScreenshot is for `go test ./test/xrdp -run Refused -update-screenshot`.
var updateScreenshot = flag.Bool("update-screenshot", false, "write docs/refused-login.png anew")

// logon logs a user on, who is to get a desktop.
func (f *farm) logon(d *device, user string) {
	f.t.Helper()
	d.connect(user)
	f.awaitLogon(d, user)
}

// awaitLogon waits for the desktop of a user who logs on.
func (f *farm) awaitLogon(d *device, user string) {
	f.t.Helper()
	for attempt := 1; !d.awaitDesktop(); attempt++ {
		refusals := f.refusals(user)
		if attempt == attempts || len(refusals) == 0 || !tooLate(refusals[len(refusals)-1]) {
			f.t.Fatalf("%s was refused: %q", user, refusals)
		}
		d.connect(user)
	}
}

// wantRefused fails the test unless the device shows that the user is refused, the reason is in the log of xrdp-sesman, and
// nothing was started for the user. The message stays on the screen.
func (f *farm) wantRefused(d *device, user, reason string) {
	f.t.Helper()
	for attempt := 1; ; attempt++ {
		before := len(f.refusals(user))
		d.connect(user)
		d.awaitMessage()
		refusals := f.refusals(user)[before:]
		if len(refusals) == 1 && strings.HasPrefix(refusals[0], " at ip:"+d.address+": ") && strings.Contains(refusals[0], reason) {
			break
		}
		if attempt == attempts || len(refusals) != 1 || !tooLate(refusals[0]) {
			f.t.Fatalf("%s says %q, want a refusal at %s because of %q", sesmanLog, refusals, d.address, reason)
		}
	}
	// Each line in the window of xrdp is in its log as well.
	lines := strings.Split(f.read(xrdpLog), "xrdp_wm_log_msg: ")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "Reply from access control: Permission denied\n") {
		f.t.Errorf("the last line that xrdp has shown is %q", last)
	}
	if all := f.sessions(user); len(all) != 0 {
		f.t.Errorf("%s was refused and has the desktops %+v", user, all)
	}
}

// refusals returns what the agent has said each time that it refused a user, after the user's name.
func (f *farm) refusals(user string) (all []string) {
	f.t.Helper()
	for line := range strings.Lines(f.read(sesmanLog)) {
		if _, refusal, ok := strings.Cut(line, "PAM: No license for "+user); ok {
			all = append(all, refusal)
		}
	}
	return all
}

// tooLate tells whether the license server did not answer in the time that a logon may take. That is not wrong: the machine may
// be busy with other tests. The user tries again.
func tooLate(refusal string) bool { return strings.Contains(refusal, "did not answer in time") }

const attempts = 10

// await waits until the license server knows something. If the agent has put off to tell it, it runs what a timer runs on a
// session host.
func (f *farm) await(what string, ok func() bool) {
	f.t.Helper()
	machine.Await(f.t, what, func() bool {
		if log := f.read(sesmanLog); strings.Contains(log, " is confirmed later: ") || strings.Contains(log, " is ended later: ") {
			f.reap()
		}
		return ok()
	})
}

// awaitLease waits until the license server knows of one session, which is complete, and returns its lease.
func (f *farm) awaitLease(user, display string, d *device) (lease wire.Lease) {
	f.t.Helper()
	f.await("the license server has the lease of "+user+" on "+display+" from "+d.address, func() (ok bool) {
		lease, ok = f.lease(user, display, d)
		return ok
	})
	return lease
}

// awaitFree waits until no CAL is issued.
func (f *farm) awaitFree() {
	f.t.Helper()
	f.await("the CALs are free", func() bool {
		return len(f.leases()) == 0 && len(f.licenses()) == 0
	})
}

func (f *farm) lease(user, display string, d *device) (lease wire.Lease, ok bool) {
	f.t.Helper()
	leases := f.leases()
	if len(leases) != 1 {
		return lease, false
	}
	lease = leases[0]
	return lease, lease.Host == "rds1.example" && lease.User == user && lease.Session == display && !lease.Provisional &&
		lease.Device != nil && lease.Device.ID == "ip:"+d.address
}

// wantOneCAL fails the test unless just one CAL is issued, to that user.
func (f *farm) wantOneCAL(user string) {
	f.t.Helper()
	licenses := f.licenses()
	if len(licenses) != 1 || licenses[0].User != user || licenses[0].Type != "per-user" || licenses[0].Status != "concurrent" || licenses[0].KeyPackID != 3 {
		f.t.Errorf("the CALs that are issued are %+v, want one of key pack 3, for %s", licenses, user)
	}
}

// wantScreenshot waits until the device shows what docs/refused-login.png does, which somebody has read; or writes it.
func wantScreenshot(t *testing.T, d *device) {
	t.Helper()
	if *updateScreenshot {
		var message *image.RGBA
		d.await("the device shows a message", func(picture *image.RGBA) bool {
			message = window(picture)
			return textLines(message) >= messageLines
		})
		var text bytes.Buffer
		if err := png.Encode(&text, message); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(screenshot, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Open(screenshot)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	want, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	d.await("the device shows what is in "+screenshot, func(picture *image.RGBA) bool { return same(window(picture), want) })
}

// screenshot is a picture of a refused logon.
const screenshot = "../../docs/refused-login.png"

// reap runs what a timer runs on a session host.
func (f *farm) reap() {
	f.t.Helper()
	f.run("", "calkeeper", "agent", "reap", "--config", "/etc/calkeeper/agent.toml")
}

// wantAnswerInTime calls the agent as pam_exec does, and fails the test unless it refuses, and does so within 2 seconds:
// xrdp-sesman asks PAM for one user at a time. A machine that is busy with other tests may need another attempt.
func (f *farm) wantAnswerInTime(user string) {
	f.t.Helper()
	var took time.Duration
	for range 3 {
		cmd := exec.Command("calkeeper", "agent", "pam", "--config", "/etc/calkeeper/agent.toml")
		cmd.Env = []string{"PAM_SERVICE=xrdp-sesman", "PAM_TTY=xrdp-sesman", "PAM_USER=" + user, "PAM_TYPE=account"}
		begin := time.Now()
		out, err := cmd.CombinedOutput()
		took = time.Since(begin)
		if err == nil {
			f.t.Errorf("the agent let %s in\n%s", user, out)
		}
		if took < 2*time.Second {
			return
		}
	}
	f.t.Errorf("the agent took %v to answer", took)
}
