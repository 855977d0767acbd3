package service

import (
	"context"
	"crypto/sha256"

	"annals/cmd/annals/internal/cosign"
	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/query"
)

// knowWitnesses gets ready to ask witnesses, where a policy names some. A policy that
// can't be followed is refused before anything else is done.
func (s *Service) knowWitnesses() (err error) {
	if s.o.Witnesses == nil {
		return nil
	}
	s.cosigner, err = cosign.New(cosign.Options{
		Policy: s.o.Witnesses, Path: s.o.Data, Insecure: s.o.PlainWitnesses, Logger: s.o.Logger,
		Next: func(ctx context.Context, after uint64) (proof.Checkpoint, error) {
			c, err := s.signer.Next(ctx, after)
			return proof.Checkpoint{Origin: s.ledger.Genesis().Origin, Size: c.Size, Root: c.Root, Note: c.Note}, err
		},
		Consistency: func(from, to uint64) ([]chain.Hash, error) { return s.ledger.Consistency(from, to) },
	})
	return err
}

// collect begins to ask witnesses. Nothing waits for it.
func (s *Service) collect() {
	if s.cosigner == nil {
		return
	}
	s.stopCosigner = beside(func(ctx context.Context) error {
		s.cosigner.Run(ctx)
		return nil
	})
}

// witnesses is what the API shows of them.
func (s *Service) witnesses() query.Witnesses {
	if s.cosigner == nil {
		return query.Witnesses{}
	}
	return query.Witnesses{
		Last: s.cosigner.Witnessed, Await: s.cosigner.Await, Dress: s.cosigner.Dress,
		Status: func() *query.Witnessing {
			status := s.cosigner.Status()
			out := &query.Witnessing{Size: status.Size, Need: status.Need, Error: status.Error}
			for _, w := range status.Witnesses {
				out.Witnesses = append(out.Witnesses, query.WitnessStatus(w))
			}
			return out
		},
	}
}

// cosigned is what a mark says of the last witnessed checkpoint: its size, and the
// SHA-256 of the note; zeros while there is none.
func (s *Service) cosigned() (size uint64, hash chain.Hash) {
	if s.cosigner == nil {
		return 0, hash
	}
	size, note := s.cosigner.Witnessed()
	if size > 0 {
		hash = sha256.Sum256(note)
	}
	return size, hash
}
