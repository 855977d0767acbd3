package proof

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
)

// windowChunks is how many chunks' nodes are kept while the join moves on, so
// that roots at sizes a little way back can be computed.
const windowChunks = 16

// tree is the Merkle tree over what was read. Above the chunks it keeps every
// node, 64 bytes a chunk; within them, only the last chunks'.
type tree struct {
	bits   int // a full chunk is the node (bits, n)
	upper  []tlog.Hash
	window map[uint64][][]tlog.Hash // by chunk number
	size   uint64
	whole  bool // no entry was missing so far
}

func newTree(chunk int) *tree {
	t := &tree{window: map[uint64][][]tlog.Hash{}, whole: true}
	for 1<<t.bits < chunk {
		t.bits++
	}
	return t
}

// add adds a chunk's nodes, and returns the nodes above it that are complete now,
// levels bits+1 and up. The chunk's levels are taken; others come in return.
func (t *tree) add(ck *chunk) ([]tlog.Hash, error) {
	if !t.whole || ck.from != t.size {
		t.whole = false
		return nil, nil
	}
	number := ck.from >> t.bits
	t.size += uint64(len(ck.items))
	old := number - windowChunks
	spare := t.window[old]
	delete(t.window, old)
	t.window[number], ck.levels = ck.levels, spare
	if len(ck.items) < 1<<t.bits {
		return nil, nil
	}
	root := t.window[number][t.bits][0]
	added, err := tlog.StoredHashesForRecordHash(int64(number), root, tlog.HashReaderFunc(t.readUpper))
	if err != nil {
		return nil, err
	}
	t.upper = append(t.upper, added...)
	return added[1:], nil
}

func (t *tree) readUpper(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at >= int64(len(t.upper)) {
			return nil, errOutOfWindow
		}
		out[i] = t.upper[at]
	}
	return out, nil
}

var errOutOfWindow = errors.New("the node is not at hand")

// ReadHashes implements [tlog.HashReader] over what is at hand.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		level, n := tlog.SplitStoredHashIndex(at)
		if level >= t.bits {
			h, err := t.readUpper([]int64{tlog.StoredHashIndex(level-t.bits, n)})
			if err != nil {
				return nil, err
			}
			out[i] = h[0]
			continue
		}
		number := uint64(n) >> (t.bits - level)
		levels, ok := t.window[number]
		within := uint64(n) - number<<(t.bits-level)
		if !ok || within >= uint64(len(levels[level])) {
			return nil, errOutOfWindow
		}
		out[i] = levels[level][within]
	}
	return out, nil
}

// rootAt returns the root at a size up to the tree's; ok is false when it is out
// of the window.
func (t *tree) rootAt(size uint64) (root chain.Hash, ok bool) {
	if !t.whole || size > t.size {
		return root, false
	}
	h, err := tlog.TreeHash(int64(size), t)
	return chain.Hash(h), err == nil
}

// leafAt returns a leaf hash within the window.
func (t *tree) leafAt(index uint64) (chain.Hash, bool) {
	h, err := t.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(index))})
	if err != nil {
		return chain.Hash{}, false
	}
	return chain.Hash(h[0]), true
}

// differsInLastOnly reports whether root is the root of this tree with another
// last leaf.
func (t *tree) differsInLastOnly(root, last chain.Hash) bool {
	if !t.whole || t.size == 0 {
		return false
	}
	n := int64(t.size)
	proof, err := tlog.ProveRecord(n, n-1, t)
	return err == nil && tlog.CheckRecord(proof, n, tlog.Hash(root), n-1, tlog.Hash(last)) == nil
}

// compareUpper compares the nodes above a chunk that it completed.
func (j *joiner) compareUpper(ctx context.Context, from uint64, added []tlog.Hash) error {
	for i, h := range added {
		level := j.tree.bits + 1 + i
		if !j.o.stored(level) {
			continue
		}
		var err error
		if j.differ, err = compareLevel(ctx, j.src, level, from>>level, []tlog.Hash{h}, j.differ); err != nil {
			return fmt.Errorf("reading node (%d, %d): %w", level, from>>level, err)
		}
	}
	return nil
}
