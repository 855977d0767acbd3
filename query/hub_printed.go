package query

import "sync/atomic"

// printed keeps the events that were printed last, by index, for others who lack
// the same ones: those who fell behind in a burst fell behind together, and to
// read and print an entry costs several times what sending it does. Entries with
// and without sentences are kept apart.
//
// It is bounded by its slots and by what it takes into one, and is empty while
// nobody listens. Whoever looks up an index has found it by a question of its own.
type printed struct {
	slots [2][printedSlots]atomic.Pointer[event]
}

const (
	printedSlots = 1 << 13
	printedBytes = 2 << 10 // the largest event that is kept: 16 MiB at most, and as much with sentences
)

func (p *printed) slot(index uint64, sentence bool) *atomic.Pointer[event] {
	with := 0
	if sentence {
		with = 1
	}
	return &p.slots[with][index%printedSlots]
}

// get returns an entry's event, nil when it isn't kept.
func (p *printed) get(index uint64, sentence bool) *event {
	if e := p.slot(index, sentence).Load(); e != nil && e.index == index {
		return e
	}
	return nil
}

func (p *printed) put(e *event, sentence bool) {
	if len(e.text) <= printedBytes {
		p.slot(e.index, sentence).Store(e)
	}
}

// forget lets go of all of them.
func (p *printed) forget() {
	for with := range p.slots {
		for i := range p.slots[with] {
			p.slots[with][i].Store(nil)
		}
	}
}
