package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"annals/ledger/proof"
)

func TestInstant(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]string{
		"2026-11-01T10:00:00Z":      "2026-11-01T10:00:00Z",
		"2026-11-01T10:00:00+02:00": "2026-11-01T08:00:00Z",
		"2026-11-01T10:00:00.5Z":    "2026-11-01T10:00:00.5Z",
		"2026-11-01T10:00":          "2026-11-01T10:00:00Z",
		"2026-11-01 10:00:00":       "2026-11-01T10:00:00Z",
		"2026-11-01":                "2026-11-01T00:00:00Z",
		"90m":                       "2026-11-22T10:30:00Z",
		"24h":                       "2026-11-21T12:00:00Z",
		"7d":                        "2026-11-15T12:00:00Z",
		"0s":                        "2026-11-22T12:00:00Z",
	} {
		got, err := instant(in, now)
		if err != nil || got.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("%q is %v, %v, want %s", in, got.UTC(), err, want)
		}
	}
	for _, in := range []string{"", "yesterday", "-1h", "d", "-3d", "2026-13-01", "24"} {
		if got, err := instant(in, now); err == nil {
			t.Errorf("%q passes for %v", in, got)
		}
	}
}

// TestFindingCodes: each verdict has a code of its own, only clean has 0, and
// findings begin at 10.
func TestFindingCodes(t *testing.T) {
	taken := map[int]proof.Finding{}
	for _, f := range proof.Findings() {
		code := -1
		for _, c := range findingCodes {
			if c.finding == f {
				code = c.code
			}
		}
		want := code >= 10 && code < 100
		switch f {
		case proof.Clean:
			want = code == exitOK
		case proof.Inconclusive:
			want = code == exitFailure
		}
		if !want {
			t.Errorf("%s has the code %d", f, code)
		}
		if other, ok := taken[code]; ok {
			t.Errorf("%s and %s share the code %d", f, other, code)
		}
		taken[code] = f
	}
	if codeOf("no_such_finding") != exitFailure {
		t.Error("a finding without a code passes")
	}
}

func TestNearest(t *testing.T) {
	known := []string{"ANNALS_DATA", "ANNALS_LISTEN", "ANNALS_NATS_LISTEN"}
	for in, want := range map[string]string{
		"ANNALS_DAAT": "ANNALS_DATA", "ANNALS_LISTN": "ANNALS_LISTEN", "ANNALS_NATSLISTEN": "ANNALS_NATS_LISTEN",
	} {
		if got := nearest(in, known); got != want {
			t.Errorf("%s is nearest to %s, want %s", in, got, want)
		}
	}
}

// TestDocumentedFindings compares the page's tables of findings and notices with
// the code: names, exit codes, meanings and their order.
func TestDocumentedFindings(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "format", "verify.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := func(header string) (out []string) {
		_, table, _ := strings.Cut(string(page), header+"\n")
		for i, line := range strings.Split(table, "\n") {
			if !strings.HasPrefix(line, "|") {
				break
			}
			if i > 0 {
				out = append(out, line)
			}
		}
		return out
	}
	var want []string
	for _, f := range proof.Findings() {
		want = append(want, fmt.Sprintf("| `%s` | %d | %s |", string(f), codeOf(f), f.Meaning()))
	}
	if got := rows("| finding | exit | what it means, and what to do |"); !slices.Equal(got, want) {
		t.Errorf("the page says\n%s\nthe code\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	want = nil
	for _, n := range proof.NoticeNames() {
		want = append(want, fmt.Sprintf("| `%s` | %s |", string(n), n.Meaning()))
	}
	if got := rows("| notice | what it means |"); !slices.Equal(got, want) {
		t.Errorf("the page says\n%s\nthe code\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
