package test

import (
	"errors"
	"strings"
	"testing"

	"calkeeper/internal/licensing"
	"calkeeper/internal/wsman/client"
)

// TestInstallConvertAndRemove calls the methods of key packs that are no imports: what they do, and every way in which each
// can refuse.
func TestInstallConvertAndRemove(t *testing.T) {
	f := newFarm(t)
	source, target := f.join("source", f.organization), f.join("target", f.organization)
	call := func(want uint32, method string, args ...client.Value) string {
		t.Helper()
		return target.want(t, want, keyPackClass, method, nil, args...).Values.Text("KeyPackId")
	}
	open := f.sell(licensing.Credentials{Program: licensing.Open}, licensing.WindowsServer2022, licensing.PerUser, 10)
	agreement := f.sell(licensing.Credentials{Program: licensing.Agreement, AgreementType: licensing.Campus}, licensing.WindowsServer2019, licensing.PerDevice, 20)
	retail := f.sell(licensing.Credentials{Program: licensing.Retail}, licensing.WindowsServer2016, licensing.PerUser, 10)
	retailCode := func(s string) client.Value { return client.Text("sLicenseCode", s) }
	packCode := func(s string) client.Value { return client.Text("sLicenseKeyPackId", s) }
	number, count := func(n uint32) client.Value { return client.Uint32("KeyPackId", n) }, func(n uint32) client.Value { return client.Uint32("LicenseCount", n) }

	for _, c := range []struct {
		method string
		valid  []client.Value
	}{
		{"InstallOpenLicenseKeyPack", openArguments(open, 10)},
		{"InstallAgreementLicenseKeyPack", agreementArguments(agreement, 10)},
		{"ReinstallOpenPurchaseLicenseKeyPack", openArguments(open, 10)},
		{"ReinstallAgreementLicenseKeyPack", agreementArguments(agreement, 10)},
		{"ImportAgreementLicenseKeyPack", append(agreementArguments(agreement, 10), sourceArguments(source)...)},
	} {
		for _, v := range []struct {
			name   string
			number uint32
			want   uint32
		}{
			{"ProductVersion", 0, notSupported}, {"ProductVersion", 1, notSupported}, {"ProductVersion", 8, notFound},
			{"ProductVersion", 9, outOfRange}, {"ProductVersion", 4294967295, outOfRange},
			{"ProductType", 2, invalidParameter}, {"ProductType", 3, invalidParameter}, {"ProductType", 4294967295, invalidParameter},
			{"LicenseCount", 0, invalidParameter},
		} {
			call(v.want, c.method, change(c.valid, client.Uint32(v.name, v.number))...)
		}
		if strings.Contains(c.method, "Agreement") {
			for _, wrong := range []string{"", "123456", "12345678", "123-4567", "123456A", "1234567 ", "٣234567"} {
				call(invalidParameter, c.method, change(c.valid, client.Text("sAgreementNumber", wrong))...)
			}
			call(notFound, c.method, change(c.valid, client.Text("sAgreementNumber", otherDigit(agreement.Credentials.AgreementNumber)))...)
			call(notFound, c.method, change(c.valid, client.Uint32("AgreementType", uint32(licensing.School)))...)
			call(invalidParameter, c.method, change(c.valid, client.Uint32("AgreementType", 6))...)
			call(invalidParameter, c.method, change(c.valid, client.Uint32("AgreementType", 4294967295))...)
		}
		for _, v := range c.valid {
			target.wantFault(t, keyPackClass, c.method, nil, without(c.valid, v.Name)...)
			target.wantFault(t, keyPackClass, c.method, nil, change(c.valid, client.Null(v.Name))...)
		}
	}
	for _, method := range []string{"InstallRetailPurchaseLicenseKeyPack", "ReinstallRetailPurchaseLicenseKeyPack"} {
		code := retail.Credentials.LicenseCode
		for _, wrong := range []string{"", code[:24], code + code[24:], code[:5] + "-" + code[5:24], wrongCheck(code), code[:24] + "É", "A" + code[1:], source.id} {
			call(invalidParameter, method, retailCode(wrong))
		}
		target.wantFault(t, keyPackClass, method, nil)
	}
	for _, method := range []string{"InstallLicenseKeyPack", "ReinstallLicenseKeyPackOffline"} {
		code := f.code(t, agreement, 1, target, nil)
		for _, wrong := range []string{"", code[:34], code + code[34:], code[:5] + "-" + code[5:34], wrongCheck(code), code[:34] + "É", source.id,
			f.code(t, agreement, 1, source, nil)} {
			call(invalidParameter, method, packCode(wrong))
		}
		target.wantFault(t, keyPackClass, method, nil)
	}

	t.Log("install")
	call(outOfRange, "InstallOpenLicenseKeyPack", openArguments(open, 11)...)
	call(outOfRange, "InstallOpenLicenseKeyPack", openArguments(open, 4294967295)...)
	call(notFound, "ReinstallOpenPurchaseLicenseKeyPack", openArguments(open, 10)...)
	openPack := call(done, "InstallOpenLicenseKeyPack", openArguments(open, 10)...)
	if openPack != "3" {
		t.Errorf("the first key pack has the ID %s, want 3", openPack)
	}
	call(outOfRange, "InstallOpenLicenseKeyPack", openArguments(open, 1)...)
	call(alreadyExists, "ReinstallOpenPurchaseLicenseKeyPack", openArguments(open, 1)...)
	call(done, "InstallAgreementLicenseKeyPack", change(agreementArguments(agreement, 2), client.Text("sAgreementNumber", agreement.Credentials.AgreementNumber))...)
	call(notFound, "ReinstallRetailPurchaseLicenseKeyPack", retailCode(retail.Credentials.LicenseCode))
	call(done, "InstallRetailPurchaseLicenseKeyPack", retailCode(strings.ToLower(retail.Credentials.LicenseCode)))
	call(alreadyExists, "InstallRetailPurchaseLicenseKeyPack", retailCode(retail.Credentials.LicenseCode))
	call(alreadyExists, "ReinstallRetailPurchaseLicenseKeyPack", retailCode(retail.Credentials.LicenseCode))
	source.want(t, alreadyExists, keyPackClass, "InstallRetailPurchaseLicenseKeyPack", nil, retailCode(retail.Credentials.LicenseCode))
	code := f.code(t, agreement, 3, target, nil)
	call(notFound, "ReinstallLicenseKeyPackOffline", packCode(code))
	call(invalidParameter, "ImportLicenseKeyPackOffline", append([]client.Value{packCode(code)}, sourceArguments(source)...)...)
	call(done, "InstallLicenseKeyPack", packCode(code))
	call(alreadyExists, "InstallLicenseKeyPack", packCode(code))
	call(alreadyExists, "ReinstallLicenseKeyPackOffline", packCode(code))
	usedCode := code

	t.Log("import what the source does not hold, then what it does")
	call(notFound, "ImportRetailPurchaseLicenseKeyPack", append([]client.Value{retailCode(retail.Credentials.LicenseCode)}, sourceArguments(source)...)...)
	call(outOfRange, "ImportAgreementLicenseKeyPack", append(agreementArguments(agreement, 1), sourceArguments(source)...)...)
	other := f.sell(licensing.Credentials{Program: licensing.Retail}, licensing.WindowsServer2025, licensing.PerDevice, 4)
	source.want(t, done, keyPackClass, "InstallRetailPurchaseLicenseKeyPack", nil, retailCode(other.Credentials.LicenseCode))
	imported := call(done, "ImportRetailPurchaseLicenseKeyPack", append([]client.Value{retailCode(other.Credentials.LicenseCode)}, sourceArguments(source)...)...)
	call(notFound, "ImportRetailPurchaseLicenseKeyPack", append([]client.Value{retailCode(other.Credentials.LicenseCode)}, sourceArguments(source)...)...)
	source.want(t, done, keyPackClass, "InstallAgreementLicenseKeyPack", nil, agreementArguments(agreement, 1)...)
	call(done, "ImportAgreementLicenseKeyPack", append(agreementArguments(agreement, 1), sourceArguments(source)...)...)

	t.Log("convert")
	convert := func(want uint32, id string, n uint32) string {
		t.Helper()
		return target.want(t, want, keyPackClass, "ConvertLicenses", []client.Value{client.Text("KeyPackId", id)}, client.Uint32("Count", n)).Values.Text("KeypackID")
	}
	convert(invalidParameter, imported, 0)
	convert(outOfRange, imported, 5)
	convert(outOfRange, imported, 4294967295)
	convert(notSupported, "2", 1)
	converted := convert(done, imported, 3)
	pack, err := target.admin.Get(t.Context(), keyPackClass, []client.Value{client.Text("KeyPackId", converted)})
	if err != nil {
		t.Fatal(err)
	}
	if pack.Text("TotalLicenses") != "3" || pack.Text("ProductType") != "1" || pack.Text("ProductVersionID") != "8" || pack.Text("KeyPackType") != "1" {
		t.Errorf("the converted key pack is %v", pack.Values)
	}
	if convert(done, imported, 1) == "" {
		t.Error("a conversion of the last CAL has no key pack")
	}
	_, err = target.admin.Invoke(t.Context(), keyPackClass, "ConvertLicenses", []client.Value{client.Text("KeyPackId", "999")}, []client.Value{client.Uint32("Count", 1)})
	if !errors.Is(err, client.ErrNotFound) {
		t.Errorf("converting key pack 999 gave %v, want a fault: not found", err)
	}
	if _, err = target.admin.Get(t.Context(), keyPackClass, []client.Value{client.Text("KeyPackId", imported)}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("the pack of which all was converted: %v, want not found", err)
	}

	t.Log("remove")
	call(invalidParameter, "RemoveLicensesWithIdCount", number(3), count(0))
	call(outOfRange, "RemoveLicensesWithIdCount", number(3), count(11))
	call(notFound, "RemoveLicensesWithIdCount", number(999), count(1))
	call(notFound, "RemoveLicensesWithIdCount", number(0), count(1))
	call(notSupported, "RemoveLicensesWithIdCount", number(2), count(1))
	call(done, "RemoveLicensesWithIdCount", number(3), count(4))
	call(notFound, "UninstallLicenseKeyPackWithId", number(999))
	call(notSupported, "UninstallLicenseKeyPackWithId", number(2))
	kind := func(version, productType, n uint32) []client.Value {
		return []client.Value{client.Uint32("ProductVersion", version), client.Uint32("ProductType", productType), count(n)}
	}
	call(notSupported, "UninstallLicenseKeyPack", kind(0, 1, 1)...)
	call(notSupported, "UninstallLicenseKeyPack", kind(1, 1, 1)...)
	call(outOfRange, "UninstallLicenseKeyPack", kind(9, 1, 1)...)
	call(invalidParameter, "UninstallLicenseKeyPack", kind(7, 2, 1)...)
	call(invalidParameter, "UninstallLicenseKeyPack", kind(7, 1, 0)...)
	call(notFound, "UninstallLicenseKeyPack", kind(4, 1, 1)...)
	call(outOfRange, "UninstallLicenseKeyPack", kind(7, 1, 7)...)
	call(done, "UninstallLicenseKeyPack", kind(7, 1, 2)...)
	if total := target.totals(t)["3"]; total != "4" {
		t.Errorf("key pack 3 has %s CALs, want 4", total)
	}
	call(done, "UninstallLicenseKeyPackWithId", number(3))
	call(notFound, "UninstallLicenseKeyPackWithId", number(3))
	target.settle(t)
	call(done, "InstallOpenLicenseKeyPack", openArguments(open, 10)...) // what was removed can be installed again
	f.check(t, source, target)

	t.Log("with the clearinghouse gone")
	code = f.code(t, agreement, 1, target, nil)
	target.settle(t)
	f.stopClearinghouse()
	call(notAvailable, "InstallOpenLicenseKeyPack", openArguments(open, 1)...)
	call(notAvailable, "InstallAgreementLicenseKeyPack", agreementArguments(agreement, 1)...)
	call(notAvailable, "InstallRetailPurchaseLicenseKeyPack", retailCode(retail.Credentials.LicenseCode))
	call(notAvailable, "ReinstallOpenPurchaseLicenseKeyPack", openArguments(open, 1)...)
	call(notAvailable, "ReinstallAgreementLicenseKeyPack", agreementArguments(agreement, 1)...)
	call(notAvailable, "ReinstallRetailPurchaseLicenseKeyPack", retailCode(retail.Credentials.LicenseCode))
	call(notAvailable, "ImportOpenPurchaseLicenseKeyPack", append(openArguments(open, 1), sourceArguments(source)...)...)
	call(notAvailable, "ImportAgreementLicenseKeyPack", append(agreementArguments(agreement, 1), sourceArguments(source)...)...)
	call(notAvailable, "ImportRetailPurchaseLicenseKeyPack", append([]client.Value{retailCode(retail.Credentials.LicenseCode)}, sourceArguments(source)...)...)
	convert(notAvailable, converted, 1)
	call(alreadyExists, "ReinstallLicenseKeyPackOffline", packCode(usedCode))
	call(done, "InstallLicenseKeyPack", packCode(code))
	call(alreadyExists, "InstallLicenseKeyPack", packCode(code))
	target.want(t, notAvailable, serverClass, "ReactivateServerAutomatic", nil, client.Uint32("Reason", 0))
	target.want(t, notAvailable, serverClass, "DeactivateServerAutomatic", nil)
	call(done, "RemoveLicensesWithIdCount", client.Text("KeyPackId", converted), count(1))
	call(outOfRange, "RemoveLicensesWithIdCount", client.Text("KeyPackId", converted), count(3))
}

// settle makes a license server tell the clearinghouse now what it would tell it in a moment.
func (m *member) settle(t *testing.T) {
	t.Helper()
	if err := m.Inventory.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestActivationMethods takes a license server through its whole life, by network and by phone.
func TestActivationMethods(t *testing.T) {
	f := newFarm(t)
	m, other := f.start("target", f.organization.EnrolmentKey), f.join("other", f.organization)
	call := func(want uint32, method string, args ...client.Value) client.Output {
		t.Helper()
		return m.want(t, want, serverClass, method, nil, args...)
	}
	status := func(want string) {
		t.Helper()
		if got := call(done, "GetActivationStatus").Values.Text("ActivationStatus"); got != want {
			t.Errorf("the activation status is %s, want %s", got, want)
		}
	}
	id := func(s string) client.Value { return client.Text("sLicenseServerId", s) }
	newID := func(s string) client.Value { return client.Text("sNewLicenseServerId", s) }
	confirm := func(s string) client.Value { return client.Text("sConfirmCode", s) }
	reason := func(n uint32) client.Value { return client.Uint32("Reason", n) }
	byPhone := func() string {
		t.Helper()
		id, err := f.clearinghouse.Service.ActivationCode(t.Context(), m.ProductID, "", m.name)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}

	t.Log("not activated")
	status("1")
	call(invalidOperation, "GetLicenseServerId")
	call(invalidOperation, "DeactivateServerAutomatic")
	call(invalidOperation, "DeactivateServer", confirm(strings.Repeat("A", 35)))
	call(invalidParameter, "ActivateServerAutomatic") // the contact data is missing
	call(invalidParameter, "ReactivateServerAutomatic", reason(0))
	m.setContact(t)
	call(invalidParameter, "ReactivateServerAutomatic", reason(5))
	call(invalidParameter, "ReactivateServerAutomatic", reason(4294967295))
	m.wantFault(t, serverClass, "ReactivateServerAutomatic", nil)
	open := f.sellTo(other, licensing.WindowsServer2022, licensing.PerUser, 5)
	everyInstall := func(want uint32) {
		t.Helper()
		retail := f.sell(licensing.Credentials{Program: licensing.Retail}, licensing.WindowsServer2022, licensing.PerUser, 5)
		agreement := f.sell(licensing.Credentials{Program: licensing.Agreement}, licensing.WindowsServer2022, licensing.PerUser, 5)
		code := f.code(t, agreement, 1, other, nil)
		for method, args := range map[string][]client.Value{
			"InstallOpenLicenseKeyPack":           openArguments(open, 1),
			"InstallAgreementLicenseKeyPack":      agreementArguments(agreement, 1),
			"InstallRetailPurchaseLicenseKeyPack": {client.Text("sLicenseCode", retail.Credentials.LicenseCode)},
			"InstallLicenseKeyPack":               {client.Text("sLicenseKeyPackId", code)},
		} {
			m.want(t, want, keyPackClass, method, nil, args...)
			imports := map[string]string{
				"InstallOpenLicenseKeyPack":           "ImportOpenPurchaseLicenseKeyPack",
				"InstallAgreementLicenseKeyPack":      "ImportAgreementLicenseKeyPack",
				"InstallRetailPurchaseLicenseKeyPack": "ImportRetailPurchaseLicenseKeyPack",
				"InstallLicenseKeyPack":               "ImportLicenseKeyPackOffline",
			}[method]
			m.want(t, want, keyPackClass, imports, nil, append(append([]client.Value(nil), args...), sourceArguments(other)...)...)
			reinstalls := "Rei" + strings.TrimPrefix(method, "I")
			switch method {
			case "InstallOpenLicenseKeyPack":
				reinstalls = "ReinstallOpenPurchaseLicenseKeyPack"
			case "InstallLicenseKeyPack":
				reinstalls = "ReinstallLicenseKeyPackOffline"
			}
			m.want(t, want, keyPackClass, reinstalls, nil, args...)
		}
		m.want(t, want, keyPackClass, "ConvertLicenses", []client.Value{client.Uint32("KeyPackId", 2)}, client.Uint32("Count", 1))
	}
	everyInstall(invalidOperation)

	t.Log("by network")
	if got := call(done, "ActivateServerAutomatic").Values.Text("ActivationStatus"); got != "0" {
		t.Errorf("ActivateServerAutomatic says status %s, want 0", got)
	}
	first := call(done, "GetLicenseServerId").Values.Text("sLicenseServerId")
	if len(first) != 35 {
		t.Errorf("the license server ID %q has %d characters, want 35", first, len(first))
	}
	call(done, "ActivateServerAutomatic") // it is already
	if again := call(done, "GetLicenseServerId").Values.Text("sLicenseServerId"); again != first {
		t.Error("activating an activated license server has changed its ID")
	}
	if got := call(done, "ReactivateServerAutomatic", reason(4)).Values.Text("ActivationStatus"); got != "0" {
		t.Errorf("ReactivateServerAutomatic says status %s, want 0", got)
	}
	if again := call(done, "GetLicenseServerId").Values.Text("sLicenseServerId"); again == first {
		t.Error("a reactivated license server has the ID it had")
	}
	if got := call(done, "DeactivateServerAutomatic").Values.Text("ActivationStatus"); got != "1" {
		t.Errorf("DeactivateServerAutomatic says status %s, want 1", got)
	}
	status("1")
	everyInstall(invalidOperation)

	t.Log("by phone")
	phoned := byPhone()
	for _, wrong := range []string{"", phoned[:34], phoned + "0", phoned[:5] + "-" + phoned[5:34], wrongCheck(phoned), phoned[:34] + "É", other.id, m.ProductID} {
		call(invalidParameter, "ActivateServer", id(wrong))
		call(invalidParameter, "ReactivateServer", newID(wrong))
	}
	m.wantFault(t, serverClass, "ActivateServer", nil)
	status("1")
	if got := call(done, "ActivateServer", id(strings.ToLower(phoned))).Values.Text("ActivationStatus"); got != "0" {
		t.Errorf("ActivateServer says status %s, want 0", got)
	}
	if got := call(done, "GetLicenseServerId").Values.Text("sLicenseServerId"); got != phoned {
		t.Errorf("the license server ID is not the one that was typed in, in upper case")
	}
	call(done, "ActivateServer", id(phoned))
	next := byPhone()
	call(alreadyExists, "ActivateServer", id(next))
	call(done, "ReactivateServer", newID(next))
	retired, err := f.clearinghouse.Service.DeactivationCode(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"", retired[:34], retired + "0", wrongCheck(retired), next, phoned} {
		call(invalidParameter, "DeactivateServer", confirm(wrong))
	}
	if got := call(done, "DeactivateServer", confirm(retired)).Values.Text("ActivationStatus"); got != "1" {
		t.Errorf("DeactivateServer says status %s, want 1", got)
	}
	call(invalidOperation, "DeactivateServer", confirm(retired))

	t.Log("without the right enrolment key")
	stranger := f.start("stranger", "")
	stranger.setContact(t)
	stranger.want(t, invalidOperation, serverClass, "ActivateServerAutomatic", nil)
	if _, err := f.clearinghouse.Service.Approve(t.Context(), stranger.ProductID, f.organization.ID, ""); err != nil {
		t.Fatal(err)
	}
	stranger.want(t, done, serverClass, "ActivateServerAutomatic", nil)
	impostor := f.start("impostor", "WRONG")
	impostor.setContact(t)
	impostor.want(t, accessDenied, serverClass, "ActivateServerAutomatic", nil)
}

// TestUnsupportedMethods calls what servers refuse since 2012, and what needs what this license server does not have.
func TestUnsupportedMethods(t *testing.T) {
	f := newFarm(t)
	m := f.join("target", f.organization)
	for method, args := range map[string][]client.Value{"CreateTSCGroup": nil, "IsTSCGroupPresent": nil, "RemoveTSCGroup": nil} {
		m.want(t, notSupported, serverClass, method, nil, args...)
	}
	m.want(t, notSupported, reportClass, "GenerateReport", nil, client.Uint32("ScopeType", 1), client.Text("ScopeValue", ""))
	for _, method := range []string{"AddLStoTSLSGroup", "RemoveLSfromTSLSGroup", "PublishLS", "UnpublishLS", "RegisterLSToSCP", "UnRegisterLSFromSCP"} {
		m.want(t, notAvailable, serverClass, method, nil)
	}
	for role, want := range []uint32{done, notAvailable, notAvailable, invalidParameter} {
		m.want(t, want, serverClass, "ChangeRole", nil, client.Uint32("ServerRole", uint32(role)))
	}
	for _, domain := range [][]client.Value{{client.Text("Domain", "example.com")}, {client.Text("Domain", "")}, {client.Null("Domain")}, nil} { // none is its own
		if is, ok := m.want(t, done, serverClass, "IsLSinTSLSGroup", nil, domain...).Values.Bool("IsMember"); is || !ok {
			t.Errorf("IsLSinTSLSGroup(%v) says %v, %v; want false", domain, is, ok)
		}
	}
	for method, out := range map[string]string{
		"IsLSonDC": "OnDC", "IsLSPreventUpgradeGPEnabled": "Enabled", "IsLSPublished": "Published", "IsLSRegisteredToSCP": "Registered",
	} {
		if is, ok := m.want(t, done, serverClass, method, nil).Values.Bool(out); is || !ok {
			t.Errorf("%s says %v, %v; want false", method, is, ok)
		}
	}
	// A static method can be called on an instance as well as on the class: scripts do both.
	m.want(t, notSupported, keyPackClass, "UninstallLicenseKeyPackWithId", []client.Value{client.Uint32("KeyPackId", 2)}, client.Uint32("KeyPackId", 2))
	_, err := m.admin.Invoke(t.Context(), keyPackClass, "NoSuchMethod", nil, nil)
	var refused *client.Fault
	if !errors.As(err, &refused) || refused.Subcode != "ActionNotSupported" {
		t.Errorf("a method that does not exist gave %v", err)
	}
	_, err = m.admin.Invoke(t.Context(), keyPackClass, "ConvertLicenses", nil, []client.Value{client.Uint32("Count", 1)})
	if !errors.As(err, &refused) || refused.Detail != "InsufficientSelectors" {
		t.Errorf("ConvertLicenses without an instance gave %v", err)
	}
}

// TestWrongCredentialsAreLimited guesses numbers until the clearinghouse stops it, which must not stop others.
func TestWrongCredentialsAreLimited(t *testing.T) {
	f := newFarm(t)
	guesser, honest := f.join("guesser", f.organization), f.join("honest", f.organization)
	sale := f.sell(licensing.Credentials{Program: licensing.Open}, licensing.WindowsServer2022, licensing.PerUser, 5)
	wrong := change(openArguments(sale, 1), client.Text("sAuthorizationNumber", otherDigit(sale.Credentials.AuthorizationNumber)))
	for range 100 {
		guesser.want(t, notFound, keyPackClass, "InstallOpenLicenseKeyPack", nil, wrong...)
	}
	guesser.want(t, failed, keyPackClass, "InstallOpenLicenseKeyPack", nil, wrong...)
	guesser.want(t, failed, keyPackClass, "InstallOpenLicenseKeyPack", nil, openArguments(sale, 1)...)
	honest.want(t, done, keyPackClass, "InstallOpenLicenseKeyPack", nil, openArguments(sale, 1)...)
}
