package service

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"annals/cmd/annals/internal/peer"
	"annals/ingest"
	"annals/ledger"
	"annals/ledger/chain"

	"github.com/nats-io/nats.go"
)

// pump carries messages from the stream into the ledger, until it is stopped or
// something says that going on would fork the ledger or hide a loss. Then what
// was recorded can still be read.
type pump struct {
	ledger *ledger.Ledger
	nc     *nats.Conn
	stream ingest.StreamOptions
	// own tells how the stream of the ledger's epoch is known. It is asked at each
	// try: what the ledger has yet to fold is not its own.
	own    func() ingest.Identity
	mirror string // a stream that mirrors the log; "": there is none
	peers  []*peer.Peer
	data   string // the data folder, for what comes from peers
	// follows: the stream may be made anew while this process runs, and be the
	// ledger's next one.
	follows bool
	log     *slog.Logger
	fatal   func(error)

	reader  atomic.Pointer[ingest.Reader]
	trouble atomic.Pointer[error] // why there is no reader yet
	opened  chan struct{}         // closed with the first reader, or the verdict

	cancel context.CancelFunc
	failed atomic.Pointer[error] // what was found elsewhere that must stop the fold
	done   chan struct{}
	ended  context.Context // done with the verdict as its cause
	end    context.CancelCauseFunc

	// What is in the way, and what ends with it.
	hole      atomic.Pointer[ingest.HoleError] // nil: there is none
	strange   atomic.Pointer[error]            // why the stream is not the ledger's, while its next one is waited for
	free      atomic.Pointer[context.Context]  // done where either is met
	clear     atomic.Pointer[context.CancelFunc]
	nudged    chan struct{}
	holeRetry time.Duration
	repaired  atomic.Uint64 // messages that the ladder brought
}

// newPump starts a pump on the service's line.
func (s *Service) newPump() *pump {
	p := &pump{
		ledger: s.ledger, nc: s.line.nc, log: s.o.Logger, fatal: s.o.Fatal,
		own: s.identity, mirror: s.o.Mirror, peers: s.peers, data: s.dir.Root, follows: s.o.Cluster != nil,
		opened: make(chan struct{}), done: make(chan struct{}),
		nudged: make(chan struct{}, 1), holeRetry: holeRetry,
	}
	if s.o.holeRetry > 0 {
		p.holeRetry = s.o.holeRetry
	}
	p.reopen()
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.ended, p.end = context.WithCancelCause(context.Background())
	go p.run(ctx)
	return p
}

func (p *pump) run(ctx context.Context) {
	defer close(p.done)
	err := p.carry(ctx)
	if stopped := p.ledger.Err(); stopped != nil {
		err = stopped
	} else if failed := p.failed.Load(); failed != nil {
		err = *failed
	} else if ctx.Err() != nil {
		err = errStopped
	}
	p.end(err)
	p.open()
	var storage *ledger.StorageError
	switch {
	case errors.Is(err, errStopped), errors.Is(err, ledger.ErrClosed):
	case errors.As(err, &storage):
		p.fatal(err) // what is durable is unknown until the folder is opened anew
	default:
		p.log.Error("recording has stopped; reads are served", "error", err)
	}
}

var errStopped = errors.New("the server is stopping")

// open lets go whoever waits for the first reader or the verdict. It is called
// by run's goroutine only.
func (p *pump) open() {
	select {
	case <-p.opened:
	default:
		close(p.opened)
	}
}

// fail stops the pump for a reason that is not the stream's.
func (p *pump) fail(err error) {
	p.failed.CompareAndSwap(nil, &err)
	p.cancel()
}

// carry reads and appends until ctx ends or there is a verdict.
func (p *pump) carry(ctx context.Context) error {
	go p.stopReading(ctx)
	for {
		err := p.session(ctx)
		if p.follows && isStranger(err) {
			err = p.estranged(ctx, err)
		}
		if err != nil {
			return err
		}
	}
}

// session connects and reads until that ends, and gets over the hole that it ends
// at, if it does.
func (p *pump) session(ctx context.Context) error {
	r, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	p.reader.Store(r)
	p.open()
	err = p.read(ctx, r)
	var hole *ingest.HoleError
	if errors.As(err, &hole) {
		err = p.overcome(ctx, r, hole)
	}
	return err
}

// read appends what a reader brings until that ends.
func (p *pump) read(ctx context.Context, r *ingest.Reader) error {
	for {
		msgs, err := r.Next(ctx)
		if err != nil {
			return err
		}
		if err := p.ledger.Append(ctx, msgs); err != nil {
			return err
		}
		if p.strange.Load() != nil { // these begin with the epoch's message
			if err := p.ledger.Flush(ctx); err != nil {
				return err
			}
			p.log.Warn("the ledger has gone on with another stream", "epoch", p.ledger.Position().Epoch)
		}
		p.unblock()
	}
}

// stopReading ends the pump when the fold stops while no message comes, so that
// the reason is said at once.
func (p *pump) stopReading(ctx context.Context) {
	select {
	case <-p.ledger.Stopped():
		p.cancel()
	case <-ctx.Done():
	}
}

// connect opens a reader at the ledger's position, trying until it can or there
// is a verdict.
func (p *pump) connect(ctx context.Context) (*ingest.Reader, error) {
	wait := 50 * time.Millisecond
	for {
		r, err := p.tryConnect(ctx)
		if err == nil {
			return r, nil
		}
		if isVerdict(err) || ctx.Err() != nil {
			return nil, err
		}
		p.trouble.Store(&err)
		p.log.Warn("the stream can't be read; trying again", "error", err, "in", wait.String())
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		wait = min(2*wait, 5*time.Second)
	}
}

func (p *pump) tryConnect(ctx context.Context) (*ingest.Reader, error) {
	at := p.ledger.Position()
	r, err := ingest.OpenReader(ctx, p.nc, ingest.ReaderOptions{Position: at, Identity: p.own(), Logger: p.log})
	var verdict error
	if isStranger(err) {
		verdict = err
		next, why, unasked := succeeds(ctx, p.ledger, p.nc)
		switch {
		case unasked != nil:
			return nil, unasked
		case why != nil:
			return nil, &strangerError{verdict: verdict, why: why}
		case next == nil:
			return nil, err
		}
		p.log.Warn("an operator has the ledger go on with another stream", "epoch", next.start.Epoch, "folded", at.Sequence, "error", err)
		r, err = ingest.OpenReader(ctx, p.nc, ingest.ReaderOptions{Position: next.before(), Identity: next.identity, Logger: p.log})
	}
	if err != nil {
		return nil, err
	}
	if err := ingest.CheckStream(ctx, p.nc, p.stream); err != nil {
		r.Close()
		if verdict != nil && isVerdict(err) {
			err = &strangerError{verdict: verdict, why: err}
		}
		return nil, err
	}
	return r, nil
}

// isVerdict tells what must stop the fold from what passes.
func isVerdict(err error) bool {
	var drift *ingest.DriftError
	var retention *ingest.RetentionError
	var hole *ingest.HoleError
	var fork *peer.ForkError
	return isStranger(err) || errors.As(err, &drift) || errors.As(err, &retention) || errors.As(err, &hole) || errors.As(err, &fork)
}

// isStranger reports whether a verdict says that the stream is not the one that
// the ledger folds.
func isStranger(err error) bool {
	if err == nil {
		return false // as every request asks
	}
	var rewound *ingest.RewoundError
	var forked *ingest.ForkedError
	var recreated *ingest.RecreatedError
	return errors.As(err, &rewound) || errors.As(err, &forked) || errors.As(err, &recreated) || errors.Is(err, ingest.ErrNoStream)
}

// settled waits for the first reader or the verdict.
func (p *pump) settled(ctx context.Context) error {
	select {
	case <-p.opened:
		return nil
	case <-ctx.Done():
		if t := p.trouble.Load(); t != nil {
			return *t
		}
		return ctx.Err()
	}
}

// stopped returns why nothing is recorded any more, nil while it is. What can pass
// without a restart is among it: that the stream is another's.
func (p *pump) stopped() error {
	if p.ended.Err() == nil {
		if strange := p.strange.Load(); strange != nil {
			return *strange
		}
		return nil
	}
	if err := p.ledger.Err(); err != nil {
		return err
	}
	return context.Cause(p.ended)
}

// stranger returns the verdict that the stream is not the ledger's, if that is
// what keeps the pump from reading.
func (p *pump) stranger() error {
	if err := p.stopped(); isStranger(err) {
		return err
	}
	return nil
}

// health returns why nothing is being recorded at the moment.
func (p *pump) health() error {
	if err := p.stopped(); err != nil {
		return err
	}
	if hole := p.hole.Load(); hole != nil {
		return hole
	}
	r := p.reader.Load()
	if r == nil {
		if t := p.trouble.Load(); t != nil {
			return *t
		}
		return errors.New("the stream is not being read yet")
	}
	if s := p.nc.Status(); s != nats.CONNECTED {
		return errors.New("the connection to NATS is down: " + s.String())
	}
	return r.Trouble()
}

// check compares the stream with what was read of it.
func (p *pump) check(ctx context.Context) error {
	if err := p.stopped(); err != nil {
		return err
	}
	r := p.reader.Load()
	if r == nil {
		return errors.New("the stream is not being read yet")
	}
	return r.Check(ctx)
}

// stop stops the pump and waits for its end. What was appended stays appended.
func (p *pump) stop() {
	p.cancel()
	<-p.done
}

// await is the ledger's Await, which also ends when the pump does, stands at a hole
// or has lost its stream: what it did not carry will not be recorded before somebody
// has mended the cause.
func (p *pump) await(ctx context.Context, sequence uint64, place uint16) (chain.Receipt, error) {
	for {
		receipt, err := p.awaitFree(ctx, sequence, place)
		switch {
		case err == nil || ctx.Err() != nil:
			return receipt, err
		}
		if stopped := p.stopped(); stopped != nil {
			return receipt, stopped
		}
		if hole := p.hole.Load(); hole != nil {
			return receipt, hole
		}
		if !errors.Is(err, context.Canceled) {
			return receipt, err
		}
		// What was in the way has gone meanwhile.
	}
}

// awaitFree waits as long as nothing is in the way.
func (p *pump) awaitFree(ctx context.Context, sequence uint64, place uint16) (chain.Receipt, error) {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ended, cancel)()
	defer context.AfterFunc(*p.free.Load(), cancel)()
	return p.ledger.Await(waiting, sequence, place)
}
