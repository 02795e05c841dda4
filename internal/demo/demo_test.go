package demo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/demo"
	"calkeeper/internal/restapi/client"
	"calkeeper/internal/restapi/wire"
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
		"held", "upgraded", "temporary", "concurrent", "over-used", "no-key-pack",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
	t.Log(out.String())
}

// TestDemoLeavesASessionHost asks for CALs as the session host that the JSON file shows, while the demo runs.
func TestDemoLeavesASessionHost(t *testing.T) {
	file := filepath.Join(t.TempDir(), "demo.json")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	ended := make(chan error, 1)
	go func() {
		ended <- demo.Run(ctx, demo.Options{JSON: file, Out: &out, Logger: slog.New(slog.DiscardHandler)})
	}()
	var text []byte
	for tick := time.NewTicker(5 * time.Millisecond); text == nil; {
		select {
		case <-tick.C:
			text, _ = os.ReadFile(file)
		case err := <-ended:
			t.Fatalf("the demo has ended: %v\n%s", err, out.String())
		}
	}
	var left struct {
		Source map[string]any
		Target struct {
			SessionHost struct{ Name, URL, Token string }
			Accounts    []struct{ User, Password, Role string }
		}
	}
	if err := json.Unmarshal(text, &left); err != nil {
		t.Fatal(err)
	}
	h := left.Target.SessionHost
	if _, there := left.Source["sessionHost"]; there || h.Name == "" || !strings.HasSuffix(h.URL, "/v1") {
		t.Fatalf("the file shows %s", text)
	}
	if a := left.Target.Accounts; len(a) != 2 || a[0].Role != "Operator" || a[1].Role != "Auditor" || a[0].Password == "" || a[0].Password == a[1].Password {
		t.Errorf("the file shows the accounts %+v", a)
	}
	api, err := client.New(client.Options{URL: h.URL, Token: h.Token})
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	for _, user := range []string{"alan", "barbara", "tim"} {
		a, err := api.Request(t.Context(), wire.Request{User: user}, "")
		if err != nil || a.Outcome != "issued" || a.OverUsed || a.License.Host != h.Name {
			t.Errorf("%s: %+v, %v; want a CAL of those that are free", user, a, err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if want := "calkeeper acquire --user "; !strings.Contains(out.String(), want) || !strings.Contains(out.String(), h.Token) {
		t.Errorf("the output does not say how to go on with %q:\n%s", want, out.String())
	}
}
