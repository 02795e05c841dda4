package licensing_test

import (
	"testing"

	"calkeeper/internal/licensing"
)

func TestParseProductVersion(t *testing.T) {
	for _, test := range []struct {
		number uint32
		want   licensing.ProductVersion
		name   string
	}{
		{2, licensing.WindowsServer2008, "Windows Server 2008 or Windows Server 2008 R2"},
		{3, licensing.WindowsServer2008, "Windows Server 2008 or Windows Server 2008 R2"},
		{4, licensing.WindowsServer2012, "Windows Server 2012"},
		{5, licensing.WindowsServer2016, "Windows Server 2016"},
		{6, licensing.WindowsServer2019, "Windows Server 2019"},
		{7, licensing.WindowsServer2022, "Windows Server 2022"},
		{8, licensing.WindowsServer2025, "Windows Server 2025"},
	} {
		v, err := licensing.ParseProductVersion(test.number)
		if err != nil || v != test.want || v.String() != test.name {
			t.Errorf("%d: %d %q, %v; want %d %q", test.number, v, v, err, test.want, test.name)
		}
	}
	for number, kind := range map[uint32]licensing.Kind{
		0: licensing.NotSupported, 1: licensing.NotSupported, 9: licensing.OutOfRange, 4294967295: licensing.OutOfRange,
	} {
		_, err := licensing.ParseProductVersion(number)
		checkRefused(t, err, kind, "ProductVersion", "2 to 8")
	}
	if s := licensing.ProductVersion(1).String(); s != "product version 1" {
		t.Errorf("a version without a name is %q", s)
	}
	if s := licensing.WindowsServer2008R2.String(); s != licensing.WindowsServer2008.String() {
		t.Errorf("2008 R2 is %q: its CALs are those of 2008", s)
	}
}

func TestParseProductType(t *testing.T) {
	for number, want := range map[uint32]string{0: "per device", 1: "per user"} {
		v, err := licensing.ParseProductType(number)
		if err != nil || uint32(v) != number || v.String() != want {
			t.Errorf("%d: %d %q, %v; want %q", number, v, v, err, want)
		}
		if other := v.Other(); other == v || other.Other() != v {
			t.Errorf("%s converts to %s, and that to %s", v, other, other.Other())
		}
	}
	for _, number := range []uint32{2, 3, 4, 4294967295} {
		_, err := licensing.ParseProductType(number)
		checkRefused(t, err, licensing.Invalid, "ProductType", "0 is per device, 1 per user")
	}
	if got, want := licensing.BuiltIn.String(), "built-in"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
	if got, want := licensing.ProductType(9).String(), "product type 9"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
}

func TestParseAgreementType(t *testing.T) {
	for number, want := range []string{"Select", "Enterprise", "Campus", "School", "Service Provider", "other"} {
		v, err := licensing.ParseAgreementType(uint32(number))
		if err != nil || uint32(v) != uint32(number) || v.String() != want {
			t.Errorf("%d: %d %q, %v; want %q", number, v, v, err, want)
		}
	}
	_, err := licensing.ParseAgreementType(6)
	checkRefused(t, err, licensing.Invalid, "AgreementType 6")
	if got, want := licensing.AgreementType(6).String(), "agreement type 6"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
}

func TestProgramKeyPackType(t *testing.T) {
	for program, want := range map[licensing.Program]licensing.KeyPackType{
		licensing.Retail: licensing.KeyPackRetail, licensing.Open: licensing.KeyPackOpen, licensing.Agreement: licensing.KeyPackVolume,
	} {
		if got := program.KeyPackType(); got != want {
			t.Errorf("%s: %d; want %d", program, got, want)
		}
	}
}

func TestParseReactivationReason(t *testing.T) {
	for number, want := range []licensing.ReactivationReason{
		licensing.ServerRedeployed, licensing.CertificateCorrupt, licensing.PrivateKeyCompromised, licensing.ActivationKeyExpired,
		licensing.ServerUpgraded,
	} {
		if got, err := licensing.ParseReactivationReason(uint32(number)); err != nil || got != want {
			t.Errorf("%d: %d, %v; want %d", number, got, err, want)
		}
	}
	for _, number := range []uint32{5, 4294967295} {
		_, err := licensing.ParseReactivationReason(number)
		checkRefused(t, err, licensing.Invalid, "Reason", "0 redeployed")
	}
}

func TestContactCheckComplete(t *testing.T) {
	complete := licensing.Contact{FirstName: "Ada", LastName: "Lovelace", Company: "Example Farm", CountryRegion: "United Kingdom"}
	if err := complete.CheckComplete(); err != nil {
		t.Errorf("the four that are needed: %v", err)
	}
	for name, empty := range map[string]func(*licensing.Contact){
		"FirstName":     func(c *licensing.Contact) { c.FirstName = "" },
		"LastName":      func(c *licensing.Contact) { c.LastName = "" },
		"Company":       func(c *licensing.Contact) { c.Company = "" },
		"CountryRegion": func(c *licensing.Contact) { c.CountryRegion = "" },
	} {
		c := complete
		empty(&c)
		checkRefused(t, c.CheckComplete(), licensing.Invalid, name+" is empty")
	}
}

func TestActivated(t *testing.T) {
	s := licensing.Server{ProductID: "P"}
	if s.Activated() {
		t.Error("activated without a license server ID")
	}
	s.LicenseServerID = "L"
	if !s.Activated() {
		t.Error("not activated with a license server ID")
	}
}
