package app_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"calkeeper/internal/accounts"
	"calkeeper/internal/app"
	"calkeeper/internal/auth"
	"calkeeper/internal/cim"
	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/inventory"
	"calkeeper/internal/licensing"
	"calkeeper/internal/wsman/client"
)

// wsman returns a client of the license server, as Administrator.
func wsman(t testing.TB, l *app.LicenseServer) *client.Client {
	t.Helper()
	password, err := l.Accounts.Generate(t.Context(), "test", accounts.Change{Name: "Administrator", Role: auth.Administrator})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Options{URL: l.URL(), User: "Administrator", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestStartAndStopTwice uses one directory and one address again.
func TestStartAndStopTwice(t *testing.T) {
	o := options(t.TempDir())
	for range 2 {
		l := start(t, o)
		c := wsman(t, l)
		identity, err := c.Identify(t.Context())
		if err != nil || identity.ProductVendor != "calkeeper" || identity.ProductVersion != app.Version {
			t.Fatalf("%+v, %v", identity, err)
		}
		packs := 0
		for _, err := range c.Enumerate(t.Context(), "Win32_TSLicenseKeyPack", "") {
			if err != nil {
				t.Fatal(err)
			}
			packs++
		}
		if packs != 1 {
			t.Errorf("%d key packs; want the built-in one", packs)
		}
		o.ListenHTTP = strings.TrimSuffix(strings.TrimPrefix(l.URL(), "http://"), "/wsman")
		stop(t, l.Stop)
		if conn, err := net.DialTimeout("tcp", o.ListenHTTP, time.Second); err == nil {
			conn.Close()
			t.Errorf("%s still accepts connections", o.ListenHTTP)
		}
	}
}

func TestStopWithoutStart(t *testing.T) {
	o := options(t.TempDir())
	stop(t, open(t, o).Stop)
	stop(t, open(t, o).Stop)
}

func TestOpenWithCanceledContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := options(t.TempDir())
	_, err := app.OpenLicenseServer(ctx, o)
	checkError(t, err, context.Canceled)
	open(t, o) // nothing is locked
}

// TestNoClearinghouse does what can be done without one, and asks for what cannot.
func TestNoClearinghouse(t *testing.T) {
	l := start(t, options(t.TempDir()))
	c := wsman(t, l)
	out, err := c.Invoke(t.Context(), "Win32_TSLicenseServer", "GetActivationStatus", nil, nil)
	if err != nil || out.ReturnValue != 0 || out.Values.Text("ActivationStatus") != "1" {
		t.Errorf("GetActivationStatus: %+v, %v; want 1, not activated", out, err)
	}
	setContact(t, l)
	if out, err = c.Invoke(t.Context(), "Win32_TSLicenseServer", "ActivateServerAutomatic", nil, nil); err != nil || cim.Status(out.ReturnValue) != cim.StatusNotAvailable {
		t.Errorf("ActivateServerAutomatic: 0x%X, %v; want %v", out.ReturnValue, err, cim.StatusNotAvailable)
	}
	for what, err := range map[string]error{
		"ActivateAutomatic":   l.Activation.ActivateAutomatic(t.Context(), "test"),
		"ReactivateAutomatic": l.Activation.ReactivateAutomatic(t.Context(), "test", 0),
	} {
		if licensing.KindOf(err) != licensing.Unavailable || !errors.Is(err, clearinghouse.ErrNotSent) ||
			!strings.Contains(licensing.Message(err), "authority document") {
			t.Errorf("%s: %v; want an Unavailable fault that says what to do", what, err)
		}
	}
}

// TestClearinghouseGone takes the clearinghouse's configuration from a license server that is activated, and gives it back.
func TestClearinghouseGone(t *testing.T) {
	c := house(t, t.TempDir(), "")
	with := enroll(t, c, options(t.TempDir()))
	with.Transport = c.Transport()
	l := open(t, with)
	activate(t, l)
	stop(t, l.Stop)
	sale := sell(t, c)
	buy := func(l *app.LicenseServer) (uint32, error) {
		return l.Inventory.Open(t.Context(), "test", clearinghouse.Install, sale.Credentials.LicenseNumber, sale.Credentials.AuthorizationNumber,
			inventory.Purchase{ProductVersion: sale.ProductVersion, ProductType: sale.ProductType, Count: 100}, nil)
	}
	l = start(t, options(with.Dir))
	if _, err := buy(l); licensing.KindOf(err) != licensing.Unavailable || !errors.Is(err, clearinghouse.ErrNotSent) {
		t.Errorf("installing: %v; want an Unavailable fault, not sent", err)
	}
	if err := l.Inventory.Poll(t.Context(), 0); licensing.KindOf(err) != licensing.Unavailable {
		t.Errorf("polling: %v; want an Unavailable fault", err)
	}
	if err := l.Activation.DeactivateAutomatic(t.Context(), "test"); licensing.KindOf(err) != licensing.Unavailable {
		t.Errorf("deactivating: %v; want an Unavailable fault", err)
	}
	stop(t, l.Stop)
	l = start(t, with)
	if id, err := buy(l); err != nil || id != licensing.FirstKeyPackID {
		t.Errorf("with the clearinghouse again: key pack %d, %v; want %d, as nothing was left open", id, err, licensing.FirstKeyPackID)
	}
}

// TestSilentConnection has one connection open that says nothing while the license server stops.
func TestSilentConnection(t *testing.T) {
	l := start(t, options(t.TempDir()))
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(l.URL(), "http://"), "/wsman"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := wsman(t, l).Identify(t.Context()); err != nil { // by now the server has accepted the first as well
		t.Fatal(err)
	}
	stop(t, l.Stop)
}
