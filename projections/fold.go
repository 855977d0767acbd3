package projections

import (
	"errors"
	"fmt"
	"iter"

	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2"
)

// ErrLineage says that an entry was folded that does not follow the one before.
var ErrLineage = errors.New("projections: the entry does not follow the ones that are folded")

// ErrDamaged says that the store can't be read or written. The folder is marked:
// the next Open empties it and the fold starts again.
var ErrDamaged = errors.New("projections: the store is damaged; no record is lost: restart, and they are folded again from the ledger")

// chunkEntries is how many entries are read before their terms are added to the
// tail: readers wait for that, some microseconds.
const chunkEntries = 64

// chunk is what Fold has read and not yet added to the tail.
type chunk struct {
	reader  reader
	terms   terms
	size    uint64 // the ledger's size with the chunk
	last    chain.Hash
	entries int
	quarter uint64 // the first quarter of an hour that no entry was recorded in or after
}

// Fold folds leaves in order, the first being the entry at the cursor. What it
// folded before an error, its own or the iterator's, stays folded. Calls wait
// for one another.
//
// An entry whose index is not the cursor, or that names another leaf as the one
// before it, is [ErrLineage]: these are the projections of another ledger, or
// the ledger was put back to an earlier state. Reset helps.
func (p *Projections) Fold(leaves iter.Seq2[chain.Leaf, error]) error {
	p.folding.Lock()
	defer p.folding.Unlock()
	if err := p.Err(); err != nil {
		return err
	}
	c := &p.scratch
	c.terms.reset()
	c.entries = 0
	c.size, c.last = p.Cursor()
	for leaf, err := range leaves {
		if err == nil && leaf.Gone != nil {
			// Before the entry itself: the cursor never passes an erasure whose rows stand.
			if err := p.add(c); err != nil {
				return err
			}
			if err := p.unindex(leaf.Gone); err != nil {
				return err
			}
		}
		if err == nil {
			err = c.read(&leaf, p.past.Load().workspaces)
		}
		if err != nil {
			return errors.Join(err, p.add(c))
		}
		// A tail holds postings of one block: the last entry of one ends it.
		if c.entries == chunkEntries || p.full(c) {
			if err := p.add(c); err != nil {
				return err
			}
		}
	}
	return p.add(c)
}

// read checks that a leaf follows and finds out its terms.
func (c *chunk) read(leaf *chain.Leaf, w *workspaces) error {
	e := &leaf.Entry
	if e.Index != c.size {
		return fmt.Errorf("%w: it is entry %d where %d must follow", ErrLineage, e.Index, c.size)
	}
	if e.Previous != c.last {
		return fmt.Errorf("%w: entry %d names %s as the leaf before it, but the one folded is %s", ErrLineage, e.Index, e.Previous, c.last)
	}
	c.terms.add(c.reader.read(leaf), w)
	c.reader.forget()
	if q := e.ULID.Time() / quarter; q >= c.quarter {
		c.terms.quarters = append(c.terms.quarters, quarterRow{q, e.Index})
		c.quarter = q + 1
	}
	c.size, c.last = c.size+1, leaf.Hash
	if c.last.IsZero() {
		c.last = chain.LeafHash(leaf.Raw)
	}
	c.entries++
	return nil
}

// full reports whether the chunk's last entry is the last that its tail takes.
func (p *Projections) full(c *chunk) bool { return c.size%uint64(p.options.flush) == 0 }

// add adds the chunk to the tail, and seals the tail when it is full.
func (p *Projections) add(c *chunk) error {
	if c.entries == 0 {
		return nil
	}
	active := p.hot.Load().active
	active.add(&c.terms, c.size, c.last)
	c.terms.reset()
	c.entries = 0
	p.announce(nil)
	if p.full(c) || active.held >= flushBytes {
		return p.seal(active)
	}
	return nil
}

// seal begins a new tail, and writes the full one meanwhile. There is never a
// second one to be written: the fold waits.
func (p *Projections) seal(active *tail) error {
	p.settle()
	if err := p.Err(); err != nil {
		return err
	}
	next := newTail(active.size, active.last, len(active.lists)*9/8, len(active.posts)*9/8)
	p.hot.Store(&hot{sealed: active, active: next})
	written := make(chan struct{})
	p.writing = written
	go func() {
		defer close(written)
		if err := p.write(active); err != nil {
			p.announce(err)
			return
		}
		p.hot.Store(&hot{active: next})
	}()
	return nil
}

// settle waits until the sealed tail is written.
func (p *Projections) settle() {
	if p.writing != nil {
		<-p.writing
		p.writing = nil
	}
}

// failed marks the folder for the next Open when the store turned out damaged.
func (p *Projections) failed(err error) error {
	if !pebble.IsCorruptionError(err) {
		return fmt.Errorf("projections: store: %w", err)
	}
	p.folder.condemn(p.options.Logger, err)
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}
