package ledger

import (
	"bytes"
	"context"
	"iter"
	"time"

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

// CloneLeaf copies a leaf that is valid for a moment only.
var CloneLeaf = cloneLeaf

// ShelfEntries is how many entries the rows take in at once.
const ShelfEntries = shelfEntries

// RowHeld reports whether an entry stands in memory as it is stored.
func (l *Ledger) RowHeld(index uint64) bool {
	return l.rows.copy(index, new(copied))
}

// RowsHold reports whether some bytes stand anywhere among the rows.
func (l *Ledger) RowsHold(b []byte) bool {
	l.rows.mu.RLock()
	defer l.rows.mu.RUnlock()
	for _, s := range l.rows.shelves {
		if bytes.Contains(s.bytes, b) {
			return true
		}
	}
	return false
}

// FillInPieces gives the ledger rows anew, and has the warmer fill their first shelf in
// pieces that are as short as pieces are, until it is held, or a hundred times. halfway is
// called once, in between; nil: nothing is. It returns how many pieces there were.
func (l *Ledger) FillInPieces(most int64, halfway func()) (pieces int) {
	if l.rows != nil {
		l.rows.clear()
	}
	l.rows = newRows(most)
	w := &warmer{db: l.db, rows: l.rows, log: l.log}
	var s shelving
	for _, held := l.RowsSize(); held == 0 && pieces < 100; _, held = l.RowsSize() {
		w.fill(&s, 0, shelfEntries, time.Time{}) // its time was over before it began
		if pieces++; halfway != nil && pieces == 8 {
			halfway()
			halfway = nil
		}
	}
	return pieces
}
