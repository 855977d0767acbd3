package ingest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"annals/ledger/chain"
)

// ReaderOptions say where to begin and how much to take at once.
type ReaderOptions struct {
	// Position is the ledger's: the last folded message. Reading begins after it.
	Position chain.Position
	// Identity is what the ledger remembers of its stream.
	Identity Identity
	// MaxMessages and MaxBytes bound what one Next returns, of bodies; it is never
	// less than one message. Default 2,048 and 4 MiB.
	MaxMessages int
	MaxBytes    int
	// CheckEvery is how often the stream is compared with the position while it is
	// read; default 3 s. It is compared on opening and on each reconnect besides.
	CheckEvery time.Duration
	Logger     *slog.Logger // nil discards
}

// Reader reads the stream in order, from a position on, and vouches that what it
// returns is contiguous. It has no goroutine of its own: everything but Check and
// Trouble happens inside Next, which belongs to one goroutine.
type Reader struct {
	nc     *nats.Conn
	o      ReaderOptions
	status chan nats.Status
	pull   *pull // nil until the next Next opens one
	err    error // the verdict; final

	checked time.Time // of the last check that came to an end
	heard   time.Time // when anything last came from the server
	owed    time.Time // since when a check has said that there is more than has come
	wait    *time.Timer
	trouble atomic.Pointer[error]

	mu       sync.Mutex
	position chain.Position // where reading stands; its digest only while last is empty
	last     chain.Message  // the last message taken; its digest is made when asked for
	identity Identity
	end      uint64 // the stream's last sequence, by the last check
}

// OpenReader checks that the stream is the one that the position is of, and
// begins to read after it. Its verdicts are *[RewoundError], *[ForkedError],
// *[RecreatedError], *[RetentionError] and [ErrNoStream]; any other error says
// that the stream could not be asked.
func OpenReader(ctx context.Context, nc *nats.Conn, o ReaderOptions) (*Reader, error) {
	if o.MaxMessages <= 0 {
		o.MaxMessages = 2048
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 4 << 20
	}
	if o.CheckEvery <= 0 {
		o.CheckEvery = 3 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Reader{nc: nc, o: o, position: o.Position, identity: o.Identity, wait: time.NewTimer(0)}
	if err := r.Check(ctx); err != nil {
		return nil, err
	}
	r.checked = time.Now()
	r.status = nc.StatusChanged(nats.CONNECTED, nats.RECONNECTING)
	return r, nil
}

// Next returns the messages that follow, in order and without a hole: all that
// have come already, within the options' bounds, and at least one. It waits only
// when there is none. The messages are the caller's to keep, but not to write to:
// the last one is compared with the stream later.
//
// An error is final, unless it is the context's. While the server can't be
// reached Next goes on trying; [Reader.Trouble] says why.
func (r *Reader) Next(ctx context.Context) ([]chain.Message, error) {
	for {
		if r.err != nil {
			return nil, r.err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		batch, err := r.step(ctx)
		switch {
		case err == nil:
		case final(err):
			r.err = err
		case ctx.Err() != nil:
		default:
			r.note(err)
			r.drop()
			if len(batch) > 0 {
				return batch, nil // taken already: what comes next begins after it
			}
			if !r.pause(ctx, 100*time.Millisecond) {
				continue
			}
		}
		if len(batch) > 0 {
			return batch, nil
		}
	}
}

// step is one round of Next: what is due, then what has come, else a wait.
func (r *Reader) step(ctx context.Context) ([]chain.Message, error) {
	select {
	case <-r.status:
		// A new connection may be to another server, or to one that was restored.
		r.drop()
		r.checked = time.Time{}
	default:
	}
	if r.pull == nil {
		p, err := openPull(ctx, r.nc, r.position.Sequence+1)
		if err != nil {
			return nil, err
		}
		// Checked after it was made, a consumer belongs to the stream that was checked:
		// it does not outlive a stream that is deleted and made anew.
		r.pull, r.heard, r.checked = p, time.Now(), time.Time{}
	}
	if time.Since(r.checked) >= r.o.CheckEvery {
		if err := r.Check(ctx); err != nil {
			return nil, err
		}
		r.checked = time.Now()
		r.note(nil)
		r.owe()
	}
	batch, err := r.gather(ctx)
	if len(batch) > 0 || err != nil {
		r.owed = time.Time{}
		return batch, err
	}
	if !r.owed.IsZero() && time.Since(r.owed) >= min(deaf, 3*r.o.CheckEvery) {
		return r.overdue(ctx)
	}
	r.wait.Reset(min(deaf, r.o.CheckEvery))
	select {
	case m := <-r.pull.in:
		r.heard = time.Now()
		batch, err := r.take(ctx, nil, m)
		if len(batch) > 0 {
			r.owed = time.Time{}
		}
		return batch, err
	case <-r.status:
		r.drop()
		r.checked = time.Time{}
	case <-r.wait.C:
		if time.Since(r.heard) >= deaf {
			return nil, errStale
		}
	case <-ctx.Done():
	}
	return nil, nil
}

// gather takes what has come, without waiting.
func (r *Reader) gather(ctx context.Context) (batch []chain.Message, err error) {
	size := 0
	for len(batch) < r.o.MaxMessages && size < r.o.MaxBytes {
		select {
		case m := <-r.pull.in:
			if batch == nil {
				r.heard = time.Now()
				batch = make([]chain.Message, 0, min(len(r.pull.in)+1, r.o.MaxMessages))
			}
			size += len(m.Data)
			if batch, err = r.take(ctx, batch, m); err != nil {
				return batch, err
			}
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// take appends a message to the batch if it is the next one, and fetches those
// that are missing before it.
func (r *Reader) take(ctx context.Context, batch []chain.Message, m *nats.Msg) ([]chain.Message, error) {
	message, ok, err := r.pull.accept(m)
	if err != nil || !ok {
		return batch, err
	}
	next := r.position.Sequence + 1 // written by this goroutine only
	if message.Sequence < next {
		return batch, nil // a consumer made again after it had delivered
	}
	for ; next < message.Sequence; next++ {
		missing, err := r.repair(ctx, next, message.Sequence)
		if err != nil {
			return batch, err
		}
		batch = r.advance(batch, missing)
	}
	return r.advance(batch, message), nil
}

func (r *Reader) advance(batch []chain.Message, m chain.Message) []chain.Message {
	r.mu.Lock()
	r.position.Sequence = m.Sequence
	r.last = m
	r.mu.Unlock()
	return append(batch, m)
}

// repair is the first rung of the ladder: consumers have skipped messages that
// the stream did have, so the leader is asked for the message by its sequence.
func (r *Reader) repair(ctx context.Context, sequence, next uint64) (chain.Message, error) {
	m, err := get(ctx, r.nc, sequence)
	if !errors.Is(err, errNoMessage) {
		if err == nil {
			r.o.Logger.Warn("a consumer skipped a message that the stream holds; fetched it by its sequence", "sequence", sequence)
		}
		return m, err
	}
	// Trimmed, rewound and re-created streams look like holes from here; say which.
	if err := r.Check(ctx); err != nil {
		return m, err
	}
	// Some of what the consumer skipped may be there all the same, further on.
	hole := &HoleError{Missing: sequence, Next: next}
	switch m, err = following(ctx, r.nc, sequence, ">"); {
	case err == nil && m.Sequence == sequence:
		return m, nil // it has come back
	case err == nil:
		hole.Next, hole.After = m.Sequence, m.Digest()
	case !errors.Is(err, errNoMessage):
		return m, err
	}
	return chain.Message{}, hole
}

// owe notes that the stream holds more than has come: on its way, or lost.
func (r *Reader) owe() {
	r.mu.Lock()
	behind := r.end > r.position.Sequence
	r.mu.Unlock()
	switch {
	case !behind:
		r.owed = time.Time{}
	case r.owed.IsZero():
		r.owed = time.Now()
	}
}

// overdue asks for the next message by its sequence, since no consumer brings what
// is missing at the stream's end, nor says so. The consumer that kept silent about
// a message that is there is given up.
func (r *Reader) overdue(ctx context.Context) ([]chain.Message, error) {
	r.mu.Lock()
	next, end := r.position.Sequence+1, r.end
	r.mu.Unlock()
	r.owed = time.Time{}
	m, err := r.repair(ctx, next, end+1)
	if err != nil {
		return nil, err
	}
	r.drop()
	return r.advance(nil, m), nil
}

// drop gives the consumer up; the next step makes one that begins where we are.
func (r *Reader) drop() {
	if r.pull != nil {
		r.pull.close()
		r.pull = nil
	}
}

// pause waits, and reports whether the time went by.
func (r *Reader) pause(ctx context.Context, d time.Duration) bool {
	r.wait.Reset(d)
	select {
	case <-r.wait.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *Reader) note(err error) {
	if err == nil {
		r.trouble.Store(nil)
		return
	}
	r.trouble.Store(&err)
	r.o.Logger.Debug("reading the stream; trying again", "error", err)
}

// Trouble is why the reader is getting nowhere at the moment; nil when it is fine,
// or has not noticed yet. It may be called from any goroutine.
func (r *Reader) Trouble() error {
	if e := r.trouble.Load(); e != nil {
		return *e
	}
	return nil
}

// Position is where reading stands: after the last message that Next returned. It
// may be called from any goroutine, and hashes that message.
func (r *Reader) Position() chain.Position {
	r.mu.Lock()
	at, last := r.position, r.last
	r.mu.Unlock()
	if last.Sequence > 0 {
		at.Digest = last.Digest()
	}
	return at
}

// Identity is the stream's, as it was found when the reader was opened.
func (r *Reader) Identity() Identity {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.identity
}

// Close ends the reading. The connection stays open; it is the caller's.
func (r *Reader) Close() {
	r.drop()
	r.nc.RemoveStatusListener(r.status)
	r.wait.Stop()
	if r.err == nil {
		r.err = ErrReaderClosed
	}
}

// ErrReaderClosed is Next after Close.
var ErrReaderClosed = errors.New("ingest: the reader is closed; open another one at the ledger's position")

// final tells a verdict from a passing trouble.
func final(err error) bool {
	var (
		rewound   *RewoundError
		forked    *ForkedError
		recreated *RecreatedError
		retention *RetentionError
		hole      *HoleError
	)
	return errors.As(err, &rewound) || errors.As(err, &forked) || errors.As(err, &recreated) ||
		errors.As(err, &retention) || errors.As(err, &hole) || errors.Is(err, ErrNoStream)
}
