package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"annals/ledger/chain"
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
