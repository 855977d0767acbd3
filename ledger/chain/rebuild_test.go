package chain_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// leavesOf are a log's entries as somebody else would show them, by message: by the
// first entry's index.
func leavesOf(l *chaintest.Log) [][]chain.Leaf {
	var out [][]chain.Leaf
	for i := range l.Entries {
		f := &l.Entries[i]
		leaf := chain.Leaf{Entry: f.Entry, Raw: f.Raw, Original: f.Original}
		if f.Entry.Kind != chain.KindGap {
			payload := f.Payload.Clone()
			leaf.Payload = payload
		}
		if f.Entry.Place == 0 {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], leaf)
	}
	return out
}

// odd is a stream of what is hard to tell from its entries.
func odd() *chaintest.Stream {
	s := chaintest.New("odd")
	const record, other = `{"type":"t","actor":{"id":"u"}}`, `{"type":"u","actor":{"id":"u"},"id":"o"}`
	for i, body := range []string{
		record, record + "\n", record + "\n\n", "\n", "\n\n", "", record + "\n" + other, record + "\n" + other + "\n", "\n" + record,
		record + "\r\n" + other + "\r\n", other + "\n" + other, strings.Repeat("\n", chain.MaxLines), strings.Repeat("\n", chain.MaxLines+1), "\r",
	} {
		for _, subject := range []string{"activity.ws_1._", "activity.ws_1", "activity._x.t", "vouched.ws_1._", "annals.control.odd", "elsewhere"} {
			s.Publish(subject, body, "Content-Type", chain.NDJSON)
			s.Publish(subject, body, "Content-Type", " \t"+chain.NDJSON)
			s.Publish(subject, body, "Content-Type", chain.NDJSON, "Content-Type", chain.NDJSON)
			s.Publish(subject, body, "X-Dropped", fmt.Sprint(i))
			s.Publish(subject, body, "Content-Type", chain.NDJSON, "ce-large", strings.Repeat("x", chain.MaxHeaders))
		}
	}
	s.Seed()
	s.Publish("activity.ws_1.t", record)
	return s
}

// TestRebuild: a message that is put together from its entries makes the same
// entries, and has the same digest where it says that it has one.
func TestRebuild(t *testing.T) {
	streams := map[string]*chaintest.Stream{"golden": chaintest.Golden(), "odd": odd(), "torn": chaintest.Torn(), "events": events()}
	for seed := range uint64(8) {
		streams[fmt.Sprint("random ", seed)] = chaintest.Random(seed, 150)
	}
	for name, s := range streams {
		t.Run(name, func(t *testing.T) {
			l := newLog(t, s.Messages[0])
			if err := l.Follow(s.Messages, allAtOnce); err != nil {
				t.Fatal(err)
			}
			var again []chain.Message
			for _, leaves := range leavesOf(l) {
				m, err := chain.Rebuild(leaves)
				if leaves[0].Entry.Kind == chain.KindGap {
					if !errors.Is(err, chain.ErrNotKept) {
						t.Errorf("a gap: %v", err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				original := &s.Messages[len(again)]
				if m.Sequence != original.Sequence || m.Time != original.Time || m.Subject != original.Subject {
					t.Fatalf("message %d became %+v", original.Sequence, m)
				}
				switch {
				case !m.Rebuilt && m.Digest() != original.Digest():
					t.Errorf("message %d %q has another digest", m.Sequence, original.Body)
				case m.Rebuilt && !m.Digest().IsZero():
					t.Errorf("message %d has a digest, which can't be known", m.Sequence)
				}
				again = append(again, m)
			}
			other := newLog(t, again[0])
			if err := other.Follow(again, oneByOne); err != nil {
				t.Fatal(err)
			}
			if len(other.Entries) != len(l.Entries) {
				t.Fatalf("%d entries, want %d", len(other.Entries), len(l.Entries))
			}
			for i := range l.Entries {
				if !bytes.Equal(other.Entries[i].Raw, l.Entries[i].Raw) {
					t.Fatalf("entry %d is %s, want %s", i, outcome(&other.Entries[i].Entry), outcome(&l.Entries[i].Entry))
				}
			}
		})
	}
}

// TestRebuildRefuses: leaves that are not all of one message's make none.
func TestRebuildRefuses(t *testing.T) {
	l := foldGolden(t, allAtOnce)
	messages := leavesOf(l)
	i := slices.IndexFunc(messages, func(leaves []chain.Leaf) bool { return len(leaves) > 2 })
	whole, other := messages[i], messages[i+1]
	kept := func(change func(leaves []chain.Leaf)) []chain.Leaf {
		leaves := slices.Clone(whole)
		change(leaves)
		return leaves
	}
	for name, leaves := range map[string][]chain.Leaf{
		"none":            nil,
		"one is missing":  whole[:len(whole)-1],
		"the first is":    whole[1:],
		"out of order":    kept(func(l []chain.Leaf) { l[0], l[1] = l[1], l[0] }),
		"of two messages": kept(func(l []chain.Leaf) { l[1] = other[0] }),
		"another time":    kept(func(l []chain.Leaf) { l[1].Entry.Timestamp++ }),
		"another epoch":   kept(func(l []chain.Leaf) { l[1].Entry.Epoch++ }),
		"another message": kept(func(l []chain.Leaf) { l[1].Entry.Sequence++ }),
	} {
		if m, err := chain.Rebuild(leaves); err == nil || errors.Is(err, chain.ErrNotKept) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	for name, change := range map[string]func([]chain.Leaf){
		"erased":    func(l []chain.Leaf) { l[1].Payload = nil },
		"too large": func(l []chain.Leaf) { l[2].Payload = &chain.Payload{Kept: chain.KeptNone} },
	} {
		if m, err := chain.Rebuild(kept(change)); !errors.Is(err, chain.ErrNotKept) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}
