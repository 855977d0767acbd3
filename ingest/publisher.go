package ingest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/semaphore"

	"annals/activity"
	"annals/ledger/chain"
)

// PublisherOptions are the choices of a [Publisher]; the zero value serves.
type PublisherOptions struct {
	// Root is [RootActivity], the default, for producers, or [RootVouched] for
	// doors, whose records are frames that already have their id.
	Root string
	// MaxPending bounds, in bytes, the records that are not acknowledged yet; who
	// publishes more waits. Default 64 MiB.
	MaxPending int
	// MaxLines and MaxMessage bound a gathered message: its records (default 512,
	// at most 1,024) and its bytes (default 256 KiB, at most what the server takes).
	MaxLines   int
	MaxMessage int
	// MaxBatch bounds the messages of one atomic batch. Default and most: 1,000.
	MaxBatch int
	// MaxFlights bounds the flights, a message or a batch each, of which another may
	// leave while they wait for their acknowledgement; default 4. Of one at a time
	// the records keep their order even when some have to be sent again.
	MaxFlights int
	// AckWait is how long an acknowledgement may take before the same records are
	// sent again. Default 5 s.
	AckWait time.Duration
	// Separate sends each record as a message of its own.
	Separate bool
	// AsIs publishes the records byte for byte, without giving an id to one that has
	// none. The ledger can't tell a repeated record without id from a new one.
	AsIs bool
	// Receipts keeps what is acknowledged, and its receipts; nil: nobody does. Close
	// it after the publisher.
	Receipts *Receipts
	Logger   *slog.Logger // nil discards
}

func (o *PublisherOptions) defaults(maxPayload int) {
	if o.Root == "" {
		o.Root = RootActivity
	}
	if o.MaxPending <= 0 {
		o.MaxPending = 64 << 20
	}
	if o.MaxLines <= 0 {
		o.MaxLines = 512
	}
	o.MaxLines = min(o.MaxLines, chain.MaxLines)
	if o.Separate {
		o.MaxLines = 1
	}
	if o.MaxMessage <= 0 {
		o.MaxMessage = 256 << 10
	}
	o.MaxMessage = min(o.MaxMessage, maxPayload-headerRoom)
	if o.MaxBatch <= 0 || o.MaxBatch > maxBatch {
		o.MaxBatch = maxBatch
	}
	if o.MaxFlights <= 0 {
		o.MaxFlights = 4
	}
	if o.AckWait <= 0 {
		o.AckWait = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// headerRoom is what our headers may take of a message.
const headerRoom = 512

// Publisher publishes records. It gathers what is waiting: the records of one
// workspace into one NDJSON message, and more than a few messages into one atomic
// batch. A record that finds the line free leaves at once, and while it is under way
// the next ones gather. A batch that has been opened at the server waits for the
// callers that the last one carried to publish again, 5 ms at most.
//
// It loses nothing. A record that was taken is sent, with the same bytes, until
// the stream acknowledges it or refuses it for good, and its caller is told which.
// So the stream may hold it twice; the ledger keeps one, by its id. A caller whose
// context ends stops waiting, the publisher doesn't.
//
// Its methods may be called from many goroutines.
type Publisher struct {
	nc      *nats.Conn
	o       PublisherOptions
	most    int // bytes of one message
	hold    func(took time.Duration) time.Duration
	room    *semaphore.Weighted
	trouble atomic.Pointer[error]

	wake   chan struct{} // there is something to send
	stop   chan struct{} // closed by Close: send no more
	ended  chan struct{} // closed when the goroutine has returned
	closed sync.Once

	mu      sync.Mutex
	waiting queue
	refuses bool // closed for new records
}

// NewPublisher starts a publisher on a connection, which stays the caller's. Close
// it to stop its one goroutine.
func NewPublisher(nc *nats.Conn, o PublisherOptions) (*Publisher, error) {
	o.defaults(int(nc.MaxPayload()))
	if o.Root != RootActivity && o.Root != RootVouched {
		return nil, fmt.Errorf("%w: the root is %q or %q, not %q", ErrSubject, RootActivity, RootVouched, o.Root)
	}
	p := &Publisher{
		nc: nc, o: o,
		most:  int(nc.MaxPayload()) - headerRoom,
		hold:  hold,
		room:  semaphore.NewWeighted(int64(o.MaxPending)),
		wake:  make(chan struct{}, 1),
		stop:  make(chan struct{}),
		ended: make(chan struct{}),
	}
	p.waiting.open = make(map[string]*message)
	l, err := newLine(p)
	if err != nil {
		return nil, err
	}
	go l.run()
	return p, nil
}

// Pending is a record on its way.
type Pending struct {
	done   chan struct{} // its message's
	weight int64
	bytes  []byte // what is sent, in its slab; nil once it is settled
	slab   *slab
	ack    Ack
	err    error
	p      *Publisher
}

// Done is closed once the record is acknowledged or refused.
func (r *Pending) Done() <-chan struct{} { return r.done }

// Wait waits until the record is acknowledged or refused. When ctx ends first, the
// error wraps [ErrPending], the context's and what is holding the record up.
func (r *Pending) Wait(ctx context.Context) (Ack, error) {
	select {
	case <-r.done:
		return r.ack, r.err
	default:
	}
	select {
	case <-r.done:
		return r.ack, r.err
	case <-ctx.Done():
		return Ack{ID: r.ack.ID}, r.p.because(fmt.Errorf("%w: %w", ErrPending, context.Cause(ctx)))
	}
}

// Publish publishes a record, a JSON object that names its own type, and returns
// when the stream has it.
func (p *Publisher) Publish(ctx context.Context, workspace string, record []byte) (Ack, error) {
	return p.wait(ctx, workspace, chain.OwnType, record)
}

// PublishTyped is Publish for a record whose type is named beside it; the record
// may leave it out, and must not say another.
func (p *Publisher) PublishTyped(ctx context.Context, workspace, typ string, record []byte) (Ack, error) {
	return p.wait(ctx, workspace, typ, record)
}

func (p *Publisher) wait(ctx context.Context, workspace, typ string, record []byte) (Ack, error) {
	r, err := p.PublishAsync(ctx, workspace, typ, record)
	if err != nil {
		return Ack{}, err
	}
	return r.Wait(ctx)
}

// PublishAsync takes a record and returns at once, unless MaxPending is reached:
// then it waits for room, or for ctx. typ is the record's type, or
// [chain.OwnType] when the record names it. The record is copied. An error says
// that it was not taken.
func (p *Publisher) PublishAsync(ctx context.Context, workspace, typ string, record []byte) (*Pending, error) {
	if !p.mayStand(workspace, typ) {
		return nil, fmt.Errorf("%w: %q, %q", ErrSubject, workspace, typ)
	}
	if len(record) == 0 {
		return nil, ErrEmpty
	}
	if len(record)+idRoom > p.most {
		return nil, fmt.Errorf("%w: %d bytes, of %d", ErrTooLarge, len(record), p.most-idRoom)
	}
	r := &Pending{p: p}
	r.weight = int64(min(len(record)+recordCost, p.o.MaxPending))
	if err := p.room.Acquire(ctx, r.weight); err != nil {
		return nil, p.because(fmt.Errorf("ingest: no room for the record, so it was not accepted: %w", context.Cause(ctx)))
	}
	p.mu.Lock()
	if p.refuses {
		p.mu.Unlock()
		p.room.Release(r.weight)
		return nil, ErrClosed
	}
	p.waiting.add(&p.o, workspace, typ, record, r)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return r, nil
}

const (
	idRoom     = 40  // bytes that giving an id takes
	recordCost = 256 // bytes that a record costs beside its own
)

func (p *Publisher) mayStand(workspace, typ string) bool {
	if !activity.ValidWorkspace(workspace) && (workspace != chain.SystemWorkspace || p.o.Root != RootVouched) {
		return false
	}
	return typ == chain.OwnType || activity.ValidType(typ) && validTokens(typ)
}

// validTokens reports whether a type can stand in a subject: no empty token.
func validTokens(typ string) bool {
	return typ[0] != '.' && typ[len(typ)-1] != '.' && !bytes.Contains([]byte(typ), []byte(".."))
}

// Trouble returns what is holding records up at the moment, nil when they are
// being acknowledged: whether it records is what a service's health is about.
func (p *Publisher) Trouble() error {
	if t := p.trouble.Load(); t != nil {
		return *t
	}
	return nil
}

// because adds what is holding the publisher up, where something is.
func (p *Publisher) because(err error) error {
	if t := p.Trouble(); t != nil {
		return fmt.Errorf("%w: %w", err, t)
	}
	return err
}

// Flush waits until every record taken so far is acknowledged or refused. Those
// who publish meanwhile wait until it is done.
func (p *Publisher) Flush(ctx context.Context) error {
	if err := p.room.Acquire(ctx, int64(p.o.MaxPending)); err != nil {
		return p.because(fmt.Errorf("ingest: flushing: %w", context.Cause(ctx)))
	}
	p.room.Release(int64(p.o.MaxPending))
	return nil
}

// Close takes no more records, flushes, and stops. When ctx ends first, what is
// left fails: with [ErrClosed] if it was never sent, with [ErrUnknown] if it was.
func (p *Publisher) Close(ctx context.Context) error {
	p.mu.Lock()
	p.refuses = true
	p.mu.Unlock()
	err := p.Flush(ctx)
	p.closed.Do(func() { close(p.stop) })
	<-p.ended
	return err
}
