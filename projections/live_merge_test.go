package projections

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestRebuildMergesLate folds so much that tables would be merged several times, into
// projections that nobody reads yet: none is merged. When they serve,
// they are.
func TestRebuildMergesLate(t *testing.T) {
	g := newGrowing(20_000)
	o := small(vfs.NewMem())
	o.rebuilding = true
	p, err := Open("unread", g.ledger, o)
	check(t, err)
	check(t, p.Fold(g.read(t.Context(), 0, g.size())))
	p.folding.Lock()
	p.settle()
	p.folding.Unlock()
	check(t, p.db.Flush())
	m := p.db.Metrics()
	if m.Levels[0].Sublevels <= tablesAbove || m.Compact.Count > 0 {
		t.Errorf("%d tables above one another after %d compactions: too few for this test, or merged early", m.Levels[0].Sublevels, m.Compact.Count)
	}
	check(t, p.Close())

	l := openLive(t, g, small(vfs.NewMem()))
	check(t, l.Rebuild(t.Context(), g.read, g.size, nil))
	if above := l.serving.Load().db.Metrics().Levels[0].Sublevels; above > tablesAbove {
		t.Errorf("%d tables stand above one another in what serves", above)
	}
	check(t, l.Close())
}
