package projections

import (
	"context"
	"iter"
	"runtime"
	"sync"

	"annals/ledger/chain"
)

// stretchRuns is how many runs a reader reads in a row, before it goes on behind what
// the others read meanwhile. It holds one more.
const stretchRuns = 4

// mostReaders is how many readers keep one fold busy, and more.
const mostReaders = 4

// abreast reads the entries [from, to) as [Ahead] does, by so many readers (0: one for
// each processor), each some hundreds in a row, and hands them out in order: reading and
// scanning take three times as long as folding. Leaves is called from several goroutines
// at once, unless there is one reader.
func abreast(ctx context.Context, leaves Leaves, readers int, from, to uint64) iter.Seq2[chain.Leaf, error] {
	if readers == 0 {
		readers = min(runtime.GOMAXPROCS(0), mostReaders)
	}
	if readers == 1 || to-from <= aheadLeaves {
		return Ahead(leaves(ctx, from, to))
	}
	return func(yield func(chain.Leaf, error) bool) {
		b := &band{leaves: leaves, ctx: ctx, stop: make(chan struct{})}
		order := b.start(readers, from, to)
		defer b.work.Wait() // not before the readers have let go of the ledger
		defer close(b.stop)
		for s := range order {
			n := s.from
			for r := range s.full {
				for i := range r.leaves {
					if !yield(r.leaves[i], nil) {
						return
					}
				}
				n += uint64(len(r.leaves))
				if r.err != nil {
					yield(chain.Leaf{}, r.err)
					return
				}
				r.home <- r
			}
			if n < s.to {
				return // there are no more, whatever the others found
			}
		}
	}
}

// band are the readers that read abreast.
type band struct {
	leaves Leaves
	ctx    context.Context
	stop   chan struct{}
	work   sync.WaitGroup
}

// stretch is some entries in a row, and the runs that they are read into.
type stretch struct {
	from, to uint64
	full     chan *run
}

// start starts the readers, and returns their stretches in order.
func (b *band) start(readers int, from, to uint64) <-chan stretch {
	order, unread := make(chan stretch, readers), make(chan stretch)
	b.work.Go(func() {
		defer close(order)
		defer close(unread)
		for at := from; at < to; at += stretchRuns * aheadLeaves {
			s := stretch{from: at, to: min(to, at+stretchRuns*aheadLeaves), full: make(chan *run, stretchRuns)}
			for _, c := range []chan<- stretch{order, unread} {
				select {
				case c <- s:
				case <-b.stop:
					return
				}
			}
		}
	})
	for range readers {
		b.work.Go(func() {
			// A reader has runs of its own: nobody who waits for its stretch has them.
			spent := make(chan *run, stretchRuns+1)
			for range stretchRuns + 1 {
				spent <- &run{home: spent}
			}
			for s := range unread {
				read(b.leaves(b.ctx, s.from, s.to), s.full, spent, b.stop)
			}
		})
	}
	return order
}
