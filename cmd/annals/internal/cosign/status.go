package cosign

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Status says how far the collecting is.
type Status struct {
	Size      uint64 // entries of the last checkpoint that met the policy; 0: none did yet
	Need      string // what the policy asks for, in words
	Error     string // why nothing is collected; "": it is
	Witnesses []WitnessStatus
}

// WitnessStatus is one of those that are asked.
type WitnessStatus struct {
	Name  string // that the policy gives it
	Size  uint64 // entries of the last checkpoint that it cosigned
	Error string // why it cosigned none since; "": it did
}

// Status returns how far the collecting is.
func (c *Collector) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{Size: c.witnessed.checkpoint.Size, Need: c.o.Policy.Need()}
	if c.refused != nil {
		s.Error = c.refused.Error()
	}
	for _, e := range c.endpoints {
		w := WitnessStatus{Name: e.name, Size: e.cosigned}
		if e.err != nil {
			w.Error = e.err.Error()
		}
		s.Witnesses = append(s.Witnesses, w)
	}
	return s
}

var (
	witnessedDesc = prometheus.NewDesc("annals_witnessed_size", "Entries that the last checkpoint speaks of which enough witnesses cosigned; 0 while there is none.", nil, nil)
	ageDesc       = prometheus.NewDesc("annals_witnessed_age_seconds", "How long ago the last checkpoint met the policy of witnesses, since the server started. It grows while the ledger doesn't.", nil, nil)
	cosignedDesc  = prometheus.NewDesc("annals_witness_size", "Entries that the last checkpoint speaks of which the witness cosigned.", []string{"witness"}, nil)
	answersDesc   = prometheus.NewDesc("annals_witness_answers_total", "Answers of the witness, by outcome: cosigned; unreachable; unknown_log and unknown_key (it does not follow this ledger, or not its key); contradicted (it cosigned another history); ahead (it cosigned more than the ledger has); invalid (it signed something else); unkept (the disk failed here); refused.", []string{"witness", "outcome"}, nil)
)

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	out <- witnessedDesc
	out <- ageDesc
	out <- cosignedDesc
	out <- answersDesc
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(witnessedDesc, float64(c.witnessed.checkpoint.Size))
	if !c.since.IsZero() {
		gauge(ageDesc, max(0, c.o.Now().Sub(c.since).Seconds()))
	}
	for _, e := range c.endpoints {
		gauge(cosignedDesc, float64(e.cosigned), e.name)
		for _, outcome := range outcomes {
			out <- prometheus.MustNewConstMetric(answersDesc, prometheus.CounterValue, float64(e.counts[outcome]), e.name, outcome)
		}
	}
}
