package projections

import (
	"context"
	"errors"
	"testing"

	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// amendments is a ledger in which entry 7 of workspace a is amended by 10 and by 600,
// and by 601 of workspace b; 600 is erased.
func amendments() *leaves {
	l := newLeaves()
	record := func(workspace string, amends ...uint64) {
		s := spec{kind: chain.KindRecord, workspace: workspace, subject: "activity." + workspace + ".t", body: []byte(`{"actor":{"id":"u"},"type":"t"}`)}
		if len(amends) > 0 {
			s.amends = &amends[0]
		}
		l.add(s)
	}
	for i := range uint64(610) {
		switch i {
		case 10:
			record("a", 7)
		case 600:
			l.add(spec{kind: chain.KindRecord, workspace: "a", amends: new(uint64(7))})
		case 601:
			record("b", 7)
		case 602:
			l.add(spec{kind: chain.KindConflict, workspace: "a", ref: 8, subject: "activity.a.t", body: []byte(`{"actor":{"id":"u"},"type":"t"}`)})
		default:
			record("a")
		}
	}
	return l
}

// TestUpdated asks what was updated, at every boundary: by what was recorded, by what
// amended, never by another workspace's records, nor by conflicts, whose ref is
// something else.
func TestUpdated(t *testing.T) {
	l := amendments()
	o := small(vfs.NewMem())
	p := open(t, l.ledger, o)
	defer shut(t, p)
	check(t, p.Fold(l.all()))
	for _, c := range []struct {
		name      string
		workspace string
		from, to  uint64
		first     uint64 // the oldest that is found
		n         uint64
	}{
		{"after all of it", "a", 610, 0, 0, 0},
		{"the last", "a", 609, 0, 609, 1},
		{"after the amendment", "a", 601, 0, 602, 8},
		{"the amendment, which is erased", "a", 600, 0, 7, 10},
		{"the amendment, as it stood before", "a", 590, 600, 590, 10},
		{"the amendment, as it stood then", "a", 590, 601, 7, 12},
		{"only the first amendment", "a", 10, 11, 7, 2},
		{"the amended itself", "a", 7, 8, 7, 1},
		{"what another workspace amended", "b", 500, 0, 601, 1},
		{"what a conflict contradicts", "a", 602, 603, 602, 1},
	} {
		q := Query{Workspace: tagOf(c.workspace), UpdatedFrom: c.from, UpdatedTo: c.to, Oldest: true, Limit: 1}
		n, err := count(p, q)
		if err != nil || n != c.n {
			t.Errorf("%s: %d entries (%v), want %d", c.name, n, err, c.n)
		}
		v, err := p.View()
		check(t, err)
		page, err := v.Page(context.Background(), q)
		if err != nil || c.n > 0 && (len(page.Indexes) != 1 || page.Indexes[0] != c.first) {
			t.Errorf("%s: begins with %v (%v), want %d", c.name, page.Indexes, err, c.first)
		}
		check(t, v.Close())
	}
}

// TestUpdatedCount: a count of what was updated is not gone on with, for what is old
// is updated too.
func TestUpdatedCount(t *testing.T) {
	l := amendments()
	p := open(t, l.ledger, small(vfs.NewMem()))
	defer shut(t, p)
	q := Query{Workspace: tagOf("a"), UpdatedFrom: 590}
	for _, c := range []struct{ size, n uint64 }{{600, 10}, {610, 20}} {
		at, _ := p.Cursor()
		check(t, p.Fold(l.from(at, c.size)))
		if n, err := count(p, q); err != nil || n != c.n {
			t.Errorf("at %d: %d (%v), want %d", c.size, n, err, c.n)
		}
	}
}

// TestUpdatedBound: where more was amended than a question reads, it is refused
// rather than half answered.
func TestUpdatedBound(t *testing.T) {
	l := amendments()
	for amends := range uint64(20) {
		l.add(spec{kind: chain.KindRecord, workspace: "a", amends: &amends})
	}
	o := small(vfs.NewMem())
	o.amended = 10
	p := open(t, l.ledger, o)
	defer shut(t, p)
	check(t, p.Fold(l.all()))
	if _, err := count(p, Query{Workspace: tagOf("a"), UpdatedFrom: 600}); !errors.Is(err, ErrQuery) {
		t.Errorf("%v, want ErrQuery", err)
	}
}
