package proof_test

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
	"annals/ledger/proof/prooftest"
)

// keyed is a ledger whose checkpoint keys change: first "checkpoint", then "second",
// "third" and so on, each from an entry on.
type keyed struct {
	*prooftest.Ledger
	now     string
	retired []proof.Checkpoint
}

func newKeyed(name string) *keyed {
	l := &keyed{Ledger: prooftest.New(name), now: "checkpoint"}
	l.Record("ws_1", "a", `{}`)
	l.Fold()
	return l
}

// change puts another checkpoint key in force. A rotation is signed by the old one.
func (l *keyed) change(reason uint8, to string, more ...chain.Signer) {
	l.retired = append(l.retired, l.at(l.Size()))
	c := chain.KeyChange{Reason: reason, Removed: []chain.Hash{chaintest.Signer(l.now).Public(0).ID()}}
	c.Added = []chain.Key{chaintest.Signer(to).Public(chain.RoleCheckpoint)}
	signers := append([]chain.Signer{l.Stream.Root}, more...)
	if reason == chain.Rotation {
		signers = append(signers, chaintest.Signer(l.now))
	}
	l.ChangeKeys(c, "", signers...)
	l.now = to
	l.Record("ws_1", "after "+to, `{}`)
	l.Fold()
}

// at is the checkpoint of a size, signed by the key that signs now.
func (l *keyed) at(size uint64) proof.Checkpoint {
	c := proof.Checkpoint{Origin: l.Settled.Origin, Size: size, Root: l.Root(size)}
	c.Note = l.Sign(c.Text(), l.now)
	return c
}

func (l *keyed) entry(index, size uint64) proof.KeyEntry {
	k := proof.KeyEntry{Index: index, Entry: l.Leaves[index].Raw}
	for _, h := range l.Inclusion(index, size) {
		k.Proof = append(k.Proof, h[:])
	}
	return k
}

// history is what the ledger serves as its keys at a size.
func (l *keyed) history(t testing.TB) *proof.KeyHistory {
	t.Helper()
	size := l.Size()
	h := &proof.KeyHistory{Genesis: l.entry(0, size), Checkpoint: string(l.at(size).Note)}
	for i := range l.Leaves {
		if e := &l.Leaves[i].Entry; e.Kind == chain.KindControl && e.Code == uint16(chain.ControlKey) {
			h.Changes = append(h.Changes, l.entry(uint64(i), size))
		}
	}
	if err := h.List(); err != nil {
		t.Fatal(err)
	}
	for _, c := range l.retired {
		h.Retired = append(h.Retired, string(c.Note))
		h.Consistency = append(h.Consistency, l.consistency(t, c.Size, size))
	}
	return h
}

func (l *keyed) key(name string) string { return prooftest.VKeyOf(l.Settled.Origin, name) }

// twice is a ledger whose key was rotated, and whose next one was revoked.
func twice() *keyed {
	l := newKeyed("twice")
	l.change(chain.Rotation, "second")
	l.change(chain.Revocation, "third")
	return l
}

func TestHistory(t *testing.T) {
	l := twice()
	h := l.history(t)
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if h, err = proof.ParseKeyHistory(b); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"checkpoint", "second", "third"} {
		ring, err := h.Verify(l.key(key))
		if err != nil {
			t.Errorf("by %s: %v", key, err)
			continue
		}
		if ring.Origin() != l.Settled.Origin || ring.Ledger() != l.ID {
			t.Errorf("the ring is of %q, %s", ring.Origin(), ring.Ledger())
		}
		for _, c := range append(slices.Clone(l.retired), l.at(l.Size())) {
			if opened, err := ring.Open(c.Note); err != nil || opened.Size != c.Size || opened.Root != c.Root {
				t.Errorf("size %d by the ring of %s: %v", c.Size, key, err)
			}
		}
		for signer, sizes := range map[string][2]uint64{"checkpoint": {1, l.retired[0].Size}, "second": {l.retired[0].Size + 1, l.retired[1].Size}, "third": {l.retired[1].Size + 1, l.Size()}} {
			for size := uint64(1); size <= l.Size(); size++ {
				c := proof.Checkpoint{Origin: l.Settled.Origin, Size: size, Root: l.Root(size)}
				_, err := ring.Open(l.Sign(c.Text(), signer))
				if want := size >= sizes[0] && size <= sizes[1]; (err == nil) != want || err != nil && !errors.Is(err, chain.ErrUnknownKey) {
					t.Errorf("size %d signed by %s: %v", size, signer, err)
				}
			}
		}
	}
	if _, err := h.Verify(""); err != nil {
		t.Errorf("without a key: %v", err)
	}
	for _, stranger := range []string{"heads", "operator", "root", "nobody"} {
		if _, err := h.Verify(l.key(stranger)); proof.FindingOf(err) != proof.UnknownKey {
			t.Errorf("by %s: %v", stranger, err)
		}
	}
	if _, err := h.Verify(prooftest.VKeyOf("annals.example/other", "third")); proof.FindingOf(err) != proof.WrongLedger {
		t.Errorf("by another ledger's key: %v", err)
	}
	if last := h.Keys[len(h.Keys)-1]; last.To != nil || last.From != l.retired[1].Size+1 || !slices.Equal(last.Roles, []string{"checkpoint"}) {
		t.Errorf("the last key: %+v", last)
	}
}

// TestForgedHistories has others make histories of their own.
func TestForgedHistories(t *testing.T) {
	clone := func(h *proof.KeyHistory) *proof.KeyHistory {
		b, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		c, err := proof.ParseKeyHistory(b)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	l := twice()
	honest := l.history(t)
	// The attacker's ledger has the victim's origin, names the victim's key in its own
	// genesis, and goes on as its own root likes.
	own := func(change func(l *keyed)) *keyed {
		s := chaintest.NewKeyed("twice")
		s.Root = chaintest.Signer("attacker's root")
		s.Settled.Keys[0] = s.Root.Public(chain.RoleRoot)
		s.Messages, s.Next, s.Seeds, s.ID = nil, 1, 0, s.Settled.LedgerID()
		s.Publish(chain.ControlGenesis.Subject(), string(s.Settled.Seal(chaintest.WorkspaceKey(), s.Root)))
		s.Control = 1
		s.Seed()
		a := &keyed{Ledger: prooftest.On(s), now: "checkpoint"}
		a.Record("ws_1", "a", `{}`)
		a.Fold()
		change(a)
		return a
	}
	revoked := own(func(a *keyed) { a.change(chain.Revocation, "attacker"); a.retired = nil })
	cases := []struct {
		name string
		key  string
		h    *proof.KeyHistory
		want proof.Finding
	}{
		{"sound", "checkpoint", honest, proof.Clean},
		{"own root, revoking the victim's key", "checkpoint", revoked.history(t), proof.UnknownKey},
		{"own root, with the victim's retired checkpoint of its own tree", "checkpoint", func() *proof.KeyHistory {
			h := revoked.history(t)
			h.Retired, h.Consistency = []string{string(l.retired[0].Note)}, [][][]byte{{}}
			return h
		}(), proof.Forked},
		{"a retired checkpoint taken away", "second", func() *proof.KeyHistory {
			h := clone(honest)
			h.Retired, h.Consistency = h.Retired[:1], h.Consistency[:1]
			return h
		}(), proof.UnknownKey},
		{"a rotation without the old key", "checkpoint", breakSignature(t, l, honest, 0, l.Stream.Root), proof.UnauthorisedControl},
		{"a rotation without the root", "checkpoint", breakSignature(t, l, honest, 0, chaintest.Signer("checkpoint")), proof.UnauthorisedControl},
		{"a rotation by the attacker's root", "checkpoint", breakSignature(t, l, honest, 0, chaintest.Signer("attacker's root"), chaintest.Signer("checkpoint")), proof.UnknownKey},
		{"a revocation by the ledger's key", "checkpoint", breakSignature(t, l, honest, 1, l.Keeper), proof.UnauthorisedControl},
		{"changes in another order", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			slices.Reverse(h.Changes)
			return h
		}(), proof.UnauthorisedControl}, // what the second removes is named by the first
		{"a change replayed", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			h.Changes = append(h.Changes, h.Changes[0])
			return h
		}(), proof.MalformedEntry},
		{"a change left out", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			h.Changes = h.Changes[:1]
			return h
		}(), proof.UnknownKey},
		{"a change left out, and listed so", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			h.Changes = h.Changes[:1]
			if err := h.List(); err != nil {
				t.Fatal(err)
			}
			return h
		}(), proof.UnknownKey}, // its checkpoint is signed by the third key
		{"a checkpoint by the rotated key", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			c := l.at(l.Size())
			h.Checkpoint = string(l.Sign(c.Text(), "checkpoint"))
			return h
		}(), proof.UnknownKey},
		{"a checkpoint with a wrong signature", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			c := l.at(l.Size())
			h.Checkpoint = string(bytes.Replace(c.Note, []byte(c.Text()), []byte(func() string { d := c; d.Size--; return d.Text() }()), 1))
			return h
		}(), proof.BadSignature},
		{"a checkpoint that is none", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			h.Checkpoint = "x"
			return h
		}(), proof.Inconclusive},
		{"an entry that is not in the tree", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			h.Changes[1].Proof[0][0] ^= 1
			return h
		}(), proof.RootMismatch},
		{"a proof of odd bytes", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			h.Genesis.Proof[0] = h.Genesis.Proof[0][1:]
			return h
		}(), proof.RootMismatch},
		{"a range longer than it was", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			for i := range h.Keys {
				h.Keys[i].To = nil
			}
			return h
		}(), proof.Inconclusive},
		{"a key put in", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			h.Keys = append(h.Keys, h.Keys[0])
			return h
		}(), proof.Inconclusive},
		{"another ledger's id", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			h.Ledger[0] ^= 1
			return h
		}(), proof.WrongLedger},
		{"another origin", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			h.Origin += "x"
			return h
		}(), proof.WrongLedger},
		{"another ledger's change", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			other := newKeyed("other")
			other.change(chain.Rotation, "second")
			h.Changes[0] = other.entry(h.Changes[0].Index, other.Size())
			return h
		}(), proof.WrongLedger},
		{"another ledger's genesis", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			h.Genesis = newKeyed("other").entry(0, 3)
			return h
		}(), proof.WrongLedger},
		{"a genesis that is a change", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			h.Genesis = h.Changes[0]
			return h
		}(), proof.MalformedEntry},
		{"a change that is the genesis", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			h.Changes[0] = h.Genesis
			return h
		}(), proof.MalformedEntry},
		{"a proof of consistency that is none", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			h.Consistency[0][0][0] ^= 1
			return h
		}(), proof.Forked},
		{"one proof of consistency too few", "checkpoint", func() *proof.KeyHistory {
			h := clone(honest)
			h.Consistency = h.Consistency[:1]
			return h
		}(), proof.Inconclusive},
	}
	for _, c := range cases {
		ring, err := c.h.Verify(l.key(c.key))
		if got := proof.FindingOf(err); got != c.want || (ring != nil) != (err == nil) {
			t.Errorf("%s: %s (%v), want %s", c.name, got, err, c.want)
		}
	}
}

// breakSignature signs a change anew by other keys. Its place in the tree is then
// wrong too, which is looked at later.
func breakSignature(t testing.TB, l *keyed, h *proof.KeyHistory, which int, signers ...chain.Signer) *proof.KeyHistory {
	t.Helper()
	out := *h
	out.Changes = slices.Clone(h.Changes)
	out.Changes[which].Entry = chaintest.Restated(h.Changes[which].Entry, func(*chain.Statement) {}, signers...)
	return &out
}

// TestWeakKeysInHistories: whoever follows a history takes no key from it that
// anybody can sign for, though the root signed that it be added.
func TestWeakKeysInHistories(t *testing.T) {
	l := twice()
	h := l.history(t)
	for name, public := range chaintest.Weak() {
		weak := chain.Key{Algorithm: chain.AlgorithmEd25519, Public: public, Roles: chain.RoleCheckpoint}
		bad := *h
		bad.Changes = slices.Clone(h.Changes)
		bad.Changes[1].Entry = chaintest.Restated(h.Changes[1].Entry, func(s *chain.Statement) {
			c := chain.KeyChange{Added: []chain.Key{weak}}
			s.Body = c.Append(nil)
		}, l.Stream.Root)
		if _, err := bad.Verify(l.key("checkpoint")); proof.FindingOf(err) != proof.MalformedEntry {
			t.Errorf("%s added: %s (%v)", name, proof.FindingOf(err), err)
		}
		bad = *h
		bad.Genesis.Entry = chaintest.Restated(h.Genesis.Entry, func(s *chain.Statement) {
			g, err := chain.ParseGenesis(s.Body)
			if err != nil {
				t.Fatal(err)
			}
			g.Keys = append(g.Keys, weak)
			s.Body = g.Append(nil)
		}, l.Stream.Root)
		if _, err := bad.Verify(l.key("checkpoint")); proof.FindingOf(err) != proof.MalformedEntry {
			t.Errorf("%s in the genesis: %s (%v)", name, proof.FindingOf(err), err)
		}
	}
}

// TestAttackerWithOldKey gives an attacker the private key that was rotated away,
// and what they can make of it: nothing, without the root's.
func TestAttackerWithOldKey(t *testing.T) {
	l := newKeyed("stolen")
	l.change(chain.Rotation, "second")
	h := l.history(t)
	ring, err := h.Verify(l.key("checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	// A history of another future, signed by the old key alone.
	fork := newKeyed("stolen")
	fork.Record("ws_1", "another future", `{}`)
	fork.Fold()
	c := fork.at(fork.Size())
	if _, err := ring.Open(c.Note); !errors.Is(err, chain.ErrUnknownKey) {
		t.Errorf("a checkpoint of %d entries by the rotated key: %v", c.Size, err)
	}
	// At a size that the key was in force for, a checkpoint by it is what it always
	// was: an auditor who sees both has the proof of a fork.
	c = fork.at(l.retired[0].Size)
	if _, err := ring.Open(c.Note); err != nil {
		t.Errorf("a checkpoint within its time: %v", err)
	}
}

// TestTwoKeysInForce has two checkpoint keys, of which one signs: it doesn't speak
// for the other.
func TestTwoKeysInForce(t *testing.T) {
	l := newKeyed("two")
	l.ChangeKeys(chain.KeyChange{Added: []chain.Key{chaintest.Signer("extra").Public(chain.RoleCheckpoint)}}, "", l.Stream.Root)
	l.Record("ws_1", "more", `{}`)
	l.Fold()
	l.now = "extra"
	h := l.history(t)
	if _, err := h.Verify(l.key("extra")); err != nil {
		t.Errorf("by the one that signs: %v", err)
	}
	if _, err := h.Verify(l.key("checkpoint")); proof.FindingOf(err) != proof.UnknownKey {
		t.Errorf("by the one that doesn't: %v", err)
	}
}

// TestThresholdsOfSpans holds sizes at the edges of what they can be.
func TestThresholdsOfSpans(t *testing.T) {
	l := newKeyed("edges")
	ring, err := l.history(t).Verify("")
	if err != nil {
		t.Fatal(err)
	}
	for size, want := range map[uint64]bool{0: false, 1: true, math.MaxUint64 - 1: true} {
		c := proof.Checkpoint{Origin: l.Settled.Origin, Size: size}
		if _, err := ring.Open(l.Sign(c.Text(), "checkpoint")); (err == nil) != want {
			t.Errorf("size %d: %v", size, err)
		}
	}
}

// consistency is the RFC 6962 proof between two sizes.
func (l *keyed) consistency(t testing.TB, from, to uint64) [][]byte {
	t.Helper()
	proven, err := tlog.ProveTree(int64(to), int64(from), l)
	if err != nil {
		t.Fatal(err)
	}
	out := [][]byte{}
	for _, h := range proven {
		out = append(out, h[:])
	}
	return out
}

func FuzzKeyHistory(f *testing.F) {
	l := twice()
	b, err := json.Marshal(l.history(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"changes":[{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := proof.ParseKeyHistory(b)
		if err != nil {
			return
		}
		if ring, err := h.Verify(l.key("checkpoint")); err == nil && ring.Ledger() != l.ID {
			t.Errorf("a history of another ledger passes: %s", b)
		}
	})
}
