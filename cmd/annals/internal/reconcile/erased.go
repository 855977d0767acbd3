package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"annals/cmd/annals/internal/evidence"
	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/query/client"
)

// Erasure is the entry by which a payload was erased.
type Erasure struct {
	Found bool
	Index uint64 // of the entry, where one was found
	Why   string // none was, where more is to be said than that none says so
}

// ErrUntold marks that nobody could be asked which entries erase something: that a
// payload isn't shown then stands without an excuse, and without a denial.
var ErrUntold = errors.New("the erasures could not be asked for")

// Hints are what whoever shows a ledger says of where to look. Nothing in them is
// believed: they name entries, and the entries are read from the signed tree.
type Hints struct {
	// Erasures returns the indexes of the entries that erased something of e's
	// workspace. Errors that wrap [ErrUntold] leave payloads missing; others end the
	// reconciling.
	Erasures func(ctx context.Context, workspace string, e *chain.Entry) ([]uint64, error)
	// Changes are the indexes of the entries that changed the ledger's keys.
	Changes []uint64
}

// Told makes [Ledger.Erased] of hints. An entry counts where it is in the signed tree,
// is an erasure that the keys in force there signed in the role that was due, selects
// what its signer saw, and covers e: it stands behind e and selects it, or the record
// that e is a duplicate of. A duplicate that wasn't compared has nothing beside it
// because the erasure stands before it, and behind the record.
//
// Which keys were in force is what the tree's own entries say. A change of keys that
// the hints leave out isn't missed here, but by an audit of all entries.
func (l *Ledger) Told(h Hints) func(context.Context, string, *chain.Entry) (Erasure, error) {
	t := &told{Ledger: l, hints: h, said: map[saidOf][]uint64{}, judged: map[uint64]*judgedErasure{}}
	return t.erased
}

type saidOf struct {
	workspace string
	tag       chain.Hash
}

// told is what was read after hints.
type told struct {
	*Ledger
	hints   Hints
	said    map[saidOf][]uint64
	judged  map[uint64]*judgedErasure
	history *proof.KeyHistory // verified; nil until it is needed
}

// judgedErasure is an entry that was judged as an erasure.
type judgedErasure struct {
	chain.Erase
	wrong  error                 // why it erases nothing
	leaves map[uint64]chain.Hash // what it selects, once that was read
}

func (t *told) erased(ctx context.Context, workspace string, e *chain.Entry) (Erasure, error) {
	key := saidOf{workspace, e.Workspace}
	indexes, known := t.said[key]
	if !known {
		var err error
		if indexes, err = t.hints.Erasures(ctx, workspace, e); errors.Is(err, ErrUntold) {
			return Erasure{Why: err.Error()}, nil
		} else if err != nil {
			return Erasure{}, err
		}
		t.said[key] = indexes
	}
	none := Erasure{}
	for _, index := range indexes {
		switch {
		case index >= t.Checkpoint.Size:
			none.Why = fmt.Sprintf("no entry of the signed tree says that it was erased; entry %d may, but the checkpoint doesn't reach it yet: try again", index)
			continue
		case !due(index, e):
			continue
		}
		covers, wrong, err := t.covers(ctx, index, e)
		switch {
		case err != nil:
			return Erasure{}, err
		case wrong != nil:
			none.Why = fmt.Sprintf("entry %d, which is to have erased it, does not count: %v", index, wrong)
		case covers:
			return Erasure{Found: true, Index: index}, nil
		}
	}
	return none, nil
}

// due reports whether an erasure at an index stands where it can be why nothing is
// beside e.
func due(index uint64, e *chain.Entry) bool {
	if e.Kind == chain.KindDuplicate && e.Code == chain.DuplicateUncompared {
		return e.Ref < index && index < e.Index
	}
	return index > e.Index
}

// covers reports whether the entry at an index is an erasure that covers e. wrong says
// why one that claims to doesn't count.
func (t *told) covers(ctx context.Context, index uint64, e *chain.Entry) (covers bool, wrong, err error) {
	j := t.judged[index]
	if j == nil {
		if j, err = t.judge(ctx, index); err != nil {
			return false, nil, err
		}
		t.judged[index] = j
	}
	target := e.Index
	if e.Kind == chain.KindDuplicate {
		target = e.Ref
	}
	if !j.Covers(target) {
		return false, nil, nil
	}
	if j.wrong == nil && j.leaves == nil {
		if err := t.readSelection(ctx, j); err != nil {
			return false, nil, err
		}
	}
	if j.wrong != nil {
		return false, j.wrong, nil
	}
	selected := e
	if e.Kind == chain.KindDuplicate {
		if selected, err = t.entry(ctx, target); err != nil {
			return false, nil, err
		}
		if selected.Kind != chain.KindRecord || selected.Workspace != e.Workspace {
			return false, fmt.Errorf("entry %d repeats entry %d, which is no record of its workspace", e.Index, target), nil
		}
	}
	if j.leaves[target] != chain.LeafHash(selected.Append(nil)) {
		return false, fmt.Errorf("entry %d is not the one that its signer saw", target), nil
	}
	wrong, err = t.included(ctx, selected)
	return wrong == nil && err == nil, wrong, err
}

// judge reads the entry at an index from the signed tree and judges it as an erasure.
func (t *told) judge(ctx context.Context, index uint64) (*judgedErasure, error) {
	if t.history == nil {
		h, err := t.History(ctx, t.hints.Changes, nil)
		if err == nil {
			_, err = h.Verify("") // the checkpoint was opened by a key that is trusted
		}
		if err != nil {
			return nil, fmt.Errorf("which keys may erase: %w", err)
		}
		t.history = h
	}
	e, err := t.entry(ctx, index)
	if err != nil {
		return nil, err
	}
	j := new(judgedErasure)
	j.Erase, _ = e.Erases() // what is none covers nothing
	if j.wrong, err = t.included(ctx, e); err != nil {
		return nil, err
	}
	if j.wrong == nil {
		_, j.wrong = t.history.Erasure(index, e.Append(nil))
	}
	return j, nil
}

// readSelection reads what an erasure selects, and compares it with what its signer saw.
func (t *told) readSelection(ctx context.Context, j *judgedErasure) error {
	j.leaves = make(map[uint64]chain.Hash, j.Count())
	for _, r := range j.Ranges {
		for leaf, err := range t.Source.Leaves(ctx, r.From, r.To) {
			if err != nil {
				return err
			}
			e, err := chain.ParseEntry(leaf.Raw)
			if err != nil {
				return fmt.Errorf("an entry from %d to %d: %w", r.From, r.To-1, err)
			}
			hash := chain.LeafHash(leaf.Raw)
			switch s := e.Selected(hash); {
			case s.Workspace != j.Workspace:
				j.wrong = fmt.Errorf("entry %d, which it selects, is of another workspace than it says", e.Index)
			case !s.Erasable():
				j.wrong = fmt.Errorf("entry %d, which it selects, is a %s, which is not erased by itself", e.Index, e.Kind)
			}
			j.leaves[e.Index] = hash
		}
	}
	got, err := chain.SelectionHash(t.id, j.Workspace, j.Ranges, func(index uint64) (chain.Hash, error) {
		hash, ok := j.leaves[index]
		if !ok {
			return hash, fmt.Errorf("entry %d is missing; `annals verify` says what is wrong", index)
		}
		return hash, nil
	})
	if err == nil && j.wrong == nil && got != j.Leaves {
		j.wrong = errors.New("the entries that it selects are not those that its signer saw")
	}
	return err
}

// AskedErasures asks a server which entries erased something of a workspace.
func AskedErasures(c *client.Client) func(context.Context, string, *chain.Entry) ([]uint64, error) {
	return func(ctx context.Context, workspace string, _ *chain.Entry) ([]uint64, error) {
		entries, err := evidence.Erasures(ctx, c, workspace, 0)
		if p, ok := errors.AsType[*client.Problem](err); ok && (p.Status == http.StatusForbidden || p.Status == http.StatusNotFound) {
			return nil, fmt.Errorf("%w: %w", ErrUntold, err)
		}
		var indexes []uint64
		for i := range entries { // rules and holds stand among them
			if e, parsed := chain.ParseEntry(entries[i].Entry); parsed != nil || e.Kind != chain.KindControl || e.Code <= uint16(chain.ControlExpire) {
				indexes = append(indexes, entries[i].Index)
			}
		}
		return indexes, err
	}
}
