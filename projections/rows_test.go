package projections

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestMerger merges a row's pieces in every order that Pebble may, and in parts:
// the row is the one that was never cut.
func TestMerger(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	for round := range 300 {
		var keys, wants [][]byte
		var pieces [][][]byte
		// Postings: some offsets, cut apart.
		offsets := some(rng, []int{3, 900, sparseMost - 1, sparseMost, 9000}[round%5])
		times := times(rng, 1+rng.IntN(chunkSize))
		start := rng.IntN(chunkSize - len(times) + 1)
		var list, column, zones [][]byte
		cuts := []int{0, rng.IntN(len(offsets) + 1), rng.IntN(len(offsets) + 1), len(offsets)}
		slices.Sort(cuts)
		for i := range 3 {
			if part := offsets[cuts[i]:cuts[i+1]]; len(part) > 0 {
				list = append(list, asStored(part))
			}
		}
		cuts = []int{0, rng.IntN(len(times) + 1), rng.IntN(len(times) + 1), len(times)}
		slices.Sort(cuts)
		whole := noZone
		for i := range 3 {
			if part := times[cuts[i]:cuts[i+1]]; len(part) > 0 {
				column = append(column, appendColumn(nil, start+cuts[i], part))
				z := noZone
				for _, t := range part {
					z.add(t)
					whole.add(t)
				}
				zones = append(zones, z.append(nil))
			}
		}
		for what, of := range map[byte][][]byte{inEraPostings: list, inEraColumn: column, inEraZone: zones} {
			keys = append(keys, append(appendEra(nil, 7, what), 1, 2))
			pieces = append(pieces, of)
			wants = append(wants, map[byte][]byte{
				inEraPostings: asStored(offsets), inEraColumn: appendColumn(nil, start, times), inEraZone: whole.append(nil),
			}[what])
		}
		for i := range keys {
			if rng.IntN(3) == 0 { // written twice
				twice := rng.IntN(len(pieces[i]))
				pieces[i] = slices.Insert(pieces[i], twice, pieces[i][twice])
			}
			if got := merged(t, rng, keys[i], pieces[i]); !bytes.Equal(got, wants[i]) {
				t.Fatalf("kind %d, %d pieces: %d bytes, want %d", keys[i][eraPrefix-1], len(pieces[i]), len(got), len(wants[i]))
			}
		}
	}
}

// merged merges pieces as Pebble may: from any on, newer and older ones.
func merged(t *testing.T, rng *rand.Rand, key []byte, pieces [][]byte) []byte {
	first := rng.IntN(len(pieces))
	m, err := merger.Merge(key, pieces[first])
	check(t, err)
	lo, hi := first, first+1
	for lo > 0 || hi < len(pieces) {
		if lo > 0 && (hi == len(pieces) || rng.IntN(2) == 0) {
			lo--
			check(t, m.MergeOlder(pieces[lo]))
		} else {
			check(t, m.MergeNewer(pieces[hi]))
			hi++
		}
		if rng.IntN(2) == 0 && (lo == 0 || hi == len(pieces)) { // a compaction of a part
			part, _, err := m.Finish(false)
			check(t, err)
			m, err = merger.Merge(key, part)
			check(t, err)
		}
	}
	got, _, err := m.Finish(true)
	check(t, err)
	return got
}

func asStored(offsets []uint16) []byte {
	var s set
	s.addSorted(offsets)
	return s.stored(nil)
}

// some draws offsets.
func some(rng *rand.Rand, n int) []uint16 {
	all := rng.Perm(blockSize)[:n]
	slices.Sort(all)
	out := make([]uint16, n)
	for i, o := range all {
		out[i] = uint16(o)
	}
	return out
}

// times draws occurred times of some unit and spread.
func times(rng *rand.Rand, n int) []int64 {
	unit := []int64{1, 1e3, 1e6, 1e9}[rng.IntN(4)]
	spread := []int64{1, 200, 1 << 20, 1 << 30}[rng.IntN(4)]
	out := make([]int64, n)
	for i := range out {
		out[i] = 1_700_000_000e9 + rng.Int64N(spread)*unit
	}
	if rng.IntN(4) == 0 {
		out[rng.IntN(n)] = math.MinInt64
		out[rng.IntN(n)] = math.MaxInt64
	}
	return out
}

// TestColumn reads every time back, and refuses what no fold writes.
func TestColumn(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 9))
	for range 300 {
		want := times(rng, 1+rng.IntN(200))
		start := rng.IntN(chunkSize - len(want))
		c := column(appendColumn(nil, start, want))
		if err := c.check(); err != nil || c.start() != start || c.len() != len(want) {
			t.Fatalf("%v: %d from %d", err, c.len(), c.start())
		}
		if c.earliest() != slices.Min(want) || c.latest() != slices.Max(want) {
			t.Fatalf("from %d to %d", c.earliest(), c.latest())
		}
		for i, at := range want {
			if got := c.at(start + i); got != at {
				t.Fatalf("time %d is %d, want %d", i, got, at)
			}
		}
		for _, bad := range [][]byte{nil, c[:len(c)-1], append(slices.Clone(c), 0), c[:columnHead-1]} {
			if c.width() == 0 && len(bad) == len(c)-1 && len(bad) >= columnHead {
				continue
			}
			if column(bad).check() == nil {
				t.Fatalf("%d bytes pass for a column of %d", len(bad), len(c))
			}
		}
	}
	if n := len(appendColumn(nil, 0, []int64{5e9, 6e9, 7e9})); n != columnHead+3 {
		t.Errorf("three whole seconds take %d bytes", n)
	}
}

// TestSet compares sets with maps.
func TestSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 9))
	size := func() int { return []int{0, 1, 5, 300, sparseMost - 1, sparseMost, 12000}[rng.IntN(7)] }
	for range 600 {
		a, b := some(rng, size()), some(rng, size())
		in := map[uint16]bool{}
		for _, o := range b {
			in[o] = true
		}
		made := func(offsets []uint16) *set {
			s := new(set)
			switch rng.IntN(3) {
			case 0:
				s.addSorted(offsets)
			case 1:
				if len(offsets) > 0 {
					s.addStored(asStored(offsets))
				}
			default: // in two parts, out of order
				half := len(offsets) / 2
				s.addSorted(offsets[half:])
				s.addSorted(offsets[:half])
			}
			return s
		}
		without := rng.IntN(2) == 0
		var want, both []uint16
		for _, o := range a {
			if in[o] != without {
				want = append(want, o)
			}
			if in[o] {
				both = append(both, o)
			}
		}
		if len(b) > 0 {
			if n := made(a).common(asStored(b)); n != len(both) {
				t.Fatalf("%d in common, want %d", n, len(both))
			}
		}
		s := made(a)
		s.keep(made(b), without)
		if got := s.appendTo(nil); !slices.Equal(got, want) || s.n != len(want) {
			t.Fatalf("keep %d, %d, without %t: %d (n %d), want %d", len(a), len(b), without, len(got), s.n, len(want))
		}
		if len(b) > 0 {
			s = made(a)
			s.keepStored(asStored(b), without)
			if got := s.appendTo(nil); !slices.Equal(got, want) || s.n != len(want) || postings(asStored(b)).count() != len(b) {
				t.Fatalf("keep %d, %d as they are stored, without %t: %d (n %d), want %d", len(a), len(b), without, len(got), s.n, len(want))
			}
		}
		lo, hi := rng.IntN(blockSize+1), rng.IntN(blockSize+1)
		lo, hi = min(lo, hi), max(lo, hi)
		clipped := slices.DeleteFunc(slices.Clone(a), func(o uint16) bool { return int(o) < lo || int(o) >= hi })
		s = made(a)
		n := s.between(lo, hi)
		s.clip(lo, hi)
		if got := s.appendTo(nil); !slices.Equal(got, clipped) || s.n != len(clipped) || n != len(clipped) {
			t.Fatalf("[%d, %d) of %d: %d (between: %d), want %d", lo, hi, len(a), s.n, n, len(clipped))
		}
	}
}

// TestPostingsForm refuses lists that no fold writes.
func TestPostingsForm(t *testing.T) {
	for n, ok := range map[int]bool{0: false, 1: false, 2: true, 3: false, 2 * (sparseMost - 1): true, bitmapBytes: true, bitmapBytes + 2: false} {
		b := make([]byte, n)
		for i := range n / 2 {
			b[2*i], b[2*i+1] = byte(i>>8), byte(i)
		}
		if err := postings(b).check(); (err == nil) != ok {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for _, bad := range [][]byte{{0x40, 0}, {0, 5, 0, 0}, {0xff, 0xff}} {
		if postings(bad).check() == nil {
			t.Errorf("%x passes", bad)
		}
	}
}
