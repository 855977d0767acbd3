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
	end, err := w.each(true, func(block uint64, found *set) (bool, error) {
		z, err := w.zone(block)
		if err != nil {
			return false, err
		}
		// What was found occurred between the bounds, wherever the block's other entries did.
		z.earliest = max(z.earliest, bounds[0])
		if last != maxTime {
			z.latest = min(z.latest, last-1)
		}
		if i, ok := bucketAround(bounds, z); ok {
			counts[i] += uint64(found.n)
			return true, nil
		}
		return true, w.tellOccurred(block, found, bounds, counts)
	})
	if err != nil {
		return nil, false, v.failed(ctx, err)
	}
	return counts, end.found == unlooked, nil
}

// HistogramFound is [View.HistogramOccurred] with bounds that follow from when the
// first and the last of the entries occurred, ns since 1970: they are asked for once
// that is known, and are to cover both. It looks for the entries once. Where there is
// none the bounds are not asked for, and there are no counts; truncated with no counts
// says that the bound on work was reached before either was known.
func (v *View) HistogramFound(ctx context.Context, q Query, bounds func(first, last int64) ([]int64, error)) (counts []uint64, truncated bool, err error) {
	lo, hi := q.span(v.size)
	q.After, q.Limit = nil, 1
	w, err := v.plan(ctx, &q, lo, hi)
	if err != nil {
		return nil, false, err
	}
	defer w.close()
	blocks, cut, err := w.candidates(&q)
	if err != nil || cut || len(blocks) == 0 {
		if err != nil {
			err = v.failed(ctx, err)
		}
		return nil, cut, err
	}
	var ends [2]moment
	for i := range ends {
		var page Page
		q.Oldest = i == 0
		w.spent = 0 // each question has as much as if it were asked alone
		if err := w.first(&q, &page, blocks); err != nil {
			return nil, false, v.failed(ctx, err)
		}
		if len(page.Indexes) == 0 {
			return nil, true, nil
		}
		ends[i] = page.Last
	}
	at, err := bounds(ends[0].Occurred, ends[1].Occurred)
	if err == nil {
		err = ascend(at)
	}
	if err != nil {
		return nil, false, err
	}
	counts = make([]uint64, len(at)-1)
	w.spent = 0
	for i := range blocks {
		if truncated = i > 0 && w.spent > w.most; truncated {
			break
		}
		if err := w.countOccurred(&blocks[i], at, counts); err != nil {
			return nil, false, v.failed(ctx, err)
		}
	}
	return counts, truncated, nil
}

// countOccurred counts a block's matches between bounds.
func (w *walk) countOccurred(c *candidate, bounds []int64, counts []uint64) error {
	if err := w.pace(); err != nil {
		return err
	}
	if i, ok := bucketAround(bounds, c.zone); ok {
		counts[i] += uint64(postings(c.matches).count())
		return nil
	}
	s := &w.spare
	s.clear()
	s.addStored(c.matches)
	return w.tellOccurred(c.block, s, bounds, counts)
}

// tellOccurred counts entries of a block between bounds, each by when it occurred.
func (w *walk) tellOccurred(block uint64, s *set, bounds []int64, counts []uint64) error {
	w.kept = s.appendTo(w.kept[:0])
	for _, o := range w.kept {
		t, err := w.occurred(indexAt(block, o))
		if err != nil {
			return err
		}
		if i, ok := bucketOf(bounds, t); ok {
			counts[i]++
		}
	}
	return nil
}

// bucketOf returns which of the bounds a time is behind, false where it is before all
// or not before the last; MaxInt64, as the last one, is none.
func bucketOf(bounds []int64, t int64) (int, bool) {
	i := sort.Search(len(bounds), func(i int) bool { return bounds[i] > t }) - 1
	if last := len(bounds) - 1; i == last && bounds[last] == maxTime {
		i--
	}
	return i, i >= 0 && i < len(bounds)-1
}

// bucketAround returns behind which of the bounds a zone lies as a whole, false where
// behind none.
func bucketAround(bounds []int64, z zone) (int, bool) {
	i, ok := bucketOf(bounds, z.earliest)
	j, within := bucketOf(bounds, z.latest)
	return i, ok && within && i == j
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
