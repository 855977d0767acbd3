package proof

import (
	"context"
	"iter"

	"annals/ledger/chain"
)

// Head is the end of a ledger: how many entries it has, the root of the tree
// over them (RFC 6962), and the leaf hash of the last. A ledger without entries
// has a last leaf of zeros and, for a root, zeros or the hash of no bytes.
type Head struct {
	Size     uint64     `json:"size"`
	Root     chain.Hash `json:"root"`
	LastLeaf chain.Hash `json:"last_leaf"`
}

// Source is where an audit reads a ledger: a folder, a server's tiles, a pack.
// Its methods may be called from many goroutines at once.
//
// A source hands on what is stored, and judges nothing: that is what the audit
// is for. Its errors are about reading (a disk, a network, a permission), never
// about what was read; they end the audit without a verdict.
type Source interface {
	// Head returns the ledger's own head.
	Head(ctx context.Context) (Head, error)

	// Leaves yields what is stored for the entries from index from up to, not
	// including, to, in order, and ends early when there is no more. An entry
	// that is absent is left out; one whose bytes don't parse is yielded all the
	// same. Raw, Payload and Nodes alone are read. Payload is nil when nothing
	// stands beside the entry, and &chain.Payload{} when what stands there doesn't
	// parse. Nodes may be left out: they are then read by the method of that name.
	// What is yielded is valid until the next step.
	Leaves(ctx context.Context, from, to uint64) iter.Seq2[chain.Leaf, error]

	// Nodes yields the stored hashes of the complete nodes (level, n), from ≤ n
	// < to, in order, for a level of at least 1; node (level, n) covers the
	// leaves [n<<level, (n+1)<<level). It ends early where one is absent.
	Nodes(ctx context.Context, level int, from, to uint64) iter.Seq2[chain.Hash, error]
}
