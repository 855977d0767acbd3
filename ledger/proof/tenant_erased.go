package proof

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"annals/ledger/chain"
)

// Of what is gone, docs/format/pack.md has the checks (32 to 38).

// tenantErasure is an erasure that the checkpoint covers and the keys in force carry.
type tenantErasure struct {
	chain.Erase
	by       uint64
	gone     uint64
	law      law // in force at it, as far as it was shown
	unlawful bool
}

// takeErasures checks the control entries that say why payloads are gone: that they
// stand in the checkpoint's tree, and are signed by the keys that were in force there.
func (v *tenancy) takeErasures() {
	law := law{rules: chain.FirstRules()}
	shown := slices.SortedFunc(slices.Values(v.Erasures), func(a, b KeyEntry) int { return cmp.Compare(a.Index, b.Index) })
	for i := range shown {
		k := &shown[i]
		e, entry, err := v.erasure(k, &law)
		if err != nil {
			v.found.at(k.Index, FindingOf(err), "the erasure in entry %d: %v", k.Index, err)
			v.refused = append(v.refused, k.Index)
			continue
		}
		if e != nil {
			v.erased = append(v.erased, tenantErasure{Erase: *e, by: k.Index, law: law.at(entry)})
		}
	}
}

// erasure judges an entry that is shown because payloads are gone, or held, by it. It is
// nil for a rule, a hold and a release, which it puts into the law.
func (v *tenancy) erasure(k *KeyEntry, law *law) (*chain.Erase, *chain.Entry, error) {
	if v.checkpoint == nil || v.ring == nil {
		return nil, nil, &Fault{Finding: Inconclusive, Err: errors.New("without a checkpoint and its keys nothing says that it was recorded")}
	}
	entry, c, err := governing(k)
	if err != nil {
		return nil, nil, err
	}
	hashes, err := toHashes(k.Proof)
	if err == nil {
		err = CheckInclusion(v.checkpoint.Size, v.checkpoint.Root, k.Index, chain.LeafHash(k.Entry), hashes)
	}
	if err != nil {
		return nil, nil, err
	}
	if t := c.Statement.Type; t != chain.ControlErase && t != chain.ControlExpire {
		roster, err := v.History.signed(k)
		if err != nil {
			return nil, nil, err
		}
		if r, err := chain.ParseRetention(c.Statement.Body); t == chain.ControlRetention && err == nil && r.Role != roster.Eraser() {
			return nil, nil, &Fault{Finding: UnauthorisedControl, Err: fmt.Errorf("it says that the role %s signs it; there that was %s", r.Role, roster.Eraser())}
		}
		switch err := law.take(k.Index, &c.Statement); {
		case errors.Is(err, errNotStanding):
			return nil, nil, nil // what it ends is of others, and was not shown
		case err != nil:
			return nil, nil, err
		}
		return nil, nil, nil
	}
	erase, err := v.History.Erasure(k.Index, k.Entry)
	if err == nil && erase.Workspace != v.tag {
		err = &Fault{Finding: UnauthorisedControl, Err: errors.New("it erases entries of another workspace")}
	}
	return erase, &entry, err
}

// governing takes apart an entry that has payloads destroyed, or says which may be.
func governing(k *KeyEntry) (chain.Entry, chain.Control, error) {
	e, err := chain.ParseEntry(k.Entry)
	if err != nil {
		return e, chain.Control{}, err
	}
	switch t := chain.ControlType(e.Code); t {
	case chain.ControlExpire, chain.ControlRetention, chain.ControlHold, chain.ControlRelease:
		return controlEntry(k, t)
	}
	return controlEntry(k, chain.ControlErase)
}

// signed checks that the keys in force carry a control entry of this ledger, and returns
// them.
func (h *KeyHistory) signed(k *KeyEntry) (*chain.Roster, error) {
	_, c, err := governing(k)
	if err != nil {
		return nil, err
	}
	roster, err := h.rosterAt(k.Index)
	if err == nil {
		err = roster.Judge(&c)
	}
	if err == nil && c.Statement.Ledger != h.Ledger {
		err = fmt.Errorf("%w: it was signed for ledger %s", ErrOrigin, c.Statement.Ledger)
	}
	return roster, err
}

// Erasure judges an entry at an index as an erasure or an expiry
// (docs/format/control.md, 7 and 8): it is
// one of this ledger, the keys that were in force there signed it in the role that was
// due, and it selects nothing that stands behind it. The history must have been
// verified, and the entry be known to stand in the ledger's tree. Whether what it
// selects is what its signer saw is not looked at: [chain.SelectionHash] of the entries
// must be its Leaves. [FindingOf] names what an error means.
func (h *KeyHistory) Erasure(index uint64, entry []byte) (*chain.Erase, error) {
	k := &KeyEntry{Index: index, Entry: entry}
	_, c, err := governing(k)
	if err != nil {
		return nil, err
	}
	roster, err := h.signed(k)
	if err != nil {
		return nil, err
	}
	parse := chain.ParseErase
	if c.Statement.Type == chain.ControlExpire {
		parse = chain.ParseExpiry
	}
	erase, err := parse(c.Statement.Body)
	unauthorised := func(format string, args ...any) error {
		return &Fault{Finding: UnauthorisedControl, Err: fmt.Errorf(format, args...)}
	}
	switch {
	case err != nil:
		return nil, err
	case c.Statement.Type == chain.ControlErase && erase.Role != roster.Eraser():
		return nil, unauthorised("it says that the role %s signs it; there that was %s", erase.Role, roster.Eraser())
	case c.Statement.Size > index || erase.Ranges[len(erase.Ranges)-1].To > c.Statement.Size:
		return nil, unauthorised("it selects what its signer can't have seen")
	}
	return &erase, nil
}

// rosterAt returns the keys that were in force for a control entry at an index. The
// history was verified.
func (h *KeyHistory) rosterAt(index uint64) (*chain.Roster, error) {
	_, c, err := controlEntry(&h.Genesis, chain.ControlGenesis)
	if err != nil {
		return nil, err
	}
	g, err := chain.ParseGenesis(c.Statement.Body)
	if err != nil {
		return nil, err
	}
	roster := g.Roster()
	for i := range h.Changes {
		k := &h.Changes[i]
		if k.Index >= index {
			break
		}
		_, c, err := controlEntry(k, chain.ControlKey)
		if err != nil {
			return nil, err
		}
		change, err := chain.ParseKeyChange(c.Statement.Body)
		if err != nil {
			return nil, err
		}
		if roster, err = roster.Apply(k.Index, &change); err != nil {
			return nil, err
		}
	}
	return roster, nil
}

// erasedBy returns the erasure that covers an entry; nil where none does.
func (v *tenancy) erasedBy(e *chain.Entry) *tenantErasure {
	for i := range v.erased {
		if by := &v.erased[i]; by.takes(e) {
			return by
		}
	}
	return nil
}

// takes reports whether an erasure covers an entry (docs/format/control.md, 7).
func (t *tenantErasure) takes(e *chain.Entry) bool {
	return t.Covers(e.Index) || e.Kind == chain.KindDuplicate && e.Index < t.by && t.Covers(e.Ref)
}

// goneBy reports whether the erasure at an index covers an entry. Of one that was
// found wrong it is not asked a second time.
func (v *tenancy) goneBy(index uint64, e *chain.Entry) bool {
	return v.ErasuresCut || slices.Contains(v.refused, index) ||
		slices.ContainsFunc(v.erased, func(t tenantErasure) bool { return t.by == index && t.takes(e) })
}

// settleErasures compares what the erasures select with the entries, and says what
// they took.
func (w *walk) settleErasures(by map[uint64]*stop) {
	low, high, whole := uint64(math.MaxUint64), uint64(0), true
	for _, position := range w.order {
		s := w.slots[position]
		whole = whole && !s.altered && s.form == nil
		low, high = min(low, s.entry.Index), max(high, s.entry.Index)
	}
	if w.v.Part && (!whole || uint64(len(w.order)) != w.last-w.first+1) {
		return // what is selected may be what is not here
	}
	for i := range w.v.erased {
		e := &w.v.erased[i]
		outside := false
		got, err := chain.SelectionHash(w.v.ledger, e.Workspace, e.Ranges, func(index uint64) (chain.Hash, error) {
			s := by[index]
			switch {
			case w.v.Part && (index < low || index > high):
				outside = true
				return chain.Hash{}, nil
			case s == nil || s.altered:
				return chain.Hash{}, fmt.Errorf("it selects entry %d, which is none of the workspace's", index)
			case s.form == nil && !(&chain.Selected{Kind: s.entry.Kind, Code: s.entry.Code}).Erasable():
				return chain.Hash{}, fmt.Errorf("it selects entry %d, a %s, which is not erased by itself", index, s.entry.Kind)
			}
			w.v.lawful(e, &s.entry, s.leaf)
			return s.leaf, nil
		})
		switch {
		case err != nil:
			w.v.found.at(e.by, UnauthorisedControl, "the erasure in entry %d: %v", e.by, err)
		case !outside && got != e.Leaves:
			w.v.found.at(e.by, UnauthorisedControl, "the erasure in entry %d: the entries that it selects are not those that its signer saw", e.by)
		case e.gone == 0 && w.v.Part:
		case e.Rule != chain.NoRef:
			w.v.found.notice(e.by, Expired, "control entry %d let expire what %d of the workspace's entries held, under the rule in entry %d", e.by, e.gone, e.Rule)
		default:
			w.v.found.notice(e.by, Erased, "control entry %d, signed by the %s, erased what %d of the workspace's entries held: %s", e.by, e.Role, e.gone, e.Reason)
		}
	}
}

// lawful holds what an erasure or an expiry selects to the rules and holds that were
// shown. The first of its entries that they keep is reported.
func (v *tenancy) lawful(by *tenantErasure, entry *chain.Entry, leaf chain.Hash) {
	if by.unlawful {
		return
	}
	for _, h := range by.law.held(v.tag) {
		if h.Whole || h.hold.Covers(v.tag, entry.Index) {
			by.unlawful = true
			v.found.at(by.by, HoldViolated, "control entry %d has entry %d destroyed, which hold %d in entry %d keeps", by.by, entry.Index, h.Number, h.At)
			return
		}
	}
	if by.Rule == chain.NoRef {
		return
	}
	rule, ok := by.law.rules.Find(by.Rule)
	err := fmt.Errorf("no rule that stood there is shown in entry %d", by.Rule)
	if ok {
		selected := entry.Selected(leaf)
		selected.Gone = true
		err = by.law.rules.Lets(&rule, &selected, by.law.millis)
	}
	if err != nil {
		by.unlawful = true
		v.found.at(by.by, ExpiredEarly, "control entry %d lets entry %d expire: %v", by.by, entry.Index, err)
	}
}
