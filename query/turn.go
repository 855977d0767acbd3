package query

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"annals/ledger/chain"

	"golang.org/x/sync/semaphore"
)

// turns are those that queries take: half of the processors, and one at least, search
// and print, however many queries are under way. The rest is recording's, which asks
// for nobody's leave. While records come, and many queries are under way, they rest in
// between, so that recording finds a processor idle when it needs one.
type turns struct {
	*semaphore.Weighted
	again    *semaphore.Weighted // of those that have had a turn, as many wait beside who asks for the first
	recorded func() uint64       // counts what is recorded; nil: nothing is

	waiting atomic.Int64 // for a turn

	mu     sync.Mutex
	worked time.Duration // by all of them, since they last rested
	seen   uint64        // was recorded …
	when   time.Time     // … when it last rose
}

func newTurns(processors int) *turns {
	n := int64(max(1, processors/2))
	return &turns{Weighted: semaphore.NewWeighted(n), again: semaphore.NewWeighted(n)}
}

// quantum is how long a turn lasts while others wait. A question that is answered within
// one waits for those that asked for their first turn before it, and hardly for any other.
const quantum = time.Millisecond

// How queries rest. For each so many that wait, and a millisecond of work, they rest for
// a millisecond, and for three at the most: whatever comes, a quarter of what their turns
// could do is done. As long as few are under way, as is usual, none rests.
const (
	restEach    = 4
	restMost    = 3
	restLongest = 20 * time.Millisecond
	// recordingFor is how long after something was recorded more is expected.
	recordingFor = 100 * time.Millisecond
	// firstOwing is for how much work those rest whose turn is their first: a page doesn't
	// wait for what others have worked, unless there is nothing but pages.
	firstOwing = 10 * quantum
)

// turn is one query's. It begins with the first piece of work, and is given back while
// the client takes the answer. It is one goroutine's; nil is that of whoever waits for
// nobody.
type turn struct {
	ctx   context.Context
	of    *turns
	held  bool
	had   bool // one before this one
	since time.Time
}

// pace is called between pieces of work: it lets whoever records run, and after a quantum
// others' queries. Its error is the context's.
func (t *turn) pace() error {
	if t == nil {
		return nil
	}
	if err := t.ctx.Err(); err != nil {
		return err
	}
	if t.held {
		if time.Since(t.since) < quantum {
			return nil
		}
		runtime.Gosched() // while it is held: those who get on here don't query
		t.leave()
	}
	if err := t.of.take(t.ctx, t.had); err != nil {
		return err
	}
	t.held, t.since = true, time.Now()
	return nil
}

// take waits for a turn: in the order in which they ask, but that of those who ask again
// no more than there are turns wait among those who ask for the first time.
func (s *turns) take(ctx context.Context, again bool) error {
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	if again {
		if err := s.again.Acquire(ctx, 1); err != nil {
			return err
		}
		defer s.again.Release(1)
	}
	if err := s.Acquire(ctx, 1); err != nil {
		return err
	}
	if err := rest(ctx, s.owed(again)); err != nil {
		s.Release(1)
		return err
	}
	return nil
}

// owed is for how long whoever has just got a turn rests before using it. Nobody else has
// it meanwhile.
func (s *turns) owed(again bool) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.worked < quantum || !again && s.worked < firstOwing {
		return 0
	}
	worked := s.worked
	s.worked = 0
	if !s.recording() {
		return 0
	}
	others := s.waiting.Load() - 1
	return min(worked*time.Duration(min(others/restEach, restMost)), restLongest)
}

// recording reports whether records come. Call it with s.mu held.
func (s *turns) recording() bool {
	if s.recorded == nil {
		return false
	}
	now := time.Now()
	if n := s.recorded(); n != s.seen {
		s.seen, s.when = n, now
	}
	return now.Sub(s.when) < recordingFor
}

// rest waits, or until ctx ends.
func rest(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave gives the turn back.
func (t *turn) leave() {
	if t != nil && t.held {
		t.held, t.had = false, true
		t.of.mu.Lock()
		t.of.worked += time.Since(t.since)
		t.of.mu.Unlock()
		t.of.Release(1)
	}
}

// each reads entries of the ledger as its GetMany does, and paces between them. Whatever
// a query reads goes through here, however much it makes of one entry; a nil turn is for
// what is no query.
func (a *API) each(t *turn, indexes []uint64, fn func(*chain.Leaf, chain.Hash) error) error {
	return a.o.Ledger.GetMany(indexes, func(leaf *chain.Leaf, hash chain.Hash) error {
		if err := t.pace(); err != nil {
			return err
		}
		return fn(leaf, hash)
	})
}

// leaving is an answer whose client may be slow: nobody's turn lasts until it has taken
// what is written.
type leaving struct {
	http.ResponseWriter
	turn *turn
}

func (w *leaving) Write(b []byte) (int, error) {
	w.turn.leave()
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (w *leaving) Unwrap() http.ResponseWriter { return w.ResponseWriter }
