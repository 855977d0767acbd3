package query

import "github.com/prometheus/client_golang/prometheus"

// tailMetrics are the live tail's own.
type tailMetrics struct {
	listeners prometheus.Gauge
	entries   prometheus.Counter
	events    prometheus.Counter
	behind    prometheus.Counter
	endings   *prometheus.CounterVec
}

func newTailMetrics() *tailMetrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return &tailMetrics{
		listeners: prometheus.NewGauge(prometheus.GaugeOpts{Name: "annals_tail_listeners", Help: "Open streams of the live tail."}),
		entries:   counter("annals_tail_entries_total", "Entries that were read for those who listen."),
		events:    counter("annals_tail_events_total", "Entries that were sent, to each listener."),
		behind:    counter("annals_tail_behind_total", "How often a listener fell behind and went on by the indexes."),
		endings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "annals_tail_dropped_total", Help: "Streams that the server ended, by reason: slow, stalled, failed, stopping.",
		}, []string{"reason"}),
	}
}

func (m *tailMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.listeners, m.entries, m.events, m.behind, m.endings}
}

// end counts a stream that the server ended.
func (m *tailMetrics) end(reason string) { m.endings.WithLabelValues(reason).Inc() }
