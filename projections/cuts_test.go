package projections

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestCuts folds one ledger in many ways, whole and in pieces, through many
// tails and few, with and without restarts and resets: the logical rows are the
// same, and a list lists each entry once.
func TestCuts(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	m := newModel()
	m.grow(rng, blockSize+2500, &adversarial)
	var want map[string]string
	for round, flush := range []int{blockSize, blockSize, 1 << 6, 1 << 9, 1 << 11, 1 << 13} {
		o := Options{FS: vfs.NewMem(), flush: flush, memTable: 256 << 10}
		p := open(t, m.ledger, o)
		if round == 1 {
			if err := p.Fold(m.from(0, 3000)); err != nil {
				t.Fatal(err)
			}
			if err := p.Reset(); err != nil {
				t.Fatal(err)
			}
		}
		for at := uint64(0); at < m.size(); {
			to := m.size()
			if round > 0 {
				to = min(to, at+uint64(rng.IntN(1<<rng.IntN(14)+1)))
			}
			if err := p.Fold(m.from(at, to)); err != nil {
				t.Fatal(err)
			}
			if at = to; round > 0 && rng.IntN(20) == 0 {
				shut(t, p)
				p = open(t, m.ledger, o)
				at, _ = p.Cursor()
			}
		}
		shut(t, p)
		got := rowsOf(t, open(t, m.ledger, o))
		for key, list := range got {
			if _, ok := eraIn([]byte(key)); !ok || key[eraPrefix-1] != inEraPostings {
				continue
			}
			var s set
			s.addStored(postings(list))
			if err := postings(list).check(); err != nil || string(s.stored(nil)) != list {
				t.Fatalf("row %x (%v): %x", key, err, list)
			}
			if offsets := s.appendTo(nil); !slices.IsSorted(offsets) || len(slices.Compact(offsets)) != s.n {
				t.Fatalf("row %x: %v", key, offsets)
			}
		}
		if want == nil {
			want = got
		}
		if !maps.Equal(got, want) {
			t.Fatalf("round %d (flush %d): %d rows, not the %d of one fold, or not the same", round, flush, len(got), len(want))
		}
	}
}

// rowsOf returns every row of the store, and closes the projections.
func rowsOf(t *testing.T, p *Projections) map[string]string {
	t.Helper()
	it, err := p.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			t.Fatal(err)
		}
		rows[string(it.Key())] = string(value)
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	shut(t, p)
	if !bytes.Equal([]byte(rows[string(headKey)])[:4], []byte{0, 0, 0, schema}) {
		t.Fatalf("head %x", rows[string(headKey)])
	}
	return rows
}
