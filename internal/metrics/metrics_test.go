package metrics_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/metrics"
	"calkeeper/internal/store"
	"calkeeper/internal/store/sqlite"
)

// zeros are random bytes that are not: every term is the shortest.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newService returns a license server with 3 per device and 2 per user CALs.
func newService(t *testing.T) *issuance.Service {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "calkeeper.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	err = st.Update(t.Context(), func(tx store.Tx) error {
		if err := tx.PutServer(licensing.Server{LicenseServerID: strings.Repeat("A", 35), ActivatedAt: now}); err != nil {
			return err
		}
		for _, k := range []licensing.KeyPack{
			{Type: licensing.KeyPackRetail, ProductType: licensing.PerDevice, Total: 3},
			{Type: licensing.KeyPackVolume, ProductType: licensing.PerUser, Total: 2, OverUse: licensing.OverUse{Policy: licensing.DenyOverUse, DenyBeyond: 150}},
		} {
			k.ProductVersion, k.Installed, k.Expires = licensing.WindowsServer2022, now, licensing.PerpetualExpiry(now)
			if _, err := tx.InsertKeyPack(k); err != nil {
				return err
			}
		}
		return tx.Audit(store.AuditRecord{At: now, Actor: "test", Action: "install"})
	})
	if err != nil {
		t.Fatal(err)
	}
	return issuance.New(st, issuance.Options{Now: func() time.Time { return now }, Random: zeros{}, Logger: slog.New(slog.DiscardHandler)})
}

func host(mode licensing.ProductType, concurrent bool) licensing.Host {
	return licensing.Host{
		Name: "rds1.example", ProductVersion: licensing.WindowsServer2022, Mode: mode, Concurrent: concurrent, LeaseTTL: time.Hour,
	}
}

// use issues CALs of every kind, and has some refused.
func use(t *testing.T, s *issuance.Service, m *metrics.Metrics) {
	t.Helper()
	request := func(r issuance.Request, want issuance.Outcome) {
		t.Helper()
		a, err := s.Request(t.Context(), r)
		m.Observe("request", a, err, 3*time.Millisecond)
		if want == "" && licensing.KindOf(err) != licensing.Unlicensed || want != "" && (err != nil || a.Outcome != want) {
			t.Fatalf("%+v: %s, %v; want %q", r, a.Outcome, err, want)
		}
	}
	request(issuance.Request{Host: host(licensing.PerDevice, false), Device: licensing.Device{ID: "d1"}}, issuance.Issued) // temporary
	for _, id := range []string{"d2", "d3"} {
		r := issuance.Request{Host: host(licensing.PerDevice, true), Device: licensing.Device{ID: id}, Session: id}
		request(r, issuance.Issued)
	}
	for _, user := range []string{"ada", "bob", "eve"} { // the third is over-used
		request(issuance.Request{Host: host(licensing.PerUser, false), User: user}, issuance.Issued)
	}
	for range 2 {
		request(issuance.Request{Host: host(licensing.PerUser, false), User: "mallory"}, "")
	}
	a, err := s.Request(t.Context(), issuance.Request{Host: host(licensing.PerUser, false)})
	m.Observe("request", a, err, time.Second)
	if licensing.KindOf(err) != licensing.Invalid {
		t.Fatalf("a request without a user: %v", err)
	}
}

// scrape returns the samples of GET /metrics by name and labels, and the text.
func scrape(t *testing.T, url string) (map[string]float64, []byte) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%s, %s: %s", response.Status, response.Header.Get("Content-Type"), text)
	}
	samples := map[string]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, value, found := strings.Cut(line, "} ")
		if found {
			name += "}"
		} else {
			name, value, _ = strings.Cut(line, " ")
		}
		if samples[name], err = strconv.ParseFloat(value, 64); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	}
	return samples, text
}

func serve(t *testing.T, m *metrics.Metrics, source metrics.Source, logger *slog.Logger) string {
	t.Helper()
	s := httptest.NewServer(m.Handler(source, logger))
	t.Cleanup(s.Close)
	return s.URL
}

// TestScrape compares what Prometheus sees with what the use-cases say.
func TestScrape(t *testing.T) {
	s, m := newService(t), metrics.New("1.2.3")
	url := serve(t, m, s, slog.New(slog.DiscardHandler))
	before, _ := scrape(t, url)
	if got, ok := before[`calkeeper_denials_total{reason="no-free-cal",type="per-user",version="ws2022"}`]; !ok || got != 0 {
		t.Errorf("before any denial the counter is %g, there: %t; want 0 and true, so that the first one is seen to add to it", got, ok)
	}
	use(t, s, m)
	samples, _ := scrape(t, url)
	want := map[string]float64{
		`calkeeper_leases`: 2,
		`calkeeper_issuance_requests_total{operation="request",outcome="issued"}`:                        6,
		`calkeeper_issuance_requests_total{operation="request",outcome="unlicensed"}`:                    2,
		`calkeeper_issuance_requests_total{operation="request",outcome="invalid"}`:                       1,
		`calkeeper_issuance_request_duration_seconds_count{operation="request"}`:                         9,
		`calkeeper_issuance_request_duration_seconds_bucket{operation="request",le="0.005"}`:             8,
		`calkeeper_denials_total{reason="over-use-limit",type="per-user",version="ws2022"}`:              2,
		`calkeeper_denials_total{reason="temporary-expired",type="per-device",version="ws2022"}`:         0,
		`calkeeper_keypack_cals_installed{keypack="3",kind="retail",type="per-device",version="ws2022"}`: 3,
		`calkeeper_keypack_cals_issued{keypack="3",kind="retail",type="per-device",version="ws2022"}`:    2,
		`calkeeper_keypack_cals_available{keypack="3",kind="retail",type="per-device",version="ws2022"}`: 1,
	}
	counters, err := s.Counters(t.Context())
	if err != nil || len(counters) != 2 {
		t.Fatalf("%d counters, %v", len(counters), err)
	}
	for _, c := range counters {
		labels := fmt.Sprintf(`{type=%q,version=%q}`, c.ProductType.ModeName(), c.ProductVersion.ShortName())
		want["calkeeper_cals_installed"+labels] = float64(c.Installed)
		want["calkeeper_cals_issued"+labels] = float64(c.Issued)
		want["calkeeper_cals_available"+labels] = float64(c.Available)
		want["calkeeper_cals_overused"+labels] = float64(c.OverUsed)
		want["calkeeper_cals_temporary"+labels] = float64(c.Temporary)
	}
	want[`calkeeper_cals_temporary{type="per-device",version="ws2022"}`] = 1
	want[`calkeeper_cals_overused{type="per-user",version="ws2022"}`] = 1
	kinds := map[string]bool{}
	for name, value := range samples {
		if kind, found := strings.CutPrefix(name, "calkeeper_keypack_cals_installed{"); found {
			_, kind, _ = strings.Cut(kind, `kind="`)
			kind, _, _ = strings.Cut(kind, `"`)
			if kinds[kind] = true; kind == "temporary" && !math.IsInf(value, 1) {
				t.Errorf("%s %g; want +Inf", name, value)
			}
		}
	}
	if len(kinds) != 4 || !kinds["temporary"] || !kinds["over-used"] {
		t.Errorf("key packs of the kinds %v; want retail, volume, temporary and over-used", kinds)
	}
	for name, value := range want {
		if got, ok := samples[name]; !ok || got != value {
			t.Errorf("%s %g (there: %t); want %g", name, got, ok, value)
		}
	}
	for _, name := range []string{"go_goroutines", "process_start_time_seconds"} {
		if samples[name] <= 0 {
			t.Errorf("%s is missing", name)
		}
	}
	if n := len(samples); n > 400 {
		t.Errorf("%d samples", n)
	}
	build := false
	for name := range samples {
		build = build || strings.HasPrefix(name, "calkeeper_build_info{") && strings.Contains(name, `version="1.2.3"`)
	}
	if !build {
		t.Error("calkeeper_build_info is missing")
	}
}

// TestNames holds names, units and help to Prometheus' rules.
func TestNames(t *testing.T) {
	s, m := newService(t), metrics.New("1.2.3")
	use(t, s, m)
	_, text := scrape(t, serve(t, m, s, slog.New(slog.DiscardHandler)))
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// broken is a source of which some cannot be read.
type broken struct {
	metrics.Source
	counters, packs, denials, leases error
}

const secret = "disk failure at /var/lib"

func (b broken) Counters(ctx context.Context) ([]issuance.Counter, error) {
	if b.counters != nil {
		return nil, b.counters
	}
	return b.Source.Counters(ctx)
}

func (b broken) KeyPacks(ctx context.Context) ([]licensing.KeyPack, error) {
	if b.packs != nil {
		return nil, b.packs
	}
	return b.Source.KeyPacks(ctx)
}

func (b broken) DenialCounts(ctx context.Context) ([]store.DenialCount, error) {
	if b.denials != nil {
		return nil, b.denials
	}
	return b.Source.DenialCounts(ctx)
}

func (b broken) Leases(ctx context.Context, f store.LeaseFilter) ([]licensing.Lease, error) {
	if b.leases != nil {
		return nil, b.leases
	}
	return b.Source.Leases(ctx, f)
}

// TestUnreadable checks that a scrape fails as a whole when something cannot be read: half the series would be believed. The
// reason goes to the log only.
func TestUnreadable(t *testing.T) {
	failure := errors.New(secret)
	for _, b := range []broken{{counters: failure}, {packs: failure}, {denials: failure}, {leases: failure}} {
		b.Source = newService(t)
		var log bytes.Buffer
		response, err := http.Get(serve(t, metrics.New("1.2.3"), b, slog.New(slog.NewTextHandler(&log, nil))))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusInternalServerError || !strings.Contains(string(text), "its log has the details") {
			t.Errorf("%s, %v: %s", response.Status, err, text)
		}
		if strings.Contains(string(text), secret) || !strings.Contains(log.String(), secret) {
			t.Errorf("the answer is %q, the log %q; the reason belongs into the log only", text, log.String())
		}
	}
}

// many is a source with so many leases.
type many struct {
	metrics.Source
	leases int
}

func (m *many) Leases(_ context.Context, f store.LeaseFilter) ([]licensing.Lease, error) {
	if f.Limit < 1 {
		return nil, errors.New("all leases at once")
	}
	var page []licensing.Lease
	for id := f.After + 1; id <= uint64(m.leases) && len(page) < f.Limit; id++ {
		page = append(page, licensing.Lease{ID: id})
	}
	return page, nil
}

// TestManyLeases checks that all leases are counted, whether or not they fill the last page.
func TestManyLeases(t *testing.T) {
	for _, n := range []int{0, 1, 999, 1000, 1001, 2000, 2500} {
		samples, _ := scrape(t, serve(t, metrics.New("1.2.3"), &many{Source: newService(t), leases: n}, slog.New(slog.DiscardHandler)))
		if got := samples["calkeeper_leases"]; got != float64(n) {
			t.Errorf("%d leases are counted as %g", n, got)
		}
	}
}
