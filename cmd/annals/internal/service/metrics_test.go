package service

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// TestMetricsAreNamedAsPrometheusAsks: of everything that a server shows, names, units and
// types are as the conventions say, and each has a help.
func TestMetricsAreNamedAsPrometheusAsks(t *testing.T) {
	lint := func(text string) []promlint.Problem {
		t.Helper()
		problems, err := promlint.New(strings.NewReader(text)).Lint()
		if err != nil {
			t.Fatal(err)
		}
		return problems
	}
	o := options(filepath.Join(t.TempDir(), "data"))
	o.Version = "v1.2.3"
	s := mustStart(t, o)
	defer mustClose(t, s)
	mustPost(t, s, "m", 1)
	text := get(t, s, "/metrics")
	for _, p := range lint(text) {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if !strings.Contains(text, "\nannals_build_info{version=\"v1.2.3\"} 1\n") {
		t.Error("which version runs is not among them")
	}
	if n := strings.Count(text, "# HELP annals_"); n < 20 {
		t.Errorf("only %d of ours were looked at", n)
	}
	if got := lint("# TYPE annals_bad counter\nannals_bad 1\n"); len(got) < 2 {
		t.Errorf("a counter without help and _total: %v", got)
	}
}
