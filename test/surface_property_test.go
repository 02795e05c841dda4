package test

import (
	"regexp"
	"testing"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/wsman/client"
)

const (
	instant = `20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z` // xs:dateTime in UTC
	perUser = "RDS Per User CAL"
)

// licenses reads the properties of each class, and calls the methods of issued licenses and reports, on a license server with CALs of
// both types and a user who was denied one.
func (s *surface) licenses(t *testing.T, f *farm) {
	m := f.join("issuing", f.organization)
	f.sellTo(m, licensing.WindowsServer2022, licensing.PerUser, 3)
	f.sellTo(m, licensing.WindowsServer2019, licensing.PerDevice, 10)
	license(t, m.sessionHost(t, wire.NewHost{Name: "rdsh1", ProductVersion: "ws2019", Mode: "per-device"}), "DEV1")
	m.licenseUsers(t, wire.NewHost{Name: "rdsh2", ProductVersion: "ws2022", Mode: "per-user"}, `FARM\ada`, `FARM\bob`, `FARM\carol`)
	if err := m.Issuance.SetOverUse(t.Context(), "test", 3, licensing.OverUse{Policy: licensing.DenyOverUse, DenyBeyond: 100}); err != nil {
		t.Fatal(err)
	}
	host := m.sessionHost(t, wire.NewHost{Name: "rdsh3", ProductVersion: "ws2022", Mode: "per-user"})
	if _, err := host.Request(t.Context(), wire.Request{User: `FARM\dave`}, ""); licensing.KindOf(err) != licensing.Unlicensed {
		t.Fatalf("%v, want a denial", err)
	}
	get := func(class string, keys ...client.Value) client.Instance {
		t.Helper()
		i, err := m.admin.Get(t.Context(), class, keys)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}

	contact := map[string]string{"FirstName": "Ada", "LastName": "Lovelace", "Company": "Analytical & Söhne", "CountryRegion": "GB", "eMail": "ada@example.com",
		"OrgUnit": "Engines", "Address": "12 St James's Square", "City": "London", "State": "England", "PostalCode": "SW1Y 4JH"}
	server := map[string]string{"ServerRole": "0", "DatabasePath": regexp.QuoteMeta(m.dir) + `/calkeeper\.db`, "ProductId": regexp.QuoteMeta(m.ProductID),
		"Version": `calkeeper \d+\.\d+\.\d+`, "VersionNumber": `\d+\.\d+\.\d+`}
	var set []client.Value
	for name, value := range contact {
		set = append(set, client.Text(name, value))
		server[name] = regexp.QuoteMeta(value)
	}
	if _, err := m.admin.Put(t.Context(), serverClass, nil, set); err != nil {
		t.Fatal(err)
	}
	s.properties(t, serverClass, "Get", get(serverClass), server)
	s.properties(t, keyPackClass, "Get by KeyPackId", get(keyPackClass, client.Uint32("KeyPackId", 4)), map[string]string{
		"KeyPackId": "4", "Description": `A02-10\.01-S`, "KeyPackType": "5", "ProductType": "0", "ProductVersion": "Windows Server 2019",
		"ProductVersionID": "6", "TotalLicenses": "10", "IssuedLicenses": "1", "AvailableLicenses": "9", "ExpirationDate": `2038-01-01T\d\d:\d\d:\d\dZ`,
		"AccessRights": "7", "TypeAndModel": "RDS Per Device CAL",
	})
	dev1 := path(m.rows(t, issuedClass, "SELECT * FROM Win32_TSIssuedLicense WHERE sIssuedToComputer = 'DEV1'")[0], "LicenseId", "KeyPackId")
	s.properties(t, issuedClass, "Get by LicenseId, KeyPackId", get(issuedClass, dev1...), map[string]string{
		"LicenseId": dev1[0].Text(), "KeyPackId": "4", "sIssuedToUser": `FARM\\ada`, "sIssuedToComputer": "DEV1", "LicenseStatus": "2",
		"IssueDate": instant, "ExpirationDate": instant, "sHardwareId": "hw-DEV1",
	})
	s.reports(t, m)
	s.call(t, m, done, issuedClass, "Revoke", func(*testing.T) (keys, args []client.Value) { return dev1, nil }, has("RevokableCals", "1"))
}

// reports makes license usage reports, and reads what is only ever embedded in the answers of their methods.
func (s *surface) reports(t *testing.T, m *member) {
	var report []client.Value
	s.call(t, m, done, reportClass, "GenerateReportEx", with(), func(t *testing.T, out client.Instance) {
		report = path(out, "FileName")
		head, err := m.admin.Get(t.Context(), reportClass, report)
		if err != nil || head.Text("FileName") != report[0].Text() {
			t.Errorf("the report is %v, %v", head.Values, err)
		}
	})
	s.call(t, m, notSupported, reportClass, "GenerateReport", with(client.Uint32("ScopeType", 1), client.Text("ScopeValue", "")), nil)
	if report == nil { // another member is asked for with -run
		out, err := m.admin.Invoke(t.Context(), reportClass, "GenerateReportEx", nil, nil)
		if err != nil || out.ReturnValue != done {
			t.Fatalf("GenerateReportEx returned 0x%08X, %v", out.ReturnValue, err)
		}
		report = path(out.Values, "FileName")
	}
	head, err := m.admin.Get(t.Context(), reportClass, report)
	if err != nil {
		t.Fatal(err)
	}
	s.properties(t, reportClass, "Get by FileName", head, map[string]string{
		"FileName": regexp.QuoteMeta(report[0].Text()), "LicenseUsageCount": "3", "InstalledLicenses": "3", "GenerationDateTime": instant,
		"ScopeType": "3", "ScopeValue": "", "Version": "1",
	})
	all := []client.Value{client.Uint32("StartIndex", 0), client.Uint32("Count", 0)}
	for _, list := range []struct {
		method, array, class, count string
		want                        map[string]string // properties of the first
	}{
		{"FetchReportEntries", "ReportEntries", "Win32_TSLicenseReportEntry", "3", map[string]string{
			"User": `FARM\\ada`, "ExpirationDate": instant, "CALType": perUser, "ProductVersion": "Windows Server 2022", "ProductVersionID": "7"}},
		{"FetchReportSummaryEntries", "ReportSummaryEntries", "Win32_TSLicenseReportSummaryEntry", "2", map[string]string{
			"ProductVersion": "Windows Server 2019", "ProductVersionID": "6", "TSCALType": "Per Device", "InstalledLicenses": "10", "IssuedLicenses": "1",
			"TSCALAvailability": "Available"}},
		{"FetchReportPerDeviceEntries", "ReportPerDeviceEntries", "Win32_TSLicenseReportPerDeviceEntry", "1", map[string]string{
			"sIssuedToComputer": "DEV1", "sHardwareId": "hw-DEV1", "ExpirationDate": instant, "CALType": "RDS Per Device CAL",
			"ProductVersion": "Windows Server 2019", "ProductVersionID": "6"}},
		{"FetchReportFailedPerUserEntries", "ReportFailedPerUserEntries", "Win32_TSLicenseReportFailedPerUserEntry", "1", map[string]string{
			"User": `FARM\\dave`, "TriedIssuanceOn": instant, "CALType": perUser, "ProductVersion": "Windows Server 2022", "ProductVersionID": "7"}},
		{"FetchReportFailedPerUserSummaryEntries", "ReportFailedPerUserSummaryEntries", "Win32_TSLicenseReportFailedPerUserSummaryEntry", "1", map[string]string{
			"DomainName": "FARM", "FailedIssuanceCount": "1"}},
	} {
		s.call(t, m, done, reportClass, list.method, func(*testing.T) (keys, args []client.Value) { return report, all }, has("Count", list.count))
		out, err := m.admin.Invoke(t.Context(), reportClass, list.method, report, all)
		if err != nil {
			t.Fatal(err)
		}
		entries, _ := out.Values.Value(list.array)
		if len(entries.Elements()) == 0 {
			t.Fatalf("%s returned no entries", list.method)
		}
		first, _ := entries.Elements()[0].Object()
		s.properties(t, list.class, list.method+" with StartIndex, Count", first, list.want)
	}
	s.call(t, m, done, reportClass, "DeleteReport", func(*testing.T) (keys, args []client.Value) { return report, nil }, func(t *testing.T, _ client.Instance) {
		if rows := m.rows(t, reportClass, "SELECT * FROM Win32_TSLicenseReport"); len(rows) > 0 {
			t.Errorf("%d reports are left, want none", len(rows))
		}
	})
}
