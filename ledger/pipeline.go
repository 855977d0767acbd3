package ledger

import (
	"bytes"
	"context"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sync/semaphore"

	"annals/ledger/chain"
)

// Bounds of what is in flight. The first is what makes a fast stream wait for a
// slow disk; the second keeps one append, and so the wait for its fsync, short.
const (
	maxInFlight = 64 << 20 // bytes of messages between Append and fsync
	maxRunBytes = 4 << 20  // bytes of messages folded at once
	maxUnsynced = 4        // batches applied and not yet synced
)

// pipeline carries messages from Append to the durable watermark: gather and
// prepare, fold and apply, sync. Each stage is one goroutine; they hand over in
// order. A stage that may not go on passes what comes through to the end, so
// that nobody waits for ever.
type pipeline struct {
	l    *Ledger
	o    Options
	room *semaphore.Weighted

	mu     sync.RWMutex // guards closed, against a send on a closed queue
	closed bool
	queue  chan queued
	runs   chan run
	synced chan applied
	done   chan struct{} // closed when the last stage has ended

	stopped context.Context // done once recording has stopped
	halt    context.CancelFunc
}

// queued is what Append and Flush put in.
type queued struct {
	msgs    []chain.Message
	bytes   int64
	flushed chan struct{} // closed once all before it is durable; nil in an append
	gap     *gap          // a notice to be folded at the hole; comes with flushed and without messages
}

// run is a batch of prepared messages on its way to the fold.
type run struct {
	prepared []chain.Prepared
	bytes    int64
	flushed  chan struct{}
	gap      *gap
	// after, when set, wants the state after the run: its last message is a
	// control message, and what follows is prepared under the state it makes. It
	// is closed without a state when the fold has stopped.
	after chan chain.State
}

// applied is a batch that is in Pebble and waits for its fsync.
type applied struct {
	batch   *pebble.Batch // nil: nothing to sync
	head    Head
	entries []chain.Folded
	gone    []uint64 // whose payloads the batch destroys, ascending
	bytes   int64
	flushed chan struct{}
	err     error // the fold stopped after this batch
}

func newPipeline(l *Ledger, o Options) *pipeline {
	p := &pipeline{
		l: l, o: o,
		room:   semaphore.NewWeighted(maxInFlight),
		queue:  make(chan queued, 64),
		runs:   make(chan run, 1),
		synced: make(chan applied, maxUnsynced),
		done:   make(chan struct{}),
	}
	p.stopped, p.halt = context.WithCancel(context.Background())
	return p
}

// start lets the stages run, from a state and the tree's edge there.
func (p *pipeline) start(state chain.State, e edge) {
	go p.prepareAll(state)
	go p.foldAll(state, e)
	go p.syncAll()
	go p.watch()
}

// sizeOf is what messages weigh in flight.
func sizeOf(msgs []chain.Message) int64 {
	n := int64(0)
	for i := range msgs {
		n += weigh(&msgs[i])
	}
	return min(n, maxInFlight)
}

// weigh estimates what a message takes until it is durable, in bytes: its body,
// its subject and headers, and an entry for each line, an empty one too.
func weigh(m *chain.Message) int64 {
	n := int64(len(m.Body)) + 512
	if _, typed := m.Header["Content-Type"]; typed {
		n += int64(min(bytes.Count(m.Body, []byte{'\n'}), chain.MaxLines)) * 1024
	}
	return n
}

// Append queues messages for the fold, in stream order, and returns once there
// is room for them; [Ledger.Await] and [Ledger.Flush] say when they are
// recorded. The ledger keeps views of the messages' bytes, and serves them from
// memory long after: never change them.
// Once recording has stopped, Append returns why.
func (l *Ledger) Append(ctx context.Context, msgs []chain.Message) error {
	if len(msgs) == 0 {
		return l.Err()
	}
	p := l.pipeline
	q := queued{msgs: msgs, bytes: sizeOf(msgs)}
	waiting, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(p.stopped, cancel)()
	defer cancel()
	if err := p.room.Acquire(waiting, q.bytes); err != nil {
		if stopped := l.Err(); stopped != nil {
			return stopped
		}
		return err
	}
	if err := p.send(ctx, q); err != nil {
		p.room.Release(q.bytes)
		return err
	}
	return nil
}

// Flush returns once everything appended before it is durable, or recording has
// stopped.
func (l *Ledger) Flush(ctx context.Context) error {
	return l.flush(ctx, queued{flushed: make(chan struct{})})
}

// flush puts in what asks to be told once all before it is durable, and waits.
func (l *Ledger) flush(ctx context.Context, q queued) error {
	if err := l.pipeline.send(ctx, q); err != nil {
		return err
	}
	select {
	case <-q.flushed:
		return l.Err()
	case <-l.pipeline.stopped.Done():
		return l.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pipeline) send(ctx context.Context, q queued) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return ErrClosed
	}
	if err := p.l.Err(); err != nil {
		return err
	}
	select {
	case p.queue <- q:
		return nil
	case <-p.stopped.Done():
		return p.l.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close lets what is queued run out, and waits for it; not when the disk failed,
// since a stage may hang in it for ever.
func (p *pipeline) close() {
	p.mu.Lock()
	p.closed = true
	close(p.queue)
	p.mu.Unlock()
	select {
	case <-p.done:
	case <-p.stopped.Done():
		if !failedStorage(p.l.Err()) {
			<-p.done
		}
	}
}

// watch stops recording when the store fails behind our back.
func (p *pipeline) watch() {
	select {
	case err := <-p.o.failures:
		p.l.stop(&StorageError{Err: err})
	case <-p.done:
	}
}

// prepareAll is the first stage.
func (p *pipeline) prepareAll(state chain.State) {
	defer close(p.runs)
	crew := newCrew(state)
	for q := range p.queue {
		msgs, bytes, flushed, gap := p.gather(q)
		for len(msgs) > 0 {
			r := run{}
			r.prepared, msgs = crew.prepare(msgs)
			if last := len(r.prepared) - 1; r.prepared[last].Control() {
				r.after = make(chan chain.State, 1)
			}
			if len(msgs) == 0 && gap == nil {
				r.bytes, r.flushed, bytes, flushed = bytes, flushed, 0, nil
			}
			p.runs <- r
			if r.after == nil {
				continue
			}
			if after, ok := <-r.after; ok {
				crew.follow(after)
			}
		}
		if flushed != nil {
			p.runs <- run{bytes: bytes, flushed: flushed, gap: gap}
		}
	}
}

// gather takes what else waits in the queue, up to a run's bounds or a flush:
// the busier the ledger, the larger its commits.
func (p *pipeline) gather(q queued) (msgs []chain.Message, bytes int64, flushed chan struct{}, gap *gap) {
	msgs, bytes, flushed, gap = q.msgs, q.bytes, q.flushed, q.gap
	owned := false
	for flushed == nil && len(msgs) < p.o.MaxBatch && bytes < maxRunBytes {
		select {
		case next, ok := <-p.queue:
			if !ok {
				return msgs, bytes, nil, nil
			}
			if !owned { // the caller's slice is not ours to grow
				msgs, owned = append(make([]chain.Message, 0, len(msgs)+len(next.msgs)), msgs...), true
			}
			msgs = append(msgs, next.msgs...)
			bytes += next.bytes
			flushed, gap = next.flushed, next.gap
		default:
			return msgs, bytes, nil, nil
		}
	}
	return msgs, bytes, flushed, gap
}

// syncAll is the last stage: it moves the durable watermark.
func (p *pipeline) syncAll() {
	defer close(p.done)
	for a := range p.synced {
		if a.batch != nil {
			if err := a.batch.SyncWait(); err != nil {
				p.l.stop(&StorageError{Err: err})
			} else if p.l.Err() == nil {
				p.l.advance(a.head, a.entries, a.gone)
			}
			_ = a.batch.Close()
		}
		if a.err != nil {
			p.l.stop(a.err)
		}
		p.room.Release(a.bytes)
		if a.flushed != nil {
			close(a.flushed)
		}
	}
}
