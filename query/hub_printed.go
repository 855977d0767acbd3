package query

import "sync/atomic"

// printed keeps the events that were printed last, by index, for others who lack
// the same ones: those who fell behind in a burst fell behind together, and to
// read and print an entry costs several times what sending it does. Entries with
// and without sentences are kept apart.
//
// It is bounded by its slots and by what it takes into one, and is empty while
// nobody listens. Whoever looks up an index has found it by a question of its own.
//
// What was read before the ledger's last erasure may be what that erased: such an
// event is given to nobody, and all of them are let go of when the count rises.
type printed struct {
	slots    [2][printedSlots]atomic.Pointer[event]
	erasures atomic.Uint64 // the ledger's, as far as it was told
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

// get returns an entry's event, nil when it isn't kept, or was read before one of
// the erasures that the ledger has.
func (p *printed) get(index, erasures uint64, sentence bool) *event {
	if e := p.slot(index, sentence).Load(); e != nil && e.index == index && e.erasures == erasures {
		return e
	}
	return nil
}

// put keeps an event, unless an erasure has come since its entry was read.
func (p *printed) put(e *event, sentence bool) {
	if len(e.text) > printedBytes {
		return
	}
	slot := p.slot(e.index, sentence)
	slot.Store(e)
	if p.erasures.Load() > e.erasures { // forget may have passed the slot before
		slot.CompareAndSwap(e, nil)
	}
}

// erased is told how many erasures the ledger has. It lets go of all events when
// there are more than before.
func (p *printed) erased(erasures uint64) {
	for {
		before := p.erasures.Load()
		if before >= erasures {
			return
		}
		if p.erasures.CompareAndSwap(before, erasures) {
			p.forget()
			return
		}
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
