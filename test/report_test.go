package test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/wsman/client"
)

// noMoreData is LSERVER_I_NO_MORE_DATA.
const noMoreData = 0x4001

// lists are the Fetch methods, with the names of their arrays and the class of what these hold.
var lists = map[string]struct{ entries, class string }{
	"FetchReportEntries":                     {"ReportEntries", "Win32_TSLicenseReportEntry"},
	"FetchReportFailedPerUserEntries":        {"ReportFailedPerUserEntries", "Win32_TSLicenseReportFailedPerUserEntry"},
	"FetchReportFailedPerUserSummaryEntries": {"ReportFailedPerUserSummaryEntries", "Win32_TSLicenseReportFailedPerUserSummaryEntry"},
	"FetchReportPerDeviceEntries":            {"ReportPerDeviceEntries", "Win32_TSLicenseReportPerDeviceEntry"},
	"FetchReportSummaryEntries":              {"ReportSummaryEntries", "Win32_TSLicenseReportSummaryEntry"},
}

// generate makes a report and returns its key.
func (m *member) generate(t *testing.T) []client.Value {
	t.Helper()
	return []client.Value{client.Text("FileName", m.want(t, done, reportClass, "GenerateReportEx", nil).Values.Text("FileName"))}
}

// fetch calls a Fetch method and returns the entries, as many as Count says.
func (m *member) fetch(t *testing.T, returnValue uint32, method string, report []client.Value, start, count uint32) []client.Instance {
	t.Helper()
	out, err := m.admin.Invoke(t.Context(), reportClass, method, report, []client.Value{client.Uint32("StartIndex", start), client.Uint32("Count", count)})
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	if out.ReturnValue != returnValue {
		t.Errorf("%s(%d, %d) returned 0x%X, want 0x%X", method, start, count, out.ReturnValue, returnValue)
	}
	list := lists[method]
	array, _ := out.Values.Value(list.entries)
	var entries []client.Instance
	for _, e := range array.Elements() {
		entry, ok := e.Object()
		if !ok || entry.Class != list.class {
			t.Fatalf("%s: %+v is no %s", method, e, list.class)
		}
		entries = append(entries, entry)
	}
	if n, ok := out.Values.Uint32("Count"); !ok || int(n) != len(entries) {
		t.Errorf("%s(%d, %d): Count is %d; there are %d entries", method, start, count, n, len(entries))
	}
	return entries
}

// rowsOf writes entries as lines of these properties.
func rowsOf(entries []client.Instance, properties ...string) []string {
	rows := []string{}
	for _, e := range entries {
		var row []string
		for _, p := range properties {
			row = append(row, e.Text(p))
		}
		rows = append(rows, strings.Join(row, "|"))
	}
	return rows
}

// reported issues CALs of every kind, denies some, and returns the license server.
func reported(t *testing.T) *member {
	t.Helper()
	f := newFarm(t)
	m := f.join("ls1", f.organization)
	f.sellTo(m, licensing.WindowsServer2022, licensing.PerUser, 3)
	f.sellTo(m, licensing.WindowsServer2019, licensing.PerDevice, 10)
	users := m.sessionHost(t, wire.NewHost{Name: "rdsh1", ProductVersion: "ws2022", Mode: "per-user"})
	devices := m.sessionHost(t, wire.NewHost{Name: "rdsh2", ProductVersion: "ws2019", Mode: "per-device"})
	ask := func(user string) error {
		_, err := users.Request(t.Context(), wire.Request{User: user}, "")
		return err
	}
	for _, user := range []string{`FARM\ada`, "bob@farm.example", "carol", `FARM\dave`} { // the last beyond what is installed
		if err := ask(user); err != nil {
			t.Fatal(err)
		}
	}
	license(t, devices, "DEV1")
	if _, err := devices.Request(t.Context(), wire.Request{Device: &wire.Device{Name: "DEV2"}}, ""); err != nil { // a temporary one
		t.Fatal(err)
	}
	if err := m.Issuance.SetOverUse(t.Context(), "test", 3, licensing.OverUse{Policy: licensing.DenyOverUse, DenyBeyond: 100}); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{`FARM\eve`, "frank@other.example", "eve@farm.example"} {
		if err := ask(user); licensing.KindOf(err) != licensing.Unlicensed {
			t.Fatalf("%s: %v, want a denial", user, err)
		}
	}
	return m
}

// TestReport reads all that a report lists over WS-Management, while CALs change: the report does not.
func TestReport(t *testing.T) {
	m := reported(t)
	before := time.Now().Add(-time.Second)
	report := m.generate(t)
	read := func() map[string][]string {
		t.Helper()
		const all = 0
		return map[string][]string{
			"summary": rowsOf(m.fetch(t, done, "FetchReportSummaryEntries", report, 0, all),
				"ProductVersion", "ProductVersionID", "TSCALType", "InstalledLicenses", "IssuedLicenses", "TSCALAvailability"),
			"users":   rowsOf(m.fetch(t, done, "FetchReportEntries", report, 0, all), "User", "CALType", "ProductVersion", "ProductVersionID"),
			"devices": rowsOf(m.fetch(t, done, "FetchReportPerDeviceEntries", report, 0, all), "sIssuedToComputer", "sHardwareId", "CALType", "ProductVersion", "ProductVersionID"),
			"failed":  rowsOf(m.fetch(t, done, "FetchReportFailedPerUserEntries", report, 0, all), "User", "CALType", "ProductVersion", "ProductVersionID"),
			"domains": rowsOf(m.fetch(t, done, "FetchReportFailedPerUserSummaryEntries", report, 0, all), "DomainName", "FailedIssuanceCount"),
		}
	}
	want := map[string][]string{
		"summary": {"Windows Server 2019|6|Per Device|10|1|Available", "Windows Server 2022|7|Per User|3|4|None"},
		"users": {`FARM\ada|RDS Per User CAL|Windows Server 2022|7`, `FARM\bob|RDS Per User CAL|Windows Server 2022|7`,
			`.\carol|RDS Per User CAL|Windows Server 2022|7`, `FARM\dave|RDS Per User CAL|Windows Server 2022|7`},
		"devices": {"DEV1|hw-DEV1|RDS Per Device CAL|Windows Server 2019|6"},
		"failed":  {`FARM\eve|RDS Per User CAL|Windows Server 2022|7`, `OTHER\frank|RDS Per User CAL|Windows Server 2022|7`},
		"domains": {"FARM|1", "OTHER|1"},
	}
	compare := func(when string) {
		t.Helper()
		for list, rows := range read() {
			if !slices.Equal(rows, want[list]) {
				t.Errorf("%s, %s are\n%q, want\n%q", when, list, rows, want[list])
			}
		}
	}
	compare("at first")
	users := m.fetch(t, done, "FetchReportEntries", report, 0, 1)
	if term := time.Until(datetime(t, users[0].Text("ExpirationDate"))); term < 59*24*time.Hour || term > 61*24*time.Hour {
		t.Errorf("%s has a CAL for %s, want 60 days", users[0].Text("User"), term)
	}
	tried := m.fetch(t, done, "FetchReportFailedPerUserEntries", report, 0, 1)
	if at := datetime(t, tried[0].Text("TriedIssuanceOn")); time.Since(at) > time.Hour {
		t.Errorf("%s tried on %s", tried[0].Text("User"), at)
	}

	if _, err := m.Issuance.Revoke(t.Context(), "test", calOf(t, m, "DEV1")); err != nil {
		t.Fatal(err)
	}
	if err := m.Issuance.ReleaseCAL(t.Context(), "test", calOf(t, m, `FARM\ada`)); err != nil {
		t.Fatal(err)
	}
	compare("after a CAL was revoked and another released")

	head, err := m.admin.Get(t.Context(), reportClass, report)
	if err != nil {
		t.Fatal(err)
	}
	checkTexts(t, "the report", head, map[string]string{
		"FileName": report[0].Text(), "LicenseUsageCount": "4", "InstalledLicenses": "3", "ScopeType": "3", "ScopeValue": "", "Version": "1",
	})
	if at := datetime(t, head.Text("GenerationDateTime")); at.Before(before) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("the report was generated on %s", at)
	}
}

// calOf returns the ID of the CAL of a user or computer.
func calOf(t *testing.T, m *member, holder string) uint32 {
	t.Helper()
	for _, row := range m.rows(t, issuedClass, "SELECT * FROM Win32_TSIssuedLicense") {
		if row.Text("sIssuedToUser") == holder || row.Text("sIssuedToComputer") == holder {
			id, _ := row.Uint32("LicenseId")
			return id
		}
	}
	t.Fatalf("%s has no CAL", holder)
	return 0
}

// TestReportPortions reads lists in portions to their ends, which LSERVER_I_NO_MORE_DATA tells.
func TestReportPortions(t *testing.T) {
	m := reported(t)
	report := m.generate(t)
	all := rowsOf(m.fetch(t, done, "FetchReportEntries", report, 0, 0), "User")
	for size := uint32(1); size <= 5; size++ {
		var got []string
		for uint32(len(got)) < 4 {
			got = append(got, rowsOf(m.fetch(t, done, "FetchReportEntries", report, uint32(len(got)), size), "User")...)
		}
		if !slices.Equal(got, all) {
			t.Errorf("in portions of %d: %q, want %q", size, got, all)
		}
	}
	if got := rowsOf(m.fetch(t, done, "FetchReportEntries", report, 2, 0), "User"); !slices.Equal(got, all[2:]) {
		t.Errorf("all from 2 on: %q, want %q", got, all[2:])
	}
	for method := range lists {
		for _, start := range []uint32{4, 5, 4294967295} {
			if rest := m.fetch(t, noMoreData, method, report, start, 0); len(rest) != 0 {
				t.Errorf("%s from %d on: %v, want none", method, start, rest)
			}
		}
	}
	// An empty list ends at its beginning.
	other := newFarm(t)
	empty := other.join("ls2", other.organization)
	none := empty.generate(t)
	for method := range lists {
		empty.fetch(t, noMoreData, method, none, 0, 0)
		empty.fetch(t, noMoreData, method, none, 0, 7)
	}
}

// TestReportsAreKept makes reports, finds each under its name once, and deletes them.
func TestReportsAreKept(t *testing.T) {
	m := reported(t)
	names := func() []string {
		list := []string{}
		for _, row := range m.rows(t, reportClass, "SELECT * FROM Win32_TSLicenseReport") {
			list = append(list, row.Text("FileName"))
		}
		return list
	}
	var reports [][]client.Value
	var want []string
	for range 3 {
		r := m.generate(t)
		reports, want = append(reports, r), append(want, r[0].Text())
		if strings.ContainsAny(r[0].Text(), `/\:*?"<>| `) {
			t.Errorf("%q cannot be part of a path", r[0].Text())
		}
	}
	if got := names(); !slices.Equal(got, want) {
		t.Errorf("the reports are %q, want %q", got, want)
	}
	if rows := m.rows(t, reportClass, fmt.Sprintf("SELECT * FROM Win32_TSLicenseReport WHERE FileName = '%s'", want[1])); len(rows) != 1 {
		t.Errorf("%d reports have the name %s, want 1", len(rows), want[1])
	}
	m.want(t, done, reportClass, "DeleteReport", reports[1])
	if got := names(); !slices.Equal(got, []string{want[0], want[2]}) {
		t.Errorf("after DeleteReport the reports are %q", got)
	}
	portion := []client.Value{client.Uint32("StartIndex", 0), client.Uint32("Count", 0)}
	for _, test := range []struct {
		method, detail string
		keys, args     []client.Value
	}{
		{"DeleteReport", "InvalidResourceURI", reports[1], nil},
		{"FetchReportEntries", "InvalidResourceURI", reports[1], portion},
		{"DeleteReport", "InvalidResourceURI", []client.Value{client.Text("FileName", "../calkeeper")}, nil},
		{"DeleteReport", "InsufficientSelectors", nil, nil},
	} {
		_, err := m.admin.Invoke(t.Context(), reportClass, test.method, test.keys, test.args)
		if refused, ok := errors.AsType[*client.Fault](err); !ok || refused.Detail != test.detail {
			t.Errorf("%s on %v: %v, want the fault %s", test.method, test.keys, err, test.detail)
		}
	}
	m.fetch(t, done, "FetchReportEntries", reports[2], 0, 0)
}

// TestReportTooLongForAReply asks for more entries than one reply can carry: the fault says so, and portions go on.
func TestReportTooLongForAReply(t *testing.T) {
	f := newFarm(t)
	m := f.join("ls1", f.organization)
	host := licensing.Host{Name: "rdsh1", ProductVersion: licensing.WindowsServer2022, Mode: licensing.PerUser}
	const issued = 3000
	for i := range issued {
		if _, err := m.Issuance.Request(t.Context(), issuance.Request{Host: host, User: fmt.Sprintf(`FARM\user%d`, i)}); err != nil {
			t.Fatal(err)
		}
	}
	report := m.generate(t)
	_, err := m.admin.Invoke(t.Context(), reportClass, "FetchReportEntries", report, []client.Value{client.Uint32("StartIndex", 0), client.Uint32("Count", 0)})
	if err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("%d entries at once: %v; want a fault that says that they are too large", issued, err)
	}
	got := 0
	for got < issued {
		got += len(m.fetch(t, done, "FetchReportEntries", report, uint32(got), 500))
	}
	m.fetch(t, noMoreData, "FetchReportEntries", report, issued, 500)
}
