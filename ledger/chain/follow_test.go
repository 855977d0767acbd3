package chain_test

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

func followed(t testing.TB, s *chaintest.Stream, cut func(int) int) *chaintest.Log {
	t.Helper()
	l := newLog(t, s.Messages[0])
	if err := l.Follow(s.Messages, cut); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestTornStream(t *testing.T) {
	l := followed(t, chaintest.Torn(), oneByOne)
	want := []string{
		"control 0/1 genesis", "control 0/1 seed", "record 0/1 asserted", "record 0/1 asserted", "record 0/1 asserted",
		"control 0/1 key", "record 0/1 asserted", "record 0/1 asserted", "control 0/1 seed", "record 0/1 asserted", "record 0/1 asserted",
		// A gap has the time of its notice, behind which time does not run back.
		"gap 0/1", "record 0/1 asserted clamped", "record 0/1 asserted clamped", "control 0/1 gap", "record 0/1 asserted",
		"control 0/1 epoch", "record 0/1 asserted", "record 0/1 asserted", "record 0/1 asserted",
		"gap 0/1", "control 0/1 key clamped", "rejection 0/1 control_signature", "control 0/1 gap", "control 0/1 trim",
		"control 0/1 epoch", "control 0/1 seed", "record 0/1 asserted", "record 0/1 asserted", "record 0/1 asserted", "record 0/1 asserted",
	}
	for i := range max(len(want), len(l.Entries)) {
		switch {
		case i >= len(want) || i >= len(l.Entries):
			t.Fatalf("%d entries, want %d", len(l.Entries), len(want))
		case outcome(&l.Entries[i].Entry) != want[i]:
			t.Errorf("entry %d is %q, want %q", i, outcome(&l.Entries[i].Entry), want[i])
		}
	}
	if open := l.State.Gaps(); len(open) > 0 {
		t.Errorf("gaps left open: %v", open)
	}
	if l.State.Epoch != 2 || l.State.Trimmed != 0 || l.State.Start.Stream != "ANNALS_2" || l.State.EpochIndex != 25 {
		t.Errorf("epoch %d, trimmed up to %d, begun by entry %d as %+v", l.State.Epoch, l.State.Trimmed, l.State.EpochIndex, l.State.Start)
	}
	for i := range l.Entries {
		e, err := chain.ParseEntry(l.Entries[i].Raw)
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		if e.Kind == chain.KindGap {
			continue
		}
		if got, ok := l.Entries[i].Payload.Commitment(l.State.Ledger(), &e, nil); !ok || got != e.Commitment {
			t.Errorf("entry %d commits to another payload", i)
		}
	}
}

// TestTornStreamDoesNotDependOnBatches is the fold's rule for what breaks a stream:
// however messages come, and wherever a replica stops and goes on, it gives the
// same ledger.
func TestTornStreamDoesNotDependOnBatches(t *testing.T) {
	s := chaintest.Torn()
	want := followed(t, s, oneByOne)
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 4))
		got := followed(t, s, func(n int) int { return 1 + r.IntN(n) })
		if !reflect.DeepEqual(got.Entries, want.Entries) || !reflect.DeepEqual(got.State, want.State) || !reflect.DeepEqual(got.Heads, want.Heads) {
			t.Fatalf("seed %d: another ledger", seed)
		}
	}
}

// TestStoredStates stops a replica after every entry, stores its state and goes on
// from what is stored.
func TestStoredStates(t *testing.T) {
	s := chaintest.Torn()
	want := followed(t, s, oneByOne)
	first, _, err := chain.OpenGenesis(&s.Messages[0])
	if err != nil {
		t.Fatal(err)
	}
	l := newLog(t, s.Messages[0])
	secrets := map[uint32][32]byte{}
	stored := 0
	resume := func() {
		secrets[l.State.Seed] = l.State.Secret
		b := l.State.Append(nil)
		again, err := first.Resume(b, func(number uint32) ([32]byte, error) { return secrets[number], nil })
		if err != nil {
			t.Fatalf("size %d: %v", l.State.Size, err)
		}
		if !reflect.DeepEqual(again, l.State) {
			t.Fatalf("size %d: %+v was stored, %+v is resumed", l.State.Size, l.State, again)
		}
		if string(again.Append(nil)) != string(b) {
			t.Fatalf("size %d: a resumed state stores other bytes", l.State.Size)
		}
		for cut := range len(b) {
			if _, err := first.Resume(b[:cut], func(uint32) (x [32]byte, _ error) { return x, nil }); err == nil {
				t.Fatalf("size %d: %d of %d bytes are taken for a state", l.State.Size, cut, len(b))
			}
		}
		l.State = again
		stored++
	}
	for i := range s.Messages {
		for {
			err := l.Follow(s.Messages[i:i+1], oneByOne)
			if err == nil {
				break
			}
			if err := l.Fill(s.Messages[i:]); err != nil {
				t.Fatal(err)
			}
			resume()
		}
		resume()
	}
	if stored != len(want.Entries) || !reflect.DeepEqual(l.Entries, want.Entries) {
		t.Errorf("stored %d times over %d entries; another ledger", stored, len(want.Entries))
	}
}

// TestRandomStreamsDoNotDependOnBatches is the same of whatever a stream may hold:
// what is published by the rules is accepted, in any batches.
func TestRandomStreamsDoNotDependOnBatches(t *testing.T) {
	epochs, gaps, rotations := 0, 0, 0
	for seed := range uint64(25) {
		s := chaintest.Random(seed, 50)
		want := followed(t, s, oneByOne)
		for i := range want.Entries {
			e := &want.Entries[i].Entry
			if e.Kind == chain.KindRejection && e.Code >= uint16(chain.CodeControlFrame) {
				t.Errorf("seed %d: entry %d is %s", seed, i, outcome(e))
			}
			switch {
			case e.Kind == chain.KindGap:
				gaps++
			case e.Kind == chain.KindControl && e.Code == uint16(chain.ControlEpoch):
				epochs++
			case e.Kind == chain.KindControl && e.Code == uint16(chain.ControlKey):
				rotations++
			}
		}
		if open := want.State.Gaps(); len(open) > 0 {
			t.Errorf("seed %d: gaps are left open: %v", seed, open)
		}
		for cut := range uint64(4) {
			r := rand.New(rand.NewPCG(seed, cut))
			got := followed(t, s, func(n int) int { return 1 + r.IntN(n) })
			if !reflect.DeepEqual(got.Entries, want.Entries) || !reflect.DeepEqual(got.State, want.State) || !reflect.DeepEqual(got.Heads, want.Heads) {
				t.Fatalf("seed %d, cut %d: another ledger", seed, cut)
			}
		}
	}
	if min(epochs, gaps, rotations) < 10 {
		t.Errorf("%d epochs, %d gaps, %d rotations are too few to show anything", epochs, gaps, rotations)
	}
}

// FuzzStoredState: what is resumed stores the bytes that it was resumed from, and
// what is no state is told.
func FuzzStoredState(f *testing.F) {
	s := chaintest.Torn()
	first, _, err := chain.OpenGenesis(&s.Messages[0])
	if err != nil {
		f.Fatal(err)
	}
	for _, n := range []int{2, 8, 14, 24, len(s.Messages)} {
		l, err := chaintest.NewLog(s.Messages[0])
		if err == nil {
			err = l.Follow(s.Messages[:n], oneByOne)
		}
		if err != nil && !errors.Is(err, chaintest.ErrHole) {
			f.Fatal(err)
		}
		f.Add(l.State.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		state, err := first.Resume(b, func(uint32) (secret [32]byte, _ error) { return secret, nil })
		if err != nil {
			return
		}
		if got := state.Append(nil); string(got) != string(b) {
			t.Errorf("%x is resumed and stores %x", b, got)
		}
		_, _ = state.Keys(), state.Gaps()
	})
}
