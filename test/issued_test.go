package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
	wsman "calkeeper/internal/wsman/client"
)

const issuedClass = "Win32_TSIssuedLicense"

// sessionHost registers a session host of the license server and returns a client with its token.
func (m *member) sessionHost(t *testing.T, h wire.NewHost) *client.Client {
	t.Helper()
	url := strings.TrimSuffix(m.URL(), "/wsman") + "/v1"
	admin, err := client.New(client.Options{URL: url, User: "Administrator", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	added, err := admin.AddHost(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	host, err := client.New(client.Options{URL: url, Token: added.Token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	return host
}

// license lets a device become fully licensed: it connects, authenticates a user, and connects again.
func license(t *testing.T, host *client.Client, device string) wire.License {
	t.Helper()
	r := wire.Request{User: `FARM\ada`, Device: &wire.Device{ID: "hw-" + device, Name: device}}
	for _, ask := range []func() (wire.Answer, error){
		func() (wire.Answer, error) { return host.Request(t.Context(), r, "") },
		func() (wire.Answer, error) { return host.Validate(t.Context(), r, "") },
	} {
		if a, err := ask(); err != nil || a.License.Status != "temporary" {
			t.Fatalf("%s: %+v, %v; want a temporary CAL", device, a, err)
		}
	}
	a, err := host.Request(t.Context(), r, "")
	if err != nil || a.License.Status != "active" {
		t.Fatalf("%s: %+v, %v; want an active CAL", device, a, err)
	}
	return a.License
}

// rows returns what a query finds, over WS-Management.
func (m *member) rows(t *testing.T, class, wql string) []wsman.Instance {
	t.Helper()
	var rows []wsman.Instance
	for row, err := range m.admin.Enumerate(t.Context(), class, wql) {
		if err != nil {
			t.Fatalf("%s: %v", wql, err)
		}
		rows = append(rows, row)
	}
	return rows
}

func checkTexts(t *testing.T, what string, row wsman.Instance, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if got := row.Text(name); got != text {
			t.Errorf("%s: %s is %q, want %q", what, name, got, text)
		}
	}
}

// TestIssuedLicenses issues CALs of each kind through the REST API and reads them, and every counter, over WS-Management.
func TestIssuedLicenses(t *testing.T) {
	f := newFarm(t)
	m := f.join("ls1", f.organization)
	f.sellTo(m, licensing.WindowsServer2022, licensing.PerUser, 1)
	f.sellTo(m, licensing.WindowsServer2022, licensing.PerDevice, 10)
	users := m.sessionHost(t, wire.NewHost{Name: "rdsh1", ProductVersion: "ws2022", Mode: "per-user"})
	devices := m.sessionHost(t, wire.NewHost{Name: "rdsh2", ProductVersion: "ws2022", Mode: "per-device"})
	for _, user := range []string{`FARM\ada`, "ada@farm.example", "bob@farm.example"} {
		if _, err := users.Request(t.Context(), wire.Request{User: user}, ""); err != nil {
			t.Fatal(err)
		}
	}
	license(t, devices, "DEV1")
	if _, err := devices.Request(t.Context(), wire.Request{Device: &wire.Device{Name: "DEV2"}}, ""); err != nil {
		t.Fatal(err)
	}

	unlimited := "4294967295"
	for _, pack := range []struct{ where, total, issued, available, keyPackType string }{
		{"ProductType = 1 AND KeyPackType = 5", "1", "1", "0", "5"},
		{"ProductType = 0 AND KeyPackType = 5", "10", "1", "9", "5"},
		{"KeyPackType = 7", "0", "1", "0", "7"},
		{"KeyPackType = 4", unlimited, "1", unlimited, "4"},
	} {
		rows := m.rows(t, keyPackClass, "SELECT * FROM Win32_TSLicenseKeyPack WHERE "+pack.where)
		if len(rows) != 1 {
			t.Fatalf("%d key packs with %s, want 1", len(rows), pack.where)
		}
		checkTexts(t, pack.where, rows[0], map[string]string{
			"TotalLicenses": pack.total, "IssuedLicenses": pack.issued, "AvailableLicenses": pack.available,
		})
		issued := m.rows(t, issuedClass, "Select * from Win32_TSIssuedLicense where KeyPackId = "+rows[0].Text("KeyPackId"))
		if len(issued) != 1 {
			t.Errorf("%d licenses of the key pack with %s, want 1", len(issued), pack.where)
		}
	}
	over := m.rows(t, keyPackClass, "SELECT * FROM Win32_TSLicenseKeyPack WHERE KeyPackType = 7")[0]
	checkTexts(t, "over-used", over, map[string]string{
		"TypeAndModel": "RDS Per User CAL", "ProductVersion": "Windows Server 2022", "ExpirationDate": "2038-01-19T03:14:07Z",
	})

	ada := m.rows(t, issuedClass, `SELECT * FROM Win32_TSIssuedLicense WHERE sIssuedToUser = 'ada@farm.example'`)
	if len(ada) != 1 {
		t.Fatalf("%d licenses of ada, want 1 under her last name", len(ada))
	}
	checkTexts(t, "ada", ada[0], map[string]string{"LicenseStatus": "2", "sIssuedToComputer": " ", "sHardwareId": strings.Repeat("0", 36)})
	if term := datetime(t, ada[0].Text("ExpirationDate")).Sub(datetime(t, ada[0].Text("IssueDate"))); term != 60*24*time.Hour {
		t.Errorf("ada's CAL lasts %s, want 60 days", term)
	}
	device := m.rows(t, issuedClass, "SELECT * FROM Win32_TSIssuedLicense WHERE sIssuedToComputer = 'DEV1'")[0]
	checkTexts(t, "DEV1", device, map[string]string{"LicenseStatus": "2", "sHardwareId": "hw-DEV1", "sIssuedToUser": `FARM\ada`})
	temporary := m.rows(t, issuedClass, "SELECT * FROM Win32_TSIssuedLicense WHERE LicenseStatus = 1")
	if len(temporary) != 1 || temporary[0].Text("sIssuedToComputer") != "DEV2" {
		t.Errorf("the temporary licenses are %v, want one of DEV2", temporary)
	}
}

// datetime reads a datetime as WS-Management carries it (DSP0230, table of types: xs:dateTime).
func datetime(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestRevoke revokes per device CALs over WS-Management up to the limit of 20 percent. What it says of the rest is there in any
// case: scripts slice NextRevokeAllowedOn without looking at ReturnValue.
func TestRevoke(t *testing.T) {
	f := newFarm(t)
	m := f.join("ls1", f.organization)
	f.sellTo(m, licensing.WindowsServer2019, licensing.PerDevice, 10)
	f.sellTo(m, licensing.WindowsServer2019, licensing.PerUser, 1)
	host := m.sessionHost(t, wire.NewHost{Name: "rdsh1", ProductVersion: "ws2019", Mode: "per-device"})
	var all []wire.License
	for i := range 4 {
		all = append(all, license(t, host, fmt.Sprintf("DEV%d", i)))
	}
	user, err := m.sessionHost(t, wire.NewHost{Name: "rdsh2", ProductVersion: "ws2019", Mode: "per-user"}).
		Request(t.Context(), wire.Request{User: "ada"}, "")
	if err != nil {
		t.Fatal(err)
	}
	revoke := func(l wire.License, returnValue uint32, rest string) {
		t.Helper()
		keys := []wsman.Value{wsman.Uint32("LicenseId", l.ID), wsman.Uint32("KeyPackId", l.KeyPackID)}
		out, err := m.admin.Invoke(t.Context(), issuedClass, "Revoke", keys, nil)
		if err != nil {
			t.Fatal(err)
		}
		if out.ReturnValue != returnValue {
			t.Errorf("Revoke of %d returned 0x%08X, want 0x%08X", l.ID, out.ReturnValue, returnValue)
		}
		checkTexts(t, "Revoke", out.Values, map[string]string{"RevokableCals": rest})
		next := datetime(t, out.Values.Text("NextRevokeAllowedOn"))
		if limited := rest == "0"; limited != next.After(time.Now().Add(50*24*time.Hour)) {
			t.Errorf("the next may be revoked on %s", next)
		}
	}
	revoke(user.License, notSupported, "2")
	revoke(all[0], done, "1")
	revoke(all[0], notSupported, "1")
	revoke(all[1], done, "0")
	revoke(all[2], outOfRange, "0")
	pack := m.rows(t, keyPackClass, "SELECT * FROM Win32_TSLicenseKeyPack WHERE ProductType = 0 AND KeyPackType = 5")[0]
	checkTexts(t, "after revoking", pack, map[string]string{"TotalLicenses": "10", "IssuedLicenses": "2", "AvailableLicenses": "8"})
	if n := len(m.rows(t, issuedClass, "SELECT * FROM Win32_TSIssuedLicense WHERE LicenseStatus = 4")); n != 2 {
		t.Errorf("%d licenses are revoked, want 2", n)
	}
	if n := len(m.rows(t, issuedClass, "SELECT * FROM Win32_TSIssuedLicense WHERE LicenseStatus <> 4")); n != 3 {
		t.Errorf("%d licenses are not revoked, want 3", n)
	}
}

// TestIssuedKeyPacksStay: what removes or converts CALs does not go below what is issued, and leaves the key packs alone that only
// count.
func TestIssuedKeyPacksStay(t *testing.T) {
	f := newFarm(t)
	m := f.join("ls1", f.organization)
	f.sellTo(m, licensing.WindowsServer2022, licensing.PerUser, 2)
	host := m.sessionHost(t, wire.NewHost{Name: "rdsh1", ProductVersion: "ws2022", Mode: "per-user"})
	for _, user := range []string{"ada", "bob", "carol"} {
		if _, err := host.Request(t.Context(), wire.Request{User: user}, ""); err != nil {
			t.Fatal(err)
		}
	}
	kind := []wsman.Value{wsman.Uint32("ProductVersion", 7), wsman.Uint32("ProductType", 1), wsman.Uint32("LicenseCount", 1)}
	for id, returnValue := range map[uint32]uint32{3: outOfRange, 4: notSupported} { // installed, over-used
		pack := wsman.Uint32("KeyPackId", id)
		m.want(t, returnValue, keyPackClass, "ConvertLicenses", []wsman.Value{pack}, wsman.Uint32("Count", 1))
		m.want(t, returnValue, keyPackClass, "RemoveLicensesWithIdCount", nil, pack, wsman.Uint32("LicenseCount", 1))
		m.want(t, returnValue, keyPackClass, "UninstallLicenseKeyPackWithId", nil, pack)
	}
	m.want(t, outOfRange, keyPackClass, "UninstallLicenseKeyPack", nil, kind...)
	if totals := m.totals(t); totals["3"] != "2" || totals["4"] != "0" {
		t.Errorf("the key packs have %v CALs", totals)
	}
	verdicts, err := m.Inventory.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(verdicts) != 1 || len(verdicts[0].Wrong) > 0 {
		t.Errorf("verified: %+v", verdicts)
	}
}

// TestSessionHostQuestions asks over WS-Management who is registered, and what the policies are.
func TestSessionHostQuestions(t *testing.T) {
	f := newFarm(t)
	m := f.join("ls1", f.organization)
	m.sessionHost(t, wire.NewHost{Name: "rdsh1.farm.example", ProductVersion: "ws2022", Mode: "per-user"})
	for _, question := range []struct {
		method, name, out string
		want              bool
	}{
		{"IsLSSecGrpGPEnabled", "", "Enabled", true},
		{"IsLSPreventUpgradeGPEnabled", "", "Enabled", false},
		{"IsTSinTSCGroup", "RDSH1.farm.example", "IsMember", true},
		{"IsTSinTSCGroup", "rdsh2.farm.example", "IsMember", false},
		{"IsTSinTSCGroup", "-", "IsMember", false},
		{"IsSecureAccessAllowed", "rdsh1.farm.example", "Allowed", true},
		{"IsSecureAccessAllowed", "rdsh2.farm.example", "Allowed", false},
	} {
		var arguments []wsman.Value
		if question.name != "" {
			arguments = []wsman.Value{wsman.Text("tsname", strings.Trim(question.name, "-"))} // "-": scripts ask with an empty name
		}
		is, ok := m.want(t, done, serverClass, question.method, nil, arguments...).Values.Bool(question.out)
		if !ok || is != question.want {
			t.Errorf("%s(%s) is %v, want %v", question.method, question.name, is, question.want)
		}
	}
	m.want(t, invalidParameter, serverClass, "IsTSinTSCGroup", nil, wsman.Text("tsname", "no host!"))
}
