package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/load"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
)

// frozen are the measures' names and units: scripts read them.
var frozen = map[string]string{
	"ceiling_jetstream": PerSecond, "ceiling_publish_p50": Milliseconds, "ceiling_pebble": PerSecond,
	"ceiling_sha256": PerSecond, "ceiling_sha256_bytes": Megabytes, "ceiling_http_p50": Milliseconds,
	"ndjson": PerSecond, "ndjson_cpu": Microseconds,
	"memory_peak": Mebibytes, "memory_peak_first_half": Mebibytes, "memory_peak_second_half": Mebibytes,
	"page_user_p50": Milliseconds, "page_user_p99": Milliseconds, "page_object_p50": Milliseconds, "page_object_p99": Milliseconds,
	"page_workspace_p50": Milliseconds, "page_workspace_p99": Milliseconds,
	"counts_type_p50": Milliseconds, "counts_type_p99": Milliseconds, "counts_group_p50": Milliseconds, "counts_group_p99": Milliseconds,
	"counts_wide_p50": Milliseconds, "counts_wide_p99": Milliseconds,
	"proof_p50": Milliseconds, "proof_p99": Milliseconds, "proof_verify_p50": Milliseconds,
	"audit": Entries, "restart": Seconds, "verify": Entries, "rebuild": Entries,
	"disk": PerRecord, "disk_ledger": PerRecord, "disk_projections": PerRecord,
	"checkpoints_none": PerSecond, "checkpoints": PerSecond, "checkpoints_read": PerSecond, "checkpoints_read_tiles": Tiles,
	"batch": PerSecond, "batch_cpu": Microseconds,
	"await": PerSecond, "await_p50": Milliseconds, "await_p99": Milliseconds, "await_cpu": Microseconds,
	"latency_p50": Milliseconds, "latency_p99": Milliseconds, "latency_p999": Milliseconds, "latency_cpu": Microseconds,
	"http_single": PerSecond, "http_single_cpu": Microseconds, "http_ndjson": PerSecond, "http_ndjson_cpu": Microseconds,
	"ceiling_http_single": PerSecond, "ceiling_http_single_cpu": Microseconds, "ceiling_http_ndjson": PerSecond, "ceiling_http_ndjson_cpu": Microseconds,
	"append": PerSecond, "append_cpu": Microseconds,
	"hostile_nobody_alone_p99": Milliseconds, "hostile_nobody_p99": Milliseconds, "hostile_nobody_alone_cpu": Microseconds, "hostile_nobody_cpu": Microseconds,
	"hostile_stalled_alone_p99": Milliseconds, "hostile_stalled_p99": Milliseconds, "hostile_stalled_turned_away": Attempts, "hostile_stalled_alone_cpu": Microseconds, "hostile_stalled_cpu": Microseconds,
	"hostile_slowloris_alone_p99": Milliseconds, "hostile_slowloris_p99": Milliseconds, "hostile_slowloris_turned_away": Attempts, "hostile_slowloris_alone_cpu": Microseconds, "hostile_slowloris_cpu": Microseconds,
	"hostile_queries_alone_p99": Milliseconds, "hostile_queries_p99": Milliseconds, "hostile_queries_turned_away": Attempts, "hostile_queries_alone_cpu": Microseconds, "hostile_queries_cpu": Microseconds,
	"hostile_headers_alone_p99": Milliseconds, "hostile_headers_p99": Milliseconds, "hostile_headers_turned_away": Attempts, "hostile_headers_alone_cpu": Microseconds, "hostile_headers_cpu": Microseconds,
	"hostile_tokens_alone_p99": Milliseconds, "hostile_tokens_p99": Milliseconds, "hostile_tokens_turned_away": Attempts, "hostile_tokens_alone_cpu": Microseconds, "hostile_tokens_cpu": Microseconds,
}

// byProgram are the modes that run annals itself; a script tests them.
var byProgram = []Mode{Latency, Restart, Rebuild, Hostile}

// TestRun measures everything, small and twice. What the figures are is no matter
// here, but that there is one a round.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	modes := slices.DeleteFunc(Modes(), func(m Mode) bool { return slices.Contains(byProgram, m) })
	report, err := Run(t.Context(), Options{Dir: dir, Records: 400, Rounds: 2, Modes: modes})
	if err != nil {
		t.Fatal(err)
	}
	if !report.Complete || report.Seconds <= 0 {
		t.Errorf("complete %v, %f s", report.Complete, report.Seconds)
	}
	got := map[string]string{}
	for _, m := range report.Measures {
		got[m.Name] = m.Unit
		if len(m.Runs) != 2 || m.Least > m.Median || m.Median > m.Most || m.N < 1 {
			t.Errorf("%+v", m)
		}
		if want := against[m.Name]; want != m.Against || want != "" && m.Ratio <= 0 {
			t.Errorf("%s is compared with %q, %f, want %q", m.Name, m.Against, m.Ratio, want)
		}
	}
	for name, unit := range frozen {
		if !slices.Contains(byProgram, Mode(strings.Split(name, "_")[0])) && got[name] != unit && !strings.HasPrefix(name, "memory_peak_") {
			t.Errorf("%s is in %q, want %q", name, got[name], unit)
		}
	}
	for name := range got {
		if frozen[name] == "" {
			t.Errorf("%s is new: freeze it, and write it down in docs/benchmarks.md", name)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestAgainst: what is compared with a ceiling, and the ceiling, are measured.
func TestAgainst(t *testing.T) {
	for name, ceiling := range against {
		if frozen[name] == "" || frozen[name] != frozen[ceiling] && frozen[name] != Entries {
			t.Errorf("%s in %q is compared with %s in %q", name, frozen[name], ceiling, frozen[ceiling])
		}
	}
}

// TestInterrupted: what was measured before the end is kept, and nothing is left.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	report, err := Run(ctx, Options{
		Dir: dir, Records: 2000, Rounds: 3, Modes: []Mode{Append},
		Progress: func(what string, _, _ int) {
			if strings.HasPrefix(what, "round 2") {
				cancel()
			}
		},
	})
	if !errors.Is(err, context.Canceled) || report.Complete {
		t.Errorf("%v, complete %v", err, report.Complete)
	}
	if len(report.Measures) == 0 || report.Measures[0].Median <= 0 {
		t.Errorf("the first round is lost: %+v", report.Measures)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestDocumented: the page names every measure.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range frozen {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/benchmarks.md does not say what %s is", name)
		}
	}
}

// TestNames: a script that reads the JSON goes on working.
func TestNames(t *testing.T) {
	r := Report{Memory: []Sample{{}}}
	r.add(Once("append", PerSecond, 1, 2), Once("ceiling_pebble", PerSecond, 1, 4))
	r.settle()
	b, err := json.Marshal(&r)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for of, want := range map[string]struct {
		object any
		names  string
	}{
		"report":  {got, "arch began complete go measures memory os processors records rounds seconds version"},
		"measure": {got["measures"].([]any)[0], "against least median most n name ratio ratio_least ratio_most runs unit"},
		"ceiling": {got["measures"].([]any)[1], "least median most n name runs unit"},
		"sample":  {got["memory"].([]any)[0], "bytes records"},
	} {
		var names []string
		for name := range want.object.(map[string]any) {
			names = append(names, name)
		}
		slices.Sort(names)
		if s := strings.Join(names, " "); s != want.names {
			t.Errorf("%s: names %s, want %s", of, s, want.names)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{7}, 7}, {[]float64{9, 1}, 5}, {[]float64{9, 1, 4}, 4}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(c.values); got != c.want {
			t.Errorf("of %v: %v, want %v", c.values, got, c.want)
		}
	}
}

// TestQuantile compares with the definition: the smallest value that a share q of
// all don't exceed.
func TestQuantile(t *testing.T) {
	for n := range 130 {
		var took []time.Duration
		for i := range n {
			took = append(took, time.Duration((i*37)%n)*time.Millisecond)
		}
		for _, per := range []int{0, 1, 500, 990, 999, 1000} {
			want := 0.0
			for _, v := range took {
				below := 0
				for _, w := range took {
					if w <= v {
						below++
					}
				}
				if 1000*below >= per*n && (want == 0 || milliseconds(v) < want || milliseconds(v) == 0) {
					want = milliseconds(v)
					if v == 0 {
						break
					}
				}
			}
			if got := Quantile(slices.Clone(took), float64(per)/1000); got != want {
				t.Errorf("%d values, %d ‰: %v, want %v", n, per, got, want)
			}
		}
	}
}

// TestSettle: ratios are of the same round, and only rounds that have both count.
func TestSettle(t *testing.T) {
	all := Add(nil, Once("a", "", 1, 10), Once("b", "", 1, 100))
	all = Add(all, Once("a", "", 1, 30), Once("b", "", 1, 100))
	all = Add(all, Once("a", "", 1, 20), Once("b", "", 1, 400))
	all = Add(all, Once("a", "", 1, 99))
	Settle(all, map[string]string{"a": "b", "b": "c"})
	a, b := all[0], all[1]
	if a.Median != 25 || a.Least != 10 || a.Most != 99 || a.Against != "b" || a.Ratio != 0.1 || a.RatioLeast != 0.05 || a.RatioMost != 0.3 {
		t.Errorf("%+v", a)
	}
	if b.Median != 100 || b.Against != "" || b.Ratio != 0 {
		t.Errorf("%+v", b)
	}
	if got := Ratios([]float64{1, 2}, []float64{0, 4}); len(got) != 1 || got[0] != 0.5 {
		t.Errorf("%v", got)
	}
}

func TestMemory(t *testing.T) {
	var r Report
	r.addMemory([]Sample{{0, 100 << 20}, {40, 300 << 20}, {60, 200 << 20}, {100, 150 << 20}}, 100)
	for i, want := range []float64{300, 300, 200} {
		if got := r.Measures[i].Runs[0]; got != want {
			t.Errorf("%s: %v MiB, want %v", r.Measures[i].Name, got, want)
		}
	}
	var long []Sample
	for i := range 1001 {
		long = append(long, Sample{Records: uint64(i)})
	}
	if got := thin(long, 40); len(got) != 40 || got[39].Records != 1000 || got[0].Records != 24 {
		t.Errorf("%d samples, from %d to %d", len(got), got[0].Records, got[len(got)-1].Records)
	}
}

func TestFigure(t *testing.T) {
	for in, want := range map[float64]string{
		0: "0", 7: "7", 0.1234: "0.123", 1.234: "1.23", 12.34: "12.3", 99.96: "100.0", 123.4: "123",
		1234: "1,234", 999_999.6: "1,000,000", -1234: "-1,234", -123: "-123",
	} {
		if got := Figure(in); got != want {
			t.Errorf("%v is %s, want %s", in, got, want)
		}
	}
}

// TestRefused: a ceiling that JetStream did not store is no ceiling.
func TestRefused(t *testing.T) {
	for body, refused := range map[string]bool{
		`{"stream":"ANNALS","seq":7}`:                                   false,
		`{"error":{"code":400,"description":"no"},"stream":"","seq":0}`: true,
		`+OK`: true,
	} {
		if err := refusedBy(&nats.Msg{Data: []byte(body)}, nil); (err != nil) != refused {
			t.Errorf("%s: %v", body, err)
		}
	}
	if refusedBy(&nats.Msg{Header: nats.Header{"Status": {"503"}}}, nil) == nil {
		t.Error("no responders, and nobody says so")
	}
}

// TestSpool: the messages hold each record once, and are the same each time.
func TestSpool(t *testing.T) {
	const n = 5_000
	var files [2][]byte
	for i := range files {
		path := filepath.Join(t.TempDir(), "messages")
		if err := spoolMessages(path, n); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[i] = b
	}
	if string(files[0]) != string(files[1]) {
		t.Error("the messages differ")
	}
	records := load.New(seedLines)
	for range n {
		if record, _ := records.Next(nil); strings.Count(string(files[0]), string(record)+"\n") != 1 {
			t.Fatalf("%s is not there once", record)
		}
	}
}

// TestQuestions: what warms is not what is timed.
func TestQuestions(t *testing.T) {
	for _, q := range Questions() {
		warm, timed := q.Asked(20_000, 50)
		if len(timed) < 10 {
			t.Errorf("%s: only %d questions", q.Name, len(timed))
		}
		paths := map[string]bool{}
		for _, f := range append(warm, timed...) {
			if path := q.Path(&f); paths[path] || !strings.HasPrefix(path, "/v1/workspaces/"+f.Workspace+"/") {
				t.Errorf("%s: %s", q.Name, path)
			} else {
				paths[path] = true
			}
		}
	}
}
