package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"annals/ledger/chain"
)

// spot says where a message's first entry stands.
type spot struct{ sequence, index uint64 }

// spots are the last messages' spots, in order: whoever awaits a record asks for
// one of them.
type spots struct{ list []spot }

const maxSpots = 64 << 10

func (s *spots) add(more []spot) {
	s.list = append(s.list, more...)
	if len(s.list) > 2*maxSpots {
		s.list = slices.Clone(s.list[len(s.list)-maxSpots:])
	}
}

func (s *spots) find(sequence uint64) (index uint64, ok bool) {
	i := sort.Search(len(s.list), func(i int) bool { return s.list[i].sequence >= sequence })
	if i < len(s.list) && s.list[i].sequence == sequence {
		return s.list[i].index, true
	}
	return 0, false
}

func spotsOf(entries []chain.Folded) []spot {
	out := make([]spot, 0, len(entries))
	for i := range entries {
		if e := &entries[i].Entry; e.Place == 0 {
			out = append(out, spot{e.Sequence, e.Index})
		}
	}
	return out
}

// awaited are the messages that somebody waits for, so that an append wakes those
// whose record it holds and nobody else.
type awaited map[uint64]*waiters // by the message's sequence

type waiters struct {
	done  chan struct{} // closed once the message is durable, or nothing will be
	count int
}

// join adds one who waits for a message.
func (a awaited) join(sequence uint64) *waiters {
	w := a[sequence]
	if w == nil {
		w = &waiters{done: make(chan struct{})}
		a[sequence] = w
	}
	w.count++
	return w
}

// leave takes one away who has waited long enough. The last takes the waiters'
// place along, for a message that is never folded would keep it for ever.
func (a awaited) leave(sequence uint64, w *waiters) {
	if w.count--; w.count == 0 && a[sequence] == w {
		delete(a, sequence)
	}
}

// wake lets those go who wait for messages after from, up to to.
func (a awaited) wake(from, to uint64) {
	if to-from > uint64(len(a)) {
		for sequence, w := range a {
			if sequence <= to {
				a.let(sequence, w)
			}
		}
		return
	}
	for sequence := from + 1; sequence <= to; sequence++ {
		if w := a[sequence]; w != nil {
			a.let(sequence, w)
		}
	}
}

// wakeAll lets everybody go.
func (a awaited) wakeAll() {
	for sequence, w := range a {
		a.let(sequence, w)
	}
}

func (a awaited) let(sequence uint64, w *waiters) {
	delete(a, sequence)
	close(w.done)
}

// Await returns what became of the record at place in the message at sequence,
// once that is durable. It waits as long as ctx allows, and returns the reason
// when recording has stopped before it.
func (l *Ledger) Await(ctx context.Context, sequence uint64, place uint16) (chain.Receipt, error) {
	head, err := l.waitSequence(ctx, sequence)
	if err != nil {
		return chain.Receipt{}, err
	}
	l.mu.Lock()
	first, ok := l.spots.find(sequence)
	l.mu.Unlock()
	if !ok {
		if first, err = l.firstOf(head, sequence); err != nil {
			return chain.Receipt{}, err
		}
	}
	receipt, err := l.receipt(first + uint64(place))
	switch e := &receipt.Entry; {
	case err != nil:
	case e.Kind == chain.KindGap:
		err = fmt.Errorf("%w: message %d was lost before it was read, as entry %d admits; publish what it held again", ErrNotFound, sequence, e.Index)
	case e.Sequence != sequence || e.Place != place:
		err = fmt.Errorf("%w: message %d has no place %d", ErrNotFound, sequence, place)
	}
	return receipt, err
}

// receipt returns the receipt of the entry at index.
func (l *Ledger) receipt(index uint64) (chain.Receipt, error) {
	if recent := l.ring.from(index); len(recent) > 0 {
		out := chain.Receipt{Entry: recent[0].Entry, EntryHash: recent[0].Leaf}
		out.Entry.Tail = slices.Clone(out.Entry.Tail) // a view of the message
		return out, nil
	}
	leaf, hash, err := l.Get(index)
	return chain.Receipt{Entry: leaf.Entry, EntryHash: hash}, err
}

// waitSequence waits until a message is durably folded.
func (l *Ledger) waitSequence(ctx context.Context, sequence uint64) (Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	epoch := l.head.State.Epoch
	for l.head.State.Sequence < sequence {
		if l.err != nil {
			return l.head, l.err
		}
		w := l.awaited.join(sequence)
		l.mu.Unlock()
		select {
		case <-w.done:
			l.mu.Lock()
			if l.head.State.Epoch != epoch {
				return l.head, fmt.Errorf("%w: message %d went with its stream before it was read; publish what it held again", ErrNotFound, sequence)
			}
		case <-ctx.Done():
			l.mu.Lock()
			l.awaited.leave(sequence, w)
			return l.head, ctx.Err()
		}
	}
	return l.head, nil
}

// Stopped is closed once nothing more will be recorded; [Ledger.Err] says why.
func (l *Ledger) Stopped() <-chan struct{} { return l.pipeline.stopped.Done() }

// firstOf finds a message's first entry among the stored ones: entries are in
// order of their sequence.
func (l *Ledger) firstOf(head Head, sequence uint64) (uint64, error) {
	return l.firstIn(head, head.State.Epoch, sequence)
}

// firstIn is [Ledger.firstOf] in an epoch that may have ended.
func (l *Ledger) firstIn(head Head, epoch uint32, sequence uint64) (uint64, error) {
	var failed error
	i := sort.Search(int(head.Size), func(i int) bool {
		e, err := l.entry(uint64(i))
		if err != nil {
			failed = errors.Join(failed, err)
			return true
		}
		return e.Epoch > epoch || e.Epoch == epoch && e.Sequence >= sequence
	})
	if failed == nil && uint64(i) == head.Size {
		failed = fmt.Errorf("%w: no entry of message %d", ErrNotFound, sequence)
	}
	return uint64(i), failed
}
