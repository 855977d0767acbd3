package chain

import (
	"errors"
	"fmt"
	"strings"

	"annals/activity"
)

// ErrNotKept says that a message can't be put together again, because what it was
// made of isn't kept: a body over [MaxBody], a payload that was erased, a gap.
var ErrNotKept = errors.New("the ledger does not keep what the message was")

// Rebuild puts a message together from all of its entries, in their order: folded
// where the message stood, what it returns makes the same entries. Headers that are
// not retained are not in it, which no entry and no digest tells. Nor is it known
// whether a line feed ended its last line; where that makes a difference to its
// digest it is [Message.Rebuilt].
//
// The fold is what judges it: whoever gets leaves from somebody else compares roots
// after folding. Errors wrap [ErrNotKept], or say that the leaves are no message's.
func Rebuild(leaves []Leaf) (Message, error) {
	if len(leaves) == 0 {
		return Message{}, malformed("no entries, where a message has one at least")
	}
	first := &leaves[0].Entry
	if first.Kind == KindGap {
		return Message{}, fmt.Errorf("chain: message %d: %w: entry %d is a gap", first.Sequence, ErrNotKept, first.Index)
	}
	for i := range leaves {
		e := &leaves[i].Entry
		if int(e.Count) != len(leaves) || int(e.Place) != i || e.Sequence != first.Sequence || e.Epoch != first.Epoch || e.Timestamp != first.Timestamp {
			return Message{}, malformed("entry %d is place %d of %d of message %d, not %d of %d of message %d", e.Index, e.Place, e.Count, e.Sequence, i, len(leaves), first.Sequence)
		}
		if p := leaves[i].Payload; p == nil || p.Kept == KeptNone {
			return Message{}, fmt.Errorf("chain: message %d: %w: entry %d has no body", e.Sequence, ErrNotKept, e.Index)
		}
	}
	payload := leaves[0].Payload
	m := Message{Subject: payload.Subject(), Sequence: first.Sequence, Time: first.Timestamp}
	for pairs := payload.Headers(); len(pairs) > 1; pairs = pairs[2:] {
		m.add(pairs[0], pairs[1])
	}
	switch {
	case first.Kind == KindRejection && activity.Code(first.Code) == CodeHeaders:
		// Its envelope has no headers; that there were too many is all that is known.
		m.add("ce-", strings.Repeat("-", MaxHeaders))
		m.Body = leaves[0].Body()
	case split(&m, first):
		for i := range leaves {
			m.Body = append(append(m.Body, leaves[i].Body()...), '\n')
		}
		// Without its line feed an empty last line would be none.
		m.Rebuilt = len(leaves[len(leaves)-1].Body()) > 0
	default:
		m.Body = leaves[0].Body()
	}
	return m, nil
}

func (m *Message) add(name, value string) {
	if m.Header == nil {
		m.Header = map[string][]string{}
	}
	m.Header[name] = append(m.Header[name], value)
}

// split reports whether a message's entries are its lines, and not the message as a
// whole.
func split(m *Message, first *Entry) bool {
	if m.Control() || !isNDJSON(m.Header) {
		return false
	}
	switch activity.Code(first.Code) {
	case CodeSubject, CodeReserved, CodeNoLines, CodeTooManyLines:
		return first.Kind != KindRejection
	}
	return true
}
