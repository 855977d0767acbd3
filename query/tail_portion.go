package query

import (
	"bytes"
	"errors"
	"sync"

	"annals/ledger/chain"
)

// Portions in which a stream reads by the indexes: so many entries, and so many
// bytes or one entry, are read at once and sent before the next are read.
const (
	portionEntries = 256
	portionBytes   = 32 << 10
)

// portions hold what is being sent: the most of it, so that a thousand that are
// stuck take no more than that each.
var portions = sync.Pool{New: func() any {
	b := make([]byte, 0, portionBytes+4<<10)
	return &b
}}

// release gives a portion's space back, unless it had to grow much.
func release(b *[]byte) {
	if cap(*b) <= 2*portionBytes {
		portions.Put(b)
	}
}

// portion sends as many of the entries as make one, and returns how many.
func (s *stream) portion(indexes []uint64) (n int, err error) {
	buffer := portions.Get().(*[]byte)
	defer release(buffer)
	p := portion{text: (*buffer)[:0], stream: s}
	p.recall(indexes, s.hub.erasures())
	if p.n < len(indexes) && len(p.text) < portionBytes {
		err = s.reading(func() error { return p.read(indexes) })
	}
	*buffer = p.text
	if err == nil {
		err = s.hub.api.turns.apart(s.ctx)
	}
	if err != nil {
		return 0, err
	}
	if err := s.send(p.text); err != nil {
		return 0, err
	}
	s.after = idIn(p.text[p.last:])
	s.hub.metrics.events.Add(float64(p.n))
	return p.n, nil
}

// portion is one that is being put together.
type portion struct {
	stream *stream
	text   []byte
	last   int // where the last event begins
	n      int // events
}

// recall takes events that were printed for others a moment ago, when the ledger
// had as many erasures as it has.
func (p *portion) recall(indexes []uint64, erasures uint64) {
	for p.n < len(indexes) && len(p.text) < portionBytes {
		e := p.stream.hub.printed.get(indexes[p.n], erasures, p.stream.sentence)
		if e == nil {
			return
		}
		p.last, p.text = len(p.text), append(p.text, e.text...)
		p.n++
	}
}

// read takes what must be printed from the ledger, and recalls what somebody else
// has printed while this listener waited for its turn.
func (p *portion) read(indexes []uint64) error {
	hub, sentence := p.stream.hub, p.stream.sentence
	for {
		erasures := hub.erasures()
		p.recall(indexes, erasures)
		if p.n == len(indexes) || len(p.text) >= portionBytes {
			return nil
		}
		end := p.n + 1
		for end < len(indexes) && hub.printed.get(indexes[end], erasures, sentence) == nil {
			end++
		}
		err := hub.api.each(p.stream.turn, indexes[p.n:end], func(leaf *chain.Leaf, _ chain.Hash) error {
			if len(p.text) >= portionBytes {
				return errFull
			}
			p.last = len(p.text)
			var err error
			if p.text, err = appendEvent(p.text, p.stream.item, leaf); err != nil {
				return err
			}
			if text := p.text[p.last:]; len(text) <= printedBytes {
				hub.printed.put(&event{index: leaf.Entry.Index, text: bytes.Clone(text), erasures: erasures}, sentence)
			}
			p.n++
			return nil
		})
		if err != nil && !errors.Is(err, errFull) {
			return err
		}
	}
}
