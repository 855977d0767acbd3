package keeper

import (
	"testing"

	"annals/ledger/chain"
)

// TestHeadsOfMarks publishes marks and asks which row of a workspace each commits
// to: only of those whose entry is below what is asked for.
func TestHeadsOfMarks(t *testing.T) {
	s := newSite(t)
	k := s.keeper()
	maps := k.o.Heads
	if _, _, ok := maps.Last(s.ledger, 100); ok {
		t.Error("there is a map before any mark")
	}
	system := chain.Hash{}
	sizes := []uint64{} // of the ledger behind each mark
	for n := range uint64(5) {
		if err := k.Mark(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.wait(3 + n)
		sizes = append(sizes, s.ledger.Head().Size)
		index, heads, ok := maps.Last(s.ledger, sizes[n])
		if !ok || index != sizes[n]-1 {
			t.Fatalf("mark %d: its entry is %d, %v", n, index, ok)
		}
		leaf, _, err := s.ledger.Get(index)
		if err != nil {
			t.Fatal(err)
		}
		c, err := leaf.Entry.Control()
		if err != nil {
			t.Fatal(err)
		}
		m, err := chain.ParseMark(c.Statement.Body)
		if err != nil || m.Heads != heads.Root() {
			t.Fatalf("mark %d commits to %s, the map is %s: %v", n, m.Heads, heads.Root(), err)
		}
		row, ok := heads.Row(system)
		if !ok || row.Head.Count != index || row.Check(m.Heads) != nil {
			t.Fatalf("mark %d: the row of the system is %+v", n, row)
		}
		if n == 0 {
			continue
		}
		if index, _, ok := maps.Last(s.ledger, sizes[n]-1); !ok || index != sizes[n-1]-1 {
			t.Fatalf("below mark %d the last one is %d, %v", n, index, ok)
		}
	}
	if _, _, ok := maps.Last(s.ledger, sizes[0]); ok || len(maps.kept) != mostMaps {
		t.Errorf("%d maps are kept", len(maps.kept))
	}
}
