package chain_test

import (
	"reflect"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// TestResumeBehindAMark stores and resumes a state whose witnessed time is a mark's,
// and goes on from it: the next message's time is clamped by that mark.
func TestResumeBehindAMark(t *testing.T) {
	s := chaintest.New("resumed")
	s.Now += 5 * 24 * 3600e9
	s.Mark(2, chain.Hash{1}, chain.Hash{2})
	s.Trim(0, chain.Hash{}, 0, nil) // refused: it uses up no number
	s.Record("ws_7", "1", `{}`)
	l := newLog(t, s.Messages[0])
	if err := l.Fold(s.Messages, oneByOne); err != nil {
		t.Fatal(err)
	}
	first, _, err := chain.OpenGenesis(&s.Messages[0])
	if err != nil {
		t.Fatal(err)
	}
	again, err := first.Resume(l.State.Append(nil), func(uint32) ([32]byte, error) { return l.State.Secret, nil })
	if err != nil || !reflect.DeepEqual(again, l.State) {
		t.Fatalf("%+v was stored, %+v is resumed (%v)", l.State, again, err)
	}
	if again.Wall != chain.FloorMillis(chaintest.Start+5*24*3600e9+2_000_000) {
		t.Errorf("the witnessed time is %d", again.Wall)
	}
}
