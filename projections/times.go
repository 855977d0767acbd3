package projections

import (
	"bytes"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// columns reads occurred times; it keeps the row that it read last.
type columns struct {
	it    *pebble.Iterator
	chunk uint64 // number of the chunk, of all entries
	row   column // empty: none
	key   []byte
}

// zone returns between which times the workspace's entries of a block occurred,
// noZone where it has none. Of a tail it may say more than the view knows, which
// does no harm: zones only rule out.
func (w *walk) zone(block uint64) (zone, error) {
	all := noZone
	found, err := w.seekZone(block)
	if err != nil {
		return all, err
	}
	if found {
		value, err := w.zones.ValueAndErr()
		if err != nil {
			return all, err
		}
		if all, err = parseZone(value); err != nil {
			return all, damaged(w.columns.key, err)
		}
	}
	for _, t := range w.v.tails {
		if blockOf(t.base) == block {
			if z, ok := t.zone(w.workspace); ok {
				all.join(z)
			}
		}
	}
	return all, nil
}

// seekZone moves to the row of a block's zone, and reports whether there is one. A
// walk asks for one block after the other, and their rows stand together: the next
// ones are tried before a search.
func (w *walk) seekZone(block uint64) (bool, error) {
	key := w.v.layout.appendZoneKey(w.columns.key[:0], block, w.workspace)
	w.columns.key = key
	if w.zones == nil {
		it, err := w.v.take()
		if err != nil {
			return false, err
		}
		w.zones = it
	} else {
		near := w.zones.Valid() && bytes.HasPrefix(w.zones.Key(), key[:len(key)-1])
		for n := 0; near && n < mostSteps && bytes.Compare(w.zones.Key(), key) < 0; n++ {
			w.spent++
			near = w.zones.Next()
		}
		if near && bytes.Equal(w.zones.Key(), key) {
			return true, nil
		}
	}
	w.spent++
	found := w.zones.SeekGE(key) && bytes.Equal(w.zones.Key(), key)
	return found, w.zones.Error()
}

// occurred returns when an entry occurred.
func (w *walk) occurred(index uint64) (int64, error) {
	for i := len(w.v.tails) - 1; i >= 0; i-- {
		t := w.v.tails[i]
		if index < t.base {
			continue
		}
		if w.hot[i] == nil {
			w.hot[i] = t.times()
		}
		return w.hot[i][index-t.base], nil
	}
	c := &w.columns
	if len(c.row) == 0 || c.chunk != index>>chunkBits {
		if err := w.column(index); err != nil {
			return 0, err
		}
	}
	i := int(index % chunkSize)
	if !c.row.within(i) {
		return 0, damaged(c.key, fmt.Errorf("it does not hold the time of entry %d", index))
	}
	return c.row.at(i), nil
}

// column reads the row that holds an entry's time.
func (w *walk) column(index uint64) error {
	c := &w.columns
	c.row, c.chunk = nil, index>>chunkBits
	if c.it == nil {
		it, err := w.v.take()
		if err != nil {
			return err
		}
		c.it = it
	}
	w.spent++
	c.key = w.v.layout.appendColumnKey(c.key[:0], index)
	if !c.it.SeekGE(c.key) || !bytes.Equal(c.it.Key(), c.key) {
		if err := c.it.Error(); err != nil {
			return err
		}
		return damaged(c.key, fmt.Errorf("the column of entry %d is missing", index))
	}
	value, err := c.it.ValueAndErr()
	if err != nil {
		return err
	}
	if err := column(value).check(); err != nil {
		return damaged(c.key, err)
	}
	c.row = value
	return nil
}
