package projections

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"annals/activity"
	"annals/ledger/chain"
)

// same reports whether two leaves are the same but for what is only kept at hand.
func same(a, b chain.Leaf) bool {
	a.Keys, b.Keys, a.Hash, b.Hash = nil, nil, chain.Hash{}, chain.Hash{}
	return reflect.DeepEqual(a, b)
}

// TestAhead reads leaves of every kind ahead, from a reader that spoils what it
// handed out: they are the same leaves, with the keys that a scan finds.
func TestAhead(t *testing.T) {
	m := &model{leaves: newLeaves()}
	m.grow(rand.New(rand.NewPCG(3, 3)), 1500, &adversarial)
	m.add(spec{kind: chain.KindRecord, workspace: "a", subject: "activity.a._", body: []byte(
		`{"type":"t","actor":{"id":"u"},"data":"` + strings.Repeat("x", 3*aheadBytes) + `"}`)})
	m.add(spec{kind: chain.KindRecord, workspace: "a", subject: "activity.a._", body: []byte(
		`{"type":"t","actor":{"id":"u\u0041"},"linked":[{"type":"o","id":"1"},{"type":"o","id":"2"}]}`)})
	next, scanned := uint64(0), 0
	for leaf, err := range Ahead(m.all()) {
		check(t, err)
		want := m.leaves.leaves[next]
		if !same(leaf, want) || leaf.Hash != chain.LeafHash(want.Raw) {
			t.Fatalf("entry %d is %+v, want %+v", next, leaf, want)
		}
		var keys activity.Keys
		_, record := want.Record()
		switch {
		case want.Entry.Kind > chain.KindConflict || record == nil || activity.Scan(record, &keys) != nil:
			if leaf.Keys != nil {
				t.Errorf("entry %d: keys of what is no record: %+v", next, leaf.Keys)
			}
		case leaf.Keys == nil || !reflect.DeepEqual(normal(*leaf.Keys), normal(keys)):
			t.Errorf("entry %d: keys %+v, want %+v", next, leaf.Keys, keys)
		default:
			scanned++
		}
		next++
	}
	if next != m.size() || scanned < 500 {
		t.Errorf("%d entries of %d, %d scanned", next, m.size(), scanned)
	}
}

// normal makes empty slices nil: scratch space is no difference.
func normal(k activity.Keys) activity.Keys {
	v := reflect.ValueOf(&k).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Slice && f.Len() == 0 {
			f.SetZero()
		}
	}
	return k
}

// TestAheadEnds stops at every place of the reader's run: on its error, and where
// the caller has enough. The reader has then let go of what it read from.
func TestAheadEnds(t *testing.T) {
	l := newLeaves()
	for range 3*aheadLeaves + 10 {
		l.add(spec{kind: chain.KindGap})
	}
	broken := errors.New("the reader broke")
	for _, at := range []int{0, 1, aheadLeaves - 1, aheadLeaves, aheadLeaves + 1, 2 * aheadLeaves, 3 * aheadLeaves, 3*aheadLeaves + 10} {
		var reading bool
		read := func(fail bool) iter.Seq2[chain.Leaf, error] {
			return func(yield func(chain.Leaf, error) bool) {
				reading = true
				defer func() { reading = false }()
				n := 0
				for leaf := range l.all() {
					if fail && n == at {
						break
					}
					if n++; !yield(leaf, nil) {
						return
					}
				}
				if fail {
					yield(chain.Leaf{}, broken)
				}
			}
		}
		n := 0
		var last error
		for _, err := range Ahead(read(true)) {
			if last = err; err == nil {
				n++
			}
		}
		if n != at || !errors.Is(last, broken) || reading {
			t.Errorf("broken at %d: %d leaves, then %v; still reading: %v", at, n, last, reading)
		}
		n = 0
		for range Ahead(read(false)) {
			if n++; n >= at {
				break
			}
		}
		if n != max(at, 1) || reading {
			t.Errorf("%d leaves of %d; still reading: %v", n, at, reading)
		}
	}
}

// TestAheadFolds folds what is read ahead: the rows are those of folding alone.
func TestAheadFolds(t *testing.T) {
	m := &model{leaves: newLeaves()}
	m.grow(rand.New(rand.NewPCG(5, 3)), 2000, &short)
	var rows []map[string]string
	for _, leaves := range []iter.Seq2[chain.Leaf, error]{m.all(), Ahead(m.all())} {
		l, err := OpenLive(t.TempDir(), m.ledger, Options{})
		check(t, err)
		check(t, l.Fold(leaves))
		check(t, l.Close())
		p, err := Open(l.folder.pathOf(1), m.ledger, Options{})
		check(t, err)
		rows = append(rows, rowsOf(t, p))
	}
	if !reflect.DeepEqual(rows[0], rows[1]) {
		t.Errorf("%d rows, and %d when read ahead, or not the same", len(rows[0]), len(rows[1]))
	}
}

// BenchmarkRebuild rebuilds on the disk, and reports what an entry costs in wall
// time and in CPU time of the whole process.
func BenchmarkRebuild(b *testing.B) {
	n := *entries
	f := benchLeaves(n)
	all := slices.Collect(func(yield func(chain.Leaf) bool) {
		for leaf := range f.all() {
			payload := *leaf.Payload
			leaf.Payload = &payload
			leaf.Raw = bytes.Clone(leaf.Raw)
			if !yield(leaf) {
				return
			}
		}
	})
	leaves := func(_ context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
		return func(yield func(chain.Leaf, error) bool) {
			for _, leaf := range all[from:to] {
				if !yield(leaf, nil) {
					return
				}
			}
		}
	}
	for b.Loop() {
		l, err := OpenLive(b.TempDir(), f.ledger, Options{})
		if err != nil {
			b.Fatal(err)
		}
		cpu := cpuTime(b)
		if err := l.Rebuild(b.Context(), leaves, func() uint64 { return uint64(n) }, nil); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(n)/l.Progress().Took.Seconds(), "entries/s")
		b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/float64(n), "cpu-ns/entry")
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
