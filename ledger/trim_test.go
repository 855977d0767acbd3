package ledger_test

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// TestTrimIsFoldedByAll: a trim speaks of a size that a replica which lags, or
// reads everything anew, reaches in the middle of an append. Each gives it the
// same entry, and remembers it when it is opened again; a replica of another
// history rejects it.
func TestTrimIsFoldedByAll(t *testing.T) {
	s := chaintest.New("trims")
	for i := range 50 {
		s.Record(fmt.Sprint("ws_", i%3), fmt.Sprint(i), `1`)
	}
	first := create(t, s, ledger.Options{})
	defer first.Close()
	appendAll(t, first, s, anyOrder(1))
	at := first.Head()
	for i := range 20 {
		s.Record("ws_1", fmt.Sprint("more", i), `1`)
	}
	s.Trim(at.Size, at.Root, 40, map[string]uint64{"a": at.State.Sequence, "b": at.State.Sequence + 3})
	s.Record("ws_1", "last", `1`)
	appendAll(t, first, s, anyOrder(2))
	want := first.Head()
	if want.State.Trimmed != 40 {
		t.Fatalf("trimmed up to %d, want 40", want.State.Trimmed)
	}
	for seed := range uint64(8) {
		fs := vfs.NewMem()
		l := create(t, s, ledger.Options{FS: fs})
		appendAll(t, l, s, anyOrder(seed))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l, err := ledger.Open("ledger", ledger.Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Head(); got.Root != want.Root || got.State.Trimmed != 40 {
			t.Errorf("order %d: root %s, trimmed up to %d; want %s, up to 40", seed, got.Root, got.State.Trimmed, want.Root)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}

	// The same messages but one: the root at that size is another.
	other := *s
	other.Messages = append([]chain.Message{}, s.Messages...)
	other.Messages[20].Time++
	l := create(t, &other, ledger.Options{})
	defer l.Close()
	appendAll(t, l, &other, anyOrder(1))
	if got := l.Head(); got.State.Trimmed != 0 {
		t.Errorf("another history is trimmed up to %d", got.State.Trimmed)
	}
	leaf, _, err := l.Get(want.Size - 2)
	if err != nil || leaf.Entry.Kind != chain.KindRejection || leaf.Entry.Code != uint16(chain.CodeControlCondition) {
		t.Errorf("another history has a %s with code %d (%v), want its rejection", leaf.Entry.Kind, leaf.Entry.Code, err)
	}
}
