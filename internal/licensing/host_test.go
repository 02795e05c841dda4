package licensing_test

import (
	"fmt"
	"slices"
	"testing"

	"calkeeper/internal/licensing"
)

func TestVersionNames(t *testing.T) {
	for name, c := range map[string]struct {
		version licensing.ProductVersion
		short   string
	}{
		"ws2008": {licensing.WindowsServer2008, "ws2008"}, "ws2008r2": {licensing.WindowsServer2008, "ws2008"},
		"WS2012R2": {licensing.WindowsServer2012, "ws2012"}, "ws2012": {licensing.WindowsServer2012, "ws2012"},
		"ws2016": {licensing.WindowsServer2016, "ws2016"}, "Ws2019": {licensing.WindowsServer2019, "ws2019"},
		"ws2022": {licensing.WindowsServer2022, "ws2022"}, "ws2025": {licensing.WindowsServer2025, "ws2025"},
		"2": {licensing.WindowsServer2008, "ws2008"}, "3": {licensing.WindowsServer2008, "ws2008"}, "8": {licensing.WindowsServer2025, "ws2025"},
	} {
		v, err := licensing.ParseVersionName(name)
		if err != nil || v != c.version || v.ShortName() != c.short {
			t.Errorf("%q is %d (%s), %v; want %s", name, uint32(v), v.ShortName(), err, c.short)
		}
	}
	for _, bad := range []string{"", "ws", "ws2003", "2022", "0", "1", "9", "-1", "4294967296", " ws2022"} {
		if v, err := licensing.ParseVersionName(bad); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%q is %d, %v; want a fault of kind invalid", bad, uint32(v), err)
		}
	}
	if name := licensing.ProductVersion(99).ShortName(); name != "99" {
		t.Errorf("version 99 is called %q", name)
	}
}

func TestModes(t *testing.T) {
	for _, mode := range []licensing.ProductType{licensing.PerDevice, licensing.PerUser} {
		if got, err := licensing.ParseMode(mode.ModeName()); err != nil || got != mode {
			t.Errorf("%q is %d, %v", mode.ModeName(), got, err)
		}
	}
	if got, err := licensing.ParseMode("Per-USER"); err != nil || got != licensing.PerUser {
		t.Errorf("in another case: %d, %v", got, err)
	}
	for _, bad := range []string{"", "per user", "built-in", "user", "per-user "} {
		if _, err := licensing.ParseMode(bad); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestParseHostName(t *testing.T) {
	if name, err := licensing.ParseHostName("RDSH1.Example.net"); err != nil || name != "rdsh1.example.net" {
		t.Errorf("%q, %v", name, err)
	}
	for _, bad := range []string{"", "a b", "-a", "a..b", "a\x00", "http://a"} {
		if name, err := licensing.ParseHostName(bad); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%q is %q, %v; want a fault of kind invalid", bad, name, err)
		}
	}
}

func TestParseLicenseServers(t *testing.T) {
	got, err := licensing.ParseLicenseServers([]string{" LS1.Example.net. ", "[2001:DB8::1]", "ls1.example.net", "192.0.2.1"})
	if want := []string{"ls1.example.net", "2001:db8::1", "192.0.2.1"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if got, err := licensing.ParseLicenseServers(nil); err != nil || got != nil {
		t.Errorf("none: %q, %v", got, err)
	}
	for _, bad := range [][]string{{""}, {"ls1", " "}, {"ls1,ls2"}, {"a b"}, {"ls1:5985"}} {
		if got, err := licensing.ParseLicenseServers(bad); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%q is %q, %v; want a fault of kind invalid", bad, got, err)
		}
	}
	var many []string
	for i := range licensing.MaxLicenseServers + 1 {
		many = append(many, fmt.Sprintf("ls%d", i))
	}
	if _, err := licensing.ParseLicenseServers(many[1:]); err != nil {
		t.Error(err)
	}
	if _, err := licensing.ParseLicenseServers(many); licensing.KindOf(err) != licensing.OutOfRange {
		t.Errorf("%d names: %v; want a fault of kind out of range", len(many), err)
	}
}

func TestAnswersTo(t *testing.T) {
	names := []string{"ls1.example.net", "other", "192.0.2.1", "2001:db8::1"}
	for name, want := range map[string]bool{
		"ls1.example.net": true, "ls1": true, "ls1.example": false, "ls1.example.org": false, "ls": false, "": false,
		"other": true, "other.example.net": true, "192.0.2.1": true, "192": false, "192.0.2.2": false, "2001:db8::1": true,
	} {
		if got := licensing.AnswersTo(names, name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
	if licensing.AnswersTo(nil, "ls1") {
		t.Error("a server without a name has one")
	}
}
