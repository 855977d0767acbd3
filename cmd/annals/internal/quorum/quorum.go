// Package quorum says up to where enough replicas of a ledger show the same tree.
//
// The rule it exists for: what one machine holds may be wrong by its own disk or
// memory, and a checkpoint can't be taken back. So a replica signs only what others
// show as well, each folded from the stream by itself. What a replica shows counts
// once this one has the same root at that size; and for good, since a tree that was
// shown is not shown otherwise later. Two roots at one size end it: one of the two
// is not the ledger, and neither can know which.
package quorum

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"annals/ingest"
	"annals/ledger"
	"annals/ledger/chain"

	"github.com/nats-io/nats.go"
)

const (
	// every is how often a replica shows its head, if that is another, and looks at
	// the others'.
	every = 500 * time.Millisecond
	// late is how long the others may be behind before it is said that nothing is
	// signed.
	late = 10 * time.Second
)

// Options of a quorum. All but the last four are required.
type Options struct {
	Ledger   *ledger.Ledger
	Conn     *nats.Conn
	Name     string   // of this replica
	Replicas []string // all of them, this one too
	Need     int      // how many have to show the same tree, this one counted in
	// Check says whether the stream is still the ledger's: what is shown on a
	// stranger's connection is nobody's word.
	Check func(context.Context) error

	// Fork is told, once, of two roots at one size; nil: nobody is.
	Fork   func(*ForkError)
	Logger *slog.Logger     // nil discards
	Every  time.Duration    // 0: half a second
	Now    func() time.Time // the clock; nil: time.Now
}

// ForkError says that another replica shows another root at a size that this one has
// too.
type ForkError struct {
	Replica     string
	Size        uint64
	Root, Other chain.Hash // this ledger's, and the replica's
}

func (e *ForkError) Error() string {
	return fmt.Sprintf("TWO HISTORIES OF THIS LEDGER: at size %d replica %s shows the root %s, and this one has %s: nothing more is recorded or signed here; "+
		"keep the folders of both, they are evidence, and compare each with a head that was kept outside", e.Size, e.Replica, e.Other, e.Root)
}

// Quorum follows what the replicas show.
type Quorum struct {
	o     Options
	ready bool // their stream is there
	shown ingest.ReplicaHead

	mu      sync.Mutex
	others  map[string]*other
	fork    *ForkError
	last    uint64    // what was agreed on last, and since when it is so
	moved   time.Time // … or this replica was level with it
	trouble error     // why the others can't be heard
}

// other is what is known of another replica.
type other struct {
	size    uint64             // the most at which it showed this ledger's root
	pending ingest.ReplicaHead // a head that this ledger has yet to reach; size 0: none
	odd     string             // what it shows instead of a head
}

// New returns a quorum that knows nothing of the others yet.
func New(o Options) *Quorum {
	if o.Every == 0 {
		o.Every = every
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	q := &Quorum{o: o, others: map[string]*other{}, moved: o.Now()}
	for _, name := range o.Replicas {
		if name != o.Name {
			q.others[name] = new(other)
		}
	}
	return q
}

// Run shows this replica's head and looks at the others' until ctx ends.
func (q *Quorum) Run(ctx context.Context) {
	tick := time.NewTicker(q.o.Every)
	defer tick.Stop()
	failing := false
	for {
		err := q.Step(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failing {
			q.o.Logger.Warn("the other replicas' heads can't be compared; trying again", "error", err)
		}
		failing = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Step does so once.
func (q *Quorum) Step(ctx context.Context) error {
	err := q.exchange(ctx)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.trouble = err
	q.note()
	return err
}

func (q *Quorum) exchange(ctx context.Context) error {
	if err := q.o.Check(ctx); err != nil {
		return err
	}
	if !q.ready {
		if err := ingest.EnsureHeads(ctx, q.o.Conn); err != nil {
			return err
		}
		q.ready = true
	}
	head := q.o.Ledger.Head()
	own := ingest.ReplicaHead{Name: q.o.Name, Ledger: q.o.Ledger.ID(), Size: head.Size, Root: head.Root}
	if own != q.shown {
		if err := ingest.ShowHead(ctx, q.o.Conn, own); err != nil {
			q.ready = false // it may have been taken away
			return err
		}
		q.shown = own
	}
	heads, err := ingest.Heads(ctx, q.o.Conn)
	if err != nil {
		q.ready, q.shown = false, ingest.ReplicaHead{}
		return err
	}
	if q.shown != heads[q.o.Name] {
		q.shown = ingest.ReplicaHead{} // withdrawn, or another runs under this name
	}
	for name := range q.others {
		if shown, ok := heads[name]; ok {
			if err := q.hear(shown); err != nil {
				return err
			}
		}
	}
	return nil
}

// hear takes in what another replica shows. One that is further than this ledger is
// remembered until this ledger is there: by then it shows something else.
func (q *Quorum) hear(shown ingest.ReplicaHead) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	o := q.others[shown.Name]
	o.odd = ""
	switch {
	case shown.Ledger.IsZero():
		o.odd = "shows what can't be read"
		return nil
	case shown.Ledger != q.o.Ledger.ID():
		o.odd = "is of another ledger"
		return nil
	case o.pending.Size == 0 || shown.Size < o.pending.Size:
		o.pending = shown
	}
	for _, h := range []ingest.ReplicaHead{o.pending, shown} {
		if h.Size == 0 || h.Size > q.o.Ledger.Head().Size {
			continue
		}
		root, err := q.o.Ledger.RootAt(h.Size)
		if err != nil {
			return err
		}
		if root != h.Root {
			q.split(&ForkError{Replica: h.Name, Size: h.Size, Root: root, Other: h.Root})
			return nil
		}
		o.size, o.pending = max(o.size, h.Size), ingest.ReplicaHead{}
	}
	return nil
}

// split ends it. The caller holds the lock.
func (q *Quorum) split(fork *ForkError) {
	if q.fork != nil {
		return
	}
	q.fork = fork
	q.o.Logger.Error("two replicas disagree", "error", fork)
	if q.o.Fork != nil {
		q.o.Fork(fork)
	}
}

// Agreed returns the largest size at which enough replicas show this ledger's root,
// and the root; 0 where there is none yet. An error says that nothing may be signed:
// a *[ForkError], or that the others have been behind for a while.
func (q *Quorum) Agreed() (size uint64, root chain.Hash, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fork != nil {
		return 0, root, q.fork
	}
	head := q.o.Ledger.Head()
	size = q.reached(head.Size)
	if size < head.Size && q.o.Now().Sub(q.moved) >= late {
		return size, root, q.behind(size)
	}
	if size > 0 {
		root, err = q.o.Ledger.RootAt(size)
	}
	return size, root, err
}

// reached is the largest size that enough replicas have reached, where this one has
// so many entries. The caller holds the lock.
func (q *Quorum) reached(own uint64) uint64 {
	sizes := []uint64{own}
	for _, o := range q.others {
		sizes = append(sizes, min(o.size, own))
	}
	slices.Sort(sizes)
	return sizes[len(sizes)-q.o.Need]
}

// note notes how far it has come, and when that was last further. The caller holds
// the lock.
func (q *Quorum) note() {
	own := q.o.Ledger.Head().Size
	if size := q.reached(own); size > q.last || size == own {
		q.last, q.moved = size, q.o.Now()
	}
}

// behind says who keeps the ledger from being signed. The caller holds the lock.
func (q *Quorum) behind(size uint64) error {
	var why []string
	for _, name := range slices.Sorted(maps.Keys(q.others)) {
		switch o := q.others[name]; {
		case o.odd != "":
			why = append(why, name+" "+o.odd)
		case o.size == 0 && o.pending.Size == 0:
			why = append(why, name+" has shown nothing yet")
		case o.size <= size:
			why = append(why, fmt.Sprintf("%s has shown size %d", name, o.size))
		}
	}
	err := fmt.Errorf("%d replicas have to show the same tree, and no more than up to size %d do so: %s; start those that are down, or see their /readyz", q.o.Need, size, strings.Join(why, ", "))
	if q.trouble != nil {
		err = fmt.Errorf("%w (and they can't be asked: %w)", err, q.trouble)
	}
	return err
}
