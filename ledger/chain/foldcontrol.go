package chain

import (
	"errors"
	"fmt"
)

// next is the sequence of the stream's next message.
func (s *State) next() uint64 {
	if s.Size == 0 {
		return s.first
	}
	return s.Sequence + 1
}

func errNoSeed(m *Message) error {
	return fmt.Errorf("chain: %w: message %d on %q stands where seed 0 must: "+
		"producers were let in before the ledger was set up; begin with an empty stream", ErrNotGenesis, m.Sequence, m.Subject)
}

// control folds a control message: it is rejected, or an entry of its own kind.
func (f *fold) control(p *Prepared) error {
	m := &p.message
	if f.s.Size == 0 {
		return f.genesis(p)
	}
	next, fr, st, err := f.s.admit(m, p.fits, &f.known)
	var why *ControlError
	switch {
	case errors.As(err, &why) && m.Sequence != f.s.next():
		// It is of another stream, and does not begin an epoch there.
		return fmt.Errorf("%w: %w", &SequenceError{Want: f.s.next(), Got: m.Sequence}, err)
	case errors.As(err, &why) && f.s.Size == 1:
		return errNoSeed(m)
	case errors.As(err, &why):
		f.pushControl(p, Entry{Kind: KindRejection, Code: uint16(why.Code)})
		return nil
	case err != nil:
		return err
	}
	f.s = next
	f.pushControl(p, Entry{Kind: KindControl, Code: uint16(st.Type), Tail: fr.tail()})
	switch st.Type {
	case ControlSeed:
		f.s.SeedSequence, f.s.SeedMillis = m.Sequence, f.s.Millis
	case ControlMark:
		f.s.MarkSize = f.s.Size
	}
	return nil
}

// pushControl salts, commits and pushes a control message's entry, under the
// seed that is in force now.
func (f *fold) pushControl(p *Prepared, e Entry) {
	m := &p.message
	payload := Payload{Envelope: p.envelope, Kept: KeptWhole, Body: m.Body}
	payload.Salt = Salt(f.s.Secret, f.s.ledger, f.s.Epoch, m.Sequence, 0)
	e.Commitment = commit(nil, &payload.Salt, &f.s.ledger, f.s.Epoch, m.Sequence, 0, p.envelope, m.Body)
	e.Count, e.Seed, e.Ref = 1, f.s.Seed, NoRef
	if len(m.Body) > MaxBody {
		payload.Kept, payload.Body = KeptNone, nil
	} else {
		e.Flags |= FlagRetained
	}
	f.push(&e, &payload, m.Time, m.Sequence)
}

// genesis folds the stream's first message, which OpenGenesis has checked.
func (f *fold) genesis(p *Prepared) error {
	opened, _, err := OpenGenesis(&p.message)
	if err != nil {
		return err
	}
	if opened.ledger != f.s.ledger {
		return fmt.Errorf("chain: %w: it is the genesis of ledger %s, not %s", ErrNotGenesis, opened.ledger, f.s.ledger)
	}
	fr, _ := parseFrame(p.message.Body)
	f.s.Control = 1
	f.pushControl(p, Entry{Kind: KindControl, Code: uint16(ControlGenesis), Tail: fr.tail()})
	return nil
}

// condition returns the size at which a statement wants its root to be the
// ledger's, and whether it wants that: a mark speaks of one without wanting it.
func (s *Statement) condition() (size uint64, needed bool) {
	return s.Size, s.Type != ControlMark && (s.Size != 0 || !s.Root.IsZero())
}

// Condition returns the size whose root the fold needs to know before it can
// judge a control message, and whether there is one.
func (p *Prepared) Condition() (size uint64, needed bool) {
	if !p.control {
		return 0, false
	}
	fr, ok := parseFrame(p.message.Body)
	if !ok {
		return 0, false
	}
	s, err := ParseStatement(fr.statement)
	if err != nil {
		return 0, false
	}
	return s.condition()
}
