package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"annals/ledger"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
)

// crashStream is a stream of every kind of message, long enough for memtables to
// fill when they are small.
func crashStream() *chaintest.Stream {
	s := chaintest.Golden()
	for i := range 40 {
		s.Record("ws_7", fmt.Sprint("c", i%30), fmt.Sprintf(`"%0300d"`, i))
		if i%20 == 7 {
			s.Seed()
		}
	}
	return s
}

// reference is what a ledger of the stream that never crashed holds.
func reference(t testing.TB, s *chaintest.Stream) map[string]string {
	t.Helper()
	fs := vfs.NewMem()
	l := create(t, s, ledger.Options{FS: fs})
	appendAll(t, l, s, anyOrder(3))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return keyspace(t, fs, "ledger")
}

// crash is the disk at one moment, and the messages that were acknowledged then.
type crash struct {
	fs    vfs.FS
	dir   string
	acked uint64
}

// survives opens what a crash left: it must audit clean, hold every acknowledged
// message, and grow into the very ledger that never crashed. It returns what is
// wrong.
func (c crash) survives(t testing.TB, s *chaintest.Stream, want map[string]string) error {
	t.Helper()
	l, err := ledger.Open(c.dir, ledger.Options{FS: c.fs})
	if err != nil {
		if c.acked == 0 && errors.Is(err, ledger.ErrNoLedger) {
			return nil // it crashed before there was one
		}
		return err
	}
	if got := l.Position().Sequence; got < c.acked {
		return errors.Join(fmt.Errorf("message %d was acknowledged, the ledger ends at %d", c.acked, got), l.Close())
	}
	source := l.Source()
	report, err := proof.Audit(context.Background(), source, proof.Options{})
	if err != nil || report.Verdict != proof.Clean {
		return errors.Join(fmt.Errorf("audit: %s", report.Sentence), err, source.Close(), l.Close())
	}
	if err := source.Close(); err != nil {
		return err
	}
	appendAll(t, l, s, anyOrder(4))
	if err := l.Close(); err != nil {
		return err
	}
	if diff := firstDifference(want, keyspace(t, c.fs, c.dir)); diff != "" {
		return errors.New(diff)
	}
	return nil
}

// record runs the stream through a ledger on fs, one acknowledged append after
// the other, and calls at before each I/O operation with its number and what was
// acknowledged by then.
func record(t testing.TB, s *chaintest.Stream, mem vfs.FS, seed uint64, at func(op int64, acked uint64) error) {
	t.Helper()
	var op atomic.Int64
	var acked atomic.Uint64
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(o errorfs.Op) error {
		if o.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		return at(op.Add(1), acked.Load())
	}))
	if err := feed(fs, "ledger", s, seed, acked.Store); err != nil {
		t.Fatal(err)
	}
}

// feed creates a ledger and appends a stream to it, a few messages at a time,
// each acknowledged before the next.
func feed(fs vfs.FS, dir string, s *chaintest.Stream, seed uint64, ack func(sequence uint64)) error {
	ctx := context.Background()
	r := rand.New(rand.NewPCG(seed, 5))
	l, err := ledger.Create(dir, s.Messages[0], s.Messages[1], ledger.Options{FS: fs, Pebble: small})
	if err != nil {
		return err
	}
	for rest := s.Messages[2:]; len(rest) > 0; {
		n := min(1+r.IntN(6), len(rest))
		if err := l.Append(ctx, rest[:n]); err != nil {
			return err
		}
		if err := l.Flush(ctx); err != nil {
			return err
		}
		ack(rest[n-1].Sequence)
		rest = rest[n:]
	}
	return l.Close()
}

// TestCrashAnywhere pulls the plug before I/O operations all along a run, with
// none, half or all of what was not synced surviving.
func TestCrashAnywhere(t *testing.T) {
	s := crashStream()
	want := reference(t, s)
	tried := 0
	for run := range uint64(12) {
		r := rand.New(rand.NewPCG(run, 6))
		mem := vfs.NewCrashableMem()
		var mu sync.Mutex
		var crashes []crash
		record(t, s, mem, run, func(_ int64, acked uint64) error {
			mu.Lock()
			defer mu.Unlock()
			if r.IntN(12) == 0 {
				percent := []int{0, 50, 100}[r.IntN(3)]
				crashes = append(crashes, crash{mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r}), "ledger", acked})
			}
			return nil
		})
		mu.Lock()
		for i, c := range crashes {
			if err := c.survives(t, s, want); err != nil {
				t.Fatalf("run %d, crash %d after message %d was acknowledged: %v", run, i, c.acked, err)
			}
		}
		tried += len(crashes)
		mu.Unlock()
	}
	if tried < 50 {
		t.Fatalf("only %d crashes tried: the test has lost its grip", tried)
	}
	t.Logf("%d crashes survived", tried)
}

// TestWithoutSyncACrashIsSeen is the control of the two above: on a disk whose
// syncs do nothing, acknowledged messages are lost, and survives says so.
func TestWithoutSyncACrashIsSeen(t *testing.T) {
	s := crashStream()
	want := reference(t, s)
	mem := vfs.NewCrashableMem()
	var mu sync.Mutex
	var last crash
	record(t, s, lying{mem}, 1, func(op int64, acked uint64) error {
		mu.Lock()
		defer mu.Unlock()
		if op%10 == 0 {
			last = crash{mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0}), "ledger", acked}
		}
		return nil
	})
	if err := last.survives(t, s, want); err == nil || last.acked == 0 {
		t.Fatalf("message %d was acknowledged on a disk that never synced, and no loss was seen", last.acked)
	}
}

// lying is a disk whose fsync does nothing.
type lying struct{ vfs.FS }

type lyingFile struct{ vfs.File }

func (f lyingFile) Sync() error                { return nil }
func (f lyingFile) SyncData() error            { return nil }
func (f lyingFile) SyncTo(int64) (bool, error) { return true, nil }
func (l lying) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return lyingFile{f}, nil
}

func (l lying) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return l.wrap(l.FS.Create(name, c))
}

func (l lying) OpenDir(name string) (vfs.File, error) { return l.wrap(l.FS.OpenDir(name)) }

func (l lying) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return l.wrap(l.FS.OpenReadWrite(name, c, o...))
}

func (l lying) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return l.wrap(l.FS.ReuseForWrite(old, name, c))
}
