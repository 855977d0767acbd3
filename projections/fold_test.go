package projections

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestLineage folds what does not follow: refused, and what did follow stays.
func TestLineage(t *testing.T) {
	mine, other := newLeaves(), newLeavesOf("another")
	for range 100 {
		mine.add(spec{kind: chain.KindGap})
		other.add(spec{kind: chain.KindGap})
	}
	liar := &leaves{leaves: append(append([]chain.Leaf{}, mine.leaves[:70]...), mine.leaves[70])}
	liar.leaves[70].Entry.Index++
	p := open(t, mine.ledger, Options{FS: vfs.NewMem()})
	defer shut(t, p)
	for _, c := range []struct {
		name     string
		l        *leaves
		from, to uint64
		at       uint64 // the cursor afterwards
		err      error
	}{
		{"another ledger", other, 0, 100, 0, ErrLineage},
		{"not from the start", mine, 1, 2, 0, ErrLineage},
		{"OK", mine, 0, 70, 70, nil},
		{"a replay", mine, 69, 71, 70, ErrLineage},
		{"a hole", mine, 71, 72, 70, ErrLineage},
		{"another ledger's next", other, 70, 71, 70, ErrLineage},
		{"another index", liar, 70, 71, 70, ErrLineage},
		{"nothing", mine, 70, 70, 70, nil},
		{"the rest", mine, 70, 100, 100, nil},
	} {
		if err := p.Fold(c.l.from(c.from, c.to)); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		if at, _ := p.Cursor(); at != c.at {
			t.Errorf("%s: cursor %d, want %d", c.name, at, c.at)
		}
		if n, err := count(p, Query{Kinds: chain.Kinds()}); n != c.at || err != nil {
			t.Errorf("%s: %d entries (%v), want %d", c.name, n, err, c.at)
		}
	}
	if err := p.Reset(); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the iterator broke")
	err := p.Fold(func(yield func(chain.Leaf, error) bool) {
		for leaf := range mine.from(0, 5) {
			yield(leaf, nil)
		}
		yield(chain.Leaf{}, broken)
	})
	if at, _ := p.Cursor(); at != 5 || !errors.Is(err, broken) {
		t.Errorf("the iterator broke after 5: %v, cursor %d", err, at)
	}
	if p.Err() != nil {
		t.Errorf("the iterator's error stays: %v", p.Err())
	}
}

// TestWait waits for entries that come, that don't come in time, and that never
// can.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLeaves()
		for range 10 {
			l.add(spec{kind: chain.KindGap})
		}
		p := &Projections{changed: make(chan struct{}), options: Options{flush: blockSize}}
		p.past.Store(&past{workspaces: &workspaces{number: map[chain.Hash]uint32{}}})
		p.hot.Store(&hot{active: newTail(0, chain.FirstPrevious(l.ledger), 0, 0)})
		check(t, p.Wait(t.Context(), 0))
		ctx, cancel := context.WithCancel(t.Context())
		results := make(chan error, 3)
		go func() { results <- p.Wait(t.Context(), 10) }()
		synctest.Wait()
		check(t, p.Fold(l.from(0, 9)))
		synctest.Wait()
		if len(results) > 0 {
			t.Fatal("9 entries pass for 10")
		}
		check(t, p.Fold(l.from(9, 10)))
		check(t, <-results)

		go func() { results <- p.Wait(ctx, 11) }()
		synctest.Wait()
		cancel()
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		go func() { results <- p.Wait(t.Context(), 11) }()
		synctest.Wait()
		p.announce(ErrClosed)
		if err := <-results; !errors.Is(err, ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

// TestReaders asks while the fold goes on: each view answers for its own size,
// and for all of it.
func TestReaders(t *testing.T) {
	m := newModel()
	m.grow(rand.New(rand.NewPCG(4, 4)), 12_000, &short)
	p := open(t, m.ledger, Options{FS: vfs.NewMem(), flush: 1 << 8, memTable: 64 << 10})
	done := make(chan struct{})
	var readers sync.WaitGroup
	for r := range 3 {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(r), 4))
			last := uint64(0)
			for {
				v, err := p.View()
				if err != nil {
					t.Error(err)
					return
				}
				if v.Cursor() < last {
					t.Errorf("a view of %d after one of %d", v.Cursor(), last)
				}
				last = v.Cursor()
				if err := m.check(v, rng, &short, 4); err != nil {
					t.Error(err)
				}
				if err := v.Close(); err != nil || t.Failed() {
					t.Error(err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(6, 6))
	for at := uint64(0); at < m.size(); {
		to := min(m.size(), at+1+uint64(rng.IntN(400)))
		if err := p.Fold(m.from(at, to)); err != nil {
			t.Fatal(err)
		}
		at = to
	}
	close(done)
	readers.Wait()
	shut(t, p)
}

// TestWritten looks at the moment when a tail is written and still in memory: its
// entries count once.
func TestWritten(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	m := newModel()
	m.grow(rng, 2000, &short)
	p := open(t, m.ledger, Options{FS: vfs.NewMem()})
	defer shut(t, p)
	check(t, p.Fold(m.from(0, 1900)))
	both := p.hot.Load().active
	check(t, p.write(both))
	v, err := p.View()
	check(t, err)
	if v.Cursor() != 1900 {
		t.Errorf("a view of %d", v.Cursor())
	}
	check(t, errors.Join(m.check(v, rng, &short, 200), v.Close()))

	// And the next tail begins while the written one is still there.
	size, last := both.end()
	p.hot.Store(&hot{sealed: both, active: newTail(size, last, 0, 0)})
	check(t, p.Fold(m.from(1900, 2000)))
	v, err = p.View()
	check(t, err)
	if v.Cursor() != 2000 {
		t.Errorf("a view of %d", v.Cursor())
	}
	check(t, errors.Join(m.check(v, rng, &short, 200), v.Close()))
}

// TestReset forgets everything but what open views see.
func TestReset(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	m := newModel()
	m.grow(rng, 2000, &short)
	p := open(t, m.ledger, Options{FS: vfs.NewMem(), flush: 1 << 8})
	defer shut(t, p)
	check(t, p.Fold(m.all()))
	before, err := p.View()
	check(t, err)
	check(t, p.Reset())
	after, err := p.View()
	check(t, err)
	if size, last := p.Cursor(); after.Cursor() != 0 || size != 0 || last != chain.FirstPrevious(m.ledger) {
		t.Errorf("reset to %d %s, a view has %d", size, last, after.Cursor())
	}
	check(t, m.check(before, rng, &short, 100))
	check(t, m.check(after, rng, &short, 20))
	check(t, p.Fold(m.from(0, 999)))
	check(t, m.check(before, rng, &short, 100))
	check(t, m.check(after, rng, &short, 20))
	check(t, errors.Join(before.Close(), before.Close(), after.Close()))
	if _, err := after.Count(t.Context(), Query{}); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed view answers: %v", err)
	}
}
