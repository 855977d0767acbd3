package projections

import (
	"context"
	"time"
)

// While little is folded the tables that stand above one another are merged, though
// there are fewer than have to be: each is one more for a reader to look into, and a
// question searches a dozen times. That takes one processor for a second at the most,
// for they are of one era or two.
const (
	restLook = 500 * time.Millisecond
	// restBelow is how many entries a second are little: a table has 2^14, so that at
	// this rate one era is written again each two minutes.
	restBelow = 500
	// restAbove is how many tables above one another are worth it.
	restAbove = 4
)

// rest merges while little is folded, until ctx ends. A merge that has begun then goes on:
// closing the store waits for it.
func (p *Projections) rest(ctx context.Context) {
	tick := time.NewTicker(restLook)
	defer tick.Stop()
	seen, _ := p.Cursor()
	merged := uint64(0) // the ledger's size that the store held
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		before := seen
		seen, _ = p.Cursor()
		held := p.held()
		if held == merged || float64(seen-min(before, seen)) > restBelow*restLook.Seconds() {
			continue
		}
		m := p.db.Metrics()
		if m.MemTable.Count > 1 {
			continue // one more table is about to be written
		}
		if m.Levels[0].Sublevels >= restAbove {
			// What goes wrong the store tells the log, and whoever asks later.
			_ = p.db.Compact(ctx, p.above(held), []byte{rowEnd}, false)
		}
		merged = held
	}
}

// held is the ledger's size that the store holds.
func (p *Projections) held() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.written
}

// above is the first key that what stands above one another may have: its era's.
func (p *Projections) above(held uint64) []byte {
	at := layout{p.options.eraBits}
	first := blockOf(held - min(held, tablesAbove*blockSize))
	return appendEra(nil, at.eraOf(first), 0)
}
