package metrics

import (
	"context"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
	"calkeeper/internal/store"
)

// Source is what is read at each scrape; *issuance.Service is one.
type Source interface {
	Counters(context.Context) ([]issuance.Counter, error)
	KeyPacks(context.Context) ([]licensing.KeyPack, error)
	DenialCounts(context.Context) ([]store.DenialCount, error)
	Leases(context.Context, store.LeaseFilter) ([]licensing.Lease, error)
}

const (
	// scrapeTimeout is the default of Prometheus: nobody waits longer.
	scrapeTimeout = 10 * time.Second
	// leasePage is how many leases are read at a time, so that the memory for a scrape does not grow with the farm.
	leasePage = 1000
)

// collector reads the source whenever it is scraped.
type collector struct {
	source Source
	logger *slog.Logger

	installed, issued, available, overUsed, temporary *prometheus.Desc // by version and type
	packInstalled, packIssued, packAvailable          *prometheus.Desc // by key pack
	denials                                           *prometheus.Desc
	leases                                            *prometheus.Desc
}

func newCollector(source Source, logger *slog.Logger) *collector {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	kind := []string{"version", "type"}
	pack := []string{"keypack", "kind", "version", "type"}
	return &collector{
		source: source, logger: logger,
		installed:     describe("cals_installed", "CALs in installed key packs.", kind...),
		issued:        describe("cals_issued", "CALs of installed key packs that are issued.", kind...),
		available:     describe("cals_available", "CALs of installed key packs that can still be issued.", kind...),
		overUsed:      describe("cals_overused", "Per user CALs that are issued beyond what is installed.", kind...),
		temporary:     describe("cals_temporary", "Temporary CALs that are issued.", kind...),
		packInstalled: describe("keypack_cals_installed", "CALs of a key pack; +Inf without a bound.", pack...),
		packIssued:    describe("keypack_cals_issued", "CALs of a key pack that are issued.", pack...),
		packAvailable: describe("keypack_cals_available", "CALs of a key pack that can still be issued; +Inf without a bound.", pack...),
		denials: describe("denials_total", "Requests that were refused for want of a CAL, since the database exists.",
			"version", "type", "reason"),
		leases: describe("leases", "Sessions that use a CAL, on session hosts that count sessions."),
	}
}

// Describe tells the registry which metrics there are.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.installed, c.issued, c.available, c.overUsed, c.temporary, c.packInstalled, c.packIssued, c.packAvailable, c.denials, c.leases,
	} {
		out <- d
	}
}

// Collect reads all of them, or fails with one error.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	s, err := c.read(ctx)
	if err != nil {
		c.logger.Error("metrics could not be read", slog.Any("error", err))
		out <- prometheus.NewInvalidMetric(c.issued, errUnread)
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, n := range s.counters {
		version, mode := n.ProductVersion.ShortName(), n.ProductType.ModeName()
		gauge(c.installed, float64(n.Installed), version, mode)
		gauge(c.issued, float64(n.Issued), version, mode)
		gauge(c.available, float64(n.Available), version, mode)
		gauge(c.overUsed, float64(n.OverUsed), version, mode)
		gauge(c.temporary, float64(n.Temporary), version, mode)
	}
	for _, k := range s.packs {
		labels := []string{strconv.FormatUint(uint64(k.ID), 10), k.Type.String(), k.ProductVersion.ShortName(), k.ProductType.ModeName()}
		gauge(c.packInstalled, quantity(k.Total), labels...)
		gauge(c.packIssued, float64(k.Issued), labels...)
		gauge(c.packAvailable, quantity(k.Available()), labels...)
	}
	for d, count := range s.denials() {
		out <- prometheus.MustNewConstMetric(c.denials, prometheus.CounterValue, float64(count),
			d.version.ShortName(), d.mode.ModeName(), string(d.reason))
	}
	gauge(c.leases, float64(s.leases))
}

// state is what one scrape shows.
type state struct {
	counters []issuance.Counter
	packs    []licensing.KeyPack
	denied   []store.DenialCount
	leases   int
}

func (c *collector) read(ctx context.Context) (s state, err error) {
	if s.counters, err = c.source.Counters(ctx); err != nil {
		return state{}, err
	}
	if s.packs, err = c.source.KeyPacks(ctx); err != nil {
		return state{}, err
	}
	if s.denied, err = c.source.DenialCounts(ctx); err != nil {
		return state{}, err
	}
	for filter := (store.LeaseFilter{Limit: leasePage}); ; {
		page, err := c.source.Leases(ctx, filter)
		if err != nil {
			return state{}, err
		}
		s.leases += len(page)
		if len(page) < leasePage {
			return s, nil
		}
		filter.After = page[len(page)-1].ID
	}
}

// denial is what was refused and why.
type denial struct {
	version licensing.ProductVersion
	mode    licensing.ProductType
	reason  licensing.DenialReason
}

// denials returns how often was refused what. A kind of CAL that exists is there with 0 as well: a counter that appears with its
// first event hides that event from Prometheus' rate().
func (s *state) denials() map[denial]uint64 {
	counts := map[denial]uint64{}
	for _, n := range s.counters {
		for _, reason := range licensing.DenialReasons() {
			counts[denial{n.ProductVersion, n.ProductType, reason}] = 0
		}
	}
	for _, d := range s.denied {
		counts[denial{d.ProductVersion, d.ProductType, d.Reason}] = d.Count
	}
	return counts
}

// quantity returns a number of CALs, +Inf for one without a bound.
func quantity(n uint32) float64 {
	if n == licensing.Unlimited {
		return math.Inf(1)
	}
	return float64(n)
}
