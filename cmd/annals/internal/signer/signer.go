// Package signer signs checkpoints (C2SP tlog-checkpoint): statements that the
// ledger's tree has this root at this size.
//
// The rule it exists for: what is signed can't be taken back, so nothing is signed
// that contradicts what was signed before. Each checkpoint is consistent with the
// last one, which is on disk before anybody sees it; it speaks of entries that are
// durable, at a size that is larger, and of a stream that was the ledger's own a
// moment ago. Where one of these doesn't hold, or can't be told, nothing is signed,
// and whoever asks hears why. Reading goes on.
package signer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"annals/cmd/annals/internal/keys"
	"annals/ledger"
	"annals/ledger/chain"
)

// DefaultEvery is how often a growing ledger gets a checkpoint.
const DefaultEvery = time.Second

// leastApart is how soon one checkpoint follows another when somebody asks for it.
const leastApart = 100 * time.Millisecond

// Options of a signer. Ledger, Keys, Check and Path are required.
type Options struct {
	Ledger *ledger.Ledger
	Keys   *keys.Folder
	// Check says whether the stream is still the one that the ledger folds; it is
	// asked before each signature.
	Check func(context.Context) error
	// Agreed returns the largest size at which enough replicas show this ledger's root,
	// and the root; its error says why nothing may be signed. nil: this one signs alone.
	Agreed func() (size uint64, root chain.Hash, err error)
	// Path is the data folder, where the last checkpoint is kept.
	Path   string
	Every  time.Duration // 0: [DefaultEvery]
	Logger *slog.Logger  // nil discards

	write func(path string, data []byte) error // nil: to disk; tests lose what was written
}

// Checkpoint is what was signed.
type Checkpoint struct {
	Size uint64     // entries
	Root chain.Hash // RFC 6962 tree hash over them
	Note []byte     // the signed note (C2SP signed-note)
}

// tree is what the signer reads of a ledger.
type tree struct {
	head        func() ledger.Head
	wait        func(ctx context.Context, size uint64) (ledger.Head, error)
	consistency func(from, to uint64) ([]chain.Hash, error)
	keys        func() []chain.KeySpan
}

// Signer signs one ledger's checkpoints. Its methods are safe for concurrent use.
type Signer struct {
	o      Options
	origin string
	tree   tree
	files  files
	wake   chan struct{} // somebody waits for the next one

	signing sync.Mutex // held by whoever signs

	mu        sync.Mutex
	last      Checkpoint    // on disk; size 0 before the first
	published bool          // last was held against the ledger, and may be shown
	signed    time.Time     // when last was
	retired   []Checkpoint  // the last ones by keys that sign no more, by size
	err       error         // why the last attempt came to nothing
	refused   error         // why there will be no other one
	changed   chan struct{} // closed, and made anew, when one of these changes
}

// New returns a signer that goes on from the checkpoint that the data folder holds.
// One that can't be read, that the ledger contradicts or hasn't reached yet keeps
// the signer from signing, not the ledger from serving; see [Signer.Err].
func New(o Options) *Signer {
	l := o.Ledger
	named := func() []chain.KeySpan {
		state := l.Head().State
		return state.Keys()
	}
	return open(o, l.Genesis().Origin, tree{head: l.Head, wait: l.Wait, consistency: l.Consistency, keys: named})
}

func open(o Options, origin string, t tree) *Signer {
	if o.Every == 0 {
		o.Every = DefaultEvery
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Signer{
		o: o, origin: origin, tree: t, files: newFiles(o.Path, o.write),
		wake: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	var err error
	if s.retired, err = s.files.retired(); err != nil {
		o.Logger.Error("a checkpoint by a key that signs no more can't be read, and is not in /keys: whoever knows that key only can't follow; bring the file back", "error", err)
	}
	if s.last, s.signed, err = s.files.last(); err != nil {
		_ = s.refuse(err)
		return s
	}
	s.adopt()
	return s
}

// Run signs until ctx ends, once in a while as the ledger grows, and sooner when
// somebody waits. It returns no error: what fails is tried again, and the log says
// so.
func (s *Signer) Run(ctx context.Context) {
	defer s.end()
	tick := time.NewTicker(s.o.Every)
	defer tick.Stop()
	last := time.Time{}
	for {
		select {
		case <-tick.C:
		case <-s.wake:
			if !sleep(ctx, leastApart-time.Since(last)) {
				return
			}
		case <-ctx.Done():
			return
		}
		last = time.Now()
		s.attempt(ctx)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Sign signs a checkpoint now, if the ledger has grown since the last one.
func (s *Signer) Sign(ctx context.Context) error {
	s.attempt(ctx)
	return s.Err()
}

// ErrStopped says that the signer signs no more because it was stopped.
var ErrStopped = errors.New("no more checkpoints are signed: the server is stopping")

func (s *Signer) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused == nil {
		s.refused = ErrStopped
	}
	s.signal()
}

// signal tells whoever waits that something changed. The caller holds the lock.
func (s *Signer) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Latest returns the last checkpoint, which is on disk and which the ledger holds;
// false when there is none to show.
func (s *Signer) Latest() (Checkpoint, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.published {
		return Checkpoint{}, false
	}
	return s.last, true
}

// Retired returns, for each key that signs no more, the last checkpoint that it
// signed, by size.
func (s *Signer) Retired() []Checkpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.retired
}

// Err returns why no checkpoint is signed at the moment; nil when the last attempt
// went well.
func (s *Signer) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused != nil {
		return s.refused
	}
	return s.err
}

// Next returns the last checkpoint as soon as it is of more than after entries. It
// asks for none: whoever follows the checkpoints takes them as they come.
func (s *Signer) Next(ctx context.Context, after uint64) (Checkpoint, error) {
	for {
		s.mu.Lock()
		last, published, changed := s.last, s.published, s.changed
		s.mu.Unlock()
		if published && last.Size > after {
			return last, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Checkpoint{}, ctx.Err()
		}
	}
}

// Await returns the first checkpoint of at least size entries, once it is on disk.
// It waits for the ledger to have so many, and asks for a checkpoint then; it waits
// as long as ctx allows, and returns at once when none will come.
func (s *Signer) Await(ctx context.Context, size uint64) (Checkpoint, error) {
	for asked := false; ; {
		s.mu.Lock()
		last, published, refused, why, changed := s.last, s.published, s.refused, s.err, s.changed
		s.mu.Unlock()
		switch {
		case published && last.Size >= size:
			return last, nil
		case refused != nil:
			return Checkpoint{}, refused
		}
		if !asked {
			if _, err := s.tree.wait(ctx, max(size, 1)-1); err != nil {
				return Checkpoint{}, fmt.Errorf("waiting for entry %d: %w", max(size, 1)-1, err)
			}
			asked = true
			select {
			case s.wake <- struct{}{}:
			default: // somebody has asked already
			}
			continue // it may have come meanwhile
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Checkpoint{}, errors.Join(ctx.Err(), why)
		}
	}
}
