package pack_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
	"annals/ledger/proof/pack"
	"annals/ledger/proof/prooftest"
)

// erased is a random ledger of whose first workspace some entries were erased, in two
// statements, with their duplicates; and what the two selected.
func erased(seed uint64) (l *prooftest.Ledger, by [2]uint64, selected [2][]uint64) {
	r := rand.New(rand.NewPCG(seed, 9))
	l = prooftest.Random(400+seed, 50, 3)
	l.Publish("activity.ws_1._", `{"id":"twice","producer":"p","type":"t","actor":{"id":"u"}}`)
	l.Publish("activity.ws_1._", `{"id":"twice","producer":"p","type":"t","actor":{"id":"u"}}`)
	l.Fold()
	at := l.Size() - 2
	for n := range selected {
		for _, index := range l.Of("ws_1", l.Size()) {
			e := &l.Leaves[index].Entry
			if s := e.Selected(chain.Hash{}); s.Erasable() && (r.IntN(6) == 0 || n == 0 && index == at) {
				selected[n] = append(selected[n], index)
			}
		}
		by[n] = l.Erase("ws_1", selected[n]...)
		l.Publish("activity.ws_1._", fmt.Sprintf(`{"id":"after %d","type":"t","actor":{"id":"u"}}`, n))
	}
	l.Publish("activity.ws_1._", `{"id":"twice","producer":"p","type":"t","actor":{"id":"u"}}`) // is not compared
	l.MarkNow()
	l.Fold()
	return l, by, selected
}

// kept chooses everything that was ever kept.
func kept(l *chain.Leaf) bool {
	e := &l.Entry
	return e.Flags&chain.FlagRetained != 0 || e.Kind == chain.KindDuplicate && e.Code == chain.DuplicateSame
}

// notices are those of a name, by the entry that they are of.
func notices(r *proof.TenantReport, name proof.NoticeName) (at []uint64) {
	for _, n := range r.Notices {
		if n.Notice == name && n.Index != nil {
			at = append(at, *n.Index)
		}
	}
	return at
}

// TestErasedClean packs every range of ledgers of which something was erased. The code
// and verify.py find nothing, and both say what was erased.
func TestErasedClean(t *testing.T) {
	var packs []brought
	var want []proof.TenantReport
	for seed := range uint64(2) {
		l, by, selected := erased(seed)
		count := l.Head("ws_1", l.Size()).Count
		of := l.Of("ws_1", l.Size())
		for first := uint64(0); first < count; first += 3 {
			for _, last := range []uint64{first, (first + count) / 2, count - 1} {
				with := []func(*chain.Leaf) bool{kept, none, third}[first%2]
				b := written(t, contents(t, l, "ws_1", l.Size(), first, last, with))
				r := verdict(t, b, l.VKey())
				said := notices(&r, proof.Erased)
				for n := range by {
					here := slices.ContainsFunc(of[first:last+1], func(index uint64) bool { return slices.Contains(selected[n], index) })
					if earlier := n > 0 && slices.Contains(said, by[0]); here && !earlier && !slices.Contains(said, by[n]) {
						t.Fatalf("seed %d, %d to %d: erased by %v, said %v", seed, first, last, by, said)
					}
				}
				packs, want = append(packs, brought{unzipped(t, b), l.VKey()}), append(want, r)
			}
		}
	}
	for i, j := range verifyAll(t, packs) {
		names := []string{}
		for _, n := range want[i].Notices {
			names = append(names, string(n.Notice))
		}
		slices.Sort(names)
		slices.Sort(j.Notices)
		if len(j.Findings) > 0 || !slices.Equal(names, j.Notices) {
			t.Fatalf("pack %d: %+v, and the code says %q", i, j, names)
		}
	}
}

// TestErasedVerdicts breaks what a pack says of erasures in each way that there is, and
// names what is found.
func TestErasedVerdicts(t *testing.T) {
	l, by, selected := erased(1)
	first, last := uint64(0), l.Head("ws_1", l.Size()).Count-1
	all := l.Lines("ws_1", l.Size(), first, last, true, kept)
	stub := slices.IndexFunc(all, func(l proof.Line) bool { return l.Gone != nil && *l.Gone == by[0] })
	shown := slices.IndexFunc(all, func(l proof.Line) bool { return l.Body != nil })
	var published proof.Line // what was erased later
	before := prooftest.Random(401, 50, 3)
	for _, line := range before.Lines("ws_1", before.Size(), first, before.Head("ws_1", before.Size()).Count-1, false, prooftest.All) {
		if line.Index == all[stub].Index {
			published = line
		}
	}
	published.Proof = proof.Hashes64(l.Inclusion(published.Index, l.Size()))
	for _, c := range []struct {
		name string
		do   func(b *parts)
		want proof.Finding
		at   uint64
	}{
		{"an erased payload shown", func(b *parts) {
			l := &b.Lines[stub]
			l.Gone, l.Salt, l.Envelope, l.Body = nil, published.Salt, published.Envelope, published.Body
			l.Proof = published.Proof
			b.About.Payloads++
		}, proof.ErasureIncomplete, all[stub].Index},
		{"a payload gone that nothing erased", func(b *parts) {
			l := &b.Lines[shown]
			l.Salt, l.Envelope, l.Body, l.Gone = nil, nil, nil, &by[0]
			if shown > 0 {
				l.Proof = nil
			}
			b.About.Payloads--
		}, proof.PayloadMissing, all[shown].Index},
		{"the erasure left out", func(b *parts) { b.Erasures = b.Erasures[1:] }, proof.PayloadMissing, selected[0][0]},
		{"the erasure's proof", func(b *parts) { b.Erasures[0].Proof[1][0] ^= 1 }, proof.RootMismatch, by[0]},
		{"another control entry in its place", func(b *parts) {
			b.Erasures[0].Entry = proof.Base64(l.Leaves[1].Raw)
		}, proof.MalformedEntry, by[0]},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := taken(t, unzipped(t, written(t, contents(t, l, "ws_1", l.Size(), first, last, kept))), l.VKey())
			c.do(b)
			files := b.files(t)
			r := verdict(t, zipped(t, files), l.VKey())
			if r.Verdict != c.want || r.Findings[0].Index == nil || *r.Findings[0].Index != c.at {
				t.Errorf("verdict %s, want %s at %d: %+v", r.Verdict, c.want, c.at, r.Findings)
			}
			agree(t, []brought{{files, l.VKey()}}, []string{c.name})
		})
	}
}

// TestForgedErasures has somebody who holds the checkpoint key, and no eraser's, put
// erasures into the tree.
func TestForgedErasures(t *testing.T) {
	nothing := func(*chain.Statement, *chain.Erase) {}
	for _, c := range []struct {
		name    string
		change  func(s *chain.Statement, e *chain.Erase)
		signers []chain.Signer
		want    proof.Finding
	}{
		{"as it should be", nothing, nil, proof.Clean},
		{"by the ledger's key", nothing, []chain.Signer{prooftest.New("keeper").Keeper}, proof.UnauthorisedControl},
		{"by a stranger", nothing, []chain.Signer{chaintest.Signer("stranger")}, proof.UnknownKey},
		{"in another role", func(_ *chain.Statement, e *chain.Erase) { e.Role = chain.RoleEraser }, nil, proof.UnauthorisedControl},
		{"of another ledger", func(s *chain.Statement, _ *chain.Erase) { s.Ledger[0] ^= 1 }, nil, proof.WrongLedger},
		{"of what came later", func(s *chain.Statement, _ *chain.Erase) { s.Size = 3 }, nil, proof.UnauthorisedControl},
		{"of a state to come", func(s *chain.Statement, _ *chain.Erase) { s.Size += 100 }, nil, proof.UnauthorisedControl},
		{"of another workspace", func(_ *chain.Statement, e *chain.Erase) { e.Workspace[0] ^= 1 }, nil, proof.UnauthorisedControl},
		{"of other leaves", func(_ *chain.Statement, e *chain.Erase) { e.Leaves[0] ^= 1; e.Selection = e.Leaves }, nil, proof.UnauthorisedControl},
		{"of another's entry", func(_ *chain.Statement, e *chain.Erase) { e.Ranges[0].From-- }, nil, proof.UnauthorisedControl},
		{"of nothing", func(_ *chain.Statement, e *chain.Erase) { e.Ranges = nil }, nil, proof.MalformedEntry},
		{"for no reason", func(_ *chain.Statement, e *chain.Erase) { e.Reason = 0 }, nil, proof.MalformedEntry},
		{"by a rule", func(_ *chain.Statement, e *chain.Erase) { e.Rule = 7 }, nil, proof.MalformedEntry},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, _, _ := erased(1)
			mine := l.Of("ws_1", l.Size())
			target := mine[slices.IndexFunc(mine, func(index uint64) bool {
				return index > 3 && !slices.Contains(mine, index-1) && l.Leaves[index].Entry.Kind == chain.KindRecord
			})]
			by := l.ForgeErase("ws_1", target, c.change, c.signers...)
			last := l.Head("ws_1", l.Size()).Count - 1
			whole := contents(t, l, "ws_1", l.Size(), 0, last, kept)
			var b bytes.Buffer
			if err := pack.Write(&b, whole, new(proof.TenantReport)); err != nil {
				t.Fatal(err)
			}
			r := verdict(t, b.Bytes(), l.VKey())
			if r.Verdict != c.want || c.want != proof.Clean && *r.Findings[0].Index != by {
				t.Errorf("verdict %s, want %s at %d: %+v", r.Verdict, c.want, by, r.Findings)
			}
			agree(t, []brought{{unzipped(t, b.Bytes()), l.VKey()}}, []string{c.name})
		})
	}
}

// TestErasedVerdictsAgree breaks packs of erased ledgers at random, as
// TestVerdictsAgree does, and what they say of erasures besides.
func TestErasedVerdictsAgree(t *testing.T) {
	var packs []brought
	var did []string
	for seed := range uint64(80) {
		r := rand.New(rand.NewPCG(seed, 11))
		l, by, _ := erased(seed % 3)
		count := l.Head("ws_1", l.Size()).Count
		clean := written(t, contents(t, l, "ws_1", l.Size(), uint64(r.IntN(3)), count-1-uint64(r.IntN(2)), kept))
		b := taken(t, unzipped(t, clean), l.VKey())
		way := spoilErasures(b, by, r)
		if r.IntN(2) == 0 {
			way += ", " + spoil(l, b, r)
		}
		packs, did = append(packs, brought{b.files(t), b.VKey}), append(did, way)
	}
	agree(t, packs, did)
}

// spoilErasures breaks something of what a pack says of erasures, and says what.
func spoilErasures(b *parts, by [2]uint64, r *rand.Rand) string {
	e := &b.Erasures[r.IntN(len(b.Erasures))]
	gone := slices.DeleteFunc(slices.Collect(func(yield func(int) bool) {
		for i := range b.Lines {
			if !yield(i) {
				return
			}
		}
	}), func(i int) bool { return b.Lines[i].Gone == nil })
	ways := []struct {
		name string
		do   func()
	}{
		{"an erasure's entry", func() { e.Entry[r.IntN(len(e.Entry))] ^= 1 << r.IntN(8) }},
		{"an erasure's statement", func() { e.Entry[208+r.IntN(len(e.Entry)-208)] ^= 1 << r.IntN(8) }},
		{"an erasure's proof", func() { e.Proof[r.IntN(len(e.Proof))][r.IntN(32)] ^= 1 }},
		{"an erasure's index", func() { e.Index++ }},
		{"an erasure left out", func() { b.Erasures = slices.Delete(b.Erasures, 0, 1) }},
		{"erasures swapped", func() { b.Erasures[0], b.Erasures[len(b.Erasures)-1] = b.Erasures[len(b.Erasures)-1], b.Erasures[0] }},
		{"an erasure with a payload", func() { e.Salt, e.Envelope, e.Body = make([]byte, 32), []byte{1}, []byte{2} }},
		{"gone by another", func() { b.Lines[gone[r.IntN(len(gone))]].Gone = &by[r.IntN(2)] }},
		{"gone by nothing", func() { n := uint64(r.IntN(9)); b.Lines[gone[r.IntN(len(gone))]].Gone = &n }},
		{"not said to be gone", func() { b.Lines[gone[r.IntN(len(gone))]].Gone = nil }},
		{"a payload said to be gone", func() { b.Lines[r.IntN(len(b.Lines))].Gone = &by[0] }},
		{"an erased payload put in", func() {
			l := &b.Lines[gone[r.IntN(len(gone))]]
			l.Gone, l.Salt, l.Envelope, l.Body, l.Proof = nil, make([]byte, 32), []byte{1}, []byte{2}, b.Lines[0].Proof
			b.About.Payloads++
		}},
	}
	way := ways[r.IntN(len(ways))]
	way.do()
	return way.name
}
