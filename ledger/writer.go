package ledger

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"annals/ledger/chain"
)

// writer lays one folded batch out as one Pebble batch.
type writer struct {
	db    *pebble.DB
	batch *pebble.Batch
	edge  edge
	spent []uint32 // seeds that salted what the batch erases
	gone  []uint64 // entries whose payloads it destroys, ascending
}

// maxKeptBatch is the size up to which a batch's memory is kept for the next.
const maxKeptBatch = 8 << 20

// newWriter begins a batch for what a fold gave.
func newWriter(db *pebble.DB, e edge, r *chain.Result) *writer {
	return &writer{db: db, batch: db.NewBatchWithSize(sizeOfBatch(r), pebble.WithMaxRetainedSizeBytes(maxKeptBatch)), edge: e}
}

// sizeOfBatch estimates how many bytes a batch takes, so that it need not grow.
func sizeOfBatch(r *chain.Result) int {
	const (
		framing = 1 + 1 + 3 // of an operation: its kind, and the lengths
		nodes   = len(chain.Hash{})
		fixed   = 2*(framing+entryKeySize) + nodes + framing + 1 + len(chain.Hash{}) + 8
	)
	n := 1024 + len(r.Heads)*(framing+1+len(chain.Hash{})+headSize)
	for i := range r.Entries {
		n += fixed + len(r.Entries[i].Raw) + r.Entries[i].Payload.Size()
	}
	return n
}

// stage writes everything that a fold's result adds, and the state after it.
func (w *writer) stage(r *chain.Result) error {
	for i := range r.Entries {
		if err := w.entry(&r.Entries[i]); err != nil {
			return err
		}
	}
	if err := w.keys(r.Entries); err != nil {
		return err
	}
	for i := range r.Entries {
		if err := w.destroy(w.db, r, &r.Entries[i]); err != nil {
			return err
		}
	}
	// Map order must not show: replicas are compared byte by byte.
	tags := make([]chain.Hash, 0, len(r.Heads))
	for tag := range r.Heads {
		tags = append(tags, tag)
	}
	slices.SortFunc(tags, func(a, b chain.Hash) int { return bytes.Compare(a[:], b[:]) })
	for _, tag := range tags {
		if err := w.head(&tag, r.Heads[tag]); err != nil {
			return err
		}
	}
	if r.State.Seed != chain.GenesisSeed {
		if err := w.batch.Set(seedKey(r.State.Seed), r.State.Secret[:], nil); err != nil {
			return err
		}
	}
	root, err := w.edge.root()
	if err != nil {
		return err
	}
	return w.batch.Set(keyState, r.State.Append(root[:]), nil)
}

// entry writes one entry's row, with the nodes that it completes, and its payload.
func (w *writer) entry(f *chain.Folded) error {
	index := f.Entry.Index
	nodes := w.edge.last[1 : 1+w.edge.push(f.Leaf)]
	row := w.batch.SetDeferred(entryKeySize, len(nodes)*len(chain.Hash{})+len(f.Raw))
	putEntryKey(row.Key, index, partRow)
	at := 0
	for i := range nodes {
		at += copy(row.Value[at:], nodes[i][:])
	}
	copy(row.Value[at:], f.Raw)
	if err := row.Finish(); err != nil {
		return err
	}
	if f.Entry.Ref != chain.NoRef {
		if err := w.batch.Set(referenceKey(f.Entry.Ref, index), []byte{byte(f.Entry.Kind)}, nil); err != nil {
			return err
		}
	}
	if f.Bare() {
		return nil
	}
	payload := w.batch.SetDeferred(entryKeySize, f.Payload.Size())
	putEntryKey(payload.Key, index, partPayload)
	f.Payload.Append(payload.Value[:0])
	return payload.Finish()
}

// keys writes the dedupe keys, after the entries and in their own order: what is
// written next to what was just written costs the store the shortest search.
func (w *writer) keys(entries []chain.Folded) error {
	type place struct {
		head uint64 // the key's first bytes: hardly two are the same
		at   int
	}
	first := make([]place, 0, len(entries))
	for i := range entries {
		if entries[i].First {
			first = append(first, place{binary.BigEndian.Uint64(entries[i].Key[:]), i})
		}
	}
	slices.SortFunc(first, func(a, b place) int {
		if c := cmp.Compare(a.head, b.head); c != 0 {
			return c
		}
		return bytes.Compare(entries[a.at].Key[:], entries[b.at].Key[:])
	})
	for _, p := range first {
		f := &entries[p.at]
		op := w.batch.SetDeferred(1+len(f.Key), 8)
		op.Key[0] = prefixDedupe
		copy(op.Key[1:], f.Key[:])
		binary.BigEndian.PutUint64(op.Value, f.Entry.Index)
		if err := op.Finish(); err != nil {
			return err
		}
	}
	return nil
}

// head writes a workspace's head.
func (w *writer) head(tag *chain.Hash, h chain.Head) error {
	op := w.batch.SetDeferred(1+len(tag), headSize)
	op.Key[0] = prefixHead
	copy(op.Key[1:], tag[:])
	appendHead(op.Value[:0], h)
	return op.Finish()
}
