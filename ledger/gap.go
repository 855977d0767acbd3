package ledger

import (
	"context"

	"annals/ledger/chain"
)

// gap is a gap notice on its way to the hole that it admits.
type gap struct {
	message chain.Message
	err     error // why the fold did not take it; set before its flush is told
}

// AppendGap folds a gap notice at the hole that the ledger stands at: everything
// before the hole was appended, and m stands in the stream behind what is lost. It
// returns once the gap's entry is durable; what is appended next is the message
// after the gap, and m itself again in its turn.
//
// Every replica must hand over the first message behind the hole that the fold
// takes ([chain.State.CheckGap]), having made sure that the stream has none of the
// messages that it calls lost. What it doesn't take changes nothing, and another may do: the error is
// then a [chain.ControlError].
func (l *Ledger) AppendGap(ctx context.Context, m chain.Message) error {
	g := &gap{message: m}
	if err := l.flush(ctx, queued{flushed: make(chan struct{}), gap: g}); err != nil {
		return err
	}
	return g.err
}

// foldGap folds a gap notice at the ledger's end.
func (f *folder) foldGap(g *gap) applied {
	if err := f.know(chain.Hash{}); err != nil {
		return applied{err: &StorageError{Err: err}}
	}
	root, err := f.edge.root()
	if err != nil {
		return applied{err: &StorageError{Err: err}}
	}
	result, err := f.state.FoldGap(g.message, chain.Known{Heads: f.heads, Roots: map[uint64]chain.Hash{f.state.Size: chain.Hash(root)}})
	if err != nil {
		g.err = err
		return applied{}
	}
	return f.apply(&result, nil)
}
