package test

import (
	"fmt"
	"strings"
	"testing"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/wsman/client"
)

// TestScriptCalls makes the calls of public scripts.
func TestScriptCalls(t *testing.T) { runScripts(t, scriptCalls()) }

// activatedServer has a registered session host and no key pack.
func activatedServer(t *testing.T, f *farm) *member {
	m := f.join("ls1", f.organization)
	m.sessionHost(t, wire.NewHost{Name: "rdsh1.farm.example", ProductVersion: "ws2022", Mode: "per-user"})
	return m
}

func scriptCalls() scriptTable {
	text := client.Text
	return scriptTable{test: "TestScriptCalls", title: "Calls", prepare: activatedServer, rows: []scriptRow{
		{
			id: "B1", origin: "jagilber/powershellScripts, rds-lic-svr-chk.ps1; microsoft/WindowsProtocolTestSuites, PostConfig-SUT.ps1; d-strobel/ansible-collection-windows, rdl_server_status.ps1",
			does: "`([wmiclass]\"\\\\host\\root\\cimv2:Win32_TSLicenseServer\").GetActivationStatus().ActivationStatus`: 0 is activated",
			run: func(s *script) {
				out := s.call(serverClass, "GetActivationStatus")
				s.is("GetActivationStatus", []any{out.ReturnValue, out.Values.Text("ActivationStatus")}, "[0 0]")
			},
		},
		{
			id: "B2", origin: "jagilber/powershellScripts, rds-lic-svr-chk.ps1",
			does: "`.GetLicenseServerID().sLicenseServerId`: the method is declared as GetLicenseServerId",
			run: func(s *script) {
				out := s.call(serverClass, "GetLicenseServerID")
				s.is("GetLicenseServerID", []any{out.ReturnValue, out.Values.Text("sLicenseServerId")}, []any{0, s.id})
			},
		},
		{
			id: "B3", origin: "jagilber/powershellScripts, rds-lic-svr-chk.ps1",
			does: "`IsLSinTSLSGroup($domain).IsMember`, `IsLSonDC().OnDC`, `IsLSPublished().Published`, `IsLSRegisteredToSCP().Registered`, `IsLSSecGrpGPEnabled().Enabled`, `IsSecureAccessAllowed($rdsh).Allowed`, `IsTSinTSCGroup(\"\").IsMember` (the name is empty for a mistake in the script)",
			run: func(s *script) {
				for _, q := range []struct {
					method, out string
					args        []client.Value
					want        bool
				}{
					{"IsLSinTSLSGroup", "IsMember", []client.Value{text("Domain", "FARM")}, false},
					{"IsLSonDC", "OnDC", nil, false},
					{"IsLSPublished", "Published", nil, false},
					{"IsLSRegisteredToSCP", "Registered", nil, false},
					{"IsLSSecGrpGPEnabled", "Enabled", nil, true},
					{"IsSecureAccessAllowed", "Allowed", []client.Value{text("tsname", "RDSH1.farm.example")}, true},
					{"IsSecureAccessAllowed", "Allowed", []client.Value{text("tsname", "rdsh9.farm.example")}, false},
					{"IsTSinTSCGroup", "IsMember", []client.Value{text("tsname", "")}, false},
				} {
					s.isBool(q.method, s.call(serverClass, q.method, q.args...), q.out, q.want)
				}
			},
		},
		{
			id: "B4", origin: "microsoft/WindowsProtocolTestSuites, TestSuites/RDP/Server/Setup/Scripts/PostConfig-SUT.ps1",
			does: "gets `Win32_TSLicenseServer`, sets FirstName, LastName, Company, CountryRegion, `.Put()`; `ActivateServerAutomatic()`, `GetActivationStatus()`",
			run: func(s *script) {
				s.deactivate()
				server := s.class(serverClass)[0]
				contact := map[string]string{"FirstName": "test", "LastName": "test", "Company": "test", "CountryRegion": "Albania"}
				var whole []client.Value
				for _, v := range server.Values { // an instance is put back as a whole
					if changed, ok := contact[v.Name]; ok {
						v = text(v.Name, changed)
					}
					whole = append(whole, v)
				}
				s.set(serverClass, whole...)
				s.is("the contact data", texts(s.class(serverClass), "FirstName", "LastName", "Company", "CountryRegion"), "[test,test,test,Albania]")
				s.activates(s.call(serverClass, "ActivateServerAutomatic"))
			},
		},
		{
			id: "B5", origin: "ministryofjustice/modernisation-platform-configuration-management, ModPlatformRDLicensing.psm1",
			does: "`[wmiclass]$o.__PATH.Split(\"=\")[0]`, `$o[$name] = $value` for each name of a table in any order, `.Put()`; `ActivateServerAutomatic()`, `DeactivateServerAutomatic()`",
			run: func(s *script) {
				of := strings.Split(s.query("SELECT __PATH FROM Win32_TSLicenseServer")[0].Text("__PATH"), "=")[0]
				s.is("the path of the class", of, `\\ls1.farm.example\root\cimv2:Win32_TSLicenseServer`)
				_, class, _ := strings.Cut(of, ":")
				s.deactivate()
				s.set(class, text("CountryRegion", "United Kingdom"), text("Company", "Ministry of Justice"),
					text("LastName", "Platform"), text("FirstName", "Modernisation"))
				s.activates(s.call(class, "ActivateServerAutomatic"))
				out := s.call(class, "DeactivateServerAutomatic")
				s.is("DeactivateServerAutomatic", []any{out.ReturnValue, out.Values.Text("ActivationStatus")}, "[0 1]")
				s.activates(s.call(class, "ActivateServerAutomatic"))
			},
		},
		{
			id: "B6", does: "`[wmi]\"\\\\.\\root\\cimv2:Win32_TSLicenseServer=@\"`, the singleton's own path; sets properties, eMail among them, `.Put()`; `ActivateServerAutomatic()` on the instance, or `Invoke-CimMethod -InputObject`; reads ReturnValue and ActivationStatus. Such a path has no selectors but that of the namespace",
			run: func(s *script) {
				s.deactivate()
				namespace := text("__cimnamespace", "root/cimv2")
				server := s.instance(serverClass, namespace)
				if server.Text("ProductId") == "" {
					s.Errorf("the singleton is %v", server.Values)
				}
				s.set(serverClass, text("FirstName", "Grace"), text("LastName", "Hopper"), text("Company", "Example"), text("CountryRegion", "US"),
					text("eMail", "grace@example.com"))
				s.is("the eMail", s.instance(serverClass).Text("email"), "grace@example.com")
				s.activates(s.callOn(serverClass, []client.Value{namespace}, "ActivateServerAutomatic"))
				s.activates(s.callOn(serverClass, []client.Value{namespace}, "GetActivationStatus"))
			},
		},
		{
			id: "B8", origin: "d-strobel/ansible-collection-windows, plugins/modules/rdl_company_info.ps1",
			does: "compares each of ten properties, and puts one at a time; an empty string clears it",
			run: func(s *script) {
				before := s.instance(serverClass)
				for _, name := range []string{"FirstName", "LastName", "Company", "CountryRegion", "eMail", "OrgUnit", "Address", "PostalCode", "City", "State"} {
					for _, value := range []string{"Ünïcode & <b>", "", before.Text(name)} {
						if got := s.set(serverClass, text(name, value)).Text(name); got != value {
							s.Errorf("the answer to Put has %s %q, want %q", name, got, value)
						}
						if got := s.instance(serverClass).Text(name); got != value {
							s.Errorf("%s is %q, want %q", name, got, value)
						}
					}
				}
				s.is("the license server after all", s.instance(serverClass).Values, before.Values)
			},
		},
		{
			id: "B9", origin: "d-strobel/ansible-collection-windows, plugins/modules/rdl_server_domain_status.ps1",
			does: "`IsLSinTSLSGroup($domain)`, `AddLStoTSLSGroup()`, `RemoveLSfromTSLSGroup()`: reads `.IsMember`, `.ReturnValue`. Without a directory the answer is no, and a change is WBEM_E_NOT_AVAILABLE",
			run: func(s *script) {
				s.isBool("IsLSinTSLSGroup", s.call(serverClass, "IsLSinTSLSGroup", text("Domain", "farm.example")), "IsMember", false)
				for _, method := range []string{"AddLStoTSLSGroup", "RemoveLSfromTSLSGroup"} {
					s.is(method, s.call(serverClass, method).ReturnValue, notAvailable)
				}
			},
		},
		{
			id: "B10", does: "`Invoke-CimMethod -ClassName Win32_TSLicenseKeyPack -MethodName InstallAgreementLicenseKeyPack -Arguments @{…}`, with arguments in any order, for ProductVersion 4, 5, 6, 7 and 8: reads `.ReturnValue`, `.KeyPackId`",
			run: func(s *script) {
				for _, version := range []licensing.ProductVersion{4, 5, 6, 7, 8} {
					sale := s.farm.sell(licensing.Credentials{Program: licensing.Agreement, AgreementType: licensing.Enterprise}, version, licensing.PerUser, 15)
					args := agreementArguments(sale, 15)
					for i := range len(args) / 2 { // a hash table has no order
						args[i], args[len(args)-1-i] = args[len(args)-1-i], args[i]
					}
					out := s.call(keyPackClass, "InstallAgreementLicenseKeyPack", args...)
					s.is("the key pack", s.installed(out, "KeyPackType", "ProductType", "ProductVersionID", "TotalLicenses", "TypeAndModel"),
						fmt.Sprintf("2,1,%d,15,RDS Per User CAL", version))
				}
			},
		},
		{
			id: "B11", origin: "microsoft/WindowsProtocolTestSuites, TestSuites/RDP/Server/Setup/Scripts/PostConfig-SUT.ps1",
			does: "`.InstallAgreementLicenseKeyPack(1, 1234567, 4, 0, 250)`: by position, and the number, which is declared as a string, as an integer",
			run: func(s *script) {
				s.farm.sell(licensing.Credentials{Program: licensing.Agreement, AgreementType: licensing.Enterprise, AgreementNumber: "1234567"},
					licensing.WindowsServer2012, licensing.PerDevice, 250)
				out := s.call(keyPackClass, "InstallAgreementLicenseKeyPack", client.Uint32("AgreementType", 1), client.Uint32("sAgreementNumber", 1234567),
					client.Uint32("ProductVersion", 4), client.Uint32("ProductType", 0), client.Uint32("LicenseCount", 250))
				s.is("the key pack", s.installed(out, "Description", "TotalLicenses"), "A02-6.02-S,250")
			},
		},
		{
			id: "B13", does: "`Invoke-CimMethod … -MethodName InstallRetailPurchaseLicenseKeyPack -Arguments @{sLicenseCode = …}`: reads `.ReturnValue`",
			run: func(s *script) {
				sale := s.farm.sell(licensing.Credentials{Program: licensing.Retail}, licensing.WindowsServer2019, licensing.PerUser, 5)
				code := text("sLicenseCode", sale.Credentials.LicenseCode)
				out := s.call(keyPackClass, "InstallRetailPurchaseLicenseKeyPack", code)
				s.is("the key pack", s.installed(out, "KeyPackType", "TotalLicenses"), "1,5")
				s.is("the ReturnValue, once more", s.call(keyPackClass, "InstallRetailPurchaseLicenseKeyPack", code).ReturnValue, alreadyExists)
			},
		},
		{
			id: "B15", origin: "jagilber/powershellScripts, rds-lic-per-device-revoke-by-IssueDate.ps1, rds-lic-per-device-revoke-by-client.ps1",
			does: "`$lic.Revoke()` on an instance of `Win32_TSIssuedLicense`: reads ReturnValue, RevokableCals and `NextRevokeAllowedOn.Substring(0,8)`, also when it was refused: it is never NULL",
			run: func(s *script) {
				s.farm.sellTo(s.member, licensing.WindowsServer2019, licensing.PerDevice, 5)
				host := s.sessionHost(s.T, wire.NewHost{Name: "rdsh2.farm.example", ProductVersion: "ws2019", Mode: "per-device"})
				revoked := 0
				for i := range 2 {
					license(s.T, host, fmt.Sprintf("REVOKED%d", i))
				}
				for _, lic := range s.query("SELECT * FROM Win32_TSIssuedLicense WHERE sIssuedToComputer LIKE 'REVOKED%'") {
					out := s.callOn(issuedClass, path(lic, "LicenseId", "KeyPackId"), "Revoke")
					next := s.dmtf(out.Values.Text("NextRevokeAllowedOn"))
					if len(next) != 25 || next[0:8] < s.dmtf(lic.Text("IssueDate"))[0:8] {
						s.Errorf("NextRevokeAllowedOn is %s", next)
					}
					s.is("RevokableCals", out.Values.Text("RevokableCals"), 0) // 20 percent of 5 is one
					if out.ReturnValue == 0 {
						revoked++
					} else {
						s.is("the second ReturnValue", out.ReturnValue, outOfRange)
					}
				}
				s.is("how many were revoked", revoked, 1)
			},
		},
		{
			id: "B21", does: "`Set-Item RDS:\\LicenseServer\\…`, `Get-Item RDS:\\LicenseServer\\ActivationStatus`, `New-Item …\\PerUserLicenseReports`",
			why: "the drive is a module of PowerShell for its own machine, an overlay over the same classes (B1, B4, B16); activated is 1 there",
		},
	}}
}

// deactivate deactivates the license server, and clears what activation needs.
func (s *script) deactivate() {
	s.Helper()
	s.is("DeactivateServerAutomatic", s.call(serverClass, "DeactivateServerAutomatic").ReturnValue, 0)
	s.is("the activation status", s.call(serverClass, "GetActivationStatus").Values.Text("ActivationStatus"), 1)
	s.set(serverClass, client.Text("FirstName", ""), client.Text("LastName", ""), client.Text("Company", ""), client.Text("CountryRegion", ""))
	s.is("activating without contact data", s.call(serverClass, "ActivateServerAutomatic").ReturnValue, invalidParameter)
}

// installed returns properties of the key pack that a method says it has installed.
func (s *script) installed(out client.Output, names ...string) string {
	s.Helper()
	if out.ReturnValue != 0 {
		s.Fatalf("the ReturnValue is 0x%08X, want 0", out.ReturnValue)
	}
	return texts([]client.Instance{s.instance(keyPackClass, path(out.Values, "KeyPackId")...)}, names...)[0]
}

// activates fails unless the answer of a method says that the license server is activated, and it is.
func (s *script) activates(out client.Output) {
	s.Helper()
	s.is("ReturnValue and ActivationStatus", []any{out.ReturnValue, out.Values.Text("ActivationStatus")}, "[0 0]")
	s.is("the activation status", s.call(serverClass, "GetActivationStatus").Values.Text("ActivationStatus"), 0)
}
