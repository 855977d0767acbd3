package projections

import (
	"errors"
	"math"

	"annals/activity"

	"github.com/cockroachdb/pebble/v2"
)

// walk goes through the blocks that may have entries which a question finds, in
// one direction, and finds them: from one block to the next that all its terms
// have, never through what lies between.
type walk struct {
	v    *View
	pace func() error // between pieces of work; its error ends the walk

	spent, most int // rows that were read, and at most may be before the walk ends

	nothing               bool // the question finds nothing
	number                bool // only how many a block has is asked for: [set.n] alone is right
	workspace             uint32
	lo, hi                uint64 // indexes
	firstBlock, lastBlock uint64
	from, to              int64 // occurred times [from, to); to MaxInt64: no bound
	groups                *activity.Vocabulary

	musts []*term // an entry has all of these …
	nots  []*term // … and none of those

	zones   *pebble.Iterator
	columns columns
	hot     [2][]int64 // the times that are in the view's tails
	kept    []uint16
	spare   set
}

func (w *walk) timed() bool { return w.from != math.MinInt64 || w.to != maxTime }

func (w *walk) close() {
	for _, t := range w.musts {
		t.close()
	}
	for _, t := range w.nots {
		t.close()
	}
	w.v.give(w.zones)
	w.v.give(w.columns.it)
	w.zones, w.columns.it = nil, nil
}

// each visits the blocks that have matches, with these, until visit has enough.
// It returns the block that it did not come to any more, where the bound on work
// ended it; it always gets past one block.
func (w *walk) each(ascending bool, visit func(block uint64, found *set) (more bool, err error)) (place, error) {
	if w.nothing {
		return place{}, nil
	}
	block := w.lastBlock
	if ascending {
		block = w.firstBlock
	}
	for first := true; ; first = false {
		if err := w.pace(); err != nil {
			return place{}, err
		}
		if !first && w.spent > w.most {
			return place{unlooked, block}, nil
		}
		p, err := w.next(block, ascending)
		if err != nil || p.found == nowhere || p.block < w.firstBlock || p.block > w.lastBlock {
			return place{}, err
		}
		if p.found == unlooked {
			return p, nil
		}
		found, err := w.match(p.block, ascending)
		if errors.Is(err, errWork) {
			return place{unlooked, p.block}, nil
		} else if err != nil {
			return place{}, err
		}
		if found.n > 0 {
			if more, err := visit(p.block, found); err != nil || !more {
				return place{}, err
			}
		}
		switch {
		case ascending && p.block == w.lastBlock, !ascending && p.block == w.firstBlock:
			return place{}, nil
		case ascending:
			block = p.block + 1
		default:
			block = p.block - 1
		}
	}
}

// next returns the nearest block, from the given one on, in which every term may
// have entries.
func (w *walk) next(block uint64, ascending bool) (place, error) {
	for agreed := 0; agreed < len(w.musts); {
		for _, t := range w.musts {
			p, err := t.nearest(block, ascending)
			if err != nil || p.found != there {
				return p, err
			}
			if p.block != block {
				block, agreed = p.block, 0
			}
			if agreed++; agreed == len(w.musts) {
				break
			}
		}
	}
	return place{there, block}, nil
}

// match returns a block's matches, until the next call.
func (w *walk) match(block uint64, ascending bool) (*set, error) {
	refine := false
	if w.timed() {
		z, err := w.zone(block)
		if err != nil {
			return nil, err
		}
		if z.latest < w.from || w.to != maxTime && z.earliest >= w.to {
			return &set{}, nil
		}
		refine = z.earliest < w.from || w.to != maxTime && z.latest >= w.to
	}
	rarest, least := w.musts[0], 0
	for i, t := range w.musts {
		if err := t.load(block, ascending); err != nil {
			return nil, err
		}
		if n := t.n(); i == 0 || n < least {
			rarest, least = t, n
		}
	}
	if w.number && !refine && w.whole(block) {
		if sure, err := w.alone(block, ascending); err != nil || sure {
			w.spare.clear()
			w.spare.n = least
			return &w.spare, err
		}
	}
	found := rarest.own()
	w.clip(block, found)
	for _, t := range w.musts {
		if t != rarest {
			t.sift(found, false)
		}
	}
	for _, t := range w.nots {
		if found.n == 0 {
			break
		}
		if err := t.load(block, ascending); err != nil {
			return nil, err
		}
		t.sift(found, true)
	}
	if refine && found.n > 0 {
		return found, w.refine(block, found)
	}
	return found, nil
}

// alone reports whether all that the first term has in a block are matches, since
// nothing else is asked of them.
func (w *walk) alone(block uint64, ascending bool) (bool, error) {
	if len(w.musts) > 1 {
		return false, nil
	}
	for _, not := range w.nots {
		if err := not.load(block, ascending); err != nil {
			return false, err
		}
		if not.n() > 0 {
			return false, nil
		}
	}
	return true, nil
}

// whole reports whether all indexes of a block are asked for.
func (w *walk) whole(block uint64) bool {
	return indexAt(block, 0) >= w.lo && indexAt(block+1, 0) <= w.hi
}

// clip keeps the offsets whose indexes are asked for.
func (w *walk) clip(block uint64, s *set) {
	from, to := 0, blockSize
	if block == blockOf(w.lo) {
		from = offsetOf(w.lo)
	}
	if block == blockOf(w.hi-1) {
		to = offsetOf(w.hi-1) + 1
	}
	s.clip(from, to)
}

// refine keeps the entries that occurred between the times that are asked for.
func (w *walk) refine(block uint64, s *set) error {
	w.kept = s.appendTo(w.kept[:0])
	kept := w.kept[:0]
	for i, o := range w.kept {
		if i%1024 == 0 {
			if err := w.pace(); err != nil {
				return err
			}
		}
		t, err := w.occurred(indexAt(block, o))
		if err != nil {
			return err
		}
		if t >= w.from && (t < w.to || w.to == maxTime) {
			kept = append(kept, o)
		}
	}
	s.clear()
	s.addSorted(kept)
	return nil
}
