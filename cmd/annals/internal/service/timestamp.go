package service

import (
	"context"
	"time"

	"annals/cmd/annals/internal/tsa"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// Timestamps says who signs the times of checkpoints.
type Timestamps struct {
	Authority tsa.Authority // an empty URL: nobody
	Every     time.Duration // 0: [tsa.DefaultEvery]
}

// timestamp begins to have checkpoints timestamped. Nothing waits for it.
func (s *Service) timestamp() {
	if s.o.Timestamps.Authority.URL == "" || s.keeper == nil {
		return
	}
	stamper := tsa.Stamper{
		Authority: s.o.Timestamps.Authority, Every: s.o.Timestamps.Every, Logger: s.o.Logger,
		Next: func(ctx context.Context, after uint64) (proof.Checkpoint, error) {
			for {
				c, err := s.signer.Next(ctx, after)
				grown := err == nil
				if grown {
					grown, err = s.grown(ctx, after, c.Size)
				}
				if grown || err != nil {
					return proof.Checkpoint{Origin: s.ledger.Genesis().Origin, Size: c.Size, Root: c.Root, Note: c.Note}, err
				}
				after = c.Size
			}
		},
		Publish: s.keeper.Timestamp,
	}
	s.stopTimestamps = beside(func(ctx context.Context) error {
		stamper.Run(ctx)
		return nil
	})
}

// grown reports whether one of the entries [from, to) is not of the ledger's own making:
// neither a seed, a mark, a trim nor a token.
func (s *Service) grown(ctx context.Context, from, to uint64) (bool, error) {
	for leaf, err := range s.ledger.Leaves(ctx, from, to) {
		if err != nil {
			return false, err
		}
		if leaf.Entry.Kind != chain.KindControl {
			return true, nil
		}
		switch chain.ControlType(leaf.Entry.Code) {
		case chain.ControlSeed, chain.ControlMark, chain.ControlTrim, chain.ControlTimestamp:
		default:
			return true, nil
		}
	}
	return false, nil
}
