package chain

// StatementOf returns the statement in a control message's body, judged by nobody;
// ok is false where there is none of version 1. It is for whoever looks ahead in
// the stream, or has to say where a message goes.
func StatementOf(body []byte) (s Statement, ok bool) {
	f, ok := parseFrame(body)
	if !ok {
		return s, false
	}
	s, err := ParseStatement(f.statement)
	return s, err == nil
}

// Overdue returns the first gap whose notice was not accepted where it stands, so
// that nothing in the ledger admits the loss yet, and the index of its entry. A
// notice that is still to come where it stands is not overdue.
func (s *State) Overdue() (g Gap, index uint64, ok bool) {
	for _, open := range s.openGaps() {
		if open.Epoch != s.Epoch || open.Message <= s.Sequence {
			return open.Gap, open.index, true
		}
	}
	return g, 0, false
}
