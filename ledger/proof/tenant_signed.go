package proof

import (
	"bytes"
	"fmt"
	"slices"

	"annals/ledger/chain"
)

// keys checks the key history and the checkpoint (docs/format/pack.md, 3 to 6).
func (v *tenancy) keys() {
	h := v.History
	if h == nil {
		return
	}
	w, err := h.walk()
	if err != nil {
		v.fault("the keys", err)
		return
	}
	if err := h.listed(w); err != nil {
		v.fault("the keys", err)
	}
	for i := range w.changes {
		v.found.noticeKeys(w.changes[i].index, &w.changes[i].KeyChange)
	}
	v.ledger = h.Ledger
	v.ring = newRing(h.Origin, h.Ledger, w.roster)
	if _, c, err := controlEntry(&h.Genesis, chain.ControlGenesis); err == nil {
		if g, err := chain.ParseGenesis(c.Statement.Body); err == nil {
			v.genesis = &g
		}
	}
	if v.Claimed && (v.Ledger != h.Ledger || v.Origin != h.Origin) {
		v.found.whole(WrongLedger, "this is said to be of ledger %s, %q, and the genesis is of %s, %q", v.Ledger, v.Origin, h.Ledger, h.Origin)
	}
	v.openCheckpoint(w)
}

// openCheckpoint opens the checkpoint, and holds the key history to its tree.
func (v *tenancy) openCheckpoint(w *keyWalk) {
	if v.Checkpoint == nil {
		return
	}
	c, err := v.ring.Open(v.Checkpoint)
	if err != nil {
		v.fault("the checkpoint", err)
		if k, err := ParseKey(v.VKey); err == nil && k.Origin != v.ring.origin {
			v.found.whole(WrongLedger, "the key is of %q, the ledger is %q", k.Origin, v.ring.origin)
		}
		return
	}
	v.checkpoint = &c
	h := v.History
	for _, e := range slices.Concat([]KeyEntry{h.Genesis}, h.Changes) {
		hashes, err := toHashes(e.Proof)
		if err == nil {
			err = CheckInclusion(c.Size, c.Root, e.Index, chain.LeafHash(e.Entry), hashes)
		}
		if err != nil {
			v.found.at(e.Index, RootMismatch, "the keys' entry %d: %v", e.Index, err)
		}
	}
	retired, err := h.retired(v.ring, c)
	if err != nil {
		v.fault("the keys", err)
	}
	v.same([]byte(h.Checkpoint), "the keys' checkpoint")
	if v.VKey != "" {
		if err := w.trust(v.ring, v.VKey, c, retired); err != nil {
			v.fault("the verifier key", err)
		}
	} else {
		v.found.remark(KeyFromLedger, "no verifier key was given: the keys came with what they judge, which so only agrees with itself")
	}
}

// same holds another checkpoint's note to the one at hand: all that is verified
// together is of one.
func (v *tenancy) same(n []byte, what string) {
	if v.checkpoint == nil || bytes.Equal(n, v.checkpoint.Note) {
		return
	}
	c, err := v.ring.Open(n)
	switch {
	case err != nil:
		v.fault(what, err)
	case c.Size == v.checkpoint.Size && c.Root != v.checkpoint.Root:
		v.found.put(Found{
			Finding: Forked, Evidence: []string{string(n), string(v.checkpoint.Note)},
			Detail: fmt.Sprintf("%s has the root %s at %d entries, and the checkpoint %s: both are signed", what, c.Root, c.Size, v.checkpoint.Root),
		})
	default:
		v.found.whole(Inconclusive, "%s is not the checkpoint that all else is for", what)
	}
}

// heads checks the workspace's head and the mark (7).
func (v *tenancy) heads() {
	a := v.Answer
	if a == nil || v.ring == nil {
		return
	}
	if !v.Claimed {
		v.tag = chain.Hash(a.Tag)
	}
	if a.Workspace != v.Workspace || chain.Hash(a.Tag) != v.tag {
		v.found.whole(WorkspaceChainBroken, "the head is said to be of workspace %q with the tag %s, and %q with the tag %s is asked for", a.Workspace, chain.Hash(a.Tag), v.Workspace, v.tag)
	}
	if head, err := v.openHead(); err != nil {
		v.fault("the workspace's head", err)
	} else {
		v.head = head
	}
	v.same([]byte(a.Checkpoint), "the head's checkpoint")
	if a.Mark != nil {
		mark, index, err := v.openMark(a)
		switch finding := FindingOf(err); {
		case err == nil:
			v.mark = mark
		case index != nil:
			v.found.at(*index, finding, "the mark: %v", err)
		default:
			v.found.whole(finding, "the mark: %v", err)
		}
	}
}

func (v *tenancy) openHead() (*WorkspaceHead, error) {
	h, err := v.ring.OpenHead([]byte(v.Answer.Head))
	switch {
	case err != nil:
		return nil, err
	case h.Tag != v.tag:
		return nil, &Fault{WorkspaceChainBroken, fmt.Errorf("it is signed for the tag %s, and the workspace has %s", h.Tag, v.tag)}
	case v.checkpoint != nil && h.Size > v.checkpoint.Size:
		return nil, &Fault{Inconclusive, fmt.Errorf("it speaks of %d entries, and the checkpoint of %d", h.Size, v.checkpoint.Size)}
	}
	return &h, nil
}

// signedEnd is where something signed says that the chain ends in the first size
// entries of the ledger.
type signedEnd struct {
	chain.Head
	size uint64
	who  string
	note string // the words themselves
}

// openMark checks what a mark of the ledger says of the workspace: the mark is in
// the checkpoint's tree, signed in role, and its map of heads has the row.
func (v *tenancy) openMark(a *HeadAnswer) (*signedEnd, *uint64, error) {
	r, err := ParseReceipt([]byte(a.Mark.Receipt))
	switch {
	case err != nil:
		return nil, nil, err
	case r.Salt != nil:
		return nil, &r.Index, &Fault{Inconclusive, fmt.Errorf("its receipt holds more than the entry")}
	case string(r.Checkpoint) != a.Checkpoint:
		return nil, &r.Index, &Fault{Inconclusive, fmt.Errorf("its receipt is in another checkpoint")}
	case r.Ledger != v.ring.Ledger():
		return nil, &r.Index, &Fault{WrongLedger, fmt.Errorf("its receipt is of ledger %s", r.Ledger)}
	}
	if c := v.checkpoint; c != nil {
		if err := CheckInclusion(c.Size, c.Root, r.Index, chain.LeafHash(r.Raw), r.Hashes); err != nil {
			return nil, &r.Index, err
		}
	}
	s, m, err := v.readMark(r)
	if err != nil {
		return nil, &r.Index, err
	}
	row := a.Mark.Row(v.tag)
	if err := row.Check(m.Heads); err != nil {
		return nil, &r.Index, err
	}
	if v.head != nil && s.Size <= v.head.Size && row.Head.Count > v.head.Count {
		return nil, &r.Index, &Fault{Forked, fmt.Errorf("it counts %d entries of the workspace at size %d, the signed head %d at size %d",
			row.Head.Count, s.Size, v.head.Count, v.head.Size)}
	}
	return &signedEnd{Head: row.Head, size: s.Size, who: "the mark", note: a.Mark.Receipt}, nil, nil
}

// readMark reads a mark off its entry, and checks its signatures by the keys that
// were in force there.
func (v *tenancy) readMark(r *Receipt) (s chain.Statement, m chain.Mark, err error) {
	none := func(err error) (chain.Statement, chain.Mark, error) {
		return s, m, &Fault{UnauthorisedControl, err}
	}
	if r.Entry.Kind != chain.KindControl || chain.ControlType(r.Entry.Code) != chain.ControlMark {
		return none(fmt.Errorf("entry %d is none", r.Index))
	}
	c, err := r.Entry.Control()
	if err != nil {
		return none(err)
	}
	s = c.Statement
	if s.Type != chain.ControlMark || s.Ledger != v.ring.Ledger() || s.Size > r.Index {
		return none(fmt.Errorf("the statement of entry %d is none of this ledger's before it", r.Index))
	}
	if m, err = chain.ParseMark(s.Body); err != nil {
		return none(err)
	}
	then := *v.History
	then.Changes = slices.DeleteFunc(slices.Clone(then.Changes), func(k KeyEntry) bool { return k.Index >= r.Index })
	w, err := then.walk()
	if err == nil {
		err = w.roster.Judge(&c)
	}
	return s, m, err
}

// recall opens the head that was kept from before.
func (v *tenancy) recall() {
	if v.Remembered == nil || v.ring == nil || v.head == nil {
		return
	}
	r, err := v.ring.OpenHead(v.Remembered)
	switch {
	case err != nil:
		v.fault("the head that was remembered", err)
		return
	case r.Tag != v.head.Tag:
		v.found.whole(WorkspaceChainBroken, "the head that was remembered is of the tag %s, and this workspace has %s", r.Tag, v.head.Tag)
		return
	}
	if err := v.head.Follows(&r); err != nil {
		v.contradicted(err)
	} else if v.head.Size < r.Size {
		v.found.whole(StaleHead, "the head speaks of a tree of %d entries, and one of %d was remembered", v.head.Size, r.Size)
	}
	v.remembered = &r
}

// takeReceipts keeps the receipts that are of this workspace and hold.
func (v *tenancy) takeReceipts() {
	for _, r := range v.Receipts {
		if v.ring == nil || r.Entry.Workspace != v.tag {
			continue
		}
		if _, err := r.Verify(v.ring); err != nil {
			v.found.at(r.Index, FindingOf(err), "the receipt of entry %d: %v", r.Index, err)
			continue
		}
		v.receipts = append(v.receipts, r)
		if v.head != nil {
			if err := Contradicts(r, v.head); err != nil {
				v.contradicted(err)
			}
		}
	}
}

// contradicted notes two signed words that can't both be true.
func (v *tenancy) contradicted(err error) {
	if c, ok := err.(*ContradictionError); ok {
		v.found.put(Found{Finding: Forked, Index: &c.Index, Detail: c.What, Evidence: []string{c.First, c.Second}})
	}
}
