package projections

import (
	"cmp"
	"context"
	"fmt"
	"sort"
)

// Histogram answers with how many entries have their indexes in [bounds[i],
// bounds[i+1]), for each i but the last. Bounds ascend; where two are equal, there
// is nothing in between. truncated says that the bound on work was reached: there
// may be more.
func (v *View) Histogram(ctx context.Context, q Query, bounds []uint64) (counts []uint64, truncated bool, err error) {
	if err := ascend(bounds); err != nil {
		return nil, false, err
	}
	lo, hi := q.span(v.size)
	w, err := v.plan(ctx, &q, max(lo, bounds[0]), min(hi, bounds[len(bounds)-1]))
	if err != nil {
		return nil, false, err
	}
	defer w.close()
	counts = make([]uint64, len(bounds)-1)
	at := 0 // the bucket of the block's first index
	end, err := w.each(true, func(block uint64, found *set) (bool, error) {
		for first := max(indexAt(block, 0), bounds[0]); bounds[at+1] <= first; {
			at++ // ends: what was found is before the last bound
		}
		past := indexAt(block+1, 0)
		for i := at; i < len(counts) && bounds[i] < past; i++ {
			from := max(bounds[i], indexAt(block, 0)) - indexAt(block, 0)
			to := min(bounds[i+1], past) - indexAt(block, 0)
			counts[i] += uint64(found.between(int(from), int(to)))
		}
		return true, nil
	})
	if err != nil {
		return nil, false, v.failed(ctx, err)
	}
	return counts, end.found == unlooked, nil
}

// HistogramOccurred answers with how many entries occurred at [bounds[i],
// bounds[i+1]), ns since 1970, for each i but the last; a last bound of MaxInt64 is
// none. A block whose entries all occurred within one of them is counted as a whole.
func (v *View) HistogramOccurred(ctx context.Context, q Query, bounds []int64) (counts []uint64, truncated bool, err error) {
	if err := ascend(bounds); err != nil {
		return nil, false, err
	}
	lo, hi := q.span(v.size)
	w, err := v.plan(ctx, &q, lo, hi)
	if err != nil {
		return nil, false, err
	}
	defer w.close()
	// The question's own times and the bounds': both.
	last := bounds[len(bounds)-1]
	w.from, w.to = max(w.from, bounds[0]), min(w.to, last)
	w.nothing = w.nothing || w.from >= w.to && w.to != maxTime
	counts = make([]uint64, len(bounds)-1)
	bucket := func(t int64) int { // the last that begins at t or before
		i := sort.Search(len(bounds), func(i int) bool { return bounds[i] > t }) - 1
		return min(i, len(counts)-1)
	}
	var offsets []uint16
	end, err := w.each(true, func(block uint64, found *set) (bool, error) {
		z, err := w.zone(block)
		if err != nil {
			return false, err
		}
		if from, to := bucket(max(z.earliest, bounds[0])), bucket(max(z.latest, bounds[0])); from == to {
			counts[from] += uint64(found.n)
			return true, nil
		}
		offsets = found.appendTo(offsets[:0])
		for _, o := range offsets {
			t, err := w.occurred(indexAt(block, o))
			if err != nil {
				return false, err
			}
			counts[bucket(t)]++
		}
		return true, nil
	})
	if err != nil {
		return nil, false, v.failed(ctx, err)
	}
	return counts, end.found == unlooked, nil
}

// maxBounds is how many bounds a histogram has at most.
const maxBounds = 100_000

func ascend[T cmp.Ordered](bounds []T) error {
	if len(bounds) < 2 || len(bounds) > maxBounds {
		return fmt.Errorf("%w: a histogram has 2 to %d bounds, not %d", ErrQuery, maxBounds, len(bounds))
	}
	for i, b := range bounds[1:] {
		if b < bounds[i] {
			return fmt.Errorf("%w: bound %d of a histogram, %v, is before the one that it follows", ErrQuery, i+1, b)
		}
	}
	return nil
}
