package service

import (
	"context"
	"strings"

	"annals/cmd/annals/internal/anchor"
	"annals/cmd/annals/internal/audit"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// knowAnchors takes the anchors' names. What names none is refused before anything
// else is done, and so is a file in the data folder: whoever changes the ledger there
// changes that too.
func (s *Service) knowAnchors() error {
	for _, spec := range s.o.Anchors {
		if path, ok := strings.CutPrefix(spec, "file:"); ok {
			if err := audit.Outside(strings.TrimPrefix(path, "//"), s.o.Data); err != nil {
				return err
			}
		}
		p, err := anchor.Open(spec)
		if err != nil {
			return err
		}
		s.places = append(s.places, p)
	}
	return nil
}

// anchor begins to put heads into the anchors. Nothing waits for it.
func (s *Service) anchor() {
	if len(s.places) == 0 {
		return
	}
	s.anchors = anchor.New(anchor.Options{
		Places: s.places, Ledger: s.ledger.ID(), Every: s.o.AnchorEvery, Logger: s.o.Logger,
		Next: func(ctx context.Context, after uint64) (proof.Checkpoint, error) {
			c, err := s.signer.Next(ctx, after)
			if s.cosigner != nil {
				c.Note = s.cosigner.Dress(c.Size, c.Note)
			}
			return proof.Checkpoint{Origin: s.ledger.Genesis().Origin, Size: c.Size, Root: c.Root, Note: c.Note}, err
		},
		Leaf: func(index uint64) (chain.Hash, error) {
			_, leaf, err := s.ledger.Get(index)
			return leaf, err
		},
		Consistency: func(from, to uint64) ([]chain.Hash, error) { return s.ledger.Consistency(from, to) },
	})
	s.stopAnchors = beside(func(ctx context.Context) error {
		s.anchors.Run(ctx)
		return nil
	})
}
