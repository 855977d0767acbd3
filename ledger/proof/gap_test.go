package proof

import (
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

func TestForgedGaps(t *testing.T) {
	m := torn()
	operator, second := chaintest.Signer("operator"), chaintest.Signer("second operator")
	body := func(change func(*chain.GapNotice)) func(*chain.Statement) {
		return func(s *chain.Statement) {
			n, err := chain.ParseGapNotice(s.Body)
			if err != nil {
				panic(err)
			}
			change(&n)
			s.Body = n.Append(nil)
		}
	}
	// entry changes what a gap's entry says.
	entry := func(at int, change func(e *chain.Entry, g *chain.Gap)) *memory {
		return m.forge(at, func(e *chain.Entry) {
			g, err := e.Gap()
			if err != nil {
				panic(err)
			}
			change(e, &g)
			e.Tail = g.Append([]byte{0x80, 3, 0, 28})
		})
	}
	// without takes the notice's entry away, as one who holds no operator's key must.
	rejected := func(at int) *memory {
		return m.forge(at, func(e *chain.Entry) {
			e.Kind, e.Code, e.Tail = chain.KindRejection, uint16(chain.CodeControlNumber), nil
		})
	}
	for _, c := range []struct {
		name string
		bad  *memory
		at   int
		want Finding
	}{
		{"the same", m.restate(tornNotice, func(*chain.Statement) {}, nil, operator), -1, Clean},
		{"words why", m.restate(tornNotice, func(*chain.Statement) {}, []byte("a disk"), operator), -1, Clean},
		{"a notice of more", m.restate(tornNotice, body(func(n *chain.GapNotice) { n.Last++ }), nil, operator), tornNotice, UnauthorisedControl},
		{"a notice of less", m.restate(tornNotice, body(func(n *chain.GapNotice) { n.Last-- }), nil, operator), tornNotice, UnauthorisedControl},
		{"a notice of another epoch", m.restate(tornNotice, body(func(n *chain.GapNotice) { n.Epoch++ }), nil, operator), tornNotice, UnauthorisedControl},
		{"a notice of nothing", m.restate(tornNotice, body(func(n *chain.GapNotice) { n.Last = n.First - 1 }), nil, operator), tornNotice, MalformedEntry},
		{"a notice without a condition", m.restate(tornNotice, func(s *chain.Statement) { s.Size, s.Root = 0, chain.Hash{} }, nil, operator), tornNotice, UnauthorisedControl},
		{"a notice of another place", m.restate(tornNotice, func(s *chain.Statement) { s.Size-- }, nil, operator), tornNotice, UnauthorisedControl},
		{"a notice of another root", m.restate(tornNotice, func(s *chain.Statement) { s.Root[0] ^= 1 }, nil, operator), tornNotice, UnauthorisedControl},
		{"a notice by the ledger's key", m.restate(tornNotice, func(*chain.Statement) {}, nil, chaintest.Signer("fresh")), tornNotice, UnauthorisedControl},
		{"a notice for the second time", m.restate(tornSecond, func(s *chain.Statement) {
			s.Size = tornGap
			s.Root = rootOf(leavesOf(m, tornGap))
			s.Body = (&chain.GapNotice{First: 11, Last: 12}).Append(nil)
		}, nil, second), tornSecond, UnauthorisedControl},
		{"no notice where it should stand", rejected(tornNotice), tornGap, UnauthorisedControl},
		{"no notice at all", rejected(tornSecond), tornSecondGap, UnauthorisedControl},
		{"an entry of more", entry(tornGap, func(_ *chain.Entry, g *chain.Gap) { g.Last++ }), tornGap + 1, Reordered},
		{"an entry of less", entry(tornGap, func(_ *chain.Entry, g *chain.Gap) { g.Last-- }), tornGap + 1, Hole},
		{"an entry of another epoch", entry(tornGap, func(_ *chain.Entry, g *chain.Gap) { g.Epoch++ }), tornGap, MalformedEntry},
		{"an entry of another time", entry(tornGap, func(e *chain.Entry, _ *chain.Gap) { e.Timestamp++ }), tornGap, MalformedEntry},
		{"an entry before the notice", entry(tornGap, func(_ *chain.Entry, g *chain.Gap) { g.Message = g.Last }), tornGap, MalformedEntry},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, chunk := range []int{2, 64} {
				r := audit(t, m.resign(c.bad), Options{Chunk: chunk})
				got := -1
				if r.FirstBad != nil {
					got = int(*r.FirstBad)
				}
				found := false
				for _, f := range r.Findings {
					found = found || f.Finding == c.want && f.Index != nil && int(*f.Index) == c.at
				}
				if c.want == Clean && r.Verdict != Clean || c.want != Clean && !found {
					t.Errorf("%s at %d, want %s at %d: %v", r.Verdict, got, c.want, c.at, details(r))
				}
			}
		})
	}
}
