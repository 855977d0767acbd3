package bench

import (
	"context"
	"errors"
	"sync"
	"time"

	"annals/cmd/annals/internal/load"
	"annals/ingest"
	"annals/ledger/chain"
)

// Callers is how many callers the mode Await has.
const Callers = 64

// EachCaller runs the callers, which publish n records between them, and returns
// what each took.
func EachCaller(n int, publish func(caller, share int) ([]time.Duration, error)) (took []time.Duration, failed error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for caller := range Callers {
		share := n / Callers
		if caller < n%Callers {
			share++
		}
		wg.Go(func() {
			mine, err := publish(caller, share)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	return took, failed
}

// Published is what publishing gave.
type Published struct {
	Records int
	Wall    time.Duration
	CPU     time.Duration   // of the whole process, with the publisher that is in it
	Took    []time.Duration // of each record until it was recorded, where that was timed
}

// Rate is in records a second.
func (p *Published) Rate() float64 { return float64(p.Records) / p.Wall.Seconds() }

// Publish publishes n records of the series that a seed names, in a mode that
// publishes, and waits until they are durable in the stream, durable in the ledger
// and in every index.
func (r *Rig) Publish(ctx context.Context, mode Mode, seed uint64, n int, progress func(done, total int)) (Published, error) {
	out := Published{Records: n}
	before, cpu, began := r.service.Ledger().Head(), processor(), time.Now()
	var err error
	if out.Took, err = r.publish(ctx, mode, seed, n, progress); err != nil {
		return out, err
	}
	// Marks and seeds may have come between; they only make the wait longer.
	head := before
	for head.Size < before.Size+uint64(n) {
		if head, err = r.service.Ledger().Wait(ctx, head.Size); err != nil {
			return out, err
		}
	}
	if err := r.service.Projections().Wait(ctx, head.Size); err != nil {
		return out, err
	}
	out.Wall, out.CPU = time.Since(began), processor()-cpu
	return out, nil
}

// publish publishes, and returns once the stream has all of it.
func (r *Rig) publish(ctx context.Context, mode Mode, seed uint64, n int, progress func(done, total int)) (took []time.Duration, err error) {
	if mode == Latency {
		return r.paced(ctx, seed, n)
	}
	p, err := ingest.NewPublisher(r.nc, ingest.PublisherOptions{AsIs: true, Separate: mode == Single})
	if err != nil {
		return nil, err
	}
	if mode == Await {
		took, err = r.await(ctx, p, seed, n)
	} else {
		err = stream(ctx, p, load.New(seed), n, progress)
	}
	return took, errors.Join(err, p.Close(ctx))
}

// stream publishes as fast as the publisher takes records.
func stream(ctx context.Context, p *ingest.Publisher, records *load.Records, n int, progress func(done, total int)) error {
	waiting := make(chan *ingest.Pending, 64<<10)
	refused := make(chan error, 1)
	go func() {
		var err error
		for r := range waiting {
			if _, e := r.Wait(ctx); e != nil && err == nil {
				err = e
			}
		}
		refused <- err
	}()
	var err error
	var record []byte
	for i := range n {
		var workspace string
		record, workspace = records.Next(record[:0])
		var r *ingest.Pending
		if r, err = p.PublishAsync(ctx, workspace, chain.OwnType, record); err != nil {
			break
		}
		waiting <- r
		if i&(1<<12-1) == 0 {
			progress(i, n)
		}
	}
	close(waiting)
	return errors.Join(err, <-refused)
}

// await publishes from many callers, each of which waits until the ledger has its
// record before it publishes the next.
func (r *Rig) await(ctx context.Context, p *ingest.Publisher, seed uint64, n int) ([]time.Duration, error) {
	return EachCaller(n, func(caller, share int) ([]time.Duration, error) {
		return r.awaitEach(ctx, p, load.New(seed+uint64(caller)), share)
	})
}

func (r *Rig) awaitEach(ctx context.Context, p *ingest.Publisher, records *load.Records, n int) ([]time.Duration, error) {
	took := make([]time.Duration, 0, n)
	var record []byte
	for range n {
		var workspace string
		record, workspace = records.Next(record[:0])
		began := time.Now()
		ack, err := p.Publish(ctx, workspace, record)
		if err != nil {
			return took, err
		}
		if _, err := r.service.Ledger().Await(ctx, ack.Sequence, ack.Place); err != nil {
			return took, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}
