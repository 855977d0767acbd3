package proof

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

func TestSampleHoldsEveryKind(t *testing.T) {
	m := sample()
	for _, kind := range []chain.Kind{chain.KindRecord, chain.KindDuplicate, chain.KindConflict, chain.KindRejection, chain.KindControl} {
		if m.first(kind, 0) < 0 {
			t.Errorf("the sample has no %s", kind)
		}
	}
	r := mustBeClean(t, m, Options{Tag: tagOf()})
	if r.NotKept != 1 || r.Unchecked != 0 || r.Payloads != r.Entries-1 || r.Ledger != m.id() {
		t.Errorf("report %+v", r)
	}
}

// tagOf is what an auditor with the workspace key knows.
func tagOf() func(string) chain.Hash {
	s := chaintest.New("tags")
	state, _, err := chain.OpenGenesis(&s.Messages[0])
	if err != nil {
		panic(err)
	}
	return state.Tag
}

func TestCleanAtEverySize(t *testing.T) {
	b := newBuilder("sizes")
	for i := range 300 {
		if i%23 == 0 {
			b.mark(nil)
		}
		b.Record(fmt.Sprint("w", i%5), fmt.Sprint(i), `{}`)
	}
	whole := b.done()
	for size := 0; size <= len(whole.rows); size++ {
		m := whole.clone()
		m.rows = m.rows[:size]
		m.seal()
		for _, chunk := range []int{2, 16, 256} {
			mustBeClean(t, m, Options{Chunk: chunk})
		}
		if size == 0 {
			m.head.Root = chain.Hash{}
			mustBeClean(t, m, Options{})
		}
	}
}

// TestCleanLedgers draws ledgers and how they are audited: none is found at
// fault, and workers and chunks don't show in the report.
func TestCleanLedgers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBuilder("drawn")
		for range rapid.IntRange(0, 40).Draw(t, "messages") {
			draw(t, b)
		}
		m := b.done()
		o := Options{
			Chunk: 1 << rapid.IntRange(1, 6).Draw(t, "chunk"), Workers: rapid.IntRange(1, 4).Draw(t, "workers"), Tag: b.state.Tag,
		}
		if size := rapid.IntRange(0, len(m.rows)).Draw(t, "remembered"); size > 0 {
			o.Remembered = &Head{Size: uint64(size), Root: rootOf(b.leaves[:size]), LastLeaf: b.leaves[size-1]}
		}
		r, err := Audit(context.Background(), m, o)
		if err != nil || r.Verdict != Clean {
			t.Fatalf("%v: %s %+v", err, r.Sentence, r.Findings)
		}
	})
}

// draw publishes one message of some kind.
func draw(t *rapid.T, b *builder) {
	workspace := fmt.Sprint("w", rapid.IntRange(0, 3).Draw(t, "workspace"))
	id := fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "id"))
	data := fmt.Sprintf(`{"n":%d}`, rapid.IntRange(0, 1).Draw(t, "data"))
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		b.Publish("activity."+workspace+"._", strings.Repeat(`{"type":"a","actor":{"id":"u"},"data":`+data+"}\n", rapid.IntRange(0, 5).Draw(t, "lines")),
			"Content-Type", chain.NDJSON)
	case 1:
		b.Publish("vouched."+workspace+".a", `{"door":{"grade":"verified","producer":"p","request_id":"`+data[1:2]+`"},"record":{"id":"`+id+`","actor":{"id":"u"},"data":`+data+`}}`)
	case 2:
		b.Publish("activity."+workspace+".a", "{")
	case 3:
		b.Seed()
	case 4:
		b.mark(nil)
	case 5:
		n := rapid.IntRange(0, 50).Draw(t, "backlog")
		b.mark(func() {
			for i := range n {
				b.Record(workspace, fmt.Sprint("backlog", i), data)
			}
		})
	case 7:
		b.fold()
		least := uint64(len(b.Messages)) - uint64(rapid.IntRange(0, min(60, len(b.Messages)-2)).Draw(t, "behind"))
		b.trim(least, b.state.Trimmed+1, map[string]uint64{"a": least, "b": uint64(len(b.Messages))})
	case 6:
		b.Now += int64(rapid.IntRange(-5, 100).Draw(t, "hours")) * 3600e9
		b.Record(workspace, id, data)
	default:
		b.Record(workspace, id, data)
	}
}

// TestLateMarks holds marks to the root and the heads at sizes far behind them.
func TestLateMarks(t *testing.T) {
	b := newBuilder("late")
	b.mark(func() {
		for i := range 200 {
			b.Record(fmt.Sprint("w", i%7), fmt.Sprint(i), `{}`)
		}
	})
	mustBeClean(t, b.done(), Options{Chunk: 2})
	size, root := uint64(len(b.leaves)), rootOf(b.leaves)
	for i := range 200 {
		b.Record(fmt.Sprint("w", i%7), fmt.Sprint("more", i), `{}`)
	}
	b.Mark(size, root, chain.Hash{1})
	b.Mark(size, chain.Hash{1}, chain.Hash{})
	m := b.done()
	for _, chunk := range []int{2, 4, 64, 1024} {
		r := audit(t, m, Options{Chunk: chunk})
		want := []Finding{WorkspaceChainBroken, Forked}
		if got := names(r); !reflect.DeepEqual(got, want) {
			t.Errorf("chunks of %d: %v, want %v", chunk, got, want)
		}
	}
}

// fickle is a source whose first entries are others when they are read again.
type fickle struct {
	*memory
	other *memory
	reads atomic.Int32
}

func (s *fickle) Leaves(ctx context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
	if from == 0 && s.reads.Add(1) > 2 {
		return s.other.Leaves(ctx, from, to)
	}
	return s.memory.Leaves(ctx, from, to)
}

// TestChangedMeanwhile changes a ledger between the two readings that late marks
// need.
func TestChangedMeanwhile(t *testing.T) {
	b := newBuilder("late")
	b.mark(func() {
		for i := range 200 {
			b.Record("w", fmt.Sprint(i), `{}`)
		}
	})
	m := b.done()
	other := m.clone()
	other.rows[1].raw[190] ^= 1
	if r, err := Audit(context.Background(), &fickle{memory: m, other: m}, Options{Chunk: 2}); err != nil || r.Verdict != Clean {
		t.Fatalf("unchanged: %v, %s", err, r.Sentence)
	}
	if r, err := Audit(context.Background(), &fickle{memory: m, other: other}, Options{Chunk: 2}); err == nil || r.Verdict != Inconclusive {
		t.Errorf("changed: %v, %s", err, r.Sentence)
	}
}

func names(r Report) []Finding {
	out := []Finding{}
	for _, f := range r.Findings {
		out = append(out, f.Finding)
	}
	return out
}

// broken is a source that fails to read.
type broken struct {
	*memory
	at uint64
}

var errDisk = errors.New("the disk is gone")

func (s *broken) Leaves(ctx context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
	return func(yield func(chain.Leaf, error) bool) {
		for leaf, err := range s.memory.Leaves(ctx, from, to) {
			if from >= s.at {
				leaf, err = chain.Leaf{}, errDisk
			}
			if !yield(leaf, err) || err != nil {
				return
			}
		}
	}
}

func TestInconclusive(t *testing.T) {
	m := sample()
	for at := range m.rows {
		r, err := Audit(context.Background(), &broken{m, uint64(at) / 8 * 8}, Options{Chunk: 8})
		if !errors.Is(err, errDisk) || r.Verdict != Inconclusive {
			t.Fatalf("disk fails at %d: %v, %s", at, err, r.Sentence)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r, err := Audit(ctx, m, Options{}); !errors.Is(err, context.Canceled) || r.Verdict != Inconclusive {
		t.Errorf("cancelled: %v, %s", err, r.Sentence)
	}
	if _, err := Audit(context.Background(), m, Options{Chunk: 3}); err == nil {
		t.Error("a chunk of 3 entries is accepted")
	}
}

// TestWorkersDoNotShow audits damaged ledgers with different workers and chunks.
func TestWorkersDoNotShow(t *testing.T) {
	m := sample()
	for i := range m.rows {
		bad := m.clone()
		bad.rows[i].raw[100] ^= 1
		want := audit(t, bad, Options{Workers: 1, Chunk: 4096})
		for _, o := range []Options{{Workers: 1, Chunk: 2}, {Workers: 3, Chunk: 4}, {Workers: 5, Chunk: 32}} {
			if got := audit(t, bad, o); !reflect.DeepEqual(got, want) {
				t.Fatalf("entry %d, %+v: %+v, want %+v", i, o, got, want)
			}
		}
	}
}

func TestFindingsAreRanked(t *testing.T) {
	seen := map[Finding]bool{}
	for _, f := range Findings() {
		if seen[f] || f.Meaning() == "" || strings.Contains(f.String(), "_") {
			t.Errorf("finding %q", f)
		}
		seen[f] = true
	}
	f := newFindings(3)
	for i := range uint64(20) {
		f.at(20-i, AlteredPayload, "x")
	}
	f.whole(Forked, "y")
	list := f.list()
	if len(list) != 3 || f.total != 21 || *f.first != 1 || list[0].Finding != Forked || *list[1].Index != 1 || *list[2].Index != 2 {
		t.Errorf("%+v", list)
	}
}
