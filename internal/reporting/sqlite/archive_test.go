package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/reporting"
	"calkeeper/internal/reporting/sqlite"
)

func archive(t *testing.T) (*sqlite.Archive, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "reports")
	return sqlite.New(dir), dir
}

func create(t *testing.T, a *sqlite.Archive, name string, fill func(reporting.Draft) error) {
	t.Helper()
	d, err := a.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := fill(d); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, a *sqlite.Archive) []string {
	t.Helper()
	all, err := a.FileNames()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC) }

func check[E any](t *testing.T, what string, got []E, err error, want ...E) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, append([]E{}, want...)) {
		t.Errorf("%s: %+v, %v; want %+v", what, got, err, want)
	}
}

// TestEntries writes entries of every kind, with texts that are hard to keep, and reads them in portions.
func TestEntries(t *testing.T) {
	a, dir := archive(t)
	summary := []reporting.SummaryEntry{{ProductVersion: 7, ProductType: licensing.PerUser, Installed: 4294967295, Issued: 1}, {ProductVersion: 8}}
	var users []reporting.UserEntry
	for i := range 5 {
		users = append(users, reporting.UserEntry{User: fmt.Sprintf(`FARM\user'%d"ß👩`, i), ProductVersion: 7, Expires: noon().Add(time.Duration(i) * time.Hour)})
	}
	devices := []reporting.DeviceEntry{{Device: licensing.Device{ID: "hw", Name: "DESK1"}, ProductVersion: 6, Expires: noon()}, {ProductVersion: 2, Expires: noon()}}
	failed := func(user string, v licensing.ProductVersion) reporting.FailedUserEntry {
		return reporting.FailedUserEntry{User: user, ProductVersion: v, Tried: noon()}
	}
	create(t, a, "one", func(d reporting.Draft) error {
		for _, e := range summary {
			if err := d.AddSummary(e); err != nil {
				return err
			}
		}
		for _, e := range users {
			if err := d.AddUser(e); err != nil {
				return err
			}
		}
		for _, e := range devices {
			if err := d.AddDevice(e); err != nil {
				return err
			}
		}
		for _, e := range []struct {
			key, domain, user string
			version           licensing.ProductVersion
		}{{"z@farm", "FARM", `FARM\z`, 7}, {"ada@", ".", `.\ada`, 5}, {"b@farm", "FARM", `FARM\b`, 7}, {"ada@", ".", `.\Ada`, 6}} {
			if err := d.PutFailedUser(e.key, e.domain, failed(e.user, e.version)); err != nil {
				return err
			}
		}
		return nil
	})
	if info, err := os.Stat(filepath.Join(dir, "one.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v; want mode 0600", info, err)
	}
	e, err := a.Open("one")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	got, err := e.Summary(0, 9)
	check(t, "summary", got, err, summary...)
	for _, p := range []struct{ start, count, from, to uint32 }{{0, 9, 0, 5}, {0, 2, 0, 2}, {2, 2, 2, 4}, {4, 2, 4, 5}, {5, 2, 5, 5}, {4294967295, 4294967295, 5, 5}} {
		got, err := e.Users(p.start, p.count)
		check(t, fmt.Sprint("users ", p), got, err, users[p.from:p.to]...)
	}
	gotDevices, err := e.Devices(0, 9)
	check(t, "devices", gotDevices, err, devices...)
	gotFailed, err := e.FailedUsers(0, 9)
	check(t, "failed users", gotFailed, err, failed(`.\Ada`, 6), failed(`FARM\b`, 7), failed(`FARM\z`, 7))
	domains, err := e.FailedDomains(0, 9)
	check(t, "failed domains", domains, err, reporting.FailedDomainEntry{Domain: ".", Failed: 1}, reporting.FailedDomainEntry{Domain: "FARM", Failed: 2})
}

// TestDrafts: what is not committed is not there, and what a dead process left is removed.
func TestDrafts(t *testing.T) {
	a, dir := archive(t)
	d, err := a.Create("dropped")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Open("dropped"); licensing.KindOf(err) != licensing.NotFound {
		t.Errorf("a draft was opened: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".draft-123"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	create(t, a, "kept", func(reporting.Draft) error { return nil })
	if all := names(t, a); !reflect.DeepEqual(all, []string{"kept"}) {
		t.Errorf("there are %q, want kept", all)
	}
	found, err := os.ReadDir(dir)
	if err != nil || len(found) != 1 {
		t.Errorf("the directory has %v, %v; want one file", found, err)
	}
	if _, err := a.Create("kept"); licensing.KindOf(err) != licensing.AlreadyExists {
		t.Errorf("a report was begun again: %v", err)
	}
	for range 2 {
		if err := a.Delete("kept"); err != nil {
			t.Error(err)
		}
	}
	if all := names(t, a); len(all) != 0 {
		t.Errorf("there are %q, want none", all)
	}
}

// TestFileNames: no name leaves the directory.
func TestFileNames(t *testing.T) {
	a, dir := archive(t)
	outside := filepath.Join(filepath.Dir(dir), "outside.db")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", ".", "..", "../outside", "a/b", "/etc/passwd", ".draft-1", strings.Repeat("../", 9) + "outside"} {
		if _, err := a.Open(name); licensing.KindOf(err) != licensing.NotFound {
			t.Errorf("Open(%q): %v, want NotFound", name, err)
		}
		if d, err := a.Create(name); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("Create(%q): %v, %v, want Invalid", name, d, err)
		}
		if err := a.Delete(name); err != nil {
			t.Errorf("Delete(%q): %v", name, err)
		}
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}
