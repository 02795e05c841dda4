package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/tlswmiprov"
	"calkeeper/internal/wsman/client"
)

// Who may: Auditor, Operator and Administrator by their initials.
const (
	all            = "AOM"
	operators      = "OM"
	administrators = "M"
)

// mayCall says who may call each method. A method that is missing here fails the test.
var mayCall = map[string]map[string]string{
	serverClass: {
		"ActivateServer": administrators, "ActivateServerAutomatic": administrators, "AddLStoTSLSGroup": administrators, "ChangeRole": administrators,
		"CreateTSCGroup": administrators, "DeactivateServer": administrators, "DeactivateServerAutomatic": administrators,
		"GetActivationStatus": all, "GetLicenseServerId": all, "IsLSinTSLSGroup": all, "IsLSonDC": all, "IsLSPreventUpgradeGPEnabled": all,
		"IsLSPublished": all, "IsLSSecGrpGPEnabled": all, "IsSecureAccessAllowed": all, "IsTSCGroupPresent": all, "IsTSinTSCGroup": all,
		"PublishLS": administrators, "ReactivateServer": administrators, "ReactivateServerAutomatic": administrators,
		"RemoveLSfromTSLSGroup": administrators, "RemoveTSCGroup": administrators, "UnpublishLS": administrators,
		"IsLSRegisteredToSCP": all, "RegisterLSToSCP": administrators, "UnRegisterLSFromSCP": administrators,
	},
	keyPackClass: {
		"ConvertLicenses": administrators, "InstallAgreementLicenseKeyPack": administrators, "InstallLicenseKeyPack": administrators,
		"InstallOpenLicenseKeyPack": administrators, "InstallRetailPurchaseLicenseKeyPack": administrators,
		"ImportAgreementLicenseKeyPack": administrators, "ImportLicenseKeyPackOffline": administrators,
		"ImportOpenPurchaseLicenseKeyPack": administrators, "ImportRetailPurchaseLicenseKeyPack": administrators,
		"ReinstallAgreementLicenseKeyPack": administrators, "ReinstallLicenseKeyPackOffline": administrators,
		"ReinstallOpenPurchaseLicenseKeyPack": administrators, "ReinstallRetailPurchaseLicenseKeyPack": administrators,
		"RemoveLicensesWithIdCount": administrators, "UninstallLicenseKeyPack": administrators, "UninstallLicenseKeyPackWithId": administrators,
	},
	issuedClass: {"Revoke": operators},
	reportClass: {
		"DeleteReport": administrators, "FetchReportEntries": all, "FetchReportFailedPerUserEntries": all,
		"FetchReportFailedPerUserSummaryEntries": all, "FetchReportPerDeviceEntries": all, "GenerateReport": operators,
		"GenerateReportEx": operators, "FetchReportSummaryEntries": all,
	},
	settingClass: {
		"AddLSToSpecifiedLicenseServerList": administrators, "CanAccessLicenseServer": all, "ChangeMode": administrators,
		"EmptySpecifiedLicenseServerList": administrators, "FindLicenseServers": all, "GetGracePeriodDays": all,
		"GetSpecifiedLicenseServerList": all, "GetTStoLSConnectivityStatus": all, "PingLicenseServer": all,
		"RemoveLSFromSpecifiedLicenseServerList": administrators, "SetSpecifiedLicenseServerList": administrators,
	},
}

// mayAsk says who may use each operation of the REST API. One that is missing here fails the test.
var mayAsk = map[string]string{
	"POST /v1/licenses": "", "POST /v1/licenses/validate": "", "POST /v1/licenses/renew": "", "POST /v1/licenses/release": "", // session hosts
	"POST /v1/leases/{id}/renew": "",
	"GET /v1/licenses":           all, "GET /v1/licenses/{id}": all, "GET /v1/leases": all, "GET /v1/hosts": all, "GET /v1/denials": all,
	"GET /v1/audit":    all,
	"GET /v1/accounts": administrators, "GET /v1/accounts/{name}": administrators, "PUT /v1/accounts/{name}": administrators,
	"DELETE /v1/accounts/{name}": administrators,
	"GET /v1/counters":           all, "GET /v1/keypacks": all, "GET /v1/events": all, "GET /v1/server": all, "GET /openapi.json": all, "GET /metrics": all,
	"POST /v1/licenses/{id}/revoke": operators, "DELETE /v1/licenses/{id}": operators, "DELETE /v1/leases/{id}": operators,
	"POST /v1/hosts": administrators, "POST /v1/hosts/{name}/token": administrators, "DELETE /v1/hosts/{name}": administrators,
	"PUT /v1/keypacks/{id}/over-use": administrators,
}

// invocation is a method with arguments that have the right types and mean nothing.
type invocation struct {
	class, method string
	args          []client.Value
}

// methods returns all methods, those first that most may call: they look at what the others take away.
func methods(t *testing.T) (list []invocation) {
	t.Helper()
	text, err := os.ReadFile("../internal/tlswmiprov/testdata/tlswmiprov.json")
	if err != nil {
		t.Fatal(err)
	}
	var contract struct {
		Classes map[string]struct {
			Methods []struct {
				Name       string
				Parameters []struct {
					Name string
					In   bool
				}
			}
		}
	}
	if err := json.Unmarshal(text, &contract); err != nil {
		t.Fatal(err)
	}
	for class, c := range contract.Classes {
		for _, method := range c.Methods {
			one := invocation{class: class, method: method.Name}
			for _, p := range method.Parameters {
				if p.In {
					one.args = append(one.args, client.Text(p.Name, "1"))
				}
			}
			list = append(list, one)
		}
	}
	if len(list) != 51 {
		t.Errorf("the contract has %d methods, want 51", len(list))
	}
	// The documentation of Win32_TerminalServiceSetting is compared with the class elsewhere.
	ns, err := (&tlswmiprov.Provider{Logger: slog.New(slog.DiscardHandler)}).TerminalServices()
	if err != nil {
		t.Fatal(err)
	}
	for _, class := range ns.Classes {
		for _, method := range class.Methods {
			one := invocation{class: class.Name, method: method.Name}
			for _, p := range method.Parameters {
				if p.In {
					one.args = append(one.args, client.Text(p.Name, "1"))
				}
			}
			list = append(list, one)
		}
	}
	seen := 0
	for _, m := range list {
		if _, ok := mayCall[m.class][m.method]; !ok {
			t.Errorf("%s.%s is new: say in the test who may call it", m.class, m.method)
		} else {
			seen++
		}
	}
	for _, of := range mayCall {
		seen -= len(of)
	}
	if seen != 0 {
		t.Errorf("the test names %d methods that are not there", -seen)
	}
	slices.SortFunc(list, func(a, b invocation) int {
		if byRoles := len(mayCall[b.class][b.method]) - len(mayCall[a.class][a.method]); byRoles != 0 {
			return byRoles
		}
		return strings.Compare(a.class+a.method, b.class+b.method)
	})
	return list
}

// account is one who asks, over both protocols.
type account struct {
	m                    *member
	user, initial        string
	server, sessionHosts *client.Client
}

func (m *member) account(t *testing.T, user, initial string) *account {
	t.Helper()
	hosts, err := client.New(client.Options{URL: m.URL(), User: user, Password: password, Namespace: sessionHosts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hosts.Close)
	return &account{m, user, initial, newClient(t, m.URL(), user, password), hosts}
}

func (a *account) may(roles string) bool { return strings.Contains(roles, a.initial) }

// client returns the one for the namespace of a class.
func (a *account) client(class string) *client.Client {
	if class == settingClass || class == discovered {
		return a.sessionHosts
	}
	return a.server
}

// ask asks the REST API.
func (a *account) ask(t *testing.T, method, path string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(a.m.URL(), "/wsman")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(a.user, password)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// readable are the classes that have instances.
var readable = []string{serverClass, keyPackClass, issuedClass, reportClass, settingClass}

// sees returns all that an account can read, as text. Where the events end is left out: logons are among what is before.
func (a *account) sees(t *testing.T) string {
	t.Helper()
	next := regexp.MustCompile(`"next":[0-9]+`)
	var b strings.Builder
	for _, class := range readable {
		n := 0
		for i, err := range a.client(class).Enumerate(t.Context(), class, "") {
			if err != nil {
				t.Fatalf("%s enumerates %s: %v", a.user, class, err)
			}
			fmt.Fprintln(&b, i)
			n++
		}
		if n == 0 {
			t.Errorf("%s finds no %s", a.user, class)
		}
	}
	for _, path := range []string{"licenses", "leases", "hosts", "denials", "counters", "keypacks", "events", "server"} {
		status, body := a.ask(t, http.MethodGet, "/v1/"+path)
		if status != http.StatusOK {
			t.Errorf("%s asks for %s: %d %s", a.user, path, status, body)
		}
		fmt.Fprintln(&b, next.ReplaceAllString(body, ""))
	}
	return b.String()
}

func isDenied(err error) bool {
	fault, ok := errors.AsType[*client.Fault](err)
	return ok && fault.WSManCode == 5 && fault.Subcode == "AccessDenied" && errors.Is(err, client.ErrAccessDenied)
}

// TestRoles calls everything as an account of each role: what the role does not allow is denied, and changes nothing; the rest is not
// denied. What a caller without a role may do, tests of tlswmiprov and restapi say.
func TestRoles(t *testing.T) {
	f := newFarm(t)
	m := f.join("target", f.organization)
	f.sellTo(m, licensing.WindowsServer2022, licensing.PerDevice, 10)
	f.sellTo(m, licensing.WindowsServer2022, licensing.PerUser, 1)
	devices := m.sessionHost(t, wire.NewHost{Name: "rdsh1", ProductVersion: "ws2022", Mode: "per-device"})
	users := m.sessionHost(t, wire.NewHost{Name: "rdsh2", ProductVersion: "ws2022", Mode: "per-user", Concurrent: true})
	first, second := license(t, devices, "DEV1"), license(t, devices, "DEV2")
	session, err := users.Request(t.Context(), wire.Request{User: "ada", Session: ":10"}, "")
	if err != nil || session.Lease == nil {
		t.Fatal(session, err)
	}
	keys := map[string][]client.Value{
		serverClass:  nil,
		keyPackClass: {client.Uint32("KeyPackId", first.KeyPackID)},
		issuedClass:  {client.Uint32("LicenseId", first.ID), client.Uint32("KeyPackId", first.KeyPackID)},
		reportClass:  m.generate(t),
		settingClass: {client.Text("ServerName", "rdsh1")},
	}
	list := methods(t)
	administrator := m.account(t, "Administrator", "M")
	checkRoutes(t, administrator)
	for _, a := range []*account{m.account(t, "Auditor", "A"), m.account(t, "Operator", "O"), administrator} {
		before := administrator.sees(t)
		for _, class := range append(slices.Collect(maps.Keys(lists)), readable...) {
			if l, ok := lists[class]; ok { // embedded in answers of a Fetch method
				class = l.class
			} else if _, err := a.client(class).Get(t.Context(), class, keys[class]); err != nil {
				t.Errorf("%s gets an instance of %s: %v", a.user, class, err)
			}
			for _, err := range a.client(class).Enumerate(t.Context(), class, "") {
				if err != nil {
					t.Errorf("%s enumerates %s: %v", a.user, class, err)
				}
			}
		}
		if got := a.sees(t); got != before {
			t.Errorf("%s sees\n%s, an administrator\n%s", a.user, got, before)
		}
		if !a.may(administrators) {
			_, err := a.server.Put(t.Context(), serverClass, nil, []client.Value{client.Text("FirstName", "Eve")})
			if !isDenied(err) {
				t.Errorf("%s puts contact data: %v", a.user, err)
			}
		}
		for _, c := range list {
			if !a.may(mayCall[c.class][c.method]) {
				if _, err := a.client(c.class).Invoke(t.Context(), c.class, c.method, keys[c.class], c.args); !isDenied(err) {
					t.Errorf("%s calls %s: %v, want the fault AccessDenied with code 5", a.user, c.method, err)
				}
			}
		}
		fill := strings.NewReplacer("/leases/{id}", fmt.Sprint("/leases/", session.Lease.ID), "/licenses/{id}", fmt.Sprint("/licenses/", second.ID),
			"/keypacks/{id}", fmt.Sprint("/keypacks/", first.KeyPackID), "{name}", "rdsh1")
		for route, roles := range mayAsk {
			if method, path, _ := strings.Cut(route, " "); !a.may(roles) {
				if status, body := a.ask(t, method, fill.Replace(path)); status != http.StatusForbidden {
					t.Errorf("%s asks for %s: %d %s", a.user, route, status, body)
				}
			}
		}
		if after := administrator.sees(t); after != before {
			t.Errorf("what was denied to %s has changed\n%s to\n%s", a.user, before, after)
		}

		none := strings.NewReplacer("{id}", "4000000000", "{name}", "nobody")
		for route, roles := range mayAsk {
			if method, path, _ := strings.Cut(route, " "); a.may(roles) {
				if status, body := a.ask(t, method, none.Replace(path)); status == http.StatusForbidden || status == http.StatusUnauthorized || status >= 500 {
					t.Errorf("%s asks for %s: %d %s", a.user, route, status, body)
				}
			}
		}
		for _, c := range list {
			if a.may(mayCall[c.class][c.method]) {
				out, err := a.client(c.class).Invoke(t.Context(), c.class, c.method, keys[c.class], c.args)
				if err != nil || out.ReturnValue == accessDenied {
					t.Errorf("%s calls %s: 0x%X, %v", a.user, c.method, out.ReturnValue, err)
				}
			}
		}
		if a.user == "Operator" { // Revoke was among what was called
			a.checkOperated(t, first.ID, second.ID, session.Lease.ID, session.License.ID)
		}
	}
	nobody := newClient(t, m.URL(), "Administrator", "a wrong password")
	if _, err := nobody.Get(t.Context(), serverClass, nil); !errors.Is(err, client.ErrUnauthorized) {
		t.Errorf("a wrong password gave %v", err)
	}
}

// checkOperated has an operator revoke and release over the REST API; revoked is a CAL that was revoked over WS-Management.
func (a *account) checkOperated(t *testing.T, revoked, device uint32, lease uint64, concurrent uint32) {
	t.Helper()
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodPost, fmt.Sprintf("/v1/licenses/%d/revoke", device), http.StatusOK},
		{http.MethodDelete, fmt.Sprintf("/v1/leases/%d", lease), http.StatusOK},
	} {
		if status, body := a.ask(t, c.method, c.path); status != c.status {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, body)
		}
	}
	for _, id := range []uint32{revoked, device} {
		if _, body := a.ask(t, http.MethodGet, fmt.Sprintf("/v1/licenses/%d", id)); !strings.Contains(body, `"status":"revoked"`) {
			t.Errorf("CAL %d is not revoked: %s", id, body)
		}
	}
	if status, body := a.ask(t, http.MethodGet, fmt.Sprintf("/v1/licenses/%d", concurrent)); status != http.StatusNotFound {
		t.Errorf("the CAL of a session that has ended: %d %s", status, body)
	}
	if n := len(a.m.rows(t, reportClass, "SELECT * FROM Win32_TSLicenseReport")); n != 2 {
		t.Errorf("there are %d reports, want one of the operator, too", n)
	}
}

// checkRoutes holds the operations of the OpenAPI document against mayAsk.
func checkRoutes(t *testing.T, a *account) {
	t.Helper()
	_, text := a.ask(t, http.MethodGet, "/openapi.json")
	var document struct {
		Paths map[string]map[string]struct{} `json:"paths"`
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	n := 0
	for path, item := range document.Paths {
		for method := range item {
			n++
			if _, ok := mayAsk[strings.ToUpper(method)+" "+path]; !ok {
				t.Errorf("%s %s is new: say in the test who may ask for it", method, path)
			}
		}
	}
	if n != len(mayAsk) {
		t.Errorf("there are %d operations, and the test knows %d", n, len(mayAsk))
	}
}
