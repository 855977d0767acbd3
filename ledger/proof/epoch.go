package proof

import (
	"time"

	"annals/ledger/chain"
)

// epoch checks a control entry that goes on in another stream, and lets the
// succession go on there: an epoch begins with this entry and in no other way.
func (j *joiner) epoch(x uint64, e *chain.Entry, s *chain.Statement) {
	r := &j.rules
	was, known := r.expected(&j.damage)
	start, err := chain.ParseEpochStart(s.Body)
	if err != nil {
		j.found.at(x, MalformedEntry, "control entry %d: %v", x, err)
		r.begin(x, place{epoch: e.Epoch, sequence: e.Sequence})
		return
	}
	j.found.notice(x, NewEpoch, "control entry %d begins epoch %d in the stream %q, made %s; the old one was folded up to message %d", x, start.Epoch, start.Stream,
		time.Unix(0, start.Created).UTC().Format(time.RFC3339), start.Last)
	wrong := func(format string, args ...any) { j.found.at(x, UnauthorisedControl, format, args...) }
	switch {
	case start.Epoch != e.Epoch:
		j.found.at(x, MalformedEntry, "control entry %d begins epoch %d, but is of epoch %d itself", x, start.Epoch, e.Epoch)
	case start.First != e.Sequence:
		j.found.at(x, MalformedEntry, "control entry %d says that it is message %d of its stream, but is message %d", x, start.First, e.Sequence)
	case known && start.Epoch != was.epoch+1:
		wrong("control entry %d begins epoch %d after epoch %d", x, start.Epoch, was.epoch)
	case known && was.within > 0:
		j.found.at(x, MissingEntry, "the old stream's last message was folded in part: %s is missing before entry %d, which begins another epoch", was, x)
	case known && start.Last != was.sequence-1:
		wrong("control entry %d says that the old stream was folded up to message %d, but its entries reach message %d", x, start.Last, was.sequence-1)
	}
	if s.Size != x {
		wrong("control entry %d begins an epoch after %d entries, but %d stand before it", x, s.Size, x)
	} else {
		j.state(x, s, nil, 0)
	}
	r.begin(x, place{epoch: start.Epoch, sequence: e.Sequence})
}

// begin lets the succession go on at the entry that begins an epoch.
func (r *rules) begin(x uint64, at place) {
	r.epochAt, r.beginning, r.trimmed = x, at, 0
}
