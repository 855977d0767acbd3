package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// reading makes a ledger by hand one that Check reads.
func (l *leaves) reading(_ context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
	return l.from(from, to)
}

// checked holds the live projections in a folder against a ledger.
func checked(t *testing.T, l *leaves, o Options) ([]Mismatch, uint64) {
	t.Helper()
	o.flush = 1 << 10 // cut apart otherwise than what is checked
	c, err := Check(t.Context(), "projections", l.ledger, l.reading, l.size(), CheckOptions{Options: o, Temp: "anew"})
	check(t, err)
	if exists(o.FS, "anew") {
		t.Fatal("the temporary folder is left behind")
	}
	return c.Found, c.Size
}

// TestCheckClean checks what was folded in batches as they come, over restarts and
// rebuilds, behind the ledger and level with it: no false alarm.
func TestCheckClean(t *testing.T) {
	ledgers := uint64(50)
	if testing.Short() { // the race detector's run
		ledgers = 10
	}
	for seed := range ledgers {
		rng := rand.New(rand.NewPCG(seed, 32))
		m, fs := newModel(), vfs.NewMem()
		m.grow(rng, 1+rng.IntN(700), &short)
		o := small(fs)
		o.flush = 1 << rng.IntN(9)
		open := func() *Live {
			l, err := OpenLive("projections", m.ledger, o)
			check(t, err)
			return l
		}
		l := open()
		to := m.size()
		if seed%4 == 0 {
			to = rng.Uint64N(to + 1)
		}
		for at := uint64(0); at < to; {
			end := min(to, at+1+rng.Uint64N(200))
			check(t, l.Fold(m.from(at, end)))
			at = end
			switch rng.IntN(8) {
			case 0, 1:
				check(t, l.Close())
				l = open()
			case 2:
				if at == m.size() {
					check(t, l.Rebuild(t.Context(), m.reading, m.size, nil))
				}
			}
		}
		check(t, l.Close())
		found, size := checked(t, m.leaves, o)
		for _, f := range found {
			t.Errorf("ledger %d: %s", seed, &f)
		}
		if size != to {
			t.Errorf("ledger %d: %d entries were checked of %d that are folded", seed, size, to)
		}
	}
}

// TestCheckEras checks a ledger of several eras, of which one at a time is kept, and
// finds a lie in each.
func TestCheckEras(t *testing.T) {
	g, fs := newGrowing(2*blockSize+5000), vfs.NewMem()
	o := Options{FS: fs, eraBits: 1}
	l := openLive(t, g, o)
	g.follow(t, l)
	check(t, l.Close())
	told := uint64(0)
	look := func() []Mismatch {
		c, err := Check(t.Context(), "projections", g.ledger, g.read, g.size(), CheckOptions{
			Options: o, Temp: "anew", Progress: func(done, _ uint64) { told = done },
		})
		check(t, err)
		return c.Found
	}
	if found := look(); len(found) != 0 || told != g.size() {
		t.Fatalf("%v, told of %d", found, told)
	}
	for _, index := range []uint64{3, blockSize + 3, 2*blockSize + 3, 2*blockSize + 4999} {
		workspace := fmt.Sprint("ws", index%3)
		tamper(t, fs, o, func(s *spoiler) { s.post(index, workspace, FieldKind, "record", false) })
		found := look()
		tamper(t, fs, o, func(s *spoiler) { s.post(index, workspace, FieldKind, "record", true) })
		if len(found) != 1 || found[0].Index == nil || *found[0].Index != index {
			t.Errorf("entry %d taken out of a list: %v", index, found)
		}
	}
	if found := look(); len(found) != 0 {
		t.Errorf("put back: %v", found)
	}
}

// TestCheckRoom checks eras full of names, and weighs what is on the disk when each
// begins: the rows of those before are gone.
func TestCheckRoom(t *testing.T) {
	l, fs := newLeaves(), vfs.NewMem()
	for i := range 6 * blockSize {
		body := fmt.Appendf(nil, `{"type":"t","actor":{"type":"user","id":"%s"}}`, tagOf(fmt.Sprint(i)))
		l.add(spec{kind: chain.KindRecord, workspace: "w", subject: "activity.w._", body: body})
	}
	o := Options{FS: fs, eraBits: 1}
	p, err := OpenLive("projections", l.ledger, o)
	check(t, err)
	check(t, errors.Join(p.Fold(l.all()), p.Close()))
	o = o.withDefaults()
	rows, err := openStored("projections", l.ledger, &o)
	check(t, err)
	anew, err := Open("anew", l.ledger, o)
	check(t, err)
	tables := func(db *pebble.DB) uint64 { // files that wait for their deletion are none
		m := db.Metrics()
		return uint64(m.Total().TablesSize) + m.Table.BackingTableSize
	}
	// What Pebble does beside may still be under way when an era begins.
	all, most := tables(rows.db), uint64(0)
	weigh := func() (n uint64) {
		for late := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			if n = tables(anew.db); n <= all/10 || time.Now().After(late) {
				return n
			}
		}
	}
	c := &checking{
		ctx: t.Context(), stored: rows, anew: anew, of: l.size(), layout: layout{o.eraBits}, found: map[what]*Mismatch{},
		leaves: func(_ context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
			most = max(most, weigh())
			return l.from(from, to)
		},
	}
	check(t, c.run())
	if len(c.found) != 0 || most > all/10 {
		t.Errorf("%d bytes at the beginning of an era, where all rows take %d; %v", most, all, c.list())
	}
	check(t, errors.Join(anew.Close(), rows.close()))
}

// TestCheckNext checks what the next start serves from: a rebuild that was interrupted
// where it is further than what it was to replace.
func TestCheckNext(t *testing.T) {
	g, fs := newGrowing(3000), vfs.NewMem()
	interrupted(t, fs, g, 2000)
	lie := func(s *spoiler) { s.post(7, "ws1", FieldUser, "u0", false) }
	if found, size := checked(t, g.leaves, small(fs)); len(found) != 0 || size != 3000 {
		t.Errorf("%v of %d entries", found, size)
	}
	tamper(t, fs, small(fs), lie)
	if found, size := checked(t, g.leaves, small(fs)); len(found) != 1 || size != 3000 {
		t.Errorf("a lie in what serves: %v of %d entries", found, size)
	}
	put(t, fs, "projections/1/"+staleFile, "bad\n")
	if found, size := checked(t, g.leaves, small(fs)); len(found) != 0 || size == 0 || size == 3000 {
		t.Errorf("damaged, and it is not what will serve: %v of %d entries", found, size)
	}
}

// TestCheckUnfit looks at folders that can't be compared, or needn't be: absent ones,
// damaged ones, those of others. None is changed by it.
func TestCheckUnfit(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, fs *vfs.MemFS)
		err   error
		size  uint64
	}{
		"OK":           {size: 300},
		"absent":       {err: ErrAbsent, spoil: func(t *testing.T, fs *vfs.MemFS) { check(t, fs.RemoveAll("projections")) }},
		"empty folder": {err: ErrAbsent, spoil: func(t *testing.T, fs *vfs.MemFS) { check(t, fs.RemoveAll("projections/1")) }},
		"foreign":      {err: ErrForeign, spoil: func(t *testing.T, fs *vfs.MemFS) { check(t, fs.Remove("projections/"+markFile)) }},
		"condemned":    {err: ErrDamaged, spoil: func(t *testing.T, fs *vfs.MemFS) { put(t, fs, "projections/1/"+staleFile, "bad\n") }},
		"not named":    {size: 300, spoil: func(t *testing.T, fs *vfs.MemFS) { check(t, fs.Remove("projections/"+servingFile)) }},
		"bad tables": {err: ErrDamaged, spoil: func(t *testing.T, fs *vfs.MemFS) {
			names, err := fs.List("projections/1")
			check(t, err)
			for _, n := range names {
				if strings.HasSuffix(n, ".sst") {
					flip(t, fs, "projections/1/"+n)
				}
			}
		}},
		"other version": {err: ErrDamaged, spoil: func(t *testing.T, fs *vfs.MemFS) {
			tamper(t, fs, small(fs), func(s *spoiler) { s.head(func(h *head) { h.schema++ }) })
		}},
		"other ledger": {err: ErrDamaged, spoil: func(t *testing.T, fs *vfs.MemFS) {
			tamper(t, fs, small(fs), func(s *spoiler) { s.head(func(h *head) { h.lineage[0]++ }) })
		}},
		"rows but no head": {err: ErrDamaged, spoil: func(t *testing.T, fs *vfs.MemFS) {
			tamper(t, fs, small(fs), func(s *spoiler) { s.delete(headKey) })
		}},
		"nothing folded": {size: 0, spoil: func(t *testing.T, fs *vfs.MemFS) {
			tamper(t, fs, small(fs), func(s *spoiler) { check(t, s.DeleteRange([]byte{0}, []byte{0xff}, pebble.NoSync)) })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			m := newModel()
			m.grow(rand.New(rand.NewPCG(3, 32)), 300, &short)
			l, err := OpenLive("projections", m.ledger, small(fs))
			check(t, err)
			check(t, errors.Join(l.Fold(m.all()), l.Close()))
			if c.spoil != nil {
				c.spoil(t, fs)
			}
			before := fs.String()
			checked, err := Check(t.Context(), "projections", m.ledger, m.reading, m.size(), CheckOptions{Options: small(fs), Temp: "anew"})
			if !errors.Is(err, c.err) || len(checked.Found) != 0 || checked.Size != c.size {
				t.Errorf("%v of %d entries, %v", checked.Found, checked.Size, err)
			}
			if after := fs.String(); after != before {
				t.Errorf("it changed the folder\n%s\n%s", before, after)
			}
		})
	}
}

// TestCheckEnds ends with what hinders it: the folder in use, the ledger that can't
// be read, ctx, a folder that is in the way.
func TestCheckEnds(t *testing.T) {
	g, fs := newGrowing(3000), vfs.NewMem()
	l := openLive(t, g, small(fs))
	g.follow(t, l)
	run := func(ctx context.Context, leaves Leaves, temp string) error {
		c, err := Check(ctx, "projections", g.ledger, leaves, g.size(), CheckOptions{Options: small(fs), Temp: temp})
		if len(c.Found) != 0 || temp == "anew" && exists(fs, temp) {
			t.Errorf("%v, temporary folder there: %t", c.Found, exists(fs, temp))
		}
		return err
	}
	if err := run(t.Context(), g.read, "anew"); !errors.Is(err, ErrInUse) {
		t.Errorf("in use: %v", err)
	}
	check(t, l.Close())
	broken := errors.New("the ledger can't be read")
	if err := run(t.Context(), func(context.Context, uint64, uint64) iter.Seq2[chain.Leaf, error] {
		return func(yield func(chain.Leaf, error) bool) { yield(chain.Leaf{}, broken) }
	}, "anew"); !errors.Is(err, broken) {
		t.Errorf("unreadable: %v", err)
	}
	if err := run(t.Context(), func(ctx context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
		return g.read(ctx, from, to-1)
	}, "anew"); err == nil || !strings.Contains(err.Error(), "gave 2999") {
		t.Errorf("short: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	g.gate = func(index uint64) {
		if index == 2000 {
			cancel()
		}
	}
	if err := run(ctx, g.read, "anew"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	g.gate = nil
	if err := run(t.Context(), g.read, "projections"); err == nil || !exists(fs, "projections/1") {
		t.Errorf("a folder that is there was taken: %v", err)
	}
	check(t, run(t.Context(), g.read, "anew"))
}
