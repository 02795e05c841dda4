package inventory_test

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"calkeeper/internal/activation"
	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/clearinghouse/client"
	"calkeeper/internal/clearinghouse/server"
	ledger "calkeeper/internal/clearinghouse/sqlite"
	"calkeeper/internal/inventory"
	"calkeeper/internal/keycode"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store/sqlite"
)

// farm is a clearinghouse and two license servers that run, each by itself, in a time of their own.
type farm struct {
	t       *testing.T
	house   *clearinghouse.Service
	sale    clearinghouse.Sale
	servers [2]*running
}

// running is a license server whose Run is at work, and whose line can be cut.
type running struct {
	*inventory.Service
	id   string
	name string
	cut  atomic.Bool
	next http.RoundTripper
}

func (r *running) RoundTrip(request *http.Request) (*http.Response, error) {
	if r.cut.Load() {
		return nil, errNetwork
	}
	response, err := r.next.RoundTrip(request)
	if r.cut.Load() {
		return nil, errNetwork // the answer does not come through
	}
	return response, err
}

func inFarm(t *testing.T, f func(*testing.T, *farm)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		keys, err := clearinghouse.NewKeys(rand.Reader)
		must(err)
		st, err := ledger.Open(ctx, filepath.Join(t.TempDir(), "ledger.db"), ledger.Options{})
		must(err)
		defer st.Close()
		log := slog.New(slog.DiscardHandler)
		v := &farm{t: t, house: clearinghouse.New(st, keys, clearinghouse.Options{Now: time.Now, Random: rand.Reader, Logger: log})}
		authority := keys.Authority()
		authority.URL = "https://clearinghouse.test"
		handler := server.New(v.house, server.Options{Authority: authority, Logger: log})
		o, err := v.house.CreateOrganization(ctx, "Example")
		must(err)
		v.sale, err = v.house.Sell(ctx, clearinghouse.SellRequest{
			Credentials: licensing.Credentials{Program: licensing.Agreement}, ProductVersion: 7, Count: 100,
		})
		must(err)
		for i := range v.servers {
			r := &running{name: fmt.Sprintf("ls%d", i), next: server.Transport(handler)}
			own, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "calkeeper.db"), sqlite.Options{})
			must(err)
			defer own.Close()
			identity, err := ecdh.X25519().GenerateKey(rand.Reader)
			must(err)
			c, err := client.New(client.Options{Authority: authority, Identity: identity, Transport: r, Random: rand.Reader})
			must(err)
			a, err := activation.New(ctx, own, c, activation.Options{
				ProductID: keycode.ProductID(identity.PublicKey()), Name: r.name, EnrolmentKey: o.EnrolmentKey, Now: time.Now,
			})
			must(err)
			must(a.SetContact(ctx, "admin", func(c *licensing.Contact) {
				*c = licensing.Contact{FirstName: "Ada", LastName: "Lovelace", Company: "Example", CountryRegion: "GB"}
			}))
			r.Service = inventory.New(own, c, inventory.Options{Now: time.Now, Random: rand.Reader, Logger: log})
			running, cancel := context.WithCancel(ctx)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				r.Run(running)
			}()
			defer func() {
				cancel()
				<-ended
			}()
			time.Sleep(time.Second) // not activated yet: it tries again later
			must(a.ActivateAutomatic(ctx, "admin"))
			r.id, err = a.LicenseServerID(ctx)
			must(err)
			r.Resume()
			v.servers[i] = r
		}
		synctest.Wait()
		f(t, v)
		wrong, err := v.house.Check(ctx)
		if err != nil || len(wrong) > 0 {
			t.Errorf("the ledger: %q, %v", wrong, err)
		}
	})
}

func (v *farm) ask(r *running, kind clearinghouse.OperationKind, count uint32, source *running) error {
	var from *inventory.Source
	if source != nil {
		from = &inventory.Source{Name: source.name, ID: source.id}
	}
	_, err := r.Agreement(v.t.Context(), "admin", kind, 0, v.sale.Credentials.AgreementNumber, inventory.Purchase{ProductVersion: 7, Count: count}, from)
	return err
}

func (v *farm) wantTotals(first, second uint32) {
	v.t.Helper()
	for i, want := range []uint32{first, second} {
		packs, err := collect(v.servers[i].KeyPacks(v.t.Context()))
		if err != nil {
			v.t.Fatal(err)
		}
		var got uint32
		for _, pack := range packs[1:] {
			got += pack.Total
		}
		if got != want {
			v.t.Errorf("%s has %d CALs; want %d", v.servers[i].name, got, want)
		}
	}
}

// TestRunReleasesFirst: when an import is answered, its source has released already, and then everything is acknowledged.
func TestRunReleasesFirst(t *testing.T) {
	inFarm(t, func(t *testing.T, v *farm) {
		a, b := v.servers[0], v.servers[1]
		if err := v.ask(a, clearinghouse.Install, 30, nil); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for n := uint32(1); n <= 3; n++ {
			if err := v.ask(b, clearinghouse.Import, 5, a); err != nil {
				t.Fatal(err)
			}
			v.wantTotals(30-5*n, 5*n)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("three imports from a source that is there took %v", d)
		}
		synctest.Wait()
		transfers, err := v.house.Transfers(t.Context())
		if err != nil || len(transfers) != 3 {
			t.Fatalf("the transfers are %+v, %v", transfers, err)
		}
		for _, x := range transfers {
			if x.Released.IsZero() || x.Acknowledged.IsZero() {
				t.Errorf("the transfer is not complete: %+v", x)
			}
		}
	})
}

// TestRunCrossing: two license servers import from each other at the same time.
func TestRunCrossing(t *testing.T) {
	inFarm(t, func(t *testing.T, v *farm) {
		a, b := v.servers[0], v.servers[1]
		for _, r := range v.servers {
			if err := v.ask(r, clearinghouse.Install, 10, nil); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		answers := make(chan error)
		for range 3 {
			go func() { answers <- v.ask(a, clearinghouse.Import, 2, b) }()
			go func() { answers <- v.ask(b, clearinghouse.Import, 1, a) }()
		}
		for range 6 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("they took %v", d)
		}
		synctest.Wait()
		v.wantTotals(13, 7)
	})
}

// TestRunCatchesUp: a license server whose line was cut does what is left to do when it is mended.
func TestRunCatchesUp(t *testing.T) {
	inFarm(t, func(t *testing.T, v *farm) {
		a, b := v.servers[0], v.servers[1]
		if err := v.ask(a, clearinghouse.Install, 30, nil); err != nil {
			t.Fatal(err)
		}
		a.cut.Store(true)
		packs, err := collect(a.KeyPacks(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Remove(t.Context(), "admin", packs[1].ID, 10); err != nil {
			t.Fatal(err)
		}
		if err := v.ask(a, clearinghouse.Install, 1, nil); licensing.KindOf(err) != licensing.Unavailable {
			t.Errorf("without a line: %v", err)
		}
		time.Sleep(time.Minute) // the poll that was open has ended
		if err := v.ask(b, clearinghouse.Import, 5, a); err != nil {
			t.Fatal(err)
		}
		v.wantTotals(20, 5)
		time.Sleep(time.Hour)
		a.cut.Store(false)
		time.Sleep(20 * time.Second) // the longest pause between two attempts is 15 s
		synctest.Wait()
		v.wantTotals(15, 5)
		views, err := v.house.Entitlements(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, balance := range views[0].Balances {
			if balance.Holder == clearinghouse.Pool && balance.Quantity != 80 {
				t.Errorf("the pool has %d CALs; want 80", balance.Quantity)
			}
		}
	})
}
