package ledger

import (
	"slices"
	"sort"
	"sync"
	"time"

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

// heldRun is what one append recorded, and when.
type heldRun struct {
	entries []chain.Folded
	weight  int64
	at      time.Time
}

func (r *heldRun) first() uint64 { return r.entries[0].Entry.Index }

// end is the index of the entry that follows.
func (r *heldRun) end() uint64 { return r.first() + uint64(len(r.entries)) }

// What is held: so many bytes of memory at the most, and of those what is younger than
// heldFor, by when whoever follows closely has come by, or is among the newest heldAtLeast,
// which are on no full shelf yet. What was held for longer would be looked through by each
// collection of garbage, which recording waits for meanwhile.
const (
	maxHeld     = 48 << 20
	heldFor     = 2 * time.Second
	heldAtLeast = 2 * shelfEntries
)

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
func (r *ring) add(entries []chain.Folded, now time.Time) {
	if len(entries) == 0 {
		return
	}
	run := heldRun{entries: entries, at: now}
	for i := range entries {
		run.weight += weighFolded(&entries[i])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = append(r.runs, run)
	r.weight += run.weight
	n := 0
	for ; n < len(r.runs) && (r.weight > r.most || r.runs[n].old(&run)); n++ {
		r.weight -= r.runs[n].weight
		r.runs[n] = heldRun{} // the slice's array outlives its beginning
	}
	r.runs = r.runs[n:]
}

// old reports whether a run is held for nobody any more when the newest one has come.
func (r *heldRun) old(newest *heldRun) bool {
	return newest.at.Sub(r.at) > heldFor && newest.end()-r.end() >= heldAtLeast
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
		high, _ := slices.BinarySearch(gone, run.end())
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
