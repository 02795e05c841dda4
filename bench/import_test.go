//go:build linux

package bench_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"calkeeper/internal/app"
	"calkeeper/internal/clearinghouse"
	"calkeeper/internal/inventory"
	"calkeeper/internal/licensing"
	"calkeeper/internal/wsman/client"
)

// BenchmarkImport imports one CAL after the other from a source that is reachable, through WS-Management and a clearinghouse
// behind TLS: three databases commit before the answer. Beside it, 4 KB are appended to a file and flushed.
func BenchmarkImport(b *testing.B) {
	for _, targets := range []int{1, 8} {
		b.Run(fmt.Sprintf("targets=%d", targets), func(b *testing.B) {
			f := newFarm(b, targets)
			disk, err := os.Create(filepath.Join(b.TempDir(), "append"))
			if err != nil {
				b.Fatal(err)
			}
			defer disk.Close()
			const appends = 8
			var ours, bare series
			for b.Loop() {
				began := time.Now()
				f.importOnEach(b)
				ours = append(ours, time.Since(began))
				began = time.Now()
				for range appends {
					appendBlock(b, disk)
				}
				bare = append(bare, time.Since(began))
			}
			f.check(b, len(ours)*targets)
			b.ReportMetric(0, "ns/op") // of both
			b.ReportMetric(ours.perSecond(targets), "imports/s")
			b.ReportMetric(bare.perSecond(appends), "appends/s")
			b.ReportMetric(ours.perSecond(targets)/bare.perSecond(appends), "ratio")
		})
	}
}

func appendBlock(b *testing.B, f *os.File) {
	var block [4096]byte
	if _, err := f.Write(block[:]); err != nil {
		b.Fatal(err)
	}
	if err := syscall.Fdatasync(int(f.Fd())); err != nil {
		b.Fatal(err)
	}
}

// sold is how many CALs the source holds: more than a benchmark imports.
const sold = 1_000_000

// farm is a clearinghouse, a source that holds CALs, and targets.
type farm struct {
	house    *app.Clearinghouse
	source   *server
	sourceID string
	sale     clearinghouse.Sale
	targets  []*client.Client
}

func newFarm(b *testing.B, targets int) *farm {
	b.Helper()
	house, err := app.StartClearinghouse(b.Context(), app.ClearinghouseOptions{Dir: b.TempDir(), Listen: "127.0.0.1:0", Logger: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { house.Stop(context.Background()) })
	organization, err := house.Service.CreateOrganization(b.Context(), "Example Farm")
	if err != nil {
		b.Fatal(err)
	}
	f := &farm{house: house}
	member := func(name string) (*server, *client.Client) {
		s := serve(b, app.LicenseServerOptions{Dir: b.TempDir(), Name: name, Authority: &house.Authority, EnrolmentKey: organization.EnrolmentKey})
		return s, f.activate(b, s)
	}
	f.source, _ = member("source.farm.example")
	if f.sourceID, err = f.source.Activation.LicenseServerID(b.Context()); err != nil {
		b.Fatal(err)
	}
	if f.sale, err = house.Service.Sell(b.Context(), clearinghouse.SellRequest{
		Credentials: licensing.Credentials{Program: licensing.Open}, ProductVersion: uint32(licensing.WindowsServer2022), Count: sold,
	}); err != nil {
		b.Fatal(err)
	}
	if _, err := f.source.Inventory.Open(b.Context(), "bench", clearinghouse.Install, f.sale.Credentials.LicenseNumber, f.sale.Credentials.AuthorizationNumber,
		inventory.Purchase{ProductVersion: f.sale.ProductVersion, ProductType: f.sale.ProductType, Count: sold}, nil); err != nil {
		b.Fatal(err)
	}
	for i := range targets {
		_, c := member(fmt.Sprintf("target%d.farm.example", i))
		f.targets = append(f.targets, c)
	}
	f.awaitSource(b)
	return f
}

// activate sets the contact data and activates, as an administrator's script does.
func (f *farm) activate(b *testing.B, s *server) *client.Client {
	b.Helper()
	c, err := client.New(client.Options{URL: s.URL(), User: administrator, Password: s.password})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	if _, err := c.Put(b.Context(), "Win32_TSLicenseServer", nil, []client.Value{
		client.Text("FirstName", "Ada"), client.Text("LastName", "Lovelace"),
		client.Text("Company", "Example Farm"), client.Text("CountryRegion", "United Kingdom"),
	}); err != nil {
		b.Fatal(err)
	}
	out, err := c.Invoke(b.Context(), "Win32_TSLicenseServer", "ActivateServerAutomatic", nil, nil)
	if err != nil || out.ReturnValue != 0 {
		b.Fatalf("ActivateServerAutomatic returned 0x%X, %v", out.ReturnValue, err)
	}
	return c
}

// awaitSource waits until the clearinghouse has the source's poll.
func (f *farm) awaitSource(b *testing.B) {
	b.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		servers, err := f.house.Service.Servers(b.Context(), "")
		if err != nil {
			b.Fatal(err)
		}
		for _, s := range servers {
			if s.LicenseServerID == f.sourceID && s.Reachable {
				return
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.Fatal("the source has no contact with the clearinghouse")
}

// importOnEach imports one CAL on every target, on all of them at once.
func (f *farm) importOnEach(b *testing.B) {
	var wg sync.WaitGroup
	for _, c := range f.targets {
		wg.Go(func() {
			out, err := c.Invoke(b.Context(), "Win32_TSLicenseKeyPack", "ImportOpenPurchaseLicenseKeyPack", nil, []client.Value{
				client.Text("sLicenseNumber", f.sale.Credentials.LicenseNumber),
				client.Text("sAuthorizationNumber", f.sale.Credentials.AuthorizationNumber),
				client.Uint32("ProductVersion", f.sale.ProductVersion),
				client.Uint32("ProductType", f.sale.ProductType),
				client.Uint32("LicenseCount", 1),
				client.Text("sSourceLSName", "source.farm.example"),
				client.Text("sSourceLSProductId", f.sourceID),
			})
			if err != nil || out.ReturnValue != 0 {
				b.Errorf("ImportOpenPurchaseLicenseKeyPack returned 0x%X, %v", out.ReturnValue, err)
			}
		})
	}
	wg.Wait()
}

// check counts: the ledger balances, and the source has what was not imported.
func (f *farm) check(b *testing.B, imports int) {
	b.Helper()
	problems, err := f.house.Service.Check(b.Context())
	if err != nil || len(problems) > 0 {
		b.Fatalf("the ledger: %v, %v", problems, err)
	}
	pack, err := f.source.Inventory.KeyPack(b.Context(), licensing.FirstKeyPackID)
	if err != nil || int(pack.Total) != sold-imports {
		b.Fatalf("the source has %d CALs, %v; want %d", pack.Total, err, sold-imports)
	}
}
