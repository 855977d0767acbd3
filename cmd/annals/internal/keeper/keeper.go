// Package keeper publishes the ledger's own control messages: seeds, which salt
// payloads, marks, which bracket the ledger between witnessed times, and trims,
// which let the stream's beginning go; and it removes what a trim lets go.
//
// The rule it exists for: nothing depends on who keeps. The fold enforces no
// seed and no mark; whichever replica finds one due publishes it, and the
// server lets in only what follows the last control message that its publisher
// has folded. Losing that race is the ordinary case, and means that it is done.
// Nothing is removed from the stream but what the ledger says may go.
package keeper

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"annals/ingest"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/nats-io/nats.go"
)

// When a seed or a mark is due (docs/format/control.md).
const (
	seedAge      = time.Hour
	seedMessages = 65536
	markAge      = time.Minute - 5*time.Second // "at least each minute": so before it is over
	idleMarkAge  = 6 * time.Hour
)

// markWait is how long Mark waits for its mark to be recorded.
const markWait = time.Second

// Options of a keeper. Ledger, Conn, Signer and Check are required.
type Options struct {
	Ledger *ledger.Ledger
	Conn   *nats.Conn
	// Signer returns the key that is in force for the ledger's role.
	Signer func(*chain.State) (chain.Signer, error)
	// Check says whether the stream is still the one that the ledger folds; it is
	// asked before each signature.
	Check  func(context.Context) error
	Logger *slog.Logger
	// Cosigned returns the size of the last checkpoint that enough witnesses cosigned,
	// and the SHA-256 of its note; zeros while there is none. nil: there is none.
	Cosigned func() (size uint64, hash chain.Hash)
	// Heads remembers what the last marks commit to; nil: nobody asks.
	Heads *HeadsMaps

	// Trim, unless nil, has the stream trimmed.
	Trim *TrimOptions

	// ExpireEvery is how often it looks for what a retention rule lets go; 0: never.
	ExpireEvery time.Duration
	late        time.Duration // 0: expireLate

	Every time.Duration    // how often it looks; 0: a second
	Now   func() time.Time // the clock; nil: time.Now
}

// Keeper keeps one ledger.
type Keeper struct {
	o       Options
	trimmer trimmer
	expirer expirer
	// expireAsked is what Expire leaves for Run, which alone has the expirer.
	expireAsked asking
	status      atomic.Pointer[TrimStatus]
}

// New returns a keeper.
func New(o Options) *Keeper {
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.Heads == nil {
		o.Heads = new(HeadsMaps)
	}
	if o.Cosigned == nil {
		o.Cosigned = func() (uint64, chain.Hash) { return 0, chain.Hash{} }
	}
	if o.late == 0 {
		o.late = expireLate
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Trim != nil {
		trim := *o.Trim
		if trim.Every == 0 {
			trim.Every = trimEvery
		}
		o.Trim = &trim
	}
	return &Keeper{o: o}
}

// due says which control message is due; 0: none.
//
// A seed is due by its age only once it has salted something that no mark
// covers: an idle ledger would otherwise grow by a seed each hour, and by a mark
// for the seed, for ever.
func due(s *chain.State, now time.Time) chain.ControlType {
	grown := s.Size > s.MarkSize
	seed := now.Sub(time.UnixMilli(s.SeedMillis))
	mark := now.Sub(time.UnixMilli(s.Wall))
	switch {
	case s.Sequence-s.SeedSequence >= seedMessages, grown && seed >= seedAge:
		return chain.ControlSeed
	case grown && mark >= markAge, mark >= idleMarkAge:
		return chain.ControlMark
	}
	return 0
}

// Run publishes what is due until ctx ends. It returns no error: what fails is
// tried again, and the log says so.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(k.o.Every)
	defer tick.Stop()
	var failing bool
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if k.o.Ledger.Err() != nil {
			return // nothing will be recorded any more
		}
		err := k.step(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			k.o.Logger.Warn("keeping the ledger failed; trying again", "error", err)
		case err == nil && failing:
			k.o.Logger.Info("keeping the ledger works again")
		}
		failing = err != nil
	}
}

func (k *Keeper) step(ctx context.Context) error {
	head := k.o.Ledger.Head()
	var sequence uint64
	var err error
	switch due(&head.State, k.o.Now()) {
	case chain.ControlSeed:
		sequence, err = k.seed(ctx, &head.State)
	case chain.ControlMark:
		sequence, err = k.mark(ctx)
	default:
		if k.o.Trim != nil {
			sequence, err = k.trim(ctx)
		}
		if sequence == 0 && err == nil {
			return k.expire(ctx)
		}
	}
	if err != nil {
		var race *ingest.RaceError
		if errors.As(err, &race) {
			sequence, err = race.Last, nil // done by another; fold it, then look again
		} else {
			return err
		}
	}
	return k.folded(ctx, sequence)
}

// folded waits until the ledger has folded a sequence, for some seconds: to look
// again before would only lose a race against ourselves.
func (k *Keeper) folded(ctx context.Context, sequence uint64) error {
	if sequence == 0 { // a cluster doesn't say which message came first
		select {
		case <-time.After(200 * time.Millisecond):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	head := k.o.Ledger.Head()
	for head.State.Sequence < sequence {
		var err error
		if head, err = k.o.Ledger.Wait(ctx, head.Size); err != nil {
			return fmt.Errorf("waiting for message %d to be recorded: %w", sequence, err)
		}
	}
	return nil
}

// Mark publishes a mark now, due or not, and returns once the stream has
// acknowledged it, and the ledger recorded it, unless that is so far behind that
// it takes more than a second. serve calls it before it lets producers in, so
// that the first record's time is not clamped to a mark from before the server
// was stopped: for that the mark's place in the stream is enough, and a server
// that was killed under load need not be kept from its producers by what it has
// still to fold.
func (k *Keeper) Mark(ctx context.Context) error {
	for {
		sequence, err := k.mark(ctx)
		var race *ingest.RaceError
		if errors.As(err, &race) {
			// Another control message came in between; its number is known once it is
			// folded, however long that takes, unless the fold stands in front of it.
			if err := k.foldedOr(ctx, race.Last); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		waiting, cancel := context.WithTimeout(ctx, markWait)
		defer cancel()
		err = k.folded(waiting, sequence)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return nil
		}
		return err
	}
}

// foldedOr waits until the ledger has folded a sequence, or something keeps it from
// signing.
func (k *Keeper) foldedOr(ctx context.Context, sequence uint64) error {
	for {
		waiting, cancel := context.WithTimeout(ctx, markWait)
		err := k.folded(waiting, sequence)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if err := k.o.Check(ctx); err != nil {
			return fmt.Errorf("no mark was signed: %w", err)
		}
	}
}

// mark publishes a mark that speaks of the durable head.
func (k *Keeper) mark(ctx context.Context) (uint64, error) {
	cosigned, hash := k.o.Cosigned() // before the head, which it is never ahead of
	head, rows, err := k.o.Ledger.HeadsMap(ctx)
	if err != nil {
		return 0, fmt.Errorf("the workspaces' heads: %w", err)
	}
	signer, err := k.o.Signer(&head.State)
	if err != nil {
		return 0, fmt.Errorf("no mark was signed: %w", err)
	}
	heads := proof.NewHeadsMap(rows)
	body := chain.SealMark(k.o.Ledger.ID(), head.State.Control, head.Size, head.Root,
		chain.Mark{Wall: k.o.Now().UnixNano(), Heads: heads.Root(), CosignedSize: cosigned, CosignedHash: hash}, signer)
	sequence, err := k.publish(ctx, chain.ControlMark, body, head.State.ControlSequence)
	if err == nil {
		k.o.Heads.keep(sequence, head.Size, heads)
	}
	return sequence, err
}

// seed publishes the next seed.
func (k *Keeper) seed(ctx context.Context, s *chain.State) (uint64, error) {
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return 0, err
	}
	signer, err := k.o.Signer(s)
	if err != nil {
		return 0, fmt.Errorf("no seed was signed: %w", err)
	}
	body := chain.SealSeed(k.o.Ledger.ID(), s.Control, s.Seed+1, secret, signer)
	return k.publish(ctx, chain.ControlSeed, body, s.ControlSequence)
}

func (k *Keeper) publish(ctx context.Context, t chain.ControlType, body []byte, last uint64) (uint64, error) {
	if err := k.o.Check(ctx); err != nil {
		return 0, fmt.Errorf("no %s was signed: %w", t, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	sequence, err := ingest.PublishControl(ctx, k.o.Conn, t.Subject(), body, last)
	if err != nil {
		return 0, fmt.Errorf("publishing a %s: %w", t, err)
	}
	k.o.Logger.Debug("published", "control", t.String(), "sequence", sequence)
	return sequence, nil
}
