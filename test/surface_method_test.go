package test

import (
	"os"
	"path/filepath"
	"testing"

	"calkeeper/internal/licensing"
	"calkeeper/internal/restapi/wire"
	"calkeeper/internal/wsman/client"
)

// with returns arguments of a static method that are known beforehand.
func with(args ...client.Value) func(*testing.T) (keys, args []client.Value) {
	return func(*testing.T) (_, _ []client.Value) { return nil, args }
}

// has returns a check that an out parameter has a text.
func has(name, want string) func(*testing.T, client.Instance) {
	return func(t *testing.T, out client.Instance) {
		t.Helper()
		if got := out.Text(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// serverMethods calls the methods of Win32_TSLicenseServer: the activation by network and by phone, the questions, and what needs a
// directory, which this license server does not have.
func (s *surface) serverMethods(t *testing.T, f *farm) {
	m := f.join("asked", f.organization)
	m.sessionHost(t, wire.NewHost{Name: "rdsh1.farm.example", ProductVersion: "ws2022", Mode: "per-user"})
	text := client.Text
	ask := func(method, out, want string, args ...client.Value) {
		t.Helper()
		s.call(t, m, done, serverClass, method, with(args...), has(out, want))
	}
	ask("GetActivationStatus", "ActivationStatus", "0")
	ask("GetLicenseServerId", "sLicenseServerId", m.id)
	ask("IsLSinTSLSGroup", "IsMember", "false", text("Domain", "farm.example"))
	ask("IsLSonDC", "OnDC", "false")
	ask("IsLSPreventUpgradeGPEnabled", "Enabled", "false")
	ask("IsLSPublished", "Published", "false")
	ask("IsLSRegisteredToSCP", "Registered", "false")
	ask("IsLSSecGrpGPEnabled", "Enabled", "true")
	ask("IsSecureAccessAllowed", "Allowed", "true", text("tsname", "rdsh1.farm.example"))
	ask("IsTSinTSCGroup", "IsMember", "true", text("tsname", "rdsh1.farm.example"))
	for _, method := range []string{"AddLStoTSLSGroup", "RemoveLSfromTSLSGroup", "PublishLS", "UnpublishLS", "RegisterLSToSCP", "UnRegisterLSFromSCP"} {
		s.call(t, m, notAvailable, serverClass, method, with(), nil)
	}
	s.call(t, m, notAvailable, serverClass, "ChangeRole", with(client.Uint32("ServerRole", 1)), nil)
	for _, method := range []string{"CreateTSCGroup", "IsTSCGroupPresent", "RemoveTSCGroup"} {
		s.call(t, m, notSupported, serverClass, method, with(), nil)
	}
	s.activation(t, f)
}

// activation takes license servers through their lives, by network and by phone. Each has what its method needs.
func (s *surface) activation(t *testing.T, f *farm) {
	activation := func(name, method, status string, prepare func(*testing.T, *member) []client.Value) {
		t.Helper()
		m := f.start(name, f.organization.EnrolmentKey)
		m.setContact(t)
		s.call(t, m, done, serverClass, method, func(t *testing.T) (_, _ []client.Value) { return nil, prepare(t, m) }, func(t *testing.T, out client.Instance) {
			has("ActivationStatus", status)(t, out)
			has("ActivationStatus", status)(t, m.want(t, done, serverClass, "GetActivationStatus", nil).Values)
		})
	}
	active := func(m *member) {
		m.want(f.t, done, serverClass, "ActivateServerAutomatic", nil)
	}
	byPhone := func(t *testing.T, m *member) string {
		t.Helper()
		id, err := f.clearinghouse.Service.ActivationCode(t.Context(), m.ProductID, f.organization.ID, m.name)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	activation("network1", "ActivateServerAutomatic", "0", func(*testing.T, *member) []client.Value { return nil })
	activation("network2", "ReactivateServerAutomatic", "0", func(_ *testing.T, m *member) []client.Value {
		active(m)
		return []client.Value{client.Uint32("Reason", 4)}
	})
	activation("network3", "DeactivateServerAutomatic", "1", func(_ *testing.T, m *member) []client.Value {
		active(m)
		return nil
	})
	activation("phone1", "ActivateServer", "0", func(t *testing.T, m *member) []client.Value {
		return []client.Value{client.Text("sLicenseServerId", byPhone(t, m))}
	})
	activation("phone2", "ReactivateServer", "0", func(t *testing.T, m *member) []client.Value {
		active(m)
		return []client.Value{client.Text("sNewLicenseServerId", byPhone(t, m))}
	})
	activation("phone3", "DeactivateServer", "1", func(t *testing.T, m *member) []client.Value {
		active(m)
		id := m.want(t, done, serverClass, "GetLicenseServerId", nil).Values.Text("sLicenseServerId")
		code, err := f.clearinghouse.Service.DeactivationCode(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return []client.Value{client.Text("sConfirmCode", code)}
	})
}

// keyPackMethods calls the methods of Win32_TSLicenseKeyPack. Each has an entitlement of its own.
func (s *surface) keyPackMethods(t *testing.T, f *farm) {
	const count = 5
	source, target := f.join("source", f.organization), f.join("target", f.organization)
	open, agreement := licensing.Credentials{Program: licensing.Open}, licensing.Credentials{Program: licensing.Agreement}
	retail := licensing.Credentials{Program: licensing.Retail}
	// purchase sells CALs, installs them on a license server if there is one, and returns the arguments of its program.
	purchase := func(t *testing.T, c licensing.Credentials, on *member) []client.Value {
		t.Helper()
		sale := f.sell(c, licensing.WindowsServer2022, licensing.PerUser, count)
		method, args := "InstallOpenLicenseKeyPack", openArguments(sale, count)
		switch c.Program {
		case licensing.Agreement:
			method, args = "InstallAgreementLicenseKeyPack", agreementArguments(sale, count)
		case licensing.Retail:
			method, args = "InstallRetailPurchaseLicenseKeyPack", []client.Value{client.Text("sLicenseCode", sale.Credentials.LicenseCode)}
		}
		if on != nil {
			on.want(t, done, keyPackClass, method, nil, args...)
		}
		return args
	}
	// code sells CALs and returns an offline code, for what from holds, or of an installation.
	code := func(t *testing.T, to, from *member) []client.Value {
		t.Helper()
		sale := f.sell(open, licensing.WindowsServer2022, licensing.PerUser, count)
		if from != nil {
			from.want(t, done, keyPackClass, "InstallOpenLicenseKeyPack", nil, openArguments(sale, count)...)
		}
		return []client.Value{client.Text("sLicenseKeyPackId", f.code(t, sale, count, to, from))}
	}
	installs := func(method string, on *member, args func(*testing.T) []client.Value) {
		t.Helper()
		s.call(t, on, done, keyPackClass, method, func(t *testing.T) (_, _ []client.Value) { return nil, args(t) }, func(t *testing.T, out client.Instance) {
			if total := on.totals(t)[out.Text("KeyPackId")]; total != "5" {
				t.Errorf("key pack %s has %q CALs, want 5", out.Text("KeyPackId"), total)
			}
		})
	}
	for program, c := range map[string]licensing.Credentials{"Open": open, "Agreement": agreement, "RetailPurchase": retail} {
		installs("Install"+program+"LicenseKeyPack", target, func(t *testing.T) []client.Value { return purchase(t, c, nil) })
	}
	installs("InstallLicenseKeyPack", target, func(t *testing.T) []client.Value { return code(t, target, nil) })
	for program, c := range map[string]licensing.Credentials{"OpenPurchase": open, "Agreement": agreement, "RetailPurchase": retail} {
		installs("Import"+program+"LicenseKeyPack", target, func(t *testing.T) []client.Value {
			return append(purchase(t, c, source), sourceArguments(source)...)
		})
	}
	installs("ImportLicenseKeyPackOffline", target, func(t *testing.T) []client.Value {
		return append(code(t, target, source), sourceArguments(source)...)
	})

	// A license server that has lost its database, but not its identity, gets back what it has according to the ledger.
	lost := f.join("lost", f.organization)
	had := map[string][]client.Value{
		"ReinstallOpenPurchaseLicenseKeyPack": purchase(t, open, lost), "ReinstallAgreementLicenseKeyPack": purchase(t, agreement, lost),
		"ReinstallRetailPurchaseLicenseKeyPack": purchase(t, retail, lost), "ReinstallLicenseKeyPackOffline": code(t, lost, nil),
	}
	lost.want(t, done, keyPackClass, "InstallLicenseKeyPack", nil, had["ReinstallLicenseKeyPackOffline"]...)
	lost.settle(t)
	lost.stop()
	databases, err := filepath.Glob(filepath.Join(lost.dir, "calkeeper.db*"))
	if err != nil || len(databases) == 0 {
		t.Fatalf("the databases are %v, %v", databases, err)
	}
	for _, database := range databases {
		if err := os.Remove(database); err != nil {
			t.Fatal(err)
		}
	}
	lost = f.join("lost", f.organization)
	if totals := lost.totals(t); len(totals) > 0 {
		t.Fatalf("after the loss there are %v", totals)
	}
	for method, args := range had {
		installs(method, lost, func(*testing.T) []client.Value { return args })
	}

	// pack is a new key pack of the target.
	pack := func(t *testing.T) client.Value {
		t.Helper()
		sale := f.sell(open, licensing.WindowsServer2019, licensing.PerUser, count)
		return client.Text("KeyPackId", target.want(t, done, keyPackClass, "InstallOpenLicenseKeyPack", nil, openArguments(sale, count)...).Values.Text("KeyPackId"))
	}
	s.call(t, target, done, keyPackClass, "ConvertLicenses", func(t *testing.T) (keys, args []client.Value) {
		return []client.Value{pack(t)}, []client.Value{client.Uint32("Count", 2)}
	}, func(t *testing.T, out client.Instance) {
		if total := target.totals(t)[out.Text("KeypackID")]; total != "2" {
			t.Errorf("the new key pack has %q CALs, want 2", total)
		}
	})
	// removes calls a method that takes so many CALs of 2019 away.
	removes := func(method string, removed int, args func(pack client.Value) []client.Value) {
		t.Helper()
		held := func(t *testing.T) int {
			t.Helper()
			total := 0
			for _, row := range target.rows(t, keyPackClass, "SELECT * FROM Win32_TSLicenseKeyPack WHERE ProductVersionID = 6") {
				n, _ := row.Uint32("TotalLicenses")
				total += int(n)
			}
			return total
		}
		var before int
		s.call(t, target, done, keyPackClass, method, func(t *testing.T) (_, _ []client.Value) {
			id := pack(t)
			before = held(t)
			return nil, args(id)
		}, func(t *testing.T, _ client.Instance) {
			if after := held(t); before-after != removed {
				t.Errorf("%d CALs were removed, want %d", before-after, removed)
			}
		})
	}
	removes("RemoveLicensesWithIdCount", 3, func(id client.Value) []client.Value { return []client.Value{id, client.Uint32("LicenseCount", 3)} })
	removes("UninstallLicenseKeyPackWithId", count, func(id client.Value) []client.Value { return []client.Value{id} })
	removes("UninstallLicenseKeyPack", 4, func(client.Value) []client.Value {
		return []client.Value{client.Uint32("ProductVersion", 6), client.Uint32("ProductType", 1), client.Uint32("LicenseCount", 4)}
	})
}
