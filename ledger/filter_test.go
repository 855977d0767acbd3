package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

func keyOf(n uint64) *chain.Hash {
	h := chain.Hash(sha256.Sum256(binary.BigEndian.AppendUint64(nil, n)))
	return &h
}

func TestFilterForgetsNothing(t *testing.T) {
	f := newFilter()
	f.ready.Store(true)
	const held, asked = 300_000, 100_000
	for n := range uint64(held) {
		if n%3 != 0 {
			f.add(keyOf(n))
		}
	}
	needless := 0
	for n := range uint64(held) {
		switch may := f.mayHold(keyOf(n)); {
		case n%3 != 0 && !may:
			t.Fatalf("key %d was put in and is not there", n)
		case n%3 == 0 && may:
			needless++
		}
	}
	if needless > asked/100 {
		t.Fatalf("%d of %d absent keys would be looked up", needless, asked)
	}
}

func TestFilterKnowsNothingBeforeItIsLoaded(t *testing.T) {
	f := newFilter()
	if !f.mayHold(keyOf(1)) {
		t.Fatal("a filter that isn't loaded says that a key is absent")
	}
}

// TestReadingLoadsNoFilter opens a ledger to read, and one to record.
func TestReadingLoadsNoFilter(t *testing.T) {
	s := chaintest.New("filter")
	fs := vfs.NewMem()
	l, err := Create("ledger", s.Messages[0], s.Messages[1], Options{FS: fs})
	for _, reading := range []bool{true, false} {
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if l, err = Open("ledger", Options{FS: fs, Reading: reading}); err != nil {
			t.Fatal(err)
		}
		l.filter.loaded.Wait()
		if l.filter.ready.Load() == reading {
			t.Errorf("opened to read: %t; the filter is loaded: %t", reading, !reading)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
