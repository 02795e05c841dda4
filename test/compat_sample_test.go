package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/wsman/client"
)

// TestSamples makes the rows that administrators have published of their license servers, in state and shape, and compares them as
// wholes. What cannot be the same: the time of day in the dates, and the number of a key pack.
func TestSamples(t *testing.T) {
	runScripts(t, samples())
	runScripts(t, checkmkSamples())
}

// perUserServer is the server of the first samples: 20 per user CALs of 2008, and 20 of 2012 of which 11 are issued.
func perUserServer(t *testing.T, f *farm) *member {
	m := f.join("ls1", f.organization)
	f.sellAgreement(m, "1234567", licensing.WindowsServer2008, licensing.PerUser, 20)
	f.sellAgreement(m, "1234568", licensing.WindowsServer2012, licensing.PerUser, 20)
	m.licenseUsers(t, wire.NewHost{Name: "rdsh1", ProductVersion: "ws2012", Mode: "per-user"}, users(0, 11)...)
	return m
}

func users(from, to int) []string {
	var names []string
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprintf(`FARM\user%02d`, i))
	}
	return names
}

// line writes a key pack as the local check of the first samples does.
func (s *script) line(pack client.Instance) string {
	s.Helper()
	return fmt.Sprintf("%s %s %s %s %s %s %s %s %q %s %s %q", pack.Text("AccessRights"), pack.Text("AvailableLicenses"), pack.Text("Description"),
		s.dmtf(pack.Text("ExpirationDate")), pack.Text("IssuedLicenses"), pack.Text("KeyPackId"), pack.Text("KeyPackType"), pack.Text("ProductType"),
		pack.Text("ProductVersion"), pack.Text("ProductVersionID"), pack.Text("TotalLicenses"), pack.Text("TypeAndModel"))
}

const timeOfDay = `\d{6}\.000000-000` // a time of day in the form of DMTF, in whole seconds of UTC

func samples() scriptTable {
	pack := func(id string) string { return "SELECT * FROM Win32_TSLicenseKeyPack WHERE KeyPackId = " + id }
	return scriptTable{test: "TestSamples", title: "Samples", prepare: perUserServer, rows: []scriptRow{
		{
			id: "S1", does: "the built-in key pack: `7 4294967295 A02-5.00-EX 20351231230000.000000-000 0 2 6 3 \"Windows 2000 Server\" 0 4294967295 \"Built-in TS Per Device CAL\"`",
			run: func(s *script) {
				s.is("the built-in key pack", s.line(s.one(pack("2"))),
					`7 4294967295 A02-5.00-EX 20351231230000.000000-000 0 2 6 3 "Windows 2000 Server" 0 4294967295 "Built-in TS Per Device CAL"`)
			},
		},
		{
			id: "S2", does: "per user CALs of 2008 under an agreement: `7 20 C50-6.00-S 20380101… 0 3 2 1 \"Windows Server 2008 or Windows Server 2008 R2\" 2 20 \"TS or RDS Per User CAL\"`",
			run: func(s *script) {
				s.matches("the key pack of 2008", s.line(s.one(pack("3"))),
					`7 20 C50-6\.00-S 20380101`+timeOfDay+` 0 3 2 1 "Windows Server 2008 or Windows Server 2008 R2" 2 20 "TS or RDS Per User CAL"`)
			},
		},
		{
			id: "S3", does: "those of 2012, in part issued: `7 9 C50-6.02-S 20380101… 11 4 2 1 \"Windows Server 2012\" 4 20 \"RDS Per User CAL\"`",
			run: func(s *script) {
				s.matches("the key pack of 2012", s.line(s.one(pack("4"))),
					`7 9 C50-6\.02-S 20380101`+timeOfDay+` 11 4 2 1 "Windows Server 2012" 4 20 "RDS Per User CAL"`)
			},
		},
		{
			id: "S4", does: "the key pack of type 7, with none in it: `7 0 C50-6.02-S 20380119031407.000000-000 0 10 7 1 \"Windows Server 2012\" 4 0 \"RDS Per User CAL\"`. Here it is there as long as CALs are over-used, so that IssuedLicenses is not 0",
			run: func(s *script) {
				s.licenseUsers(s.T, wire.NewHost{Name: "rdsh2", ProductVersion: "ws2012", Mode: "per-user"}, users(11, 21)...)
				over := s.one("SELECT * FROM Win32_TSLicenseKeyPack WHERE KeyPackType = 7")
				s.matches("the key pack of over-use", s.line(over),
					`7 0 C50-6\.02-S 20380119031407\.000000-000 1 `+over.Text("KeyPackId")+` 7 1 "Windows Server 2012" 4 0 "RDS Per User CAL"`)
			},
		},
		{
			id: "S5", does: "a per user CAL of `Win32_TSIssuedLicense`: LicenseStatus 2, exactly 60 days from IssueDate to ExpirationDate, sIssuedToUser `domain\\user`, sIssuedToComputer a space, sHardwareId 36 zeros",
			run: func(s *script) {
				row := s.one(`SELECT * FROM Win32_TSIssuedLicense WHERE sIssuedToUser = 'FARM\\user00'`)
				s.is("the license", fmt.Sprintf("%q", texts([]client.Instance{row}, "KeyPackId", "LicenseStatus", "sIssuedToUser", "sIssuedToComputer", "sHardwareId")),
					fmt.Sprintf("%q", []string{`4,2,FARM\user00, ,` + strings.Repeat("0", 36)}))
				s.matches("its LicenseId", row.Text("LicenseId"), `[1-9]\d*`)
				s.matches("its IssueDate", s.dmtf(row.Text("IssueDate")), `20\d{12}\.\d{6}-000`)
				if term := datetime(s.T, row.Text("ExpirationDate")).Sub(datetime(s.T, row.Text("IssueDate"))); term != 60*24*time.Hour {
					s.Errorf("the license lasts %s, want 60 days", term)
				}
			},
		},
	}}
}

// perDeviceServer is the server of the samples in Checkmk's check: an agreement that ends, all of it issued, a temporary license beside
// it, and an open license of 2000.
func perDeviceServer(t *testing.T, f *farm, ends time.Time) *member {
	m := f.join("ls1", f.organization)
	sale, err := f.clearinghouse.Service.Sell(t.Context(), clearinghouse.SellRequest{
		Organization: f.organization.ID, Credentials: licensing.Credentials{Program: licensing.Agreement}, ProductVersion: uint32(licensing.WindowsServer2008),
		ProductType: uint32(licensing.PerDevice), Count: 2, Expires: ends,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.want(t, done, keyPackClass, "InstallAgreementLicenseKeyPack", nil, agreementArguments(sale, 2)...)
	f.sellTo(m, licensing.WindowsServer2019, licensing.PerUser, 2000)
	devices := m.sessionHost(t, wire.NewHost{Name: "rdsh1", ProductVersion: "ws2008", Mode: "per-device"})
	license(t, devices, "DEV1")
	license(t, devices, "DEV2")
	connect(t, devices, "DEV3")
	m.licenseUsers(t, wire.NewHost{Name: "rdsh2", ProductVersion: "ws2019", Mode: "per-user"}, `FARM\ada`)
	return m
}

func checkmkSamples() scriptTable {
	const origin = "Checkmk/checkmk, cmk/base/legacy_checks/rds_licenses.py"
	row := func(id, does, query, pattern string) scriptRow {
		return scriptRow{id: id, origin: origin, does: does, run: func(s *script) {
			rows := s.query("SELECT * FROM Win32_TSLicenseKeyPack WHERE " + query)
			if len(rows) != 1 {
				s.Fatalf("%d key packs with %s, want 1", len(rows), query)
			}
			s.matches("the line", s.checkmkLines(rows)[0], pattern)
		}}
	}
	ends := time.Now().UTC().AddDate(1, 0, 0)
	endOfMonth := time.Date(ends.Year(), ends.Month()+1, 1, 0, 0, 0, 0, time.UTC) // an agreement ends with its month
	prepare := func(t *testing.T, f *farm) *member { return perDeviceServer(t, f, ends) }
	const of2008 = `Windows Server 2008 or Windows Server 2008 R2`
	return scriptTable{test: "TestSamples", title: "Samples of another server", prepare: prepare, rows: []scriptRow{
		row("S6", "temporary licenses: `13,A02-6.00-S,4,0,Windows Server 2008 oder Windows Server 2008 R2,2,-1,100,-1,20380119031407.000000-000`. ProductVersion is in English here, and −1 is what VBScript makes of 4294967295",
			"KeyPackType = 4", `\d+,A02-6\.00-S,4,0,`+of2008+`,2,-1,1,-1,20380119031407\.000000-000`),
		row("S7", "the built-in key pack: `2,A02-5.00-EX,6,3,Windows 2000 Server,0,-1,0,-1,20351231230000.000000-000`",
			"KeyPackType = 6", `2,A02-5\.00-EX,6,3,Windows 2000 Server,0,-1,0,-1,20351231230000\.000000-000`),
		row("S8", "an agreement that ends, all issued: `3,A02-6.00-S,2,0,…,2,250,250,0,20230209121549.000000-000`",
			"KeyPackType = 2", `3,A02-6\.00-S,2,0,`+of2008+`,2,2,2,0,`+endOfMonth.Format("20060102150405")+`\.000000-000`),
		row("S9", "an open license: `3,C50-10.01-S,5,1,Windows Server 2019,6,2000,1,1999,20380101093636.000000-000`",
			"KeyPackType = 5", `4,C50-10\.01-S,5,1,Windows Server 2019,6,2000,1,1999,20380101`+timeOfDay),
	}}
}
