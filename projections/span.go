package projections

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// span is all the lists whose names are in a range: those of one workspace and
// field that begin alike. Their rows stand together in each era, list by list and
// not block by block, so it reads an era's at once, and never half of them.
type span struct {
	w      *walk
	lo, hi []byte                          // names
	only   func(name []byte) (bool, error) // of these names; nil: all
	it     *pebble.Iterator

	loaded bool
	era    uint64
	sets   []*set // of the era's blocks; nil or empty: none
}

func (s *span) close() {
	s.w.v.give(s.it)
	s.it = nil
}

func (s *span) nearest(block uint64, ascending bool) (place, error) {
	l := s.w.v.layout
	for {
		era := l.eraOf(block)
		if err := s.read(era); errors.Is(err, errWork) {
			return place{unlooked, block}, nil
		} else if err != nil {
			return place{}, err
		}
		for i := int(l.within(block)); i >= 0 && i < len(s.sets); {
			if s.sets[i] != nil && s.sets[i].n > 0 {
				return place{there, l.at(era, byte(i))}, nil
			}
			if ascending {
				i++
			} else {
				i--
			}
		}
		switch {
		case ascending && era >= l.eraOf(s.w.lastBlock), !ascending && era <= l.eraOf(s.w.firstBlock):
			return place{}, nil
		case ascending:
			block = l.firstOf(era + 1)
		default:
			block = l.firstOf(era) - 1
		}
	}
}

// read gathers the lists of an era, block by block. The first era is free: every
// call comes further.
func (s *span) read(era uint64) error {
	switch {
	case s.loaded && s.era == era:
		return nil
	case s.loaded && s.w.spent > s.w.most:
		return errWork
	}
	if s.sets == nil {
		s.sets = make([]*set, s.w.v.layout.blocksInEra())
	}
	for _, x := range s.sets {
		if x != nil {
			x.clear()
		}
	}
	s.loaded, s.era = true, era
	if s.it == nil {
		it, err := s.w.v.take()
		if err != nil {
			return err
		}
		s.it = it
	}
	return s.w.lists(s.it, era, s.lo, s.hi, func(name []byte, block byte, p piece) error {
		if s.only != nil {
			if ok, err := s.only(name); err != nil || !ok {
				return err
			}
		}
		p.addTo(s.room(int(block)))
		return nil
	})
}

func (s *span) room(i int) *set {
	if s.sets[i] == nil {
		s.sets[i] = new(set)
	}
	return s.sets[i]
}

func (s *span) load(block uint64, _ bool, into *set) (postings, error) {
	if err := s.read(s.w.v.layout.eraOf(block)); err != nil {
		return nil, err
	}
	if x := s.sets[s.w.v.layout.within(block)]; x != nil {
		into.addSet(x)
	}
	return nil, nil
}

// piece is a list's entries of one block, or some of them: as they are stored, or
// in a tail that is locked.
type piece struct {
	stored postings
	tail   *tail
	list   *list
}

func (p *piece) addTo(s *set) {
	if p.tail != nil {
		p.tail.addList(p.list, s)
	} else {
		s.addStored(p.stored)
	}
}

// lists visits the pieces of all lists of an era whose names are in [lo, hi),
// those in the store by name and block, then those in memory in no order.
func (w *walk) lists(it *pebble.Iterator, era uint64, lo, hi []byte, visit func(name []byte, block byte, p piece) error) error {
	from := append(appendEra(nil, era, inEraPostings), lo...)
	to := append(appendEra(nil, era, inEraPostings), hi...)
	for ok := it.SeekGE(from); ok && bytes.Compare(it.Key(), to) < 0; ok = it.Next() {
		if w.spent++; w.spent%256 == 0 {
			if err := w.pace(); err != nil {
				return err
			}
		}
		p, err := postingsAt(it)
		if err != nil {
			return err
		}
		key := it.Key()
		if err := visit(key[eraPrefix:len(key)-1], key[len(key)-1]&byte(w.v.layout.blocksInEra()-1), piece{stored: p}); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return err
	}
	var failed error
	for _, t := range w.v.tails {
		if block := blockOf(t.base); w.v.layout.eraOf(block) == era {
			t.between(lo, hi, func(name string, l *list) {
				if failed == nil {
					failed = visit([]byte(name), w.v.layout.within(block), piece{tail: t, list: l})
				}
			})
		}
	}
	return failed
}
