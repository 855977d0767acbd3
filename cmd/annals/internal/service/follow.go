package service

import (
	"context"
	"errors"
	"log/slog"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/projections"
)

// How many entries are folded in one go: where nobody is far behind, so few that
// a rebuild which is to take over does not wait; else as many as make it pay to
// read ahead.
const (
	followPortion = 1 << 14
	followFar     = 1 << 16
)

// Follow folds the ledger into its projections: what they lack, and then what
// comes, until ctx ends or the ledger grows no more. Projections of another
// history are folded anew. Where nothing can be folded any more, it goes on once
// a rebuild has put others in their place.
func Follow(ctx context.Context, l *ledger.Ledger, p *projections.Live, log *slog.Logger) error {
	if !aligned(l, p) {
		log.Warn("the projections are of another history of this ledger; folding them anew")
		if err := p.Reset(); err != nil {
			return err
		}
	}
	for {
		swapped := p.Swapped()
		size, _ := p.Cursor()
		head, err := l.Wait(ctx, size)
		if err != nil {
			return err
		}
		leaves := l.Leaves(ctx, size, min(head.Size, size+followPortion))
		if head.Size-size > followFar {
			leaves = projections.Ahead(l.Leaves(ctx, size, size+followFar))
		}
		err = p.Fold(leaves)
		switch {
		case err == nil:
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, projections.ErrClosed):
			return err
		case errors.Is(err, projections.ErrLineage):
			if at, _ := p.Cursor(); at != size {
				continue // a rebuild has taken over, and is elsewhere
			}
			log.Warn("the projections are of another history of this ledger; folding them anew", "error", err)
			if err = p.Reset(); err == nil {
				continue
			}
		}
		if p.Err() == nil {
			return err
		}
		log.Error("the projections follow no more; timelines stay as they are until `annals rebuild --url` or a restart", "error", err)
		select {
		case <-swapped:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// aligned reports whether the last entry that was folded is one of the ledger's.
func aligned(l *ledger.Ledger, p *projections.Live) bool {
	size, last := p.Cursor()
	if size == 0 {
		return last == chain.FirstPrevious(l.ID())
	}
	_, hash, err := l.Get(size - 1)
	return err == nil && hash == last
}
