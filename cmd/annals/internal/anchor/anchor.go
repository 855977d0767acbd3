package anchor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"annals/cmd/annals/internal/audit"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// DefaultEvery is how often a head is put into each place, if there is a newer one.
	DefaultEvery = 5 * time.Minute
	// tryTimeout bounds one attempt.
	tryTimeout = 30 * time.Second
)

// Options of anchors. All but Every and Logger are required.
type Options struct {
	Places []Place
	Ledger chain.Hash // the ledger's id
	// Next returns the last checkpoint once it is of more than after entries.
	Next func(ctx context.Context, after uint64) (proof.Checkpoint, error)
	// Leaf is the leaf hash of an entry.
	Leaf func(index uint64) (chain.Hash, error)
	// Consistency is the proof that one tree begins with another (RFC 6962, 2.1.2).
	Consistency func(from, to uint64) ([]chain.Hash, error)
	Every       time.Duration // 0: [DefaultEvery]
	Logger      *slog.Logger  // nil discards
}

// Anchors puts a ledger's heads into places. Its methods are safe for concurrent use.
type Anchors struct {
	o Options

	mu    sync.Mutex
	state []state // by place
}

// state is what is known of a place.
type state struct {
	size     uint64 // of the head that stands there, as far as is known
	failures uint64
	err      error // why the last attempt came to nothing
}

// New returns anchors.
func New(o Options) *Anchors {
	if o.Every == 0 {
		o.Every = DefaultEvery
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Anchors{o: o, state: make([]state, len(o.Places))}
}

// Run puts heads into the places until ctx ends, each in its own time: one that hangs
// holds up no other. It returns no error: what fails is tried again, and the log says
// so.
func (a *Anchors) Run(ctx context.Context) {
	var running sync.WaitGroup
	for i := range a.o.Places {
		running.Go(func() { a.follow(ctx, i) })
	}
	running.Wait()
}

func (a *Anchors) follow(ctx context.Context, i int) {
	defer func() { _ = a.o.Places[i].Close() }() // what was put there is there
	for {
		a.mu.Lock()
		size := a.state[i].size
		a.mu.Unlock()
		c, err := a.o.Next(ctx, size)
		if err != nil {
			return
		}
		trying, cancel := context.WithTimeout(ctx, tryTimeout)
		stands, err := a.put(trying, a.o.Places[i], &c)
		cancel()
		if ctx.Err() != nil {
			return
		}
		a.tried(i, stands, err)
		select {
		case <-time.After(a.o.Every):
		case <-ctx.Done():
			return
		}
	}
}

// put puts a checkpoint into a place, if what stands there is its beginning. It
// returns the size of the head that stands there then.
func (a *Anchors) put(ctx context.Context, p Place, c *proof.Checkpoint) (uint64, error) {
	b, err := p.Get(ctx)
	if err != nil {
		return 0, err
	}
	if b != nil {
		old, err := audit.ParseRemembered(b)
		if err != nil {
			return 0, fmt.Errorf("something else stands there, and is left alone: %w", err)
		}
		if err := a.follows(old, c); err != nil || old.Size == c.Size {
			return old.Size, err
		}
	}
	leaf, err := a.o.Leaf(c.Size - 1)
	if err != nil {
		return 0, err
	}
	b, err = (&audit.Remembered{Ledger: a.o.Ledger, Head: proof.Head{Size: c.Size, Root: c.Root, LastLeaf: leaf}, Note: string(c.Note)}).Bytes()
	if err != nil {
		return 0, err
	}
	return c.Size, p.Put(ctx, b, c.Size)
}

// ErrContradicted says that a place keeps a head which is not this ledger's.
var ErrContradicted = errors.New("THE ANCHOR KEEPS ANOTHER HISTORY, and is left as it is: keep both, they are evidence")

// follows checks that a checkpoint goes on from a head that was kept.
func (a *Anchors) follows(old *audit.Remembered, c *proof.Checkpoint) error {
	switch {
	case old.Ledger != a.o.Ledger:
		return fmt.Errorf("the head of ledger %s stands there, and is left alone: give each ledger a place of its own", old.Ledger)
	case old.Size > c.Size:
		return fmt.Errorf("a head of %d entries stands there, and the ledger signs for %d: it was restored from an older copy, and the anchor is left as it is", old.Size, c.Size)
	case old.Size == c.Size && old.Root != c.Root:
		return fmt.Errorf("%w: of %d entries, with root %s; here it is %s", ErrContradicted, old.Size, old.Root, c.Root)
	case old.Size == c.Size || old.Size == 0:
		return nil
	}
	between, err := a.o.Consistency(old.Size, c.Size)
	if err != nil {
		return fmt.Errorf("the tree's nodes can't be read: %w", err)
	}
	if err := proof.CheckConsistency(old.Size, old.Root, c.Size, c.Root, between); err != nil {
		return fmt.Errorf("%w: %w", ErrContradicted, err)
	}
	return nil
}

// tried takes down how an attempt went.
func (a *Anchors) tried(i int, size uint64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &a.state[i]
	switch {
	case err == nil:
		if s.err != nil {
			a.o.Logger.Info("heads are anchored again", "anchor", a.o.Places[i].String(), "size", size)
		}
		s.size = size
	default:
		s.failures++
		if s.err == nil || errors.Is(err, ErrContradicted) && !errors.Is(s.err, ErrContradicted) {
			level := slog.LevelWarn
			if errors.Is(err, ErrContradicted) {
				level = slog.LevelError
			}
			a.o.Logger.Log(context.Background(), level, "a head was not anchored; trying again", "anchor", a.o.Places[i].String(), "error", err)
		}
	}
	s.err = err
}

var (
	sizeDesc    = prometheus.NewDesc("annals_anchor_size", "Entries of the last head that was put into the anchor since the server started.", []string{"anchor"}, nil)
	failureDesc = prometheus.NewDesc("annals_anchor_failures_total", "Attempts to anchor a head that came to nothing.", []string{"anchor"}, nil)
	failingDesc = prometheus.NewDesc("annals_anchor_failing", "1 while the last attempt came to nothing, else 0. The log says why.", []string{"anchor"}, nil)
)

// Describe implements [prometheus.Collector].
func (a *Anchors) Describe(out chan<- *prometheus.Desc) {
	out <- sizeDesc
	out <- failureDesc
	out <- failingDesc
}

// Collect implements [prometheus.Collector].
func (a *Anchors) Collect(out chan<- prometheus.Metric) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, s := range a.state {
		name := a.o.Places[i].String()
		failing := 0.0
		if s.err != nil {
			failing = 1
		}
		out <- prometheus.MustNewConstMetric(sizeDesc, prometheus.GaugeValue, float64(s.size), name)
		out <- prometheus.MustNewConstMetric(failureDesc, prometheus.CounterValue, float64(s.failures), name)
		out <- prometheus.MustNewConstMetric(failingDesc, prometheus.GaugeValue, failing, name)
	}
}
