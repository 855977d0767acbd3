package query

import (
	"context"
	"errors"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"annals/internal/access"
	"annals/ledger/chain"
)

// TestTurns: however many queries are under way, as many work at once as there are
// turns; those who wait get one in the order in which they asked, and whoever has had
// a quantum asks again behind them.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newTurns(5) // two
		var working, most atomic.Int32
		var order []int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Microsecond) // one asks after the other
				turn := &turn{ctx: t.Context(), of: all}
				defer turn.leave()
				for range 3 {
					if err := turn.pace(); err != nil {
						t.Error(err)
					}
					mu.Lock()
					order = append(order, i)
					mu.Unlock()
					if n := working.Add(1); n > most.Load() {
						most.Store(n)
					}
					time.Sleep(quantum)
					working.Add(-1)
				}
			})
		}
		wg.Wait()
		if most.Load() != 2 {
			t.Errorf("%d worked at once, want 2", most.Load())
		}
		for at, i := range order {
			if i != at%10 {
				t.Fatalf("turns were taken in the order %v", order)
			}
		}
	})
}

// TestTurnEnds: whoever waits in vain is told, and what is given back is had by others;
// who pays for nothing waits for nobody.
func TestTurnEnds(t *testing.T) {
	all := newTurns(1)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := &turn{ctx: t.Context(), of: all}, &turn{ctx: ctx, of: all}
	if err := first.pace(); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error)
	go func() { waited <- second.pace() }()
	cancel()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	second.leave() // it has none
	if all.TryAcquire(1) {
		t.Error("two have the one turn")
	}
	// What is written is taken by a client that may be slow.
	if _, err := (&leaving{httptest.NewRecorder(), first}).Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if !all.TryAcquire(1) {
		t.Error("the turn is kept while the client takes the answer")
	}
	var nobody *turn
	nobody.leave()
	if err := nobody.pace(); err != nil {
		t.Error(err)
	}
}

// TestEachPaces: what reads entries takes a turn before the first, asks again before each
// that follows, and stops where it gets none; what is no query reads them all.
func TestEachPaces(t *testing.T) {
	s := serve(t, Options{})
	s.more("ws", 5)
	s.settle()
	indexes := []uint64{2, 3, 4}
	all := newTurns(1)
	ctx, cancel := context.WithCancel(t.Context())
	turn, read := &turn{ctx: ctx, of: all}, 0
	err := s.api.each(turn, indexes, func(leaf *chain.Leaf, hash chain.Hash) error {
		if leaf.Entry.Index != indexes[read] || chain.LeafHash(leaf.Raw) != hash {
			t.Errorf("entry %d was read, with the hash %v", leaf.Entry.Index, hash)
		}
		if all.TryAcquire(1) {
			t.Error("it reads, and it is nobody's turn")
		}
		if read++; read == 2 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || read != 2 {
		t.Errorf("after 2 entries nobody waited any more: %d were read, %v", read, err)
	}
	turn.leave()
	read = 0
	if err := s.api.each(nil, indexes, func(*chain.Leaf, chain.Hash) error { read++; return nil }); err != nil || read != len(indexes) {
		t.Errorf("without a turn: %d, %v", read, err)
	}
}

// TestQueriesTakeTurns: a query over HTTP waits for its turn before it searches, at
// every door that is counted as one, and gives it back in the end.
func TestQueriesTakeTurns(t *testing.T) {
	s, keys := behind(t, Options{})
	s.more("ws_a", 50)
	s.settle()
	s.token = keys.mint(t, access.Read|access.Audit, "ws_a")
	n := int64(max(1, runtime.GOMAXPROCS(0)/2))
	for _, path := range []string{
		"/timeline", "/timeline?order=occurred&type!=x&with=sentence", "/counts?by=type", "/counts?by=day", "/users/u1/timeline", "/feed", "/feed.csv", "/entries?from=0",
	} {
		if err := s.api.turns.Acquire(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		answered := make(chan int, 1)
		go func() { answered <- s.do("GET", "/v1/workspaces/ws_a"+path).status }()
		// It is waiting once another who asks for all has to wait behind it; and until then
		// nothing can answer it.
		select {
		case status := <-answered:
			t.Errorf("%s: %d, and nobody gave it a turn", path, status)
			s.api.turns.Release(n)
			continue
		case <-time.After(20 * time.Millisecond):
		}
		s.api.turns.Release(n)
		if status := <-answered; status != 200 {
			t.Errorf("%s: %d", path, status)
		}
		if err := s.api.turns.Acquire(t.Context(), n); err != nil { // all are back
			t.Fatal(err)
		}
		s.api.turns.Release(n)
	}
}
