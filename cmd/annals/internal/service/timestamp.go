package service

import (
	"context"
	"time"

	"annals/cmd/annals/internal/tsa"
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
			c, err := s.signer.Next(ctx, after)
			return proof.Checkpoint{Origin: s.ledger.Genesis().Origin, Size: c.Size, Root: c.Root, Note: c.Note}, err
		},
		Publish: s.keeper.Timestamp,
	}
	s.stopTimestamps = beside(func(ctx context.Context) error {
		stamper.Run(ctx)
		return nil
	})
}
