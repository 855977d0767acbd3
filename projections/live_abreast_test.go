package projections

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"

	"annals/ledger/chain"
)

// stretches serves the entries of a model by ranges, and counts who reads.
func stretches(m *model, reading *atomic.Int64, broken uint64, err error) Leaves {
	return func(_ context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
		return func(yield func(chain.Leaf, error) bool) {
			reading.Add(1)
			defer reading.Add(-1)
			for i := from; i < min(to, m.size()); i++ {
				if i == broken {
					yield(chain.Leaf{}, err)
					return
				}
				if !yield(m.leaves.leaves[i], nil) {
					return
				}
			}
		}
	}
}

// TestAbreast reads from the beginning and from within, to each kind of end: by
// several readers come the same leaves as by one.
func TestAbreast(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	m := &model{leaves: newLeaves()}
	m.grow(rand.New(rand.NewPCG(7, 3)), 9*aheadLeaves*stretchRuns+17, &short)
	var reading atomic.Int64
	leaves := stretches(m, &reading, m.size(), nil)
	for _, c := range []struct{ from, to uint64 }{
		{0, m.size()}, {3, aheadLeaves}, {3, aheadLeaves + 4}, {aheadLeaves, aheadLeaves * (stretchRuns + 1)}, {100, m.size() - 1},
	} {
		next := c.from
		for leaf, err := range abreast(t.Context(), leaves, 0, c.from, c.to) {
			check(t, err)
			if want := m.leaves.leaves[next]; !same(leaf, want) || leaf.Hash != chain.LeafHash(want.Raw) {
				t.Fatalf("%d to %d: entry %d is %+v, want %+v", c.from, c.to, next, leaf, want)
			}
			next++
		}
		if next != c.to || reading.Load() != 0 {
			t.Errorf("%d to %d: %d entries; still reading: %d", c.from, c.to, next-c.from, reading.Load())
		}
	}
}

// TestAbreastEnds breaks the reading at places all over, and stops there: an error comes
// behind the entries before it, whoever read on meanwhile, and no reader is left.
func TestAbreastEnds(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	m := &model{leaves: newLeaves()}
	m.grow(rand.New(rand.NewPCG(8, 3)), 6*aheadLeaves*stretchRuns, &short)
	broken := errors.New("the reader broke")
	const stretch = aheadLeaves * stretchRuns
	for _, at := range []uint64{0, 1, aheadLeaves - 1, aheadLeaves, stretch - 1, stretch, stretch + 1, 3*stretch + 7, m.size() - 1} {
		var reading atomic.Int64
		n := uint64(0)
		var last error
		for _, err := range abreast(t.Context(), stretches(m, &reading, at, broken), 0, 0, m.size()) {
			if last = err; err == nil {
				n++
			}
		}
		if n != at || !errors.Is(last, broken) || reading.Load() != 0 {
			t.Errorf("broken at %d: %d entries, then %v; still reading: %d", at, n, last, reading.Load())
		}
		n = 0
		for range abreast(t.Context(), stretches(m, &reading, m.size(), nil), 0, 0, m.size()) {
			if n++; n >= at {
				break
			}
		}
		if n != max(at, 1) || reading.Load() != 0 {
			t.Errorf("%d entries of %d; still reading: %d", n, at, reading.Load())
		}
	}
}

// TestAbreastIsShort reads what ends early within one reader's entries: those behind them,
// which another has read, don't come.
func TestAbreastIsShort(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	m := &model{leaves: newLeaves()}
	m.grow(rand.New(rand.NewPCG(9, 3)), 5*aheadLeaves*stretchRuns, &short)
	const short = 2*aheadLeaves*stretchRuns - 5
	leaves := func(ctx context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
		if from <= short {
			to = min(to, short)
		}
		var reading atomic.Int64
		return stretches(m, &reading, m.size(), nil)(ctx, from, to)
	}
	n := uint64(0)
	for leaf, err := range abreast(t.Context(), leaves, 0, 0, m.size()) {
		check(t, err)
		if leaf.Entry.Index != n {
			t.Fatalf("entry %d comes as the %d-th", leaf.Entry.Index, n)
		}
		n++
	}
	if n != short {
		t.Errorf("%d entries, and %d are there", n, short)
	}
}
