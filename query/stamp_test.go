package query

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestDay prints times as package time does.
func TestDay(t *testing.T) {
	var d day
	rng := rand.New(rand.NewPCG(1, 2))
	check := func(ns int64) {
		t.Helper()
		for digits, layout := range map[int]string{recordedDigits: recordedText, streamDigits: "2006-01-02T15:04:05.000000000Z"} {
			want := time.Unix(0, ns).UTC().Format(`"` + layout + `"`)
			if got := string(d.append(nil, ns, digits)); got != want {
				t.Fatalf("%d: %s, want %s", ns, got, want)
			}
		}
	}
	for _, ns := range []int64{0, 1, -1, 999_999, 1_000_000, -1_000_000, nanosecondsDay - 1, nanosecondsDay, -nanosecondsDay, -nanosecondsDay - 1, math.MaxInt64, math.MinInt64 + nanosecondsDay} {
		check(ns)
	}
	at := int64(1767323045_000000000)
	for range 20_000 {
		at += rng.Int64N(int64(2 * time.Hour))
		check(at)
		check(rng.Int64() - rng.Int64())
	}
}
