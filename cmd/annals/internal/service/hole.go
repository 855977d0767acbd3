package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"annals/ingest"
	"annals/ledger/chain"
)

// holeRetry is how often the missing messages of a hole are looked for again, and
// the signed gap that admits their loss.
const holeRetry = 5 * time.Second

// overcome gets the ledger over a hole: by the missing messages, wherever they can
// be found, or by a signed gap in the stream. Until there is either it waits, and
// what was recorded is served. It returns a verdict where going on is not for this
// process to decide, nil where reading can go on behind the ledger's position.
//
// The gap is looked for before the leader is stepped down: once an operator has
// signed it, every replica folds it, and what a peer may still hold is too late.
func (p *pump) overcome(ctx context.Context, r *ingest.Reader, hole *ingest.HoleError) error {
	if err := p.ledger.Flush(ctx); err != nil {
		return err
	}
	p.block(hole)
	for step := true; ; step = false {
		bridged, err := p.bridge(ctx, hole)
		if bridged || err != nil {
			return err
		}
		repaired, err := p.climb(ctx, r, hole, step)
		if err == nil && repaired {
			if p.ledger.Position().Sequence >= hole.Last() {
				p.unblock() // nothing may come for long behind a hole at the stream's end
			}
			return nil // reading goes on where the ledger durably is
		}
		var still *ingest.HoleError
		switch {
		case errors.As(err, &still):
			if step {
				p.log.Error("recording waits at a hole; reads are served", "error", still)
				p.block(still) // with all that was tried, which later rounds don't try again
			}
		case err != nil && (repaired || isVerdict(err) || p.ledger.Err() != nil):
			return err
		case err != nil:
			p.log.Warn("looking for missing messages failed; trying again", "error", err)
		}
		select {
		case <-time.After(p.holeRetry):
		case <-p.nudged:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := r.Check(ctx); isVerdict(err) {
			return err
		}
	}
}

// climb looks for the missing messages, rung by rung, and appends what it finds. It
// reports whether that was any; a *[ingest.HoleError] says what was tried in vain.
func (p *pump) climb(ctx context.Context, r *ingest.Reader, hole *ingest.HoleError, step bool) (bool, error) {
	found, err := ingest.Climb(ctx, p.nc, hole, ingest.LadderOptions{
		At: r.Position(), Step: step, Mirror: p.mirror, Logger: p.log,
	})
	var still *ingest.HoleError
	switch {
	case len(found) > 0:
		if err := p.ledger.Append(ctx, found); err != nil {
			return false, err
		}
		if err := p.ledger.Flush(ctx); err != nil {
			return false, err
		}
		p.repaired.Add(uint64(len(found)))
		return true, nil
	case errors.As(err, &still):
		before := p.ledger.Position().Sequence
		if repaired, err := p.askPeers(ctx, still); repaired || err != nil {
			p.repaired.Add(p.ledger.Position().Sequence - before)
			return repaired, err
		}
	}
	return false, err
}

// bridge folds the signed gap that admits the hole, if one stands in the stream.
func (p *pump) bridge(ctx context.Context, hole *ingest.HoleError) (bool, error) {
	notices, err := ingest.ControlsBehind(ctx, p.nc, ingest.SubjectGap, hole.Last())
	if err != nil {
		p.log.Warn("looking for a signed gap failed; trying again", "error", err)
		return false, ctx.Err()
	}
	head := p.ledger.Head()
	for i := range notices {
		m := &notices[i]
		g, ok := m.Gap()
		if !ok || g.Epoch != head.State.Epoch || g.First != hole.Missing {
			continue // of another hole
		}
		err := head.State.CheckGap(m, head.Root)
		var refused *chain.ControlError
		if errors.As(err, &refused) && refused.Code == chain.CodeControlCondition {
			return false, err // an operator's word on another history of this ledger
		}
		if err != nil {
			p.log.Warn("a gap stands in the stream that this ledger does not take", "sequence", m.Sequence, "first", g.First, "last", g.Last, "error", err)
			continue
		}
		if g.Last > hole.Last() {
			// Other replicas fold it. This one can read what it says is lost.
			return false, &heldError{hole: hole, gap: g, notice: m.Sequence}
		}
		if err := p.ledger.AppendGap(ctx, *m); err != nil {
			return false, err
		}
		if err := p.ledger.Flush(ctx); err != nil {
			return false, err
		}
		p.log.Warn("a signed gap admits missing messages; recording goes on behind them", "first", g.First, "last", g.Last, "notice", m.Sequence)
		p.unblock()
		return true, nil
	}
	return false, nil
}

// heldError: an operator admitted more as lost than is missing here.
type heldError struct {
	hole   *ingest.HoleError
	gap    chain.GapNotice
	notice uint64
}

func (e *heldError) Error() string {
	return fmt.Sprintf("the signed gap in message %d says that messages %d to %d are lost, but the stream holds message %d here: "+
		"replicas that fold the gap disagree with it; keep this folder and the stream as they are, find out which servers hold what, "+
		"and begin this replica again from one that has the gap", e.notice, e.gap.First, e.gap.Last, e.hole.Next)
}

// block says that a hole keeps recording from going on, to whoever waits for a
// record behind it, and to whoever asks.
func (p *pump) block(hole *ingest.HoleError) {
	p.hole.Store(hole)
	(*p.clear.Load())()
}

// unblock says that recording goes on.
func (p *pump) unblock() {
	hole, strange := p.hole.Swap(nil), p.strange.Swap(nil)
	if hole != nil || strange != nil {
		p.reopen()
	}
}

// reopen makes the context anew that ends where something is in the way.
func (p *pump) reopen() {
	ctx, cancel := context.WithCancel(context.Background())
	p.free.Store(&ctx)
	p.clear.Store(&cancel)
}

// nudge has the pump look again at once for what it waits for.
func (p *pump) nudge() {
	select {
	case p.nudged <- struct{}{}:
	default:
	}
}

// whole is [pump.check], and that no hole is in the way: a control message that is
// published behind one could not be numbered by what this ledger has folded.
func (p *pump) whole(ctx context.Context) error {
	if hole := p.hole.Load(); hole != nil {
		return hole
	}
	return p.check(ctx)
}
