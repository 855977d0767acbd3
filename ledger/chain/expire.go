package chain

import "fmt"

// ParseExpiry parses an expiry's body. It is laid out as an erasure's ([Erase]): the
// ledger's keys sign it, its rule is its reason, and it destroys as an erasure does.
func ParseExpiry(body []byte) (Erase, error) {
	e, err := parseSelecting("expiry", body)
	switch {
	case err != nil:
		return e, err
	case e.Role != RoleLedger:
		return e, malformed("expiry: by the role %s, which lets nothing expire", e.Role)
	case e.Reason != EraseExpired:
		return e, malformed("expiry: it gives a reason besides its rule")
	case e.Rule == NoRef:
		return e, malformed("expiry: it names no rule")
	}
	return e, nil
}

// SealExpiry frames and signs an expiry as the body of a control message. size and
// root are the ledger's as the signer saw it.
func SealExpiry(ledger Hash, control, size uint64, root Hash, e Erase, signers ...Signer) []byte {
	return SealControl(Statement{
		Ledger: ledger, Number: control, Type: ControlExpire,
		Size: size, Root: root, Body: e.Append(nil),
	}, nil, signers...)
}

// expire is an expiry's part of check 9.
func (s *State) expire(st *Statement) error {
	e, err := ParseExpiry(st.Body)
	if err != nil {
		return err
	}
	if _, ok := s.rules.Find(e.Rule); !ok {
		return fmt.Errorf("the rule in entry %d, which it names, does not stand", e.Rule)
	}
	if end := e.Ranges[len(e.Ranges)-1].To; end > st.Size {
		return fmt.Errorf("it selects entry %d, and speaks of a ledger of %d", end-1, st.Size)
	}
	s.Erasures++
	return nil
}

// lets checks that the rule lets all go that an expiry selects, at the time that its
// own entry has.
func (s *State) lets(e *Erase, millis int64, known *Known) error {
	rule, _ := s.rules.Find(e.Rule) // it stood a moment ago
	for index := range e.Indexes() {
		selected := known.Selected[index]
		if err := s.rules.Lets(&rule, &selected, millis); err != nil {
			return refused(CodeNotDue, "entry %d: %w", index, err)
		}
	}
	return nil
}
