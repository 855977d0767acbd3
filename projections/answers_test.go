package projections

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/errgroup"
)

var queries = flag.Int("queries", 2000, "random questions that the model test asks")

// TestModel compares the answers to random questions with the model's, while the
// ledger grows across blocks and eras: from memory, from the store, and from a
// store that was closed and opened.
func TestModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	m := newModel()
	o := Options{FS: vfs.NewMem(), flush: 1 << 12, memTable: 1 << 20, eraBits: 1}
	p := open(t, m.ledger, o)
	size, ask := uint64(2*blockSize+3000), *queries
	if testing.Short() { // the race detector's run
		size, ask = blockSize+3000, min(ask, 400)
	}
	asked := 0
	look := func(n int) {
		t.Helper()
		check(t, askBeside(p, m, rng, n))
		asked += n
	}
	reopen := func() {
		shut(t, p)
		p = open(t, m.ledger, o)
		if at, last := p.Cursor(); at != m.size() || last != m.last || p.Restarted() != "" {
			t.Fatalf("reopened at %d %s (%s), closed at %d %s", at, last, p.Restarted(), m.size(), m.last)
		}
	}
	look(20)
	for m.size() < size {
		from := m.size()
		m.grow(rng, 1+rng.IntN(6000), &adversarial)
		check(t, p.Fold(m.from(from, m.size())))
		look(ask / 40)
		if rng.IntN(3) == 0 {
			reopen()
		}
	}
	for asked < ask {
		look(max(1, (ask-asked)/2))
		if asked < ask*9/10 {
			reopen()
		}
	}
	shut(t, p)
	t.Logf("%d questions", asked)
}

// askBeside asks n questions, two at a time: of views of their own, as readers do.
func askBeside(p *Projections, m *model, rng *rand.Rand, n int) error {
	var both errgroup.Group
	for _, share := range []int{n / 2, n - n/2} {
		own := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
		both.Go(func() error {
			v, err := p.View()
			if err != nil {
				return err
			}
			if v.Cursor() != m.size() {
				return errors.Join(fmt.Errorf("view of %d, folded %d", v.Cursor(), m.size()), v.Close())
			}
			return errors.Join(m.check(v, own, &adversarial, share), v.Close())
		})
	}
	return both.Wait()
}

func open(t *testing.T, ledger chain.Hash, o Options) *Projections {
	t.Helper()
	p, err := Open("projections", ledger, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func shut(t *testing.T, p *Projections) {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}
