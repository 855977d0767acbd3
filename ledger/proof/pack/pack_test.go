package pack_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/ledger/proof/pack"
	"annals/ledger/proof/prooftest"
)

// contents is what a pack of a workspace's positions holds, with the payloads that
// with chooses.
func contents(t testing.TB, l *prooftest.Ledger, workspace string, size, first, last uint64, with func(*chain.Leaf) bool) *pack.Contents {
	t.Helper()
	lines := l.Lines(workspace, size, first, last, true, with)
	c := &pack.Contents{
		About: pack.About{
			Format: pack.Format, Origin: l.Settled.Origin, Ledger: l.ID, Workspace: workspace, Tag: proof.Hash64(l.Tag(workspace)),
			First: first, Last: last, Selection: "what the test chose", Created: "2026-11-22T08:00:00Z",
		},
		Checkpoint: l.Checkpoint(size), VKey: l.VKey(), Maker: "a test",
		Lines: func() iter.Seq2[proof.Line, error] {
			return func(yield func(proof.Line, error) bool) {
				for _, l := range lines {
					if !yield(l, nil) {
						return
					}
				}
			}
		},
	}
	for i := range lines {
		if lines[i].Body != nil {
			c.About.Payloads++
		}
	}
	c.Erasures = l.Erasures(workspace, size)
	c.Keys, c.Head = printed(t, l.Keys(size)), printed(t, l.Answer(workspace, size))
	return c
}

func printed(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// written is a pack that its maker found clean.
func written(t testing.TB, c *pack.Contents) []byte {
	t.Helper()
	r, err := c.Verify(context.Background())
	if err != nil || r.Verdict != proof.Clean {
		t.Fatalf("%v %+v", err, r)
	}
	var b bytes.Buffer
	if err := pack.Write(&b, c, &r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// verdict reads a pack and verifies it.
func verdict(t testing.TB, b []byte, vkey string) proof.TenantReport {
	t.Helper()
	p, err := pack.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Verify(context.Background(), vkey)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// unzipped takes a pack apart, to be changed.
func unzipped(t testing.TB, b []byte) []pack.File {
	t.Helper()
	files, err := pack.Unzip(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func zipped(t testing.TB, files []pack.File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := pack.Zip(&b, files); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func records(l *chain.Leaf) bool { return l.Entry.Kind == chain.KindRecord }
func none(*chain.Leaf) bool      { return false }

// TestClean packs every range of random ledgers, with several selections.
func TestClean(t *testing.T) {
	for seed := range uint64(2) {
		l := prooftest.Random(seed, 40, 3)
		size := l.Size()
		count := l.Head("ws_1", size).Count
		for first := range count {
			for last := first; last < count; last += 1 + first%7 + last%5*3 {
				for name, with := range map[string]func(*chain.Leaf) bool{"all": prooftest.All, "none": none, "records": records} {
					b := written(t, contents(t, l, "ws_1", size, first, last, with))
					r := verdict(t, b, l.VKey())
					if r.Verdict != proof.Clean || r.Entries != last-first+1 {
						t.Fatalf("seed %d, %d to %d, %s: %+v", seed, first, last, name, r)
					}
					said := map[proof.NoticeName]bool{}
					for _, n := range r.Notices {
						said[n.Notice] = true
					}
					if said[proof.GoesOn] != (last < count-1) || said[proof.NameUnproven] != (r.Payloads == 0) || len(said) != len(r.Notices) {
						t.Fatalf("notices %+v", r.Notices)
					}
				}
			}
		}
	}
}

// TestSameBytes writes the same pack twice.
func TestSameBytes(t *testing.T) {
	l := prooftest.Random(3, 40, 3)
	c := contents(t, l, "ws_2", l.Size(), 0, l.Head("ws_2", l.Size()).Count-1, records)
	a, b := written(t, c), written(t, c)
	if !bytes.Equal(a, b) {
		t.Error("the same contents make two packs")
	}
	if again := zipped(t, unzipped(t, a)); !bytes.Equal(a, again) {
		t.Error("a pack that is put together again is another")
	}
	names := []string{}
	for _, f := range unzipped(t, a) {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	want := []string{"README.txt", "REPORT.html", "catalogue.json", "checkpoint", "entries.jsonl", "head.json", "keys.json", "pack.json", "verify.py"}
	if !slices.Equal(names, want) {
		t.Errorf("files %q", names)
	}
}

// TestWithoutKey shows self-consistency, and says that it is no more.
func TestWithoutKey(t *testing.T) {
	l := prooftest.Random(3, 40, 2)
	b := written(t, contents(t, l, "ws_1", l.Size(), 0, 4, records))
	r := verdict(t, b, "")
	if r.Verdict != proof.Clean || !slices.ContainsFunc(r.Notices, func(n proof.Notice) bool { return n.Notice == proof.KeyFromLedger }) {
		t.Errorf("%+v", r)
	}
}

// TestLarge packs ten thousand entries.
func TestLarge(t *testing.T) {
	l := prooftest.New("large")
	for i := range 100 {
		lines := make([]string, 100)
		for j := range lines {
			lines[j] = fmt.Sprintf(`{"id":"%d.%d","type":"t","actor":{"id":"u"}}`, i, j)
		}
		l.Publish("activity.ws_1._", strings.Join(lines, "\n"), "Content-Type", "application/x-ndjson")
	}
	l.MarkNow()
	b := written(t, contents(t, l, "ws_1", l.Size(), 0, 9999, records))
	if r := verdict(t, b, l.VKey()); r.Verdict != proof.Clean || r.Entries != 10_000 || r.Payloads != 10_000 {
		t.Fatalf("%+v", r)
	}
	if len(b) > 12<<20 {
		t.Errorf("%d bytes", len(b))
	}
}
