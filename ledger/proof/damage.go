package proof

import (
	"cmp"
	"fmt"
	"slices"

	"annals/ledger/chain"
)

// damage is what is known of places whose bytes aren't those that were recorded.
// Names are settled at the end, when it is known whether a misplaced entry's own
// place is taken by another.
type damage struct {
	hit     bool   // some entry's hash is not what it was, or is absent: roots can't agree
	skips   uint64 // entries that were not held to the rules
	skipped []span // which, ascending
	lost    bool   // more were skipped than are remembered

	accused []*accused
	weak    map[chain.Hash]*accused // by leaf hash
	named   map[chain.Hash]bool     // hashes that the accused name
	// unproven are entries that nothing spoke for yet, by index: their workspace's
	// next entry may still convict them.
	unproven map[uint64]*accused
	missing  []*absence
	extras   uint64 // entries that stand a second time
	shift    uint64 // by how much the entries from here on were renumbered
}

// Bounds on what is remembered of a ledger that is damaged through and through.
const (
	maxSkipped = 64 << 10
	maxAccused = 4096
)

func newDamage() damage {
	return damage{weak: map[chain.Hash]*accused{}, named: map[chain.Hash]bool{}, unproven: map[uint64]*accused{}}
}

// accused is an entry whose bytes are not what was recorded at its place.
type accused struct {
	index   uint64
	entry   chain.Entry // without its tail
	claims  bool        // it is whole and claims another place
	cleared bool
	trouble *trouble
	detail  string
	// before is what the stream's next record would have been, when the entry
	// before is sound.
	before      place
	beforeKnown bool
}

// absence is a run of indexes without entries.
type absence struct {
	span
	moved  bool // found elsewhere
	detail string
}

// skip notes that a place was not held to the rules: what follows it starts anew.
func (d *damage) skip(from, to uint64) {
	d.skips += to - from
	if n := len(d.skipped); n > 0 && d.skipped[n-1].to == from {
		d.skipped[n-1].to = to
		return
	}
	if len(d.skipped) >= maxSkipped {
		d.lost = true
		return
	}
	d.skipped = append(d.skipped, span{from, to})
}

// between counts skipped entries from from up to, not including, to, up to enough.
func (d *damage) between(from, to, enough uint64) uint64 {
	if d.lost {
		return enough
	}
	var n uint64
	for i := len(d.skipped) - 1; i >= 0 && n < enough && d.skipped[i].to > from; i-- {
		s := d.skipped[i]
		if lo, hi := max(s.from, from), min(s.to, to); lo < hi {
			n += hi - lo
		}
	}
	return min(n, enough)
}

// accuse notes an entry that isn't what was recorded. Weak is an accusation that
// rests on a neighbour that isn't sound itself.
func (j *joiner) accuse(x uint64, it *item, weak bool, detail string) {
	d := &j.damage
	before, beforeKnown := j.rules.expected(d)
	d.hit = true
	d.skip(x, x+1)
	if len(d.accused) >= maxAccused {
		j.found.at(x, AlteredEntry, "%s", detail)
		return
	}
	a := &accused{index: x, entry: it.entry, trouble: it.trouble, detail: detail, before: before, beforeKnown: beforeKnown}
	a.entry.Tail = nil // a view, and only of a gap needed: it says what is due next
	if it.entry.Kind == chain.KindGap {
		a.entry.Tail = slices.Clone(it.entry.Tail)
	}
	if _, inside := chain.SplitULID(it.entry.ULID); it.form == nil && it.entry.Index != x && inside == it.entry.Index {
		a.claims = true
	}
	d.accused = append(d.accused, a)
	d.named[it.entry.Previous] = true
	if weak {
		d.weak[it.leaf] = a
	}
}

// doubt notes an entry that nothing speaks for.
func (d *damage) doubt(x uint64, it *item) {
	if len(d.unproven) < maxAccused {
		d.unproven[x] = &accused{index: x, entry: it.entry, trouble: it.trouble}
	}
}

// convict accuses an unproven entry after all: its workspace's next entry names
// another hash. It reports whether the entry was unproven.
func (d *damage) convict(x, by uint64) bool {
	a := d.unproven[x]
	if a == nil {
		return false
	}
	delete(d.unproven, x)
	d.hit = true
	a.detail = fmt.Sprintf("entry %d is not what was recorded: entry %d, the next in its workspace, names another hash", x, by)
	d.accused = append(d.accused, a)
	at, _ := slices.BinarySearchFunc(d.skipped, x, func(s span, x uint64) int { return cmp.Compare(s.from, x) })
	d.skipped = slices.Insert(d.skipped, at, span{x, x + 1})
	return true
}

// evidence clears a weakly accused entry that a later one names.
func (j *joiner) evidence(it *item) {
	for _, named := range [...]chain.Hash{it.entry.Previous, it.entry.PreviousInWorkspace} {
		if a, ok := j.damage.weak[named]; ok {
			a.cleared = true
			delete(j.damage.weak, named)
			if a.trouble != nil {
				j.blameBeside(a.index, a.trouble)
			}
		}
	}
}

// nameDamage settles how the damaged places are called.
func (j *joiner) nameDamage() {
	d := &j.damage
	for x, a := range d.unproven {
		if a.trouble != nil {
			j.blameBeside(x, a.trouble)
		}
	}
	cleared := map[uint64]*accused{}
	for _, a := range d.accused {
		if a.cleared {
			cleared[a.index] = a
		}
	}
	for _, a := range d.accused {
		if before := cleared[a.index-1]; before != nil && !a.beforeKnown {
			a.before, a.beforeKnown = next(&before.entry), true
		}
	}
	d.accused = slices.DeleteFunc(d.accused, func(a *accused) bool { return a.cleared })
	slices.SortFunc(d.accused, func(a, b *accused) int { return cmp.Compare(a.index, b.index) })
	moved := map[*accused]string{}
	d.findClaims(moved)
	d.findRuns(moved)
	d.findSwaps(moved)
	for _, a := range d.accused {
		if where, ok := moved[a]; ok {
			j.found.at(a.index, Reordered, "%s", where)
			continue
		}
		j.found.at(a.index, AlteredEntry, "%s", a.detail)
	}
	for _, m := range d.missing {
		if m.moved {
			j.found.at(m.from, Reordered, "%s stands further back than its index says", m.span)
			continue
		}
		j.found.at(m.from, MissingEntry, "%s", m.detail)
	}
}

// findClaims finds entries that stand in one another's places.
func (d *damage) findClaims(moved map[*accused]string) {
	places := map[uint64]bool{}
	for _, a := range d.accused {
		places[a.index] = true
	}
	for _, a := range d.accused {
		if a.claims && places[a.entry.Index] {
			moved[a] = fmt.Sprintf("entry %d stands in the place of entry %d", a.entry.Index, a.index)
		}
	}
}

// findRuns finds neighbours that were put into another order and renumbered: their
// places in the stream follow on one another only when they are sorted.
func (d *damage) findRuns(moved map[*accused]string) {
	for start := 0; start < len(d.accused); {
		end := start + 1
		for end < len(d.accused) && d.accused[end].index == d.accused[end-1].index+1 {
			end++
		}
		run := d.accused[start:end]
		start = end
		if len(run) < 2 || !run[0].beforeKnown {
			continue
		}
		sorted := slices.Clone(run)
		slices.SortStableFunc(sorted, func(a, b *accused) int { return placeOf(&a.entry).compare(placeOf(&b.entry)) })
		due, follows := run[0].before, true
		for _, a := range sorted {
			follows = follows && mayStand(&a.entry, due)
			due = next(&a.entry)
		}
		for i, a := range run {
			if follows && sorted[i] != a {
				moved[a] = fmt.Sprintf("message %d, record %d, stands at entry %d, out of the stream's order", a.entry.Sequence, a.entry.Place, a.index)
			}
		}
	}
}

// findSwaps finds single entries that were put in one another's places and
// renumbered.
func (d *damage) findSwaps(moved map[*accused]string) {
	due := map[place]*accused{}
	for _, a := range d.accused {
		if a.beforeKnown {
			due[a.before] = a
		}
	}
	for _, a := range d.accused {
		if b, ok := due[placeOf(&a.entry)]; ok && b != a && moved[a] == "" {
			moved[a] = fmt.Sprintf("message %d, record %d, stands at entry %d: it was recorded at entry %d", a.entry.Sequence, a.entry.Place, a.index, b.index)
		}
	}
}
