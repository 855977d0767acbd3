package projections

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// behind returns the folder of projections that were stopped behind erasures of their
// ledger: some were folded, the later ones were not. unfolded is what the later ones
// cover, of what was folded.
func behind(t *testing.T, seed uint64, o Options) (m *model, unfolded map[uint64]bool) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 83))
	m, unfolded = newModel(), map[uint64]bool{}
	l, err := OpenLive("projections", m.ledger, o)
	check(t, err)
	at := uint64(0)
	for range 1 + rng.IntN(3) {
		m.grow(rng, 1+rng.IntN(400), &short)
		to := m.size() - min(m.size()-at, rng.Uint64N(60))
		check(t, l.Fold(m.from(at, to)))
		at = to
		if rng.IntN(2) == 0 {
			m.eraseSome(rng)
		}
	}
	check(t, l.Fold(m.from(at, m.size())))
	folded := m.size()
	for range 1 + rng.IntN(3) {
		m.eraseSome(rng)
		for _, index := range m.leaves.leaves[m.size()-1].Gone.Indexes {
			if index < folded {
				unfolded[index] = true
			}
		}
		m.grow(rng, rng.IntN(50), &short)
	}
	check(t, l.Close())
	return m, unfolded
}

// TestCheckBehindErasures: projections that were stopped behind an erasure hold what
// nobody can fold again, and a check calls that no lie. When they have caught up it
// holds them to every row.
func TestCheckBehindErasures(t *testing.T) {
	ledgers := uint64(24)
	if testing.Short() {
		ledgers = 6
	}
	stood := 0
	for seed := range ledgers {
		o := small(vfs.NewMem())
		o.eraBits = uint(seed % 2)
		m, unfolded := behind(t, seed, o)
		look := func() Checked {
			c, err := Check(t.Context(), "projections", m.ledger, m.reading, m.size(), CheckOptions{Options: o, Temp: "anew"})
			check(t, err)
			return c
		}
		c := look()
		for _, f := range c.Found {
			t.Errorf("ledger %d, %d entries erased behind %d: %s", seed, len(unfolded), c.Size, &f)
		}
		if c.Unfolded {
			stood++
			if len(unfolded) == 0 {
				t.Errorf("ledger %d: nothing is erased behind it, and something is said to stand", seed)
			}
		}
		l, err := OpenLive("projections", m.ledger, o)
		check(t, err)
		at, _ := l.Cursor()
		check(t, l.Fold(m.from(at, m.size())))
		check(t, l.Close())
		if c := look(); len(c.Found) != 0 || c.Unfolded || c.Size != m.size() {
			t.Errorf("ledger %d, caught up: %+v", seed, c)
		}
	}
	if stood < int(ledgers)/2 {
		t.Errorf("rows of erased entries stood in %d of %d ledgers: the test shows nothing", stood, ledgers)
	}
}

// TestCheckBehindLies: the same projections, and one lie of an entry that nobody
// erased, in rows that erased entries stand in too. It is found where it is told.
func TestCheckBehindLies(t *testing.T) {
	said := map[RowKind]int{}
	for seed := range uint64(24) {
		fs := vfs.NewMem()
		o := small(fs)
		m, unfolded := behind(t, seed, o)
		at := uint64(0)
		for _, tell := range []RowKind{RowList, RowColumn, RowZone} {
			var undo func(*spoiler)
			tamper(t, fs, o, func(s *spoiler) { undo = lieBeside(s, m, unfolded, tell, &at) })
			if undo == nil {
				continue
			}
			found, _ := checked(t, m.leaves, o)
			if len(found) != 1 || found[0].Row != tell || tell != RowZone && (found[0].Index == nil || *found[0].Index != at) {
				t.Errorf("ledger %d: a lie in a %s of entry %d is told, and found are %v", seed, tell, at, found)
			}
			said[tell]++
			tamper(t, fs, o, undo)
			if found, _ := checked(t, m.leaves, o); len(found) != 0 {
				t.Fatalf("ledger %d: taken back: %v", seed, found)
			}
		}
	}
	for _, kind := range []RowKind{RowList, RowColumn, RowZone} {
		if said[kind] < 3 {
			t.Errorf("%d lies were told in a %s: the test shows nothing", said[kind], kind)
		}
	}
}

// lieBeside tells a lie in a row of which unfolded erasures explain a part, and returns
// how to take it back; nil where the ledger has no such row.
func lieBeside(s *spoiler, m *model, unfolded map[uint64]bool, kind RowKind, at *uint64) (undo func(*spoiler)) {
	size := uint64(0)
	s.head(func(h *head) { size = h.size })
	change := func(key, value []byte) {
		old := s.get(key)
		s.set(key, value)
		undo = func(s *spoiler) { s.set(key, old) }
	}
	for index := range size {
		f := &m.facts[index]
		if unfolded[index] || len(f.values[FieldOutcome]) == 0 {
			continue
		}
		tag := f.tag
		workspace := slices.IndexFunc(short.workspaces, func(w string) bool { return tagOf(w) == tag })
		beside := slices.ContainsFunc(m.of[tag], func(other uint64) bool { return unfolded[other] && blockOf(other) == blockOf(index) })
		if workspace < 0 || !beside {
			continue
		}
		*at = index
		switch kind {
		case RowList:
			key := s.list(index, short.workspaces[workspace], FieldOutcome, f.values[FieldOutcome][0].A)
			offsets, ok := offsetsOf(s.get(key))
			place := slices.Index(offsets, uint16(offsetOf(index)))
			if !ok || place < 0 || len(offsets) < 2 {
				continue
			}
			change(key, asStored(slices.Delete(offsets, place, place+1)))
		case RowColumn:
			key := s.layout.appendColumnKey(nil, index)
			c := column(s.get(key))
			var times []int64
			for i := c.start(); c.within(i); i++ {
				times = append(times, c.at(i))
			}
			// A second between the earliest and the latest leaves the zones as they are.
			if place := int(index%chunkSize) - c.start(); times[place] > c.earliest()+2e9 && times[place] < c.latest()-2e9 {
				times[place] += 1e9
			} else {
				continue
			}
			change(key, appendColumn(nil, c.start(), times))
		case RowZone:
			key := s.layout.appendZoneKey(nil, blockOf(index), s.number(short.workspaces[workspace]))
			z, err := parseZone(s.get(key))
			check(s, err)
			if z.latest-z.earliest < 2e9 {
				continue
			}
			z.earliest += 1e9
			change(key, z.append(nil))
		}
		return undo
	}
	return nil
}
