package chain

import (
	"errors"
	"fmt"
	"slices"
)

// CheckGap reports whether a later message of the stream admits the hole that the
// ledger stands at, so that [State.FoldGap] takes it. Every replica hands the fold
// the first message behind the hole that passes, or they would fork; and before it
// does, makes sure that the stream has none of the messages that are called lost.
// root is the ledger's. The error is a [ControlError]; one with
// [CodeControlCondition] says that an operator admits this very hole, but of a
// ledger with another root: this replica must stop.
func (s *State) CheckGap(m *Message, root Hash) error {
	_, fits := appendEnvelope(nil, m.Subject, m.Header)
	_, err := s.atHole(m, fits, root)
	return err
}

// atHole judges a gap notice against the hole that the ledger stands at.
func (s *State) atHole(m *Message, fits bool, root Hash) (GapNotice, error) {
	if _, ok := m.statement(ControlGap); !ok || m.Subject != ControlGap.Subject() {
		return GapNotice{}, refused(CodeControlBody, "message %d on %q admits no gap", m.Sequence, m.Subject)
	}
	_, st, err := s.signed(m, fits)
	if err != nil {
		return GapNotice{}, err
	}
	n, err := s.hole(&st)
	switch {
	case err != nil:
		return n, err
	case n.Last >= m.Sequence:
		return n, refused(CodeControlBody, "it stands at message %d, within what it says is lost", m.Sequence)
	case st.Root != root:
		return n, refused(CodeControlCondition, "it names the root %s at size %d, this ledger has %s: here is another history", st.Root, st.Size, root)
	}
	return n, nil
}

// hole checks that a signed notice speaks of the hole that the ledger stands at.
func (s *State) hole(st *Statement) (GapNotice, error) {
	n, err := ParseGapNotice(st.Body)
	switch {
	case st.Ledger != s.ledger:
		return n, &ControlError{Code: CodeControlLedger}
	case err != nil:
		return n, &ControlError{Code: CodeControlBody, Why: err}
	case s.Size < 2:
		return n, refused(CodeControlBody, "nothing may be lost before seed 0")
	case n.Epoch != s.Epoch || n.First != s.Sequence+1:
		return n, refused(CodeControlBody, "it speaks of message %d of epoch %d, due is %d of epoch %d", n.First, n.Epoch, s.Sequence+1, s.Epoch)
	case st.Size != s.Size:
		return n, refused(CodeControlBody, "it names a size of %d, at the hole the ledger has %d", st.Size, s.Size)
	}
	return n, nil
}

// FoldGap folds a gap notice at the hole that the ledger stands at, though the
// message stands further back in the stream: the gap gets an entry, and the message
// after what is lost is the next one. known tells the system's head and the root at
// the ledger's size. Where it stands itself the message is folded once more, as
// any control message. The error is that of [State.CheckGap]; nothing is folded
// then, and another notice may do.
func (s State) FoldGap(m Message, known Known) (Result, error) {
	root, told := known.Roots[s.Size]
	if !told {
		return Result{State: s}, fmt.Errorf("%w: the root at size %d", ErrUnknown, s.Size)
	}
	_, fits := appendEnvelope(nil, m.Subject, m.Header)
	n, err := s.atHole(&m, fits, root)
	if err != nil {
		return Result{State: s}, err
	}
	g := Gap{Epoch: n.Epoch, First: n.First, Last: n.Last, Message: m.Sequence}
	f := fold{s: s, known: known, heads: map[Hash]*Head{}}
	e := Entry{
		Kind: KindGap, Count: 1, Seed: s.Seed, Ref: NoRef, Tail: appendTLV(nil, TagGap, g.Append(nil)),
	}
	f.s.gaps = append(slices.Clone(s.gaps), gapAt{Gap: g, index: s.Size})
	f.push(&e, &Payload{}, m.Time, n.First)
	// There is no message to know the stream again by.
	f.s.Sequence, f.s.Digest = n.Last, Hash{}
	f.out.State = f.s
	f.out.Heads = map[Hash]Head{{}: *f.heads[Hash{}]}
	return f.out, nil
}

// openGaps returns the gaps that are yet to be admitted.
func (s *State) openGaps() (open []gapAt) {
	for _, g := range s.gaps {
		if !g.admitted {
			open = append(open, g)
		}
	}
	return open
}

// folded returns the place in s.gaps of the gap in the entry at index; -1 when
// there is none.
func (s *State) folded(index uint64) int {
	return slices.IndexFunc(s.gaps, func(g gapAt) bool { return g.index == index })
}

// notice checks what a gap notice says, where it stands itself.
func (s *State) notice(m *Message, st *Statement) error {
	n, err := ParseGapNotice(st.Body)
	if err != nil {
		return err
	}
	if m.Subject != ControlGap.Subject() {
		return fmt.Errorf("it stands on %q, where no reader at the hole looks for it", m.Subject)
	}
	if at := s.folded(st.Size); at >= 0 {
		switch g := &s.gaps[at]; {
		case g.Epoch != n.Epoch || g.First != n.First || g.Last != n.Last:
			return fmt.Errorf("entry %d stands for messages %d to %d, not %d to %d", st.Size, g.First, g.Last, n.First, n.Last)
		case g.admitted:
			return fmt.Errorf("the gap of entry %d is admitted already", st.Size)
		}
		return nil
	}
	switch {
	case n.Epoch != s.Epoch:
		return fmt.Errorf("it speaks of epoch %d, in epoch %d", n.Epoch, s.Epoch)
	case n.Last >= m.Sequence:
		return errors.New("it stands within what it says is lost")
	}
	return nil
}

// admitGap notes that a gap's notice is accepted where it stands itself.
func (s *State) admitGap(m *Message, st *Statement) error {
	at := s.folded(st.Size)
	if at < 0 {
		n, _ := ParseGapNotice(st.Body) // it parsed before
		return &HeldError{GapNotice: n, Sequence: m.Sequence}
	}
	s.gaps = slices.Clone(s.gaps)
	s.gaps[at].admitted = true
	return nil
}

// HeldError says that a gap notice admits messages as lost which this ledger holds:
// another replica has a gap where this one has entries.
type HeldError struct {
	GapNotice
	Sequence uint64 // of the notice
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("chain: message %d says that messages %d to %d of epoch %d are lost, but this ledger holds them: "+
		"replicas disagree, so recording stops here; keep this folder, and begin this replica again from one that has the gap",
		e.Sequence, e.First, e.Last, e.Epoch)
}
