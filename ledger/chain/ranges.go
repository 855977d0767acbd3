package chain

import (
	"iter"
	"math"
	"slices"
)

// Ranges of statements ascend, lie apart from one another, and none is empty; so do
// those that the functions here take and give.

// Range is a run of indexes [From, To).
type Range struct{ From, To uint64 }

// Ranges returns the ranges of ascending indexes.
func Ranges(indexes iter.Seq[uint64]) []Range {
	var out []Range
	for index := range indexes {
		if n := len(out); n > 0 && out[n-1].To == index {
			out[n-1].To++
			continue
		}
		out = append(out, Range{index, index + 1})
	}
	return out
}

// Indexes yields the indexes that ranges hold, in their order.
func Indexes(ranges []Range) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for _, r := range ranges {
			for index := r.From; index < r.To; index++ {
				if !yield(index) {
					return
				}
			}
		}
	}
}

// Count returns how many indexes ranges hold.
func Count(ranges []Range) (n uint64) {
	for _, r := range ranges {
		n += r.To - r.From
	}
	return n
}

// Covers reports whether ranges hold an index.
func Covers(ranges []Range, index uint64) bool {
	at, _ := slices.BinarySearchFunc(ranges, index, func(r Range, index uint64) int {
		if r.To <= index {
			return -1
		}
		return 1
	})
	return at < len(ranges) && ranges[at].From <= index
}

// Shared yields what two lists of ranges both hold.
func Shared(a, b []Range) iter.Seq[Range] {
	return func(yield func(Range) bool) {
		for a, b := a, b; len(a) > 0 && len(b) > 0; {
			if from, to := max(a[0].From, b[0].From), min(a[0].To, b[0].To); from < to && !yield(Range{from, to}) {
				return
			}
			if a[0].To <= b[0].To {
				a = a[1:]
			} else {
				b = b[1:]
			}
		}
	}
}

// AppendRanges appends ranges as a statement holds them: their count, and of each
// how many indexes lie before it since the one before ended, less one (of the
// first: all), and how many it has, less one. So whatever parses is sorted, and has
// one form.
func AppendRanges(dst []byte, ranges []Range) []byte {
	dst = uvarint(dst, uint64(len(ranges)))
	after := uint64(0) // the least that the next range may begin with
	for _, r := range ranges {
		dst = uvarint(dst, r.From-after)
		dst = uvarint(dst, r.To-r.From-1)
		after = r.To + 1
	}
	return dst
}

// ranges reads what [AppendRanges] printed, up to [MaxSelected] entries.
func (c *cursor) ranges() (ranges []Range) {
	after, total := uint64(0), uint64(0)
	for n := c.uvarint(); n > 0 && !c.bad; n-- {
		skip, more := c.uvarint(), c.uvarint()
		if more >= MaxSelected || skip > math.MaxUint64-after-more-2 {
			c.bad = true
			return ranges
		}
		r := Range{after + skip, after + skip + more + 1}
		if total += more + 1; total > MaxSelected {
			c.bad = true
		}
		ranges = append(ranges, r)
		after = r.To + 1
		if after == 0 {
			c.bad = true
		}
	}
	return ranges
}
