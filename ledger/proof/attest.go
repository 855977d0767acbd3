package proof

import (
	"encoding/binary"
	"errors"
	"fmt"

	"annals/ledger/chain"
)

// guilt is what the neighbours say of an entry's bytes.
type guilt int

const (
	innocent guilt = iota // what follows names them
	unproven              // what should name them is damaged itself, or isn't there
	suspect               // what follows names another hash, but isn't sound itself
	guilty                // what follows is sound and names another hash
)

// attest asks what follows an entry whether the entry is what was recorded there:
// each entry names the leaf hash of the one before it, and the head names the
// last. named is the hash that is named, zeros when none is.
func (j *joiner) attest(x uint64, it *item) (named chain.Hash, g guilt) {
	next := j.peek(1)
	if next == nil {
		return j.attestLast(x, it)
	}
	if !next.readable {
		return named, unproven
	}
	named = next.entry.Previous
	if named == it.leaf {
		return named, innocent
	}
	return named, j.blame(x, it, next)
}

// attestLast judges the last entry that there is by the head.
func (j *joiner) attestLast(x uint64, it *item) (named chain.Hash, g guilt) {
	named = j.head.LastLeaf
	switch {
	case named == it.leaf:
		return named, innocent
	case j.o.Tiles && named.IsZero():
		return it.leaf, unproven // the tile is absent, and says nothing
	case j.renumbered(x, it, named) > 0:
		return named, guilty
	case x+1 != j.head.Size:
		return named, unproven // cut off before its end: the head speaks of another
	case j.damage.hit:
		return named, guilty
	}
	// The head names another last leaf. If its root is that of this tree with that
	// leaf in it, the last entry was changed; if not, the head isn't this ledger's.
	if j.tree.differsInLastOnly(j.head.Root, named) {
		return named, guilty
	}
	return named, innocent
}

// blame decides whether an entry or the one after it was changed, when the one
// after names another hash. A change to an entry's own word about the previous
// one must not put the blame on the previous one.
func (j *joiner) blame(x uint64, it, next *item) guilt {
	if j.renumbered(x, it, next.entry.Previous) > 0 {
		return guilty
	}
	for k := 2; k <= 3; k++ {
		if p := j.peek(k); p != nil && p.readable && p.entry.Previous == it.leaf {
			return innocent // what named it was moved on
		}
	}
	if j.damage.named[it.leaf] {
		return innocent // or back
	}
	if _, inside := chain.SplitULID(next.entry.ULID); next.entry.Index != x+1 && inside != x+1 {
		return unproven // the entry that named it is missing or elsewhere
	}
	var name chain.Hash
	after := j.peek(2)
	switch {
	case after == nil:
		name = j.head.LastLeaf
	case after.readable:
		name = after.entry.Previous
	default:
		return suspect
	}
	if next.leaf == name {
		return guilty
	}
	if next.exact {
		repaired := next.entry
		repaired.Previous = it.leaf
		if chain.LeafHash(repaired.Append(nil)) == name {
			return innocent
		}
		if j.renumbered(x+1, next, name) > 0 {
			return unproven
		}
	}
	if j.sound(x) && !j.sound(x+1) {
		return innocent
	}
	return suspect
}

// sound reports whether the stored node over an entry and its neighbour agrees
// with both; in tiles, whether the entry's own hash does.
func (j *joiner) sound(x uint64) bool {
	for _, ck := range j.queue {
		if x < ck.from || x >= ck.to {
			continue
		}
		at := x - ck.from
		if at|1 >= uint64(len(ck.items)) || ck.items[at].entry.Index != x {
			return false
		}
		level := 1
		if j.o.Tiles {
			level = 0
		}
		for _, n := range ck.differ {
			if n.level == level && n.n == x>>level {
				return false
			}
		}
		return true
	}
	return false
}

// maxRenumbered is the most entries whose removal is looked for behind a
// renumbering.
const maxRenumbered = 32

// renumbered returns by how much the entry at x was lowered in its numbers, as is done to
// hide that entries before it were removed: with its numbers raised again, its
// hash is the one that is named. It returns 0 when it wasn't.
func (j *joiner) renumbered(x uint64, it *item, named chain.Hash) uint64 {
	if !it.exact || it.entry.Index != x {
		return 0
	}
	partition, _ := chain.SplitULID(it.entry.ULID)
	ms := int64(it.entry.ULID.Time())
	var raw []byte
	try := func(d uint64) bool {
		e := it.entry
		e.Index += d
		e.ULID = chain.MakeULID(ms, partition, e.Index)
		for _, id := range [...]bool{true, false} {
			if !id {
				e.ULID = it.entry.ULID
			}
			for _, p := range [...]uint64{0, d} {
				e.Position = it.entry.Position + p
				raw = e.Append(raw[:0])
				if chain.LeafHash(raw) == named {
					return true
				}
			}
		}
		return false
	}
	if d := j.damage.shift; d > 0 && try(d) {
		return d
	}
	for d := uint64(1); d <= maxRenumbered; d++ {
		if d != j.damage.shift && try(d) {
			return d
		}
	}
	return 0
}

// reject deals with an entry that is no entry of version 1, or not the one that
// was recorded at x.
func (j *joiner) reject(x uint64, it *item, named chain.Hash, g guilt) {
	d := &j.damage
	switch {
	case errors.Is(it.form, chain.ErrUnsupported):
		j.found.at(x, Unsupported, "%v%s", it.form, doubt(g))
		j.rules.foreign = true
		d.hit = d.hit || g > unproven
		d.skip(x, x+1)
	case it.form != nil && g <= unproven:
		j.found.at(x, MalformedEntry, "entry %d was recorded in a form that no entry has: %v", x, it.form)
		d.skip(x, x+1)
	case it.trailing(named):
		j.found.at(x, TrailingBytes, "%d bytes follow entry %d where it ends", len(it.raw)-it.length(), x)
		d.hit = true
		d.skip(x, x+1)
	default:
		if by := j.renumbered(x, it, named); by > 0 {
			j.removed(x, by)
			return
		}
		detail := fmt.Sprintf("entry %d is not what was recorded: it hashes to %s, and what follows names %s", x, it.leaf, named)
		if it.form != nil {
			detail += fmt.Sprintf(" (%v)", it.form)
		}
		j.accuse(x, it, g == suspect, detail)
	}
}

func doubt(g guilt) string {
	if g <= unproven {
		return ""
	}
	return "; what follows names another hash than these bytes have, so compare them with a replica's"
}

// removed notes that entries before x were taken out and x renumbered by by.
func (j *joiner) removed(x, by uint64) {
	d := &j.damage
	if more := by - min(by, d.shift); more > 0 {
		d.missing = append(d.missing, &absence{span: span{x, x + more}, detail: fmt.Sprintf(
			"%s is missing: the entries that follow were renumbered by %d to hide it, but their hashes still stand in those after them",
			span{x, x + more}, more)})
	}
	d.shift = by
	d.hit = true
	d.skip(x, x+1)
}

// length is how many bytes the entry at the beginning of the raw bytes has.
func (it *item) length() int {
	if len(it.raw) < chain.HeaderSize {
		return len(it.raw)
	}
	return min(len(it.raw), chain.HeaderSize+int(binary.BigEndian.Uint16(it.raw[14:])))
}

// trailing reports whether the bytes begin with the entry that is named, and go
// on after it.
func (it *item) trailing(named chain.Hash) bool {
	n := it.length()
	return it.form != nil && n < len(it.raw) && chain.LeafHash(it.raw[:n]) == named
}
