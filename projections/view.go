package projections

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// View is the projections at one cursor: whatever is folded meanwhile, all its
// answers are of the same ledger size. It is for one goroutine and for the time
// of a request: it keeps replaced files on the disk while it is open.
type View struct {
	p      *Projections
	past   *past
	layout layout
	size   uint64
	tails  []*tail // newer than the rows, oldest first
	closed bool

	it    *pebble.Iterator   // the others are its clones
	spare []*pebble.Iterator // that nobody uses
	walk  walk
}

// View opens a view of everything folded so far. Close it.
func (p *Projections) View() (*View, error) {
	// Under the lock, which Reset holds too: memory and store are of one past.
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, ErrClosed
	}
	hot, past := p.hot.Load(), p.past.Load()
	it, err := p.shown.NewIter(nil)
	size := p.written
	p.views.Add(1)
	p.mu.Unlock()
	if err != nil {
		p.views.Done()
		return nil, p.failed(err)
	}
	v := &View{p: p, past: past, layout: layout{p.options.eraBits}, it: it, spare: []*pebble.Iterator{it}, size: size}
	for _, t := range []*tail{hot.sealed, hot.active} {
		// A tail that is written is in the store already, until it is let go of.
		if t != nil && t.base >= size {
			if t.base != v.size {
				return nil, errors.Join(fmt.Errorf("projections: the store ends at entry %d and memory begins at %d", v.size, t.base), v.Close())
			}
			v.tails = append(v.tails, t)
			v.size, _ = t.end()
		}
	}
	return v, nil
}

// Cursor returns the ledger size that the view answers for: the entries [0, Cursor).
func (v *View) Cursor() uint64 { return v.size }

// Close releases the view. Closing twice is closing once.
func (v *View) Close() (err error) {
	if v.closed {
		return nil
	}
	v.closed = true
	defer v.p.views.Done()
	for _, it := range v.spare {
		if closing := it.Close(); err == nil {
			err = closing
		}
	}
	if err != nil {
		return v.p.failed(err)
	}
	return nil
}

// take returns an iterator over all rows; give takes it back.
func (v *View) take() (*pebble.Iterator, error) {
	if n := len(v.spare); n > 0 {
		it := v.spare[n-1]
		v.spare = v.spare[:n-1]
		return it, nil
	}
	return v.it.Clone(pebble.CloneOptions{})
}

func (v *View) give(it *pebble.Iterator) {
	if it != nil {
		v.spare = append(v.spare, it)
	}
}

// IndexAt returns the first index that was recorded at or after a time, the view's
// size where there is none. ms counts from 1970 and is a multiple of a quarter of
// an hour.
func (v *View) IndexAt(ms int64) (uint64, error) {
	switch {
	case v.closed:
		return 0, ErrClosed
	case ms < 0:
		return 0, nil // no ULID is of before 1970
	case ms%quarter != 0:
		return 0, fmt.Errorf("%w: %d ms is no multiple of a quarter of an hour", ErrQuery, ms)
	}
	it, err := v.take()
	if err != nil {
		return 0, v.p.failed(err)
	}
	defer v.give(it)
	at := v.size
	if it.SeekGE(quarterKey(uint64(ms/quarter))) && it.Key()[0] == rowQuarter {
		value, err := it.ValueAndErr()
		if err == nil && len(value) != 8 {
			err = fmt.Errorf("%w: the row of a quarter of an hour has %d bytes", pebble.ErrCorruption, len(value))
		}
		if err != nil {
			return 0, v.p.failed(err)
		}
		return min(at, binary.BigEndian.Uint64(value)), nil
	}
	if err := it.Error(); err != nil {
		return 0, v.p.failed(err)
	}
	for _, t := range v.tails {
		if index, ok := t.quarter(uint64(ms / quarter)); ok {
			return min(at, index), nil
		}
	}
	return at, nil
}

// damaged wraps what only a damaged store can cause.
func damaged(key []byte, err error) error {
	return fmt.Errorf("%w: row %x: %w", pebble.ErrCorruption, key, err)
}
