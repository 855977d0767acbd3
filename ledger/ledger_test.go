package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// create makes a ledger in memory from a stream's first two messages.
func create(t testing.TB, s *chaintest.Stream, o ledger.Options) *ledger.Ledger {
	t.Helper()
	if o.FS == nil {
		o.FS = vfs.NewMem()
	}
	l, err := ledger.Create("ledger", s.Messages[0], s.Messages[1], o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// appendAll appends what follows the ledger's position, in batches cut at random,
// and waits until it is durable.
func appendAll(t testing.TB, l *ledger.Ledger, s *chaintest.Stream, r *rand.Rand) {
	t.Helper()
	ctx := context.Background()
	for rest := s.Messages[l.Position().Sequence:]; len(rest) > 0; {
		n := 1 + r.IntN(len(rest))
		if err := l.Append(ctx, rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := l.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

func anyOrder(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// keyspace reads every key and value of a closed ledger's store.
func keyspace(t testing.TB, fs vfs.FS, dir string) map[string]string {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{FS: fs, ReadOnly: true, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	it, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	out := map[string]string{}
	for it.First(); it.Valid(); it.Next() {
		out[string(it.Key())] = string(it.Value())
	}
	return out
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

func TestAppendAndRead(t *testing.T) {
	s := chaintest.Golden()
	l := create(t, s, ledger.Options{})
	defer l.Close()
	appendAll(t, l, s, anyOrder(1))

	head := l.Head()
	if head.Size != 29 {
		t.Fatalf("size %d, want 29", head.Size)
	}
	n := uint64(0)
	for leaf, err := range l.Leaves(t.Context(), 0, head.Size) {
		if err != nil {
			t.Fatal(err)
		}
		got, hash, err := l.Get(n)
		if err != nil {
			t.Fatal(err)
		}
		if string(got.Raw) != string(leaf.Raw) || hash != chain.LeafHash(leaf.Raw) {
			t.Fatalf("entry %d reads differently alone", n)
		}
		receipt, err := l.Await(t.Context(), leaf.Entry.Sequence, leaf.Entry.Place)
		if err != nil || receipt.Entry.Index != n || receipt.EntryHash != hash {
			t.Fatalf("entry %d: receipt %+v, %v", n, receipt, err)
		}
		n++
	}
	if n != head.Size {
		t.Fatalf("iterated %d of %d", n, head.Size)
	}
	if _, _, err := l.Get(head.Size); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatalf("beyond the end: %v", err)
	}
	for size := range head.Size + 1 {
		if _, err := l.RootAt(size); err != nil {
			t.Fatalf("root at %d: %v", size, err)
		}
	}
	if root, _ := l.RootAt(head.Size); root != head.Root {
		t.Fatalf("root %s, head says %s", root, head.Root)
	}
}

// TestDeterministic folds the golden stream under random batch cuts, reopens,
// store options and numbers of processors, each a replica of its own: every
// keyspace is the same to the byte. (TestCrashAnywhere adds the crashes.)
func TestDeterministic(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var want map[string]string
	for seed := range uint64(40) {
		r := anyOrder(seed)
		runtime.GOMAXPROCS(1 + r.IntN(4))
		s := chaintest.Golden()
		fs := vfs.NewMem()
		o := ledger.Options{FS: fs, MaxBatch: 1 + r.IntN(64), Pebble: func(p *pebble.Options) {
			p.MemTableSize = 64<<10 + uint64(r.IntN(1<<20))
			p.Levels[0].BlockSize = 128 << r.IntN(7)
		}}
		l := create(t, s, o)
		for l.Position().Sequence < uint64(len(s.Messages)) {
			upTo := *s
			upTo.Messages = s.Messages[:l.Position().Sequence+1+uint64(r.IntN(len(s.Messages)-int(l.Position().Sequence)))]
			appendAll(t, l, &upTo, r)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			var err error
			if l, err = ledger.Open("ledger", o); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		got := keyspace(t, fs, "ledger")
		if want == nil {
			want = got
		}
		if diff := firstDifference(want, got); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
	// The comparison itself must notice one byte.
	changed := map[string]string{}
	for k, v := range want {
		changed[k] = v
	}
	changed["state"] += "x"
	if firstDifference(want, changed) == "" {
		t.Fatal("a changed keyspace compares equal")
	}
}

func firstDifference(want, got map[string]string) string {
	for k, v := range want {
		if got[k] != v {
			return fmt.Sprintf("key %q: %x, want %x", k, got[k], v)
		}
	}
	if len(got) != len(want) {
		return fmt.Sprintf("%d keys, want %d", len(got), len(want))
	}
	return ""
}

func TestCreateAndOpenAreSeparate(t *testing.T) {
	s := chaintest.New("verbs")
	fs := vfs.NewMem()
	if _, err := ledger.Open("ledger", ledger.Options{FS: fs}); !errors.Is(err, ledger.ErrNoLedger) {
		t.Fatalf("Open of nothing: %v", err)
	}
	l := create(t, s, ledger.Options{FS: fs})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Create("ledger", s.Messages[0], s.Messages[1], ledger.Options{FS: fs}); !errors.Is(err, ledger.ErrExists) {
		t.Fatalf("Create over a ledger: %v", err)
	}
	for name, first := range map[string][2]chain.Message{
		"no genesis":   {s.Messages[1], s.Messages[0]},
		"no seed":      {s.Messages[0], s.Messages[0]},
		"a record":     {{Subject: "activity.w.t", Body: []byte("{}"), Sequence: 1}, s.Messages[1]},
		"later begins": {withSequence(s.Messages[0], 7), s.Messages[1]},
	} {
		if _, err := ledger.Create("other", first[0], first[1], ledger.Options{FS: vfs.NewMem()}); err == nil {
			t.Errorf("%s: created", name)
		}
	}
}

func withSequence(m chain.Message, n uint64) chain.Message {
	m.Sequence = n
	return m
}

func TestSecondProcessIsToldTheFolderIsInUse(t *testing.T) {
	dir := t.TempDir() + "/ledger"
	s := chaintest.New("lock")
	l, err := ledger.Create(dir, s.Messages[0], s.Messages[1], ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := ledger.Open(dir, ledger.Options{}); !errors.Is(err, ledger.ErrInUse) {
		t.Fatalf("got %v, want ErrInUse", err)
	}
}

// TestHaltStopsRecordingAndKeepsReads: a signed statement of an unknown type
// stops the fold there; what stands before it is recorded and readable.
func TestHaltStopsRecordingAndKeepsReads(t *testing.T) {
	s := chaintest.New("halt")
	s.Record("ws_1", "a", `1`)
	body := chain.SealControl(chain.Statement{Ledger: s.ID, Number: s.Control, Type: 99}, nil, s.Keeper)
	s.Publish("annals.control.future", string(body))
	s.Record("ws_1", "b", `2`)
	l := create(t, s, ledger.Options{})
	defer l.Close()
	if err := l.Append(t.Context(), s.Messages[2:]); err != nil {
		t.Fatal(err)
	}
	err := l.Flush(t.Context())
	var halt *chain.HaltError
	if !errors.As(err, &halt) || halt.Sequence != 4 {
		t.Fatalf("got %v, want a halt at message 4", err)
	}
	if got := l.Head().Size; got != 3 {
		t.Fatalf("size %d, want 3", got)
	}
	if _, _, err := l.Get(2); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), s.Messages[4:]); !errors.As(err, &halt) {
		t.Fatalf("appending on: %v", err)
	}
	if _, err := l.Await(t.Context(), 5, 0); !errors.As(err, &halt) {
		t.Fatalf("awaiting what will never come: %v", err)
	}
}

func TestIndexAt(t *testing.T) {
	s := chaintest.New("time")
	for i := range 100 {
		s.Record("ws_1", fmt.Sprint(i), `1`)
	}
	l := create(t, s, ledger.Options{})
	defer l.Close()
	appendAll(t, l, s, anyOrder(2))
	for index := range l.Head().Size {
		leaf, _, err := l.Get(index)
		if err != nil {
			t.Fatal(err)
		}
		ms := int64(leaf.Entry.ULID.Time())
		if got, err := l.IndexAt(ms); err != nil || got != index {
			t.Fatalf("IndexAt(%d) = %d, %v, want %d", ms, got, err, index)
		}
	}
	// Beyond the last entry there is none.
	if got, err := l.IndexAt(1 << 47); err != nil || got != l.Head().Size {
		t.Fatalf("IndexAt far ahead = %d, %v, want the size", got, err)
	}
}

// small makes the store flush and compact within a short test.
func small(p *pebble.Options) { p.MemTableSize = 32 << 10 }
