package projections

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// folded makes a small ledger and projections of it, closed.
func folded(t *testing.T, fs vfs.FS) *model {
	t.Helper()
	rng := rand.New(rand.NewPCG(2, 2))
	m := newModel()
	m.grow(rng, 300, &short)
	p := open(t, m.ledger, Options{FS: fs})
	if err := p.Fold(m.all()); err != nil {
		t.Fatal(err)
	}
	shut(t, p)
	return m
}

// TestStartsAgain opens folders whose rows are of no use: they are emptied,
// loudly, and the fold gives what it gave before.
func TestStartsAgain(t *testing.T) {
	files := func(t *testing.T, fs *vfs.MemFS, suffix string, spoil func(name string)) {
		t.Helper()
		names, err := fs.List("projections")
		if err != nil {
			t.Fatal(err)
		}
		names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, suffix) && !strings.HasPrefix(n, suffix) })
		if len(names) == 0 {
			t.Fatalf("no file %s", suffix)
		}
		for _, n := range names {
			spoil("projections/" + n)
		}
	}
	for name, c := range map[string]struct {
		spoil  func(t *testing.T, fs *vfs.MemFS)
		schema uint32
		ledger string
		why    string
	}{
		"version":   {schema: schema + 1, why: "version"},
		"lineage":   {ledger: "another ledger", why: "ledger"},
		"no tables": {why: "open", spoil: func(t *testing.T, fs *vfs.MemFS) { files(t, fs, ".sst", func(n string) { check(t, fs.Remove(n)) }) }},
		"bad tables": {why: "head can't be read", spoil: func(t *testing.T, fs *vfs.MemFS) {
			files(t, fs, ".sst", func(n string) { flip(t, fs, n) })
		}},
		"bad manifest": {why: "open", spoil: func(t *testing.T, fs *vfs.MemFS) {
			files(t, fs, "MANIFEST", func(n string) { flip(t, fs, n) })
		}},
		"half deleted": {why: "half deleted", spoil: func(t *testing.T, fs *vfs.MemFS) {
			f, err := fs.Create("projections/"+staleFile, vfs.WriteCategoryUnspecified)
			check(t, err)
			check(t, f.Close())
		}},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			m := folded(t, fs)
			if c.spoil != nil {
				c.spoil(t, fs)
			}
			if c.ledger != "" {
				m = &model{leaves: newLeavesOf(c.ledger)}
				m.grow(rand.New(rand.NewPCG(1, 1)), 200, &short)
			}
			var log bytes.Buffer
			o := Options{FS: fs, schema: c.schema, Logger: slog.New(slog.NewTextHandler(&log, nil))}
			p := open(t, m.ledger, o)
			size, last := p.Cursor()
			if size != 0 || last != chain.FirstPrevious(m.ledger) || !strings.Contains(p.Restarted(), c.why) {
				t.Fatalf("opened at %d %s: %q, want it to speak of %q", size, last, p.Restarted(), c.why)
			}
			if !strings.Contains(log.String(), "level=WARN") {
				t.Errorf("the log says %q", log.String())
			}
			check(t, p.Fold(m.all()))
			shut(t, p)
			p = open(t, m.ledger, o)
			defer shut(t, p)
			if size, _ := p.Cursor(); size != m.size() || p.Restarted() != "" {
				t.Fatalf("opened again at %d of %d: %q", size, m.size(), p.Restarted())
			}
			v, err := p.View()
			check(t, err)
			defer v.Close()
			check(t, m.check(v, rand.New(rand.NewPCG(9, 9)), &short, 100))
		})
	}
}

// TestDamage reads rows that were damaged behind the store's back: the answer is
// an error, never a wrong page, and the next Open starts again.
func TestDamage(t *testing.T) {
	fs := vfs.NewMem()
	m := folded(t, fs)
	p := open(t, m.ledger, Options{FS: fs})
	key := appendEra(nil, 0, inEraPostings)
	key = append(appendList(key, 0, FieldKind), append(appendValue(nil, "record"), 0)...)
	check(t, p.db.Set(key, []byte{1}, pebble.NoSync))
	check(t, p.show(p.written))
	_, err := count(p, Query{Workspace: m.facts[0].tag})
	if !errors.Is(err, ErrDamaged) {
		t.Fatalf("a count of damaged rows: %v", err)
	}
	shut(t, p)
	p = open(t, m.ledger, Options{FS: fs})
	defer shut(t, p)
	if size, _ := p.Cursor(); size != 0 || p.Restarted() == "" {
		t.Fatalf("opened at %d: %q", size, p.Restarted())
	}
}

// TestDamagedNumbers opens a store whose workspaces' numbers can't be: it starts
// again.
func TestDamagedNumbers(t *testing.T) {
	fs := vfs.NewMem()
	m := folded(t, fs)
	p := open(t, m.ledger, Options{FS: fs})
	tag := tagOf("nobody's")
	check(t, p.db.Set(workspaceKey(&tag), []byte{0, 0, 0, 0}, pebble.NoSync))
	shut(t, p)
	p = open(t, m.ledger, Options{FS: fs})
	defer shut(t, p)
	if size, _ := p.Cursor(); size != 0 || !strings.Contains(p.Restarted(), "workspaces") {
		t.Fatalf("opened at %d: %q", size, p.Restarted())
	}
	check(t, p.Fold(m.all()))
}

// TestForeign refuses a folder that isn't ours, and leaves it alone.
func TestForeign(t *testing.T) {
	fs := vfs.NewMem()
	check(t, fs.MkdirAll("projections", 0o755))
	f, err := fs.Create("projections/letters", vfs.WriteCategoryUnspecified)
	check(t, err)
	check(t, f.Close())
	if _, err := Open("projections", newLeaves().ledger, Options{FS: fs}); !errors.Is(err, ErrForeign) {
		t.Fatal(err)
	}
	if names, _ := fs.List("projections"); !slices.Equal(names, []string{"letters"}) {
		t.Errorf("the folder holds %v", names)
	}
}

// TestInUse refuses a folder that is open, on a real disk.
func TestInUse(t *testing.T) {
	dir, id := t.TempDir()+"/a/b", newLeaves().ledger
	p, err := Open(dir, id, Options{})
	check(t, err)
	if _, err := Open(dir, id, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	shut(t, p)
	shut(t, p)
	if _, err := p.View(); !errors.Is(err, ErrClosed) {
		t.Errorf("a view of closed projections: %v", err)
	}
	if err := p.Fold(newLeaves().all()); !errors.Is(err, ErrClosed) {
		t.Errorf("folded after Close: %v", err)
	}
	p, err = Open(dir, id, Options{})
	check(t, err)
	shut(t, p)
}

// flip flips one bit in each 64 bytes of a file.
func flip(t *testing.T, fs vfs.FS, name string) {
	t.Helper()
	f, err := fs.Open(name)
	check(t, err)
	b, err := io.ReadAll(f)
	check(t, errors.Join(err, f.Close()))
	for i := 32; i < len(b); i += 64 {
		b[i] ^= 0x10
	}
	f, err = fs.Create(name, vfs.WriteCategoryUnspecified)
	check(t, err)
	_, err = f.Write(b)
	check(t, errors.Join(err, f.Close()))
}

// count asks a view of this moment.
func count(p *Projections, q Query) (uint64, error) {
	v, err := p.View()
	if err != nil {
		return 0, err
	}
	n, err := v.Count(context.Background(), q)
	return n.N, errors.Join(err, v.Close())
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
