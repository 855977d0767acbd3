package signer

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	sizeDesc    = prometheus.NewDesc("annals_checkpoint_size", "Entries that the last published checkpoint speaks of; 0 while there is none.", nil, nil)
	ageDesc     = prometheus.NewDesc("annals_checkpoint_age_seconds", "How long ago the last published checkpoint was signed. It grows while the ledger doesn't.", nil, nil)
	signingDesc = prometheus.NewDesc("annals_checkpoint_signing", "1 while checkpoints are signed as the ledger grows, 0 while something keeps them from being signed. The log and /readyz say what.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (s *Signer) Describe(out chan<- *prometheus.Desc) {
	out <- sizeDesc
	out <- ageDesc
	out <- signingDesc
}

// Collect implements [prometheus.Collector].
func (s *Signer) Collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	size, age, well := uint64(0), 0.0, s.err == nil && s.refused == nil
	if s.published {
		size, age = s.last.Size, max(0, time.Since(s.signed).Seconds())
	}
	s.mu.Unlock()
	signing := 0.0
	if well {
		signing = 1
	}
	gauge := func(d *prometheus.Desc, v float64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	gauge(sizeDesc, float64(size))
	gauge(signingDesc, signing)
	if size > 0 {
		gauge(ageDesc, age)
	}
}
