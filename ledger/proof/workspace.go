package proof

import (
	"annals/ledger/chain"
)

// workspaces is the head of every workspace's chain, and how the heads changed
// over the last entries: a mark speaks of a size a little way back.
type workspaces struct {
	heads  map[chain.Hash]chain.Head
	undone []change // a ring: what entry i changed is at i & mask
	mask   uint64
	from   uint64 // the changes of entries from here on are in the ring
	broken bool   // some entry is not in the map: its root can't be recomputed any more
}

// change is what one entry did to the map.
type change struct {
	tag           chain.Hash
	before, after chain.Head
}

func newWorkspaces(chunk int) workspaces {
	n := uint64(chunk) * (windowChunks - 2)
	size := uint64(1)
	for size < n {
		size <<= 1
	}
	return workspaces{heads: map[chain.Hash]chain.Head{}, undone: make([]change, size), mask: size - 1}
}

// set enters an entry as its workspace's head.
func (w *workspaces) set(x uint64, tag chain.Hash, before, after chain.Head) {
	w.heads[tag] = after
	c := &w.undone[x&w.mask]
	c.tag, c.before, c.after = tag, before, after
	if x >= uint64(len(w.undone)) {
		w.from = max(w.from, x+1-uint64(len(w.undone)))
	}
}

// rootAt returns the root of the map as it was at a size, from the map as it is
// at size now. ok is false when that is too far back.
func (w *workspaces) rootAt(size, now uint64) (root chain.Hash, ok bool) {
	if size < w.from || w.broken {
		return root, false
	}
	for i := now; i > size; i-- {
		if c := &w.undone[(i-1)&w.mask]; c.before.Count == 0 {
			delete(w.heads, c.tag)
		} else {
			w.heads[c.tag] = c.before
		}
	}
	root = chain.HeadsRoot(w.heads)
	for i := size; i < now; i++ {
		c := &w.undone[i&w.mask]
		w.heads[c.tag] = c.after
	}
	return root, true
}

// follow checks an entry's place in its workspace's chain.
func (j *joiner) follow(x uint64, it *item) {
	e, w := &it.entry, &j.heads
	if j.damage.skips > 0 {
		w.broken = true
	}
	head, known := w.heads[e.Workspace]
	due := head.Leaf
	switch {
	case known:
	case j.begun.id != nil:
		due = chain.FirstInWorkspace(*j.begun.id, e.Workspace)
	default:
		due = e.PreviousInWorkspace // what the first entry must name is not known
	}
	if e.Position != head.Count || e.PreviousInWorkspace != due {
		j.unfollowed(x, e, head, known)
	}
	w.set(x, e.Workspace, head, chain.Head{Count: e.Position + 1, Index: x, Leaf: it.leaf})
}

// unfollowed deals with an entry that doesn't follow its workspace's last one.
func (j *joiner) unfollowed(x uint64, e *chain.Entry, head chain.Head, known bool) {
	var since uint64
	if known {
		since = head.Index + 1
	}
	if e.Position > head.Count {
		gone := e.Position - head.Count
		if j.damage.between(since, x, gone) == gone {
			return // they are among the entries that were skipped
		}
		for _, h := range j.rules.holes {
			if h.index >= since && h.index <= x && !h.filled {
				// The stream and the workspace agree that something stood there.
				h.finding = MissingEntry
				return
			}
		}
	}
	if known && e.Position == head.Count && j.damage.convict(head.Index, x) {
		return
	}
	if e.Position != head.Count {
		j.found.at(x, WorkspaceChainBroken, "entry %d has position %d in its workspace's chain, where %d is due", x, e.Position, head.Count)
		return
	}
	j.found.at(x, WorkspaceChainBroken, "entry %d, position %d of its workspace's chain, names %s as the entry before it there, which it is not",
		x, e.Position, e.PreviousInWorkspace)
}
