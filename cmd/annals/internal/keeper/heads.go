package keeper

import (
	"context"
	"slices"
	"sync"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// mostMaps is how many marks' maps of heads are remembered: the last one may not be
// under a checkpoint yet.
const mostMaps = 3

// HeadsMaps remembers the maps that a keeper's last marks commit to. A workspace's
// row can be shown only by whoever has all the rows; they are in memory, so after a
// start there are none before the first mark, which serve makes at once. The zero
// value remembers none.
type HeadsMaps struct {
	mu   sync.Mutex
	kept []*headsMap // oldest first
}

type headsMap struct {
	sequence uint64 // of the mark's message
	size     uint64 // that the mark speaks of
	heads    *proof.HeadsMap
	index    uint64 // of the mark's entry, once found
	found    bool
}

// keep remembers the map of a mark that was published.
func (m *HeadsMaps) keep(sequence, size uint64, heads *proof.HeadsMap) {
	if sequence == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = append(m.kept, &headsMap{sequence: sequence, size: size, heads: heads})
	if over := len(m.kept) - mostMaps; over > 0 {
		m.kept = slices.Delete(m.kept, 0, over)
	}
}

// Last returns the last mark that is in an entry of the ledger below an index, and
// the map that it commits to; ok is false when none is remembered.
func (m *HeadsMaps) Last(l *ledger.Ledger, below uint64) (index uint64, heads *proof.HeadsMap, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := len(m.kept) - 1; i >= 0; i-- {
		h := m.kept[i]
		if !h.found && l.Position().Sequence >= h.sequence && !h.find(l) {
			m.kept = slices.Delete(m.kept, i, i+1)
			continue
		}
		if h.found && h.index < below {
			return h.index, h.heads, true
		}
	}
	return 0, nil, false
}

// find looks for the mark's entry; false when the fold made something else of the
// message.
func (m *headsMap) find(l *ledger.Ledger) bool {
	receipt, err := l.Await(context.Background(), m.sequence, 0) // it is folded: this waits for nothing
	if err != nil || receipt.Entry.Kind != chain.KindControl {
		return false
	}
	c, err := receipt.Entry.Control()
	if err != nil || c.Statement.Type != chain.ControlMark || c.Statement.Size != m.size {
		return false
	}
	mark, err := chain.ParseMark(c.Statement.Body)
	if err != nil || mark.Heads != m.heads.Root() {
		return false
	}
	m.index, m.found = receipt.Entry.Index, true
	return true
}
