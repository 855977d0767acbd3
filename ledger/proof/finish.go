package proof

import (
	"cmp"
	"fmt"
	"slices"

	"annals/ledger/chain"
)

// finish checks what is known only at the end: the ledger's end, its head, the
// remembered head, and the names of what is damaged.
func (j *joiner) finish() error {
	if err := j.readAgain(); err != nil {
		return err
	}
	j.rules.settle(j)
	short := j.want+j.damage.shift+j.damage.extras < j.head.Size
	if short {
		j.found.at(j.want, Truncated, "the entries end before entry %d, but the head has %d", j.want, j.head.Size)
	}
	if !short && j.damage.extras == 0 {
		if err := j.beyond(); err != nil {
			return err
		}
	}
	j.nameDamage()
	if err := j.settleErasures(); err != nil {
		return err
	}
	j.compareHead(short)
	j.compareRemembered()
	j.compareSigned()
	j.nameNodes()
	if j.o.EntriesOnly {
		j.found.remark(EntriesOnly, "%s", EntriesOnly.Meaning())
	}
	return nil
}

// beyond looks for entries after the head's last. A ledger that grew meanwhile
// has another head by now.
func (j *joiner) beyond() error {
	size := j.head.Size
	for _, err := range j.src.Leaves(j.ctx, size, size+1) {
		if err != nil {
			return err
		}
		now, err := j.src.Head(j.ctx)
		if err != nil {
			return err
		}
		if now.Size <= size {
			j.found.at(size, TrailingBytes, "an entry stands behind the ledger's end: the head has %d entries", size)
		}
		break
	}
	return nil
}

// root is the root over all that was read.
func (j *joiner) root() (chain.Hash, bool) { return j.tree.rootAt(j.tree.size) }

// compareHead compares the head with the entries. Where entries are damaged or
// cut off, it differs for that reason.
func (j *joiner) compareHead(short bool) {
	if j.damage.hit || short || j.head.Size > maxSize {
		return
	}
	root, _ := j.root()
	var last chain.Hash
	if j.tree.size > 0 {
		last, _ = j.tree.leafAt(j.tree.size - 1)
	} else if j.head.Root.IsZero() {
		root = chain.Hash{}
	}
	rootOK, lastOK := root == j.head.Root, last == j.head.LastLeaf
	if j.o.Tiles && rootOK {
		lastOK = true // it is a tile's hash, which nameNodes judges
	}
	switch {
	case rootOK && lastOK:
	case rootOK:
		j.found.whole(RootMismatch, "the head names %s as its last leaf, but the last entry hashes to %s; the root is right", j.head.LastLeaf, last)
	case !lastOK && len(j.differ) > 0:
		// The stored nodes still hold what stood there before.
		from := slices.MinFunc(j.differ, func(a, b node) int {
			return cmp.Or(cmp.Compare(a.level, b.level), cmp.Compare(a.n, b.n))
		}).first()
		j.differ = nil
		j.found.at(from, RootMismatch, "the head has another root and last leaf than the entries, and the stored nodes other hashes from entry %d or %d on: "+
			"the ledger was written anew from there", from, from+1)
	default:
		j.found.whole(RootMismatch, "the head's root is %s, but the entries' is %s; each entry is what the next one names", j.head.Root, root)
	}
}

// compareRemembered compares this ledger with the head that was kept outside.
func (j *joiner) compareRemembered() {
	r := j.o.Remembered
	switch {
	case r == nil:
		j.found.remark(NoRememberedHead, "%s", NoRememberedHead.Meaning())
	case r.Size == 0:
	case r.Size > j.head.Size:
		j.found.at(j.head.Size, Truncated, "the head has %d entries, but a head with %d is remembered", j.head.Size, r.Size)
	default:
		now, ok := j.headAt(r.Size)
		if !ok || now.Root == r.Root && (r.LastLeaf.IsZero() || now.LastLeaf == r.LastLeaf) {
			return // the same; or entries before that size are damaged, which is found already
		}
		f := Found{Finding: Forked, Detail: fmt.Sprintf("at size %d the root is %s and the last leaf %s, but %s and %s are remembered: this is another history",
			r.Size, now.Root, now.LastLeaf, r.Root, r.LastLeaf)}
		if j.o.Checkpoint != nil && j.o.RememberedNote != nil {
			f.Detail += "; both heads are signed"
			f.Evidence = []string{string(j.o.RememberedNote), string(j.o.Checkpoint)}
		}
		j.found.put(f)
	}
}

// first is the first leaf that a node covers.
func (n node) first() uint64 { return n.n << n.level }

// nameNodes reports stored nodes that are wrong though all that they cover is
// right.
func (j *joiner) nameNodes() {
	if !j.tree.whole || j.damage.shift+j.damage.extras > 0 || len(j.damage.missing) > 0 {
		return
	}
	slices.SortFunc(j.differ, func(a, b node) int { return cmp.Or(cmp.Compare(a.level, b.level), cmp.Compare(a.n, b.n)) })
	named := 0
	for i, n := range j.differ {
		end := n.first() + 1<<n.level
		if i < named || j.damage.hit && j.damage.between(n.first(), end, 1) > 0 {
			continue
		}
		what := "is not the hash of what it covers"
		if n.absent {
			what = "is absent"
		}
		last := n
		if j.o.Tiles { // a tile is damaged as a whole: say so once
			for named = i + 1; named < len(j.differ) && j.differ[named] == (node{n.level, last.n + 1, n.absent}); named++ {
				last.n++
			}
		}
		end = last.first() + 1<<n.level
		j.found.at(n.first(), TreeDamaged, "%s over entries %d to %d %s", nodesNamed(n, last), n.first(), end-1, what)
	}
}

func nodesNamed(n, last node) string {
	if n == last {
		return fmt.Sprintf("the stored node (level %d, number %d)", n.level, n.n)
	}
	return fmt.Sprintf("each stored node (level %d, numbers %d to %d)", n.level, n.n, last.n)
}
