package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// demo is `calkeeper demo`, running.
type demo struct {
	dir            string
	output         string // what it printed until it was ready
	Source, Target demoServer
	Unused         struct {
		Open struct {
			LicenseNumber, AuthorizationNumber string
			demoHolding
		}
		Agreement struct {
			AgreementType   uint32
			AgreementNumber string
			demoHolding
		}
		Retail, RetailHeldBySource struct{ LicenseCode string }
		InstallCode, ImportCode    struct{ LicenseKeyPackID string }
	}
}

type demoServer struct {
	Name, WSMan, WSMans, User, Password, LicenseServerID, Dir string

	Accounts []struct{ User, Password, Role string }
}

type demoHolding struct{ ProductVersion, ProductType, HeldBySource, Unallocated uint32 }

func startDemo(t *testing.T) *demo {
	t.Helper()
	path := program(t, shipped)
	d := &demo{dir: filepath.Join(t.TempDir(), "demo")}
	file := filepath.Join(t.TempDir(), "demo.json")
	cmd := exec.Command(path, "demo", "--dir", d.dir, "--json", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go func() {
		var text strings.Builder
		for lines := bufio.NewScanner(out); lines.Scan(); {
			text.WriteString(lines.Text() + "\n")
			if strings.HasPrefix(lines.Text(), "Running until") {
				ready <- text.String()
			}
		}
		close(ready)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		for range ready { // to its end
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the demo: %v\n%s", err, &errs)
		}
	})
	var ok bool
	if d.output, ok = <-ready; !ok {
		t.Fatalf("the demo has ended\n%s", &errs)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, d); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *demo) certificate() string { return filepath.Join(d.Target.Dir, "tls.crt") }

// TestRealClients uses python3-winrm and curl as they are installed, over http and https, for everything that administrators
// do, the two imports above all.
func TestRealClients(t *testing.T) {
	d := startDemo(t)
	target := d.Target
	for name, connect := range map[string]func(*testing.T) session{
		"pywinrm http": func(t *testing.T) session { return newPywinrm(t, target.WSMan, target.User, target.Password, "") },
		"pywinrm https": func(t *testing.T) session {
			return newPywinrm(t, target.WSMans, target.User, target.Password, d.certificate())
		},
		"pywinrm ntlm http": func(t *testing.T) session {
			return startPywinrm(t, map[string]any{
				"endpoint": target.WSMan, "transport": "ntlm", "username": target.User, "password": target.Password, "message_encryption": "always",
			})
		},
		"pywinrm ntlm https": func(t *testing.T) session {
			return startPywinrm(t, map[string]any{
				"endpoint": target.WSMans, "transport": "ntlm", "username": target.User, "password": target.Password, "ca_trust_path": d.certificate(),
			})
		},
		"pywinrm certificate": func(t *testing.T) session {
			certificate, key := d.clientCertificate(t)
			return startPywinrm(t, map[string]any{
				"endpoint": target.WSMans, "transport": "certificate", "cert_pem": certificate, "cert_key_pem": key, "ca_trust_path": d.certificate(),
			})
		},
		"curl http": func(*testing.T) session {
			return &curl{url: target.WSMan, user: target.User, password: target.Password}
		},
		"curl https": func(*testing.T) session {
			return &curl{url: target.WSMans, user: target.User, password: target.Password, authority: d.certificate()}
		},
		"curl ntlm https": func(*testing.T) session {
			return &curl{url: target.WSMans, user: target.User, password: target.Password, authority: d.certificate(), scheme: "--ntlm"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := connect(t)
			t.Run("Get", func(t *testing.T) { clientGet(t, s) })
			t.Run("Put", func(t *testing.T) { clientPut(t, s, name) })
			t.Run("ImportOpenPurchaseLicenseKeyPack", func(t *testing.T) { d.clientImport(t, s) })
			t.Run("ImportLicenseKeyPackOffline", func(t *testing.T) { d.clientImportOffline(t, s) })
			t.Run("Enumerate", func(t *testing.T) { clientEnumerate(t, s) })
			t.Run("WQL", func(t *testing.T) { clientWQL(t, s) })
			t.Run("faults", func(t *testing.T) { clientFaults(t, s) })
		})
	}
}

func clientGet(t *testing.T, s session) {
	builtIn := get(t, s, keyPackClass, map[string]string{"KeyPackId": "2"})
	if builtIn.XMLName.Local != keyPackClass || builtIn.XMLName.Space != wmiURI+keyPackClass {
		t.Errorf("the instance is a %s of %s", builtIn.XMLName.Local, builtIn.XMLName.Space)
	}
	want := map[string]string{
		"KeyPackId": "2", "Description": "A02-5.00-EX", "KeyPackType": "6", "ProductType": "3", "ProductVersion": "Windows 2000 Server",
		"ProductVersionID": "0", "TotalLicenses": "4294967295", "IssuedLicenses": "0", "AvailableLicenses": "4294967295",
		"ExpirationDate": "2035-12-31T23:00:00Z", "AccessRights": "7", "TypeAndModel": "Built-in TS Per Device CAL",
	}
	got := builtIn.values()
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s of the built-in key pack is %q, want %q", name, got[name], text)
		}
	}
	if len(got) != len(want) {
		t.Errorf("the built-in key pack has %d properties that are not NULL, want %d", len(got), len(want))
	}
	if status, out := invoke(t, s, serverClass, "GetActivationStatus"); status != "0" || out["ActivationStatus"] != "0" {
		t.Errorf("GetActivationStatus returned %s: %v", status, out)
	}
	// Scripts spell it so.
	if status, out := invoke(t, s, serverClass, "GetLicenseServerID"); status != "0" || len(out["sLicenseServerId"]) != 35 {
		t.Errorf("GetLicenseServerID returned %s: %v", status, out)
	}
}

// clientPut does what scripts do: get the instance, change contact data, put all of it back.
func clientPut(t *testing.T, s session, company string) {
	o := operation{URI: wmiURI + serverClass, Action: transferURI + "/Put"}
	instance := get(t, s, serverClass, nil)
	o.Body = fmt.Sprintf(`<p:%s xmlns:p="%s">`, serverClass, o.URI)
	for _, p := range instance.Children {
		text := p.Text
		switch p.XMLName.Local {
		case "Company":
			text = company + " & Söhne <GmbH>"
		case "City":
			text = "" // clears it
		}
		o.Body += fmt.Sprintf("<p:%s>%s</p:%[1]s>", p.XMLName.Local, escape(text))
	}
	o.Body += fmt.Sprintf("</p:%s>", serverClass)
	if answer := body(t, s, o); answer.values()["Company"] != company+" & Söhne <GmbH>" {
		t.Errorf("the answer to Put has the company %q", answer.values()["Company"])
	}
	after := get(t, s, serverClass, nil).values()
	if after["Company"] != company+" & Söhne <GmbH>" || after["City"] != "" || after["FirstName"] != "Ada" {
		t.Errorf("after Put the instance is %v", after)
	}
}

func (m *demoServer) curl() *curl { return &curl{url: m.WSMan, user: m.User, password: m.Password} }

// held returns how many CALs of a version and type a server of the demo has, and in how many key packs.
func (m *demoServer) held(t *testing.T, version, productType uint32) (total uint64, packs int) {
	t.Helper()
	s := m.curl()
	wql := fmt.Sprintf("select * from Win32_TSLicenseKeyPack where ProductVersionID = %d and ProductType = %d", version, productType)
	for _, pack := range enumerate(t, s, "*", wql, 0) {
		n, err := strconv.ParseUint(pack.values()["TotalLicenses"], 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		total, packs = total+n, packs+1
	}
	return total, packs
}

// moves calls f and fails the test unless so many CALs have left the source and come to the target, in one key pack.
func (d *demo) moves(t *testing.T, version, productType uint32, count uint64, f func() (returnValue string, out map[string]string)) {
	t.Helper()
	sourceBefore, _ := d.Source.held(t, version, productType)
	targetBefore, packsBefore := d.Target.held(t, version, productType)
	returnValue, out := f()
	if returnValue != "0" || out["KeyPackId"] == "" {
		t.Fatalf("the import returned %s: %v", returnValue, out)
	}
	sourceAfter, _ := d.Source.held(t, version, productType)
	targetAfter, packsAfter := d.Target.held(t, version, productType)
	if sourceBefore-sourceAfter != count || targetAfter-targetBefore != count || packsAfter != packsBefore+1 {
		t.Errorf("the source had %d and has %d, the target had %d and has %d; want %d to move", sourceBefore, sourceAfter, targetBefore, targetAfter, count)
	}
	pack := get(t, d.Target.curl(), keyPackClass, map[string]string{"KeyPackId": out["KeyPackId"]}).values()
	if pack["TotalLicenses"] != fmt.Sprint(count) || pack["AvailableLicenses"] != fmt.Sprint(count) {
		t.Errorf("the new key pack is %v", pack)
	}
}

func (d *demo) clientImport(t *testing.T, s session) {
	open := d.Unused.Open
	d.moves(t, open.ProductVersion, open.ProductType, 7, func() (string, map[string]string) {
		return invoke(t, s, keyPackClass, "ImportOpenPurchaseLicenseKeyPack",
			"sLicenseNumber", open.LicenseNumber, "sAuthorizationNumber", open.AuthorizationNumber, "ProductVersion", fmt.Sprint(open.ProductVersion),
			"ProductType", fmt.Sprint(open.ProductType), "LicenseCount", "7", "sSourceLSName", d.Source.Name, "sSourceLSProductId", d.Source.LicenseServerID)
	})
	returnValue, out := invoke(t, s, keyPackClass, "ImportOpenPurchaseLicenseKeyPack",
		"sLicenseNumber", "1234-5678", "sAuthorizationNumber", open.AuthorizationNumber, "ProductVersion", fmt.Sprint(open.ProductVersion),
		"ProductType", fmt.Sprint(open.ProductType), "LicenseCount", "7", "sSourceLSName", d.Source.Name, "sSourceLSProductId", d.Source.LicenseServerID)
	if _, given := out["KeyPackId"]; returnValue != fmt.Sprint(uint32(invalidParameter)) || given {
		t.Errorf("a license number with a hyphen gave %v", out)
	}
}

// clientImportOffline uses a code that the clearinghouse's operator makes for it: of the open license, whose CALs the source
// has most of.
func (d *demo) clientImportOffline(t *testing.T, s session) {
	open := d.Unused.Open
	code := d.importCode(t, open.LicenseNumber, 3)
	call := func() (string, map[string]string) {
		return invoke(t, s, keyPackClass, "ImportLicenseKeyPackOffline",
			"sLicenseKeyPackId", code, "sSourceLSName", d.Source.Name, "sSourceLSProductId", d.Source.LicenseServerID)
	}
	d.moves(t, open.ProductVersion, open.ProductType, 3, call)
	if returnValue, _ := call(); returnValue != fmt.Sprint(uint32(alreadyExists)) {
		t.Errorf("a code used twice returned %s", returnValue)
	}
}

// importCode makes a code with the command line of the clearinghouse's operator.
func (d *demo) importCode(t *testing.T, number string, count int) string {
	t.Helper()
	c := &cluster{path: program(t, shipped), dir: d.dir}
	var entitlements []struct{ ID, Number string }
	c.ask(t, &entitlements, "entitlements")
	for _, e := range entitlements {
		if e.Number == number {
			var issued struct{ Code string }
			c.ask(t, &issued, "code", "import", "--entitlement", e.ID, "--product-type", "user", "--count", fmt.Sprint(count),
				"--source", d.Source.LicenseServerID, "--target", d.Target.LicenseServerID)
			return issued.Code
		}
	}
	t.Fatalf("the clearinghouse has not sold %s", number)
	return ""
}

func clientEnumerate(t *testing.T, s session) {
	all := enumerate(t, s, keyPackClass, "", 0)
	if len(all) < 4 || all[0].values()["KeyPackId"] != "2" {
		t.Fatalf("%d key packs, the first is %v", len(all), all[0].values())
	}
	for _, atATime := range []int{1, 2, len(all)} {
		pulled := enumerate(t, s, keyPackClass, "", atATime)
		if !slices.EqualFunc(all, pulled, func(a, b *node) bool { return a.values()["KeyPackId"] == b.values()["KeyPackId"] }) {
			t.Errorf("pulled by %d, %d key packs came; at once %d", atATime, len(pulled), len(all))
		}
	}
}

// clientWQL runs the queries of public monitoring scripts, as they are written there.
func clientWQL(t *testing.T, s session) {
	all := enumerate(t, s, keyPackClass, "", 0)
	some := func(keep func(map[string]string) bool) (ids []string) {
		for _, pack := range all {
			if keep(pack.values()) {
				ids = append(ids, pack.values()["KeyPackId"])
			}
		}
		return ids
	}
	for _, q := range []struct {
		wql  string
		keep func(pack map[string]string) bool
	}{
		{"Select * from Win32_TSLicenseKeyPack", func(map[string]string) bool { return true }},
		{"select * from Win32_TSLicenseKeyPack where TotalLicenses != 0", func(p map[string]string) bool { return p["TotalLicenses"] != "0" }},
		{"Select * from Win32_TSLicenseKeyPack where KeyPackId !=4 and KeyPackId !=2", func(p map[string]string) bool { return p["KeyPackId"] != "4" && p["KeyPackId"] != "2" }},
		{"Select * from Win32_TSLicenseKeyPack where ProductVersion = 'Windows Server 2016'", func(p map[string]string) bool { return p["ProductVersion"] == "Windows Server 2016" }},
		{"SELECT * FROM Win32_TSLicenseKeyPack WHERE ProductType <> 3", func(p map[string]string) bool { return p["ProductType"] != "3" }},
		{"SELECT KeyPackId, TypeAndModel, ProductVersion, KeyPackType, TotalLicenses, IssuedLicenses, AvailableLicenses FROM Win32_TSLicenseKeyPack", func(map[string]string) bool { return true }},
	} {
		for _, class := range []string{"*", keyPackClass} {
			found := enumerate(t, s, class, q.wql, 0)
			var ids []string
			for _, item := range found {
				ids = append(ids, item.values()["KeyPackId"])
				if projected := !strings.Contains(q.wql, "*"); projected && (item.XMLName.Local != "XmlFragment" || len(item.values()) != 7) {
					t.Errorf("%s returned a %s with %d properties, want fragments with 7", q.wql, item.XMLName.Local, len(item.values()))
				}
			}
			if want := some(q.keep); !slices.Equal(ids, want) {
				t.Errorf("%s returned %v, want %v", q.wql, ids, want)
			}
		}
	}
	if ids := some(func(p map[string]string) bool { return p["ProductVersion"] == "Windows Server 2016" }); len(ids) == 0 {
		t.Error("there is no key pack of Windows Server 2016, so its query proves nothing")
	}
	for wql, want := range map[string]int{
		"Select * from Win32_TSIssuedLicense where KeyPackId = 3":           2,
		"SELECT * FROM Win32_TSLicenseServer":                               1,
		"SELECT * FROM Win32_TSIssuedLicense":                               6,
		"SELECT * FROM Win32_TSLicenseReport":                               0,
		"SELECT * FROM Win32_TSLicenseReportEntry":                          0,
		"SELECT * FROM Win32_TSLicenseReportFailedPerUserEntry":             0,
		"SELECT * FROM Win32_TSLicenseReportFailedPerUserSummaryEntry":      0,
		"SELECT * FROM Win32_TSLicenseReportPerDeviceEntry":                 0,
		"SELECT * FROM Win32_TSLicenseReportSummaryEntry":                   0,
		"select * from win32_tslicensekeypack where keypackid = 2":          1,
		`SELECT * FROM Win32_TSLicenseKeyPack WHERE (__CLASS !="")`:         len(all),
		"SELECT * FROM Win32_TSLicenseKeyPack WHERE TypeAndModel LIKE 'R%'": len(some(func(p map[string]string) bool { return strings.HasPrefix(p["TypeAndModel"], "R") })),
	} {
		if found := enumerate(t, s, "*", wql, 0); len(found) != want {
			t.Errorf("%s returned %d instances, want %d", wql, len(found), want)
		}
		_, class, _ := strings.Cut(wql, "FROM ")
		if class != "" && !strings.Contains(class, " ") {
			if found := enumerate(t, s, class, "", 0); len(found) != want {
				t.Errorf("enumerating %s returned %d instances, want %d", class, len(found), want)
			}
		}
	}
}

func clientFaults(t *testing.T, s session) {
	for _, c := range []struct {
		operation
		want string
	}{
		{operation{URI: wmiURI + "Win32_NoSuchClass", Action: transferURI + "/Get"}, "DestinationUnreachable"},
		{operation{URI: wmiURI + keyPackClass, Action: transferURI + "/Get", Selectors: map[string]string{"KeyPackId": "9999"}}, "DestinationUnreachable"},
		{operation{URI: wmiURI + keyPackClass, Action: transferURI + "/Get"}, "InvalidSelectors"},
		{operation{URI: wmiURI + "*", Action: enumerationURI + "/Enumerate", Body: fmt.Sprintf(
			`<n:Enumerate xmlns:n="%s" xmlns:w="%s"><w:Filter Dialect="%s">select from where</w:Filter></n:Enumerate>`, enumerationURI, wsmanURI, wqlDialect)}, "CannotProcessFilter"},
		{operation{URI: wmiURI + keyPackClass, Action: wmiURI + keyPackClass + "/ImportLicenseKeyPackOffline"}, "InvalidParameter"},
	} {
		if answer, fault := s.send(t, c.operation); !strings.Contains(fault, c.want) {
			t.Errorf("%s of %s gave %q %q, want the fault %s", c.Action, c.URI, answer, fault, c.want)
		}
	}
}

// TestDemoLeavesWorkingCredentials uses up everything that the demo's JSON file offers: each works once, and is used up then.
func TestDemoLeavesWorkingCredentials(t *testing.T) {
	d := startDemo(t)
	s := newPywinrm(t, d.Target.WSMan, d.Target.User, d.Target.Password, "")
	source := []string{"sSourceLSName", d.Source.Name, "sSourceLSProductId", d.Source.LicenseServerID}
	u := d.Unused
	purchase := func(h demoHolding, count uint32, credentials ...string) []string {
		return append(credentials, "ProductVersion", fmt.Sprint(h.ProductVersion), "ProductType", fmt.Sprint(h.ProductType), "LicenseCount", fmt.Sprint(count))
	}
	open := []string{"sLicenseNumber", u.Open.LicenseNumber, "sAuthorizationNumber", u.Open.AuthorizationNumber}
	agreement := []string{"AgreementType", fmt.Sprint(u.Agreement.AgreementType), "sAgreementNumber", u.Agreement.AgreementNumber}
	for _, c := range []struct {
		method    string
		arguments []string
		again     uint32
	}{
		{"ImportOpenPurchaseLicenseKeyPack", append(purchase(u.Open.demoHolding, u.Open.HeldBySource, open...), source...), outOfRange},
		{"InstallOpenLicenseKeyPack", purchase(u.Open.demoHolding, u.Open.Unallocated, open...), outOfRange},
		{"ImportAgreementLicenseKeyPack", append(purchase(u.Agreement.demoHolding, u.Agreement.HeldBySource, agreement...), source...), outOfRange},
		{"InstallAgreementLicenseKeyPack", purchase(u.Agreement.demoHolding, u.Agreement.Unallocated, agreement...), outOfRange},
		{"InstallRetailPurchaseLicenseKeyPack", []string{"sLicenseCode", u.Retail.LicenseCode}, alreadyExists},
		{"ImportRetailPurchaseLicenseKeyPack", append([]string{"sLicenseCode", u.RetailHeldBySource.LicenseCode}, source...), notFound},
		{"InstallLicenseKeyPack", []string{"sLicenseKeyPackId", u.InstallCode.LicenseKeyPackID}, alreadyExists},
		{"ImportLicenseKeyPackOffline", append([]string{"sLicenseKeyPackId", u.ImportCode.LicenseKeyPackID}, source...), alreadyExists},
	} {
		before := len(enumerate(t, s, keyPackClass, "", 0))
		if returnValue, out := invoke(t, s, keyPackClass, c.method, c.arguments...); returnValue != "0" || out["KeyPackId"] == "" {
			t.Errorf("%s returned %v", c.method, out)
		}
		if returnValue, out := invoke(t, s, keyPackClass, c.method, c.arguments...); returnValue != fmt.Sprint(c.again) || out["KeyPackId"] != "" {
			t.Errorf("%s a second time returned %v, want %d", c.method, out, c.again)
		}
		if after := len(enumerate(t, s, keyPackClass, "", 0)); after != before+1 {
			t.Errorf("%s twice has added %d key packs, want 1", c.method, after-before)
		}
	}
	c := &cluster{path: program(t, shipped), dir: d.dir}
	c.recount(t)
}

// TestDemoCommands runs what the demo tells its user to paste.
func TestDemoCommands(t *testing.T) {
	d := startDemo(t)
	path := filepath.Dir(program(t, shipped)) + string(os.PathListSeparator) + os.Getenv("PATH")
	commands := strings.ReplaceAll(d.output, "\\\n", "")
	run := func(command string) string {
		t.Helper()
		cmd := exec.Command("sh", "-c", command)
		cmd.Env = append(os.Environ(), "PATH=/usr/bin:"+path)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
		return string(out)
	}
	pasted := func(with string) string {
		t.Helper()
		for line := range strings.Lines(commands) {
			if strings.HasPrefix(line, "  ") && strings.Contains(line, with) {
				return strings.TrimSpace(line)
			}
		}
		t.Fatalf("the demo shows no %s\n%s", with, d.output)
		return ""
	}
	// The built-in key pack, the two that were imported, and those that count temporary and over-used CALs.
	if out := run(pasted("curl ")); strings.Count(out, "<p:KeyPackId>") != 5 {
		t.Errorf("curl shows\n%s", out)
	}
	if out := run(pasted("curl -s --ntlm ")); strings.Count(out, "<p:KeyPackId>") != 5 {
		t.Errorf("curl --ntlm shows\n%s", out)
	}
	if out := run(pasted("python3 ")); !strings.Contains(out, "<p:ReturnValue>0</p:ReturnValue>") {
		t.Errorf("python3-winrm shows\n%s", out)
	}
	export := pasted("export ") + "\n"
	if out := run(export + pasted("keypack list")); !strings.Contains(out, "Windows Server 2022") {
		t.Errorf("calkeeper keypack list shows\n%s", out)
	}
	run(export + pasted("keypack import"))
	if out := run(pasted("export CALKEEPER_API") + "\n" + pasted("calkeeper acquire")); !strings.HasPrefix(out, "issued") {
		t.Errorf("calkeeper acquire shows\n%s", out)
	}
	if out := run(export + pasted("calkeeper cal list")); !strings.Contains(out, "alan") {
		t.Errorf("calkeeper cal list shows\n%s", out)
	}
}
