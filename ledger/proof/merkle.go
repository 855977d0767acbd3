package proof

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
)

// ErrProof marks a Merkle proof that doesn't prove what it is said to prove.
var ErrProof = errors.New("the proof proves nothing")

// maxTree bounds the sizes of trees that proofs may speak of, by what the
// arithmetic below holds. No ledger comes near.
const maxTree = 1 << 62

// CheckInclusion checks that leaf is the index-th leaf hash of the tree of size
// leaves whose root is given (RFC 6962, 2.1.1). The hashes are in the order of the
// standard: the leaf's sibling first. Errors wrap [ErrProof].
func CheckInclusion(size uint64, root chain.Hash, index uint64, leaf chain.Hash, hashes []chain.Hash) error {
	if index >= size || size > maxTree {
		return fmt.Errorf("proof: %w: no tree of %d entries has an entry %d", ErrProof, size, index)
	}
	if err := tlog.CheckRecord(tlogHashes(hashes), int64(size), tlog.Hash(root), int64(index), tlog.Hash(leaf)); err != nil {
		return fmt.Errorf("proof: %w: %d hashes don't lead from entry %d to the root %s of %d entries", ErrProof, len(hashes), index, root, size)
	}
	return nil
}

// CheckConsistency checks that the tree of to leaves begins with the tree of from
// leaves (RFC 6962, 2.1.2). A tree begins with the empty tree, and with itself; both
// proofs are empty. Errors wrap [ErrProof].
func CheckConsistency(from uint64, fromRoot chain.Hash, to uint64, toRoot chain.Hash, hashes []chain.Hash) error {
	switch {
	case from > to || to > maxTree:
		return fmt.Errorf("proof: %w: a tree of %d entries can't begin with one of %d", ErrProof, to, from)
	case from == 0:
		if len(hashes) > 0 || fromRoot != emptyRoot || to == 0 && toRoot != emptyRoot {
			return fmt.Errorf("proof: %w: the empty tree has the root %s and needs no proof", ErrProof, emptyRoot)
		}
		return nil
	}
	if err := tlog.CheckTree(tlogHashes(hashes), int64(to), tlog.Hash(toRoot), int64(from), tlog.Hash(fromRoot)); err != nil {
		return fmt.Errorf("proof: %w: %d hashes don't show that the tree of %d entries with the root %s begins with the one of %d with the root %s",
			ErrProof, len(hashes), to, toRoot, from, fromRoot)
	}
	return nil
}

// emptyRoot is the root of no leaves: SHA-256 of nothing (RFC 6962, 2.1).
var emptyRoot = chain.Hash{
	0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
	0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
}

func tlogHashes(hashes []chain.Hash) []tlog.Hash {
	out := make([]tlog.Hash, len(hashes))
	for i, h := range hashes {
		out[i] = tlog.Hash(h)
	}
	return out
}
