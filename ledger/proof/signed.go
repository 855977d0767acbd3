package proof

import (
	"errors"
	"fmt"
	"slices"

	"annals/ledger/chain"
)

// watched are sizes at which the tree's root is wanted later: of a remembered head
// and of signed ones. They are taken down as the audit passes them, when what they
// need is at hand.
type watched struct {
	sizes []uint64 // ascending, those still to come
	heads map[uint64]Head
}

func watch(o Options) watched {
	w := watched{heads: map[uint64]Head{}}
	if o.Remembered != nil {
		w.sizes = append(w.sizes, o.Remembered.Size)
	}
	for _, n := range append(slices.Clone(o.Retired), o.Checkpoint) {
		if c, err := ParseCheckpoint(n); err == nil {
			w.sizes = append(w.sizes, c.Size)
		}
	}
	slices.Sort(w.sizes)
	w.sizes = slices.Compact(w.sizes)
	if len(w.sizes) > 0 && w.sizes[0] == 0 {
		w.sizes = w.sizes[1:]
	}
	return w
}

// pass takes down the heads at the sizes that the tree has reached.
func (w *watched) pass(t *tree) {
	for len(w.sizes) > 0 && w.sizes[0] <= t.size {
		size := w.sizes[0]
		w.sizes = w.sizes[1:]
		root, ok := t.rootAt(size)
		leaf, okLeaf := t.leafAt(size - 1)
		if ok && okLeaf {
			w.heads[size] = Head{Size: size, Root: root, LastLeaf: leaf}
		}
	}
}

// headAt returns the head at a watched size; ok is false when entries before it are
// missing or damaged, so that it can't be compared.
func (j *joiner) headAt(size uint64) (Head, bool) {
	h, ok := j.watch.heads[size]
	return h, ok && j.damage.between(0, size, 1) == 0
}

// walked notes a change of keys that the rules let in.
func (j *joiner) walked(x uint64, e *chain.Entry) {
	c, err := e.Control()
	if err != nil {
		return
	}
	if change, err := chain.ParseKeyChange(c.Statement.Body); err == nil {
		j.changes = append(j.changes, keyChange{x, change})
	}
}

// compareSigned holds the signed heads to the keys and the tree that the entries
// make, the checkpoint to the auditor's key and policy.
func (j *joiner) compareSigned() {
	o := &j.o
	switch {
	case o.Checkpoint != nil:
	case o.Key != "" || o.Policy != nil:
		// Whoever brings a key asks whose ledger this is: nothing here answers.
		j.found.whole(TailUnproven, "no checkpoint is there for the key or the policy to judge: nothing signed says that this is the ledger that they are of")
		return
	default:
		j.found.remark(NoCheckpoint, "%s", NoCheckpoint.Meaning())
		return
	}
	if j.begun.genesis == nil || j.rules.roster == nil || j.rules.foreign {
		// Whose keys they would be isn't known; that there was something is.
		if c, err := ParseCheckpoint(o.Checkpoint); err == nil && c.Size > j.head.Size {
			j.found.at(j.head.Size, Truncated, "the head has %d entries, but a checkpoint of %d stands beside it", j.head.Size, c.Size)
		}
		return
	}
	ring := newRing(j.begun.genesis.Origin, *j.begun.id, j.rules.roster)
	// Where entries are damaged, changes of keys may be among them.
	whole := !j.damage.hit && j.damage.skips == 0
	var retired []Checkpoint
	for _, n := range o.Retired {
		if c, ok := j.openSigned(ring, n, "a retired checkpoint", whole); ok && c.Size <= j.head.Size {
			retired = append(retired, c)
		}
	}
	checkpoint, ok := j.openSigned(ring, o.Checkpoint, "the checkpoint", whole)
	if !ok {
		return
	}
	if checkpoint.Size > j.head.Size && whole {
		j.found.put(Found{
			Finding: Truncated, Index: &j.head.Size, Evidence: []string{string(checkpoint.Note)},
			Detail: fmt.Sprintf("the head has %d entries, but a checkpoint of %d is signed", j.head.Size, checkpoint.Size),
		})
	}
	if behind := j.head.Size - min(checkpoint.Size, j.head.Size); behind > 0 {
		j.found.notice(checkpoint.Size, UnsignedTail, "the checkpoint covers %d of %d entries; no signature covers the last %d yet: a server signs within seconds, one that was stopped when it starts again",
			checkpoint.Size, j.head.Size, behind)
	}
	if o.History != nil && whole {
		j.compareHistory(o.History)
	}
	walk := keyWalk{roster: j.rules.roster, changes: j.changes}
	if o.Key != "" && whole {
		if err := walk.trust(ring, o.Key, checkpoint, retired); err != nil {
			j.found.whole(FindingOf(err), "%v", err)
		}
	}
	if o.Policy != nil {
		j.judgePolicy(checkpoint)
	}
}

// compareHistory looks for changes of keys that a history should have.
func (j *joiner) compareHistory(h *KeyHistory) {
	c, err := ParseCheckpoint([]byte(h.Checkpoint))
	if err != nil {
		return
	}
	for _, change := range j.changes {
		listed := slices.ContainsFunc(h.Changes, func(k KeyEntry) bool { return k.Index == change.index })
		if change.index < c.Size && !listed {
			j.found.at(change.index, UnknownKey, "the key history that is shown leaves out the change of keys in entry %d", change.index)
		}
	}
}

// openSigned opens a note by the ledger's own keys, and compares its root. ok says
// that it was opened and is no other tree's.
func (j *joiner) openSigned(ring *Keyring, n []byte, what string, whole bool) (Checkpoint, bool) {
	c, err := ring.Open(n)
	if err != nil {
		if whole || !errors.Is(err, chain.ErrUnknownKey) {
			j.found.whole(FindingOf(err), "%s: %v", what, err)
		}
		return c, false
	}
	head, known := j.headAt(c.Size)
	if !known || head.Root == c.Root {
		return c, true
	}
	if j.o.Tiles && c.Size == j.head.Size {
		return c, true // the head is this checkpoint: compareHead says so
	}
	j.found.put(Found{
		Finding: Forked, Evidence: []string{string(c.Note)},
		Detail: fmt.Sprintf("%s, which the ledger's key signed, has the root %s at size %d, but the entries have %s: this is another history", what, c.Root, c.Size, head.Root),
	})
	return c, false
}

// judgePolicy holds the checkpoint to the auditor's policy.
func (j *joiner) judgePolicy(c Checkpoint) {
	if f := j.o.Policy.Judgement(c.Note); f != nil {
		j.found.put(*f)
	}
}

// Judgement is what a checkpoint that the policy isn't content with is found to be;
// nil when it is.
func (p *Policy) Judgement(n []byte) *Found {
	_, met, err := p.Judge(n)
	switch {
	case err != nil:
		return &Found{Finding: FindingOf(err), Detail: err.Error(), Evidence: []string{string(n)}}
	case !met:
		return &Found{Finding: WitnessQuorumNotMet, Detail: "the policy asks for " + p.Need() + ", which the checkpoint's cosignatures are not", Evidence: []string{string(n)}}
	}
	return nil
}
