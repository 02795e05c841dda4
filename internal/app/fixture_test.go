package app_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/app"
	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/licensing"
)

const serverName = "ls1.farm.example"

// stopLimit is how long anything may take to stop.
const stopLimit = 2 * time.Second

func options(dir string) app.LicenseServerOptions {
	return app.LicenseServerOptions{Dir: dir, Name: serverName, ListenHTTP: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)}
}

// open opens a license server and stops it at the end of the test, if the test has not.
func open(t testing.TB, o app.LicenseServerOptions) *app.LicenseServer {
	t.Helper()
	l, err := app.OpenLicenseServer(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Stop(context.Background()) })
	return l
}

func start(t testing.TB, o app.LicenseServerOptions) *app.LicenseServer {
	t.Helper()
	l := open(t, o)
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	return l
}

// stop calls a Stop, which must not take long.
func stop(t testing.TB, stop func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	began := time.Now()
	if err := stop(ctx); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > stopLimit {
		t.Errorf("stopping took %v; want at most %v", took, stopLimit)
	}
}

// house starts a clearinghouse and stops it at the end of the test. Without listen it serves this process only.
func house(t testing.TB, dir, listen string) *app.Clearinghouse {
	t.Helper()
	c, err := app.StartClearinghouse(t.Context(), app.ClearinghouseOptions{Dir: dir, Listen: listen, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop(context.Background()) })
	return c
}

// enroll adds the clearinghouse, and an organization's key to it, to the options of a license server.
func enroll(t testing.TB, c *app.Clearinghouse, o app.LicenseServerOptions) app.LicenseServerOptions {
	t.Helper()
	organization, err := c.Service.CreateOrganization(t.Context(), "Example Farm")
	if err != nil {
		t.Fatal(err)
	}
	o.Authority, o.EnrolmentKey = &c.Authority, organization.EnrolmentKey
	return o
}

// activate sets the contact data and activates automatically.
func activate(t testing.TB, l *app.LicenseServer) {
	t.Helper()
	setContact(t, l)
	if err := l.Activation.ActivateAutomatic(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
}

func setContact(t testing.TB, l *app.LicenseServer) {
	t.Helper()
	if err := l.Activation.SetContact(t.Context(), "test", func(c *licensing.Contact) {
		*c = licensing.Contact{FirstName: "Ada", LastName: "Lovelace", Company: "Example Farm", CountryRegion: "United Kingdom"}
	}); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, holds func(context.Context) (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := holds(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not in time", what)
		}
	}
}

// reachable waits until the clearinghouse has a poll of its one license server.
func reachable(t testing.TB, c *app.Clearinghouse, l *app.LicenseServer) {
	t.Helper()
	eventually(t, "the license server's poll", func(ctx context.Context) (bool, error) {
		servers, err := c.Service.Servers(ctx, "")
		return len(servers) == 1 && servers[0].ProductID == l.ProductID && servers[0].Reachable, err
	})
}

// sell sells an Open License of 150 CALs.
func sell(t testing.TB, c *app.Clearinghouse) clearinghouse.Sale {
	t.Helper()
	sale, err := c.Service.Sell(t.Context(), clearinghouse.SellRequest{
		Credentials: licensing.Credentials{Program: licensing.Open}, ProductVersion: uint32(licensing.WindowsServer2022), Count: 150,
	})
	if err != nil {
		t.Fatal(err)
	}
	return sale
}

func read(t testing.TB, elements ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(elements...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkError checks that err wraps target, if there is one, and says all the words.
func checkError(t testing.TB, err, target error, words ...string) {
	t.Helper()
	if err == nil || target != nil && !errors.Is(err, target) {
		t.Fatalf("error %v; want %v", err, target)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}
