package projections

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// A source is a set of entries that is read block by block: a list, or all the
// lists in a range of names.
type source interface {
	// nearest returns the nearest block, from the given one on, in which it may
	// have entries.
	nearest(block uint64, ascending bool) (place, error)
	// load adds the entries of a block, any block, to s; or returns a row of the store
	// that holds all of them, which is valid until the source moves.
	load(block uint64, ascending bool, s *set) (postings, error)
	// close gives its iterator back.
	close()
}

// place is what looking for the nearest block came to.
type place struct {
	found found
	block uint64 // the nearest one, or the first one that was not looked at
}

type found uint8

const (
	nowhere  found = iota // there is none
	there                 // there is one
	unlooked              // the bound on work was reached before one was found
)

// errWork says that the bound on work was reached.
var errWork = errors.New("the bound on work was reached")

// stream is one list.
type stream struct {
	w     *walk
	name  []byte
	it    *pebble.Iterator
	from  uint64 // there is no row from here …
	at    uint64 // … to this one, where there is one if valid
	moved bool
	valid bool
	up    bool // from is below at
	key   []byte
	tails [2]bool // that have the list
}

// newStream returns the stream of a list. Its iterator is taken when it is needed.
func newStream(w *walk, name []byte) *stream {
	s := &stream{w: w, name: name}
	for i, t := range w.v.tails {
		s.tails[i] = t.has(name)
	}
	return s
}

func (s *stream) close() {
	s.w.v.give(s.it)
	s.it, s.moved = nil, false
}

func (s *stream) nearest(block uint64, ascending bool) (place, error) {
	if err := s.seek(block, ascending); err != nil {
		return place{}, err
	}
	p := place{}
	if s.valid {
		p = place{there, s.at}
	}
	for i, t := range s.w.v.tails {
		at := blockOf(t.base)
		if !s.tails[i] || at != block && at < block == ascending {
			continue
		}
		if p.found == nowhere || at < p.block == ascending {
			p = place{there, at}
		}
	}
	return p, nil
}

// seek moves to the nearest row from a block on, within the walk's bounds.
func (s *stream) seek(block uint64, ascending bool) error {
	if s.moved && s.up == ascending && (ascending && s.from <= block || !ascending && s.from >= block) {
		if !s.valid || s.at == block || s.at > block == ascending {
			return nil // what is known serves
		}
	}
	if s.it == nil {
		it, err := s.w.v.take()
		if err != nil {
			return err
		}
		s.it = it
	}
	near := s.moved && s.valid && s.up == ascending && s.at < block == ascending && s.at != block
	s.moved, s.up, s.from = true, ascending, block
	if near {
		found, past := s.step(block, ascending)
		if found {
			return nil
		}
		if past { // there is none left in that era
			era := s.w.v.layout.eraOf(s.at)
			switch {
			case ascending:
				block = max(block, s.w.v.layout.firstOf(era+1))
			case s.w.v.layout.firstOf(era) <= s.w.firstBlock:
				return s.it.Error()
			default:
				block = min(block, s.w.v.layout.firstOf(era)-1)
			}
		}
	}
	if ascending {
		s.rise(block)
	} else {
		s.sink(block)
	}
	if s.valid {
		return nil
	}
	return s.it.Error()
}

// mostSteps is how many rows are passed over one by one where the one that is looked
// for can't be farther: that takes less than to search for it.
const mostSteps = 8

// step takes the next row, and a few more where those may be enough, and reports
// whether it came to the one, or past all that the era has.
func (s *stream) step(block uint64, ascending bool) (found, past bool) {
	l := s.w.v.layout
	era := l.eraOf(s.at)
	for {
		s.w.spent++
		if ascending {
			s.valid = s.it.Next() && s.here(era)
		} else {
			s.valid = s.it.Prev() && s.here(era)
		}
		switch {
		case !s.valid:
			return false, s.it.Error() == nil
		case s.at == block || s.at > block == ascending:
			return true, false
		case ascending && block-s.at > mostSteps, !ascending && s.at-block > mostSteps:
			return false, false
		}
	}
}

// rise looks for the list's first row from a block on, era by era.
func (s *stream) rise(block uint64) {
	l := s.w.v.layout
	s.valid = false
	for era := l.eraOf(block); era <= l.eraOf(s.w.lastBlock); era++ {
		s.w.spent++
		b := max(block, l.firstOf(era))
		s.place(era)
		s.key = append(s.key, l.within(b))
		if !s.it.SeekGE(s.key) {
			return
		}
		if s.valid = s.here(era); s.valid {
			return
		}
		next, ok := eraIn(s.it.Key())
		if !ok {
			return
		}
		era = max(era, next-min(next, 1))
	}
}

// sink looks for the list's last row from a block on downwards.
func (s *stream) sink(block uint64) {
	l := s.w.v.layout
	s.valid = false
	for era := l.eraOf(block); ; era-- {
		s.w.spent++
		s.place(era)
		if block < l.firstOf(era+1) {
			s.key = append(s.key, l.within(block), 0)
		} else {
			s.key = append(s.key, 0xff, 0xff)
		}
		if !s.it.SeekLT(s.key) {
			return
		}
		if s.valid = s.here(era); s.valid || era <= l.eraOf(s.w.firstBlock) {
			return
		}
	}
}

// place begins the key of the list's rows in an era.
func (s *stream) place(era uint64) {
	s.key = append(appendEra(s.key[:0], era, inEraPostings), s.name...)
}

// here reports whether the iterator stands on a row of the list in the era, and
// notes the row's block.
func (s *stream) here(era uint64) bool {
	key := s.it.Key()
	n := eraPrefix + len(s.name)
	if e, ok := eraIn(key); !ok || e != era || len(key) != n+1 || key[eraPrefix-1] != inEraPostings || !bytes.Equal(key[eraPrefix:n], s.name) {
		return false
	}
	s.at = s.w.v.layout.at(era, key[n])
	return true
}

func (s *stream) load(block uint64, ascending bool, into *set) (row postings, err error) {
	if err := s.seek(block, ascending); err != nil {
		return nil, err
	}
	if s.valid && s.at == block {
		if row, err = postingsAt(s.it); err != nil {
			return nil, err
		}
	}
	for i, t := range s.w.v.tails {
		if s.tails[i] && blockOf(t.base) == block {
			if row != nil { // and some of its entries are in memory
				into.addStored(row)
				row = nil
			}
			t.addTo(s.name, into)
		}
	}
	return row, nil
}

// postingsAt returns the list of the row that an iterator stands on, until it
// moves.
func postingsAt(it *pebble.Iterator) (postings, error) {
	value, err := it.ValueAndErr()
	if err != nil {
		return nil, err
	}
	if err := postings(value).check(); err != nil {
		return nil, damaged(it.Key(), err)
	}
	return value, nil
}
