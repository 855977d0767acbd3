package service

import (
	"strings"
	"time"

	"annals/cmd/annals/internal/keeper"

	"github.com/prometheus/client_golang/prometheus"
)

// DefaultTrimMargin is how many entries keep their messages in the stream: some 60
// MiB of common records, all of which a server reads after a crash. A copy of the
// ledger that lies no further back folds on from the stream.
const DefaultTrimMargin = 100_000

// Trim says whether the stream's beginning goes once it is folded, and who else
// folds it.
//
// The embedded server's stream has no other reader, so it is trimmed by default.
// On a cluster only an operator knows who reads: until the replicas are named,
// nothing goes.
type Trim struct {
	Off      bool
	Margin   uint64   // entries whose messages stay; 0: [DefaultTrimMargin]
	Replica  string   // this ledger's name among them
	Replicas []string // every ledger that folds the stream, this one too, sorted

	every time.Duration // how often the keeper looks; 0: its default. Tests can't wait
}

// trimming is what the keeper is told; nil where nothing is trimmed.
func (s *Service) trimming() *keeper.TrimOptions {
	o := keeper.TrimOptions{
		Margin: s.o.Trim.Margin, Replica: s.o.Trim.Replica, Replicas: s.o.Trim.Replicas,
		Every: s.o.Trim.every,
		Projected: func() uint64 {
			size, _ := s.projections.Cursor()
			return size
		},
	}
	if o.Margin == 0 {
		o.Margin = DefaultTrimMargin
	}
	switch {
	case s.o.Trim.Off, s.o.Cluster != nil && len(o.Replicas) == 0:
		return nil
	case s.o.Cluster == nil:
		o.Replica, o.Replicas = keeper.Alone, nil
	}
	return &o
}

// sayUntrimmed tells an operator once that a cluster's stream keeps everything.
func (s *Service) sayUntrimmed() {
	if s.o.Cluster != nil && !s.o.Trim.Off && len(s.o.Trim.Replicas) == 0 {
		s.o.Logger.Info("nothing is removed from the cluster's stream: name all ledgers that fold it with --replicas, and this one with --replica")
	}
}

// trimmed returns where trimming stands; nil where nothing is trimmed, or nothing
// has been looked at yet.
func (s *Service) trimmed() *keeper.TrimStatus {
	if s.keeper == nil {
		return nil
	}
	return s.keeper.TrimStatus()
}

// TrimHeld returns why the stream can't be trimmed at the moment; "" when it can,
// and where that is turned off.
func (s *Service) TrimHeld() string {
	status := s.trimmed()
	if status == nil {
		return ""
	}
	return strings.Join(status.Held, "; ")
}

// trimCollector shows where trimming stands to Prometheus.
type trimCollector struct{ s *Service }

var (
	trimmedDesc = prometheus.NewDesc("annals_stream_trimmed_sequence", "The stream's last sequence that the ledger lets go; 0 before the first trim.", nil, nil)
	removedDesc = prometheus.NewDesc("annals_stream_removed_sequence", "The stream's last sequence that this process knows to be gone.", nil, nil)
	heldDesc    = prometheus.NewDesc("annals_stream_trim_held", "1 while something keeps the stream from being trimmed, else 0. The log and /v1/ledger say what.", nil, nil)
	replicaDesc = prometheus.NewDesc("annals_replica_sequence", "Up to where each other replica has folded the stream, checked against this ledger.", []string{"replica"}, nil)
)

// Describe implements [prometheus.Collector].
func (c trimCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{trimmedDesc, removedDesc, heldDesc, replicaDesc} {
		out <- d
	}
}

// Collect implements [prometheus.Collector]. Where nothing is trimmed there is
// nothing to show but what was let go once.
func (c trimCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	head := c.s.ledger.Head()
	gauge(trimmedDesc, head.State.Trimmed)
	status := c.s.trimmed()
	if status == nil {
		return
	}
	gauge(removedDesc, status.Removed)
	gauge(heldDesc, uint64(min(1, len(status.Held))))
	for _, r := range status.Replicas {
		gauge(replicaDesc, r.Sequence, r.Name)
	}
}
