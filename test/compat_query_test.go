package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/licensing"
	restclient "calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/wsman/client"
)

// TestScriptQueries runs the WQL of public scripts.
func TestScriptQueries(t *testing.T) { runScripts(t, scriptQueries()) }

// licensedServer is a license server as monitoring meets it: key packs of each program, and CALs of each kind.
//
//	KeyPackId  KeyPackType     ProductVersion  ProductType  Total  Issued
//	2          6 built-in      2000            3            –      0
//	3          2 volume        2008 or R2      1 per user   20     0
//	4          2 volume        2012            0 per device 250    0
//	5          5 open          2016            0 per device 50     1
//	6          5 open          2016            1 per user   20     2
//	7          1 retail        2019            1 per user   10     0
//	8          4 temporary     2016            0 per device –      1
//	9          7 over-used     2025            1 per user   0      1
func licensedServer(t *testing.T, f *farm) *member {
	m := f.join("ls1", f.organization)
	f.sellAgreement(m, "7654321", licensing.WindowsServer2008, licensing.PerUser, 20)
	f.sellAgreement(m, "1234567", licensing.WindowsServer2012, licensing.PerDevice, 250)
	f.sellTo(m, licensing.WindowsServer2016, licensing.PerDevice, 50)
	f.sellTo(m, licensing.WindowsServer2016, licensing.PerUser, 20)
	retail := f.sell(licensing.Credentials{Program: licensing.Retail}, licensing.WindowsServer2019, licensing.PerUser, 10)
	m.want(t, done, keyPackClass, "InstallRetailPurchaseLicenseKeyPack", nil, client.Text("sLicenseCode", retail.Credentials.LicenseCode))

	devices := m.sessionHost(t, wire.NewHost{Name: "rdsh1", ProductVersion: "ws2016", Mode: "per-device"})
	license(t, devices, "DEV1")
	connect(t, devices, "DEV2")
	m.licenseUsers(t, wire.NewHost{Name: "rdsh2", ProductVersion: "ws2016", Mode: "per-user"}, `FARM\ada`, `FARM\bob`)
	m.licenseUsers(t, wire.NewHost{Name: "rdsh3", ProductVersion: "ws2025", Mode: "per-user"}, `FARM\carol`)
	return m
}

// sellAgreement sells an agreement of that number and installs all of it.
func (f *farm) sellAgreement(m *member, number string, v licensing.ProductVersion, t licensing.ProductType, count uint32) {
	f.t.Helper()
	c := licensing.Credentials{Program: licensing.Agreement, AgreementType: licensing.Enterprise, AgreementNumber: number}
	m.want(f.t, done, keyPackClass, "InstallAgreementLicenseKeyPack", nil, agreementArguments(f.sell(c, v, t, count), count)...)
}

// connect lets a device connect for the first time, which gets it a temporary CAL.
func connect(t *testing.T, host *restclient.Client, device string) {
	t.Helper()
	a, err := host.Request(t.Context(), wire.Request{Device: &wire.Device{ID: "hw-" + device, Name: device}}, "")
	if err != nil || a.License.Status != "temporary" {
		t.Fatalf("%s: %+v, %v; want a temporary CAL", device, a, err)
	}
}

// licenseUsers registers a session host and logs users on to it.
func (m *member) licenseUsers(t *testing.T, h wire.NewHost, users ...string) {
	t.Helper()
	host := m.sessionHost(t, h)
	for _, user := range users {
		if a, err := host.Request(t.Context(), wire.Request{User: user}, ""); err != nil || a.License.Status != "active" {
			t.Fatalf("%s: %+v, %v; want an active CAL", user, a, err)
		}
	}
}

// embeddedOnly are the classes of which there are instances only inside the answers of Fetch… methods.
var embeddedOnly = []string{"Win32_TSLicenseReportEntry", "Win32_TSLicenseReportFailedPerUserEntry", "Win32_TSLicenseReportFailedPerUserSummaryEntry",
	"Win32_TSLicenseReportPerDeviceEntry", "Win32_TSLicenseReportSummaryEntry"}

// nscpQuery is A8.
const nscpQuery = "SELECT KeyPackId, TypeAndModel, ProductVersion, KeyPackType, TotalLicenses, IssuedLicenses, AvailableLicenses FROM Win32_TSLicenseKeyPack"

func scriptQueries() scriptTable {
	const unlimited = "4294967295"
	return scriptTable{test: "TestScriptQueries", title: "Queries", prepare: licensedServer, rows: []scriptRow{
		{
			id: "A1", origin: "Checkmk/checkmk, agents/windows/plugins/rds_licenses.vbs",
			does: "`Select * from Win32_TSLicenseKeyPack`: all key packs, with all properties of their line",
			run: func(s *script) {
				rows := s.query("Select * from Win32_TSLicenseKeyPack")
				s.is("the key packs", strings.Join(texts(rows, "KeyPackId", "Description", "KeyPackType", "ProductType", "ProductVersion", "ProductVersionID",
					"TotalLicenses", "IssuedLicenses", "AvailableLicenses"), "\n"), strings.Join([]string{
					"2,A02-5.00-EX,6,3,Windows 2000 Server,0," + unlimited + ",0," + unlimited,
					"3,C50-6.00-S,2,1,Windows Server 2008 or Windows Server 2008 R2,2,20,0,20",
					"4,A02-6.02-S,2,0,Windows Server 2012,4,250,0,250",
					"5,A02-10.00-S,5,0,Windows Server 2016,5,50,1,49",
					"6,C50-10.00-S,5,1,Windows Server 2016,5,20,2,18",
					"7,C50-10.01-S,1,1,Windows Server 2019,6,10,0,10",
					"8,A02-10.00-S,4,0,Windows Server 2016,5," + unlimited + ",1," + unlimited,
					"9,C50-10.03-S,7,1,Windows Server 2025,8,0,1,0",
				}, "\n"))
			},
		},
		{
			id: "A2", does: "`select * from Win32_TSLicenseKeyPack where TotalLicenses != 0`: all but the key pack that counts over-use",
			run: func(s *script) {
				s.is("the key packs", texts(s.query("select * from Win32_TSLicenseKeyPack where TotalLicenses != 0"), "KeyPackId"), "[2 3 4 5 6 7 8]")
			},
		},
		{
			id: "A3", does: "`Select * from Win32_TSLicenseKeyPack where KeyPackId !=4 and KeyPackId !=2`, without a space before the number",
			run: func(s *script) {
				s.is("the key packs", texts(s.query("Select * from Win32_TSLicenseKeyPack where KeyPackId !=4 and KeyPackId !=2"), "KeyPackId"), "[3 5 6 7 8 9]")
			},
		},
		{
			id: "A5", does: "`Select * from Win32_TSLicenseKeyPack where ProductVersion = 'Windows Server 2016'`: their TotalLicenses are summed",
			run: func(s *script) {
				rows := s.query("Select * from Win32_TSLicenseKeyPack where ProductVersion = 'Windows Server 2016'")
				s.is("the key packs", texts(rows, "KeyPackId", "TotalLicenses"), "[5,50 6,20 8,"+unlimited+"]")
			},
		},
		{
			id: "A6", does: "`Select * from Win32_TSIssuedLicense where KeyPackId = <n>` for each of A5: the rows are counted, sIssuedToUser and LicenseId printed",
			run: func(s *script) {
				counted := map[string]int{}
				var users []string
				for _, pack := range s.query("Select * from Win32_TSLicenseKeyPack where ProductVersion = 'Windows Server 2016'") {
					id := pack.Text("KeyPackId")
					for _, issued := range s.query("Select * from Win32_TSIssuedLicense where KeyPackId = " + id) {
						counted[id]++
						users = append(users, issued.Text("sIssuedToUser"))
						if _, ok := issued.Uint32("LicenseId"); !ok || issued.Text("KeyPackId") != id {
							s.Errorf("a license of key pack %s is %v", id, issued.Values)
						}
					}
				}
				slices.Sort(users)
				s.is("how many each has", counted, "map[5:1 6:2 8:1]")
				s.is("their users", fmt.Sprintf("%q", users), fmt.Sprintf("%q", []string{"", `FARM\ada`, `FARM\ada`, `FARM\bob`}))
			},
		},
		{
			id: "A8", origin: "mickem/nscp, modules/CheckWindowsApps/check_rds_licenses.cpp",
			does: "`SELECT KeyPackId, TypeAndModel, … FROM Win32_TSLicenseKeyPack`, seven columns; a class that is absent must be reported as such, because then the role is not installed",
			run: func(s *script) {
				rows := s.query(nscpQuery)
				for _, row := range rows {
					if len(row.Values) != 7 {
						s.Errorf("a row has %d columns, want 7: %v", len(row.Values), row.Values)
					}
				}
				s.is("two of the rows", texts(rows, "KeyPackId", "TypeAndModel", "ProductVersion", "KeyPackType", "TotalLicenses", "IssuedLicenses",
					"AvailableLicenses")[3:5], "[5,RDS Per Device CAL,Windows Server 2016,5,50,1,49 6,RDS Per User CAL,Windows Server 2016,5,20,2,18]")
				const absent = "Win32_TSLicenseKeyPackOfAnotherRole"
				s.isAbsent("", "SELECT KeyPackId, TypeAndModel FROM "+absent, "CannotProcessFilter", 2150858778)
				s.isAbsent(absent, "", "DestinationUnreachable", 2150858752)
			},
		},
		{
			id: "A9", does: "`SELECT LicenseStatus,sIssuedToUser,sIssuedToComputer FROM Win32_TSIssuedLicense`, by impacket: counts by status, and of the active ones those with a user and those with a computer only",
			run: func(s *script) {
				byStatus, users, computers := map[string]int{}, 0, 0
				for _, row := range s.query("SELECT LicenseStatus,sIssuedToUser,sIssuedToComputer FROM Win32_TSIssuedLicense") {
					byStatus[row.Text("LicenseStatus")]++
					switch {
					case row.Text("LicenseStatus") != "2":
					case strings.TrimSpace(row.Text("sIssuedToUser")) != "":
						users++
					case strings.TrimSpace(row.Text("sIssuedToComputer")) != "":
						computers++
					}
				}
				s.is("the licenses by status", byStatus, "map[1:1 2:4]")
				s.is("active ones with a user, and with a computer only", []int{users, computers}, "[4 0]")
			},
		},
		{
			id: "A10", does: "`Get-CimInstance -ClassName Win32_TSLicenseKeyPack`: enumerating the class finds what A1 finds",
			run: func(s *script) {
				columns := []string{"KeyPackId", "TotalLicenses", "IssuedLicenses", "AvailableLicenses", "TypeAndModel"}
				s.is("what enumerating finds", texts(s.class(keyPackClass), columns...), texts(s.query("SELECT * FROM Win32_TSLicenseKeyPack"), columns...))
			},
		},
		{
			id: "A10 over DCOM", does: "the same with `New-CimSessionOption -Protocol Dcom`, `Get-WmiObject -ComputerName`, `wmiquery.py`",
			why: "DCOM is another protocol, which this license server does not speak yet",
		},
		{
			id: "A11", origin: "jagilber/powershellScripts, rds-lic-svr-chk.ps1",
			does: "all instances of `Win32_TSLicenseServer`, `Win32_TSIssuedLicense`, `Win32_TSLicenseReport` and, although they are only ever embedded in others, of the five classes of report entries: empty, and no error",
			run: func(s *script) {
				servers := s.class(serverClass)
				if len(servers) != 1 || servers[0].Text("FirstName") != "Ada" {
					s.Errorf("the license servers are %v", servers)
				}
				if n := len(s.class(issuedClass)); n != 5 {
					s.Errorf("%d licenses are issued, want 5", n)
				}
				s.class(reportClass)
				for _, class := range embeddedOnly {
					if found := append(s.class(class), s.query("SELECT * FROM "+class)...); len(found) > 0 {
						s.Errorf("there are %d instances of %s, want none", len(found), class)
					}
				}
			},
		},
	}}
}

// isAbsent fails unless asking for a class is refused because it is not there. The status is WBEM_E_INVALID_CLASS in any case, which
// is what scripts look for; python3-winrm shows only the subcode and the code of WS-Management.
func (s *script) isAbsent(class, wql, subcode string, code uint32) {
	s.Helper()
	_, err := s.find(s.T, class, wql)
	r, ok := err.(*refusal)
	if !ok || r.subcode != subcode || r.code != code || !strings.Contains(r.text, "there is no class") {
		s.Errorf("%s%s gave %v, want the fault %s, %d: there is no class", class, wql, err, subcode, code)
	}
	if _, ours := s.caller.(ourClient); ours && !strings.Contains(r.text, "WBEM_E_INVALID_CLASS") {
		s.Errorf("the fault does not have WBEM_E_INVALID_CLASS: %s", r.text)
	}
}
