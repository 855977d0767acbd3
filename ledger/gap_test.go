package ledger_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// follow appends the first few of a stream's next messages, as a reader does that
// meets holes and new streams. cut says how many messages go into an append.
func follow(t testing.TB, l *ledger.Ledger, msgs []chain.Message, few int, cut func(left int) int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	next := l.Position().Sequence + 1
	for few > 0 {
		if msgs[0].Sequence > next {
			if err := l.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			head := l.Head()
			if head.State.CheckEpoch(&msgs[0], head.Root) != nil {
				next = fill(t, l, msgs)
				continue
			}
		}
		n := 1
		for most := cut(few); n < most && n < few && msgs[n].Sequence == msgs[n-1].Sequence+1; n++ {
		}
		if err := l.Append(ctx, msgs[:n]); err != nil {
			t.Fatal(err)
		}
		next, msgs, few = msgs[n-1].Sequence+1, msgs[n:], few-n
	}
	if err := l.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// fill hands the ledger the first message behind the hole that admits it, after
// those that don't, and returns the sequence after the gap.
func fill(t testing.TB, l *ledger.Ledger, later []chain.Message) uint64 {
	t.Helper()
	for _, m := range later {
		before := l.Head()
		err := l.AppendGap(t.Context(), m)
		after := l.Head()
		var refused *chain.ControlError
		switch {
		case err == nil && after.Size == before.Size+1:
			return after.State.Sequence + 1
		case !errors.As(err, &refused) || after.Size != before.Size || l.Err() != nil:
			t.Fatalf("message %d at the hole: %v, %d entries more", m.Sequence, err, after.Size-before.Size)
		}
	}
	t.Fatal("nothing admits the hole")
	return 0
}

// TestTornStreams: keys, gaps and epochs give every replica the same folder,
// however it reads and wherever it is stopped and opened again.
func TestTornStreams(t *testing.T) {
	s := chaintest.Torn()
	whole, err := chaintest.NewLog(s.Messages[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := whole.Follow(s.Messages, func(n int) int { return n }); err != nil {
		t.Fatal(err)
	}
	want, _ := whole.At(whole.State.Size)
	var first map[string]string
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 3))
		fs := vfs.NewMem()
		l := create(t, s, ledger.Options{FS: fs})
		for at := 2; at < len(s.Messages); {
			n := 1 + r.IntN(len(s.Messages)-at)
			follow(t, l, s.Messages[at:], n, func(n int) int { return 1 + r.IntN(n) })
			at += n
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if l, err = ledger.Open("ledger", ledger.Options{FS: fs}); err != nil {
				t.Fatalf("seed %d: after message %d: %v", seed, at, err)
			}
		}
		head := l.Head()
		if head.Root != want || head.Size != whole.State.Size {
			t.Errorf("seed %d: size %d, root %s; want %d, %s", seed, head.Size, head.Root, whole.State.Size, want)
		}
		if len(head.State.Keys()) != len(whole.State.Keys()) || head.State.Start != whole.State.Start {
			t.Errorf("seed %d: %d keys, epoch %+v", seed, len(head.State.Keys()), head.State.Start)
		}
		gaps(t, l)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if got := keyspace(t, fs, "ledger"); first == nil {
			first = got
		} else if diff := firstDifference(first, got); diff != "" {
			t.Errorf("seed %d: another folder: %s", seed, diff)
		}
	}
}

// gaps checks that gap entries are served as what they are, without a payload.
func gaps(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	found := 0
	for leaf, err := range l.Leaves(t.Context(), 0, l.Head().Size) {
		if err != nil {
			t.Fatal(err)
		}
		if leaf.Entry.Kind == chain.KindGap {
			if found++; leaf.Payload != nil {
				t.Errorf("a payload stands beside gap entry %d", leaf.Entry.Index)
			}
		}
	}
	if found != 2 {
		t.Errorf("%d gaps, want 2", found)
	}
}

// TestAwaitWhatIsLost: whoever waits for a message that is lost, or went with its
// stream, is told so, and is not given what stands at its sequence now.
func TestAwaitWhatIsLost(t *testing.T) {
	s := chaintest.NewKeyed("await")
	l := create(t, s, ledger.Options{})
	defer l.Close()
	head := l.Head()
	s.Next = 5 // 3 and 4 are lost
	s.Record("ws_1", "5", "1")
	s.Gap(head.Size, head.Root, 3, 4)
	type told struct {
		sequence uint64
		err      error
	}
	results := make(chan told)
	await := func(sequence uint64) {
		go func() {
			_, err := l.Await(t.Context(), sequence, 0)
			results <- told{sequence, err}
		}()
	}
	for _, sequence := range []uint64{3, 4, 5} {
		await(sequence)
	}
	follow(t, l, s.Messages[2:], 2, func(int) int { return 1 })
	for range 3 {
		got := <-results
		if lost := errors.Is(got.err, ledger.ErrNotFound); lost != (got.sequence < 5) || !lost && got.err != nil {
			t.Errorf("message %d: %v", got.sequence, got.err)
		}
		if got.sequence == 3 && !strings.Contains(got.err.Error(), "publish") {
			t.Errorf("message 3: %v", got.err)
		}
	}
	// The stream goes, with message 7 in it.
	head = l.Head()
	await(7)
	waitFor(t, l, 1)
	s.Begin(head.Size, head.Root, 1)
	follow(t, l, s.Messages[4:], 1, func(int) int { return 1 })
	if got := <-results; !errors.Is(got.err, ledger.ErrNotFound) {
		t.Errorf("message 7 of the old stream: %v", got.err)
	}
	s.Record("ws_1", "2", "1")
	follow(t, l, s.Messages[5:], 1, func(int) int { return 1 })
	receipt, err := l.Await(t.Context(), 2, 0)
	if err != nil || receipt.Entry.Epoch != 1 || receipt.Entry.Kind != chain.KindRecord {
		t.Errorf("message 2 of the new stream: %s of epoch %d, %v", receipt.Entry.Kind, receipt.Entry.Epoch, err)
	}
}

// TestAppendGapElsewhere: where the ledger stands at no hole, or is stopped, a
// notice changes nothing.
func TestAppendGapElsewhere(t *testing.T) {
	s := chaintest.NewKeyed("elsewhere")
	l := create(t, s, ledger.Options{})
	head := l.Head()
	s.Record("ws_1", "3", "1")
	s.Gap(head.Size, head.Root, 3, 3)
	follow(t, l, s.Messages[2:3], 1, func(int) int { return 1 })
	var refused *chain.ControlError
	if err := l.AppendGap(t.Context(), s.Messages[3]); !errors.As(err, &refused) || l.Head().Size != 3 {
		t.Errorf("a notice of what is held: %v, %d entries", err, l.Head().Size)
	}
	// In its turn it stops the ledger: others have lost what this one holds.
	if err := l.Append(t.Context(), s.Messages[3:]); err != nil {
		t.Fatal(err)
	}
	var held *chain.HeldError
	if err := l.Flush(t.Context()); !errors.As(err, &held) {
		t.Errorf("the same in its turn: %v", err)
	}
	if err := l.AppendGap(t.Context(), s.Messages[3]); !errors.As(err, &held) {
		t.Errorf("once stopped: %v", err)
	}
	if err := l.Close(); !errors.As(err, &held) {
		t.Errorf("closed: %v", err)
	}
}
