package projections

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// rebuildCrashes rebuilds twice, with a view of the first generation open over
// its end, and cuts the power at some of the file system's operations: all those
// outside the generations' own files, and some of the others. base is what was
// folded and durable before.
func rebuildCrashes(t *testing.T, g *growing, seed uint64) (out []crash, base uint64) {
	t.Helper()
	disk := vfs.NewCrashableMem()
	l := openLive(t, g, small(disk))
	g.follow(t, l)
	check(t, l.Close())
	base = g.size()

	rng := rand.New(rand.NewPCG(seed, 7))
	var mu sync.Mutex
	ops := 0
	o := small(errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		ops++
		ours := strings.Contains(op.Path, servingFile) || strings.HasSuffix(op.Path, staleFile) || strings.HasSuffix(op.Path, markFile)
		if ours || strings.Count(op.Path, "/") < 2 || rng.IntN(25) == 0 {
			unsynced := []int{0, 50, 100}[rng.IntN(3)]
			out = append(out, crash{disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rng}), ops, unsynced})
		}
		return nil
	})))
	l = openLive(t, g, o)
	for range 2 {
		v, err := l.View()
		check(t, err)
		check(t, l.Rebuild(t.Context(), g.read, g.size, nil))
		g.grow(100)
		g.follow(t, l)
		check(t, v.Close())
		l.retired.Wait()
	}
	check(t, l.Close())
	return append(out, crash{disk.CrashClone(vfs.CrashCloneCfg{}), ops + 1, 0}), base
}

// verifyLive opens what a crash left: it serves no less than was durable before,
// follows, and can be rebuilt.
func (c *crash) verifyLive(t *testing.T, g *growing, base uint64) (generation uint64, err error) {
	t.Helper()
	// The generation that is named, without what opening it tidies up.
	named := generations{folder: &folder{fs: c.fs, path: "projections"}}
	text, err := named.read(servingFile)
	if err != nil {
		return 0, err
	}
	p, err := Open("projections/"+strings.TrimSpace(text), g.ledger, small(c.fs))
	if err != nil {
		return 0, err
	}
	if at, _ := p.Cursor(); at < base || p.Restarted() != "" {
		return 0, fmt.Errorf("generation %s has %d entries, and %d were durable: %q", strings.TrimSpace(text), at, base, p.Restarted())
	}
	shut(t, p)

	l, err := OpenLive("projections", g.ledger, small(c.fs))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	generation = l.Progress().Generation
	look := func() error {
		v, err := l.View()
		if err != nil {
			return err
		}
		return errors.Join(g.verify(v), v.Close())
	}
	at, _ := l.Cursor()
	if at < base || at > g.size() || l.Restarted() != "" {
		return generation, fmt.Errorf("it serves %d entries of %d, and %d were durable: %q", at, g.size(), base, l.Restarted())
	}
	if err := look(); err != nil {
		return generation, fmt.Errorf("as the crash left it: %w", err)
	}
	if err := l.Fold(g.read(context.Background(), at, g.size())); err != nil {
		return generation, err
	}
	if err := errors.Join(look(), l.Rebuild(context.Background(), g.read, g.size, nil), look()); err != nil {
		return generation, err
	}
	l.retired.Wait()
	if found := l.folder.found(); len(found) != 1 {
		return generation, fmt.Errorf("the generations %v are left", found)
	}
	return generation, nil
}

// TestRebuildCrash cuts the power at each step of a rebuild and of the deletion
// after it: what is left always serves.
func TestRebuildCrash(t *testing.T) {
	g := newGrowing(700)
	all, base := rebuildCrashes(t, g, 1)
	generations := map[uint64]int{}
	for _, c := range all {
		n, err := c.verifyLive(t, g, base)
		if err != nil {
			t.Fatalf("crash at operation %d, %d %% of what was unsynced kept, generation %d: %v", c.op, c.unsynced, n, err)
		}
		generations[n]++
	}
	if generations[1] < 5 || generations[2] < 5 || generations[3] < 5 {
		t.Errorf("%d crashes left the generations %v: the test cuts nothing", len(all), generations)
	}
	t.Logf("%d crashes, generations %v", len(all), generations)
}

// TestRebuildFaults lets one write after the other fail, wherever a rebuild
// writes its own files: the old generation serves on, and the next rebuild ends
// well.
func TestRebuildFaults(t *testing.T) {
	broken := errors.New("the disk is broken")
	for failing := 0; ; failing++ {
		g, n := newGrowing(300), -1
		var mu sync.Mutex
		o := small(errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			// A store's own files are the store's business: it ends the process.
			if n < 0 || op.Kind.ReadOrWrite() == errorfs.OpIsRead || !strings.Contains(op.Path, servingFile) && !strings.HasSuffix(op.Path, markFile) {
				return nil
			}
			if n++; n == failing+1 {
				return broken
			}
			return nil
		})))
		l := openLive(t, g, o)
		g.follow(t, l)
		mu.Lock()
		n = 0
		mu.Unlock()
		err := l.Rebuild(t.Context(), g.read, g.size, nil)
		mu.Lock()
		reached := n > failing
		n = -1
		mu.Unlock()
		if reached != errors.Is(err, broken) {
			t.Fatalf("write %d failed, and the rebuild says %v", failing, err)
		}
		g.grow(10)
		g.follow(t, l)
		g.verified(t, l)
		check(t, l.Rebuild(t.Context(), g.read, g.size, nil))
		g.verified(t, l)
		check(t, l.Close())
		l = openLive(t, g, o)
		g.verified(t, l)
		check(t, l.Close())
		if !reached {
			if failing < 4 {
				t.Errorf("only %d writes could fail: the test breaks nothing", failing)
			}
			return
		}
	}
}

// TestRebuildUnreadable meets a ledger that can't be read to its end, and one
// that hands out less than it has.
func TestRebuildUnreadable(t *testing.T) {
	g := newGrowing(5000)
	l := openLive(t, g, small(vfs.NewMem()))
	defer func() { check(t, l.Close()) }()
	g.follow(t, l)
	if err := l.Rebuild(t.Context(), g.read, func() uint64 { return 9000 }, nil); err == nil || !strings.Contains(err.Error(), "has 9000 entries and gave 5000") {
		t.Errorf("a ledger that gives less: %v", err)
	}
	if p := l.Progress(); p.Err == nil || p.Generation != 1 {
		t.Errorf("%+v", p)
	}
	g.verified(t, l)
	check(t, l.Rebuild(t.Context(), g.read, g.size, nil))
	g.verified(t, l)
}
