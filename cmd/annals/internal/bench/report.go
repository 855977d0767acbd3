package bench

import (
	"slices"
	"time"
)

// Report is what a run gave. The names in its JSON are frozen, and so are those
// of the measures (docs/benchmarks.md).
type Report struct {
	Version      string    `json:"version"`
	Go           string    `json:"go"`
	System       string    `json:"os"`
	Architecture string    `json:"arch"`
	Processors   int       `json:"processors"`
	Began        time.Time `json:"began"`
	Seconds      float64   `json:"seconds"`
	Records      int       `json:"records"`
	Rounds       int       `json:"rounds"`
	Complete     bool      `json:"complete"` // false: it was cut short, and holds what there was until then
	Measures     []Measure `json:"measures"`
	Memory       []Sample  `json:"memory,omitempty"` // of the last round that measured it
}

// Measure is one thing that was measured, once a round, or often in each.
type Measure struct {
	Name   string    `json:"name"`
	Unit   string    `json:"unit"`
	N      int       `json:"n"` // records, entries or questions of a round
	Runs   []float64 `json:"runs"`
	Median float64   `json:"median"`
	Least  float64   `json:"least"`
	Most   float64   `json:"most"`

	// Against names the measure that this one is compared with, and Ratio is this one
	// divided by that one: the median of the rounds' ratios, the least and the most.
	Against    string  `json:"against,omitzero"`
	Ratio      float64 `json:"ratio,omitzero"`
	RatioLeast float64 `json:"ratio_least,omitzero"`
	RatioMost  float64 `json:"ratio_most,omitzero"`
}

// Sample is the memory at a moment of pouring records through.
type Sample struct {
	Records uint64 `json:"records"` // in every index by then
	Bytes   int64  `json:"bytes"`   // resident
}

// Units.
const (
	PerSecond    = "records/s"
	Entries      = "entries/s"
	Milliseconds = "ms"
	Microseconds = "µs/record"
	Seconds      = "s"
	PerRecord    = "bytes/record"
	Mebibytes    = "MiB"
	Megabytes    = "MB/s"
	Tiles        = "tiles/s"
	Attempts     = "attempts/s"
)

// against says which ceiling each measure is compared with.
var against = map[string]string{
	"ndjson":             "ceiling_jetstream",
	"batch":              "ceiling_jetstream",
	"await_p50":          "ceiling_publish_p50",
	"latency_p50":        "ceiling_publish_p50",
	"http_single":        "ceiling_http_single",
	"http_single_cpu":    "ceiling_http_single_cpu",
	"http_ndjson":        "ceiling_http_ndjson",
	"http_ndjson_cpu":    "ceiling_http_ndjson_cpu",
	"append":             "ceiling_pebble",
	"verify":             "ceiling_sha256",
	"audit":              "verify",
	"page_user_p50":      "ceiling_http_p50",
	"page_object_p50":    "ceiling_http_p50",
	"page_workspace_p50": "ceiling_http_p50",
	"counts_type_p50":    "ceiling_http_p50",
	"counts_group_p50":   "ceiling_http_p50",
	"counts_wide_p50":    "ceiling_http_p50",
	"proof_p50":          "ceiling_http_p50",
	"checkpoints":        "checkpoints_none",
	"checkpoints_read":   "checkpoints_none",

	"hostile_nobody_p99":    "hostile_nobody_alone_p99",
	"hostile_nobody_cpu":    "hostile_nobody_alone_cpu",
	"hostile_stalled_p99":   "hostile_stalled_alone_p99",
	"hostile_stalled_cpu":   "hostile_stalled_alone_cpu",
	"hostile_slowloris_p99": "hostile_slowloris_alone_p99",
	"hostile_slowloris_cpu": "hostile_slowloris_alone_cpu",
	"hostile_queries_p99":   "hostile_queries_alone_p99",
	"hostile_queries_cpu":   "hostile_queries_alone_cpu",
	"hostile_headers_p99":   "hostile_headers_alone_p99",
	"hostile_headers_cpu":   "hostile_headers_alone_cpu",
	"hostile_tokens_p99":    "hostile_tokens_alone_p99",
	"hostile_tokens_cpu":    "hostile_tokens_alone_cpu",
}

// Once is a measure of one round.
func Once(name, unit string, n int, value float64) Measure {
	return Measure{Name: name, Unit: unit, N: n, Runs: []float64{value}}
}

// Add adds a round's measures to those of the rounds before.
func Add(all []Measure, more ...Measure) []Measure {
	for _, m := range more {
		at := slices.IndexFunc(all, func(a Measure) bool { return a.Name == m.Name })
		if at < 0 {
			all = append(all, m)
			continue
		}
		all[at].Runs = append(all[at].Runs, m.Runs...)
	}
	return all
}

// Settle works out the medians, the spread, and the ratios to what against names.
func Settle(all []Measure, against map[string]string) {
	for i := range all {
		m := &all[i]
		m.Median, m.Least, m.Most = median(m.Runs), slices.Min(m.Runs), slices.Max(m.Runs)
		at := slices.IndexFunc(all, func(a Measure) bool { return a.Name == against[m.Name] })
		if at < 0 {
			continue
		}
		m.Against = all[at].Name
		if ratios := Ratios(m.Runs, all[at].Runs); len(ratios) > 0 {
			m.Ratio, m.RatioLeast, m.RatioMost = median(ratios), slices.Min(ratios), slices.Max(ratios)
		}
	}
}

// Ratios divides each round's value by the same round's: what slows a machine for
// a while slows both. A round that has only one of them doesn't count.
func Ratios(values, by []float64) (out []float64) {
	for i := range min(len(values), len(by)) {
		if by[i] != 0 {
			out = append(out, values[i]/by[i])
		}
	}
	return out
}

func (r *Report) add(more ...Measure) { r.Measures = Add(r.Measures, more...) }

func (r *Report) settle() { Settle(r.Measures, against) }

// addRun adds what publishing gave.
func (r *Report) addRun(mode Mode, run Published) {
	name := string(mode)
	if mode != Latency {
		r.add(Once(name, PerSecond, run.Records, run.Rate()))
	}
	if len(run.Took) > 0 {
		r.add(Once(name+"_p50", Milliseconds, len(run.Took), Quantile(run.Took, 0.5)),
			Once(name+"_p99", Milliseconds, len(run.Took), Quantile(run.Took, 0.99)))
	}
	if mode == Latency {
		r.add(Once(name+"_p999", Milliseconds, len(run.Took), Quantile(run.Took, 0.999)))
	}
	r.add(Once(name+"_cpu", Microseconds, run.Records, run.CPU.Seconds()*1e6/float64(run.Records)))
}
