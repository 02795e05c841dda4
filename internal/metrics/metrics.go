// Package metrics shows a license server to Prometheus: its CALs, key packs, denials and sessions, the requests for CALs, and
// the process itself. It must not know HTTP routes, accounts or the database.
//
// Names and units follow https://prometheus.io/docs/practices/naming/. What is in the database is read at every scrape, so
// that metrics, WMI and REST never differ; only requests are counted here, from the start of the process. Labels have few
// values: no user, device or session host is among them.
package metrics

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"calkeeper/internal/issuance"
	"calkeeper/internal/licensing"
)

const namespace = "calkeeper"

// mostScrapes bounds how many scrapes are answered at the same time: each reads the database.
const mostScrapes = 4

// Metrics are those of one process.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// New returns the metrics of a process that runs that version of the program.
func New(version string) *Metrics {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Version of the program and of Go that built it; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "issuance", Name: "requests_total",
			Help: "Requests of session hosts for CALs since the start, by what they came to.",
		}, []string{"operation", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: "issuance", Name: "request_duration_seconds",
			Help: "Time from a request for a CAL until its answer was durable.",
			// A commit takes from a tenth of a millisecond to some tens; a session host gives up after two seconds.
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		}, []string{"operation"}),
	}
	m.registry.MustRegister(
		build, m.requests, m.duration, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Observe counts one request for a CAL: the operation, such as "request", what came of it, and how long it took until that was
// durable. What was refused counts under the kind of its fault, "unlicensed" for a denial.
func (m *Metrics) Observe(operation string, a issuance.Answer, err error, took time.Duration) {
	outcome := string(a.Outcome)
	if err != nil {
		outcome = strings.ReplaceAll(licensing.KindOf(err).String(), " ", "-")
	}
	m.requests.WithLabelValues(operation, outcome).Inc()
	m.duration.WithLabelValues(operation).Observe(took.Seconds())
}

// Handler returns what answers scrapes, with what source says at that moment. If it cannot be read the answer is 500, and the
// logger is told why. Handler is called once.
func (m *Metrics) Handler(source Source, logger *slog.Logger) http.Handler {
	m.registry.MustRegister(newCollector(source, logger))
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.HTTPErrorOnError, MaxRequestsInFlight: mostScrapes,
	})
}

// errUnread is what a scraper may read of a failure.
var errUnread = errors.New("the license server's state could not be read; its log has the details")
