package proof

import (
	"annals/ledger/chain"
)

// gap is a gap entry whose signed notice must come later.
type gap struct {
	chain.Gap
	index     uint64
	timestamp int64
	at        uint64 // skipped entries, when it was noted
}

// gap notes a gap entry, to be admitted by a control message later in the stream.
func (r *rules) gap(j *joiner, x uint64, e *chain.Entry) {
	g, err := e.Gap()
	if err != nil {
		j.found.at(x, MalformedEntry, "%v", err)
		return
	}
	if len(r.gaps) < maxHoles {
		r.gaps = append(r.gaps, gap{g, x, e.Timestamp, j.damage.skips})
	}
}

// gapNotice checks a gap notice where it stands itself: the gap that it admits
// stands at the size that it names, for the messages that it names.
func (j *joiner) gapNotice(x uint64, e *chain.Entry, s *chain.Statement) {
	n, err := chain.ParseGapNotice(s.Body)
	if err != nil {
		j.found.at(x, MalformedEntry, "control entry %d: %v", x, err)
		return
	}
	r := &j.rules
	for i := range r.gaps {
		g := r.gaps[i]
		if g.index != s.Size {
			continue
		}
		if g.Epoch != n.Epoch || g.First != n.First || g.Last != n.Last {
			j.found.at(x, UnauthorisedControl, "control entry %d admits messages %d to %d of epoch %d as lost, but gap entry %d stands for messages %d to %d of epoch %d",
				x, n.First, n.Last, n.Epoch, g.index, g.First, g.Last, g.Epoch)
			return
		}
		if g.Epoch == e.Epoch && g.Message == e.Sequence && g.timestamp != e.Timestamp {
			j.found.at(g.index, MalformedEntry, "gap entry %d has time %d ns, but control entry %d, which admits it, has %d ns", g.index, g.timestamp, x, e.Timestamp)
		}
		j.found.notice(g.index, SignedGap, "messages %d to %d of epoch %d are lost; control entry %d, signed by the operator, admits it", g.First, g.Last, g.Epoch, x)
		r.gaps = append(r.gaps[:i:i], r.gaps[i+1:]...)
		j.state(x, s, nil, n.First-1)
		return
	}
	if j.damage.skips == 0 && len(r.gaps) < maxHoles {
		j.found.at(x, UnauthorisedControl, "control entry %d admits messages %d to %d of epoch %d as lost, but at entry %d stands no gap that was still to be admitted",
			x, n.First, n.Last, n.Epoch, s.Size)
	}
}

// settleGaps reports the gaps that nothing admitted until the end.
func (r *rules) settleGaps(j *joiner) {
	for _, g := range r.gaps {
		passed := r.began && place{epoch: g.Epoch, sequence: g.Message}.compare(r.due) < 0
		switch {
		case !passed:
			j.found.notice(g.index, SignedGap, "messages %d to %d of epoch %d are said to be lost; the notice that admits it, message %d, is not recorded yet", g.First, g.Last, g.Epoch, g.Message)
		case g.at == j.damage.skips:
			j.found.at(g.index, UnauthorisedControl, "gap entry %d says that message %d admits it, but no control entry does", g.index, g.Message)
		}
	}
}
