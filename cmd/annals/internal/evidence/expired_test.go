package evidence

import (
	"testing"
	"time"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

// TestGatherExpired packs what expired, with the rules and holds that govern it; and
// without them what an expiry took nothing of.
func TestGatherExpired(t *testing.T) {
	s := newSite(t)
	s.fill(2)
	tag := s.ledger.Tag("ws_7")
	s.stream.Retain(chain.Retention{Role: chain.RoleOperator, Workspace: tag, Types: "*", Period: 60})
	s.settle()
	rule := s.ledger.Head().Size - 1
	s.stream.Now += int64(time.Hour)
	hold := s.stream.Control
	s.stream.Hold(0, chain.Hash{}, chain.Hold{Workspace: s.ledger.Tag("other")})
	s.stream.Hold(0, chain.Hash{}, chain.Hold{Workspace: tag})
	s.stream.Release(hold + 1)
	s.settle()
	by := s.destroy(func(head *ledgerHead, e chain.Erase) {
		e.Role, e.Reason, e.Rule = chain.RoleLedger, chain.EraseExpired, rule
		s.stream.Expire(head.size, head.root, e)
	}, 5, 6, 90)
	c := s.gather(Wanted{})
	types := map[chain.ControlType]int{}
	for i := range c.Erasures {
		e, err := chain.ParseEntry(c.Erasures[i].Entry)
		if err != nil {
			t.Fatal(err)
		}
		types[chain.ControlType(e.Code)]++
	}
	if len(c.Erasures) != 4 || types[chain.ControlExpire] != 1 || types[chain.ControlRetention] != 1 || types[chain.ControlHold] != 1 || types[chain.ControlRelease] != 1 {
		t.Errorf("the pack shows %v", types)
	}
	r, err := c.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	said := false
	for _, n := range r.Notices {
		said = said || n.Notice == proof.Expired && *n.Index == by
	}
	if !said {
		t.Errorf("nothing is said of the expiry in entry %d: %+v", by, r.Notices)
	}
	if none := s.gather(Wanted{First: 150}); len(none.Erasures) > 0 {
		t.Errorf("a range of which nothing expired shows %d control entries", len(none.Erasures))
	}
}
