package quorum

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"annals/ingest"
	"annals/ingest/broker"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/nats-io/nats.go"
)

// replicas are ledgers of one genesis, which show each other their heads.
type replicas struct {
	t   *testing.T
	nc  *nats.Conn
	now time.Time
	all map[string]*replica
}

type replica struct {
	*Quorum
	stream *chaintest.Stream
	ledger *ledger.Ledger
	fed    int
	forks  int
}

func newReplicas(t *testing.T, need int, names ...string) *replicas {
	t.Helper()
	b, err := broker.Start(broker.Options{StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	s := &replicas{t: t, now: time.Unix(1_800_000_000, 0), all: map[string]*replica{}}
	if s.nc, err = b.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.nc.Close)
	if err := ingest.EnsureStream(t.Context(), s.nc, ingest.StreamOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		r := &replica{stream: chaintest.New("quorum"), fed: 2}
		first := r.stream.Messages
		if r.ledger, err = ledger.Create("ledger", first[0], first[1], ledger.Options{FS: vfs.NewMem(), CacheSize: 1 << 20}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.ledger.Close() })
		r.Quorum = New(Options{
			Ledger: r.ledger, Conn: s.nc, Name: name, Replicas: names, Need: need,
			Check: func(context.Context) error { return nil },
			Fork:  func(*ForkError) { r.forks++ },
			Now:   func() time.Time { return s.now },
		})
		s.all[name] = r
	}
	return s
}

// to has a replica fold records until it has a size. What they are goes by the
// replica's history.
func (s *replicas) to(name string, size uint64, history string) {
	s.t.Helper()
	r := s.all[name]
	for n := r.ledger.Head().Size; n < size; n++ {
		r.stream.Record("ws_1", fmt.Sprint(n), history)
	}
	if err := r.ledger.Append(s.t.Context(), r.stream.Messages[r.fed:]); err != nil {
		s.t.Fatal(err)
	}
	r.fed = len(r.stream.Messages)
	if err := r.ledger.Flush(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// step has replicas show and look, twice, so that each sees what the others show.
func (s *replicas) step(names ...string) {
	s.t.Helper()
	for range 2 {
		for _, name := range names {
			if err := s.all[name].Step(s.t.Context()); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// agreed checks what a replica may sign.
func (s *replicas) agreed(name string, want uint64) {
	s.t.Helper()
	size, root, err := s.all[name].Agreed()
	if err != nil || size != want {
		s.t.Errorf("%s may sign size %d, %v; want %d", name, size, err, want)
		return
	}
	if want == 0 {
		return
	}
	if own, err := s.all[name].ledger.RootAt(want); err != nil || own != root {
		s.t.Errorf("%s may sign the root %s, %v; its own is %s", name, root, err, own)
	}
}

// TestAgreed: nothing is signed but what enough replicas show, and that is signed
// whichever of them it is.
func TestAgreed(t *testing.T) {
	s := newReplicas(t, 2, "a", "b", "c")
	s.to("a", 10, "1")
	s.step("a")
	s.agreed("a", 0) // alone it knows of nobody
	s.to("b", 6, "1")
	s.step("b", "a")
	s.agreed("a", 6)
	s.agreed("b", 0) // which can't judge what a shows
	s.to("b", 12, "1")
	s.step("b", "a")
	s.agreed("b", 10) // a's head, remembered
	s.agreed("a", 6)  // b's has gone by, and its new one is out of reach
	s.to("a", 12, "1")
	s.step("a", "b")
	s.agreed("a", 12)
	s.agreed("b", 12)
	s.to("c", 4, "1")
	s.step("c", "a", "b")
	s.agreed("c", 0)
	s.agreed("a", 12)
	// Of three of three the slowest counts.
	s.all["a"].o.Need = 3
	s.agreed("a", 4)
}

// TestGrowing: a replica that is always a little ahead is signed for all the same.
func TestGrowing(t *testing.T) {
	s := newReplicas(t, 2, "a", "b", "c")
	signed := map[string]uint64{}
	for size := uint64(3); size < 40; size++ {
		s.to("a", size+2, "1")
		s.to("b", size, "1")
		s.now = s.now.Add(late / 4)
		s.step("a", "b")
		for _, name := range []string{"a", "b"} {
			got, _, err := s.all[name].Agreed()
			if err != nil || got < signed[name] {
				t.Fatalf("%s may sign size %d after %d, %v", name, got, signed[name], err)
			}
			signed[name] = got
		}
	}
	if signed["a"] < 35 || signed["b"] < 35 {
		t.Errorf("no more than %v was signed", signed)
	}
}

// TestTwoRoots: at two roots of one size it ends, for both, for good, and is told
// once.
func TestTwoRoots(t *testing.T) {
	s := newReplicas(t, 2, "a", "b", "c")
	s.to("a", 8, "1")
	s.to("b", 8, "1")
	s.to("c", 7, "2")
	s.step("a", "b")
	s.agreed("a", 8)
	s.step("c", "a")
	var fork *ForkError
	size, _, err := s.all["a"].Agreed()
	if !errors.As(err, &fork) || size != 0 || fork.Replica != "c" || fork.Size != 7 || fork.Root == fork.Other {
		t.Fatalf("%d, %v", size, err)
	}
	s.to("c", 9, "2") // beyond what a has
	s.step("c", "a", "b")
	if _, _, err := s.all["c"].Agreed(); !errors.As(err, &fork) {
		t.Errorf("the other one: %v", err)
	}
	if _, _, err := s.all["a"].Agreed(); !errors.As(err, &fork) {
		t.Errorf("later: %v", err)
	}
	if a, c := s.all["a"].forks, s.all["c"].forks; a != 1 || c != 1 {
		t.Errorf("told %d and %d times", a, c)
	}
}

// TestLate: who keeps the ledger from being signed is said after a while, by name,
// and not at once where it had nothing to sign before.
func TestLate(t *testing.T) {
	s := newReplicas(t, 2, "a", "b", "c")
	s.to("a", 5, "1")
	s.to("b", 5, "1")
	s.step("a", "b")
	s.agreed("a", 5)
	s.now = s.now.Add(time.Hour) // idle, and looking
	s.step("a")
	s.to("a", 9, "1")
	s.step("a")
	s.agreed("a", 5)
	if err := ingest.ShowHead(t.Context(), s.nc, ingest.ReplicaHead{Name: "c", Ledger: chain.Hash{1}, Size: 9}); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(late)
	s.step("a")
	_, _, err := s.all["a"].Agreed()
	if err == nil || !strings.Contains(err.Error(), "up to size 5") || !strings.Contains(err.Error(), "b has shown size 5") || !strings.Contains(err.Error(), "c is of another ledger") {
		t.Errorf("behind: %v", err)
	}
	if _, err := s.nc.Request("annals.head.c", []byte("no head"), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	s.step("a")
	if _, _, err = s.all["a"].Agreed(); err == nil || !strings.Contains(err.Error(), "c shows what can't be read") {
		t.Errorf("unreadable: %v", err)
	}
	s.all["a"].o.Check = func(context.Context) error { return errors.New("a stranger's stream") }
	if err := s.all["a"].Step(t.Context()); err == nil {
		t.Error("it listens on a stranger's stream")
	}
	if _, _, err = s.all["a"].Agreed(); err == nil || !strings.Contains(err.Error(), "a stranger's stream") {
		t.Errorf("why they can't be asked: %v", err)
	}
	s.all["a"].o.Check = func(context.Context) error { return nil }
	s.to("b", 9, "1")
	s.step("b", "a")
	s.agreed("a", 9)
}
