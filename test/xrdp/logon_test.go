//go:build linux

package xrdp_test

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"calkeeper/test/machine"
)

// TestRefusedWithoutFreeCAL has one CAL for two users: who comes first gets it, and the other when the first has logged off.
func TestRefusedWithoutFreeCAL(t *testing.T) {
	isolated(t, func(t *testing.T) {
		f := newFarm(t, "per-user", "1")
		desk, sofa := newDevice(t, 11), newDevice(t, 12)

		f.logon(desk, "ada")
		session := f.session("ada")
		f.awaitLease("ada", session.display, desk)
		f.wantOneCAL("ada")

		f.wantRefused(sofa, "grace", "(no-free-cal)")
		wantScreenshot(t, sofa)
		denials := f.denials()
		if len(denials) == 0 {
			t.Error("the license server has no denial")
		}
		for _, d := range denials {
			if d.User != "grace" || d.Device == nil || d.Device.ID != "ip:"+sofa.address || d.Host != "rds1.example" || d.Type != "per-user" || d.Reason != "no-free-cal" {
				t.Errorf("a denial is %+v, of %+v", d, d.Device)
			}
		}
		f.wantOneCAL("ada")

		f.logout(session)
		f.awaitFree()
		f.logon(sofa, "grace")
		f.awaitLease("grace", f.session("grace").display, sofa)
		f.wantOneCAL("grace")
	})
}

// TestReconnectAndTakeover has one CAL for a user with two devices, who changes between them.
func TestReconnectAndTakeover(t *testing.T) {
	isolated(t, func(t *testing.T) {
		f := newFarm(t, "per-user", "1")
		desk, sofa := newDevice(t, 11), newDevice(t, 12)
		f.logon(desk, "ada")
		session := f.session("ada")
		lease := f.awaitLease("ada", session.display, desk)

		// A disconnected session holds its CAL.
		desk.disconnect()
		f.wantOneCAL("ada")
		f.wantRefused(sofa, "grace", "(no-free-cal)")

		f.logon(desk, "ada")
		if again := f.awaitLease("ada", session.display, desk); again.ID != lease.ID {
			t.Errorf("after the reconnection the lease is %d, want %d as before", again.ID, lease.ID)
		}

		// xrdp throws the first device out.
		f.logon(sofa, "ada")
		desk.ended()
		if again := f.awaitLease("ada", session.display, sofa); again.ID != lease.ID {
			t.Errorf("after the takeover the lease is %d, want %d as before", again.ID, lease.ID)
		}
		f.wantOneCAL("ada")
		if now := f.session("ada"); now != session {
			t.Errorf("the desktop was %+v and is %+v", session, now)
		}

		f.logout(session)
		f.awaitFree()
	})
}

// TestDevicesCount has one CAL for two devices, on a session host that counts by device.
func TestDevicesCount(t *testing.T) {
	isolated(t, func(t *testing.T) {
		f := newFarm(t, "per-device", "1")
		desk, sofa := newDevice(t, 11), newDevice(t, 12)
		f.logon(desk, "ada")
		f.awaitLease("ada", f.session("ada").display, desk)
		f.wantRefused(sofa, "grace", "(no-free-cal)")

		// Two users at one device need one CAL.
		desk.disconnect()
		f.logon(desk, "grace")
		f.await("there are two leases", func() bool { return len(f.leases()) == 2 })
		licenses := f.licenses()
		if len(licenses) != 1 || licenses[0].Type != "per-device" || licenses[0].Device == nil || licenses[0].Device.ID != "ip:"+desk.address {
			t.Errorf("the CALs that are issued are %+v, want one for %s", licenses, desk.address)
		}

		f.logout(f.session("ada"))
		f.await("one lease is left", func() bool { return len(f.leases()) == 1 })
		f.wantRefused(sofa, "ada", "(no-free-cal)")
		f.logout(f.session("grace"))
		f.awaitFree()
		f.logon(sofa, "ada")
	})
}

// TestSimultaneousLogons finds for each of two users the device that the user is at.
func TestSimultaneousLogons(t *testing.T) {
	isolated(t, func(t *testing.T) {
		f := newFarm(t, "per-device", "2")
		desk, sofa := newDevice(t, 11), newDevice(t, 12)
		desk.connect("ada")
		sofa.connect("grace")
		f.awaitLogon(desk, "ada")
		f.awaitLogon(sofa, "grace")
		f.await("the license server has both leases", func() bool {
			devices := map[string]string{}
			for _, l := range f.leases() {
				if !l.Provisional && l.Device != nil {
					devices[l.User] = l.Device.ID
				}
			}
			return len(devices) == 2 && devices["ada"] == "ip:"+desk.address && devices["grace"] == "ip:"+sofa.address
		})
		if all := f.licenses(); len(all) != 2 {
			t.Errorf("the CALs that are issued are %+v, want two", all)
		}
		if all := f.denials(); len(all) != 0 {
			t.Errorf("the denials are %+v, want none", all)
		}
	})
}

// TestReapedSession kills the process that would have told the agent that the session has ended.
func TestReapedSession(t *testing.T) {
	isolated(t, func(t *testing.T) {
		f := newFarm(t, "per-user", "1")
		desk, sofa := newDevice(t, 11), newDevice(t, 12)
		f.logon(desk, "ada")
		session := f.session("ada")
		lease := f.awaitLease("ada", session.display, desk)
		f.reap()
		if again := f.awaitLease("ada", session.display, desk); again.ID != lease.ID || !again.Expires.After(lease.Expires) {
			t.Errorf("the lease was %+v and is %+v, want it renewed", lease, again)
		}

		end(t, session.leader, syscall.SIGKILL)
		machine.Await(t, "xrdp-sesman has noticed", func() bool { return strings.Contains(f.read(sesmanLog), "terminated session:  username ada") })
		// The desktop lives on as long as its device is connected, and nobody can ever connect to it again.
		f.reap()
		f.awaitLease("ada", session.display, desk)
		f.wantRefused(sofa, "grace", "(no-free-cal)")
		desk.disconnect()
		machine.Await(t, "the agent reaps the session", func() bool {
			f.reap()
			return len(f.leases()) == 0
		})
		if licenses := f.licenses(); len(licenses) != 0 {
			t.Errorf("the CALs that are issued are %+v, want none", licenses)
		}

		f.logon(sofa, "grace")
		f.awaitLease("grace", f.session("grace").display, sofa)
		f.wantOneCAL("grace")
	})
}

// TestLicenseServerAway logs on while the license server does not answer, under both policies for that.
func TestLicenseServerAway(t *testing.T) {
	isolated(t, func(t *testing.T) {
		f := newFarm(t, "per-user", "2")
		server, err := f.api.Server(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		const notAllowed = "logons without it are not allowed"
		deny := "offline = \"deny\""
		allow := "offline = \"allow\"\noffline-hours = 1\nserver-key = \"" + server.ReceiptKey + "\""
		desk, sofa := newDevice(t, 11), newDevice(t, 12)

		f.configureAgent(apiURL, allow)
		f.logon(desk, "ada")
		session := f.session("ada")
		f.awaitLease("ada", session.display, desk)
		f.logout(session)
		desk.ended()

		// It takes connections, and says nothing.
		silent, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		silentURL := "http://" + silent.Addr().String() + "/v1"
		f.configureAgent(silentURL, allow)
		f.wantAnswerInTime("grace") // who has no answer from before
		f.wantRefused(sofa, "grace", "there is no earlier answer for this user")
		f.configureAgent(silentURL, deny)
		f.wantAnswerInTime("ada")
		f.wantRefused(desk, "ada", notAllowed)

		// It is not there at all.
		f.server.Stop(t)
		f.configureAgent(apiURL, deny)
		f.wantRefused(desk, "ada", notAllowed)
		f.configureAgent(apiURL, allow)
		f.logon(desk, "ada")
		session = f.session("ada")

		// When it is back, it learns of the session.
		f.serve()
		machine.Await(t, "the agent tells the license server of the session", func() bool {
			f.reap()
			_, ok := f.lease("ada", session.display, desk)
			return ok
		})
		f.wantOneCAL("ada")
	})
}
