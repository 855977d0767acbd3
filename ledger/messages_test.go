package ledger_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// TestMessages: what a ledger was folded from can be asked of it, message by message,
// and makes another one like it.
func TestMessages(t *testing.T) {
	s := chaintest.Golden()
	l := create(t, s, ledger.Options{FS: vfs.NewMem()})
	defer l.Close() //nolint:errcheck // in memory
	appendAll(t, l, s, anyOrder(1))
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	head := l.Head()
	other := create(t, s, ledger.Options{FS: vfs.NewMem()})
	defer other.Close() //nolint:errcheck // in memory
	for next := uint64(3); next <= head.State.Sequence; {
		most := int(next) * 40 // now few, now many
		found, err := l.Messages(t.Context(), 0, next, head.State.Sequence, most)
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for i := range found {
			if size += len(found[i].Body); found[i].Sequence != next+uint64(i) || i > 0 && size > most {
				t.Fatalf("message %d of %d bytes is number %d from %d on, of at most %d bytes", found[i].Sequence, len(found[i].Body), i, next, most)
			}
		}
		if err := other.Append(t.Context(), found); err != nil {
			t.Fatal(err)
		}
		next += uint64(len(found))
	}
	if err := other.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := other.Head(); got.Root != head.Root || got.Size != head.Size {
		t.Errorf("a ledger of what was asked for has root %s at %d, want %s at %d", got.Root, got.Size, head.Root, head.Size)
	}
	if one, err := l.Messages(t.Context(), 0, 5, 5, 1<<20); err != nil || len(one) != 1 || one[0].Sequence != 5 {
		t.Errorf("one message: %v, %v", one, err)
	}
	for _, c := range []struct {
		epoch uint32
		first uint64
	}{{0, head.State.Sequence + 1}, {1, 1}, {0, 0}} {
		if found, err := l.Messages(t.Context(), c.epoch, c.first, c.first, 1<<20); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("message %d of epoch %d: %v, %v", c.first, c.epoch, found, err)
		}
	}
}

// TestMessagesOfEpochs: sequences begin anew with a stream, and a gap has no message.
func TestMessagesOfEpochs(t *testing.T) {
	s := chaintest.Torn()
	l := create(t, s, ledger.Options{FS: vfs.NewMem()})
	defer l.Close() //nolint:errcheck // in memory
	follow(t, l, s.Messages[2:], len(s.Messages)-2, func(n int) int { return n })
	epoch, gaps := uint32(0), 0
	for i, m := range s.Messages {
		if e, ok := m.Epoch(); ok {
			epoch = e.Epoch
		}
		found, err := l.Messages(t.Context(), epoch, m.Sequence, m.Sequence, 1<<20)
		if err != nil || len(found) != 1 || found[0].Digest() != m.Digest() {
			t.Fatalf("message %d of epoch %d: %v, %v", m.Sequence, epoch, found, err)
		}
		if i == 0 || s.Messages[i-1].Sequence+1 >= m.Sequence {
			continue
		}
		if _, ok := m.Epoch(); ok {
			continue
		}
		gaps++
		lost := s.Messages[i-1].Sequence + 1
		if found, err := l.Messages(t.Context(), epoch, lost, m.Sequence, 1<<20); !errors.Is(err, chain.ErrNotKept) {
			t.Errorf("a lost message: %v, %v", found, err)
		}
		// What stands before a gap is all that there is of a range with one in it.
		if found, err := l.Messages(t.Context(), epoch, lost-1, m.Sequence, 1<<20); err != nil || len(found) != 1 {
			t.Errorf("a range with a gap in it: %v, %v", found, err)
		}
	}
	if gaps == 0 {
		t.Error("the stream has no gap")
	}
}

// TestTrial: messages are folded on trial, and nothing comes of it but the head that
// they would make.
func TestTrial(t *testing.T) {
	s := chaintest.Golden()
	fs := vfs.NewMem()
	l := create(t, s, ledger.Options{FS: fs})
	half := len(s.Messages) / 2
	if err := l.Append(t.Context(), s.Messages[2:half]); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := l.Head()
	trial, err := l.Trial(t.Context(), "trial", s.Messages[half:])
	if err != nil {
		t.Fatal(err)
	}
	forged := slices.Clone(s.Messages[half:])
	forged[1].Body = append([]byte(" "), forged[1].Body...)
	other, err := l.Trial(t.Context(), "trial", forged)
	if err != nil || other.Root == trial.Root {
		t.Errorf("a message with a blank more: root %s and %s, %v", other.Root, trial.Root, err)
	}
	if _, err := l.Trial(t.Context(), "trial", s.Messages[half+1:]); !errors.As(err, new(*chain.SequenceError)) {
		t.Errorf("behind a hole: %v", err)
	}
	if now := l.Head(); now.Size != before.Size || now.Root != before.Root || l.Err() != nil {
		t.Errorf("after trials the ledger has %d entries, %v; had %d", now.Size, l.Err(), before.Size)
	}
	if names, err := fs.List(""); err != nil || slices.Contains(names, "trial") {
		t.Errorf("left behind: %v, %v", names, err)
	}
	if err := l.Append(t.Context(), s.Messages[half:]); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := l.Head(); now.Root != trial.Root || now.Size != trial.Size || now.State.Digest != trial.State.Digest {
		t.Errorf("appended they make root %s at %d, on trial %s at %d", now.Root, now.Size, trial.Root, trial.Size)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// Nor is a trace of a trial in what is stored.
	untried := vfs.NewMem()
	again := create(t, s, ledger.Options{FS: untried})
	if err := again.Append(t.Context(), s.Messages[2:]); err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(keyspace(t, fs, "ledger"), keyspace(t, untried, "ledger")) {
		t.Error("the trials left something in the store")
	}
}
