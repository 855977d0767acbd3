package projections

import (
	"cmp"
	"slices"
)

// mostKept is how many bytes of matches a page by the time of occurrence keeps:
// the bits of half a billion entries.
const mostKept = 64 << 20

// candidate is a block that has matches, and between which times they are at
// most.
type candidate struct {
	block   uint64
	zone    zone
	matches []byte // as stored
}

// moment is an entry in the order of occurrence.
type moment = Position

func before(a, b moment) int {
	return cmp.Or(cmp.Compare(a.Occurred, b.Occurred), cmp.Compare(a.Index, b.Index))
}

// byOccurred makes a page in the order of occurrence. It finds the matches of
// every block first, which reads no times, and then takes the blocks in the order
// of their zones: once no block that is left can have an entry that belongs on
// the page, it is done.
func (w *walk) byOccurred(q *Query, page *Page) error {
	blocks, cut, err := w.candidates(q)
	if err != nil {
		return err
	}
	// In the order of the page: what stands first is best.
	order := func(a, b moment) int { return before(b, a) }
	nearest := func(c *candidate) int64 { return c.zone.latest }
	if q.Oldest {
		order = before
		nearest = func(c *candidate) int64 { return c.zone.earliest }
	}
	slices.SortFunc(blocks, func(a, b candidate) int {
		return order(moment{nearest(&a), a.block}, moment{nearest(&b), b.block})
	})
	best := newTop(q.Limit+1, order)
	limit := int64(0) // how far the page is certain, when it was cut
	for i := range blocks {
		c := &blocks[i]
		if best.full() && !best.mayTake(c, q.Oldest) {
			break
		}
		if cut = cut || i > 0 && w.spent > w.most; cut {
			limit = nearest(c)
			break
		}
		if err := w.take(c, q, best); err != nil {
			return err
		}
	}
	found := best.sorted()
	if cut {
		w.cutShort(q, page, found, limit, len(blocks) > 0)
		return nil
	}
	if page.More = len(found) > q.Limit; page.More {
		found = found[:q.Limit]
	}
	page.add(found)
	return nil
}

func (p *Page) add(found []moment) {
	for _, m := range found {
		p.Indexes = append(p.Indexes, m.Index)
		p.Last = m
	}
}

// cutShort gives what is certain: what stands before anything that was not looked
// at.
func (w *walk) cutShort(q *Query, page *Page, found []moment, limit int64, any bool) {
	page.More, page.Truncated = true, true
	end := 0
	for any && end < len(found) && end < q.Limit && (q.Oldest && found[end].Occurred < limit || !q.Oldest && found[end].Occurred > limit) {
		end++
	}
	page.add(found[:end])
}

// candidates finds the blocks that have matches. cut says that the bound on work
// ended it.
func (w *walk) candidates(q *Query) (blocks []candidate, cut bool, err error) {
	kept := 0
	end, err := w.each(true, func(block uint64, found *set) (bool, error) {
		z, err := w.zone(block)
		if err != nil {
			return false, err
		}
		if after := q.After; after != nil && (q.Oldest && z.latest < after.Occurred || !q.Oldest && z.earliest > after.Occurred) {
			return true, nil
		}
		c := candidate{block: block, zone: z, matches: found.stored(nil)}
		blocks = append(blocks, c)
		kept += len(c.matches)
		cut = kept > mostKept
		return !cut, nil
	})
	if cut = cut || end.found == unlooked; cut {
		return nil, true, err
	}
	return blocks, cut, err
}

// take offers a block's matches to the page.
func (w *walk) take(c *candidate, q *Query, best *top) error {
	s := &w.spare
	s.clear()
	s.addStored(c.matches)
	w.kept = s.appendTo(w.kept[:0])
	for i, o := range w.kept {
		if i%1024 == 0 {
			if err := w.pace(); err != nil {
				return err
			}
		}
		m := moment{Index: indexAt(c.block, o)}
		var err error
		if m.Occurred, err = w.occurred(m.Index); err != nil {
			return err
		}
		if q.After == nil || best.order(*q.After, m) < 0 {
			best.offer(m)
		}
	}
	return nil
}

// top keeps the first few of many moments.
type top struct {
	order func(a, b moment) int
	most  int
	heap  []moment // the last of them first
}

func newTop(most int, order func(a, b moment) int) *top { return &top{order: order, most: most} }

func (t *top) full() bool { return len(t.heap) == t.most }

// mayTake reports whether a block may have an entry that stands before the last
// one kept.
func (t *top) mayTake(c *candidate, oldest bool) bool {
	if oldest {
		return t.order(moment{c.zone.earliest, indexAt(c.block, 0)}, t.heap[0]) < 0
	}
	return t.order(moment{c.zone.latest, indexAt(c.block, blockSize-1)}, t.heap[0]) < 0
}

func (t *top) offer(m moment) {
	if !t.full() {
		t.heap = append(t.heap, m)
		for i := len(t.heap) - 1; i > 0; {
			up := (i - 1) / 2
			if t.order(t.heap[up], t.heap[i]) >= 0 {
				break
			}
			t.heap[up], t.heap[i] = t.heap[i], t.heap[up]
			i = up
		}
		return
	}
	if t.order(m, t.heap[0]) >= 0 {
		return
	}
	t.heap[0] = m
	for i := 0; ; {
		down := 2*i + 1
		if down >= len(t.heap) {
			return
		}
		if right := down + 1; right < len(t.heap) && t.order(t.heap[right], t.heap[down]) > 0 {
			down = right
		}
		if t.order(t.heap[i], t.heap[down]) >= 0 {
			return
		}
		t.heap[i], t.heap[down] = t.heap[down], t.heap[i]
		i = down
	}
}

func (t *top) sorted() []moment {
	slices.SortFunc(t.heap, t.order)
	return t.heap
}
