package proof

import (
	"fmt"

	"annals/ledger/chain"
)

// judge holds each entry that was not found altered to the rules, in the order of
// positions (docs/format/pack.md, 18 to 31).
func (w *walk) judge() {
	found := w.v.found
	by := make(map[uint64]*stop, len(w.slots))
	var first uint64 // index
	for _, position := range w.order {
		s := w.slots[position]
		index := s.says
		if s.form == nil {
			index = s.entry.Index
		}
		by[index] = s
		if len(by) == 1 || s.says < first {
			first = s.says
		}
	}
	var before *stop
	for _, position := range w.order {
		s := w.slots[position]
		switch {
		case s.altered:
			continue
		case s.form != nil:
			found.at(s.says, FindingOf(s.form), "position %d of the workspace's chain: %v", position, s.form)
			continue
		}
		w.entry(position, s)
		if before != nil {
			w.follow(before, s)
		}
		before = s
		if s.trouble != nil {
			found.at(s.entry.Index, s.trouble.finding, "%s", s.trouble.detail)
		}
		w.refer(s, by, first)
	}
	w.settleErasures(by)
	if w.v.Part && w.whole && w.payloads != w.v.Payloads {
		finding := TrailingBytes
		if w.payloads < w.v.Payloads {
			finding = PayloadMissing
		}
		found.whole(finding, "%d payloads are said to be there, and %d are", w.v.Payloads, w.payloads)
	}
}

// entry holds an entry to the rules that need no other (19, 20, 23 to 26).
func (w *walk) entry(position uint64, s *stop) {
	e, v, found := &s.entry, w.v, w.v.found
	if e.Index != s.says {
		found.at(e.Index, Reordered, "line %d says that it is entry %d, and it is entry %d", s.number+1, s.says, e.Index)
	}
	if e.Position != position {
		found.at(e.Index, WorkspaceChainBroken, "entry %d says position %d of its workspace's chain, and stands at %d", e.Index, e.Position, position)
	}
	if e.Workspace != v.tag {
		found.at(e.Index, WorkspaceChainBroken, "entry %d is of another workspace: its tag is %s", e.Index, e.Workspace)
	}
	partition, index := chain.SplitULID(e.ULID)
	if index != e.Index || v.genesis != nil && partition != v.genesis.Partition {
		found.at(e.Index, MalformedEntry, "the id %s of entry %d holds partition %d and index %d", e.ULID, e.Index, partition, index)
	}
	if position == 0 && !v.ledger.IsZero() && e.PreviousInWorkspace != chain.FirstInWorkspace(v.ledger, e.Workspace) {
		found.at(e.Index, WorkspaceChainBroken, "entry %d is the first of its workspace, and its chain does not begin with this ledger and workspace", e.Index)
	}
	if clamped := int64(e.ULID.Time()) != chain.FloorMillis(e.Timestamp); clamped != (e.Flags&chain.FlagClamped != 0) {
		found.at(e.Index, Clock, "entry %d: its id's time is %d ms, its stream's %d ns, and its flag says otherwise", e.Index, e.ULID.Time(), e.Timestamp)
	}
	if (e.Seed == chain.GenesisSeed) != (e.Index == 0) {
		found.at(e.Index, MalformedEntry, "entry %d is salted by seed %d, which it can't be", e.Index, e.Seed)
	}
	if e.Kind == chain.KindControl || e.Kind == chain.KindGap {
		found.at(e.Index, Unsupported, "entry %d is of kind %s: the system's chain is no tenant's, and is audited whole", e.Index, e.Kind)
	}
}

// follow holds an entry to the one before it here (21, 22, 24, 25).
func (w *walk) follow(b, s *stop) {
	e, was, found := &s.entry, &b.entry, w.v.found
	if e.Index <= was.Index {
		found.at(e.Index, WorkspaceChainBroken, "entry %d stands behind entry %d in its workspace's chain", e.Index, was.Index)
	}
	if e.Epoch < was.Epoch || e.Epoch == was.Epoch && placeOf(e).compare(placeOf(was)) <= 0 {
		found.at(e.Index, Reordered, "entry %d is of %s in epoch %d, behind %s in epoch %d", e.Index, placeOf(e), e.Epoch, placeOf(was), was.Epoch)
	}
	if e.ULID.Time() < was.ULID.Time() {
		found.at(e.Index, Clock, "entry %d is of %d ms, behind one of %d ms", e.Index, e.ULID.Time(), was.ULID.Time())
	}
	if e.Seed < was.Seed && was.Index > 0 {
		found.at(e.Index, MalformedEntry, "entry %d is salted by seed %d, behind seed %d", e.Index, e.Seed, was.Seed)
	}
	if e.Index != was.Index+1 {
		return
	}
	if e.Previous != b.leaf {
		found.at(e.Index, AlteredEntry, "entry %d names %s as the entry before it, and that hashes to %s", e.Index, e.Previous, b.leaf)
	}
	if ms := int64(e.ULID.Time()); ms > chain.FloorMillis(e.Timestamp) && e.ULID.Time() != was.ULID.Time() {
		found.at(e.Index, Clock, "entry %d: its id's time, %d ms, is neither its own nor that of the entry before it", e.Index, ms)
	}
	due := next(was)
	if e.Epoch != was.Epoch || placeOf(e) != due || due.within > 0 && e.Count != was.Count {
		found.at(e.Index, Hole, "entry %d is of %s, and %s was due behind entry %d", e.Index, placeOf(e), due, was.Index)
	}
}

// compare holds the entries to whatever was signed about the chain's end: the head,
// the mark, the head that was remembered; and to the receipts.
func (v *tenancy) compare() {
	w := &v.walk
	var sound []*stop
	for _, position := range w.order {
		if s := w.slots[position]; !s.altered && s.form == nil {
			sound = append(sound, s)
		}
	}
	for _, end := range []*signedEnd{endOf(v.head, "the workspace's signed head"), v.mark, endOf(v.remembered, "the head that was remembered")} {
		if end != nil {
			v.held(end, sound)
		}
	}
	for _, r := range v.receipts {
		if s := w.slots[r.Entry.Position]; s != nil && !s.altered && s.form == nil && s.leaf != chain.LeafHash(r.Raw) {
			v.found.put(Found{
				Finding: Forked, Index: &r.Index, Evidence: []string{string(r.Text())},
				Detail: fmt.Sprintf("position %d of the workspace's chain is entry %d with leaf %s, and a receipt shows entry %d with leaf %s there",
					r.Entry.Position, s.entry.Index, s.leaf, r.Index, chain.LeafHash(r.Raw)),
			})
		}
	}
	if v.Workspace != "" && len(w.lines) > 0 && w.payloads == 0 {
		v.found.remark(NameUnproven, "no payload is there whose subject names workspace %s: that the chain of tag %s is its own is the word of who shows it", v.Workspace, v.tag)
	}
	if v.head == nil {
		return
	}
	for _, s := range sound {
		if s.entry.Position >= v.head.Count && s.entry.Index >= v.head.Size {
			v.found.at(s.entry.Index, TailUnproven, "from position %d on, no signed head covers the workspace's entries", v.head.Count)
			break
		}
	}
	if v.Part && v.head.Count-1 > v.Last {
		v.found.remark(GoesOn, "the workspace's chain goes on to position %d in the first %d entries of the ledger", v.head.Count-1, v.head.Size)
	}
}

// endOf is what a head says of a chain's end.
func endOf(h *WorkspaceHead, who string) *signedEnd {
	if h == nil {
		return nil
	}
	return &signedEnd{Head: chain.Head{Count: h.Count, Index: h.Index, Leaf: h.Leaf}, size: h.Size, who: who, note: string(h.Note)}
}

// held notes the first entry that can't be true beside what was signed.
func (v *tenancy) held(end *signedEnd, sound []*stop) {
	for _, s := range sound {
		if what := end.contradicted(&s.entry, s.leaf); what != "" {
			v.found.put(Found{Finding: Forked, Index: &s.entry.Index, Detail: what, Evidence: []string{end.note}})
			return
		}
	}
}

// contradicted says in which way an entry of the workspace and the end of its chain
// can't both be true (docs/format/workspace-head.md), "" when they can.
func (end *signedEnd) contradicted(e *chain.Entry, leaf chain.Hash) string {
	last := end.Count - 1
	switch {
	case e.Index < end.size && e.Position >= end.Count:
		return fmt.Sprintf("entry %d is at position %d of its workspace's chain, and %s says that the first %d entries of the ledger have %d of it",
			e.Index, e.Position, end.who, end.size, end.Count)
	case e.Index >= end.size && e.Position < end.Count:
		return fmt.Sprintf("entry %d is at position %d of its workspace's chain, and %s says that this position is among the first %d entries of the ledger",
			e.Index, e.Position, end.who, end.size)
	case e.Position == last && (e.Index != end.Index || leaf != end.Leaf):
		return fmt.Sprintf("position %d of the workspace's chain is entry %d with leaf %s, and %s says entry %d with leaf %s",
			e.Position, e.Index, leaf, end.who, end.Index, end.Leaf)
	case (e.Position < last) != (e.Index < end.Index), (e.Position == last) != (e.Index == end.Index):
		return fmt.Sprintf("entry %d is at position %d of its workspace's chain, and %s says that position %d is entry %d",
			e.Index, e.Position, end.who, last, end.Index)
	}
	return ""
}
