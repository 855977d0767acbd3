package ledger

import (
	"slices"
	"sort"
	"sync"

	"annals/activity"
	"annals/ledger/chain"
)

// ring holds the entries that became durable a moment ago, as the fold left them:
// whoever follows the ledger closely, or asks for what was just recorded, is
// spared the store, and parsing what was parsed. What is older stands in the
// store alone.
type ring struct {
	mu     sync.Mutex
	runs   []heldRun // one an append, in order, without a gap between them
	weight int64
	most   int64
}

// heldRun is what one append recorded.
type heldRun struct {
	entries []chain.Folded
	weight  int64
}

func (r *heldRun) first() uint64 { return r.entries[0].Entry.Index }

// maxHeld bounds the entries that are held, in bytes of memory.
const maxHeld = 48 << 20

// weighFolded estimates what memory an entry takes with its share of the message
// that it views.
func weighFolded(f *chain.Folded) int64 {
	const fixed = 1400 // the entry, its bytes, its keys, and the key's slot in slabs
	p := &f.Payload
	n := fixed + len(p.Envelope) + len(p.Body) + len(p.Before) + len(p.After) + len(f.Original)
	if f.Keys != nil {
		n += 32 * (cap(f.Keys.Linked) + cap(f.Keys.Dimensions))
	}
	return int64(n)
}

// add holds what an append recorded, and lets go of what is oldest.
func (r *ring) add(entries []chain.Folded) {
	if len(entries) == 0 {
		return
	}
	run := heldRun{entries: entries}
	for i := range entries {
		run.weight += weighFolded(&entries[i])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = append(r.runs, run)
	r.weight += run.weight
	n := 0
	for ; n < len(r.runs) && r.weight > r.most; n++ {
		r.weight -= r.runs[n].weight
		r.runs[n] = heldRun{} // the slice's array outlives its beginning
	}
	r.runs = r.runs[n:]
}

// forget lets go of payloads that were destroyed. Whoever reads a run meanwhile
// goes on with what it has; nobody gets it anew. Nearly every append destroys none, and
// the runs are tens of thousands where records come by themselves.
func (r *ring) forget(gone []uint64) {
	if len(gone) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := range r.runs {
		run := &r.runs[n]
		first := run.first()
		low, _ := slices.BinarySearch(gone, first)
		high, _ := slices.BinarySearch(gone, first+uint64(len(run.entries)))
		if low == high {
			continue
		}
		run.entries = slices.Clone(run.entries)
		for _, index := range gone[low:high] {
			f := &run.entries[index-first]
			before := weighFolded(f)
			f.Payload, f.Original, f.Keys = chain.Payload{Kept: chain.KeptNone}, nil, nil
			run.weight -= before - weighFolded(f)
			r.weight -= before - weighFolded(f)
		}
	}
}

// from returns the held entries from index on, up to the end of an append; none
// when the entry at index isn't held.
func (r *ring) from(index uint64) []chain.Folded {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := sort.Search(len(r.runs), func(i int) bool { return r.runs[i].first() > index })
	if n == 0 {
		return nil
	}
	run := &r.runs[n-1]
	return run.entries[min(index-run.first(), uint64(len(run.entries))):]
}

// begins returns the index of the oldest entry that is held, and none when none is.
func (r *ring) begins(none uint64) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.runs) == 0 {
		return none
	}
	return r.runs[0].first()
}

// held is room for one leaf of the ring. What it points to is the reader's own;
// bytes and strings are everybody's.
type held struct {
	leaf    chain.Leaf
	payload chain.Payload
	keys    activity.Keys
}

// read returns an entry as the store would give it, with its keys and its hash.
func (h *held) read(f *chain.Folded) *chain.Leaf {
	h.leaf = chain.Leaf{Entry: f.Entry, Raw: f.Raw, Original: f.Original, Hash: f.Leaf}
	if len(f.Entry.Tail) > 0 {
		h.leaf.Entry.Tail = f.Raw[chain.HeaderSize:]
	}
	if !f.Bare() {
		h.payload = f.Payload
		h.leaf.Payload = &h.payload
	}
	if f.Keys != nil {
		h.keys = *f.Keys
		h.leaf.Keys = &h.keys
	}
	return &h.leaf
}
