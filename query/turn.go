package query

import (
	"context"
	"net/http"
	"runtime"
	"time"

	"annals/ledger/chain"

	"golang.org/x/sync/semaphore"
)

// turns are those that queries take: half of the processors, and one at least, search
// and print, however many queries are under way. The rest is recording's, which asks
// for nobody's leave.
type turns struct{ *semaphore.Weighted }

func newTurns(processors int) turns {
	return turns{semaphore.NewWeighted(int64(max(1, processors/2)))}
}

// quantum is how long a turn lasts while others wait. A question that is answered within
// one waits for as many of them as there are queries under way, and not for the end of
// any.
const quantum = time.Millisecond

// turn is one query's. It begins with the first piece of work, and is given back while
// the client takes the answer. It is one goroutine's; nil is that of whoever waits for
// nobody.
type turn struct {
	ctx   context.Context
	of    turns
	held  bool
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
	if err := t.of.Acquire(t.ctx, 1); err != nil { // in the order in which they ask
		return err
	}
	t.held, t.since = true, time.Now()
	return nil
}

// leave gives the turn back.
func (t *turn) leave() {
	if t != nil && t.held {
		t.held = false
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
