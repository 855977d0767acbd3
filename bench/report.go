package main

import (
	"slices"
	"time"

	"annals/cmd/annals/internal/bench"
)

// report is what a run gave. The names in its JSON are frozen, and so are those of
// the measures and bars (docs/benchmarks.md).
type report struct {
	Go         string          `json:"go"`
	System     string          `json:"os"`
	Processors int             `json:"processors"`
	PostgreSQL string          `json:"postgresql"` // what the server says it is
	Settings   []string        `json:"settings"`   // that it was started with
	Began      time.Time       `json:"began"`
	Seconds    float64         `json:"seconds"`
	Records    int             `json:"records"`
	Rounds     int             `json:"rounds"`
	Complete   bool            `json:"complete"` // false: it was cut short
	Measures   []bench.Measure `json:"measures"`
	Bars       []bar           `json:"bars"`
}

// bar is one comparison: how many times better Annals is, round by round.
type bar struct {
	Name   string    `json:"name"`
	Better string    `json:"measure"` // of Annals
	Worse  string    `json:"against"` // of the other
	Runs   []float64 `json:"runs"`
	Median float64   `json:"median"`
	Least  float64   `json:"least"`
	Most   float64   `json:"most"`
	Bar    float64   `json:"bar,omitzero"` // what the median should reach; 0: none was set
	Met    bool      `json:"met"`

	times bool // they are times: the smaller is the better
}

// bars are the comparisons, in the order in which they are printed.
func bars() []bar {
	all := []bar{
		{Name: "bulk", Better: "annals_ndjson", Worse: "postgresql_copy", Bar: 1.8},
		{Name: "singles", Better: "annals_await", Worse: "postgresql_writers", Bar: 5},
		{Name: "singles, gathered", Better: "annals_await", Worse: "postgresql_gathered"},
		{Name: "append", Better: "annals_ndjson", Worse: "tessera_append"},
		{Name: "verify", Better: "annals_verify_closed", Worse: "tessera_fsck", Bar: 1},
		{Name: "verify, parallel", Better: "annals_verify_closed", Worse: "tessera_fsck_parallel"},
		{Name: "verify, running", Better: "annals_verify", Worse: "tessera_fsck"},
	}
	for _, q := range bench.Questions() {
		b := bar{Name: q.Name, Better: "annals_" + q.Name + "_p50", Worse: "postgresql_" + q.Name + "_p50", Bar: 1, times: true}
		if q.Counts {
			b.Bar = 20
		}
		all = append(all, b)
	}
	return all
}

// settle works out medians, spreads and comparisons.
func (r *report) settle() {
	bench.Settle(r.Measures, nil)
	r.Bars = nil
	for _, b := range bars() {
		better, worse := r.runs(b.Better), r.runs(b.Worse)
		if b.times {
			better, worse = worse, better
		}
		if b.Runs = bench.Ratios(better, worse); len(b.Runs) == 0 {
			continue
		}
		m := []bench.Measure{{Runs: b.Runs}}
		bench.Settle(m, nil)
		b.Median, b.Least, b.Most = m[0].Median, m[0].Least, m[0].Most
		b.Met = b.Bar > 0 && b.Median >= b.Bar
		r.Bars = append(r.Bars, b)
	}
}

// runs are a measure's values, round by round.
func (r *report) runs(name string) []float64 {
	if at := slices.IndexFunc(r.Measures, func(m bench.Measure) bool { return m.Name == name }); at >= 0 {
		return r.Measures[at].Runs
	}
	return nil
}

func (r *report) add(name, unit string, n int, value float64) {
	r.Measures = bench.Add(r.Measures, bench.Once(name, unit, n, value))
}

// addTimes adds the median of some times and the one that one in a hundred exceeds.
func (r *report) addTimes(name string, took []time.Duration) {
	r.add(name+"_p50", bench.Milliseconds, len(took), bench.Quantile(took, 0.5))
	r.add(name+"_p99", bench.Milliseconds, len(took), bench.Quantile(took, 0.99))
}
