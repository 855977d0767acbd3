package prooftest

import (
	"slices"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

// Erase erases entries of a workspace, by the role that is due, and returns the index
// of the control entry.
func (l *Ledger) Erase(workspace string, indexes ...uint64) uint64 {
	l.Fold()
	e := l.selection(workspace, indexes)
	before := l.state.Erasures
	l.Stream.Erase(l.Size(), l.Root(l.Size()), e, "by Erin")
	l.Fold()
	if l.state.Erasures != before+1 {
		panic("prooftest: the erasure was rejected")
	}
	return l.Size() - 1
}

// selection is the erasure of entries of a workspace on request.
func (l *Ledger) selection(workspace string, indexes []uint64) chain.Erase {
	e := chain.Erase{
		Role: l.state.Roster().Eraser(), Reason: chain.EraseRequest, Rule: chain.NoRef,
		Workspace: l.Tag(workspace), Parts: 1, Ranges: chain.Ranges(slices.Values(indexes)),
	}
	e.Leaves, _ = chain.SelectionHash(l.ID, e.Workspace, e.Ranges, func(index uint64) (chain.Hash, error) {
		return l.Leaves[index].Hash, nil
	})
	e.Selection = e.Leaves
	return e
}

// selected is what the fold has to know of what a message selects.
func (l *Ledger) selected(p *chain.Prepared) map[uint64]chain.Selected {
	e, ok := p.Selects()
	if !ok {
		return nil
	}
	out := map[uint64]chain.Selected{}
	for index := range chain.Indexes(e.Ranges) {
		if index < l.Size() {
			leaf := &l.Leaves[index]
			selected := leaf.Entry.Selected(leaf.Hash)
			selected.Type, selected.Gone = leaf.Type(), leaf.Payload == nil
			out[index] = selected
		}
	}
	return out
}

// destroy lets go of what an entry erases, as a ledger does.
func (l *Ledger) destroy(by *chain.Entry) {
	erase, ok := by.Erases()
	if !ok {
		return
	}
	l.erasures = append(l.erasures, by.Index)
	for i := range l.Leaves {
		if leaf := &l.Leaves[i]; covers(&erase, by.Index, &leaf.Entry) {
			leaf.Payload, leaf.Original = nil, nil
		}
	}
}

func covers(erase *chain.Erase, by uint64, e *chain.Entry) bool {
	return erase.Covers(e.Index) || e.Kind == chain.KindDuplicate && e.Index < by && erase.Covers(e.Ref)
}

// Gone returns the control entry by which an entry's payload is gone, of those in the
// tree of a size.
func (l *Ledger) Gone(e *chain.Entry, size uint64) (uint64, bool) {
	for _, by := range l.erasures {
		if erase, _ := l.Leaves[by].Entry.Erases(); by < size && covers(&erase, by, e) {
			return by, true
		}
	}
	return 0, false
}

// Erasures are the lines of the control entries that erased something of a
// workspace, and of what governs them where one is an expiry, with their proofs in the
// tree of a size.
func (l *Ledger) Erasures(workspace string, size uint64) (out []proof.Line) {
	var indexes []uint64
	governed := false
	for _, by := range l.erasures {
		if erase, _ := l.Leaves[by].Entry.Erases(); by < size && (by >= l.state.Size || erase.Workspace == l.Tag(workspace)) {
			indexes = append(indexes, by)
			governed = governed || l.Leaves[by].Entry.Code == uint16(chain.ControlExpire)
		}
	}
	if governed {
		for i := range l.Leaves[:size] {
			if governs(&l.Leaves[i].Entry) {
				indexes = append(indexes, uint64(i))
			}
		}
	}
	slices.Sort(indexes)
	for _, by := range indexes {
		line := proof.NewLine(&l.Leaves[by], false)
		line.Proof = proof.Hashes64(l.Inclusion(by, size))
		out = append(out, line)
	}
	return out
}

// ForgeErase puts an erasure of one entry into the tree that no fold judged, changed
// as the test wants it; what it was to erase is gone.
func (l *Ledger) ForgeErase(workspace string, index uint64, change func(s *chain.Statement, e *chain.Erase), signers ...chain.Signer) uint64 {
	if len(signers) == 0 {
		signers = []chain.Signer{l.Operator}
	}
	e := l.selection(workspace, []uint64{index})
	s := chain.Statement{Ledger: l.ID, Number: l.Control, Type: chain.ControlErase, Size: l.Size(), Root: l.Root(l.Size())}
	change(&s, &e)
	s.Body = e.Append(nil)
	by := l.ForgeControl(s, signers...)
	l.erasures = append(l.erasures, by)
	for i := range l.Leaves {
		if leaf := &l.Leaves[i]; leaf.Entry.Index == index || leaf.Entry.Kind == chain.KindDuplicate && leaf.Entry.Ref == index {
			leaf.Payload, leaf.Original = nil, nil
		}
	}
	return by
}

// ForgeControl puts a control entry into the tree that no fold judged, with the time of
// the last one.
func (l *Ledger) ForgeControl(s chain.Statement, signers ...chain.Signer) uint64 {
	body, statement := chain.SealControl(s, nil, signers...), s.Append(nil)
	block := body[5+len(statement) : len(body)-4]
	last := len(l.Leaves) - 1
	for l.Leaves[last].Entry.Kind != chain.KindControl {
		last--
	}
	entry := l.Leaves[last].Entry
	entry.Index, entry.Code, entry.Sequence = l.Size(), uint16(s.Type), l.Next
	entry.Tail = tlv(tlv(nil, 1, statement), 2, block)
	return l.Forge(entry.Append(nil))
}

func tlv(dst []byte, n byte, value []byte) []byte {
	return append(append(dst, 0x80, n, byte(len(value)>>8), byte(len(value))), value...)
}
