package ledger

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"annals/ledger/chain"
)

// Hashes appends the hashes of the tree's complete nodes (level, n), from ≤ n <
// to, to dst: 32 bytes each, as a tile has them (C2SP tlog-tiles, with level a
// multiple of 8). Node (level, n) covers the entries [n<<level, (n+1)<<level); at
// level 0 it is the hash of an entry as it is stored. The error wraps
// [ErrNotFound] where the ledger has not durably completed one of them.
func (l *Ledger) Hashes(dst []byte, level int, from, to uint64) ([]byte, error) {
	if size := l.Head().Size; level < 0 || level > 63 || to > size>>level {
		return dst, fmt.Errorf("%w: nodes up to %d of level %d, the ledger has %d entries", ErrNotFound, to, level, size)
	}
	if level == 0 {
		return l.leafHashes(dst, from, to)
	}
	if from >= to {
		return dst, nil
	}
	first, place := nodeRow(level, from)
	last, _ := nodeRow(level, to-1)
	it, err := l.db.NewIter(between(first, last+1))
	if err != nil {
		return dst, err
	}
	defer func() { _ = it.Close() }()
	key := make([]byte, entryKeySize)
	for n := from; n < to; n++ {
		index, _ := nodeRow(level, n)
		// Each is one seek, which Pebble shortens: the keys ascend.
		row, err := rowUnder(it, putEntryKey(key, index, partRow), index)
		if err != nil {
			return dst, err
		}
		nodes, _ := splitRow(index, row)
		if len(nodes) < (place+1)*len(chain.Hash{}) {
			return dst, damaged(index, fmt.Sprintf("the row lacks the tree's node of level %d", level))
		}
		dst = append(dst, nodes[place*len(chain.Hash{}):][:len(chain.Hash{})]...)
	}
	return dst, nil
}

// rowUnder reads the row that stands under key, which is that of an entry. It is
// valid until the iterator's next step.
func rowUnder(it *pebble.Iterator, key []byte, index uint64) ([]byte, error) {
	if !it.SeekGE(key) || string(it.Key()) != string(key) {
		if err := it.Error(); err != nil {
			return nil, &readError{from: index, err: err}
		}
		return nil, damaged(index, "the entry is missing")
	}
	return it.ValueAndErr()
}

func (l *Ledger) leafHashes(dst []byte, from, to uint64) ([]byte, error) {
	err := l.rawEntries(from, to, func(raw []byte, hash *chain.Hash) {
		if hash != nil {
			dst = append(dst, hash[:]...)
			return
		}
		leaf := chain.LeafHash(raw)
		dst = append(dst, leaf[:]...)
	})
	return dst, err
}

// Bundle appends the bytes of the entries from index from up to, not including,
// to, to dst, each behind its length in 16 bits: an entry bundle of C2SP
// tlog-tiles. Payloads are not among them. The error wraps [ErrNotFound] where the
// ledger has not durably recorded one of them.
func (l *Ledger) Bundle(dst []byte, from, to uint64) ([]byte, error) {
	if size := l.Head().Size; to > size {
		return dst, fmt.Errorf("%w: entries up to %d, the ledger has %d", ErrNotFound, to, size)
	}
	err := l.rawEntries(from, to, func(raw []byte, _ *chain.Hash) {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(raw))) // [chain.MaxEntrySize] fits
		dst = append(dst, raw...)
	})
	return dst, err
}

// rawEntries hands durable entries to fn, in order, as they are stored; with their
// hash where it is at hand. What it hands over is valid until fn returns.
func (l *Ledger) rawEntries(from, to uint64, fn func(raw []byte, hash *chain.Hash)) error {
	for index := from; index < to; {
		recent := l.ring.from(index)
		if len(recent) == 0 {
			// Up to where the ring begins; it moves on meanwhile, so ask again then.
			until := max(index+1, min(to, l.ring.begins(to)))
			if err := storedEntries(l.db, index, until, fn); err != nil {
				return err
			}
			index = until
			continue
		}
		recent = recent[:min(uint64(len(recent)), to-index)]
		for i := range recent {
			fn(recent[i].Raw, &recent[i].Leaf)
		}
		index += uint64(len(recent))
	}
	return nil
}

// storedEntries reads entries in one pass: one seek, and then what follows.
func storedEntries(db pebble.Reader, from, to uint64, fn func(raw []byte, hash *chain.Hash)) error {
	it, err := db.NewIter(between(from, to))
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }()
	next := from
	for ok := it.First(); ok; ok = it.Next() {
		index, part, known := splitEntryKey(it.Key())
		if !known || part != partRow {
			continue // a payload, which is not read
		}
		row, err := it.ValueAndErr()
		if err != nil {
			return &readError{from: index, err: err}
		}
		_, raw := splitRow(index, row)
		if index != next {
			break
		}
		if len(raw) < chain.HeaderSize || len(raw) > chain.MaxEntrySize {
			return damaged(index, fmt.Sprintf("it has %d bytes", len(raw)))
		}
		fn(raw, nil)
		next++
	}
	switch err := it.Error(); {
	case err != nil:
		return &readError{from: next, err: err}
	case next < to:
		return damaged(next, "the entry is missing")
	}
	return nil
}

// Raw returns the bytes of one durable entry, without its payload. The error
// wraps [ErrNotFound] when there is none.
func (l *Ledger) Raw(index uint64) (raw []byte, err error) {
	if size := l.Head().Size; index >= size {
		return nil, fmt.Errorf("%w: %d of %d", ErrNotFound, index, size)
	}
	err = l.rawEntries(index, index+1, func(b []byte, _ *chain.Hash) { raw = append(raw, b...) })
	return raw, err
}
