package proof_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
	"annals/ledger/proof/prooftest"
)

// TestHeadsMap proves each row of maps of every size up to 40, and flips each hash of
// each proof, and each part of the row.
func TestHeadsMap(t *testing.T) {
	heads := map[chain.Hash]chain.Head{}
	for n := range uint64(40) {
		heads[chaintest.Secret(fmt.Sprint("tag ", n))] = chain.Head{Count: n + 1, Index: n * 3, Leaf: chaintest.Secret(fmt.Sprint("leaf ", n))}
		m := proof.NewHeadsMap(heads)
		root := m.Root()
		if root != chain.HeadsRoot(heads) {
			t.Fatalf("%d rows: two roots of one map", n+1)
		}
		for tag, head := range heads {
			row, ok := m.Row(tag)
			if !ok || row.Head != head || row.MapSize != n+1 {
				t.Fatalf("%d rows: %+v", n+1, row)
			}
			if err := row.Check(root); err != nil {
				t.Fatal(err)
			}
			for i := range row.Proof {
				row.Proof[i][i%32] ^= 1
				if row.Check(root) == nil {
					t.Fatalf("%d rows: hash %d flipped", n+1, i)
				}
				row.Proof[i][i%32] ^= 1
			}
			for i, change := range []func(r *proof.HeadsRow){
				func(r *proof.HeadsRow) { r.Tag[0] ^= 1 },
				func(r *proof.HeadsRow) { r.Head.Count++ },
				func(r *proof.HeadsRow) { r.Head.Index++ },
				func(r *proof.HeadsRow) { r.Head.Leaf[31] ^= 1 },
				func(r *proof.HeadsRow) { r.MapIndex++ },
				func(r *proof.HeadsRow) { r.Proof = append([]chain.Hash{root}, r.Proof...) },
			} {
				other := row
				change(&other)
				if other.Check(root) == nil {
					t.Fatalf("%d rows: change %d of the row", n+1, i)
				}
			}
		}
		if _, ok := m.Row(chaintest.Secret("another")); ok {
			t.Fatal("a row of a workspace that has none")
		}
	}
	if proof.NewHeadsMap(nil).Root() != chain.HeadsRoot(nil) {
		t.Error("the empty map has another root")
	}
}

// TestHeadForm reads heads that are written in another way than one is.
func TestHeadForm(t *testing.T) {
	l := prooftest.Random(1, 20, 1)
	h := l.Head("ws_1", l.Size())
	good := string(l.Sign(h.Text(), "heads"))
	back, err := proof.ParseWorkspaceHead([]byte(good))
	back.Note = nil
	if err != nil || fmt.Sprint(back) != fmt.Sprint(h) || back.Text() != h.Text() {
		t.Fatalf("%v %+v", err, back)
	}
	count, size := fmt.Sprintf("\n%d\n", h.Count), fmt.Sprintf("\n%d\n\n", h.Size)
	for name, bad := range map[string]string{
		"empty":            "",
		"no signature":     h.Text(),
		"another first":    strings.Replace(good, "head/v1", "head/v2", 1),
		"a line more":      strings.Replace(good, size, size[:len(size)-1]+"x\n\n", 1),
		"a line fewer":     strings.Replace(good, count, "\n", 1),
		"leading zero":     strings.Replace(good, count, "\n0"+count[1:], 1),
		"plus":             strings.Replace(good, count, "\n+"+count[1:], 1),
		"counts nothing":   strings.Replace(good, count, "\n0\n", 1),
		"tree too small":   strings.Replace(good, size, "\n1\n\n", 1),
		"too large number": strings.Replace(good, size, "\n18446744073709551616\n\n", 1),
		"tag cut":          strings.Replace(good, "=\n", "\n", 1),
		"no origin":        strings.Replace(good, h.Origin+"\n", "\n", 1),
		"carriage return":  strings.ReplaceAll(good, "\n", "\r\n"),
	} {
		if got, err := proof.ParseWorkspaceHead([]byte(bad)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// FuzzWorkspaceHead: what is read is what is printed.
func FuzzWorkspaceHead(f *testing.F) {
	l := prooftest.Random(1, 20, 1)
	h := l.Head("ws_1", l.Size())
	f.Add(l.Sign(h.Text(), "heads"))
	f.Add([]byte("annals/workspace-head/v1\nx\n\n1\n1\n\n2\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := proof.ParseWorkspaceHead(b)
		if err != nil {
			return
		}
		if text := h.Text(); !strings.HasPrefix(string(b), text) || len(b) <= len(text) || b[len(text)] != '\n' {
			t.Fatalf("%q is read as %q", b, text)
		}
	})
}

// FuzzHeadAnswer: what is read can be verified by nobody but with the ledger's keys,
// and is printed as it was read.
func FuzzHeadAnswer(f *testing.F) {
	l := prooftest.Random(1, 20, 1)
	good, err := json.Marshal(l.Answer("ws_1", l.Size()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"workspace":"","tag":null,"mark":{"map_proof":[""]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := proof.ParseHeadAnswer(b)
		if err != nil {
			return
		}
		printed, err := json.Marshal(a)
		if err != nil {
			return // a string that is no UTF-8 can't have been read
		}
		again, err := proof.ParseHeadAnswer(printed)
		if err != nil || again.Head != a.Head || (again.Mark == nil) != (a.Mark == nil) {
			t.Fatalf("%s is read as %s: %v", b, printed, err)
		}
		tenant := proof.Tenant{Workspace: a.Workspace, History: l.Keys(l.Size()), VKey: l.VKey(), Checkpoint: []byte(a.Checkpoint), Answer: a}
		if r, err := tenant.Verify(t.Context()); err != nil || r.Verdict == proof.Clean {
			t.Fatalf("%v: clean without a line", err)
		}
	})
}
