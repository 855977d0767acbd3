package proof

import (
	"bytes"
	"context"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"annals/internal/multibuffer"
	"annals/ledger/chain"
)

// reading is what workers need to know, the same for all of them.
type reading struct {
	src      Source
	o        Options
	ledger   *chain.Hash // nil when unknown
	payloads bool        // check them
	nodes    bool        // compare stored node hashes
}

// item is one entry as a worker leaves it: parsed, hashed, its payload checked.
type item struct {
	entry    chain.Entry // as far as the bytes can be read
	leaf     chain.Hash
	form     error    // why the bytes are no entry of version 1
	raw      []byte   // only where form is set
	readable bool     // the header's fields could be read
	exact    bool     // entry prints the very bytes that were read
	trouble  *trouble // with what stands beside the entry
	orphan   bool     // a duplicate that something stands beside, and nothing beside its original
}

// trouble is a finding that a worker made, for the join to weigh: it says nothing
// when the entry itself isn't what was recorded.
type trouble struct {
	finding Finding
	detail  string
	// about is the entry that the finding is about besides, when names is set: it
	// must be sound too.
	about uint64
	names bool
	// Of what is missing: the entry's kind and what it names, for an erasure covers
	// the duplicates of what it selects.
	kind chain.Kind
	ref  uint64
}

// chunk is an aligned run of entries, everything local to it checked.
type chunk struct {
	from, to uint64
	items    []item
	levels   [][]tlog.Hash // levels[l][i] is node (l, from>>l + i), recomputed
	differ   []node        // stored nodes that are absent or other than recomputed
	err      error

	payloads, notKept, unchecked uint64
}

// node names a node of the tree.
type node struct {
	level  int
	n      uint64
	absent bool
}

// worker checks chunks, one after the other. It keeps scratch space.
type worker struct {
	reading
	hasher   multibuffer.Hasher
	owed     []commitment // of the chunk's payloads
	scratch  []byte
	subjects map[string]subject
	refs     []reference
	stored   []byte // nodes that came with the chunk's entries
	known    bool   // they are all there
}

func newWorker(r reading) *worker {
	return &worker{reading: r, scratch: make([]byte, 0, 8<<10), subjects: map[string]subject{}}
}

// check reads and checks a chunk.
func (w *worker) check(ctx context.Context, ck *chunk) {
	if ck.err = w.read(ctx, ck); ck.err != nil {
		return
	}
	if ck.err = w.settleRefs(ctx, ck); ck.err != nil {
		return
	}
	w.hash(ck)
	if w.nodes && !w.sameNodes(ck) {
		ck.err = w.compareNodes(ctx, ck)
	}
}

func (w *worker) read(ctx context.Context, ck *chunk) error {
	w.refs, w.owed = w.refs[:0], slices.Grow(w.owed[:0], int(ck.to-ck.from))
	w.stored, w.known = w.stored[:0], w.nodes
	for leaf, err := range w.src.Leaves(ctx, ck.from, ck.to) {
		if err != nil {
			w.hasher.Flush() // nothing of this chunk is written into later
			return err
		}
		if uint64(len(ck.items)) == ck.to-ck.from {
			break
		}
		ck.items = append(ck.items, item{}) // within its capacity: digests are written there later
		it := &ck.items[len(ck.items)-1]
		chain.LeafHashTo(&w.hasher, &it.leaf, leaf.Raw)
		w.keepNodes(ck, leaf.Nodes)
		it.entry, it.form = chain.ParseEntry(leaf.Raw)
		if it.form != nil {
			it.salvage(leaf.Raw)
			continue
		}
		it.readable, it.exact = true, true
		if w.payloads {
			leaf.Entry = it.entry
			w.payload(ck, len(ck.items)-1, &leaf)
		}
		it.entry.Tail = bytes.Clone(it.entry.Tail)
	}
	w.hasher.Flush()
	for i := range ck.items {
		ck.levels[0] = append(ck.levels[0], tlog.Hash(ck.items[i].leaf))
	}
	w.settleOwed(ck)
	return nil
}

// salvage reads the header's fields off bytes that are no entry: they tell which
// place the entry claims and what it names.
func (it *item) salvage(raw []byte) {
	it.raw = bytes.Clone(raw)
	if len(raw) < chain.HeaderSize {
		it.entry.Tail = nil
		return
	}
	it.readable = true
	it.entry.Tail = bytes.Clone(it.entry.Tail)
	if it.exact = bytes.Equal(it.entry.Append(nil), raw); it.exact {
		return
	}
	// A header of version 1 without a tail gives its fields, whatever it breaks.
	header := bytes.Clone(raw[:chain.HeaderSize])
	copy(header, "anl\x01")
	header[14], header[15] = 0, 0
	it.entry, _ = chain.ParseEntry(header)
}

// hash computes every complete node of the tree that lies within the chunk.
func (w *worker) hash(ck *chunk) {
	for l := 1; l < len(ck.levels); l++ {
		below := ck.levels[l-1]
		level := slices.Grow(ck.levels[l][:0], len(below)/2)[:len(below)/2]
		for i := range level {
			chain.NodeHashTo(&w.hasher, (*[32]byte)(&level[i]), (*[32]byte)(&below[2*i]), (*[32]byte)(&below[2*i+1]))
		}
		w.hasher.Flush()
		ck.levels[l] = level
	}
}

// completes is how many nodes the entry at an index completes.
func completes(index uint64) int { return bits.TrailingZeros64(index + 1) }

// keepNodes keeps the nodes that came with the chunk's last item.
func (w *worker) keepNodes(ck *chunk, nodes []byte) {
	index := ck.from + uint64(len(ck.items)-1)
	w.known = w.known && len(nodes) == completes(index)*len(tlog.Hash{})
	if w.known {
		w.stored = append(w.stored, nodes...)
	}
}

// sameNodes reports whether the chunk is whole, the stored nodes came with its
// entries, and they are the recomputed ones. Where they aren't, compareNodes
// says which differ.
func (w *worker) sameNodes(ck *chunk) bool {
	if !w.known || uint64(len(ck.items)) != ck.to-ck.from {
		return false
	}
	rest := w.stored
	for index := ck.from; index < ck.to; index++ {
		for level := 1; level <= completes(index); level++ {
			var stored tlog.Hash
			rest = rest[copy(stored[:], rest):]
			if level >= len(ck.levels) {
				continue // above the chunk: the join compares it
			}
			if stored != ck.levels[level][(index+1)>>level-1-ck.from>>level] {
				return false
			}
		}
	}
	return true
}

// stored reports whether the source stores the nodes of a level: a folder those
// above the leaves, tiles every eighth.
func (o *Options) stored(level int) bool {
	if o.Tiles {
		return level%8 == 0
	}
	return level > 0
}

// compareNodes compares the chunk's nodes with the stored ones.
func (w *worker) compareNodes(ctx context.Context, ck *chunk) error {
	for l := range ck.levels {
		if !w.o.stored(l) {
			continue
		}
		at := ck.from >> l
		differ, err := compareLevel(ctx, w.src, l, at, ck.levels[l], ck.differ)
		if err != nil {
			return err
		}
		ck.differ = differ
	}
	return nil
}

// compareLevel compares recomputed nodes (level, from …) with the stored ones and
// appends those that differ.
func compareLevel(ctx context.Context, src Source, level int, from uint64, nodes []tlog.Hash, differ []node) ([]node, error) {
	if len(nodes) == 0 {
		return differ, nil
	}
	i := 0
	for stored, err := range src.Nodes(ctx, level, from, from+uint64(len(nodes))) {
		if err != nil {
			return differ, err
		}
		if tlog.Hash(stored) != nodes[i] {
			differ = append(differ, node{level: level, n: from + uint64(i)})
		}
		if i++; i == len(nodes) {
			return differ, nil
		}
	}
	for ; i < len(nodes); i++ {
		differ = append(differ, node{level: level, n: from + uint64(i), absent: true})
	}
	return differ, nil
}

// reset makes the chunk ready for another range.
func (ck *chunk) reset(from, to uint64, levels int) {
	clear(ck.items)
	if n := int(to - from); cap(ck.items) < n {
		ck.items = make([]item, 0, n)
	}
	ck.items, ck.differ = ck.items[:0], ck.differ[:0]
	for len(ck.levels) < levels {
		ck.levels = append(ck.levels, nil)
	}
	for l := range ck.levels {
		ck.levels[l] = ck.levels[l][:0]
	}
	ck.from, ck.to, ck.err = from, to, nil
	ck.payloads, ck.notKept, ck.unchecked = 0, 0, 0
}
