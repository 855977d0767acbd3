package proof

import (
	"context"
	"math"
	"math/bits"
	"sync"
)

// pipeline has workers check chunks in parallel and hands them out in order. At
// most two chunks a worker wait to be taken, which bounds the memory.
type pipeline struct {
	ctx    context.Context
	cancel context.CancelFunc
	order  chan chan *chunk
	free   sync.Pool
	levels int
	done   sync.WaitGroup
}

type job struct {
	from, to uint64
	out      chan *chunk
}

// maxSize keeps sizes within what tlog counts with.
const maxSize = math.MaxInt64 >> 2

func start(ctx context.Context, r reading, from, to uint64) *pipeline {
	to = min(to, maxSize)
	p := &pipeline{order: make(chan chan *chunk, 2*r.o.Workers), levels: bits.Len(uint(r.o.Chunk))}
	p.ctx, p.cancel = context.WithCancel(ctx)
	jobs := make(chan job)
	p.done.Go(func() {
		defer close(p.order)
		defer close(jobs)
		size := uint64(r.o.Chunk)
		for at := from; at < to; at += size {
			j := job{from: at, to: min(at+size, to), out: make(chan *chunk, 1)}
			select {
			case p.order <- j.out:
			case <-p.ctx.Done():
				return
			}
			select {
			case jobs <- j:
			case <-p.ctx.Done():
				return
			}
		}
	})
	for range r.o.Workers {
		p.done.Go(func() {
			w := newWorker(r)
			for j := range jobs {
				ck, _ := p.free.Get().(*chunk)
				if ck == nil {
					ck = &chunk{}
				}
				ck.reset(j.from, j.to, p.levels)
				w.check(p.ctx, ck)
				j.out <- ck
			}
		})
	}
	return p
}

// next returns the next chunk in order, nil after the last. Its error is a
// worker's or the context's.
func (p *pipeline) next() (*chunk, error) {
	out, ok := <-p.order
	if !ok {
		return nil, p.ctx.Err()
	}
	select {
	case ck := <-out:
		return ck, ck.err
	case <-p.ctx.Done():
		return nil, p.ctx.Err()
	}
}

// release takes a chunk back for use again.
func (p *pipeline) release(ck *chunk) { p.free.Put(ck) }

// stop ends the workers and waits for them.
func (p *pipeline) stop() {
	p.cancel()
	p.done.Wait()
}
