package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ReceiptOptions say where receipts are kept. Dir or Bucket is required.
type ReceiptOptions struct {
	// Dir is a folder, made when absent; two processes need a folder each.
	Dir string
	// Bucket is a key-value bucket, of this producer's account or another one's.
	Bucket jetstream.KeyValue

	// Payloads keeps what was published in the receipts. Without, they show the
	// salt, by which whoever has the bytes still proves that they are of them. Both
	// are personal data as the records are, and the claims' digests too.
	Payloads bool
	// Room bounds, in bytes, the records that wait to be written down. Default 16
	// MiB. Beyond it claims are left out, and counted: publishing waits for nothing
	// here.
	Room int
	// Pending bounds the claims that a receipt is still asked for. Default 65,536.
	// Those beyond it, and those given up, keep their claim.
	Pending int
	// Asking bounds the questions that are under way. Default 4.
	Asking int
	// First is how long after an acknowledgement a receipt is asked for; default 1 s,
	// by when a checkpoint covers the record. Patience is how long it is asked for;
	// default an hour.
	First, Patience time.Duration
	// Linger is how long Close waits for receipts that are still asked for; default
	// 10 s, below 0 not at all.
	Linger time.Duration

	Logger *slog.Logger // nil discards
}

func (o *ReceiptOptions) defaults() {
	if o.Room <= 0 {
		o.Room = 16 << 20
	}
	if o.Pending <= 0 {
		o.Pending = 64 << 10
	}
	if o.Asking <= 0 {
		o.Asking = 4
	}
	if o.First <= 0 {
		o.First = time.Second
	}
	if o.Patience <= 0 {
		o.Patience = time.Hour
	}
	if o.Linger == 0 {
		o.Linger = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Receipts keep, for the producer, what it was told: of each acknowledged record
// the claim at once, and later its receipt, which is asked for beside the
// publishing. `annals reconcile` holds both against the ledger. A [Publisher] that
// has them as an option fills them; it never waits for them.
//
// What was kept before without a receipt is asked for again after a restart.
type Receipts struct {
	o     ReceiptOptions
	nc    *nats.Conn
	kept  *keptReceipts
	ctx   context.Context // ends with Close
	stop  context.CancelFunc
	news  chan struct{} // something is taken
	moved chan struct{} // something is due, or settled
	ended sync.WaitGroup

	mu    sync.Mutex
	taken []taken // not written down yet
	room  int     // bytes of theirs
	due   waitingClaims
	asked int // questions under way
	busy  bool
	stats ReceiptStats
	shut  bool
}

// ReceiptStats count since the start.
type ReceiptStats struct {
	Claims   uint64 // written down
	Receipts uint64 // that came
	Pending  int    // claims whose receipt is still asked for
	Dropped  uint64 // acknowledgements that were not written down: Room was used up, or writing failed
	GivenUp  uint64 // claims whose receipt is asked for no more
}

// NewReceipts opens a keeping. The connection stays the caller's; Close ends the
// keeping, after the publishers that fill it.
func NewReceipts(ctx context.Context, nc *nats.Conn, o ReceiptOptions) (*Receipts, error) {
	o.defaults()
	if (o.Dir == "") == (o.Bucket == nil) {
		return nil, errors.New("ingest: receipts are kept in a folder or in a bucket: name one of the two")
	}
	kept, err := openKept(&o)
	if err != nil {
		return nil, fmt.Errorf("ingest: opening the receipts: %w", err)
	}
	r := &Receipts{o: o, nc: nc, kept: kept, news: make(chan struct{}, 1), moved: make(chan struct{}, 1)}
	r.ctx, r.stop = context.WithCancel(context.Background())
	for k, err := range kept.all(ctx) {
		if err != nil {
			r.stop()
			return nil, errors.Join(fmt.Errorf("ingest: reading the receipts: %w", err), kept.close())
		}
		if k.Receipt == nil && len(r.due) < o.Pending {
			r.due.add(asking{claim: k.Claim, at: time.Now(), until: time.Now().Add(o.Patience)})
		}
	}
	r.ended.Go(r.write)
	r.ended.Go(r.ask)
	return r, nil
}

// taken is an acknowledged record that waits to be written down.
type taken struct {
	subject, stream, id string
	sequence            uint64
	place               uint16
	record              []byte
	at                  time.Time
}

// take notes an acknowledged record. It copies the bytes, and waits for nothing.
func (r *Receipts) take(t taken) {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := len(t.record) + recordCost
	if r.shut || r.room+size > r.o.Room {
		r.stats.Dropped++
		return
	}
	t.record = append([]byte(nil), t.record...)
	r.room += size
	r.taken = append(r.taken, t)
	nudge(r.news)
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// write writes down what was taken, until Close.
func (r *Receipts) write() {
	for {
		r.mu.Lock()
		batch := r.taken
		r.taken, r.busy = nil, len(batch) > 0
		r.mu.Unlock()
		if len(batch) == 0 {
			select {
			case <-r.news:
				continue
			case <-r.ctx.Done():
				return
			}
		}
		r.put(batch)
	}
}

// put writes claims down, and has their receipts asked for.
func (r *Receipts) put(batch []taken) {
	claims := make([]Claim, len(batch))
	size := 0
	for i := range batch {
		claims[i] = claimOf(&batch[i])
		size += len(batch[i].record) + recordCost
	}
	written, err := r.kept.putClaims(r.ctx, claims)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy = false
	r.room -= size
	r.stats.Claims += uint64(written)
	r.stats.Dropped += uint64(len(claims) - written)
	if err != nil {
		r.o.Logger.Warn("what was acknowledged could not be written down", "claims", len(claims)-written, "error", err)
	}
	for i := range claims[:written] {
		if len(r.due)+r.asked >= r.o.Pending {
			r.stats.GivenUp += uint64(written - i)
			break
		}
		at := batch[i].at.Add(r.o.First)
		r.due.add(asking{claim: claims[i], at: at, until: at.Add(r.o.Patience)})
	}
	nudge(r.moved)
}

// Stats are the counts so far.
func (r *Receipts) Stats() ReceiptStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Pending = len(r.due) + r.asked + len(r.taken)
	return s
}

// ErrOutstanding: receipts have not come. Their claims are kept, and the next start
// asks for them again.
var ErrOutstanding = errors.New("ingest: receipts are outstanding")

// left is how many records are not written down, and how many have no receipt.
func (r *Receipts) left() (unwritten, outstanding int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	unwritten = len(r.taken)
	if r.busy {
		unwritten++
	}
	return unwritten, len(r.due) + r.asked
}

// until waits until a condition holds, looking again after each step.
func (r *Receipts) until(ctx context.Context, step time.Duration, holds func() bool) error {
	for !holds() {
		select {
		case <-time.After(step):
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.ctx.Done():
			return ErrClosed
		}
	}
	return nil
}

// settled reports whether every claim is written down and has its receipt, or was
// given up.
func (r *Receipts) settled() bool {
	unwritten, outstanding := r.left()
	return unwritten+outstanding == 0
}

// Flush waits until every claim so far is written down and has its receipt, or was
// given up. When ctx ends first the error wraps [ErrOutstanding] and says how many
// have not.
func (r *Receipts) Flush(ctx context.Context) error {
	err := r.until(ctx, 10*time.Millisecond, r.settled)
	if err == nil || errors.Is(err, ErrClosed) {
		return err
	}
	unwritten, outstanding := r.left()
	return fmt.Errorf("%w: %d records have none yet: %w", ErrOutstanding, unwritten+outstanding, err)
}

// Close writes down what was taken, waits for the receipts that are asked for, for
// as long as ctx and Linger allow, and stops. An error that wraps [ErrOutstanding]
// says how many have not come: their claims are kept, and the next start asks again.
func (r *Receipts) Close(ctx context.Context) error {
	r.mu.Lock()
	again := r.shut
	r.shut = true
	r.mu.Unlock()
	if again {
		r.ended.Wait()
		return nil
	}
	late := r.until(ctx, time.Millisecond, func() bool { unwritten, _ := r.left(); return unwritten == 0 })
	if late != nil {
		late = fmt.Errorf("ingest: writing down what was acknowledged: %w", late)
	} else if r.o.Linger > 0 {
		waiting, done := context.WithTimeout(ctx, r.o.Linger)
		_ = r.until(waiting, time.Millisecond, r.settled)
		done()
	}
	r.stop()
	r.ended.Wait()
	if _, outstanding := r.left(); outstanding > 0 {
		late = errors.Join(late, fmt.Errorf("%w: %d claims have none yet; they are kept, and asked for at the next start", ErrOutstanding, outstanding))
	}
	return errors.Join(late, r.kept.close())
}
