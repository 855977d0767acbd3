package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrClosed says that the projections were closed.
var ErrClosed = errors.New("projections: closed")

// Options of projections. The zero value serves.
type Options struct {
	FS        vfs.FS       // nil: the disk
	CacheSize int64        // bytes of the block cache; 0: 64 MiB
	Logger    *slog.Logger // nil: silent

	rebuilding bool         // nobody reads yet: see settings
	unread     bool         // nobody asks it anything: it isn't merged at rest
	trouble    chan<- error // is told, unless it is nil or full, what failed behind the fold's back

	// For tests.
	schema      uint32
	eraBits     uint   // blocks in an era, a power of two
	memTable    uint64 // bytes
	flush       int    // entries held in memory before they are written; a power of two, at most blockSize
	amended     int    // rows of amended entries that a question reads
	readers     int    // of a rebuild that has all processors; 0: one each
	tornBatches bool   // break the rule: the head goes in a batch of its own
}

// Bounds of a tail, after which it is written: all of a block, so that a row is
// nearly always written once, unless its names are long. Two tails at most are
// held, one that grows and one that is being written.
const (
	flushEntries = blockSize
	flushBytes   = 8 << 20
)

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.CacheSize == 0 {
		o.CacheSize = 64 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.schema == 0 {
		o.schema = schema
	}
	if o.eraBits == 0 {
		o.eraBits = eraBits
	}
	if o.memTable == 0 {
		o.memTable = 4 << 20
	}
	if o.amended == 0 {
		o.amended = mostAmended
	}
	if o.flush == 0 {
		o.flush = flushEntries
	}
	return o
}

// Projections are the indexes over one ledger. One goroutine at a time folds;
// any number read meanwhile.
type Projections struct {
	options   Options
	folder    *folder
	db        *pebble.DB
	lineage   chain.Hash
	restarted string

	folding sync.Mutex // held by Fold, Reset and Close
	scratch chunk
	writing chan struct{} // closed when the sealed tail is written; nil when there is none

	wake    context.CancelFunc // begins nothing more of what is done while little is folded
	resting sync.WaitGroup

	hot  atomic.Pointer[hot]
	past atomic.Pointer[past]

	mu      sync.Mutex
	shown   *pebble.Snapshot // what views see of the store …
	written uint64           // … and the ledger's size that it holds
	changed chan struct{}    // closed when the cursor moves or err is set
	err     error            // sticky: nothing is folded after it
	closed  bool
	views   sync.WaitGroup
}

// hot is what stands in memory: the tail that grows, and before it the one that
// is being written, if any.
type hot struct{ sealed, active *tail }

// past is what belongs to the rows from their beginning to the next Reset.
type past struct {
	workspaces *workspaces
	counts     counts
}

// Open opens the projections of the ledger whose id is lineage, and makes the
// folder when it is absent. Rows of another schema version or another ledger,
// and a store that is damaged, are deleted, and the fold starts again from
// nothing: [Projections.Restarted] says so, and the log does. Errors: [ErrInUse],
// [ErrForeign].
func Open(dir string, lineage chain.Hash, o Options) (*Projections, error) {
	o = o.withDefaults()
	f, err := openFolder(o.FS, dir)
	if err != nil {
		return nil, err
	}
	s, restarted, err := openStore(f, fresh(o.schema, lineage), &o)
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	p := &Projections{
		options: o, folder: f, db: s.db, lineage: lineage, restarted: restarted,
		changed: make(chan struct{}),
	}
	p.hot.Store(&hot{active: newTail(s.head.size, s.head.last, o.flush, o.flush)})
	p.past.Store(&past{workspaces: s.workspaces})
	if p.scratch.quarter, err = nextQuarter(s.db); err != nil {
		return nil, errors.Join(p.failed(err), s.db.Close(), f.close())
	}
	err = p.show(s.head.size)
	var ctx context.Context
	ctx, p.wake = context.WithCancel(context.Background())
	if !o.rebuilding && !o.unread {
		p.resting.Go(func() { p.rest(ctx) })
	}
	return p, err
}

// Restarted says why Open had to start again from nothing, "" when it went on
// from what it found.
func (p *Projections) Restarted() string { return p.restarted }

// Cursor returns how many entries are folded, and the leaf hash of the last of
// them ([chain.FirstPrevious] where there is none). The fold goes on exactly
// here.
func (p *Projections) Cursor() (size uint64, last chain.Hash) { return p.hot.Load().active.end() }

// Wait returns once size entries are folded, or with ctx's error, or with that
// of a fold that can't go on.
func (p *Projections) Wait(ctx context.Context, size uint64) error {
	for {
		p.mu.Lock()
		changed, err := p.changed, p.err
		p.mu.Unlock()
		at, _ := p.Cursor()
		switch {
		case at >= size:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("projections: %d of %d entries are folded: %w", at, size, ctx.Err())
		}
	}
}

// announce wakes whoever waits, and keeps the first error.
func (p *Projections) announce(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// Err returns why nothing can be folded any more, nil while it can.
func (p *Projections) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Reset forgets every row. Views that are open go on with what they saw.
func (p *Projections) Reset() error {
	p.folding.Lock()
	defer p.folding.Unlock()
	if err := p.Err(); err != nil {
		return err
	}
	p.settle()
	h := fresh(p.options.schema, p.lineage)
	err := p.forget(h)
	if err != nil {
		err = p.failed(err)
	}
	p.announce(err)
	return err
}

// forget deletes the rows and drops the tails, both or neither as a view sees it.
func (p *Projections) forget(h head) error {
	b := p.db.NewBatch()
	defer b.Close()
	if err := b.DeleteRange([]byte{rowEra}, []byte{rowHead}, nil); err != nil {
		return err
	}
	if err := b.Set(headKey, h.append(nil), nil); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := b.Commit(pebble.NoSync); err != nil {
		return err
	}
	p.hot.Store(&hot{active: newTail(0, h.last, p.options.flush, p.options.flush)})
	p.past.Store(&past{workspaces: newWorkspaces()})
	p.scratch.quarter = 0
	p.scratch.terms.forget()
	return p.show(h.size)
}

// Close writes what stands in memory and closes the store, after the views that
// are open. Closing twice is closing once.
func (p *Projections) Close() error {
	p.folding.Lock()
	defer p.folding.Unlock()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	broken := p.err != nil
	p.mu.Unlock()
	p.wake()
	p.resting.Wait()
	p.settle()
	var err error
	if active := p.hot.Load().active; !broken && p.Err() == nil && len(active.occurred) > 0 {
		err = p.write(active)
	}
	p.announce(ErrClosed)
	p.views.Wait()
	// A flush writes the memtable, which no log backs.
	if err == nil && !broken {
		err = p.db.Flush()
	}
	if err = errors.Join(err, p.shown.Close(), p.db.Close(), p.folder.close()); err != nil {
		return fmt.Errorf("projections: close: %w", err)
	}
	return nil
}
