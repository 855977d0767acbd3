package chain_test

import (
	"bytes"
	"errors"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// TestHolds: what is held is neither erased nor expires, until it is released; and a
// release stands for one hold, once.
func TestHolds(t *testing.T) {
	for _, whole := range []bool{false, true} {
		s, l := kept(t, "holds")
		erase := func(indexes ...uint64) string {
			root, _ := l.At(l.State.Size)
			s.Erase(l.State.Size, root, chaintest.Select(l, "ws_7", indexes...), "")
			return next(t, l, s)
		}
		place := func() (number uint64) {
			h := chaintest.Holding(l, "ws_7", 3, 6)
			size := l.State.Size
			root, _ := l.At(size)
			if whole {
				h, size, root = chaintest.Holding(l, "ws_7"), 0, chain.Hash{}
			}
			number = s.Control
			s.Hold(size, root, h)
			if got := next(t, l, s); got != "control 0/1 hold" {
				t.Fatal(got)
			}
			return number
		}
		expect := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("whole %v, %s: %s, want %s", whole, what, got, want)
			}
		}
		first := place()
		expect("an erasure of what is held", erase(2, 3), held)
		expect("an expiry of what is held", expire(t, s, l, 11, "ws_7", 6), held)
		beside := "control 0/1 erase"
		if whole {
			beside = held
		}
		expect("what is beside it", erase(2), beside)
		if got := place(); got == first {
			t.Fatal("two holds of one number")
		}
		s.Release(first)
		expect("a release", next(t, l, s), "control 0/1 release")
		expect("held twice", erase(3), held)
		s.Release(first)
		expect("an old release, signed anew", next(t, l, s), badBody)
		again := s.Messages[len(s.Messages)-3]
		s.Publish(again.Subject, string(again.Body))
		expect("an old release, replayed", next(t, l, s), "rejection 0/1 control_number")
		if len(l.State.Holds()) != 1 || len(l.Record(3)) == 0 {
			t.Errorf("whole %v: %d holds stand, and of the record are %d bytes left", whole, len(l.State.Holds()), len(l.Record(3)))
		}
		s.Release(l.State.Holds()[0].Number)
		expect("the other release", next(t, l, s), "control 0/1 release")
		expect("an erasure after it", erase(3), "control 0/1 erase")
	}
}

// TestRefusedHolds breaks a hold's own rules, one each.
func TestRefusedHolds(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(l *chaintest.Log, h *chain.Hold, size *uint64, root *chain.Hash)
		want   string
	}{
		{"as it must be", func(*chaintest.Log, *chain.Hold, *uint64, *chain.Hash) {}, "control 0/1 hold"},
		{"a duplicate", func(l *chaintest.Log, h *chain.Hold, _ *uint64, _ *chain.Hash) { *h = chaintest.Holding(l, "ws_7", 5) }, badBody},
		{"another workspace's", func(l *chaintest.Log, h *chain.Hold, _ *uint64, _ *chain.Hash) {
			*h = chaintest.Holding(l, "ws_7", 8)
		}, badBody},
		{"beyond what its signer saw", func(l *chaintest.Log, _ *chain.Hold, size *uint64, root *chain.Hash) {
			*size = 2
			*root, _ = l.At(2)
		}, badBody},
		{"nothing", func(_ *chaintest.Log, h *chain.Hold, _ *uint64, _ *chain.Hash) { h.Ranges = []chain.Range{} }, badBody},
		{"other leaves", func(_ *chaintest.Log, h *chain.Hold, _ *uint64, _ *chain.Hash) { h.Leaves[0] ^= 1 }, "rejection 0/1 control_condition"},
		{"another history", func(_ *chaintest.Log, _ *chain.Hold, _ *uint64, root *chain.Hash) { root[0] ^= 1 }, "rejection 0/1 control_condition"},
	} {
		s, l := erasable(t, "refused holds")
		h := chaintest.Holding(l, "ws_7", 2, 3)
		size := l.State.Size
		root, _ := l.At(size)
		c.change(l, &h, &size, &root)
		s.Hold(size, root, h)
		if got := next(t, l, s); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	s, l := erasable(t, "unseen")
	s.Hold(0, chain.Hash{}, chaintest.Holding(l, "ws_7", 2))
	if got := next(t, l, s); got != badBody {
		t.Errorf("a selection that nobody saw: %s", got)
	}
}

// TestHeldNeedsToKnow: a fold that was not told what a hold covers stops.
func TestHeldNeedsToKnow(t *testing.T) {
	s, l := erasable(t, "held needs to know")
	root, _ := l.At(l.State.Size)
	s.Hold(l.State.Size, root, chaintest.Holding(l, "ws_7", 2))
	next(t, l, s)
	size := l.State.Size
	root, _ = l.At(size)
	s.Erase(size, root, chaintest.Select(l, "ws_7", 3), "")
	p := l.State.Preparer().Prepare(s.Messages[len(s.Messages)-1])
	r, err := l.State.Fold([]chain.Prepared{p}, chain.Known{
		Heads: l.Heads, Roots: map[uint64]chain.Hash{size: root}, Reached: map[uint64]uint64{size: 0},
		Selected: map[uint64]chain.Selected{3: l.Entries[3].Entry.Selected(l.Entries[3].Leaf)},
	})
	if !errors.Is(err, chain.ErrUnknown) || len(r.Entries) > 0 {
		t.Errorf("%d entries, %v", len(r.Entries), err)
	}
}

func FuzzParseHold(f *testing.F) {
	for _, h := range []chain.Hold{{Workspace: chain.Hash{7}}, {Workspace: chain.Hash{7}, Leaves: chain.Hash{1}, Ranges: []chain.Range{{From: 2, To: 4}, {From: 6, To: 7}}}} {
		f.Add(h.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := chain.ParseHold(b)
		if err != nil {
			if !errors.Is(err, chain.ErrMalformed) {
				t.Errorf("%x: %v", b, err)
			}
		} else if !bytes.Equal(h.Append(nil), b) {
			t.Errorf("%x parses and prints as %x", b, h.Append(nil))
		}
	})
}
