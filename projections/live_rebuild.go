package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"annals/ledger/chain"
)

// ErrRebuilding says that a rebuild runs already.
var ErrRebuilding = errors.New("projections: they are being rebuilt already; wait until that is done")

// Leaves hands out the ledger's entries [from, to), in order. A method value of
// the ledger's own iterator is one. It may be called from many goroutines at once.
type Leaves func(ctx context.Context, from, to uint64) iter.Seq2[chain.Leaf, error]

// Progress is how far a rebuild is, or how the last one ended. It is of this
// process: at a start there has been none.
type Progress struct {
	Generation uint64 // the one that serves; each rebuild that ends well is one more
	Running    bool
	Done, Of   uint64 // entries that the new generation holds, of those that the ledger has
	Folded     uint64 // entries that this rebuild has folded: Done, unless it went on with one that was interrupted
	Took       time.Duration
	Err        error // why the last one failed; nil while one runs
}

// A rebuild's folder is given little of the cache until it serves, and goes
// through the ledger in portions, so that no iterator keeps the ledger's
// replaced files for long.
const (
	rebuildCache   = 8 << 20
	rebuildPortion = 1 << 18 // entries
	rebuildReport  = 1 << 12 // entries between reports
	rebuildClose   = 1 << 11 // entries of a last portion
)

// Rebuild folds a new generation from the ledger's beginning to its end, while
// the old one serves and follows, and puts it in the old one's place when it is
// level with it. It goes on with a rebuild that was interrupted, and leaves one
// behind when ctx ends. size is the ledger's; progress, unless nil, is told how
// many entries are folded of how many.
//
// Errors: [ErrRebuilding], [ErrClosed], ctx's. After any of them the old
// generation serves as before.
func (l *Live) Rebuild(ctx context.Context, leaves Leaves, size func() uint64, progress func(done, of uint64)) error {
	r, err := l.begin(ctx, leaves, size)
	if err != nil {
		return err
	}
	r.told, r.readers = progress, l.folder.o.readers
	return r.run()
}

// StartRebuild is [Live.Rebuild] beside what else goes on, and leaves that more of the
// processors: it returns once the rebuild has begun. [Live.Progress] and the log say how
// it goes, and Close ends it.
func (l *Live) StartRebuild(leaves Leaves, size func() uint64) error {
	r, err := l.begin(context.Background(), leaves, size)
	if err != nil {
		return err
	}
	r.readers = 1
	go func() { _ = r.run() }() // the log has it
	return nil
}

// Progress returns how far a rebuild is.
func (l *Live) Progress() Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.progress
	p.Generation = l.serving.Load().number
	return p
}

// rebuild is one that runs.
type rebuild struct {
	live   *Live
	ctx    context.Context
	leaves Leaves
	size   func() uint64
	told   func(done, of uint64)
	began  time.Time
	next   *generation
	from   uint64 // where it went on

	readers int // that read abreast; 0: one for each processor
}

// begin takes the place of the one rebuild that may run.
func (l *Live) begin(ctx context.Context, leaves Leaves, size func() uint64) (*rebuild, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, ErrClosed
	case l.stop != nil:
		return nil, ErrRebuilding
	}
	r := &rebuild{live: l, leaves: leaves, size: size, began: time.Now()}
	r.ctx, l.stop = context.WithCancel(ctx)
	l.progress = Progress{Running: true, Of: size()}
	l.rebuilds.Add(1)
	return r, nil
}

// run rebuilds, and says how it ended.
func (r *rebuild) run() error {
	err := r.steps()
	stopped := err != nil && r.ctx.Err() != nil
	l := r.live
	l.mu.Lock()
	defer l.rebuilds.Done()
	defer l.mu.Unlock()
	l.stop()
	l.stop = nil
	l.progress.Running = false
	l.progress.Took = time.Since(r.began)
	l.progress.Err = err
	log := l.folder.o.Logger.With("entries", l.progress.Done, "took", l.progress.Took)
	switch {
	case err == nil:
		log.Info("projections: rebuilt")
	case stopped:
		log.Info("projections: a rebuild was stopped; the next one goes on from there")
	default:
		log.Error("projections: a rebuild failed; the old indexes serve as before", "error", err)
	}
	return err
}

// steps are a rebuild's. A crash between any two leaves a generation that serves:
// the old one until the new one is named, and then the new one, which by then is
// as durable as its cursor says.
func (r *rebuild) steps() (err error) {
	o := r.live.folder.o
	o.CacheSize, o.rebuilding = rebuildCache, true
	if r.next, err = r.open(o); err != nil {
		return err
	}
	defer func() {
		if err != nil && r.next != nil {
			err = errors.Join(err, r.next.Close())
		}
	}()
	if err := r.align(); err != nil {
		return err
	}
	r.from, _ = r.next.Cursor()
	if err := r.fold(); err != nil {
		return err
	}
	if err := r.settle(); err != nil {
		return err
	}
	if err := r.fold(); err != nil { // what came meanwhile
		return err
	}
	return r.swap()
}

// open opens the new generation.
func (r *rebuild) open(o Options) (*generation, error) {
	return r.live.folder.open(r.live.serving.Load().number+1, o)
}

// settle closes the new generation, which makes it durable, and opens it as the
// one that serves is opened. That it can be read back is seen before it serves.
func (r *rebuild) settle() error {
	size, _ := r.next.Cursor()
	err := r.next.Close()
	r.next = nil
	if err != nil {
		return err
	}
	o := r.live.folder.o
	trouble := make(chan error, 1)
	o.trouble = trouble
	if r.next, err = r.open(o); err != nil {
		return err
	}
	if at, _ := r.next.Cursor(); at != size {
		return fmt.Errorf("projections: a new generation of %d entries was written and reads back as one of %d: %s; check the disk",
			size, at, r.next.Restarted())
	}
	return r.merge(trouble)
}

// merge waits until no more tables stand above one another than reads look into
// otherwise. Where merging fails, Pebble tries again and says so; nobody waits for it.
func (r *rebuild) merge(trouble <-chan error) error {
	for r.next.db.Metrics().Levels[0].Sublevels > tablesAbove {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-trouble:
			return nil
		case <-r.ctx.Done():
			return r.ctx.Err()
		}
	}
	return nil
}

// align empties what an interrupted rebuild has left when it is of another
// history of the ledger.
func (r *rebuild) align() error {
	at, last := r.next.Cursor()
	if at == 0 {
		return nil
	}
	if at <= r.size() {
		for leaf, err := range r.leaves(r.ctx, at-1, at) {
			if err != nil {
				return err
			}
			if chain.LeafHash(leaf.Raw) == last {
				return nil
			}
		}
	}
	return r.next.Reset()
}

// fold folds the new generation to the ledger's end. What comes during the last
// portion is so little that folding may be held up for it.
func (r *rebuild) fold() error {
	for {
		at, _ := r.next.Cursor()
		size := r.size()
		r.report(at, size)
		if err := r.ctx.Err(); err != nil || at >= size {
			return err
		}
		if err := r.portion(at, min(size, at+rebuildPortion)); err != nil || size-at <= rebuildClose {
			return err
		}
		if now, _ := r.next.Cursor(); now == at {
			return r.short(at, size)
		}
	}
}

// portion folds the entries [from, to), which are read and scanned ahead.
func (r *rebuild) portion(from, to uint64) error {
	leaves := abreast(r.ctx, r.leaves, r.readers, from, to)
	return r.next.Fold(func(yield func(chain.Leaf, error) bool) {
		for leaf, err := range leaves {
			if err == nil && leaf.Entry.Index%rebuildReport == 0 {
				r.report(leaf.Entry.Index, r.size())
				err = r.ctx.Err()
			}
			if !yield(leaf, err) {
				return
			}
		}
	})
}

// swap brings the new generation level with the old one, while nothing is folded
// into that, and puts it in its place.
func (r *rebuild) swap() error {
	l := r.live
	l.folding.Lock()
	defer l.folding.Unlock()
	old := l.serving.Load()
	to, _ := old.Cursor()
	to = max(to, r.size())
	if at, _ := r.next.Cursor(); at < to {
		if err := r.next.Fold(r.leaves(r.ctx, at, to)); err != nil {
			return err
		}
	}
	if at, _ := r.next.Cursor(); at < to {
		return r.short(at, to)
	}
	if err := l.folder.serve(r.next.number); err != nil {
		return err
	}
	l.mu.Lock()
	l.serving.Store(r.next)
	close(l.swapped)
	l.swapped = make(chan struct{})
	l.retiring++
	l.mu.Unlock()
	r.report(to, to)
	l.retired.Go(func() {
		if err := old.Close(); err != nil {
			l.folder.o.Logger.Warn("projections: closing the old generation", "error", err)
		}
		l.folder.retire(old.number)
		l.mu.Lock()
		l.retiring--
		l.mu.Unlock()
	})
	return nil
}

func (r *rebuild) short(at, size uint64) error {
	return fmt.Errorf("projections: the ledger has %d entries and gave %d; verify it", size, at)
}

// report says how far it is.
func (r *rebuild) report(done, of uint64) {
	l := r.live
	l.mu.Lock()
	l.progress.Done, l.progress.Of, l.progress.Folded = done, of, done-min(r.from, done)
	l.mu.Unlock()
	if r.told != nil {
		r.told(done, of)
	}
}
