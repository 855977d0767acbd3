package projections

import (
	"iter"

	"annals/activity"
	"annals/internal/multibuffer"
	"annals/ledger/chain"
)

// Bounds of a run of leaves that is read ahead. Three are under way: one that is
// read, one that is folded, one between them.
const (
	aheadLeaves = 256
	aheadBytes  = 1 << 20 // a leaf that goes beyond is the run's last
	aheadRuns   = 3
)

// Ahead reads leaves in a goroutine of its own, some hundreds ahead, and scans
// their records there: that takes about as long as folding them, so two
// processors share the work. It is for many entries. The leaves are copies, good
// until the next step.
func Ahead(leaves iter.Seq2[chain.Leaf, error]) iter.Seq2[chain.Leaf, error] {
	return func(yield func(chain.Leaf, error) bool) {
		full := make(chan *run)
		spent := make(chan *run, aheadRuns)
		for range aheadRuns {
			spent <- new(run)
		}
		stop := make(chan struct{})
		go read(leaves, full, spent, stop)
		defer func() { // not before the reader has let go of the ledger
			close(stop)
			for range full {
			}
		}()
		for r := range full {
			for i := range r.leaves {
				if !yield(r.leaves[i], nil) {
					return
				}
			}
			if r.err != nil {
				yield(chain.Leaf{}, r.err)
				return
			}
			spent <- r
		}
	}
}

// read fills runs until the leaves end or stop is closed.
func read(leaves iter.Seq2[chain.Leaf, error], full chan<- *run, spent <-chan *run, stop <-chan struct{}) {
	defer close(full)
	next := func() *run {
		select {
		case r := <-spent:
			r.reset()
			return r
		case <-stop:
			return nil
		}
	}
	hand := func(r *run) bool {
		r.hasher.Flush()
		select {
		case full <- r:
			return true
		case <-stop:
			return false
		}
	}
	r := next()
	if r == nil {
		return
	}
	for leaf, err := range leaves {
		if err != nil {
			r.err = err
			break
		}
		r.add(&leaf)
		if len(r.leaves) < aheadLeaves && len(r.bytes) < aheadBytes {
			continue
		}
		if !hand(r) {
			return
		}
		if r = next(); r == nil {
			return
		}
	}
	hand(r)
}

// run is some leaves in a row, with all that they point to.
type run struct {
	leaves   []chain.Leaf
	payloads [aheadLeaves]chain.Payload
	keys     [aheadLeaves]activity.Keys
	bytes    []byte
	hasher   multibuffer.Hasher // of the leaves' hashes
	err      error              // after them
	home     chan<- *run        // where it goes when it is spent; nil of the one reader of [Ahead]
}

// reset empties the run. What it held is overwritten by the next leaves; nothing
// that was erased stays longer than the reading goes on.
func (r *run) reset() {
	if r.leaves == nil {
		r.leaves = make([]chain.Leaf, 0, aheadLeaves) // never moved: hashes are written there later
	}
	r.leaves, r.bytes, r.err = r.leaves[:0], r.bytes[:0], nil
}

// add copies a leaf, and finds out what finding its terms takes.
func (r *run) add(leaf *chain.Leaf) {
	at := len(r.leaves)
	r.leaves = append(r.leaves, *leaf)
	mine := &r.leaves[at]
	mine.Raw = r.copy(leaf.Raw)
	mine.Original = r.copy(leaf.Original)
	mine.Keys = nil
	if leaf.Hash == (chain.Hash{}) {
		chain.LeafHashTo(&r.hasher, &mine.Hash, mine.Raw)
	}
	if leaf.Payload == nil {
		return
	}
	p := &r.payloads[at]
	*p = *leaf.Payload
	mine.Payload = p
	for _, b := range []*[]byte{&p.Envelope, &p.Body, &p.Before, &p.After} {
		*b = r.copy(*b)
	}
	if mine.Scan(&r.keys[at]) {
		mine.Keys = &r.keys[at]
	}
}

// copy keeps bytes in the run's own; nil stays nil. What grows beyond the space
// moves on, and those who have the old space keep it.
func (r *run) copy(b []byte) []byte {
	if b == nil {
		return nil
	}
	from := len(r.bytes)
	r.bytes = append(r.bytes, b...)
	return r.bytes[from:len(r.bytes):len(r.bytes)]
}
