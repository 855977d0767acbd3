package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
)

// Get returns one durable entry with its payload, and its leaf hash. The error
// wraps [ErrNotFound] when there is none.
func (l *Ledger) Get(index uint64) (chain.Leaf, chain.Hash, error) {
	var out chain.Leaf
	var hash chain.Hash
	err := l.GetMany([]uint64{index}, func(leaf *chain.Leaf, h chain.Hash) error {
		out, hash = cloneLeaf(leaf), h
		return nil
	})
	return out, hash, err
}

func cloneLeaf(leaf *chain.Leaf) chain.Leaf {
	out := *leaf
	out.Raw, out.Nodes, out.Keys = slices.Clone(leaf.Raw), nil, nil
	if len(out.Entry.Tail) > 0 {
		out.Entry.Tail = out.Raw[chain.HeaderSize:]
	}
	out.Original = slices.Clone(leaf.Original)
	if leaf.Payload != nil {
		out.Payload = leaf.Payload.Clone()
	}
	return out
}

// GetMany reads durable entries in the order given and hands each to fn; what it
// hands over is valid until fn returns. It stops at fn's first error, or with
// one that wraps [ErrNotFound].
func (l *Ledger) GetMany(indexes []uint64, fn func(leaf *chain.Leaf, hash chain.Hash) error) error {
	size := l.Head().Size
	recently := l.ring.begins(size)
	var h held
	var c *copied
	var r *reader
	defer func() {
		if r != nil {
			r.close()
		}
	}()
	for _, index := range indexes {
		if index >= size {
			return fmt.Errorf("%w: %d of %d", ErrNotFound, index, size)
		}
		if index >= recently {
			if recent := l.ring.from(index); len(recent) > 0 {
				if err := fn(h.read(&recent[0]), recent[0].Leaf); err != nil {
					return err
				}
				continue
			}
		}
		if l.rows != nil {
			if c == nil {
				c = &copied{found: found{db: l.db}}
			}
			if l.rows.copy(index, c) {
				leaf, err := c.leaf()
				if err != nil {
					return err
				}
				if err := fn(leaf, c.hash); err != nil {
					return err
				}
				continue
			}
		}
		if r == nil {
			var err error
			if r, err = newReader(l.db, bounds(prefixEntry)); err != nil {
				return err
			}
		}
		if !r.seek(index) || r.index != index {
			return errors.Join(fmt.Errorf("%w: %d of %d", ErrNotFound, index, size), r.it.Error())
		}
		leaf, err := r.leaf()
		if err != nil {
			return err
		}
		if err := fn(leaf, chain.LeafHash(leaf.Raw)); err != nil {
			return err
		}
	}
	return nil
}

// RowsSize returns how much memory entries take that are held as they are stored, in
// bytes, and how many those are; see [Options.Rows].
func (l *Ledger) RowsSize() (bytes int64, entries int) {
	if l.rows == nil {
		return 0, 0
	}
	return l.rows.size()
}

// Leaves iterates durable entries from index from up to, not including, to. What
// it yields is valid until the next step. It yields an error, and ends, where an
// entry is missing or does not parse.
//
// Entries recorded a moment ago it yields from memory, with their keys and hash;
// others come without.
func (l *Ledger) Leaves(ctx context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
	to = min(to, l.Head().Size)
	return func(yield func(chain.Leaf, error) bool) {
		var h held
		for index := from; index < to; {
			recent := l.ring.from(index)
			if len(recent) == 0 {
				// Up to where the ring begins, and a little further: it moves on meanwhile.
				until := min(to, max(index, l.ring.begins(to))+fewestRead)
				for leaf, err := range leavesOf(ctx, l.db, index, until) {
					if !yield(leaf, err) || err != nil {
						return
					}
				}
				index = until
				continue
			}
			if ctx.Err() != nil {
				yield(chain.Leaf{}, ctx.Err())
				return
			}
			recent = recent[:min(uint64(len(recent)), to-index)]
			for i := range recent {
				leaf := h.read(&recent[i])
				if err := attach(l.db, leaf); err != nil {
					yield(chain.Leaf{}, err)
					return
				}
				if !yield(*leaf, nil) {
					return
				}
			}
			index += uint64(len(recent))
		}
	}
}

// fewestRead is how many entries are worth opening an iterator of the store.
const fewestRead = 256

func leavesOf(ctx context.Context, db pebble.Reader, from, to uint64) iter.Seq2[chain.Leaf, error] {
	return func(yield func(chain.Leaf, error) bool) {
		if from >= to {
			return
		}
		r, err := newReader(db, between(from, to))
		if err != nil {
			yield(chain.Leaf{}, err)
			return
		}
		defer r.close()
		ok := r.seek(from)
		for index := from; index < to; index++ {
			if index%1024 == 0 && ctx.Err() != nil {
				yield(chain.Leaf{}, ctx.Err())
				return
			}
			if !ok || r.index != index {
				yield(chain.Leaf{}, r.missing(index))
				return
			}
			leaf, err := r.leaf()
			if err != nil {
				yield(chain.Leaf{}, err)
				return
			}
			if !yield(*leaf, nil) {
				return
			}
			ok = r.next()
		}
	}
}

// found is an entry as it is stored, taken apart. It is made once and used for one entry
// after the other.
type found struct {
	db      pebble.Reader
	index   uint64
	out     chain.Leaf // its Raw is what is taken apart
	payload chain.Payload
}

// reader reads entries from the store, each with its payload.
type reader struct {
	found // index is that of the row that it reads
	it    *pebble.Iterator
	key   [entryKeySize]byte // that is looked for
	row   []byte             // a copy: the iterator goes on to the payload
}

func newReader(db pebble.Reader, o *pebble.IterOptions) (*reader, error) {
	it, err := db.NewIter(o)
	if err != nil {
		return nil, err
	}
	return &reader{found: found{db: db}, it: it}, nil
}

func bounds(prefix byte) *pebble.IterOptions {
	return &pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}}
}

// between bounds an iteration to the entries from index from up to, not
// including, to.
func between(from, to uint64) *pebble.IterOptions {
	return &pebble.IterOptions{LowerBound: entryKey(from, partRow), UpperBound: entryKey(to, partRow)}
}

func (r *reader) close() { _ = r.it.Close() }

// missing says why the entry at index isn't there.
func (r *reader) missing(index uint64) error {
	if err := r.it.Error(); err != nil {
		return &readError{from: index, err: err}
	}
	return damaged(index, "the entry is missing")
}

// seek goes to the first row that stands at index or after it.
func (r *reader) seek(index uint64) bool {
	r.it.SeekGE(putEntryKey(r.key[:], index, partRow))
	return r.next()
}

// next goes to the row that follows, over payloads that no row stands before.
func (r *reader) next() bool {
	for ok := r.it.Valid(); ok; ok = r.it.Next() {
		index, part, known := splitEntryKey(r.it.Key())
		if known && part == partRow {
			r.index = index
			return true
		}
	}
	return false
}

// take reads the row that the reader is at, and the payload behind it, nil when
// there is none. Both are valid until the next step.
func (r *reader) take() (payload []byte, err error) {
	row, err := r.it.ValueAndErr()
	if err != nil {
		return nil, err
	}
	r.row = append(r.row[:0], row...)
	r.out = chain.Leaf{}
	r.out.Nodes, r.out.Raw = splitRow(r.index, r.row)
	if !r.it.Next() {
		return nil, r.it.Error()
	}
	if index, part, known := splitEntryKey(r.it.Key()); known && index == r.index && part == partPayload {
		return r.it.ValueAndErr()
	}
	return nil, nil
}

// leaf reads and parses what stands at the reader's index.
func (r *reader) leaf() (*chain.Leaf, error) {
	payload, err := r.take()
	if err != nil {
		return nil, err
	}
	return r.parse(payload)
}

// parse takes the entry apart, and its payload; nil: it has none.
func (f *found) parse(payload []byte) (_ *chain.Leaf, err error) {
	if f.out.Entry, err = chain.ParseEntry(f.out.Raw); err != nil {
		return nil, err
	}
	if err := attach(f.db, &f.out); err != nil {
		return nil, err
	}
	if payload == nil {
		return &f.out, nil
	}
	if f.payload, err = chain.ParsePayload(payload); err != nil {
		return nil, damaged(f.index, firstLine(err))
	}
	f.out.Payload = &f.payload
	if f.payload.Kept == chain.KeptAround {
		if f.out.Original, err = recordBytes(f.db, f.out.Entry.Ref); err != nil {
			return nil, err
		}
	}
	return &f.out, nil
}

// attach says of an erasure what it covers.
func attach(db pebble.Reader, leaf *chain.Leaf) error {
	erase, ok := leaf.Entry.Erases()
	if !ok {
		return nil
	}
	indexes, err := covered(db, leaf.Entry.Index, &erase)
	if err != nil {
		return err
	}
	leaf.Gone = &chain.Gone{Workspace: erase.Workspace, Indexes: indexes, Millis: make([]uint64, len(indexes))}
	for i, index := range indexes {
		e, err := entryAt(db, index)
		if err != nil {
			return err
		}
		leaf.Gone.Millis[i] = e.ULID.Time()
	}
	return nil
}

// originalAt reads what an entry is compared by: its record bytes are nil when they are
// erased.
func originalAt(db pebble.Reader, index uint64) (chain.Original, error) {
	gone := chain.OriginalOf(index, nil)
	b, closer, err := db.Get(entryKey(index, partPayload))
	if errors.Is(err, pebble.ErrNotFound) {
		return gone, nil
	}
	if err != nil {
		return gone, err
	}
	defer closer.Close()
	payload, err := chain.ParsePayload(b)
	if err != nil {
		return gone, damaged(index, firstLine(err))
	}
	original := chain.OriginalOf(index, &payload)
	original.Record = slices.Clone(original.Record)
	return original, nil
}

// recordBytes reads the record bytes of an entry: nil when they are erased.
func recordBytes(db pebble.Reader, index uint64) ([]byte, error) {
	original, err := originalAt(db, index)
	return original.Record, err
}

// entry reads one stored entry, without its payload.
func (l *Ledger) entry(index uint64) (chain.Entry, error) { return entryAt(l.db, index) }

func entryAt(db pebble.Reader, index uint64) (chain.Entry, error) {
	row, closer, err := db.Get(entryKey(index, partRow))
	if err != nil {
		return chain.Entry{}, fmt.Errorf("ledger: entry %d: %w", index, err)
	}
	defer closer.Close()
	_, raw := splitRow(index, row)
	return chain.ParseEntry(slices.Clone(raw))
}

// IndexAt returns the index of the first entry recorded at or after ms, in
// milliseconds since 1970; the ledger's size when there is none.
func (l *Ledger) IndexAt(ms int64) (uint64, error) {
	var failed error
	i := sort.Search(int(l.Head().Size), func(i int) bool {
		e, err := l.entry(uint64(i))
		failed = errors.Join(failed, err)
		return err != nil || int64(e.ULID.Time()) >= ms
	})
	return uint64(i), failed
}

// RootAt returns the tree's root at an earlier size. The error wraps
// [ErrNotFound] for a size that the ledger has not durably reached.
func (l *Ledger) RootAt(size uint64) (chain.Hash, error) {
	head := l.Head()
	switch {
	case size == head.Size:
		return head.Root, nil
	case size > head.Size:
		return chain.Hash{}, fmt.Errorf("%w: size %d, the ledger has %d", ErrNotFound, size, head.Size)
	}
	return rootAt(l.db, size)
}

// ReachedAt returns the stream sequence that the first size entries reach
// ([chain.Entry.Reaches]). The error wraps [ErrNotFound] for a size that the ledger
// has not durably reached.
func (l *Ledger) ReachedAt(size uint64) (uint64, error) {
	if head := l.Head(); size > head.Size {
		return 0, fmt.Errorf("%w: size %d, the ledger has %d", ErrNotFound, size, head.Size)
	}
	return reachedAt(l.db, size)
}

func rootAt(db pebble.Reader, size uint64) (chain.Hash, error) {
	root, err := tlog.TreeHash(int64(size), storedNodes{db})
	return chain.Hash(root), err
}

// storedNodes serves tlog the tree's nodes from Pebble.
type storedNodes struct{ db pebble.Reader }

func (s storedNodes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, stored := range indexes {
		level, n := tlog.SplitStoredHashIndex(stored)
		h, err := s.node(level, uint64(n))
		if err != nil {
			return nil, err
		}
		out[i] = tlog.Hash(h)
	}
	return out, nil
}

// node reads one node: at level 0 it is the hash of the entry.
func (s storedNodes) node(level int, n uint64) (chain.Hash, error) {
	index, place := n, 0
	if level > 0 {
		index, place = nodeRow(level, n)
	}
	row, closer, err := s.db.Get(entryKey(index, partRow))
	if err != nil {
		return chain.Hash{}, fmt.Errorf("ledger: node %d of level %d: %w", n, level, err)
	}
	defer closer.Close()
	nodes, raw := splitRow(index, row)
	if level == 0 {
		return chain.LeafHash(raw), nil
	}
	if len(nodes) < (place+1)*len(chain.Hash{}) {
		return chain.Hash{}, &DamageError{What: fmt.Sprintf("the row of node %d of level %d is short", n, level)}
	}
	return chain.Hash(nodes[place*len(chain.Hash{}):]), nil
}
