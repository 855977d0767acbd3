package proof

import (
	"fmt"

	"annals/ledger/chain"
)

// reach is how far the audit looks ahead to find where indexes go on as they
// should.
const reach = 64

// claim is the index that an item claims, when both places that hold it agree.
func (it *item) claim() (index uint64, ok bool) {
	_, inside := chain.SplitULID(it.entry.ULID)
	return it.entry.Index, it.readable && inside == it.entry.Index
}

// align deals with an item that doesn't claim the index that is due: the entry is
// missing, misplaced, or its index was changed.
func (j *joiner) align(it *item) {
	c, whole := it.claim()
	if j.resumes(1) {
		j.misplaced(it)
		return
	}
	if whole && c > j.want && j.removedBefore(it, c) {
		gone := span{j.want, c}
		j.damage.missing = append(j.damage.missing, &absence{span: gone, detail: fmt.Sprintf("%s is missing: entry %d follows where it should stand", gone, c)})
		j.damage.hit = true
		j.damage.skip(gone.from, gone.to)
		j.want = c
		return
	}
	for k := 2; k <= reach; k++ {
		if j.resumes(k) {
			if j.permuted(k) {
				j.reordered(k)
				return
			}
			break
		}
	}
	if whole && c < j.want {
		if n := j.peek(1); n == nil && j.want == j.head.Size || n != nil && n.readable && n.entry.Index == j.want {
			j.extra(c)
			return
		}
	}
	j.misplaced(it)
}

// removedBefore reports whether an item that claims a later index than is due
// does so because those before it are missing: what follows it goes on from
// there.
func (j *joiner) removedBefore(it *item, c uint64) bool {
	after := j.peek(1)
	if after == nil {
		return c < j.head.Size
	}
	n, ok := after.claim()
	if c >= j.head.Size { // the head was cut as well
		return ok && n == c+1 && after.entry.Previous == it.leaf
	}
	return ok && n > c
}

// resumes reports whether, k items on, indexes are as though the k items stood in
// the k places that are due.
func (j *joiner) resumes(k int) bool {
	if it := j.peek(k); it != nil {
		return it.readable && it.entry.Index == j.want+uint64(k)
	}
	return j.want+uint64(k) == j.head.Size && j.peek(k-1) != nil
}

// permuted reports whether the next k items are the k entries that are due, in
// another order.
func (j *joiner) permuted(k int) bool {
	seen := make([]bool, k)
	for i := range k {
		c, ok := j.peek(i).claim()
		if !ok || c < j.want || c >= j.want+uint64(k) || seen[c-j.want] {
			return false
		}
		seen[c-j.want] = true
	}
	return true
}

// reordered takes k items that stand in another order.
func (j *joiner) reordered(k int) {
	j.found.at(j.want, Reordered, "%s stand in another order than they were recorded in: entry %d comes first",
		span{j.want, j.want + uint64(k)}, j.peek(0).entry.Index)
	j.damage.hit = true
	j.damage.skip(j.want, j.want+uint64(k))
	for range k {
		j.advance()
	}
	j.want += uint64(k)
}

// extra takes an item that stands behind the place that it claims.
func (j *joiner) extra(c uint64) {
	j.damage.hit = true
	moved := false
	for _, m := range j.damage.missing {
		if c >= m.from && c < m.to {
			m.moved, moved = true, true
		}
	}
	if !moved {
		j.damage.extras++
		j.found.at(j.want, Reordered, "entry %d stands a second time, before entry %d", c, j.want)
	}
	j.advance()
}

// misplaced takes an item that stands where an entry is due but claims to be
// another.
func (j *joiner) misplaced(it *item) {
	x := j.want
	named, g := j.attest(x, it)
	switch {
	case it.form != nil || !it.readable:
		if !it.readable && g <= unproven {
			g = guilty
		}
		j.reject(x, it, named, g)
	case g == innocent && named == it.leaf:
		j.found.at(x, MalformedEntry, "entry %d was recorded with the index %d", x, it.entry.Index)
		j.damage.skip(x, x+1)
	default:
		j.accuse(x, it, false, fmt.Sprintf("entry %d says that it is entry %d, and is not what was recorded here", x, it.entry.Index))
	}
	j.advance()
	j.want++
}
