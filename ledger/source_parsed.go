package ledger

import (
	"context"
	"iter"

	"annals/ledger/chain"
)

// Parsed yields entries as [Ledger.Leaves] does, parsed and with the originals of
// duplicates: what indexes are folded from. Unlike [Source.Leaves] it ends, with an
// error, where an entry is missing or does not parse.
func (s *Source) Parsed(ctx context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
	return leavesOf(ctx, s.db, from, to)
}
