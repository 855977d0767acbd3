package ledger

import (
	"errors"
	"runtime"
	"sync"

	"annals/ledger/chain"
)

// crew prepares messages on all cores.
type crew struct {
	preparers []*chain.Preparer
}

func newCrew(s chain.State) *crew {
	c := &crew{preparers: make([]*chain.Preparer, runtime.GOMAXPROCS(0))}
	c.follow(s)
	return c
}

// follow lets the crew prepare what follows s.
func (c *crew) follow(s chain.State) {
	for i := range c.preparers {
		c.preparers[i] = s.Preparer()
	}
}

// inlineBytes is the size of a run below which handing out work costs more than
// it saves.
const inlineBytes = 32 << 10

// prepare prepares a run of messages and returns the rest. A control message is a
// run by itself: its condition may speak of the state just before it, and what
// follows is prepared under the state that it makes.
func (c *crew) prepare(msgs []chain.Message) (prepared []chain.Prepared, rest []chain.Message) {
	n, weight := len(msgs), int64(0)
	for i := range msgs {
		if weight += weigh(&msgs[i]); i > 0 && weight > maxRunBytes {
			n = i // an append may bring more than a run holds
			break
		}
		if msgs[i].Control() {
			n = max(i, 1)
			break
		}
	}
	msgs, rest = msgs[:n], msgs[n:]
	prepared = make([]chain.Prepared, n)
	if sizeOf(msgs) < inlineBytes || len(c.preparers) == 1 {
		for i := range msgs {
			prepared[i] = c.preparers[0].Prepare(msgs[i])
		}
		return prepared, rest
	}
	shares(n, len(c.preparers), func(worker, i int) { prepared[i] = c.preparers[worker].Prepare(msgs[i]) })
	return prepared, rest
}

// inParallel calls fn for 0 … n-1 on all cores and returns one of its errors.
func inParallel(n int, fn func(i int) error) error {
	if n == 0 {
		return nil
	}
	workers := min(runtime.GOMAXPROCS(0), n)
	errs := make([]error, workers)
	shares(n, workers, func(worker, i int) {
		if errs[worker] == nil {
			errs[worker] = fn(i)
		}
	})
	return errors.Join(errs...)
}

// shares calls fn for 0 … n-1, handed out in small strides to the workers, since
// one message may weigh as much as a thousand others.
func shares(n, workers int, fn func(worker, i int)) {
	stride := max(1, n/(workers*8))
	var mu sync.Mutex
	next := 0
	take := func() (from, to int) {
		mu.Lock()
		defer mu.Unlock()
		from, to = next, min(next+stride, n)
		next = to
		return from, to
	}
	work := func(worker int) {
		for from, to := take(); from < to; from, to = take() {
			for i := from; i < to; i++ {
				fn(worker, i)
			}
		}
	}
	var wg sync.WaitGroup
	for worker := 1; worker < workers; worker++ {
		wg.Go(func() { work(worker) })
	}
	work(0)
	wg.Wait()
}
