package chain

import "fmt"

// EpochStart is a control statement, signed by the operator role, that goes on
// with the ledger on another stream: the one before it had to be made anew. It is
// the first message that is folded of the new stream, and is of the new epoch
// itself. Its condition is the ledger that the old stream made: its size, and the
// root there.
type EpochStart struct {
	Epoch   uint32 // the state's + 1
	Last    uint64 // sequence of the last message folded of the old stream
	First   uint64 // sequence of this very message in the new one
	Stream  string // the new stream's name
	Created int64  // when the new stream was made, ns since 1970
}

// Append appends the statement's body to dst.
func (e *EpochStart) Append(dst []byte) []byte {
	dst = be32(dst, e.Epoch)
	dst = be64(dst, e.Last)
	dst = be64(dst, e.First)
	dst = be16(dst, len(e.Stream))
	dst = append(dst, e.Stream...)
	return be64(dst, uint64(e.Created))
}

// ParseEpochStart parses exactly what [EpochStart.Append] prints.
func ParseEpochStart(body []byte) (EpochStart, error) {
	c := cursor{b: body}
	e := EpochStart{Epoch: c.u32(), Last: c.u64(), First: c.u64(), Stream: c.string16(), Created: int64(c.u64())}
	if !c.done() || e.Epoch == 0 || e.Stream == "" || e.Created < 0 {
		return e, malformed("start of an epoch of %d bytes", len(body))
	}
	return e, nil
}

// SealEpoch frames and signs an epoch's start as the body of a control message.
// size and root are the ledger's at the end of the old stream; words say why, are kept
// beside the entry, and may be erased.
func SealEpoch(ledger Hash, control, size uint64, root Hash, e EpochStart, words string, signers ...Signer) []byte {
	return SealControl(Statement{
		Ledger: ledger, Number: control, Type: ControlEpoch,
		Size: size, Root: root, Body: e.Append(nil),
	}, []byte(words), signers...)
}

// Epoch returns what a message says that would begin an epoch, judged by nobody;
// ok is false for any other message.
func (m *Message) Epoch() (e EpochStart, ok bool) {
	s, ok := m.statement(ControlEpoch)
	if !ok {
		return e, false
	}
	e, err := ParseEpochStart(s.Body)
	return e, err == nil
}

// statement returns the statement of a control message of a type, unjudged.
func (m *Message) statement(t ControlType) (s Statement, ok bool) {
	if !m.Control() {
		return s, false
	}
	f, ok := parseFrame(m.Body)
	if !ok {
		return s, false
	}
	s, err := ParseStatement(f.statement)
	return s, err == nil && s.Type == t
}

// newStream reports whether a message may stand where no message of the stream
// follows: it begins an epoch, if it is accepted.
func (s *State) newStream(m *Message) bool {
	_, ok := m.statement(ControlEpoch)
	return ok && s.Size > 1
}

// begin goes on in another stream.
func (s *State) begin(m *Message, st *Statement) error {
	e, err := ParseEpochStart(st.Body)
	switch {
	case err != nil:
		return err
	case e.Epoch != s.Epoch+1:
		return fmt.Errorf("it begins epoch %d, but epoch %d is under way", e.Epoch, s.Epoch)
	case e.Last != s.Sequence:
		return fmt.Errorf("it says that the old stream was folded up to message %d, not %d", e.Last, s.Sequence)
	case e.First != m.Sequence:
		return fmt.Errorf("it says that it stands at message %d, not %d", e.First, m.Sequence)
	}
	s.Epoch, s.Start, s.EpochIndex = e.Epoch, e, s.Size
	// What counts messages begins anew with them.
	s.SeedSequence, s.Trimmed = e.First, 0
	s.gaps = s.openGaps()
	return nil
}

// CheckEpoch reports whether a message begins the ledger's next epoch: whether the
// fold, at s, would accept it. root is the ledger's. The error is a [ControlError]
// or a [HaltError].
func (s *State) CheckEpoch(m *Message, root Hash) error {
	if _, ok := m.statement(ControlEpoch); !ok || s.Size < 2 {
		return refused(CodeControlBody, "message %d on %q begins no epoch", m.Sequence, m.Subject)
	}
	_, fits := appendEnvelope(nil, m.Subject, m.Header)
	_, _, _, err := s.admit(m, fits, &Known{Roots: map[uint64]Hash{s.Size: root}})
	return err
}
