package proof_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
	"annals/ledger/proof/prooftest"
)

// stored is a ledger in memory as an audit reads it.
type stored struct{ *prooftest.Ledger }

func (s stored) Head(context.Context) (proof.Head, error) {
	size := s.Size()
	return proof.Head{Size: size, Root: s.Root(size), LastLeaf: s.Ledger.Leaves[size-1].Hash}, nil
}

func (s stored) Leaves(_ context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
	return func(yield func(chain.Leaf, error) bool) {
		for i := from; i < min(to, s.Size()); i++ {
			if !yield(chain.Leaf{Raw: s.Ledger.Leaves[i].Raw, Payload: s.Ledger.Leaves[i].Payload}, nil) {
				return
			}
		}
	}
}

func (s stored) Nodes(_ context.Context, level int, from, to uint64) iter.Seq2[chain.Hash, error] {
	return func(yield func(chain.Hash, error) bool) {
		for n := from; n < min(to, s.Size()>>level); n++ {
			h, err := s.ReadHashes([]int64{tlog.StoredHashIndex(level, int64(n))})
			if err != nil || !yield(chain.Hash(h[0]), nil) {
				return
			}
		}
	}
}

// TestSignedHeads holds a sound ledger against heads that are signed, or are not.
func TestSignedHeads(t *testing.T) {
	l := twice()
	for i := range 40 {
		l.Record("ws_2", string(rune('a'+i)), `{}`)
	}
	l.Fold()
	size := l.Size()
	now := l.at(size)
	var retired [][]byte
	for _, c := range l.retired {
		retired = append(retired, c.Note)
	}
	fork := newKeyed("twice")
	for i := range 60 {
		fork.Record("ws_1", string(rune('A'+i)), `{}`)
	}
	fork.Fold()
	forked := func(size uint64, signer string) []byte {
		c := fork.at(size)
		return l.Sign(c.Text(), signer)
	}
	policy, err := proof.ParsePolicy([]byte("witness w " + witnessKey("w") + "\nquorum w\n"))
	if err != nil {
		t.Fatal(err)
	}
	short := l.history(t)
	short.Changes = short.Changes[:1]
	change := l.retired[1].Size
	cases := []struct {
		name string
		o    proof.Options
		want proof.Finding
		at   int
	}{
		{"its own", proof.Options{Checkpoint: now.Note, Key: l.key("third")}, proof.Clean, -1},
		{"without a key", proof.Options{Checkpoint: now.Note}, proof.Clean, -1},
		{"none", proof.Options{}, proof.Clean, -1},
		{"none, though a key is given", proof.Options{Key: l.key("third")}, proof.TailUnproven, -1},
		{"an earlier one", proof.Options{Checkpoint: l.at(size - 7).Note, Key: l.key("third")}, proof.Clean, -1},
		{"one within the first key's time", proof.Options{Checkpoint: retired[0], Key: l.key("checkpoint")}, proof.Clean, -1},
		{"by a key that came after a revocation", proof.Options{Checkpoint: now.Note, Key: l.key("checkpoint"), Retired: retired}, proof.Clean, -1},
		{"the same, for the key that was revoked", proof.Options{Checkpoint: now.Note, Key: l.key("second"), Retired: retired}, proof.Clean, -1},
		{"the same, without what it signed", proof.Options{Checkpoint: now.Note, Key: l.key("second"), Retired: retired[:1]}, proof.UnknownKey, -1},
		{"cosigned", proof.Options{Checkpoint: cosigned(t, now.Note, "w"), Key: l.key("third"), Policy: policy}, proof.Clean, -1},
		{"not cosigned", proof.Options{Checkpoint: now.Note, Key: l.key("third"), Policy: policy}, proof.WitnessQuorumNotMet, -1},
		{"by a stranger", proof.Options{Checkpoint: l.Sign(now.Text(), "stranger")}, proof.UnknownKey, -1},
		{"by the key that was rotated away", proof.Options{Checkpoint: l.Sign(now.Text(), "checkpoint")}, proof.UnknownKey, -1},
		{"by the heads key", proof.Options{Checkpoint: l.Sign(now.Text(), "heads")}, proof.UnknownKey, -1},
		{"for a stranger's key", proof.Options{Checkpoint: now.Note, Key: l.key("stranger")}, proof.UnknownKey, -1},
		{"for another ledger's key", proof.Options{Checkpoint: now.Note, Key: prooftest.VKeyOf("x.example", "third")}, proof.WrongLedger, -1},
		{"of another ledger", proof.Options{Checkpoint: prooftest.New("other").Checkpoint(2)}, proof.WrongLedger, -1},
		{"no note", proof.Options{Checkpoint: []byte("x\n")}, proof.Inconclusive, -1},
		{"of another history", proof.Options{Checkpoint: forked(size, "third"), Key: l.key("third")}, proof.Forked, -1},
		{"of another history, earlier", proof.Options{Checkpoint: forked(size-3, "third")}, proof.Forked, -1},
		{"retired, of another history", proof.Options{Checkpoint: now.Note, Retired: [][]byte{forked(l.retired[1].Size, "second")}}, proof.Forked, -1},
		{"of more than there is", proof.Options{Checkpoint: forked(size+5, "third")}, proof.Truncated, int(size)},
		{"a history that leaves a change out", proof.Options{Checkpoint: now.Note, History: short}, proof.UnknownKey, int(change)},
		{"a whole history", proof.Options{Checkpoint: now.Note, History: l.history(t)}, proof.Clean, -1},
	}
	for _, c := range cases {
		for _, chunk := range []int{2, 16, 4096} {
			c.o.Chunk = chunk
			r, err := proof.Audit(t.Context(), stored{l.Ledger}, c.o)
			if err != nil || r.Verdict != c.want {
				t.Errorf("%s, chunks of %d: %v, %s", c.name, chunk, err, r.Sentence)
				continue
			}
			if (c.at >= 0) != (r.FirstBad != nil) || c.at >= 0 && *r.FirstBad != uint64(c.at) {
				t.Errorf("%s: first bad index %v, want %d", c.name, r.FirstBad, c.at)
			}
			if c.want == proof.Forked && (len(r.Findings[0].Evidence) == 0 || r.Findings[0].Evidence[0] == "") {
				t.Errorf("%s: a fork without evidence: %+v", c.name, r.Findings)
			}
		}
	}
}

// TestRememberedFork has two signed heads contradict each other: both are shown.
func TestRememberedFork(t *testing.T) {
	l, other := newKeyed("fork"), newKeyed("fork")
	l.Record("ws_1", "x", `{}`)
	other.Record("ws_1", "y", `{}`)
	l.Fold()
	other.Fold()
	size := l.Size()
	was, now := other.at(size), l.at(size)
	r, err := proof.Audit(t.Context(), stored{l.Ledger}, proof.Options{
		Checkpoint: now.Note, Remembered: &proof.Head{Size: size, Root: was.Root}, RememberedNote: was.Note,
	})
	if err != nil || r.Verdict != proof.Forked || !slices.Equal(r.Findings[0].Evidence, []string{string(was.Note), string(now.Note)}) {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestNotices(t *testing.T) {
	l := newKeyed("notices")
	names := func(o proof.Options) (out []proof.NoticeName) {
		r, err := proof.Audit(t.Context(), stored{l.Ledger}, o)
		if err != nil || r.Verdict != proof.Clean {
			t.Fatalf("%v, %s", err, r.Sentence)
		}
		for _, n := range r.Notices {
			if n.Detail == "" {
				t.Errorf("%+v", n)
			}
			out = append(out, n.Notice)
		}
		return out
	}
	size := l.Size()
	head := &proof.Head{Size: size, Root: l.Root(size)}
	if got := names(proof.Options{}); !slices.Equal(got, []proof.NoticeName{proof.NoRememberedHead, proof.NoCheckpoint}) {
		t.Errorf("nothing known: %v", got)
	}
	if got := names(proof.Options{Remembered: head, Checkpoint: l.at(size).Note}); len(got) != 0 {
		t.Errorf("all known: %v", got)
	}
	o := proof.Options{Remembered: head, Checkpoint: l.at(size).Note, EntriesOnly: true, Notices: []proof.Notice{{Notice: proof.KeyFromLedger, Detail: "x"}}}
	if got := names(o); !slices.Equal(got, []proof.NoticeName{proof.KeyFromLedger, proof.EntriesOnly}) {
		t.Errorf("entries only: %v", got)
	}
	seen := map[proof.NoticeName]bool{}
	for _, n := range proof.NoticeNames() {
		if seen[n] || n.Meaning() == "" {
			t.Errorf("notice %s", n)
		}
		seen[n] = true
	}
}

// TestNoticesOfChanges: who audits is told of each rotation, revocation and epoch,
// and of what no checkpoint covers; the ledger is clean all the same.
func TestNoticesOfChanges(t *testing.T) {
	l := twice()
	size := l.Size()
	l.Begin(size, l.Root(size), 1)
	l.Record("ws_1", "in the new stream", `{}`)
	l.Fold()
	signed := l.at(l.Size() - 1)
	r, err := proof.Audit(t.Context(), stored{l.Ledger}, proof.Options{
		Remembered: &proof.Head{Size: size, Root: l.Root(size)}, Checkpoint: signed.Note, Key: l.key("third"),
	})
	if err != nil || r.Verdict != proof.Clean {
		t.Fatalf("%v, %s", err, r.Sentence)
	}
	id := func(name string) string { return chaintest.Signer(name).Public(0).ID().String() }
	wants := []struct {
		name  proof.NoticeName
		index uint64
		said  []string
	}{
		{proof.KeysChanged, l.retired[0].Size, []string{"key " + id("checkpoint") + " goes", "key " + id("second") + " comes, for checkpoint"}},
		{proof.KeyRevoked, l.retired[1].Size, []string{"revokes", "key " + id("second") + " goes", "key " + id("third") + " comes"}},
		{proof.NewEpoch, size, []string{"epoch 1", `"ANNALS_1"`, "2026-01-02T03:04:05Z", fmt.Sprint("up to message ", size)}},
		{proof.UnsignedTail, signed.Size, []string{"the last 1 yet"}},
	}
	for i, n := range r.Notices {
		if i >= len(wants) || n.Notice != wants[i].name || n.Index == nil || *n.Index != wants[i].index {
			t.Fatalf("notice %d: %+v of %+v", i, n, r.Notices)
		}
		for _, said := range wants[i].said {
			if !strings.Contains(n.Detail, said) {
				t.Errorf("%q lacks %q", n.Detail, said)
			}
		}
	}
	if len(r.Notices) != len(wants) {
		t.Errorf("%+v", r.Notices)
	}
}

// TestFoundBefore ranks what a caller found with what the audit finds.
func TestFoundBefore(t *testing.T) {
	l := newKeyed("before")
	at := uint64(2)
	r, err := proof.Audit(t.Context(), stored{l.Ledger}, proof.Options{
		Checkpoint: l.Sign("x\n", "checkpoint"),
		Found:      []proof.Found{{Finding: proof.TailUnproven, Index: &at, Detail: "x"}},
	})
	if err != nil || r.Verdict != proof.WrongLedger || r.Total != 2 || r.Findings[1].Finding != proof.TailUnproven || *r.FirstBad != 2 {
		t.Errorf("%v, %+v", err, r)
	}
	bad := proof.Refused(&proof.Fault{Finding: proof.Forked, Err: proof.ErrProof})
	if bad.Verdict != proof.Forked || bad.Entries != 0 || bad.Total != 1 {
		t.Errorf("%+v", bad)
	}
	if r := proof.Refused(context.Canceled); r.Verdict != proof.Inconclusive {
		t.Errorf("%+v", r)
	}
}
