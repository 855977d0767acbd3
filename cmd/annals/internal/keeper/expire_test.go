package keeper

import (
	"fmt"
	"testing"
	"time"

	"annals/ingest"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// publish publishes a control message and waits until it is folded.
func (s *site) publish(t chain.ControlType, body []byte) {
	s.t.Helper()
	sequence, err := ingest.PublishControl(s.t.Context(), s.nc, t.Subject(), body, s.ledger.Head().State.ControlSequence)
	if err != nil {
		s.t.Fatal(err)
	}
	s.wait(sequence)
}

// retain publishes a rule for ws_7's records.
func (s *site) retain(period uint64) {
	s.t.Helper()
	r := chain.Retention{Role: chain.RoleOperator, Workspace: s.ledger.Tag("ws_7"), Types: "*", Period: period}
	s.publish(chain.ControlRetention, chain.SealRetention(s.ledger.ID(), s.ledger.Head().State.Control, r, "", chaintest.Signer("operator")))
}

// gone lists the records whose payloads are gone.
func (s *site) gone() (gone []uint64) {
	s.t.Helper()
	for leaf, err := range s.ledger.Leaves(s.t.Context(), 0, s.ledger.Head().Size) {
		if err != nil {
			s.t.Fatal(err)
		}
		if leaf.Entry.Kind == chain.KindRecord && leaf.Payload == nil {
			gone = append(gone, leaf.Entry.Index)
		}
	}
	return gone
}

// TestExpires: what a rule lets go expires, what is held does not until it is
// released, and nothing is published where nothing is due.
func TestExpires(t *testing.T) {
	s := newSite(t)
	s.now = time.Now()
	k := s.keeper()
	if err := k.Mark(t.Context()); err != nil { // the stream's time counts from here on
		t.Fatal(err)
	}
	s.fill(3) // entries 3 to 5
	k.o.ExpireEvery, k.o.late = time.Nanosecond, time.Nanosecond
	expire := func(want string) {
		t.Helper()
		s.now = time.Now()
		if err := k.expire(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(s.gone()); got != want {
			t.Errorf("the payloads of %s are gone, want %s: %s", got, want, s.kinds(0))
		}
	}
	expire("[]")
	s.retain(24 * 60 * 60)
	expire("[]")
	head := s.ledger.Head()
	number := head.State.Control
	var leaf chain.Hash
	if err := s.ledger.GetMany([]uint64{4}, func(_ *chain.Leaf, h chain.Hash) error { leaf = h; return nil }); err != nil {
		t.Fatal(err)
	}
	h := chain.Hold{Workspace: s.ledger.Tag("ws_7"), Ranges: []chain.Range{{From: 4, To: 5}}}
	h.Leaves, _ = chain.SelectionHash(s.ledger.ID(), h.Workspace, h.Ranges, func(uint64) (chain.Hash, error) { return leaf, nil })
	operator := chaintest.Signer("operator")
	s.publish(chain.ControlHold, chain.SealHold(s.ledger.ID(), number, head.Size, head.Root, h, "", operator))
	s.retain(1)
	for time.Since(time.UnixMilli(s.ledger.Head().State.Millis)) <= time.Second {
		time.Sleep(10 * time.Millisecond) // of the stream's own clock, which nothing turns
	}
	expire("[3 5]")
	size := s.ledger.Head().Size
	expire("[3 5]")
	if now := s.ledger.Head().Size; now != size {
		t.Errorf("where nothing is due it published %s", s.kinds(size))
	}
	s.publish(chain.ControlRelease, chain.SealRelease(s.ledger.ID(), s.ledger.Head().State.Control, number, "", operator))
	expire("[3 4 5]")
	if kinds := s.kinds(0); fmt.Sprint(kinds[len(kinds)-2:]) != "[control 11 control 8]" {
		t.Errorf("%s", kinds)
	}
	k.o.ExpireEvery = 0
	s.retain(2)
	size = s.ledger.Head().Size
	expire("[3 4 5]")
	if s.ledger.Head().Size != size {
		t.Error("it looks, though it is never to look")
	}
}
