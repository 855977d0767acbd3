package query

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are this API's own, in a registry of their own: two servers in one
// process don't share them.
type metrics struct {
	requests *prometheus.HistogramVec
	handler  http.Handler
}

func newMetrics(o *Options) *metrics {
	m := &metrics{requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "annals_http_request_seconds",
		Help:    "How long requests took, by route, method and status.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"route", "method", "status"})}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	size := func() float64 { return float64(o.Ledger.Head().Size) }
	folded := func() float64 { n, _ := o.Projections.Cursor(); return float64(n) }
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "annals_build_info", Help: "1; the label says which version runs.", ConstLabels: prometheus.Labels{"version": o.Version}})
	build.Set(1)
	registry := prometheus.NewRegistry()
	registry.MustRegister(append([]prometheus.Collector{
		m.requests, build,
		gauge("annals_ledger_durable_entries", "Entries that are durable in the ledger.", size),
		gauge("annals_ledger_sequence", "The stream's sequence up to which the ledger is durably folded.", func() float64 {
			return float64(o.Ledger.Position().Sequence)
		}),
		gauge("annals_ledger_recording", "1 while the ledger records, 0 once it has stopped.", func() float64 {
			if o.Ledger.Err() != nil {
				return 0
			}
			return 1
		}),
		gauge("annals_ledger_held_entries", "Entries that are held in memory as they are stored, the newest.", func() float64 {
			_, entries := o.Ledger.RowsSize()
			return float64(entries)
		}),
		gauge("annals_ledger_held_bytes", "The memory that those take.", func() float64 {
			bytes, _ := o.Ledger.RowsSize()
			return float64(bytes)
		}),
		gauge("annals_ledger_last_recorded_timestamp_seconds", "The time of the last entry, in seconds since 1970.", func() float64 {
			return float64(o.Ledger.Head().State.Millis) / 1e3
		}),
		gauge("annals_projections_entries", "Entries that the indexes hold.", folded),
		// Read in this order, so that the difference is never negative.
		gauge("annals_projections_lag_entries", "Durable entries that the indexes do not hold yet.", func() float64 {
			n := folded()
			return size() - n
		}),
		gauge("annals_projections_generation", "The generation of the indexes that serves: each rebuild that ends well is one more.", func() float64 {
			return float64(o.Projections.Progress().Generation)
		}),
		gauge("annals_projections_rebuild_entries", "Entries that the new indexes hold while a rebuild runs, else 0.", func() float64 {
			if p := o.Projections.Progress(); p.Running {
				return float64(p.Done)
			}
			return 0
		}),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}, o.Collectors...)...)
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return m
}

// observe counts a request under the pattern that it matched, never under its
// path: ids are without number, and no business of a metrics store's.
func (m *metrics) observe(r *http.Request, status int, took time.Duration) {
	_, route, matched := strings.Cut(r.Pattern, " ")
	method := r.Method
	if !matched {
		route, method = "none", "any"
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Observe(took.Seconds())
}

func (a *API) serveMetrics(w http.ResponseWriter, r *http.Request, _ *filter) error {
	a.metrics.handler.ServeHTTP(w, r)
	return nil
}
