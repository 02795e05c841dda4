package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"calkeeper/internal/cim"
	"calkeeper/internal/reportfile"
	"calkeeper/internal/wsman/client"
)

// reportClient returns a client of a license server that has one report.
func reportClient(t *testing.T, s *reportServer) *client.Client {
	t.Helper()
	wsman, err := client.New(client.Options{URL: s.start(t), User: "Administrator", Password: "correct-horse"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(wsman.Close)
	if _, err := generateReport(t.Context(), wsman); err != nil {
		t.Fatal(err)
	}
	return wsman
}

// TestReportIsReadInPortions reads lists of lengths about those of portions, whichever way the license server says that they end.
func TestReportIsReadInPortions(t *testing.T) {
	for _, end := range []uint32{0, noMoreData, noMoreDataDecimal} {
		for _, length := range []uint32{0, 1, 2, portion - 1, portion, portion + 1, 2*portion + 7} {
			s := &reportServer{end: end, users: length, devices: length, failed: length, domains: length}
			r, err := readReport(t.Context(), reportClient(t, s), "http://ls.example.com:5985/wsman", "Report-1")
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Summary) != 2 || uint32(len(r.FailedDomains)) != length || r.LicenseServer != "ls.example.com" || r.Company != "Example Farm" || !r.Generated.Equal(fakeTime) {
				t.Errorf("%d entries: the head is %+v", length, r)
			}
			n := uint32(0)
			for u, err := range r.Users {
				if want := fmt.Sprintf(`EXAMPLE\user%d`, n); err != nil || u.User != want || u.CALType != "RDS Per User CAL" || u.ProductVersionID != 7 || u.ExpirationDate.IsZero() {
					t.Fatalf("user %d is %+v, %v", n, u, err)
				}
				n++
			}
			for d, err := range r.Devices {
				want := reportfile.DeviceEntry{
					IssuedToComputer: fmt.Sprintf("DESK%d", n-length), HardwareID: fmt.Sprintf("hw:%d", n-length), ExpirationDate: fakeTime,
					CALType: "RDS Per Device CAL", ProductVersion: "Windows Server 2019", ProductVersionID: 6,
				}
				if n-length == 1 {
					want.IssuedToComputer, want.HardwareID, want.ExpirationDate = "", strings.Repeat("0", 36), time.Time{}
				}
				if err != nil || d != want {
					t.Fatalf("device %d is %+v, %v", n-length, d, err)
				}
				n++
			}
			for f, err := range r.FailedUsers {
				if want := fmt.Sprintf(`DOMAIN%d\eve%d`, (n-2*length)%length, n-2*length); err != nil || f.User != want || !f.TriedIssuanceOn.Equal(fakeTime) {
					t.Fatalf("failed user %d is %+v, %v", n-2*length, f, err)
				}
				n++
			}
			if n != 3*length {
				t.Errorf("of %d entries in each list, %d were read in all", length, n)
			}
		}
	}
}

// TestReportThatDoesNotFit asks for smaller portions when a portion does not fit its envelope; an entry that does not is an error.
func TestReportThatDoesNotFit(t *testing.T) {
	const users = 700
	s := &reportServer{end: noMoreData, users: users, padding: 3000}
	r, err := readReport(t.Context(), reportClient(t, s), "", "Report-1")
	if err != nil {
		t.Fatal(err)
	}
	s.portions = nil
	n := 0
	for u, err := range r.Users {
		if err != nil || !strings.HasPrefix(u.User, fmt.Sprintf(`EXAMPLE\user%dx`, n)) {
			t.Fatalf("user %d is %.30s, %v", n, u.User, err)
		}
		n++
	}
	if want := []uint32{500, 250, 125, 125, 125, 125, 125, 125, 125}; n != users || !slices.Equal(s.portions, want) {
		t.Errorf("%d users were read in the portions %d, want %d in %d", n, s.portions, users, want)
	}
	s.users, s.padding = 3, 600_000
	for _, err = range r.Users {
		break
	}
	if !tooLong(err) || s.portions[len(s.portions)-1] != 1 {
		t.Errorf("of entries that are longer than an envelope, %d were asked for at last: %v", s.portions[len(s.portions)-1], err)
	}
}

// TestReportThatCannotBeRead: what the license server says wrongly, or cannot say, is an error, and not the end.
func TestReportThatCannotBeRead(t *testing.T) {
	for name, test := range map[string]struct {
		missing, breaks uint32
		is              func(error) bool
	}{
		"entries are missing": {600, 0, func(err error) bool { return errors.Is(err, client.ErrReply) }},
		"the server fails":    {0, 600, isRefusal(cim.StatusFailed)},
	} {
		s := &reportServer{users: 1200, end: noMoreData, missing: test.missing, breaks: test.breaks}
		r, err := readReport(t.Context(), reportClient(t, s), "", "Report-1")
		if err != nil {
			t.Fatal(err)
		}
		s.refuses = cim.StatusFailed
		n, last := 0, error(nil)
		for _, err := range r.Users {
			if last = err; err == nil {
				n++
			}
		}
		if n != portion || last == nil || !test.is(last) {
			t.Errorf("%s: after %d users, %v", name, n, last)
		}
	}
}

// TestInterruptedExport ends the program while it reads a report: nothing half is left where the files were to be.
func TestInterruptedExport(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGKILL} {
		s := &reportServer{users: 2000, end: noMoreData, hangs: 1000}
		server := s.start(t)
		if _, err := s.generate(t.Context(), fakeNothing{}); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		old := filepath.Join(dir, "usage-users.csv")
		if err := os.WriteFile(old, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("calkeeper", "report", "export", "Report-1", "--server", server, "--file", filepath.Join(dir, "usage.csv"), "--force")
		cmd.Env = append(os.Environ(), passwordVariable+"=correct-horse")
		var says strings.Builder
		cmd.Stderr = &says
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for !s.asked(3) { // the third portion of users hangs
			time.Sleep(10 * time.Millisecond)
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Errorf("%v: the export succeeded", signal)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "usage-users.csv" && (signal != syscall.SIGKILL || !strings.HasPrefix(e.Name(), ".new-")) {
				t.Errorf("%v: %s was left", signal, e.Name())
			}
		}
		if text, err := os.ReadFile(old); err != nil || string(text) != "old" {
			t.Errorf("%v: what was there has become %q, %v", signal, text, err)
		}
		if signal == syscall.SIGINT && (cmd.ProcessState.ExitCode() != exitFailure || !strings.Contains(says.String(), "interrupted")) {
			t.Errorf("exit code %d: %s", cmd.ProcessState.ExitCode(), &says)
		}
	}
}

// asked tells whether so many portions of the length of a full one were asked for after the head of the report.
func (s *reportServer) asked(portions int) bool {
	const head = 3 // two lists, of which one has to be asked for its end
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return len(s.portions) >= head+portions
}

// TestWatch counts what is read, without changing it.
func TestWatch(t *testing.T) {
	r := &reportfile.Report{Users: func(yield func(reportfile.UserEntry, error) bool) {
		_ = yield(reportfile.UserEntry{User: "ada"}, nil) && yield(reportfile.UserEntry{}, io.ErrUnexpectedEOF)
	}}
	steps, got := 0, ""
	for u, err := range each(r.Users, func() { steps++ }) {
		got += fmt.Sprint(u.User, err)
	}
	if steps != 2 || got != "ada<nil>unexpected EOF" {
		t.Errorf("%d steps: %s", steps, got)
	}
	for range each(r.Users, func() { steps++ }) {
		break
	}
	if steps != 3 {
		t.Errorf("%d steps, want 3", steps)
	}
}

func TestServerName(t *testing.T) {
	here, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"https://ls1.example.com:5986/wsman": "ls1.example.com", "http://192.0.2.1": "192.0.2.1", "http://127.0.0.1:5985/wsman": here, "http://localhost/": here, "http://[::1]:5985/": here,
	} {
		if got := serverName(address); got != want {
			t.Errorf("the license server at %s is %q, want %q", address, got, want)
		}
	}
}
