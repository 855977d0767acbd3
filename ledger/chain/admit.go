package chain

import (
	"errors"
	"fmt"

	"annals/activity"
)

// ControlError says why a control message is, or would be, rejected.
type ControlError struct {
	Code activity.Code // the rejection's
	Why  error         // more than the code says; may be nil
}

func (e *ControlError) Error() string {
	name, sentence := Reason(uint16(e.Code))
	if e.Why == nil {
		return fmt.Sprintf("chain: control message refused (%s): %s", name, sentence)
	}
	return fmt.Sprintf("chain: control message refused (%s): %s: %v", name, sentence, e.Why)
}

func (e *ControlError) Unwrap() error { return e.Why }

func refused(code activity.Code, format string, args ...any) error {
	return &ControlError{Code: code, Why: fmt.Errorf(format, args...)}
}

// admit checks a control message in full (docs/format/control.md), and returns the
// state that its statement makes, before its own entry. A [ControlError] says why
// it is rejected; any other error stops the fold. Without known, conditions are not
// compared with the ledger.
func (s *State) admit(m *Message, fits bool, known *Known) (State, frame, Statement, error) {
	fr, st, err := s.signed(m, fits)
	if err == nil {
		err = s.due(m, &st)
	}
	next := *s
	if err == nil {
		err = next.hold(m, &fr, &st)
	}
	if err == nil && known != nil {
		err = s.meets(&st, Millis(s.Millis, s.Wall, m.Time), known)
	}
	if err == nil && st.Type == ControlGap {
		err = next.admitGap(m, &st)
	}
	next.Control++
	return next, fr, st, err
}

// signed is checks 1 to 5: those that need the message and the keys alone.
func (s *State) signed(m *Message, fits bool) (fr frame, st Statement, err error) {
	if !fits {
		return fr, st, &ControlError{Code: CodeHeaders}
	}
	if len(m.Body) > MaxBody {
		return fr, st, &ControlError{Code: CodeBodyTooLarge}
	}
	fr, ok := parseFrame(m.Body)
	if !ok {
		return fr, st, &ControlError{Code: CodeControlFrame}
	}
	st, versionErr := ParseStatement(fr.statement)
	if errors.Is(versionErr, ErrMalformed) {
		return fr, st, &ControlError{Code: CodeControlFrame, Why: versionErr}
	}
	if err := s.keys.judgeType(fr.statement, fr.signatures, st.Type); err != nil {
		return fr, st, &ControlError{Code: CodeControlSignature, Why: err}
	}
	if versionErr != nil {
		return fr, st, &HaltError{Sequence: m.Sequence, What: "a control statement of an unknown version"}
	}
	return fr, st, nil
}

// due is checks 6 to 8: that a signed statement is this ledger's, next in number,
// and of a type that this version knows.
func (s *State) due(m *Message, st *Statement) error {
	if st.Ledger != s.ledger {
		return &ControlError{Code: CodeControlLedger}
	}
	if st.Number != s.Control {
		return refused(CodeControlNumber, "it has number %d, due is %d", st.Number, s.Control)
	}
	if st.Type.role() == 0 {
		return &HaltError{Sequence: m.Sequence, What: st.Type.String()}
	}
	return nil
}

// hold is check 9, that a statement's body and private part hold. It makes of s the
// state that the statement makes.
func (s *State) hold(m *Message, fr *frame, st *Statement) (err error) {
	switch {
	case s.Size == 1 && st.Type != ControlSeed:
		return refused(CodeControlBody, "entry 1 is seed 0")
	case len(fr.private) > 0 && (st.Type == ControlMark || st.Type == ControlTrim || st.Type == ControlExpire || st.Type == ControlTimestamp):
		// Of the others it is a secret, or says in words why.
		return refused(CodeControlBody, "a private part of %d bytes", len(fr.private))
	}
	switch st.Type {
	case ControlSeed:
		err = s.seed(fr, st)
	case ControlMark:
		err = s.mark(st)
	case ControlKey:
		err = s.changeKeys(fr, st)
	case ControlEpoch:
		err = s.begin(m, st)
	case ControlGap:
		err = s.notice(m, st)
	case ControlFold:
		err = s.foldBy(st)
	case ControlTrim:
		err = s.trim(st)
	case ControlErase:
		err = s.erase(st)
	case ControlExpire:
		err = s.expire(st)
	case ControlRetention:
		err = s.retain(st)
	case ControlHold:
		err = s.place(st)
	case ControlRelease:
		err = s.release(st)
	case ControlCatalogue:
		err = s.catalogue(fr, st)
	case ControlTimestamp:
		err = s.timestamp(st)
	default:
		err = errors.New("a second genesis")
	}
	var already *ControlError
	switch {
	case err == nil, errors.As(err, &already):
		return err
	case errors.Is(err, ErrUnsupported):
		return &HaltError{Sequence: m.Sequence, What: fmt.Sprintf("a control statement of type %s that a newer version wrote", st.Type)}
	}
	return &ControlError{Code: CodeControlBody, Why: err}
}

// meets is check 10: that the ledger is, or was, what the statement was signed for.
// s is the state before the statement, and millis the time that its entry has.
func (s *State) meets(st *Statement, millis int64, known *Known) error {
	size, needed := st.condition()
	reaches := st.Type == ControlTrim || st.Type == ControlGap
	switch {
	case st.Type == ControlMark:
		return nil
	case !needed && (reaches || st.Type == ControlEpoch || st.Type == ControlTimestamp || st.selecting()):
		return refused(CodeControlCondition, "it names no size and root")
	case !needed:
		return nil
	case size > s.Size:
		return refused(CodeControlCondition, "it names a size of %d, the ledger has %d entries", size, s.Size)
	case size < s.Size && st.Type == ControlEpoch:
		return refused(CodeControlCondition, "it names a size of %d, but the ledger goes on to %d", size, s.Size)
	}
	root, toldRoot := known.Roots[size]
	reached, toldReached := known.Reached[size]
	switch {
	case !toldRoot:
		return fmt.Errorf("%w: the root at size %d", ErrUnknown, size)
	case reaches && !toldReached:
		return fmt.Errorf("%w: the sequence at size %d", ErrUnknown, size)
	case root != st.Root:
		return refused(CodeControlCondition, "it names another root at size %d than %s", size, root)
	}
	if st.selecting() {
		return s.selects(st, millis, known)
	}
	if least, within := st.least(); reaches && least != reached {
		return refused(CodeControlCondition, "at size %d the ledger reaches message %d, not %d", size, reached, least)
	} else if within == s.Epoch && size <= s.EpochIndex && reaches {
		return refused(CodeControlCondition, "size %d is before the epoch", size)
	}
	return nil
}

// selecting reports whether a statement selects entries by the state that its signer
// saw. Its body parses.
func (st *Statement) selecting() bool {
	switch st.Type {
	case ControlErase, ControlExpire:
		return true
	case ControlHold:
		h, err := ParseHold(st.Body)
		return err == nil && h.Ranges != nil
	}
	return false
}

// least returns the sequence, and its epoch, that a trim or a gap notice says its
// size reaches. Its body parses.
func (st *Statement) least() (sequence uint64, epoch uint32) {
	if st.Type == ControlGap {
		g, _ := ParseGapNotice(st.Body)
		return g.First - 1, g.Epoch
	}
	t, _ := ParseTrim(st.Body)
	return t.Least(), t.Epoch
}

// CheckControl reports whether the body of a control message that was published now
// would be accepted, as far as that can be told without its place in the stream: by
// its frame, signatures, ledger, number, type and body. The error is a
// [ControlError] or a [HaltError].
//
// Of a gap notice the number may be a later one: a ledger that stands at a hole has
// yet to fold what follows.
func CheckControl(s *State, body []byte) error {
	m := Message{Subject: "annals.control.", Body: body, Sequence: s.Sequence + 1}
	_, st, err := s.signed(&m, true)
	if err != nil {
		return err
	}
	m.Subject = st.Type.Subject()
	if e, ok := m.Epoch(); ok {
		m.Sequence = e.First
	}
	if st.Type == ControlGap && s.folded(st.Size) < 0 {
		if st.Number < s.Control {
			return refused(CodeControlNumber, "it has number %d, due is %d at the least", st.Number, s.Control)
		}
		_, err := s.hole(&st)
		return err
	}
	_, _, _, err = s.admit(&m, true, nil)
	return err
}
