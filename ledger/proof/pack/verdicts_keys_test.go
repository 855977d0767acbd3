package pack_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
	"annals/ledger/proof/pack"
	"annals/ledger/proof/prooftest"
)

// rotated is a ledger whose checkpoint key was rotated, an ML-DSA-44 key put beside
// it, and the new key revoked. It returns the contents of a pack of ws_1 under the
// third key's checkpoint.
func rotated(t *testing.T) (*prooftest.Ledger, *pack.Contents) {
	t.Helper()
	l := prooftest.New("rotated")
	s := chaintest.Signer
	var retired []proof.Checkpoint
	retire := func(key string) {
		l.Publish("activity.ws_1.t", `{"actor":{"id":"u"}}`)
		l.MarkNow()
		c := proof.Checkpoint{Origin: l.Settled.Origin, Size: l.Size(), Root: l.Root(l.Size())}
		c.Note = l.Sign(c.Text(), key)
		retired = append(retired, c)
	}
	retire("checkpoint")
	changes := []chain.KeyChange{
		{
			Reason: chain.Rotation, Removed: []chain.Hash{s("checkpoint").Public(0).ID()},
			Added: []chain.Key{s("next").Public(chain.RoleCheckpoint), {Algorithm: chain.AlgorithmMLDSA44, Public: make([]byte, 1312), Roles: chain.RoleCheckpoint}},
		},
		{
			Reason: chain.Revocation, Removed: []chain.Hash{s("next").Public(0).ID()},
			Added:      []chain.Key{s("third").Public(chain.RoleCheckpoint), s("root 2").Public(chain.RoleRoot)},
			Thresholds: []chain.Threshold{{Role: chain.RoleRoot, Keys: 2}},
		},
		{
			Reason: chain.Rotation, Removed: []chain.Hash{s("heads").Public(0).ID()},
			Added: []chain.Key{s("heads 2").Public(chain.RoleHeads)},
		},
	}
	l.ChangeKeys(changes[0], "time", s("root"), s("checkpoint"))
	retire("next")
	l.ChangeKeys(changes[1], "stolen", s("root"))
	l.ChangeKeys(changes[2], "time", s("root"), s("root 2"), s("heads"))
	l.Publish("activity.ws_1.t", `{"actor":{"id":"u"}}`)
	l.MarkNow()
	size := l.Size()

	note := l.Sign((&proof.Checkpoint{Origin: l.Settled.Origin, Size: size, Root: l.Root(size)}).Text(), "third")
	h := l.Keys(size)
	h.Checkpoint = string(note)
	for _, c := range retired {
		hashes, err := tlog.ProveTree(int64(size), int64(c.Size), l)
		if err != nil {
			t.Fatal(err)
		}
		list := [][]byte{}
		for _, hash := range hashes {
			list = append(list, bytes.Clone(hash[:]))
		}
		h.Retired, h.Consistency = append(h.Retired, string(c.Note)), append(h.Consistency, list)
	}

	answer := l.Answer("ws_1", size)
	mark, err := proof.ParseReceipt([]byte(answer.Mark.Receipt))
	if err != nil {
		t.Fatal(err)
	}
	mark.Checkpoint = note
	head := l.Head("ws_1", size)
	answer.Checkpoint, answer.Mark.Receipt, answer.Head = string(note), string(mark.Text()), string(l.Sign(head.Text(), "heads 2"))

	c := contents(t, l, "ws_1", size, 0, head.Count-1, prooftest.All)
	c.Checkpoint, c.Keys, c.Head = note, printed(t, h), printed(t, answer)
	c.VKey = prooftest.VKeyOf(l.Settled.Origin, "third")
	return l, c
}

// TestVerdictsOnKeys has both judge a history of keys, with each key that somebody
// may still have, and broken at random.
func TestVerdictsOnKeys(t *testing.T) {
	l, c := rotated(t)
	files := unzipped(t, written(t, c))
	var packs []brought
	var did []string
	names := []string{"checkpoint", "next", "third", "heads", "heads 2", "root"}
	for _, name := range names {
		packs, did = append(packs, brought{files, prooftest.VKeyOf(l.Settled.Origin, name)}), append(did, name)
	}
	for i, j := range verifyAll(t, packs) {
		if trusted := i < 3; trusted != (len(j.Findings) == 0) {
			t.Errorf("with the key %s: %+v", names[i], j)
		}
	}
	for seed := range uint64(70) {
		r := rand.New(rand.NewPCG(seed, 6))
		b := taken(t, files, prooftest.VKeyOf(l.Settled.Origin, names[r.IntN(3)]))
		packs, did = append(packs, brought{vkey: b.VKey}), append(did, spoilKeys(l, b, r))
		packs[len(packs)-1].files = b.files(t)
	}
	for name, public := range chaintest.Weak() {
		weak := chain.KeyChange{Added: []chain.Key{{Algorithm: chain.AlgorithmEd25519, Public: public, Roles: chain.RoleCheckpoint}}}
		b := taken(t, files, c.VKey)
		b.Keys.Changes[0].Entry = chaintest.Restated(b.Keys.Changes[0].Entry, func(s *chain.Statement) { s.Body = weak.Append(nil) }, l.Stream.Root)
		packs, did = append(packs, brought{b.files(t), b.VKey}), append(did, name)
		if got := verifyAll(t, packs[len(packs)-1:])[0].Findings; len(got) == 0 || got[0].Finding != proof.MalformedEntry {
			t.Errorf("%s: %v", name, got)
		}
	}
	agree(t, packs, did)
}

// spoilKeys breaks something of a key history, and says what.
func spoilKeys(l *prooftest.Ledger, b *parts, r *rand.Rand) string {
	h := b.Keys
	i, k := r.IntN(len(h.Changes)), r.IntN(len(h.Keys))
	flip := func(bytes []byte) { bytes[r.IntN(len(bytes))] ^= 1 << r.IntN(8) }
	ways := []func(){
		func() { flip(h.Changes[i].Entry) },
		func() { flip(h.Changes[i].Entry[208:]) },
		func() { flip(h.Changes[i].Entry[len(h.Changes[i].Entry)-140:]) },
		func() { flip(h.Changes[i].Proof[0]) },
		func() { h.Changes[i].Index++ },
		func() { h.Changes = append(h.Changes[:i], h.Changes[i+1:]...) },
		func() { h.Changes[0], h.Changes[1] = h.Changes[1], h.Changes[0] },
		func() { h.Changes = append(h.Changes, h.Changes[i]) },
		func() { h.Keys = append(h.Keys[:k], h.Keys[k+1:]...) },
		func() { h.Keys[k].From++ },
		func() { h.Keys[k].To = nil },
		func() { h.Keys[k].VKey = "" },
		func() { h.Keys[k].Roles = append(h.Keys[k].Roles, "root") },
		func() { flip(h.Keys[k].Public) },
		func() { flip(h.Keys[k].ID[:]) },
		func() { h.Retired, h.Consistency = h.Retired[:1], h.Consistency[:1] },
		func() { h.Retired, h.Consistency = h.Retired[1:], h.Consistency[1:] },
		func() { h.Retired, h.Consistency = []string{}, [][][]byte{} },
		func() { h.Retired[0], h.Retired[1] = h.Retired[1], h.Retired[0] },
		func() { h.Retired = h.Retired[:1] },
		func() { flip(h.Consistency[0][0]) },
		func() { h.Consistency[0] = h.Consistency[0][1:] },
		func() { h.Retired[0] = string(l.Sign(textOf(h.Retired[0]), "third")) },
		func() { h.Origin += "x" },
		func() { flip(h.Ledger[:]) },
		func() { flip(h.Genesis.Entry) },
		func() { flip(h.Genesis.Entry[208:]) },
		func() { h.Genesis.Index++ },
	}
	way := r.IntN(len(ways))
	ways[way]()
	return fmt.Sprint("way ", way)
}
