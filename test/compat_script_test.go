package test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/wsman/client"
)

// TestScripts reproduces what public scripts read and compute.
func TestScripts(t *testing.T) { runScripts(t, scripts()) }

// TestScriptsThatRevoke does so for those after which licenses are gone.
func TestScriptsThatRevoke(t *testing.T) { runScripts(t, scriptsThatRevoke()) }

// checkmkColumns are the columns of Checkmk's agent plugins.
var checkmkColumns = []string{"KeyPackId", "Description", "KeyPackType", "ProductType", "ProductVersion", "ProductVersionID", "TotalLicenses",
	"IssuedLicenses", "AvailableLicenses", "ExpirationDate"}

// checkmkLines are the lines that the agent plugin prints, as VBScript does: it knows only signed integers.
func (s *script) checkmkLines(packs []client.Instance) []string {
	s.Helper()
	var lines []string
	for _, pack := range packs {
		var fields []string
		for _, name := range checkmkColumns {
			field := pack.Text(name)
			switch name {
			case "ExpirationDate":
				field = s.dmtf(field)
			case "TotalLicenses", "IssuedLicenses", "AvailableLicenses":
				n, ok := pack.Uint32(name)
				if !ok {
					s.Errorf("%s is %q", name, field)
				}
				field = strconv.Itoa(int(int32(n)))
			}
			fields = append(fields, field)
		}
		lines = append(lines, strings.Join(fields, ","))
	}
	return lines
}

// counts are what some key packs have, in 64 bits.
func (s *script) counts(packs []client.Instance) string {
	s.Helper()
	return fmt.Sprintf("total %d, issued %d, available %d", s.sum(packs, "TotalLicenses"), s.sum(packs, "IssuedLicenses"), s.sum(packs, "AvailableLicenses"))
}

// containing keeps the instances whose TypeAndModel has a text in it, with regard to case, as -cmatch does.
func containing(packs []client.Instance, text string) []client.Instance {
	return where(packs, func(i client.Instance) bool { return strings.Contains(i.Text("TypeAndModel"), text) })
}

func scripts() scriptTable {
	const unlimited = 4294967295
	return scriptTable{test: "TestScripts", title: "Scripts", prepare: licensedServer, rows: []scriptRow{
		{
			id: "C1", origin: "Checkmk/checkmk, agents/windows/plugins/rds_licenses.vbs",
			does: "A1, a line of ten fields with commas between them for each key pack: none may have a comma in it. It ends with an error if there is no key pack",
			run: func(s *script) {
				lines := s.checkmkLines(s.query("Select * from Win32_TSLicenseKeyPack"))
				if len(lines) == 0 {
					s.Fatal("there is no key pack")
				}
				for _, line := range lines {
					s.matches("a line", line, `\d+,(A02|C50)-\d+\.\d\d-(S|EX),\d,\d,Windows (2000 Server|Server 20\d\d( or Windows Server 2008 R2)?),`+
						`\d,-?\d+,\d+,-?\d+,\d{14}\.\d{6}-000`)
				}
				s.is("the first line", lines[0], "2,A02-5.00-EX,6,3,Windows 2000 Server,0,-1,0,-1,20351231230000.000000-000")
				s.is("that of temporary licenses", lines[6], "8,A02-10.00-S,4,0,Windows Server 2016,5,-1,1,-1,20380119031407.000000-000")
			},
		},
		{
			id: "C2", origin: "Checkmk/checkmk, agents/windows/plugins/rds_licenses.ps1",
			does: "`Get-CimInstance -Namespace root\\cimv2 -ComputerName . -ClassName Win32_TSLicenseKeyPack`, which goes over WS-Management: the same columns",
			run: func(s *script) {
				s.is("its lines", s.checkmkLines(s.class(keyPackClass)), s.checkmkLines(s.query("Select * from Win32_TSLicenseKeyPack")))
			},
		},
		{
			id: "C3", origin: "Checkmk/checkmk, cmk/base/legacy_checks/rds_licenses.py",
			does: "of the lines of C1 or C2: TotalLicenses and IssuedLicenses, summed by ProductVersionID 2 to 8",
			run: func(s *script) {
				sums := map[string][2]int{}
				for _, line := range s.checkmkLines(s.class(keyPackClass)) {
					fields := strings.Split(line, ",")
					if len(fields) != len(checkmkColumns) {
						s.Fatalf("%s has %d fields, want %d", line, len(fields), len(checkmkColumns))
					}
					version, known := map[string]string{"2": "2008", "3": "2008 R2", "4": "2012", "5": "2016", "6": "2019", "7": "2022", "8": "2025"}[fields[5]]
					if !known {
						continue
					}
					total, err1 := strconv.Atoi(fields[6])
					issued, err2 := strconv.Atoi(fields[7])
					if err1 != nil || err2 != nil {
						s.Fatal(line)
					}
					sums[version] = [2]int{sums[version][0] + total, sums[version][1] + issued}
				}
				// 69 is 50 + 20 - 1: that is what VBScript makes of the unlimited temporary key pack.
				s.is("the sums", sums, "map[2008:[20 0] 2012:[250 0] 2016:[69 4] 2019:[10 0] 2025:[0 1]]")
			},
		},
		{
			id: "C4", origin: "mickem/nscp, modules/CheckWindowsApps/check_rds_licenses.cpp, check_rds_internal.hpp",
			does: "A8: names KeyPackType 0 to 6, warns of key packs with `available < 10 and total > 0`",
			run: func(s *script) {
				rows := s.query(nscpQuery)
				names := []string{"unknown", "retail", "volume", "concurrent", "temporary", "open", "built-in"}
				var types, warned []string
				for _, row := range rows {
					n, _ := row.Uint32("KeyPackType")
					name := fmt.Sprintf("type_%d", n)
					if int(n) < len(names) {
						name = names[n]
					}
					types = append(types, name)
					if s.sum([]client.Instance{row}, "AvailableLicenses") < 10 && s.sum([]client.Instance{row}, "TotalLicenses") > 0 {
						warned = append(warned, row.Text("TypeAndModel"))
					}
				}
				s.is("the types", types, "[built-in volume volume open open retail temporary type_7]")
				s.is("warnings", warned, "[]") // the key pack that counts over-use has none available, and a total of 0
			},
		},
		{
			id: "C5", origin: "jagilber/powershellScripts, rds-lic-svr-chk.ps1",
			does: "A10, A11, B1 to B3, B20; `TypeAndModel -cmatch \"RDS Per \"`, with regard to case; CALs by type, the total as AvailableLicenses + IssuedLicenses",
			run: func(s *script) {
				packs := s.class(keyPackClass)
				s.is("key packs with RDS Per", len(containing(packs, "RDS Per ")), 7)
				for kind, want := range map[string][2]int64{"RDS Per User": {20 + 18 + 10, 2 + 1}, "RDS Per Device": {250 + 49 + unlimited, 1 + 1}} {
					of := containing(packs, kind)
					s.is(kind+": available and issued", [2]int64{s.sum(of, "AvailableLicenses"), s.sum(of, "IssuedLicenses")}, want)
				}
			},
		},
		{
			id: "C5, the rest", origin: "jagilber/powershellScripts, rds-lic-svr-chk.ps1",
			does: "reads the registry (`StdRegProv`), services, the event log, `msTSManagingLS` and `msTSExpireDate` of users, the license database under `admin$`, the pipe `HYDRALSPIPE`, TCP port 135",
			why:  "none of it is WS-Management: the registry and services of Windows, its RPC, its file shares, and a directory",
		},
		{
			id: "C6", origin: "jagilber/powershellScripts, rds-lic-per-device-cal-enumerate.ps1",
			does: "all of `Win32_TSLicenseKeyPack` and `Win32_TSIssuedLicense`, joined on KeyPackId where ProductType = 0",
			run: func(s *script) {
				s.is("the per device licenses", texts(s.perDevice(s.class(issuedClass)), "sIssuedToComputer", "LicenseStatus"), "[DEV1,2 DEV2,1]")
			},
		},
		{
			id: "C9", origin: "BornToBeRoot/check_rdsdevicecals, check/check_rdsdevicecals.ps1",
			does: "key packs by lists of KeyPackType and ProductVersionID, summed in Int64; the built-in one counts unless it is filtered; the message of an absent class is printed",
			run: func(s *script) {
				check := func(types, versions []string) string {
					packs := where(s.class(keyPackClass), func(i client.Instance) bool {
						return slices.Contains(types, i.Text("KeyPackType")) && slices.Contains(versions, i.Text("ProductVersionID"))
					})
					return s.counts(packs)
				}
				s.is("all that it knows", check([]string{"0", "1", "2", "3", "4", "5", "6"}, []string{"0", "1", "2", "3", "4"}),
					fmt.Sprintf("total %d, issued 0, available %d", unlimited+20+250, unlimited+20+250))
				s.is("volume purchases of 2008 to 2012", check([]string{"2"}, []string{"2", "3", "4"}), "total 270, issued 0, available 270")
				s.isAbsent("Win32_TSLicenseKeyPackOfAnotherRole", "", "DestinationUnreachable", 2150858752)
			},
		},
		{
			id: "C10", origin: "littletoyrobots/EUCMonitoringRedux, PSGallery/Public/Get-RDSlicense.ps1",
			does: "over WS-Management: the TypeAndModel that there are, each once, but `-NotLike \"Built-in TS Per Device Cal\"`; sums of IssuedLicenses, AvailableLicenses, TotalLicenses by TypeAndModel, and whether more are issued than there are",
			run: func(s *script) {
				packs := s.class(keyPackClass)
				byType := map[string]string{}
				for _, pack := range packs {
					if kind := pack.Text("TypeAndModel"); !strings.EqualFold(kind, "Built-in TS Per Device Cal") {
						of := where(packs, func(i client.Instance) bool { return strings.EqualFold(i.Text("TypeAndModel"), kind) })
						byType[kind] = fmt.Sprintf("%s, over %v", s.counts(of), s.sum(of, "IssuedLicenses") > s.sum(of, "TotalLicenses"))
					}
				}
				want := map[string]string{
					"TS or RDS Per User CAL": "total 20, issued 0, available 20, over false",
					"RDS Per User CAL":       "total 30, issued 3, available 28, over false",
					"RDS Per Device CAL":     fmt.Sprintf("total %d, issued 2, available %d, over false", unlimited+300, unlimited+299),
				}
				if !maps.Equal(byType, want) {
					s.Errorf("by type it is %v, want %v", byType, want)
				}
			},
		},
		{
			id: "C10 over DCOM", origin: "littletoyrobots/EUCMonitoringRedux, PSGallery/Public/Get-RDSlicense.ps1",
			does: "`test-wsman`, and the same over DCOM if the ProductVersion ends in 3.0",
			why:  "to strangers this license server names `Stack: 3.0`, as Windows does, so that the script takes DCOM, which is not there yet",
		},
		{id: "C13", origin: "d-strobel/ansible-collection-windows, plugins/modules/rdl_company_info.ps1", does: "B8", same: "B8"},
		{id: "C14", origin: "d-strobel/ansible-collection-windows, plugins/modules/rdl_server_domain_status.ps1", does: "B9", same: "B9"},
		{id: "C15", origin: "ministryofjustice/modernisation-platform-configuration-management, ModPlatformRDLicensing.psm1", does: "B1, B5", same: "B5"},
		{id: "C17", origin: "microsoft/WindowsProtocolTestSuites, PostConfig-SUT.ps1", does: "B1, B4, B11, B20", same: "B4"},
		{id: "C18", origin: "littletoyrobots/EUCMonitoringRedux, PSGallery/Private/Get-RDSLicense.ps1", does: "the older form of C10, without `test-wsman`", same: "C10"},
		{
			id: "C19a", does: "Get-RDSLicenseReport, over CIM: key packs by ProductVersion with KeyPackType in words (6 built-in, 8 over-used), issued licenses by IssueDate with LicenseStatus in words",
			run: func(s *script) {
				packs := s.class(keyPackClass)
				slices.SortStableFunc(packs, func(a, b client.Instance) int {
					return strings.Compare(a.Text("ProductVersion"), b.Text("ProductVersion"))
				})
				words := map[string]string{"0": "Unknown", "1": "Retail", "2": "Volume", "3": "Concurrent", "4": "Temporary", "5": "Open", "6": "Built-in",
					"8": "Built-in OverUsed"}
				var programs []string
				for _, pack := range packs {
					datetime(s.T, pack.Text("ExpirationDate"))
					programs = append(programs, pack.Text("KeyPackId")+" "+words[pack.Text("KeyPackType")])
				}
				// Here over-use has type 7, as in samples of servers, for which this script has no word.
				s.is("the programs", strings.Join(programs, ", "), "2 Built-in, 3 Volume, 4 Volume, 5 Open, 6 Open, 8 Temporary, 7 Retail, 9 ")
				issued := s.class(issuedClass)
				for _, row := range issued {
					if !datetime(s.T, row.Text("ExpirationDate")).After(datetime(s.T, row.Text("IssueDate"))) {
						s.Errorf("a license expires before it was issued: %v", row.Values)
					}
				}
				lines := texts(issued, "LicenseStatus", "sIssuedToUser", "sIssuedToComputer")
				slices.Sort(lines)
				s.is("the issued licenses", fmt.Sprintf("%q", lines),
					fmt.Sprintf("%q", []string{`1,,DEV2`, `2,FARM\ada, `, `2,FARM\ada,DEV1`, `2,FARM\bob, `, `2,FARM\carol, `}))
			},
		},
		{
			id: "C19b", does: "an inventory of a domain: key packs `Where-Object { $_.ProductType -ne 3 }`, ProductType in words",
			run: func(s *script) {
				packs := where(s.class(keyPackClass), func(i client.Instance) bool { return i.Text("ProductType") != "3" })
				var kinds []string
				for _, pack := range packs {
					kinds = append(kinds, map[string]string{"0": "Per Device", "1": "Per User"}[pack.Text("ProductType")])
				}
				s.is("the types", strings.Join(kinds, ", "), "Per User, Per Device, Per Device, Per User, Per User, Per Device, Per User")
			},
		},
		{id: "C19c", does: "the script in Perl that runs impacket", same: "A9"},
		{id: "C19d", does: "the local check that prints the samples S1 to S4", same: "A2, S1, S2, S3, S4"},
		{id: "C19e", does: "three scripts that set a server up: contact data, activation, agreement", same: "B6, B10"},
		{id: "C19f", does: "a check that reads `RDS:\\LicenseServer\\IssuedLicenses\\PerUserLicenseReports`", why: "see B21"},
	}}
}

// perDevice keeps the issued licenses whose key pack has ProductType 0.
func (s *script) perDevice(issued []client.Instance) []client.Instance {
	s.Helper()
	packs := map[string]string{}
	for _, pack := range s.class(keyPackClass) {
		packs[pack.Text("KeyPackId")] = pack.Text("ProductType")
	}
	return where(issued, func(i client.Instance) bool { return packs[i.Text("KeyPackId")] == "0" })
}

func scriptsThatRevoke() scriptTable {
	devices := func(t *testing.T, f *farm) *member {
		m := f.join("ls1", f.organization)
		f.sellTo(m, licensing.WindowsServer2016, licensing.PerDevice, 15) // so 3 may be revoked
		f.sellTo(m, licensing.WindowsServer2016, licensing.PerUser, 5)
		host := m.sessionHost(t, wire.NewHost{Name: "rdsh1", ProductVersion: "ws2016", Mode: "per-device"})
		for i := range 5 {
			license(t, host, fmt.Sprintf("DEV%d", i+1))
		}
		m.licenseUsers(t, wire.NewHost{Name: "rdsh2", ProductVersion: "ws2016", Mode: "per-user"}, `FARM\ada`)
		return m
	}
	status := func(s *script, computer string) []string {
		return texts(s.query("SELECT LicenseStatus FROM Win32_TSIssuedLicense WHERE sIssuedToComputer = '"+computer+"'"), "LicenseStatus")
	}
	return scriptTable{test: "TestScriptsThatRevoke", title: "Scripts that revoke", prepare: devices, rows: []scriptRow{
		{
			id: "C8", origin: "jagilber/powershellScripts, rds-lic-per-device-revoke-by-client.ps1",
			does: "of the licenses with LicenseStatus not 4 the first with `sIssuedToComputer -ieq` a name, without regard to case: B15",
			run: func(s *script) {
				lic := where(s.class(issuedClass), func(i client.Instance) bool {
					return i.Text("LicenseStatus") != "4" && strings.EqualFold(i.Text("sIssuedToComputer"), "dev5")
				})
				out := s.callOn(issuedClass, path(lic[0], "LicenseId", "KeyPackId"), "Revoke")
				s.is("ReturnValue and RevokableCals", []any{out.ReturnValue, out.Values.Text("RevokableCals")}, "[0 2]")
				s.dmtf(out.Values.Text("NextRevokeAllowedOn"))
				s.is("the status of DEV5", status(s, "DEV5"), "[4]")
			},
		},
		{
			id: "C7", origin: "jagilber/powershellScripts, rds-lic-per-device-revoke-by-IssueDate.ps1",
			does: "the licenses with LicenseStatus 2 and `IssueDate.SubString(0,8)` not after a day, those of key packs with ProductType 0: B15, until RevokableCals is 0, or NextRevokeAllowedOn after today",
			run: func(s *script) {
				today := time.Now().UTC().Format("20060102")
				active := where(s.class(issuedClass), func(i client.Instance) bool {
					return i.Text("LicenseStatus") == "2" && s.dmtf(i.Text("IssueDate"))[0:8] <= today
				})
				s.is("how many are active", len(active) >= 5, true)
				revoked := 0
				for _, lic := range s.perDevice(active) {
					out := s.callOn(issuedClass, path(lic, "LicenseId", "KeyPackId"), "Revoke")
					if out.ReturnValue != 0 {
						s.Fatalf("Revoke returned 0x%08X, want 0 as long as RevokableCals is not 0", out.ReturnValue)
					}
					revoked++
					s.is("the status of "+lic.Text("sIssuedToComputer"), status(s, lic.Text("sIssuedToComputer")), "[4]")
					if out.Values.Text("RevokableCals") == "0" || s.dmtf(out.Values.Text("NextRevokeAllowedOn"))[0:8] > today {
						break
					}
				}
				if revoked == 0 {
					s.Error("none was revoked")
				}
				s.is("how many are revoked now", len(s.query("SELECT * FROM Win32_TSIssuedLicense WHERE LicenseStatus = 4")), 3)
				s.is("the per user licenses", texts(s.query("SELECT * FROM Win32_TSIssuedLicense WHERE sIssuedToComputer = ' '"), "LicenseStatus"), "[2]")
			},
		},
	}}
}
