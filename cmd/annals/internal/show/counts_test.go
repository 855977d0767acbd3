package show

import (
	"strings"
	"testing"
	"time"

	reading "annals/query/client"
)

func TestCounts(t *testing.T) {
	berlin := time.FixedZone("", 3600)
	days := &reading.Counts{
		By: reading.Day, Time: "recorded", Zone: "Europe/Berlin", Total: 81,
		Counts: []reading.Count{
			{Start: time.Date(2026, 3, 28, 0, 0, 0, 0, berlin), N: 80},
			{Start: time.Date(2026, 3, 29, 0, 0, 0, 0, berlin), N: 0},
			{Start: time.Date(2026, 3, 30, 0, 0, 0, 0, berlin), N: 1},
		},
	}
	values := &reading.Counts{By: "user", Total: 9, Distinct: 7, Other: 3, Counts: []reading.Count{{Value: "u\x1b[2J", N: 6}}}
	cut := &reading.Counts{By: "user", Total: 1, Truncated: true}
	for _, c := range []struct {
		name   string
		counts *reading.Counts
		width  int
		want   []string
		not    string
	}{
		{"plain", days, 0, []string{"day (Europe/Berlin)  entries", "Sat 2026-03-28            80", "Sun 2026-03-29             0", "81 entries from 2026-03-28T00:00:00+01:00, by the time they were recorded, as of"}, "█"},
		{"chart", days, 120, []string{"80  " + strings.Repeat("█", 40), "1  ▌"}, ""},
		{"values", values, 0, []string{"u␛[2J", "9 entries, 1 of 7 values; 3 with none of these, as of"}, "\x1b"},
		{"truncated", cut, 0, []string{"at least 1 entry, as of"}, "values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b strings.Builder
			if err := Counts(&b, c.counts, Style{Width: c.width}); err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !strings.Contains(b.String(), want) {
					t.Errorf("lacks %q:\n%s", want, b.String())
				}
			}
			if c.not != "" && strings.Contains(b.String(), c.not) {
				t.Errorf("holds %q:\n%s", c.not, b.String())
			}
		})
	}
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		n, most uint64
		want    string
	}{
		{0, 9, ""},
		{0, 0, ""},
		{9, 9, strings.Repeat("█", 40)},
		{1, 1 << 60, "▏"},
		{1 << 63, 1<<64 - 1, strings.Repeat("█", 20)},
		{1, 320, "▏"},
		{7, 320, "▉"},
		{8, 320, "█"},
		{9, 320, "█▏"},
	} {
		if got := bar(c.n, c.most); got != c.want {
			t.Errorf("%d of %d: %q, want %q", c.n, c.most, got, c.want)
		}
	}
}

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"0 entries": Count(0, "entry"), "1 entry": Count(uint64(1), "entry"), "2 entries": Count(2, "entry"),
		"0 keys": Count(0, "key"), "1 key": Count(1, "key"), "7 keys": Count(uint64(7), "key"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
