package proof

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
)

// statementAt is a signed word about the ledger's state at a size: a mark's, or the
// condition of a seed or a trim.
type statementAt struct {
	index uint64 // of the control entry
	size  uint64
	root  chain.Hash
	mark  bool
	heads chain.Hash // a mark's
	least uint64     // a trim's: the stream's sequence that the size reaches; else 0
}

// state checks what a control statement says of the ledger at a size. The size is
// its publisher's durable head, which may lie before the entry by all that the
// stream held then: mostly little, so it is computed from what is at hand; for
// the rest the ledger is read once more, at the end.
func (j *joiner) state(x uint64, s *chain.Statement, m *chain.Mark, least uint64) {
	if s.Size == 0 && s.Root.IsZero() {
		return // unconditional
	}
	at := statementAt{index: x, size: s.Size, root: s.Root, mark: m != nil, least: least}
	if m != nil {
		at.heads = m.Heads
	}
	if s.Size > x {
		j.contradict(&at, "it speaks of %d entries, more than stand before it", s.Size)
		return
	}
	if j.damage.hit || j.damage.skips > 0 || j.rules.foreign {
		return // what is recomputed is not what its publisher had
	}
	root, ok := j.tree.rootAt(s.Size)
	if ok && m != nil {
		var heads chain.Hash
		if heads, ok = j.heads.rootAt(s.Size, x); ok {
			j.compare(&at, root, heads, 0)
			return
		}
	}
	sequence, reached := j.reached.at(s.Size)
	if !ok || !reached && least > 0 {
		j.late = append(j.late, at)
		return
	}
	j.compare(&at, root, chain.Hash{}, sequence)
}

// compare compares a statement with what was recomputed at its size.
func (j *joiner) compare(at *statementAt, root, heads chain.Hash, sequence uint64) {
	switch {
	case root != at.root:
		j.contradict(at, "it says that the root at size %d is %s, but it is %s", at.size, at.root, root)
	case at.mark && heads != at.heads:
		j.found.at(at.index, WorkspaceChainBroken, "the mark of control entry %d says that the workspaces' heads at size %d hash to %s, but they hash to %s",
			at.index, at.size, at.heads, heads)
	case at.least > 0 && sequence != at.least:
		j.contradict(at, "it says that %d entries reach message %d of the stream, but they reach message %d", at.size, at.least, sequence)
	}
}

// contradict notes that a signed statement speaks of another ledger than this.
func (j *joiner) contradict(at *statementAt, format string, args ...any) {
	if at.mark {
		j.found.at(at.index, Forked, "control entry %d is a mark signed by the ledger's key: %s", at.index, fmt.Sprintf(format, args...))
		return
	}
	j.found.at(at.index, UnauthorisedControl, "control entry %d was signed for another state: %s", at.index, fmt.Sprintf(format, args...))
}

// readAgain checks the statements whose size was too far back. Entries alone are
// read, up to the last such size.
func (j *joiner) readAgain() error {
	if len(j.late) == 0 || j.damage.hit || j.damage.skips > 0 {
		return nil
	}
	slices.SortFunc(j.late, func(a, b statementAt) int {
		return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.index, b.index))
	})
	end := j.late[len(j.late)-1].size
	// Whole chunks, so that they can be compared with what was read before.
	end = min((end+uint64(j.o.Chunk)-1)/uint64(j.o.Chunk)*uint64(j.o.Chunk), j.tree.size)
	pipe := start(j.ctx, reading{src: j.src, o: j.o}, 0, end)
	defer pipe.stop()
	again := secondReading{tree: newTree(j.o.Chunk), heads: map[chain.Hash]chain.Head{}}
	for {
		ck, err := pipe.next()
		if err != nil {
			return err
		}
		if ck == nil {
			return nil
		}
		if err := again.chunk(j.ctx, j, ck); err != nil {
			return err
		}
		pipe.release(ck)
	}
}

// secondReading is the state of the tree and the workspaces while the ledger is
// read again.
type secondReading struct {
	tree    *tree
	heads   map[chain.Hash]chain.Head
	reached uint64 // the stream's sequence that the entries so far reach
	done    int    // statements checked
}

func (r *secondReading) chunk(_ context.Context, j *joiner, ck *chunk) error {
	if _, err := r.tree.add(ck); err != nil {
		return err
	}
	if err := r.same(j, ck); err != nil {
		return err
	}
	for i := range ck.items {
		r.check(j, ck.from+uint64(i))
		e := &ck.items[i].entry
		r.reached = e.Reaches()
		r.heads[e.Workspace] = chain.Head{Count: e.Position + 1, Index: e.Index, Leaf: ck.items[i].leaf}
	}
	r.check(j, ck.from+uint64(len(ck.items)))
	return nil
}

// check checks the statements that speak of a size.
func (r *secondReading) check(j *joiner, size uint64) {
	for ; r.done < len(j.late) && j.late[r.done].size == size; r.done++ {
		at := &j.late[r.done]
		root, ok := r.tree.rootAt(size)
		if !ok {
			return
		}
		var heads chain.Hash
		if at.mark {
			heads = chain.HeadsRoot(r.heads)
		}
		j.compare(at, root, heads, r.reached)
	}
}

// same makes sure that what is read now is what was read before.
func (r *secondReading) same(j *joiner, ck *chunk) error {
	size := ck.from + uint64(len(ck.items))
	now, ok := r.tree.rootAt(size)
	if !ok {
		return fmt.Errorf("entries %d to %d are not there any more when they are read again: is the ledger being written to?", ck.from, ck.to-1)
	}
	if len(ck.items) < j.o.Chunk {
		if was, ok := j.tree.rootAt(size); ok && was != now {
			return errChanged(ck)
		}
		return nil
	}
	index := tlog.StoredHashIndex(0, int64(ck.from>>r.tree.bits))
	if r.tree.upper[index] != j.tree.upper[index] {
		return errChanged(ck)
	}
	return nil
}

func errChanged(ck *chunk) error {
	return fmt.Errorf("entries %d to %d changed while they were audited: stop what writes to them and audit again", ck.from, ck.to-1)
}
