package test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/wsman/client"
)

// TestReportScripts does what public scripts do with license usage reports.
func TestReportScripts(t *testing.T) { runScripts(t, reportScripts()) }

// TestReportScriptsOfOneKind does so for those that expect one product version and type on the license server.
func TestReportScriptsOfOneKind(t *testing.T) { runScripts(t, reportScriptsOfOneKind()) }

// makeReport calls GenerateReportEx, finds the report of that name among all, as scripts do, and returns its name and its path.
func (s *script) makeReport() (fileName string, report []client.Value) {
	s.Helper()
	out := s.call(reportClass, "GenerateReportEx")
	fileName = out.Values.Text("FileName")
	if out.ReturnValue != 0 || fileName == "" || strings.ContainsAny(fileName, `/\:*?"<>|`) {
		s.Fatalf("GenerateReportEx returned 0x%08X and the name %q", out.ReturnValue, fileName)
	}
	found := where(s.class(reportClass), func(i client.Instance) bool { return strings.EqualFold(i.Text("FileName"), fileName) })
	if len(found) != 1 {
		s.Fatalf("%d reports have the name %s, want 1", len(found), fileName)
	}
	return fileName, path(found[0], "FileName")
}

// entries calls a Fetch method with (0, 0), which is all, and returns the instances of its array.
func (s *script) entries(report []client.Value, method, array string) []client.Instance {
	s.Helper()
	out := s.callOn(reportClass, report, method, client.Uint32("StartIndex", 0), client.Uint32("Count", 0))
	list, _ := out.Values.Value(array)
	var entries []client.Instance
	for _, e := range list.Elements() {
		entry, ok := e.Object()
		if !ok {
			s.Fatalf("an element of %s is no embedded instance", array)
		}
		entries = append(entries, entry)
	}
	if n, ok := out.Values.Uint32("Count"); out.ReturnValue != 0 || !ok || int(n) != len(entries) {
		s.Fatalf("%s returned 0x%08X, Count %s and %d entries", method, out.ReturnValue, out.Values.Text("Count"), len(entries))
	}
	return entries
}

var summaryColumns = []string{"ProductVersion", "TSCALType", "InstalledLicenses", "IssuedLicenses"}

func reportScripts() scriptTable {
	return scriptTable{test: "TestReportScripts", title: "Reports", prepare: licensedServer, rows: []scriptRow{
		{
			id: "B16", origin: "dwydler/Powershell-Skripte, Paessler/PRTG/paessler-prtg_monitor-windows-rds-cals.ps1",
			does: "`(Invoke-WmiMethod Win32_TSLicenseReport -Name GenerateReportEx).FileName`, also with `-ComputerName`: the name is part of paths, and the key of the report",
			run: func(s *script) {
				fileName, report := s.makeReport()
				s.is("the report", s.instance(reportClass, report...).Text("FileName"), fileName)
				other, _ := s.makeReport()
				s.is("the second report has a name of its own", other != fileName, true)
			},
		},
		{
			id: "B17", origin: "dwydler/Powershell-Skripte, Paessler/PRTG/paessler-prtg_monitor-windows-rds-cals.ps1",
			does: "`(Get-WmiObject Win32_TSLicenseReport | Where FileName -eq $f).FetchReportSummaryEntries(0,0).ReportSummaryEntries`: reads ProductVersion, TSCALType, InstalledLicenses, IssuedLicenses",
			run: func(s *script) {
				_, report := s.makeReport()
				s.is("the summary", strings.Join(texts(s.entries(report, "FetchReportSummaryEntries", "ReportSummaryEntries"), summaryColumns...), "\n"), strings.Join([]string{
					"Windows Server 2008 or Windows Server 2008 R2,Per User,20,0", "Windows Server 2012,Per Device,250,0",
					"Windows Server 2016,Per Device,50,1", "Windows Server 2016,Per User,20,2", "Windows Server 2019,Per User,10,0",
					"Windows Server 2025,Per User,0,1",
				}, "\n"))
			},
		},
		{
			id:   "B18",
			does: "`(…).FetchReportEntries(0,0).ReportEntries`: reads the part of User behind `\\`, ProductVersion, CALType, and ExpirationDate before the point, as `yyyyMMddHHmmss`",
			run: func(s *script) {
				_, report := s.makeReport()
				var rows []string
				for _, e := range s.entries(report, "FetchReportEntries", "ReportEntries") {
					user := strings.Split(e.Text("User"), `\`)
					expires, err := time.Parse("20060102150405", strings.Split(s.dmtf(e.Text("ExpirationDate")), ".")[0])
					if days := time.Until(expires).Hours() / 24; err != nil || days < 59 || days > 60 {
						s.Errorf("%s expires on %s, %v", e.Text("User"), expires, err)
					}
					rows = append(rows, strings.Join([]string{user[len(user)-1], e.Text("ProductVersion"), e.Text("CALType")}, ","))
				}
				s.is("the entries", strings.Join(rows, "\n"), strings.Join([]string{
					"ada,Windows Server 2016,RDS Per User CAL", "bob,Windows Server 2016,RDS Per User CAL", "carol,Windows Server 2025,RDS Per User CAL",
				}, "\n"))
			},
		},
		{
			id: "D9", does: "exactly one instance for each FileName that GenerateReportEx returned, until DeleteReport; past the end of a list the ReturnValue is 0x4001",
			run: func(s *script) {
				fileName, report := s.makeReport()
				s.makeReport()
				all := func() int {
					return len(s.query("SELECT * FROM Win32_TSLicenseReport WHERE FileName = '" + fileName + "'"))
				}
				s.is("instances of that name", all(), 1)
				out := s.callOn(reportClass, report, "FetchReportEntries", client.Uint32("StartIndex", 3), client.Uint32("Count", 0))
				s.is("ReturnValue and Count behind the last entry", []any{out.ReturnValue, out.Values.Text("Count")}, []any{0x4001, 0})
				before := len(s.class(reportClass))
				s.is("DeleteReport", s.callOn(reportClass, report, "DeleteReport").ReturnValue, 0)
				s.is("instances of that name", all(), 0)
				s.is("instances of any name", len(s.class(reportClass)), before-1)
			},
		},
		{
			id:   "C19g",
			does: "a script for Datto: the four columns of B17 as JSON and as lines, of which it keeps those with `*RDS Per User CAL*`. TSCALType is documented as `Per User`, so that there are none",
			run: func(s *script) {
				_, report := s.makeReport()
				lines := texts(s.entries(report, "FetchReportSummaryEntries", "ReportSummaryEntries"), summaryColumns...)
				s.is("how many lines", len(lines), 6)
				for _, line := range lines {
					if strings.Contains(line, "RDS Per User CAL") {
						s.Errorf("a line is %s", line)
					}
				}
			},
		},
		{id: "C19h", does: "a script that writes a CSV file of the users: B16, B18. It deletes earlier reports on the drive `RDS:` (B21)", same: "B16, B18"},
	}}
}

func reportScriptsOfOneKind() scriptTable {
	server := func(t *testing.T, f *farm) *member {
		m := f.join("ls1", f.organization)
		f.sellTo(m, licensing.WindowsServer2022, licensing.PerUser, 8)
		m.licenseUsers(t, wire.NewHost{Name: "rdsh1", ProductVersion: "ws2022", Mode: "per-user"}, users(0, 2)...)
		return m
	}
	summary := func(s *script, report []client.Value) (e client.Instance, installed, issued int) {
		s.Helper()
		entries := s.entries(report, "FetchReportSummaryEntries", "ReportSummaryEntries")
		if len(entries) != 1 {
			s.Fatalf("there are %d summary entries, want 1", len(entries))
		}
		installed, err1 := strconv.Atoi(entries[0].Text("InstalledLicenses"))
		issued, err2 := strconv.Atoi(entries[0].Text("IssuedLicenses"))
		if err1 != nil || err2 != nil {
			s.Fatal(err1, err2)
		}
		return entries[0], installed, issued
	}
	return scriptTable{test: "TestReportScriptsOfOneKind", title: "Reports of one version and type", prepare: server, rows: []scriptRow{
		{
			id: "C16", origin: "dwydler/Powershell-Skripte, Paessler/PRTG/paessler-prtg_monitor-windows-rds-cals.ps1",
			does: "B16, B17 and `DeleteReport()` on each report of the name; how many percent are free; `$ProductVersion, $TSCALType` as text. It expects one entry",
			run: func(s *script) {
				before := len(s.class(reportClass))
				fileName, report := s.makeReport()
				e, installed, issued := summary(s, report)
				for _, r := range where(s.class(reportClass), func(i client.Instance) bool { return i.Text("FileName") == fileName }) {
					s.is("DeleteReport", s.callOn(reportClass, path(r, "FileName"), "DeleteReport").ReturnValue, 0)
				}
				s.is("what it prints", fmt.Sprintf("%d, %d, %d, %s, %s", installed, issued, 100-issued*100/installed, e.Text("ProductVersion"), e.Text("TSCALType")),
					"8, 2, 75, Windows Server 2022, Per User")
				s.is("how many reports are left", len(s.class(reportClass)), before)
			},
		},
		{
			id: "C19i", does: "a daily mail of a Citrix farm: B16, B17; warns if `IssuedLicenses -ge (InstalledLicenses - 10)`",
			run: func(s *script) {
				_, report := s.makeReport()
				_, installed, issued := summary(s, report)
				s.is("whether it warns", issued >= installed-10, true)
			},
		},
	}}
}
