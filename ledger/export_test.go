package ledger

import (
	"context"
	"iter"

	"annals/ledger/chain"
)

// SizeOf and MaxInFlight let tests weigh messages as the pipeline does.
var SizeOf = sizeOf

const MaxInFlight = maxInFlight

// HoldAtMost makes the ring's bound so many bytes.
func (l *Ledger) HoldAtMost(bytes int64) {
	l.ring.mu.Lock()
	defer l.ring.mu.Unlock()
	l.ring.most = bytes
}

// Held is what the ring says that it holds, in bytes.
func (l *Ledger) Held() int64 {
	l.ring.mu.Lock()
	defer l.ring.mu.Unlock()
	return l.ring.weight
}

// StoredLeaves iterates entries as the store has them, whatever the ring holds.
func (l *Ledger) StoredLeaves(ctx context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
	return leavesOf(ctx, l.db, from, to)
}

// Awaited is how many messages somebody waits for.
func (l *Ledger) Awaited() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.awaited)
}

// FlushStore makes the store write what is in its memory into files.
func (l *Ledger) FlushStore() error { return l.db.Flush() }

// Cached is what the store's block cache holds, in bytes, and how often somebody did not
// find in it what they looked for.
func (l *Ledger) Cached() (size, misses int64) {
	m := l.db.Metrics().BlockCache
	return m.Size, m.Misses
}

// Unwarmed is how many files the warmer has still to read.
func (l *Ledger) Unwarmed() int {
	l.warmer.mu.Lock()
	defer l.warmer.mu.Unlock()
	return len(l.warmer.spans)
}
