package projections

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// governedStream is a stream in which records of some users, repeats, contradictions,
// amendments and rejections come, and rules, holds, releases, erasures and expiries of
// them, as chance has it; some of the latter are rejected.
func governedStream(t *testing.T, rng *rand.Rand, name string) *chaintest.Stream {
	t.Helper()
	s := chaintest.NewKeyed(name)
	l, err := chaintest.NewLog(s.Messages[0])
	check(t, err)
	done := 0
	for range 120 {
		s.Control = l.State.Control
		root, _ := l.At(l.State.Size)
		workspace := pick(rng, []string{"ws_7", "ws_8"})
		tag := l.State.Tag(workspace)
		var some []uint64
		for i := range l.Entries {
			if e := &l.Entries[i].Entry; e.Workspace == tag && e.Kind != chain.KindDuplicate && rng.IntN(8) == 0 {
				some = append(some, e.Index)
			}
		}
		switch n := rng.IntN(20); {
		case n < 12 || len(some) == 0:
			user, amends := "u"+strconv.Itoa(rng.IntN(6)), ""
			if len(some) > 0 && rng.IntN(5) == 0 {
				amends = `,"amends":"` + l.Entries[some[0]].Entry.ULID.String() + `"`
			}
			s.Publish("activity."+workspace+"._", fmt.Sprintf(`{"id":"%d","type":"app.%d","actor":{"id":%q},"object":{"type":"app","id":"a%d"},`+
				`"occurred_at":"2020-01-02T03:04:%02dZ","context":{"session_id":"s-%s"},"dimensions":{"d":"%d"}%s}`,
				rng.IntN(60), rng.IntN(3), user, rng.IntN(9), rng.IntN(60), user, rng.IntN(3), amends))
		case n == 12:
			s.Publish("activity."+workspace+".a", "{")
		case n == 13:
			s.Retain(chain.Retention{Role: chain.RoleOperator, Workspace: tag, Types: pick(rng, []string{"*", "app.*", "app.1"}), Period: rng.Uint64N(60)})
		case n == 14:
			s.Hold(l.State.Size, root, chaintest.Holding(l, workspace, some[:rng.IntN(1+len(some))]...))
		case n == 15 && len(l.State.Holds()) > 0:
			s.Release(l.State.Holds()[rng.IntN(len(l.State.Holds()))].Number)
		case n < 18:
			rules := l.State.Rules()
			s.Expire(l.State.Size, root, chaintest.Expiry(l, rules[rng.IntN(len(rules))].At, workspace, some[:1+rng.IntN(len(some))]...))
		default:
			s.Erase(l.State.Size, root, chaintest.Select(l, workspace, some...), "")
		}
		s.Now += int64(rng.IntN(20)) * int64(time.Second)
		check(t, l.Fold(s.Messages[done:], func(n int) int { return n }))
		done = len(s.Messages)
	}
	return s
}

// following is a ledger and its projections on one disk.
type following struct {
	t *testing.T
	s *chaintest.Stream
	o Options
	l *ledger.Ledger
	p *Live

	deaf bool // the projections are not told what is destroyed
}

func (f *following) open(fs vfs.FS) {
	f.t.Helper()
	var err error
	f.l, err = ledger.Open("ledger", ledger.Options{FS: fs})
	check(f.t, err)
	f.o.FS = fs
	f.p, err = OpenLive("projections", f.l.ID(), f.o)
	check(f.t, err)
}

// read appends messages, and fold folds what is durable of them.
func (f *following) read(n int) {
	f.t.Helper()
	rest := f.s.Messages[f.l.Position().Sequence:]
	check(f.t, errors.Join(f.l.Append(f.t.Context(), rest[:min(n, len(rest))]), f.l.Flush(f.t.Context())))
}

func (f *following) fold() {
	f.t.Helper()
	at, _ := f.p.Cursor()
	check(f.t, f.p.Fold(func(yield func(chain.Leaf, error) bool) {
		for leaf, err := range f.l.Leaves(f.t.Context(), at, f.l.Head().Size) {
			if f.deaf {
				leaf.Gone = nil
			}
			if !yield(leaf, err) {
				return
			}
		}
	}))
}

func (f *following) close() { check(f.t, errors.Join(f.p.Close(), f.l.Close())) }

// judge folds the rest and holds the projections to the ledger: row for row they are
// what is folded from it as it is, and no row but those that entries themselves give
// holds one whose payload is gone.
func (f *following) judge(what string) (destroyed map[chain.ControlType]int) {
	f.t.Helper()
	destroyed = map[chain.ControlType]int{}
	f.read(len(f.s.Messages))
	f.fold()
	gone := map[uint64]bool{}
	for leaf, err := range f.l.Leaves(f.t.Context(), 0, f.l.Head().Size) {
		check(f.t, err)
		if e := &leaf.Entry; leaf.Payload == nil && e.Kind != chain.KindGap {
			gone[e.Index] = true
		}
		if leaf.Gone != nil {
			destroyed[chain.ControlType(leaf.Entry.Code)]++
		}
	}
	size := f.l.Head().Size
	check(f.t, f.p.Close())
	c, err := Check(f.t.Context(), "projections", f.l.ID(), f.l.Leaves, size, CheckOptions{Options: f.o, Temp: "anew"})
	check(f.t, err)
	if f.deaf {
		if len(c.Found) == 0 {
			f.t.Errorf("%s: the projections were not told what was destroyed, and nothing is found", what)
		}
		check(f.t, f.l.Close())
		return nil
	}
	for _, m := range c.Found {
		f.t.Errorf("%s: %s", what, &m)
	}
	if c.Size != size || c.Unfolded {
		f.t.Errorf("%s: %d of %d entries are folded, erased ones stand: %v", what, c.Size, size, c.Unfolded)
	}
	o := f.o.withDefaults()
	rows, err := openStored("projections", f.l.ID(), &o)
	check(f.t, err)
	it, err := rows.db.NewIter(nil)
	check(f.t, err)
	for it.First(); it.Valid(); it.Next() {
		key := it.Key()
		if kindOf(key) != RowList || Field(key[eraPrefix+listPrefix-1]).outlives() {
			continue
		}
		offsets, _ := offsetsOf(it.Value())
		for _, offset := range offsets {
			if gone[uint64(offset)] { // the ledger has one block
				f.t.Errorf("%s: entry %d is gone, and stands in the list %x", what, offset, key)
			}
		}
	}
	check(f.t, errors.Join(it.Close(), rows.close(), f.l.Close()))
	return destroyed
}

// TestGovernedCrashes: over restarts, rebuilds and power cuts anywhere, projections of a
// ledger with rules, holds, erasures and expiries hold what a fold of the ledger gives,
// and nothing that is gone comes back.
func TestGovernedCrashes(t *testing.T) {
	streams := uint64(5)
	if testing.Short() {
		streams = 2
	}
	destroyed := map[chain.ControlType]int{}
	cut := 0
	for seed := range streams {
		rng := rand.New(rand.NewPCG(seed, 91))
		s := governedStream(t, rng, fmt.Sprint("governed ", seed))
		disk := vfs.NewCrashableMem()
		var mu sync.Mutex
		crashed := []*vfs.MemFS{}
		cutting := rand.New(rand.NewPCG(seed, 92))
		fs := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			if cutting.IntN(60) == 0 && len(crashed) < 12 {
				crashed = append(crashed, disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 50, 100}[cutting.IntN(3)], RNG: cutting}))
			}
			return nil
		}))
		o := small(fs)
		o.flush = 1 << rng.IntN(7)
		f := &following{t: t, s: s, o: o}
		l, err := ledger.Create("ledger", s.Messages[0], s.Messages[1], ledger.Options{FS: disk})
		check(t, errors.Join(err, l.Close()))
		f.open(fs)
		for f.l.Position().Sequence < uint64(len(s.Messages)) {
			f.read(1 + rng.IntN(30))
			if rng.IntN(3) > 0 {
				f.fold()
			}
			switch rng.IntN(5) {
			case 0:
				f.close()
				f.open(fs)
			case 1:
				f.fold()
				check(t, f.p.Rebuild(t.Context(), f.l.Leaves, func() uint64 { return f.l.Head().Size }, nil))
			case 2:
				f.fold()
				owed, err := f.l.Unscrubbed()
				check(t, errors.Join(err, f.l.Scrub(t.Context(), owed)))
			}
		}
		for kind, n := range f.judge(fmt.Sprintf("stream %d, never cut", seed)) {
			destroyed[kind] += n
		}
		for i, after := range crashed {
			f := &following{t: t, s: s, o: o}
			if _, err := after.Stat("projections"); err != nil {
				continue // before there was anything
			}
			f.open(after)
			cut++
			f.judge(fmt.Sprintf("stream %d, power cut %d", seed, i))
		}
	}
	if destroyed[chain.ControlErase] == 0 || destroyed[chain.ControlExpire] == 0 || cut < 4*int(streams) {
		t.Errorf("%v destroyed something, and the power was cut %d times: the test shows nothing", destroyed, cut)
	}
	t.Logf("%v, %d power cuts", destroyed, cut)
}

// TestGovernedNotices is the control: projections that are not told what was destroyed
// are found out.
func TestGovernedNotices(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 91))
	s, fs := governedStream(t, rng, "notices"), vfs.NewMem()
	l, err := ledger.Create("ledger", s.Messages[0], s.Messages[1], ledger.Options{FS: fs})
	check(t, errors.Join(err, l.Close()))
	f := &following{t: t, s: s, o: small(fs), deaf: true}
	f.open(fs)
	for f.l.Position().Sequence < uint64(len(s.Messages)) {
		f.read(5)
		f.fold()
	}
	f.judge("deaf")
}
