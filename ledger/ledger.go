package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/ledger/chain"
)

// Head is the ledger as it durably stands.
type Head struct {
	Size uint64     // entries
	Root chain.Hash // RFC 6962 tree hash over them
	Last chain.Hash // leaf of the last one
	// State of the fold at that size: time, seed, control number, position.
	State chain.State
}

// Ledger is an open ledger. Its methods are safe for concurrent use.
type Ledger struct {
	db      *pebble.DB
	fs      vfs.FS
	log     *slog.Logger
	genesis chain.Genesis

	pipeline *pipeline
	filter   *filter
	warmer   *warmer // nil: no entries are held but the ring's
	rows     *rows   // that it fills

	dir    string
	afresh *atomic.Bool // the store's logs begin as new files

	mu      sync.Mutex
	head    Head          // durable
	grown   chan struct{} // closed, and made anew, when head or err changes
	err     error         // why recording stopped, nil while it goes on
	spots   spots
	awaited awaited
	ring    ring

	closing    sync.Once
	catalogued catalogued
	taggers    sync.Pool // of *chain.Tagger: each request asks for a workspace's tag
}

func newLedger(db *pebble.DB, g chain.Genesis, o Options) *Ledger {
	return &Ledger{db: db, fs: o.FS, afresh: o.afresh, log: o.Logger, genesis: g, grown: make(chan struct{}), awaited: awaited{}, filter: newFilter(), ring: ring{most: maxHeld}}
}

// start sets the durable head and lets the pipeline run.
func (l *Ledger) start(state chain.State, e edge, o Options) {
	root, err := e.root()
	if err != nil {
		panic(err) // the edge of the very tree it was built from
	}
	l.head = Head{Size: state.Size, Root: root, Last: state.Last, State: state}
	l.pipeline = newPipeline(l, o)
	l.pipeline.start(state, e)
}

// ID returns the ledger's id: the digest of its genesis.
func (l *Ledger) ID() chain.Hash { return l.genesis.LedgerID() }

// Genesis returns what entry 0 settled.
func (l *Ledger) Genesis() chain.Genesis { return l.genesis }

// Tag returns the pseudonym of a workspace.
func (l *Ledger) Tag(workspace string) chain.Hash {
	t, _ := l.taggers.Get().(*chain.Tagger)
	if t == nil {
		head := l.Head()
		t = head.State.Tagger()
	}
	defer l.taggers.Put(t)
	return t.Tag(workspace)
}

// Head returns the ledger as it durably stands.
func (l *Ledger) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// Position returns up to where the stream is durably folded: where to read on.
func (l *Ledger) Position() chain.Position {
	head := l.Head()
	return head.State.Position()
}

// Err returns why recording stopped: a message that a newer version
// understands, a hole, a disk that failed; nil while recording goes on.
func (l *Ledger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Wait returns the durable head once it has more entries than size, or the
// reason why it will not grow.
func (l *Ledger) Wait(ctx context.Context, size uint64) (Head, error) {
	for {
		l.mu.Lock()
		head, err, grown := l.head, l.err, l.grown
		l.mu.Unlock()
		if head.Size > size {
			return head, nil
		}
		if err != nil {
			return head, err
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return head, ctx.Err()
		}
	}
}

// advance moves the durable watermark.
func (l *Ledger) advance(head Head, entries []chain.Folded, gone []uint64) {
	spots := spotsOf(entries)
	l.ring.add(entries, time.Now()) // before anybody hears of them
	l.ring.forget(gone)
	if l.rows != nil {
		l.rows.forget(gone)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if head.State.Epoch == l.head.State.Epoch {
		l.awaited.wake(l.head.State.Sequence, head.State.Sequence)
	} else { // sequences begin anew
		l.awaited.wakeAll()
		l.spots.list = nil
	}
	l.head = head
	l.spots.add(spots)
	l.signal()
}

// stop records why nothing more will be recorded.
func (l *Ledger) stop(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		l.log.Error("recording stopped", "error", err)
	}
	l.pipeline.halt()
	l.awaited.wakeAll()
	l.signal()
}

func (l *Ledger) signal() {
	close(l.grown)
	l.grown = make(chan struct{})
}

// Close folds and syncs what was appended, and closes the store; after a
// [StorageError] it leaves the store as it is, to be opened by a new process.
// Nothing may be called after it. It returns why recording had stopped, if it
// had.
func (l *Ledger) Close() error {
	var err error
	l.closing.Do(func() {
		if l.warmer != nil {
			l.warmer.close()
			l.rows.clear()
		}
		l.pipeline.close()
		l.mu.Lock()
		err = l.err
		if l.err == nil {
			l.err = ErrClosed
		}
		l.awaited.wakeAll()
		l.signal()
		l.mu.Unlock()
		if failedStorage(err) {
			return
		}
		l.pipeline.halt()
		l.filter.close()
		if closeErr := l.db.Close(); err == nil && closeErr != nil {
			err = &StorageError{Err: closeErr}
		}
	})
	return err
}

func closeAfter(db *pebble.DB, err error) error {
	if closeErr := db.Close(); closeErr != nil {
		return fmt.Errorf("%w (and closing: %v)", err, closeErr)
	}
	return err
}
