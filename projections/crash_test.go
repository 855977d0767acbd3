package projections

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// crash is a file system as a power cut left it.
type crash struct {
	fs       *vfs.MemFS
	op       int
	unsynced int // percent of what was not synced that was kept all the same
}

// crashes folds m and cuts the power at some of the file system's operations.
func crashes(t *testing.T, m *model, o Options, seed uint64) []crash {
	t.Helper()
	disk := vfs.NewCrashableMem()
	rng := rand.New(rand.NewPCG(seed, 7))
	var mu sync.Mutex
	var out []crash
	ops := 0
	o.FS = errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if ops++; ops < 12 || rng.IntN(6) == 0 {
			unsynced := []int{0, 50, 100}[rng.IntN(3)]
			out = append(out, crash{disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rng}), ops, unsynced})
		}
		return nil
	}))
	p := open(t, m.ledger, o)
	cuts := rand.New(rand.NewPCG(seed, 9)) // Pebble's goroutines draw from the other
	for at := uint64(0); at < m.size(); {
		to := min(m.size(), at+uint64(cuts.IntN(1500)))
		if err := p.Fold(m.from(at, to)); err != nil {
			t.Fatal(err)
		}
		at = to
	}
	shut(t, p)
	return append(out, crash{disk.CrashClone(vfs.CrashCloneCfg{}), ops + 1, 0})
}

// verify opens what a crash left, compares it with the model at its cursor, folds
// on, and compares again.
func (c *crash) verify(t *testing.T, m *model, o Options, rng *rand.Rand) (at uint64, restarted bool, err error) {
	t.Helper()
	o.FS = c.fs
	p, err := Open("projections", m.ledger, o)
	if err != nil {
		return 0, false, err
	}
	defer shut(t, p)
	at, _ = p.Cursor()
	restarted = p.Restarted() != ""
	if at > m.size() {
		return at, restarted, fmt.Errorf("cursor %d of %d", at, m.size())
	}
	look := func(n int) error {
		v, err := p.View()
		if err != nil {
			return err
		}
		defer v.Close()
		return m.check(v, rng, &short, n)
	}
	if at > 0 {
		if err := look(8); err != nil {
			return at, restarted, fmt.Errorf("as the crash left it: %w", err)
		}
	}
	if err := p.Fold(m.from(at, m.size())); err != nil {
		return at, restarted, err
	}
	if err := look(6); err != nil {
		return at, restarted, fmt.Errorf("folded on: %w", err)
	}
	return at, restarted, nil
}

// TestCrash cuts the power again and again: rows and cursor always agree, and
// folding on gives what was never interrupted.
func TestCrash(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	m := newModel()
	m.grow(rng, 2500, &short)
	// Small tails stand in a memtable together, large ones are flushed as they are.
	flushes := []int{1 << 6, 1 << 8}
	if testing.Short() { // the race detector's run
		flushes = flushes[1:]
	}
	for _, flush := range flushes {
		o := Options{flush: flush, memTable: 64 << 10}
		all := crashes(t, m, o, 1)
		cursors, restarts := map[uint64]bool{}, 0
		for _, c := range all {
			at, restarted, err := c.verify(t, m, o, rng)
			if err != nil {
				t.Fatalf("crash at operation %d, %d %% of what was unsynced kept, cursor %d: %v", c.op, c.unsynced, at, err)
			}
			cursors[at] = true
			if restarted {
				restarts++
			}
		}
		if end := all[len(all)-1]; !cursors[m.size()] || len(cursors) < 4 {
			t.Errorf("%d crashes left only the cursors %v (closed at %d): the test cuts nothing", len(all), cursors, end.op)
		}
		t.Logf("%d crashes, %d cursors, %d stores given up", len(all), len(cursors), restarts)
	}
}

// TestCrashNotices is the control: with the cursor in a batch of its own, some
// crash leaves rows and cursor at odds, and the test above would say so.
func TestCrashNotices(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	m := newModel()
	m.grow(rng, 2500, &short)
	o := Options{flush: 1 << 8, memTable: 64 << 10, tornBatches: true}
	for seed := range uint64(5) {
		for _, c := range crashes(t, m, o, seed) {
			if _, _, err := c.verify(t, m, o, rng); err != nil {
				t.Logf("noticed at operation %d: %.120s…", c.op, err)
				return
			}
		}
	}
	t.Error("rows and cursor were written apart, and no crash showed it")
}
