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

// TestQueriesRest: while many records come and many queries are under way, those work for a
// tenth of the time and no less, for more of it where fewer come; while none come, or few
// queries are under way, they don't rest.
func TestQueriesRest(t *testing.T) {
	for name, c := range map[string]struct {
		queries int
		records int // a second
		least   float64
		most    float64
	}{
		"many, while many records come": {64, 1000, 0.09, 0.12},
		"many, while records come":      {64, 100, 0.34, 0.39},
		"many, and no records":          {64, 0, 0.99, 1},
		"some, while many records come": {7, 1000, 0.49, 0.53},
		"few, while many records come":  {4, 1000, 0.99, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := newTurns(4) // two
				began := time.Now()
				all.recorded = func() uint64 { return 7 + uint64(time.Since(began).Seconds()*float64(c.records)) }
				const lasts = 10 * time.Second
				ctx, cancel := context.WithTimeout(t.Context(), lasts)
				defer cancel()
				var worked atomic.Int64
				var wg sync.WaitGroup
				for range c.queries {
					wg.Go(func() {
						turn := &turn{ctx: ctx, of: all}
						defer turn.leave()
						for turn.pace() == nil {
							time.Sleep(slice)
							if ctx.Err() == nil { // else its turn began in the last moment
								worked.Add(int64(slice))
							}
						}
					})
				}
				wg.Wait()
				if share := float64(worked.Load()) / float64(2*lasts); share < c.least || share > c.most {
					t.Errorf("they worked for %.3f of the time, want %.2f to %.2f", share, c.least, c.most)
				}
				if all.worked > restLongest {
					t.Errorf("%s of work are not rested for yet", all.worked)
				}
			})
		})
	}
}

// TestFirstTurn: whoever asks for the first turn waits for one of those that have had
// theirs, and not for all of them, whether they rest or not; and these have theirs though
// there is always somebody who asks for the first.
func TestFirstTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newTurns(1)
		began := time.Now()
		all.recorded = func() uint64 { return uint64(time.Since(began) / time.Millisecond) }
		ctx, cancel := context.WithCancel(t.Context())
		var worked atomic.Int64
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				turn := &turn{ctx: ctx, of: all}
				defer turn.leave()
				for turn.pace() == nil {
					time.Sleep(quantum)
					worked.Add(1)
				}
			})
		}
		time.Sleep(time.Second)
		for range 100 {
			before, asked := worked.Load(), time.Now()
			turn := &turn{ctx: ctx, of: all}
			if err := turn.pace(); err != nil {
				t.Fatal(err)
			}
			if waited, most := time.Since(asked), 2*quantum+restLongest; waited > most {
				t.Errorf("a first turn came after %s, want %s at the most", waited, most)
			}
			time.Sleep(quantum / 2)
			turn.leave()
			time.Sleep(2 * restLongest)
			if worked.Load() == before {
				t.Error("the others have no turn beside those who ask for the first")
			}
		}
		cancel()
		wg.Wait()
		if !all.TryAcquire(1) || !all.again.TryAcquire(1) || all.waiting.Load() != 0 {
			t.Error("a turn was not given back")
		}
	})
}

// TestRestEnds: whoever goes while resting leaves the turn to others.
func TestRestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newTurns(1)
		all.recorded = func() uint64 { return 1000 * uint64(time.Now().Unix()) }
		all.busy(time.Now())
		time.Sleep(time.Second)
		all.worked = time.Hour
		all.waiting.Store(64)
		ctx, cancel := context.WithCancel(t.Context())
		resting := make(chan error)
		began := time.Now()
		go func() { resting <- (&turn{ctx: ctx, of: all, had: true}).pace() }()
		synctest.Wait()
		if all.TryAcquire(1) {
			t.Fatal("it doesn't rest")
		}
		cancel()
		if err := <-resting; !errors.Is(err, context.Canceled) || time.Since(began) != 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if !all.TryAcquire(1) || !all.again.TryAcquire(1) {
			t.Error("the turn is kept")
		}
	})
}

// TestTurnsAreShort: while queries rest in between, whoever has had a turn has one of a
// slice, so that what wakes to record waits for no longer; the first one is whole.
func TestTurnsAreShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for records, lasts := range map[uint64]time.Duration{0: quantum, 1000: slice} {
			all := newTurns(1)
			all.waiting.Store(64)
			began := time.Now()
			all.recorded = func() uint64 { return records * uint64(time.Since(began)/time.Second) }
			all.busy(time.Now())
			time.Sleep(time.Second)
			turn := &turn{ctx: t.Context(), of: all}
			for i, want := range []time.Duration{quantum, lasts, lasts} {
				began, pieces := time.Now(), 0
				for turn.pace() == nil && (pieces == 0 || turn.since.Equal(began)) {
					if pieces == 0 {
						began = turn.since
					}
					time.Sleep(slice / 2)
					pieces++
				}
				if took := time.Duration(pieces) * slice / 2; took != want {
					t.Errorf("of %d records a second: turn %d lasts %s, want %s", records, i, took, want)
				}
			}
			turn.leave()
		}
	})
}

// TestTailsApart: while records come, the portions of tails that catch up leave one after
// the other, and otherwise at once; whoever goes meanwhile doesn't wait.
func TestTailsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for records, want := range map[uint64]time.Duration{0: 0, 250: 100 * portionsApart / 2, 1000: 100 * portionsApart} {
			all := newTurns(1)
			began := time.Now()
			all.recorded = func() uint64 { return uint64(time.Since(began) * time.Duration(records) / time.Second) }
			all.busy(time.Now())
			time.Sleep(time.Second)
			all.busy(time.Now())
			sending := time.Now()
			var wg sync.WaitGroup
			for range 101 {
				wg.Go(func() {
					if err := all.apart(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			if err := all.apart(gone); records > 0 && err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			wg.Wait()
			if took := time.Since(sending); took < want || took > want+portionsApart {
				t.Errorf("of %d records a second: 101 portions took %s, want %s", records, took, want)
			}
		}
	})
}

// TestPortionWaits: a tail that catches up doesn't send before others' portions have left.
func TestPortionWaits(t *testing.T) {
	s := serve(t, Options{})
	s.fill("ws_7", 3)
	s.settle()
	const others = 300 * time.Millisecond
	s.api.turns.mu.Lock()
	began := time.Now()
	s.api.turns.next = began.Add(others)
	s.api.turns.mu.Unlock()
	e := s.open("/v1/workspaces/ws_7/tail?after=00000000000000000000000000")
	for entries := 0; entries < 3; {
		h, err := e.hear()
		if err != nil {
			t.Fatal(err)
		}
		if h.data == "" {
			continue // where it begins
		}
		if entries++; entries == 1 && time.Since(began) < others {
			t.Errorf("the first entry came after %s, %s before its time", time.Since(began), others-time.Since(began))
		}
	}
}
