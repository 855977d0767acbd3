package chain_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

func newLog(t testing.TB, first chain.Message) *chaintest.Log {
	t.Helper()
	l, err := chaintest.NewLog(first)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func oneByOne(int) int    { return 1 }
func allAtOnce(n int) int { return n }

func foldGolden(t testing.TB, cut func(int) int) *chaintest.Log {
	t.Helper()
	s := chaintest.Golden()
	l := newLog(t, s.Messages[0])
	if err := l.Fold(s.Messages, cut); err != nil {
		t.Fatal(err)
	}
	return l
}

// outcome is an entry in a line.
func outcome(e *chain.Entry) string {
	out := fmt.Sprintf("%s %d/%d", e.Kind, e.Place, e.Count)
	switch {
	case e.Kind == chain.KindRejection:
		name, _ := chain.Reason(e.Code)
		out += " " + name
	case e.Kind == chain.KindControl:
		out += " " + chain.ControlType(e.Code).String()
	case e.Code != 0:
		out += fmt.Sprintf(" code %d", e.Code)
	}
	if e.Ref != chain.NoRef {
		out += fmt.Sprintf(" of %d", e.Ref)
	}
	if e.Grade != chain.GradeNone {
		out += " " + e.Grade.String()
	}
	if e.Flags&chain.FlagClamped != 0 {
		out += " clamped"
	}
	return out
}

func TestFoldGivesEachMessageItsEntries(t *testing.T) {
	l := foldGolden(t, allAtOnce)
	want := strings.Split(strings.TrimSpace(`
control 0/1 genesis
control 0/1 seed
record 0/1 asserted
duplicate 0/1 code 1 of 2 asserted
conflict 0/1 of 2 asserted
conflict 0/1 of 2 asserted
record 0/1 asserted
record 0/5 asserted
rejection 1/5 empty
record 2/5 asserted
rejection 3/5 malformed_json
rejection 4/5 missing_type
record 0/1 asserted
record 0/1 verified
duplicate 0/1 code 1 of 13 verified
rejection 0/1 two_ids
record 0/1 verified
rejection 0/1 odd_subject
rejection 0/1 odd_subject
rejection 0/1 reserved_workspace
rejection 0/1 empty
rejection 0/1 no_lines
rejection 0/1 type_mismatch
rejection 0/1 control_frame
record 0/1 anonymous
control 0/1 seed
record 0/1 of 10 asserted
record 0/1 asserted clamped
record 0/1 asserted clamped
`), "\n")
	for i := range max(len(want), len(l.Entries)) {
		switch {
		case i >= len(l.Entries):
			t.Errorf("entry %d is missing, want %q", i, want[i])
		case i >= len(want):
			t.Errorf("entry %d beyond the end: %q", i, outcome(&l.Entries[i].Entry))
		case outcome(&l.Entries[i].Entry) != want[i]:
			t.Errorf("entry %d is %q, want %q", i, outcome(&l.Entries[i].Entry), want[i])
		}
	}
}

func TestFoldDoesNotDependOnBatches(t *testing.T) {
	want := foldGolden(t, oneByOne)
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		got := foldGolden(t, func(n int) int { return 1 + r.IntN(n) })
		for i := range want.Entries {
			if !reflect.DeepEqual(got.Entries[i], want.Entries[i]) {
				t.Fatalf("seed %d: entry %d differs: %s", seed, i, outcome(&got.Entries[i].Entry))
			}
		}
		if !reflect.DeepEqual(got.State, want.State) || !reflect.DeepEqual(got.Heads, want.Heads) {
			t.Fatalf("seed %d: states differ", seed)
		}
	}
}

func TestEveryEntryVerifies(t *testing.T) {
	l := foldGolden(t, allAtOnce)
	previous := chain.FirstPrevious(l.State.Ledger())
	for i := range l.Entries {
		f := &l.Entries[i]
		parsed, err := chain.ParseEntry(f.Raw)
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		if !reflect.DeepEqual(parsed, f.Entry) {
			t.Fatalf("entry %d parses to another", i)
		}
		if parsed.Previous != previous {
			t.Fatalf("entry %d does not follow", i)
		}
		previous = chain.LeafHash(f.Raw)
		var original []byte
		if f.Payload.Kept == chain.KeptAround {
			original = l.Record(f.Entry.Ref)
		}
		if got, ok := f.Payload.Commitment(l.State.Ledger(), &parsed, original); !ok || got != parsed.Commitment {
			t.Fatalf("entry %d: the commitment is not its payload's", i)
		}
		stored, err := chain.ParsePayload(f.Payload.Append(nil))
		if err != nil || stored.Subject() == "" {
			t.Fatalf("entry %d: stored payload: %v", i, err)
		}
	}
}

func TestFoldRefusesAHole(t *testing.T) {
	s := chaintest.Golden()
	l := newLog(t, s.Messages[0])
	msgs := append(append([]chain.Message{}, s.Messages[:5]...), s.Messages[6:]...)
	err := l.Fold(msgs, oneByOne)
	if want := (&chain.SequenceError{Want: 6, Got: 7}); !reflect.DeepEqual(err, error(want)) {
		t.Fatalf("got %v, want %v", err, want)
	}
	if l.State.Sequence != 5 {
		t.Fatalf("folded up to %d, want 5", l.State.Sequence)
	}
}
