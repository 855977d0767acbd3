package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
)

// Inclusion returns the hashes that lead from an entry to the tree's root at a
// size (RFC 6962, 2.1.1), the leaf's sibling first. The error wraps [ErrNotFound]
// for an index or a size that the ledger has not durably reached.
func (l *Ledger) Inclusion(index, size uint64) ([]chain.Hash, error) {
	all, err := l.Inclusions([]uint64{index}, size)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// Inclusions is [Ledger.Inclusion] of many entries in one tree: what their proofs
// share is read once.
func (l *Ledger) Inclusions(indexes []uint64, size uint64) ([][]chain.Hash, error) {
	if err := l.reaches(size); err != nil {
		return nil, err
	}
	nodes := storedNodes{l.db}
	var read tlog.HashReader = nodes
	if len(indexes) > 1 {
		read = remembered{nodes, make(map[int64]tlog.Hash)}
	}
	out := make([][]chain.Hash, len(indexes))
	for i, index := range indexes {
		if index >= size {
			return nil, fmt.Errorf("%w: entry %d in a tree of %d", ErrNotFound, index, size)
		}
		p, err := tlog.ProveRecord(int64(size), int64(index), read)
		if err != nil {
			return nil, err
		}
		out[i] = chainHashes(p)
	}
	return out, nil
}

// Consistency returns the hashes that show that the tree of to entries begins with
// that of from (RFC 6962, 2.1.2). From 0 there is nothing to show. The error wraps
// [ErrNotFound] for sizes that the ledger has not durably reached, or when from is
// above to.
func (l *Ledger) Consistency(from, to uint64) ([]chain.Hash, error) {
	if err := l.reaches(to); err != nil {
		return nil, err
	}
	switch {
	case from > to:
		return nil, fmt.Errorf("%w: a tree of %d entries in one of %d", ErrNotFound, from, to)
	case from == 0:
		return []chain.Hash{}, nil
	}
	p, err := tlog.ProveTree(int64(to), int64(from), storedNodes{l.db})
	if err != nil {
		return nil, err
	}
	return chainHashes(p), nil
}

// reaches says that a tree of size entries is durable.
func (l *Ledger) reaches(size uint64) error {
	if head := l.Head(); size > head.Size {
		return fmt.Errorf("%w: size %d, the ledger has %d", ErrNotFound, size, head.Size)
	}
	return nil
}

func chainHashes(hashes []tlog.Hash) []chain.Hash {
	out := make([]chain.Hash, len(hashes))
	for i, h := range hashes {
		out[i] = chain.Hash(h)
	}
	return out
}

// remembered serves tlog nodes that were read before, for proofs that share most
// of theirs.
type remembered struct {
	from  tlog.HashReader
	known map[int64]tlog.Hash
}

func (r remembered) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		h, ok := r.known[at]
		if !ok {
			read, err := r.from.ReadHashes([]int64{at})
			if err != nil {
				return nil, err
			}
			h = read[0]
			r.known[at] = h
		}
		out[i] = h
	}
	return out, nil
}
