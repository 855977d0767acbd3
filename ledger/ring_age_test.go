package ledger

import (
	"testing"
	"time"

	"annals/ledger/chain"
)

// TestRingLetsGo: the ring lets go of what is older than those need who follow closely, but
// of the newest entries, and of what is over its bound however young it is; and it says
// where it begins.
func TestRingLetsGo(t *testing.T) {
	const each = 256
	began := time.Now()
	r := &ring{most: maxHeld}
	next := uint64(0)
	add := func(after time.Duration) {
		entries := make([]chain.Folded, each)
		for i := range entries {
			entries[i].Entry.Index = next
			next++
		}
		r.add(entries, began.Add(after))
	}
	holds := func(what string, want int) {
		t.Helper()
		n, weight := 0, int64(0)
		for i := range r.runs {
			n += len(r.runs[i].entries)
			weight += r.runs[i].weight
		}
		if n != want || weight != r.weight || r.begins(next) != next-uint64(want) {
			t.Errorf("%s: it holds %d entries from %d on, weighing %d, and says %d; want %d", what, n, r.begins(next), weight, r.weight, want)
		}
	}
	for range 20 {
		add(0)
	}
	holds("at once", 20*each)
	add(heldFor)
	holds("while they may be needed", 21*each)
	add(heldFor + 1)
	holds("once they are old", heldAtLeast)
	add(time.Hour)
	holds("the newest, however old", heldAtLeast)
	for range heldAtLeast/each + 4 {
		add(time.Hour)
	}
	holds("young ones", heldAtLeast+5*each)
	r.most = 6 * r.runs[0].weight
	add(time.Hour)
	holds("no more than the bound", 6*each)
}
