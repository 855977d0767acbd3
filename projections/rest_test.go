package projections

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestRest: while much is folded tables stand above one another, and while little is they
// are merged, those that were there at the start too, and the same is found.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGrowing(9_000)
		fs := vfs.NewMem()
		p, err := Open("resting", g.ledger, small(fs))
		check(t, err)
		above := func() int32 { return p.db.Metrics().Levels[0].Sublevels }
		defer func() { _ = p.Close() }()
		time.Sleep(restLook / 2)                                // so that each of its looks sees a whole fold
		for at := uint64(0); above() < restAbove+2; at += 300 { // 600 a second
			if at >= g.size() {
				t.Fatalf("%d tables stand above one another: this test sees nothing", above())
			}
			check(t, p.Fold(g.read(t.Context(), at, min(at+300, g.size()))))
			check(t, p.db.Flush())
			time.Sleep(restLook)
		}
		check(t, p.Close())
		p, err = Open("resting", g.ledger, small(fs))
		check(t, err)
		before := above()
		found := answers(t, p, g.size())
		if before < restAbove {
			t.Fatalf("%d tables stand above one another after opening: this test sees nothing", before)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := above(); n > 1 {
			t.Errorf("%d tables stand above one another, %d did", n, before)
		}
		if again := answers(t, p, g.size()); again != found {
			t.Errorf("found afterwards: %s\nbefore: %s", again, found)
		}
	})
}

// answers are what is found, of some questions.
func answers(t *testing.T, p *Projections, size uint64) string {
	t.Helper()
	v, err := p.View()
	check(t, err)
	got, err := answersOf(v, size)
	check(t, err)
	check(t, v.Close())
	return fmt.Sprint(got)
}
