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
	rate   float64       // of what is recorded, in a second, when it was last looked at …
	seen   uint64        // … and so much had been …
	when   time.Time     // … then
	next   time.Time     // when the next portion of a tail may be sent
}

func newTurns(processors int) *turns {
	n := int64(max(1, processors/2))
	return &turns{Weighted: semaphore.NewWeighted(n), again: semaphore.NewWeighted(n)}
}

// quantum is how long a turn lasts while others wait. A question that is answered within
// one waits for those that asked for their first turn before it, and hardly for any other.
const quantum = time.Millisecond

// How queries rest. For each so many that wait they rest for as long as was worked, and for
// nine times as long at the most, where so many records a second come as make recording
// busy; where fewer come, for as much less. So whatever comes, a tenth of what their turns
// could do is done, and as long as few are under way, as is usual, none rests.
const (
	restEach    = 4
	restMost    = 9
	restLongest = 20 * time.Millisecond
	busyRate    = 500
	// slice is how long a turn lasts while they rest in between, but for the first: whatever
	// wakes to record meanwhile waits for no longer.
	slice = quantum / 10
	// firstOwing is for how much work those rest whose turn is their first: a page doesn't
	// wait for what others have worked, unless there is nothing but pages.
	firstOwing = 10 * quantum
	// ratedEvery is how often it is looked how much is recorded.
	ratedEvery = 50 * time.Millisecond
	// portionsApart is ten times what the system takes for a portion of a tail.
	portionsApart = 500 * time.Microsecond
)

// turn is one query's. It begins with the first piece of work, and is given back while
// the client takes the answer. It is one goroutine's; nil is that of whoever waits for
// nobody.
type turn struct {
	ctx   context.Context
	of    *turns
	held  bool
	had   bool // one before this one
	lasts time.Duration
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
		if time.Since(t.since) < t.lasts {
			return nil
		}
		runtime.Gosched() // while it is held: those who get on here don't query
		t.leave()
	}
	lasts, err := t.of.take(t.ctx, t.had)
	if err != nil {
		return err
	}
	t.held, t.lasts, t.since = true, lasts, time.Now()
	return nil
}

// take waits for a turn, and returns how long it lasts: in the order in which they ask, but
// that of those who ask again no more than there are turns wait among those who ask for the
// first time.
func (s *turns) take(ctx context.Context, again bool) (lasts time.Duration, err error) {
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	if again {
		if err := s.again.Acquire(ctx, 1); err != nil {
			return 0, err
		}
		defer s.again.Release(1)
	}
	if err := s.Acquire(ctx, 1); err != nil {
		return 0, err
	}
	owed, lasts := s.owed(again)
	if err := rest(ctx, owed); err != nil {
		s.Release(1)
		return 0, err
	}
	return lasts, nil
}

// owed is for how long whoever has just got a turn rests before using it, and how long it
// lasts. Nobody else has it meanwhile.
func (s *turns) owed(again bool) (owed, lasts time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	others := s.waiting.Load() - 1
	each := float64(min(others/restEach, restMost)) * s.busy(time.Now())
	lasts = quantum
	if again && each > 0 {
		lasts = slice
	}
	if s.worked < slice || !again && s.worked < firstOwing {
		return 0, lasts
	}
	owed = min(time.Duration(float64(s.worked)*each), restLongest)
	s.worked = 0
	return owed, lasts
}

// busy is how busy recording is, from 0 to 1. Call it with s.mu held.
func (s *turns) busy(now time.Time) float64 {
	if s.recorded == nil {
		return 0
	}
	if passed := now.Sub(s.when); passed >= ratedEvery {
		n := s.recorded()
		if !s.when.IsZero() {
			s.rate = float64(n-s.seen) / passed.Seconds()
		}
		s.seen, s.when = n, now
	}
	return min(s.rate/busyRate, 1)
}

// apart waits before a portion of a tail is sent that catches up: while records come, those
// of all tails leave one after the other. A thousand that begin together would have the
// system copy for a tenth of a second what nobody may read.
func (s *turns) apart(ctx context.Context) error { return rest(ctx, s.wait(time.Now())) }

func (s *turns) wait(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next.Before(now) {
		s.next = now
	}
	wait := s.next.Sub(now)
	s.next = s.next.Add(time.Duration(s.busy(now) * float64(portionsApart)))
	return wait
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
