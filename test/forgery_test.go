package test

import (
	"strings"
	"testing"

	"calkeeper/internal/inventory"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
	"calkeeper/internal/wsman/client"
)

// TestForgedCodeIsFlagged uses a code that an operator of a license server has made with the server's own key, while the
// clearinghouse is out of reach. It is found out at the next contact, and moves nothing.
func TestForgedCodeIsFlagged(t *testing.T) {
	f := newFarm(t)
	source, target := f.join("source", f.organization), f.join("target", f.organization)
	f.sellTo(source, licensing.WindowsServer2022, licensing.PerUser, 10)
	target.settle(t)
	forged := target.forge(t, keycode.Code{
		Kind: keycode.Import, ProductVersion: 7, ProductType: 1, Quantity: 1000, Serial: 1 << 30,
	}, keycode.Binding{Target: target.id, Source: source.id})
	f.stopClearinghouse()
	args := append([]client.Value{client.Text("sLicenseKeyPackId", forged)}, sourceArguments(source)...)
	id := target.want(t, done, keyPackClass, "ImportLicenseKeyPackOffline", nil, args...).Values.Text("KeyPackId")
	f.startClearinghouse()
	var verdicts []inventory.Verdict
	await(t, "the clearinghouse has seen the code", func() bool {
		var err error
		if verdicts, err = target.Inventory.Verify(t.Context()); err != nil {
			t.Fatal(err)
		}
		return len(verdicts) == 1 && len(verdicts[0].Wrong) > 0
	})
	if !strings.Contains(verdicts[0].Wrong[0], "the clearinghouse does not stand behind it") {
		t.Errorf("the verdict is %v", verdicts[0].Wrong)
	}
	target.want(t, notSupported, keyPackClass, "ConvertLicenses", []client.Value{client.Text("KeyPackId", id)}, client.Uint32("Count", 1))
	target.want(t, alreadyExists, keyPackClass, "ImportLicenseKeyPackOffline", nil, args...)
	if total := source.totals(t)["3"]; total != "10" {
		t.Errorf("the source has %s CALs, want 10", total)
	}
	target.want(t, done, keyPackClass, "UninstallLicenseKeyPackWithId", nil, client.Text("KeyPackId", id))
	target.settle(t)
	f.check(t, source, target)
}
