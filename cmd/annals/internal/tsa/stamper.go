package tsa

import (
	"context"
	"log/slog"
	"time"

	"annals/ledger/proof"
)

// Stamper has checkpoints of a growing ledger timestamped.
type Stamper struct {
	Authority Authority
	Every     time.Duration // between two tokens; 0: an hour
	Logger    *slog.Logger
	// Next returns the first signed checkpoint of more than so many entries, of which one
	// is not a ledger's own (a token, a mark), and waits for it: an idle ledger must not
	// grow by tokens over tokens.
	Next func(ctx context.Context, after uint64) (proof.Checkpoint, error)
	// Publish puts a token over a checkpoint into the ledger.
	Publish func(ctx context.Context, c proof.Checkpoint, token []byte) error
}

// DefaultEvery is how often a growing ledger is timestamped.
const DefaultEvery = time.Hour

// The times between two tries, while the authority gives no token.
const (
	firstRetry = 5 * time.Second
	lastRetry  = 10 * time.Minute
)

// Run asks until ctx ends: at once, and then each Every for a ledger that has grown
// since the last token. It returns no error: what fails is tried again,
// later and later, with the checkpoint that is the newest then, and the log says so.
func (s *Stamper) Run(ctx context.Context) {
	every, after, retry := s.Every, uint64(0), time.Duration(0)
	if every <= 0 {
		every = DefaultEvery
	}
	for {
		size, err := s.once(ctx, after)
		pause := every
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if retry == 0 {
				s.Logger.Warn("no timestamp token; recording goes on, and it is tried again", "error", err)
			}
			retry = min(max(2*retry, firstRetry), lastRetry)
			pause = min(retry, every)
		default:
			if retry > 0 {
				s.Logger.Info("the timestamp authority answers again")
			}
			retry, after = 0, size
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// once has the next checkpoint timestamped, and returns its size: what came while the
// authority was asked is for the next one.
func (s *Stamper) once(ctx context.Context, after uint64) (size uint64, err error) {
	c, err := s.Next(ctx, after)
	if err != nil {
		return 0, err
	}
	token, at, err := s.Authority.Ask(ctx, []byte(c.Text()))
	if err != nil {
		return 0, err
	}
	if err := s.Publish(ctx, c, token); err != nil {
		return 0, err
	}
	s.Logger.Info("timestamped", "size", c.Size, "time", at)
	return c.Size, nil
}
