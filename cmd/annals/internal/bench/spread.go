package bench

import (
	"slices"
	"time"
)

// median is the middle of some values, the mean of the two middle ones where
// there is no one in the middle; 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[mid-1] + sorted[mid]) / 2
	}
	return sorted[mid]
}

// Quantile is the smallest of some times that at least a share q of them don't
// exceed, in milliseconds; 0 of none. It sorts them.
func Quantile(took []time.Duration, q float64) float64 {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	rank := int(q * float64(len(took)))
	if float64(rank) < q*float64(len(took)) {
		rank++
	}
	return milliseconds(took[min(max(rank, 1), len(took))-1])
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
