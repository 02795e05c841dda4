package licensing_test

import (
	"errors"
	"testing"
	"time"

	"calkeeper/internal/licensing"
)

func TestLicenseStatus(t *testing.T) {
	for _, c := range []struct {
		status        licensing.LicenseStatus
		name          string
		counted, full bool
		slot          int
	}{
		{licensing.StatusTemporary, "temporary", true, false, 7},
		{licensing.StatusActive, "active", true, true, 0},
		{licensing.StatusRevoked, "revoked", false, false, -1},
		{licensing.StatusPending, "pending", true, true, 0},
		{licensing.StatusConcurrent, "concurrent", true, true, 0},
	} {
		cal := licensing.CAL{Status: c.status, ProductVersion: licensing.WindowsServer2022}
		if c.status.String() != c.name || cal.Counted() != c.counted || cal.Full() != c.full || cal.Slot() != c.slot {
			t.Errorf("%s: counted %t, full %t, slot %d", c.status, cal.Counted(), cal.Full(), cal.Slot())
		}
		if parsed, err := licensing.ParseLicenseStatus(c.name); err != nil || parsed != c.status {
			t.Errorf("%q is read as %d, %v", c.name, parsed, err)
		}
	}
	for _, unknown := range []licensing.LicenseStatus{0, 3, 7} {
		if unknown.String() != "unknown" {
			t.Errorf("%d is called %s", uint32(unknown), unknown)
		}
	}
	for _, bad := range []string{"", "unknown", "Active", "active "} {
		if _, err := licensing.ParseLicenseStatus(bad); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCALExpired(t *testing.T) {
	end := time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)
	cal := licensing.CAL{Expires: end}
	for offset, want := range map[time.Duration]bool{-1: false, 0: true, 1: true} {
		if cal.Expired(end.Add(offset)) != want {
			t.Errorf("at %s: %t", end.Add(offset), !want)
		}
	}
}

func TestDenialReasons(t *testing.T) {
	seen := map[licensing.DenialReason]bool{}
	for _, r := range licensing.DenialReasons() {
		if seen[r] || r == "" {
			t.Errorf("%q twice", r)
		}
		seen[r] = true
		err := error(&licensing.Fault{Kind: licensing.Unlicensed, Msg: "no", Err: r})
		var got licensing.DenialReason
		if !errors.As(err, &got) || got != r || r.Error() != string(r) {
			t.Errorf("the cause of %v is %q", err, got)
		}
	}
	if len(seen) != 5 {
		t.Errorf("the reasons are %v", seen)
	}
}
