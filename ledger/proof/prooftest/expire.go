package prooftest

import (
	"annals/ledger/chain"
)

// Rule publishes a retention rule by the role that is due, and returns the index of its
// entry.
func (l *Ledger) Rule(r chain.Retention) uint64 {
	l.Fold()
	r.Role = l.state.Roster().Eraser()
	l.Retain(r)
	return l.accepted(chain.ControlRetention)
}

// Holds holds entries of a workspace (of none: the whole workspace), and returns the
// index of the entry and the number to release it by.
func (l *Ledger) Holds(workspace string, indexes ...uint64) (at, number uint64) {
	l.Fold()
	h := chain.Hold{Workspace: l.Tag(workspace)}
	if len(indexes) > 0 {
		e := l.selection(workspace, indexes)
		h.Ranges, h.Leaves = e.Ranges, e.Leaves
	}
	number = l.Control
	l.Hold(l.Size(), l.Root(l.Size()), h)
	return l.accepted(chain.ControlHold), number
}

// Releases releases the hold of a number, and returns the index of the entry.
func (l *Ledger) Releases(number uint64) uint64 {
	l.Release(number)
	return l.accepted(chain.ControlRelease)
}

// LetGo has entries of a workspace expire under the rule in an entry, and returns the
// index of the control entry.
func (l *Ledger) LetGo(rule uint64, workspace string, indexes ...uint64) uint64 {
	l.Fold()
	e := l.selection(workspace, indexes)
	e.Role, e.Reason, e.Rule = chain.RoleLedger, chain.EraseExpired, rule
	l.Expire(l.Size(), l.Root(l.Size()), e)
	return l.accepted(chain.ControlExpire)
}

// accepted folds, and returns the index of the last entry, which has to be a control
// entry of a type.
func (l *Ledger) accepted(t chain.ControlType) uint64 {
	l.Fold()
	if e := &l.Leaves[l.Size()-1].Entry; e.Kind != chain.KindControl || e.Code != uint16(t) {
		panic("prooftest: the " + t.String() + " was rejected")
	}
	return l.Size() - 1
}

// governs reports whether an entry says what may be destroyed.
func governs(e *chain.Entry) bool {
	return e.Kind == chain.KindControl && e.Code >= uint16(chain.ControlRetention) && e.Code <= uint16(chain.ControlRelease)
}

// held are the selections that stand in the ledger's holds, by their entries.
func (l *Ledger) held() map[uint64]chain.Hold {
	out := map[uint64]chain.Hold{}
	for _, by := range l.state.Holds() {
		out[by.At], _ = l.Leaves[by.At].Entry.Hold()
	}
	return out
}
