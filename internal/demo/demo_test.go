package demo_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"calkeeper/internal/demo"
)

func TestDemoShowsBothImports(t *testing.T) {
	var out, log bytes.Buffer
	err := demo.Run(context.Background(), demo.Options{Exit: true, Out: &out, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out.String(), log.String())
	}
	for _, want := range []string{
		"ImportOpenPurchaseLicenseKeyPack(", "ImportLicenseKeyPackOffline(", "→ ReturnValue 0, KeyPackId 3", "→ ReturnValue 0, KeyPackId 4",
		"Checked: the ledger balances",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
	t.Log(out.String())
}
