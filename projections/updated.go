package projections

import (
	"fmt"
	"slices"
	"strconv"

	"annals/ledger/chain"
)

// updated says whether the question asks for what was updated.
func (q *Query) updated() bool { return q.UpdatedFrom != 0 || q.UpdatedTo != 0 }

// updated makes the term of what was updated.
func (w *walk) updated(q *Query) *term {
	u := &updates{w: w, from: q.UpdatedFrom, to: w.v.size}
	if q.UpdatedTo != 0 {
		u.to = min(u.to, q.UpdatedTo)
	}
	return &term{sources: []source{u}}
}

// updates are the entries at some indexes, of whatever workspace, and those that
// records of the walk's workspace at these indexes amend. An amendment stands in a
// list of what it amends, so the amended ones are the names of the lists that have
// entries there. It is never the only term, and the others are the workspace's: so
// what a record of one workspace amends in another is not found in either.
type updates struct {
	w        *walk
	from, to uint64
	amended  []uint64 // below from, ascending
	known    bool
}

func (u *updates) close() {}

func (u *updates) nearest(block uint64, ascending bool) (place, error) {
	if u.from >= u.to {
		return place{}, nil
	}
	if err := u.read(); err != nil {
		return place{}, err
	}
	first, last := blockOf(u.from), blockOf(u.to-1)
	at, _ := slices.BinarySearch(u.amended, indexAt(block, 0)) // the first from the block on
	switch {
	case block >= first && block <= last:
		return place{there, block}, nil
	case ascending && block > last:
		return place{}, nil
	case ascending && at < len(u.amended):
		return place{there, min(first, blockOf(u.amended[at]))}, nil
	case ascending:
		return place{there, first}, nil
	case block > last:
		return place{there, last}, nil
	}
	at, _ = slices.BinarySearch(u.amended, indexAt(block+1, 0))
	if at == 0 {
		return place{}, nil
	}
	return place{there, blockOf(u.amended[at-1])}, nil
}

func (u *updates) load(block uint64, _ bool, into *set) (postings, error) {
	if u.from >= u.to {
		return nil, nil
	}
	if err := u.read(); err != nil {
		return nil, err
	}
	var found bitmap
	first, beyond := indexAt(block, 0), indexAt(block+1, 0)
	for at, _ := slices.BinarySearch(u.amended, first); at < len(u.amended) && u.amended[at] < beyond; at++ {
		found.add(uint16(offsetOf(u.amended[at])))
	}
	for i := max(first, u.from); i < min(beyond, u.to); i++ {
		found.add(uint16(offsetOf(i)))
	}
	if found.count() > 0 { // a set of none is a list
		into.addBits(&found)
	}
	return nil, nil
}

// mostAmended is how many rows of what was amended a question reads.
const mostAmended = 1_000_000

// read finds out what was amended. All of it must be known before the walk can go
// anywhere, so it has a bound on work of its own, and no part of an answer.
func (u *updates) read() error {
	if u.known {
		return nil
	}
	it, err := u.w.v.take()
	if err != nil {
		return err
	}
	defer u.w.v.give(it)
	lo := appendList(nil, u.w.workspace, FieldAmends)
	hi := after(lo)
	rows, spent := 0, u.w.spent
	l := u.w.v.layout
	var own set
	for era := l.eraOf(blockOf(u.from)); era <= l.eraOf(blockOf(u.to-1)); era++ {
		err := u.w.lists(it, era, lo, hi, func(name []byte, block byte, p piece) error {
			if rows++; rows > u.w.v.p.options.amended {
				return fmt.Errorf("%w: more was amended since than one answer looks through; ask for what was updated since a later time", ErrQuery)
			}
			index, err := amendedIn(name)
			if err != nil || index >= u.from {
				return err
			}
			own.clear()
			p.addTo(&own)
			start := indexAt(l.at(era, block), 0)
			if own.between(intoBlock(u.from, start), intoBlock(u.to, start)) > 0 {
				u.amended = append(u.amended, index)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	u.w.spent = spent
	slices.Sort(u.amended)
	u.amended = slices.Compact(u.amended)
	u.known = true
	return nil
}

// intoBlock is how far into the block that begins at start an index is.
func intoBlock(index, start uint64) int {
	if index <= start {
		return 0
	}
	return int(min(index-start, blockSize))
}

// amendedIn reads the index off a list's name.
func amendedIn(name []byte) (uint64, error) {
	v, err := FieldAmends.cutName(name[listPrefix:])
	if err != nil {
		return 0, damaged(name, err)
	}
	index, err := strconv.ParseUint(v.A, 10, 64)
	if err != nil || index == chain.NoRef {
		return 0, damaged(name, errValue)
	}
	return index, nil
}
