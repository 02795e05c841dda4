package test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"calkeeper/internal/wsman/client"
)

const terminalServiceSetting = "Win32_TerminalServiceSetting"

// TestSessionHostScripts does what public scripts do to session hosts. Those that are registered stand for them here.
func TestSessionHostScripts(t *testing.T) { runScripts(t, sessionHostScripts()) }

// setting returns the only session host, and its path.
func (s *script) setting() (host client.Instance, keys []client.Value) {
	s.Helper()
	hosts := s.class(terminalServiceSetting)
	if len(hosts) != 1 || !strings.EqualFold(hosts[0].Text("ServerName"), "rdsh1.farm.example") {
		s.Fatalf("the session hosts are %v, want rdsh1.farm.example", hosts)
	}
	return hosts[0], path(hosts[0], "ServerName")
}

// setsTo calls SetSpecifiedLicenseServerList and fails unless the list is then this.
func (s *script) setsTo(list client.Value, want string) {
	s.Helper()
	_, keys := s.setting()
	s.is("SetSpecifiedLicenseServerList", s.callOn(terminalServiceSetting, keys, "SetSpecifiedLicenseServerList", list).ReturnValue, 0)
	s.is("the list", s.specified(), want)
}

// specified returns what GetSpecifiedLicenseServerList returns.
func (s *script) specified() []string {
	s.Helper()
	_, keys := s.setting()
	out := s.callOn(terminalServiceSetting, keys, "GetSpecifiedLicenseServerList")
	s.is("GetSpecifiedLicenseServerList", out.ReturnValue, 0)
	list, _ := out.Values.Value("SpecifiedLSList")
	var names []string
	for _, e := range list.Elements() {
		names = append(names, e.Text())
	}
	return names
}

func sessionHostScripts() scriptTable {
	const jagilber = "jagilber/powershellScripts, rds-lic-svr-chk.ps1"
	const testSuites = "microsoft/WindowsProtocolTestSuites, TestSuites/RDP/Server/Setup/Scripts/PostConfig-SUT.ps1"
	server := func(s *script) client.Value { return client.Text("ServerName", s.name) }
	return scriptTable{test: "TestSessionHostScripts", title: "Session hosts", namespace: "root/cimv2/TerminalServices", prepare: activatedServer, rows: []scriptRow{
		{
			id: "B14", origin: "MicrosoftDocs/SupportArticles-docs, troubleshoot-rds-licensing-guidance.md",
			does: "`wmic /namespace:\\\\root\\CIMV2\\TerminalServices PATH Win32_TerminalServiceSetting WHERE (__CLASS !=\"\") CALL GetGracePeriodDays`: DaysLeft",
			run: func(s *script) {
				hosts := s.query(`SELECT * FROM Win32_TerminalServiceSetting WHERE (__CLASS !="")`)
				s.is("the session hosts", len(hosts), 1)
				for _, host := range hosts {
					out := s.callOn(terminalServiceSetting, path(host, "ServerName"), "GetGracePeriodDays")
					if days, ok := out.Values.Uint32("DaysLeft"); out.ReturnValue != 0 || !ok || days > 120 {
						s.Errorf("GetGracePeriodDays returned 0x%08X, DaysLeft %q", out.ReturnValue, out.Values.Text("DaysLeft"))
					}
				}
			},
		},
		{
			id: "B20", origin: jagilber,
			does: "reads `TerminalServerMode` (1 is a session host), `LicensingType` (2 per device, 4 per user), and `PolicySourceLicensingType`, `PolicySourceConfiguredLicenseServers`, `PolicySourceDirectConnectLicenseServers`, which are not 0 if a group policy decides",
			run: func(s *script) {
				host, _ := s.setting()
				s.is("the mode and type", []string{host.Text("TerminalServerMode"), host.Text("LicensingType")}, "[1 4]")
				for _, name := range []string{"PolicySourceLicensingType", "PolicySourceConfiguredLicenseServers", "PolicySourceDirectConnectLicenseServers"} {
					if got := host.Text(name); got != "0" && got != "" {
						s.Errorf("%s is %q, want 0", name, got)
					}
				}
			},
		},
		{
			id: "B20a", origin: jagilber,
			does: "`.FindLicenseServers().LicenseServersList`: of each LicenseServer, HowDiscovered, IsAdminOnLS, IsLSAvailable, IssuingCals",
			run: func(s *script) {
				_, keys := s.setting()
				out := s.callOn(terminalServiceSetting, keys, "FindLicenseServers")
				list, _ := out.Values.Value("LicenseServersList")
				var found []client.Instance
				for _, e := range list.Elements() {
					i, _ := e.Object()
					found = append(found, i)
				}
				s.is("the license servers", []any{out.ReturnValue, texts(found, "LicenseServer", "IsAdminOnLS", "IsLSAvailable", "IssuingCals")}, "[0 ["+s.name+",1,1,1]]")
				for _, i := range found {
					if _, ok := i.Uint32("HowDiscovered"); !ok {
						s.Errorf("HowDiscovered is %q", i.Text("HowDiscovered"))
					}
				}
			},
		},
		{
			id: "B20b", origin: jagilber + "; " + testSuites,
			does: "`.SetSpecifiedLicenseServerList(\"host\")`, a scalar where an array is declared, `.GetSpecifiedLicenseServerList().SpecifiedLSList`",
			run: func(s *script) {
				s.setsTo(client.Text("SpecifiedLSList", s.name), "["+s.name+"]")
				s.setsTo(client.Array("SpecifiedLSList", client.Text("", s.name), client.Text("", "ls2.farm.example")), "["+s.name+" ls2.farm.example]")
				s.setsTo(client.Array("SpecifiedLSList", client.Text("", s.name)), "["+s.name+"]")
			},
		},
		{
			id: "B20c", origin: jagilber,
			does: "`.PingLicenseServer(h)`, whose ReturnValue is 0, `.CanAccessLicenseServer(h).AccessAllowed`, which the script takes for yes unless it is 0, `.GetTStoLSConnectivityStatus(h).TsToLsConnectivityStatus`, which is good if it is 9 or 11",
			run: func(s *script) {
				_, keys := s.setting()
				s.is("PingLicenseServer", s.callOn(terminalServiceSetting, keys, "PingLicenseServer", server(s)).ReturnValue, 0)
				access := s.callOn(terminalServiceSetting, keys, "CanAccessLicenseServer", server(s))
				if allowed, ok := access.Values.Uint32("AccessAllowed"); access.ReturnValue != 0 || !ok || allowed == 0 {
					s.Errorf("CanAccessLicenseServer returned 0x%08X, AccessAllowed %q", access.ReturnValue, access.Values.Text("AccessAllowed"))
				}
				status := s.callOn(terminalServiceSetting, keys, "GetTStoLSConnectivityStatus", server(s))
				if n, err := strconv.Atoi(status.Values.Text("TsToLsConnectivityStatus")); err != nil || !slices.Contains([]int{9, 11}, n) {
					s.Errorf("GetTStoLSConnectivityStatus returned 0x%08X, %q", status.ReturnValue, status.Values.Text("TsToLsConnectivityStatus"))
				}
			},
		},
		{
			id: "B20d", origin: testSuites,
			does: "`.ChangeMode(2)`, `.ChangeMode(4)`: per device, per user",
			run: func(s *script) {
				_, keys := s.setting()
				for _, mode := range []uint32{2, 4} {
					s.is("ChangeMode", s.callOn(terminalServiceSetting, keys, "ChangeMode", client.Uint32("LicensingType", mode)).ReturnValue, 0)
					host, _ := s.setting()
					s.is("the LicensingType", host.Text("LicensingType"), mode)
				}
			},
		},
		{
			id: "B20, the rest", origin: jagilber, does: "prints `Win32_TSDeploymentLicensing`, whatever is in it",
			why: "the class is not there; the script goes on without it",
		},
		{id: "D5", does: "a scalar where an array is declared", same: "B20b"},
	}}
}
