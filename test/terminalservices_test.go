package test

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/tlswmiprov"
	"calkeeper/internal/wsman/cimxmltest"
	wsman "calkeeper/internal/wsman/client"
)

const (
	sessionHosts = "root/cimv2/TerminalServices"
	settingClass = "Win32_TerminalServiceSetting"
	discovered   = "Win32_TSDiscoveredLicenseServer"
	sFalse       = 1
)

// hosts is a license server with two registered session hosts, and an administrator of theirs.
type hosts struct {
	*member
	admin *wsman.Client
	api   *client.Client
}

func newHosts(t *testing.T) *hosts {
	t.Helper()
	f := newFarm(t)
	h := &hosts{member: f.join("ls1", f.organization)}
	h.sessionHost(t, wire.NewHost{Name: "RDSH1.farm.example", ProductVersion: "ws2022", Mode: "per-user"})
	h.sessionHost(t, wire.NewHost{Name: "rdsh2.farm.example", ProductVersion: "ws2019", Mode: "per-device"})
	h.admin = h.connect(t, "Administrator")
	var err error
	if h.api, err = client.New(client.Options{URL: h.APIURL(), User: "Administrator", Password: password}); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hosts) connect(t *testing.T, user string) *wsman.Client {
	t.Helper()
	c, err := wsman.New(wsman.Options{URL: h.URL(), User: user, Password: password, Namespace: `ROOT\cimv2\TerminalServices`})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// call calls a method of a session host.
func (h *hosts) call(t *testing.T, returnValue uint32, host, method string, args ...wsman.Value) wsman.Instance {
	t.Helper()
	out, err := h.admin.Invoke(t.Context(), settingClass, method, []wsman.Value{wsman.Text("ServerName", host)}, args)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	if out.ReturnValue != returnValue {
		t.Errorf("%s returned 0x%08X, want 0x%08X", method, out.ReturnValue, returnValue)
	}
	return out.Values
}

// list returns what GetSpecifiedLicenseServerList says, and fails the test unless the REST API says the same.
func (h *hosts) list(t *testing.T, host string) (names []string) {
	t.Helper()
	v, _ := h.call(t, done, host, "GetSpecifiedLicenseServerList").Value("SpecifiedLSList")
	for _, e := range v.Elements() {
		names = append(names, e.Text())
	}
	registered := h.registration(t, host).LicenseServers
	if registered == nil {
		registered = []string{"ls1.farm.example"}
	}
	if !slices.Equal(registered, names) {
		t.Errorf("the registration has %q, the list %q", registered, names)
	}
	return names
}

func (h *hosts) registration(t *testing.T, name string) wire.Host {
	t.Helper()
	all, err := h.api.Hosts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("%s is not registered", name)
	return wire.Host{}
}

// TestTerminalServiceSetting reads the instances as scripts do.
func TestTerminalServiceSetting(t *testing.T) {
	h := newHosts(t)
	want := map[string]map[string]string{
		"rdsh1.farm.example": {"LicensingType": "4", "LicensingName": "Per User"},
		"rdsh2.farm.example": {"LicensingType": "2", "LicensingName": "Per Device"},
	}
	for name, more := range want {
		maps.Copy(more, map[string]string{
			"ServerName": name, "TerminalServerMode": "1", "PolicySourceLicensingType": "0", "PolicySourceDirectConnectLicenseServers": "0",
			"PolicySourceConfiguredLicenseServers": "0",
		})
	}
	for wql, names := range map[string][]string{
		"": {"rdsh1.farm.example", "rdsh2.farm.example"},
		`SELECT * FROM Win32_TerminalServiceSetting WHERE (__CLASS !="")`:                                             {"rdsh1.farm.example", "rdsh2.farm.example"},
		`select * from win32_terminalservicesetting where LicensingType = 4 and __NAMESPACE like "%TerminalServices"`: {"rdsh1.farm.example"},
		`SELECT * FROM Win32_TerminalServiceSetting WHERE ServerName = "RDSH2.farm.example"`:                          {"rdsh2.farm.example"},
	} {
		var found []string
		for i, err := range h.admin.Enumerate(t.Context(), settingClass, wql) {
			if err != nil {
				t.Fatalf("%s: %v", wql, err)
			}
			found = append(found, i.Text("ServerName"))
			checkTexts(t, "a session host", i, want[i.Text("ServerName")])
		}
		if !slices.Equal(found, names) {
			t.Errorf("%q finds %v, want %v", wql, found, names)
		}
	}
	one, err := h.admin.Get(t.Context(), settingClass, []wsman.Value{wsman.Text("ServerName", "RDSH1.FARM.example")})
	if err != nil {
		t.Fatal(err)
	}
	checkTexts(t, "the first", one, want["rdsh1.farm.example"])
	for _, name := range []string{"rdsh3.farm.example", "no host!", ""} {
		var fault *wsman.Fault
		if _, err := h.admin.Get(t.Context(), settingClass, []wsman.Value{wsman.Text("ServerName", name)}); !errors.As(err, &fault) || fault.WBEMStatus != notFound {
			t.Errorf("Get of %q gave %v", name, err)
		}
	}
	// PowerShell names an instance by the endpoint reference that it got.
	mi := &powershell{h.URL(), "Administrator", password}
	items := body(t, mi, getCimInstance(sessionHosts, settingClass, "")).find("Items").Children
	if len(items) != 2 {
		t.Fatalf("%d instances", len(items))
	}
	o := operation{URI: items[0].find("ResourceURI").Text, Selectors: map[string]string{}}
	for _, s := range items[0].find("SelectorSet").Children {
		o.Selectors[s.Attrs[0].Value] = s.Text
	}
	o.Action, o.Body = o.URI+"/GetGracePeriodDays", `<p:GetGracePeriodDays_INPUT xmlns:p="`+o.URI+`"/>`
	if out := body(t, mi, o).values(); o.Selectors["ServerName"] != "rdsh1.farm.example" || out["DaysLeft"] != "0" || out["ReturnValue"] != "0" {
		t.Errorf("%v: %v", o, out)
	}
}

// TestLicenseServersOfSessionHost sets the list in every way, and asks about license servers.
func TestLicenseServersOfSessionHost(t *testing.T) {
	h := newHosts(t)
	const rdsh1, rdsh2 = "rdsh1.farm.example", "rdsh2.farm.example"
	text := func(name, s string) wsman.Value { return wsman.Text(name, s) }
	names := func(list ...string) wsman.Value {
		var elements []wsman.Value
		for _, name := range list {
			elements = append(elements, wsman.Text("", name))
		}
		return wsman.Array("SpecifiedLSList", elements...)
	}
	is := func(want ...string) {
		t.Helper()
		if got := h.list(t, rdsh1); !slices.Equal(got, want) {
			t.Errorf("the list is %q, want %q", got, want)
		}
	}
	is("ls1.farm.example")
	h.call(t, done, rdsh1, "SetSpecifiedLicenseServerList", names("LS2.farm.example", " ls1.farm.example "))
	is("ls2.farm.example", "ls1.farm.example")
	h.call(t, done, rdsh1, "AddLSToSpecifiedLicenseServerList", text("LicenseServerName", "192.0.2.7"))
	is("ls2.farm.example", "ls1.farm.example", "192.0.2.7")
	h.call(t, done, rdsh1, "AddLSToSpecifiedLicenseServerList", text("LicenseServerName", "LS2.farm.example"))
	h.call(t, done, rdsh1, "RemoveLSFromSpecifiedLicenseServerList", text("LicenseServerName", "ls1.FARM.example"))
	is("ls2.farm.example", "192.0.2.7")
	h.call(t, notFound, rdsh1, "RemoveLSFromSpecifiedLicenseServerList", text("LicenseServerName", "ls9.farm.example"))
	h.call(t, invalidParameter, rdsh1, "RemoveLSFromSpecifiedLicenseServerList", text("LicenseServerName", "a b"))
	h.call(t, invalidParameter, rdsh1, "AddLSToSpecifiedLicenseServerList", text("LicenseServerName", ""))
	h.call(t, invalidParameter, rdsh1, "SetSpecifiedLicenseServerList", names("ls2", "ls3,ls4"))
	is("ls2.farm.example", "192.0.2.7")
	found := h.call(t, done, rdsh1, "FindLicenseServers")
	if n, _ := found.Uint32("Count"); n != 2 {
		t.Errorf("FindLicenseServers counts %d", n)
	}
	h.call(t, done, rdsh1, "EmptySpecifiedLicenseServerList")
	is("ls1.farm.example")
	h.call(t, done, rdsh1, "AddLSToSpecifiedLicenseServerList", text("LicenseServerName", "ls2.farm.example"))
	is("ls1.farm.example", "ls2.farm.example")
	if got := h.list(t, rdsh2); !slices.Equal(got, []string{"ls1.farm.example"}) {
		t.Errorf("the other session host has %q", got)
	}
	for name, want := range map[string]map[string]string{
		"ls1.farm.example": {"HowDiscovered": "1", "IsLSAvailable": "1", "IsAdminOnLS": "1", "IssuingCALs": "1"},
		"ls2.farm.example": {"HowDiscovered": "1", "IsLSAvailable": "0", "IsAdminOnLS": "2", "IssuingCALs": "2"},
	} {
		want["LicenseServer"] = name
		list, _ := h.call(t, done, rdsh1, "FindLicenseServers").Value("LicenseServersList")
		i := slices.IndexFunc(list.Elements(), func(v wsman.Value) bool { o, _ := v.Object(); return o.Text("LicenseServer") == name })
		if i < 0 {
			t.Fatalf("%s is not found", name)
		}
		o, _ := list.Elements()[i].Object()
		if o.Class != discovered {
			t.Errorf("it is a %s", o.Class)
		}
		checkTexts(t, name, o, want)
	}
	// Who only reads does not administer this license server.
	out, err := h.connect(t, "Auditor").Invoke(t.Context(), settingClass, "FindLicenseServers", []wsman.Value{wsman.Text("ServerName", rdsh2)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	list, _ := out.Values.Value("LicenseServersList")
	if this, _ := list.Elements()[0].Object(); this.Text("LicenseServer") != "ls1.farm.example" || this.Text("IsAdminOnLS") != "0" || this.Text("IssuingCALs") != "1" {
		t.Errorf("an auditor finds %v", this)
	}
	// A scalar where an array is declared, as scripts give it, through python3-winrm.
	winrm := newPywinrm(t, h.URL(), "Administrator", password, "")
	uri := strings.TrimSuffix(wmiURI, "/") + "/TerminalServices/" + settingClass
	set := body(t, winrm, operation{
		URI: uri, Action: uri + "/SetSpecifiedLicenseServerList", Selectors: map[string]string{"ServerName": "RDSH1.farm.example"},
		Body: `<p:SetSpecifiedLicenseServerList_INPUT xmlns:p="` + uri + `"><p:SpecifiedLSList>ls1</p:SpecifiedLSList></p:SetSpecifiedLicenseServerList_INPUT>`,
	})
	if set.values()["ReturnValue"] != "0" || set.XMLName.Space != uri { // who looks for elements by namespace expects his own spelling
		t.Errorf("python3-winrm got %v in the namespace %s", set.values(), set.XMLName.Space)
	}
	is("ls1")

	for name, this := range map[string]bool{
		"ls1.farm.example": true, "LS1": true, "127.0.0.1": true, "[FD00::1]": true, " ls1.farm.example. ": true,
		"ls2.farm.example": false, "192.0.2.1": false, "": false, "no server!": false, "ls1.farm": false,
	} {
		server := text("ServerName", name)
		status, allowed, returnValue := uint32(0), uint32(0), uint32(sFalse)
		if this {
			status, allowed, returnValue = 11, 1, done
		}
		h.call(t, returnValue, rdsh1, "PingLicenseServer", server)
		if got, ok := h.call(t, returnValue, rdsh1, "CanAccessLicenseServer", server).Uint32("AccessAllowed"); !ok || got != allowed {
			t.Errorf("CanAccessLicenseServer(%q) is %d", name, got)
		}
		if got, ok := h.call(t, done, rdsh1, "GetTStoLSConnectivityStatus", server).Uint32("TsToLsConnectivityStatus"); !ok || got != status {
			t.Errorf("GetTStoLSConnectivityStatus(%q) is %d, want %d", name, got, status)
		}
	}
}

// TestChangeMode changes what a session host counts by, which its next CAL shows.
func TestChangeMode(t *testing.T) {
	h := newHosts(t)
	const name = "rdsh3.farm.example"
	host := h.sessionHost(t, wire.NewHost{Name: name, ProductVersion: "ws2022", Mode: "per-user"})
	mode := func(n string) wsman.Value { return wsman.Text("LicensingType", n) }
	for _, n := range []string{"0", "1", "5"} {
		h.call(t, notSupported, name, "ChangeMode", mode(n))
	}
	for _, n := range []string{"3", "6", "4294967295"} {
		h.call(t, invalidParameter, name, "ChangeMode", mode(n))
	}
	if got := h.registration(t, name).Mode; got != "per-user" {
		t.Fatalf("refusals changed the mode to %s", got)
	}
	h.call(t, done, name, "ChangeMode", mode("2"))
	if got := h.registration(t, name).Mode; got != "per-device" {
		t.Errorf("the mode is %s", got)
	}
	asked := wire.Request{User: `FARM\ada`, Device: &wire.Device{ID: "hw-1", Name: "device-1"}}
	if a, err := host.Request(t.Context(), asked, ""); err != nil || a.License.Type != "per-device" {
		t.Errorf("the license is %+v, %v", a, err)
	}
	h.call(t, done, name, "ChangeMode", mode("4"))
	one, err := h.admin.Get(t.Context(), settingClass, []wsman.Value{wsman.Text("ServerName", name)})
	if err != nil || one.Text("LicensingType") != "4" {
		t.Errorf("the session host is %v, %v", one, err)
	}
}

// TestSessionHostClasses fetches the two classes, and holds their methods against the documented signatures.
func TestSessionHostClasses(t *testing.T) {
	h := newHosts(t)
	mi := &powershell{h.URL(), "Administrator", password}
	ns, err := (&tlswmiprov.Provider{Logger: slog.New(slog.DiscardHandler)}).TerminalServices()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range ns.Classes {
		for _, d := range cimxmltest.Differ(fetchClass(t, mi, sessionHosts, c.Name), c) {
			t.Error(d)
		}
	}
	documented := map[string]string{
		"AddLSToSpecifiedLicenseServerList":      "in string LicenseServerName",
		"CanAccessLicenseServer":                 "in string ServerName, out uint32 AccessAllowed",
		"ChangeMode":                             "in uint32 LicensingType",
		"EmptySpecifiedLicenseServerList":        "",
		"FindLicenseServers":                     "out Win32_TSDiscoveredLicenseServer LicenseServersList[], out uint32 Count",
		"GetGracePeriodDays":                     "out uint32 DaysLeft",
		"GetSpecifiedLicenseServerList":          "out string SpecifiedLSList[]",
		"GetTStoLSConnectivityStatus":            "in string ServerName, out uint32 TStoLSConnectivityStatus",
		"PingLicenseServer":                      "in string ServerName",
		"RemoveLSFromSpecifiedLicenseServerList": "in string LicenseServerName",
		"SetSpecifiedLicenseServerList":          "in string SpecifiedLSList[]",
	}
	setting := fetchClass(t, mi, strings.ToUpper(sessionHosts), settingClass)
	for _, m := range setting.Methods {
		var parameters []string
		for _, p := range m.Parameters {
			direction, typ, brackets := "out", p.Type, ""
			if p.Qualifier("in") != nil {
				direction = "in"
			}
			if p.Embedded != "" {
				typ = p.Embedded
			}
			if p.Array {
				brackets = "[]"
			}
			parameters = append(parameters, fmt.Sprintf("%s %s %s%s", direction, typ, p.Name, brackets))
		}
		if want, ok := documented[m.Name]; !ok || strings.Join(parameters, ", ") != want || m.Qualifier("static") != nil {
			t.Errorf("%s has the parameters %v, want %s", m.Name, parameters, want)
		}
	}
	if len(setting.Methods) != len(documented) || setting.Qualifier("provider")[0] != "Win32_WIN32_TERMINALSERVICESETTING_Prov" {
		t.Errorf("%d methods, %+v", len(setting.Methods), setting.Qualifiers)
	}
	if items := body(t, mi, getCimInstance(sessionHosts, "*", "SELECT * FROM meta_class")).find("Items").Children; len(items) != 2 {
		t.Errorf("the namespace has %d classes", len(items))
	}
	for i, err := range h.admin.Enumerate(t.Context(), discovered, "") {
		t.Errorf("%v, %v", i, err)
	}
	if _, err := h.admin.Get(t.Context(), keyPackClass, []wsman.Value{wsman.Uint32("KeyPackId", 2)}); !errors.Is(err, wsman.ErrNotFound) {
		t.Errorf("a key pack in the namespace of session hosts: %v", err)
	}
}
