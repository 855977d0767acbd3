package annals_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// metric is a metric's name as a page writes it.
var metric = regexp.MustCompile("`(annals_[a-z0-9_]+)")

// TestDocumentedMetrics: a metric on which a page says to alarm is one that there is. An
// alarm on a name that nobody sets never rings.
func TestDocumentedMetrics(t *testing.T) {
	var source strings.Builder
	for name, text := range mustRead(t, os.DirFS(".")).files {
		if filepath.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go") {
			source.Write(text)
		}
	}
	documented := 0
	for _, page := range []string{"docs/operations.md", "docs/reading.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range unset(string(text), source.String()) {
			t.Errorf("%s names the metric %s, which nobody sets", page, name)
		}
		documented += len(metric.FindAllString(string(text), -1))
	}
	if documented < 20 {
		t.Errorf("only %d names were looked at", documented)
	}
	if got := unset("alarm on `annals_build_info` and `annals_no_such_total > 0`", source.String()); !slices.Equal(got, []string{"annals_no_such_total"}) {
		t.Errorf("of a page with one that isn't there: %q", got)
	}
}

// unset returns the metrics of a page that the source doesn't name.
func unset(page, source string) (names []string) {
	for _, m := range metric.FindAllStringSubmatch(page, -1) {
		if !strings.Contains(source, `"`+m[1]+`"`) {
			names = append(names, m[1])
		}
	}
	return names
}
