package prooftest

import (
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// Tag is a workspace's pseudonym.
func (l *Ledger) Tag(workspace string) chain.Hash { return l.state.Tag(workspace) }

// Of are the indexes of a workspace's entries below a size, in order.
func (l *Ledger) Of(workspace string, size uint64) (indexes []uint64) {
	tag := l.Tag(workspace)
	for i := range l.Leaves[:size] {
		if l.Leaves[i].Entry.Workspace == tag {
			indexes = append(indexes, uint64(i))
		}
	}
	return indexes
}

// Head is where a workspace's chain ends at a size, not signed. The workspace has
// an entry there.
func (l *Ledger) Head(workspace string, size uint64) proof.WorkspaceHead {
	of := l.Of(workspace, size)
	last := &l.Leaves[of[len(of)-1]]
	return proof.WorkspaceHead{
		Origin: l.Settled.Origin, Tag: last.Entry.Workspace, Count: uint64(len(of)),
		Index: last.Entry.Index, Leaf: last.Hash, Size: size,
	}
}

// Keys is the key history in the tree of a size. It shows no retired checkpoints:
// the ledger's checkpoint key stays as it is.
func (l *Ledger) Keys(size uint64) *proof.KeyHistory {
	h := &proof.KeyHistory{
		Origin: l.Settled.Origin, Ledger: l.ID, Genesis: l.keyEntry(0, size),
		Changes: []proof.KeyEntry{}, Retired: []string{}, Consistency: [][][]byte{},
		Checkpoint: string(l.Checkpoint(size)),
	}
	roster := l.Settled.Roster()
	for index := range l.Leaves[:size] {
		e := &l.Leaves[index].Entry
		if e.Kind != chain.KindControl || chain.ControlType(e.Code) != chain.ControlKey {
			continue
		}
		c, err := e.Control()
		must(err)
		change, err := chain.ParseKeyChange(c.Statement.Body)
		must(err)
		roster, err = roster.Apply(uint64(index), &change)
		must(err)
		h.Changes = append(h.Changes, l.keyEntry(uint64(index), size))
	}
	h.Keys = proof.NamedKeys(l.Settled.Origin, roster)
	return h
}

func (l *Ledger) keyEntry(index, size uint64) proof.KeyEntry {
	k := proof.KeyEntry{Index: index, Entry: l.Leaves[index].Raw, Proof: [][]byte{}}
	for _, hash := range l.Inclusion(index, size) {
		k.Proof = append(k.Proof, hash[:])
	}
	return k
}

// Receipt is an entry's receipt in the tree of a size.
func (l *Ledger) Receipt(index, size uint64, payload bool) *proof.Receipt {
	r := proof.NewReceipt(l.ID, &l.Leaves[index], payload)
	r.Hashes, r.Checkpoint = l.Inclusion(index, size), l.Checkpoint(size)
	return r
}

// Answer is what a server whose last checkpoint has a size says of a workspace's
// head, with the last mark that is in its tree.
func (l *Ledger) Answer(workspace string, size uint64) *proof.HeadAnswer {
	head := l.Head(workspace, size)
	a := &proof.HeadAnswer{
		Workspace: workspace, Tag: proof.Hash64(head.Tag),
		Head: string(l.Sign(head.Text(), "heads")), Checkpoint: string(l.Checkpoint(size)),
	}
	for i := len(l.marks) - 1; i >= 0 && a.Mark == nil; i-- {
		row, ok := l.marks[i].heads.Row(head.Tag)
		for index := range l.Leaves[:size] {
			if e := &l.Leaves[index].Entry; ok && e.Sequence == l.marks[i].sequence && e.Kind == chain.KindControl {
				a.Mark = proof.NewMarkAnswer(l.Receipt(uint64(index), size, false), &row)
			}
		}
	}
	return a
}

// Lines are a workspace's entries from one position to another, both included, as a
// tenant gets them. with says which have their payload beside them; with proofs, the
// first, the last and those have their proof in the tree of a size.
func (l *Ledger) Lines(workspace string, size, first, last uint64, proofs bool, with func(*chain.Leaf) bool) []proof.Line {
	var lines []proof.Line
	for _, index := range l.Of(workspace, size)[first : last+1] {
		leaf := &l.Leaves[index]
		line := proof.NewLine(leaf, with(leaf))
		if by, ok := l.Gone(&leaf.Entry, size); ok && proofs && with(leaf) {
			line.Gone = &by
		}
		if position := leaf.Entry.Position; proofs && (position == first || position == last || line.Body != nil) {
			line.Proof = proof.Hashes64(l.Inclusion(index, size))
		}
		lines = append(lines, line)
	}
	return lines
}

// All is for [Ledger.Lines]: every payload.
func All(*chain.Leaf) bool { return true }
