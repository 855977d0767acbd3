package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"annals/ledger/chain"
)

// Live is the projections of a running ledger: a generation of them that serves,
// and while [Live.Rebuild] runs a second one that will. Whoever reads does not
// notice, and whoever folds what comes only that the cursor is suddenly ahead.
//
// One goroutine at a time folds; any number read meanwhile.
type Live struct {
	folder  *generations
	serving atomic.Pointer[generation]

	folding sync.Mutex     // held by Fold, Reset, Close and the swap
	retired sync.WaitGroup // those that wait for views of an old generation, to delete it

	mu       sync.Mutex
	closed   bool
	stop     context.CancelFunc // of the rebuild that runs
	rebuilds sync.WaitGroup
	progress Progress
	retiring int           // how many old generations wait for views, or are being deleted
	swapped  chan struct{} // closed by the next swap
}

// OpenLive opens the generation that serves in a folder, and makes the folder
// when it is absent. See [Open], whose errors it has.
func OpenLive(dir string, lineage chain.Hash, o Options) (*Live, error) {
	g, err := openGenerations(dir, lineage, o.withDefaults())
	if err != nil {
		return nil, err
	}
	s, err := g.start()
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	l := &Live{folder: g, swapped: make(chan struct{})}
	l.serving.Store(s)
	return l, nil
}

// ask asks the generation that serves, and again where a swap closed the one
// that was asked.
func (l *Live) ask(question func(*generation) error) error {
	for {
		g := l.serving.Load()
		err := question(g)
		if err == nil || !errors.Is(err, ErrClosed) || l.serving.Load() == g {
			return err
		}
	}
}

// View opens a view of everything folded so far. Close it.
func (l *Live) View() (*View, error) {
	var v *View
	err := l.ask(func(g *generation) (err error) {
		v, err = g.View()
		return err
	})
	return v, err
}

// Cursor is [Projections.Cursor]. It never goes back by a rebuild.
func (l *Live) Cursor() (size uint64, last chain.Hash) { return l.serving.Load().Cursor() }

// Wait is [Projections.Wait].
func (l *Live) Wait(ctx context.Context, size uint64) error {
	return l.ask(func(g *generation) error { return g.Wait(ctx, size) })
}

// Swapped returns what the next rebuild that ends well closes.
func (l *Live) Swapped() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.swapped
}

// Err returns why nothing can be folded any more, nil while it can. A rebuild
// puts an end to it: see [Live.Swapped].
func (l *Live) Err() error {
	return l.ask(func(g *generation) error { return g.Err() })
}

// Restarted is [Projections.Restarted].
func (l *Live) Restarted() string { return l.serving.Load().Restarted() }

// alone deletes what rebuilds have left that ended before their time, and old
// generations that could not be deleted, and reports whether there is no generation
// now but the one that serves. While a rebuild runs, or views keep an old one, there
// is: neither is waited for here.
func (l *Live) alone() (bool, error) {
	l.mu.Lock() // no rebuild begins meanwhile
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return false, ErrClosed
	case l.stop != nil || l.retiring > 0:
		return false, nil
	}
	numbers, err := l.folder.list()
	if err != nil {
		return false, err
	}
	for _, n := range numbers {
		if n == l.serving.Load().number {
			continue
		}
		if err := l.folder.remove(n); err != nil {
			return false, fmt.Errorf("projections: generation %d is not the one that serves and can't be deleted: %w", n, err)
		}
		l.folder.o.Logger.Info("projections: deleted what may hold erased values; a rebuild that was interrupted begins anew", "folder", l.folder.path, "generation", n)
	}
	return true, nil
}

// Fold is [Projections.Fold]. Where a rebuild has taken over since the cursor was
// asked for, what stands at it may be folded already, and is [ErrLineage]: ask
// again.
func (l *Live) Fold(leaves iter.Seq2[chain.Leaf, error]) error {
	l.folding.Lock()
	defer l.folding.Unlock()
	return l.serving.Load().Fold(leaves)
}

// Reset is [Projections.Reset].
func (l *Live) Reset() error {
	l.folding.Lock()
	defer l.folding.Unlock()
	return l.serving.Load().Reset()
}

// Close stops a rebuild that runs, which the next one goes on with, and closes
// the store after the views that are open. Closing twice is closing once.
func (l *Live) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	if l.stop != nil {
		l.stop()
	}
	l.mu.Unlock()
	l.rebuilds.Wait()
	l.retired.Wait()
	l.folding.Lock()
	defer l.folding.Unlock()
	if err := errors.Join(l.serving.Load().Close(), l.folder.close()); err != nil {
		return fmt.Errorf("projections: close: %w", err)
	}
	return nil
}
