package demo

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"calkeeper/internal/wsman/client"
)

const importedCount = 40

// show performs both imports, with the key packs of both servers before and after, and then issues CALs of what was imported.
func (d *demo) show(ctx context.Context, s *stock) error {
	if err := d.awaitReachable(ctx); err != nil {
		return err
	}
	d.say("\n2. The clearinghouse sold open, agreement and retail licenses; the source installed its part of them.\n")
	if err := d.tables(ctx); err != nil {
		return err
	}
	d.say("\n3. On the target: move %d CALs of an open license here.\n", importedCount)
	arguments := append(s.open.openArguments(importedCount), d.sourceArguments()...)
	if err := d.call(ctx, "ImportOpenPurchaseLicenseKeyPack", arguments); err != nil {
		return err
	}
	d.say("\n4. On the target: move a key pack here with a code that came by phone.\n")
	arguments = append([]client.Value{client.Text("sLicenseKeyPackId", s.importCode.Code)}, d.sourceArguments()...)
	if err := d.call(ctx, "ImportLicenseKeyPackOffline", arguments); err != nil {
		return err
	}
	d.say("\n5. What moved is here, and no longer there:\n")
	if err := d.tables(ctx); err != nil {
		return err
	}
	if err := d.issue(ctx); err != nil {
		return err
	}
	return d.check(ctx)
}

// call invokes a method on the target and shows it as MOF does: in-parameters, then what came back.
func (d *demo) call(ctx context.Context, method string, arguments []client.Value) error {
	var shown []string
	for _, a := range arguments {
		shown = append(shown, a.Name+"="+shorten(a.Text()))
	}
	d.say("   %s(%s)\n", method, strings.Join(shown, ", "))
	out, err := d.target.invoke(ctx, "Win32_TSLicenseKeyPack", method, arguments...)
	if err != nil {
		return err
	}
	d.say("   → ReturnValue %d, KeyPackId %s\n", out.ReturnValue, out.Values.Text("KeyPackId"))
	return nil
}

// shorten shows the first group of a code only.
func shorten(s string) string {
	if len(s) == 35 || len(s) == 15 {
		return s[:5] + "…"
	}
	return s
}

func (d *demo) tables(ctx context.Context) error {
	for _, m := range []*member{d.source, d.target} {
		d.say("   %s\n", m.name)
		w := tabwriter.NewWriter(d.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "     KeyPackId\tTypeAndModel\tProductVersion\tTotal\tAvailable")
		for pack, err := range m.client.Enumerate(ctx, "Win32_TSLicenseKeyPack", "SELECT * FROM Win32_TSLicenseKeyPack WHERE ProductType <> 3") {
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "     %s\t%s\t%s\t%s\t%s\n", pack.Text("KeyPackId"), pack.Text("TypeAndModel"), pack.Text("ProductVersion"),
				pack.Text("TotalLicenses"), pack.Text("AvailableLicenses"))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// check recounts the ledger, and both servers' evidence.
func (d *demo) check(ctx context.Context) error {
	wrong, err := d.clearinghouse.Service.Check(ctx)
	if err != nil {
		return err
	}
	packs := 0
	for _, m := range []*member{d.source, d.target} {
		verdicts, err := m.Inventory.Verify(ctx)
		if err != nil {
			return err
		}
		for _, v := range verdicts {
			wrong = append(wrong, v.Wrong...)
		}
		packs += len(verdicts)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("the check failed: %s", strings.Join(wrong, "; "))
	}
	d.say("\n7. Checked: the ledger balances, and every one of %d key packs has the clearinghouse's signature.\n", packs)
	return nil
}
