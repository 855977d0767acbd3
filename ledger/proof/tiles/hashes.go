package tiles

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

// ErrOther marks tiles that hash to another root than a checkpoint's.
var ErrOther = errors.New("the tiles are of another tree")

// Begins checks that the tree begins with the one of an earlier checkpoint. Errors
// wrap [ErrAbsent] when a tile that the tree requires is not there, and [ErrOther]
// when its tiles hash to another root, or don't belong together;
// [proof.ErrProof] says that this tree is sound and begins with another.
//
// Both answers are proven. A root at each size would follow from the tiles too, but
// from different ones: whoever serves them could show the tree that was signed in
// the upper ones, and what they like below.
func (t *Tree) Begins(ctx context.Context, earlier proof.Checkpoint) error {
	if earlier.Size > t.checkpoint.Size || t.checkpoint.Size>>62 > 0 {
		return fmt.Errorf("proof/tiles: %w: a tree of %d entries can't begin with one of %d", proof.ErrProof, t.checkpoint.Size, earlier.Size)
	}
	reader := t.reader(ctx)
	root := func(size uint64) (chain.Hash, error) {
		h, err := tlog.TreeHash(int64(size), reader)
		return chain.Hash(h), err
	}
	now, err := root(t.checkpoint.Size)
	if err != nil {
		return err
	}
	if now != t.checkpoint.Root {
		return fmt.Errorf("proof/tiles: %w: the root of %d entries is %s by the tiles, and %s is signed", ErrOther, t.checkpoint.Size, now, t.checkpoint.Root)
	}
	then, err := root(earlier.Size)
	if err != nil {
		return err
	}
	between, err := t.Consistency(ctx, earlier.Size)
	if err != nil {
		return err
	}
	if err := proof.CheckConsistency(earlier.Size, then, t.checkpoint.Size, t.checkpoint.Root, between); err != nil {
		return fmt.Errorf("proof/tiles: %w: they show the root %s at size %d, which the signed tree has not: %v", ErrOther, then, earlier.Size, err)
	}
	if then != earlier.Root {
		return fmt.Errorf("proof/tiles: %w: the tree of %d entries has the root %s at size %d, not %s", proof.ErrProof, t.checkpoint.Size, then, earlier.Size, earlier.Root)
	}
	return nil
}

// Inclusion proves an entry to be in the tree (RFC 6962, 2.1.1), the leaf's sibling
// first. Nothing is proven by it if the tiles aren't the checkpoint's.
func (t *Tree) Inclusion(ctx context.Context, index uint64) ([]chain.Hash, error) {
	p, err := tlog.ProveRecord(int64(t.checkpoint.Size), int64(index), t.reader(ctx))
	return Hashes(p), err
}

// Consistency proves that the tree begins with that of an earlier size (RFC 6962,
// 2.1.2).
func (t *Tree) Consistency(ctx context.Context, from uint64) ([]chain.Hash, error) {
	if from == 0 || from == t.checkpoint.Size {
		return nil, nil
	}
	p, err := tlog.ProveTree(int64(t.checkpoint.Size), int64(from), t.reader(ctx))
	return Hashes(p), err
}

// Hashes are tlog's, of a proof, as the ledger has them.
func Hashes(p []tlog.Hash) []chain.Hash {
	out := make([]chain.Hash, len(p))
	for i, h := range p {
		out[i] = chain.Hash(h)
	}
	return out
}

// reader reads nodes of any level.
func (t *Tree) reader(ctx context.Context) tlog.HashReader {
	return Reader(func(level int, n uint64) (tlog.Hash, error) { return t.hash(ctx, level, n) })
}

// Reader reads tlog's nodes one by one.
func Reader(node func(level int, n uint64) (tlog.Hash, error)) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			level, n := tlog.SplitStoredHashIndex(at)
			h, err := node(level, uint64(n))
			if err != nil {
				return nil, err
			}
			out[i] = h
		}
		return out, nil
	})
}

// Above returns the node above a row of complete ones, as many as a power of two. It
// writes over the row.
func Above(row []tlog.Hash) tlog.Hash {
	for ; len(row) > 1; row = row[:len(row)/2] {
		for i := range len(row) / 2 {
			row[i] = tlog.NodeHash(row[2*i], row[2*i+1])
		}
	}
	return row[0]
}

// hash is a complete node of any level, from the hashes of the level below it that
// tiles hold: they are all in one tile.
func (t *Tree) hash(ctx context.Context, level int, n uint64) (tlog.Hash, error) {
	below := level / Levels * Levels
	span := uint64(1) << (level - below)
	hashes := make([]tlog.Hash, 0, span)
	for h, err := range t.Nodes(ctx, below, n*span, (n+1)*span) {
		if err != nil {
			return tlog.Hash{}, err
		}
		hashes = append(hashes, tlog.Hash(h))
	}
	if uint64(len(hashes)) != span {
		return tlog.Hash{}, fmt.Errorf("proof/tiles: node (%d, %d): %w", level, n, ErrAbsent)
	}
	return Above(hashes), nil
}
