package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
)

// edge is the tree's right edge: at each level the last node that is complete.
// It is all that appending needs, and gives the root.
type edge struct {
	size uint64
	last [64]tlog.Hash
}

// ReadHashes serves tlog the nodes that the right edge holds.
func (e *edge) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		level, n := tlog.SplitStoredHashIndex(at)
		if uint64(n)+1 != e.size>>level {
			return nil, fmt.Errorf("ledger: node %d of level %d is not on the right edge of a tree of %d", n, level, e.size)
		}
		out[i] = e.last[level]
	}
	return out, nil
}

// push appends a leaf. It returns how many nodes that completes: they are
// e.last[1:1+n].
func (e *edge) push(leaf chain.Hash) (n int) {
	node := tlog.Hash(leaf)
	for ; e.size>>n&1 == 1; n++ {
		node, e.last[n] = tlog.NodeHash(e.last[n], node), node
	}
	e.last[n] = node
	e.size++
	return n
}

// root returns the tree's root.
func (e *edge) root() (chain.Hash, error) {
	root, err := tlog.TreeHash(int64(e.size), e)
	return chain.Hash(root), err
}

// nodeRow says where a node of level 1 or above is stored: at the entry that
// completes it, and at which place of that row.
func nodeRow(level int, n uint64) (index uint64, place int) {
	return (n+1)<<level - 1, level - 1
}
