package proof

import (
	"cmp"
	"encoding/binary"
	"slices"

	"annals/ledger/chain"
)

// stop is one line on the walk along a workspace's chain: about 450 bytes.
type stop struct {
	number uint64 // of the line, from 0
	says   uint64 // the index that the line says it has
	leaf   chain.Hash
	entry  chain.Entry
	form   error // the bytes are no entry of version 1

	stated bool // the bytes are long enough to state a position and a link
	states uint64
	link   chain.Hash // the previous in workspace that they name

	shown   bool // it came with a proof
	proof   proofState
	altered bool

	beside  bool     // a payload stands beside it
	trouble *trouble // what is wrong with the payload
	record  record   // what duplicates and conflicts are compared with
}

type proofState int

const (
	unshown proofState = iota // it has none, or there is no checkpoint to hold it to
	proven
	refuted
)

// walk goes along a workspace's chain.
type walk struct {
	v           *tenancy
	first, last uint64 // positions
	whole       bool   // all lines were read
	lines       []*stop
	slots       map[uint64]*stop // by position
	order       []uint64         // the positions that have a line, ascending

	payloads, notKept, unchecked uint64
}

// Where an entry's bytes state its position and the link of its workspace.
const (
	atPosition = 72
	atLink     = 144
)

// read takes a line down.
func (w *walk) read(l *Line) *stop {
	s := &stop{number: uint64(len(w.lines)), says: l.Index, leaf: chain.LeafHash(l.Entry), shown: l.Proof != nil}
	raw := slices.Clone(l.Entry)
	s.entry, s.form = chain.ParseEntry(raw)
	at := l.Index
	if len(raw) >= chain.HeaderSize {
		at = binary.BigEndian.Uint64(raw[16:])
		s.stated, s.states, s.link = true, binary.BigEndian.Uint64(raw[atPosition:]), chain.Hash(raw[atLink:])
	}
	if c := w.v.checkpoint; c != nil && s.shown {
		s.proof = refuted
		if CheckInclusion(c.Size, c.Root, at, s.leaf, hashesOf(l.Proof)) == nil {
			s.proof = proven
		}
	}
	if s.beside = l.parts() == 3; s.beside {
		w.payloads++
	}
	if s.form == nil {
		w.payload(s, l)
	}
	return s
}

// proofsDue holds a pack's lines to the proofs that they must have, and no other.
func (w *walk) proofsDue() {
	for i, s := range w.lines {
		due := i == 0 || i == len(w.lines)-1 || s.beside
		switch {
		case due && !s.shown:
			w.v.found.at(s.says, Inconclusive, "line %d lacks its proof", i+1)
		case !due && s.shown:
			w.v.found.at(s.says, Inconclusive, "line %d has a proof where none is due", i+1)
		}
	}
}

// place finds out which line is which position (docs/format/pack.md, 8 to 11).
func (w *walk) place() {
	w.slots = make(map[uint64]*stop, len(w.lines))
	over := w.claims()
	held := make(map[chain.Hash]bool, len(w.slots))
	if len(over) > 0 {
		for _, s := range w.slots {
			held[s.leaf] = true
		}
	}
	slices.SortFunc(over, func(a, b *stop) int { return cmp.Compare(a.number, b.number) })
	for _, s := range over {
		position := w.first + s.number
		switch taken := w.slots[position]; {
		case held[s.leaf]:
			w.v.found.at(s.says, Reordered, "line %d repeats another", s.number+1)
		case position <= w.last && taken == nil:
			w.slots[position] = s
			held[s.leaf] = true
		default:
			w.v.found.at(s.says, TrailingBytes, "line %d stands for none of the positions %d to %d", s.number+1, w.first, w.last)
		}
	}
	w.order = make([]uint64, 0, len(w.slots))
	for position := range w.slots {
		w.order = append(w.order, position)
	}
	slices.Sort(w.order)
	w.ascend()
	w.gaps()
}

// claims gives each position to the line that states it; of several, to one that
// another line names or whose proof holds. It returns the lines that get none.
func (w *walk) claims() (over []*stop) {
	var rivals map[uint64][]*stop
	for _, s := range w.lines {
		switch holder := w.slots[s.states]; {
		case !s.stated || s.states < w.first || s.states > w.last:
			over = append(over, s)
		case holder == nil:
			w.slots[s.states] = s
		default:
			if rivals == nil {
				rivals = map[uint64][]*stop{}
			}
			if rivals[s.states] == nil {
				rivals[s.states] = []*stop{holder}
			}
			rivals[s.states] = append(rivals[s.states], s)
		}
	}
	if len(rivals) == 0 {
		return over
	}
	named := make(map[chain.Hash]bool, len(w.lines))
	for _, s := range w.lines {
		named[s.link] = named[s.link] || s.stated
	}
	for position, list := range rivals {
		best := list[0]
		if at := slices.IndexFunc(list, func(s *stop) bool { return s.proof == proven || named[s.leaf] }); at >= 0 {
			best = list[at]
		}
		w.slots[position] = best
		for _, s := range list {
			if s != best {
				over = append(over, s)
			}
		}
	}
	return over
}

// ascend finds the first line that stands behind one of a higher position.
func (w *walk) ascend() {
	placed := make(map[*stop]uint64, len(w.order))
	for _, position := range w.order {
		placed[w.slots[position]] = position
	}
	highest := uint64(0)
	for _, s := range w.lines {
		position, ok := placed[s]
		switch {
		case !ok:
		case position < highest:
			w.v.found.at(s.says, Reordered, "line %d stands behind a later one", s.number+1)
			return
		default:
			highest = position
		}
	}
}

// gaps finds the positions that no line has.
func (w *walk) gaps() {
	due := w.first
	for _, position := range w.order {
		if position != due {
			w.v.found.at(w.slots[position].says, MissingEntry, "%d of the workspace's entries are missing: positions %d to %d", position-due, due, position-1)
		}
		due = position + 1
	}
	if due <= w.last && w.whole {
		w.v.found.whole(Truncated, "the positions %d to %d of the workspace's chain are not there", due, w.last)
	}
}

// chain finds out, from the last position down, who proves whom (12 to 17).
func (w *walk) chain() {
	found, head := w.v.found, w.v.head
	for i := len(w.order) - 1; i >= 0; i-- {
		position := w.order[i]
		s := w.slots[position]
		after := w.slots[position+1]
		if position == w.last {
			after = nil
		}
		var wanted chain.Hash
		by := ""
		switch {
		case after != nil && !after.altered && after.stated:
			wanted, by = after.link, "the entry behind it"
		case head != nil && position == head.Count-1:
			wanted, by = head.Leaf, "the signed head"
			after = nil
		}
		switch {
		case by == "" && s.proof == refuted:
			s.altered = true
			found.at(s.says, RootMismatch, "entry %d and its proof don't lead to the checkpoint's root", s.says)
		case by == "":
		case s.leaf == wanted && s.proof == refuted:
			found.at(s.says, TreeDamaged, "entry %d is what was recorded, and the proof that comes with it is not", s.says)
		case s.leaf == wanted:
		case s.proof != proven:
			s.altered = true
			found.at(s.says, AlteredEntry, "position %d of the workspace's chain is not what was recorded there: it hashes to %s, and %s names %s", position, s.leaf, by, wanted)
		case after != nil:
			found.at(after.says, WorkspaceChainBroken, "position %d names %s as the entry before it, and the ledger has %s there", position+1, wanted, s.leaf)
		}
	}
}
