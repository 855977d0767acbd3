package service

import "github.com/prometheus/client_golang/prometheus"

// holeCollector shows to Prometheus what of the stream is missing, and what came
// back of it.
type holeCollector struct{ s *Service }

var (
	missingDesc  = prometheus.NewDesc("annals_stream_missing_messages", "Messages that are missing inside the stream where the ledger stands, and keep it from recording; 0 while it goes on.", nil, nil)
	repairedDesc = prometheus.NewDesc("annals_stream_repaired_messages_total", "Messages that were missing and were found at the stream's leader, a peer of it, in a mirror or in a peer's ledger, since the start.", nil, nil)
	epochDesc    = prometheus.NewDesc("annals_stream_epoch", "Which stream is being folded: each time that it had to be made anew is one more.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (c holeCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{missingDesc, repairedDesc, epochDesc} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c holeCollector) Collect(out chan<- prometheus.Metric) {
	missing := uint64(0)
	if hole := c.s.pump.hole.Load(); hole != nil {
		missing = hole.Next - hole.Missing
	}
	head := c.s.ledger.Head()
	out <- prometheus.MustNewConstMetric(missingDesc, prometheus.GaugeValue, float64(missing))
	out <- prometheus.MustNewConstMetric(repairedDesc, prometheus.CounterValue, float64(c.s.pump.repaired.Load()))
	out <- prometheus.MustNewConstMetric(epochDesc, prometheus.GaugeValue, float64(head.State.Epoch))
}
