package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"annals/cmd/annals/internal/quorum"
	"annals/cmd/annals/internal/signer"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// firstCheckpoint bounds the wait for a checkpoint before HTTP is served: where one
// can be signed it is there as soon as anybody can ask.
const firstCheckpoint = 5 * time.Second

// lastCheckpoint bounds what a stop takes longer to have its last entries signed.
const lastCheckpoint = 2 * time.Second

// sign starts the signer. That nothing can be signed is no reason not to serve:
// /readyz says it.
func (s *Service) sign() {
	o := signer.Options{
		Ledger: s.ledger, Keys: s.keys, Check: s.pump.check,
		Path: s.dir.Root, Every: s.o.Checkpoint, Logger: s.o.Logger,
	}
	if s.o.Quorum > 0 {
		o.Agreed = s.agree()
	}
	s.signer = signer.New(o)
	ctx, cancel := context.WithTimeout(context.Background(), firstCheckpoint)
	defer cancel()
	_ = s.signer.Sign(ctx) // it has said what failed, and is tried again
	s.stopSigner = beside(func(ctx context.Context) error {
		s.signer.Run(ctx)
		return nil
	})
	if s.o.MLDSA && !s.hasMLDSA() {
		s.o.Logger.Warn("--mldsa: the ledger names no ML-DSA-44 key, so checkpoints have no second line; add one with `annals keys rotate --role checkpoint --mldsa`")
	}
}

// signLast signs a checkpoint over all that the stream has, so that whoever is given the
// folder of a stopped server need not take its end on trust. What can't be signed in time
// is signed at the next start.
func (s *Service) signLast(ctx context.Context) {
	if s.signer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lastCheckpoint)
	defer cancel()
	if info, err := s.streamInfo(ctx); err == nil {
		_, _ = s.pump.await(ctx, info.State.LastSeq, 0) // what stands in its way was said
	}
	_ = s.signer.Sign(ctx) // it has said what failed
}

// agree starts to compare heads with the other replicas', and returns what they agree
// on. Where one has another history, this one stops, and keeps both heads.
func (s *Service) agree() func() (uint64, chain.Hash, error) {
	q := quorum.New(quorum.Options{
		Ledger: s.ledger, Conn: s.line.nc, Name: s.o.Trim.Replica, Replicas: s.o.Trim.Replicas, Need: s.o.Quorum,
		Check: s.pump.check, Logger: s.o.Logger,
		Fork: func(fork *quorum.ForkError) {
			err := keepFork(s.dir.Root, fmt.Sprintf("%v\n\nsize %d\nthis ledger: %s\nreplica %s: %s\n", fork, fork.Size, fork.Root, fork.Replica, fork.Other))
			s.pump.fail(errors.Join(fork, err))
		},
	})
	s.stopQuorum = beside(func(ctx context.Context) error {
		q.Run(ctx)
		return nil
	})
	return q.Agreed
}

func (s *Service) hasMLDSA() bool {
	state := s.ledger.Head().State
	for _, k := range state.Keys() {
		if k.Algorithm == chain.AlgorithmMLDSA44 && k.InForce(state.Size) {
			return true
		}
	}
	return false
}

// ledgerSigner is the key that signs seeds, marks and trims from a state on.
func (s *Service) ledgerSigner(state *chain.State) (chain.Signer, error) {
	return s.keys.Signer(state, chain.RoleLedger)
}

// checkpoint is the last checkpoint, for the API; size 0 when there is none.
func (s *Service) checkpoint() (size uint64, note []byte) {
	c, _ := s.signer.Latest()
	return c.Size, c.Note
}

func (s *Service) awaitCheckpoint(ctx context.Context, size uint64) ([]byte, error) {
	c, err := s.signer.Await(ctx, size)
	return c.Note, err
}

// retired are the last checkpoints by keys that sign no more.
func (s *Service) retired() (notes [][]byte) {
	for _, c := range s.signer.Retired() {
		notes = append(notes, c.Note)
	}
	return notes
}

// lastMark is the last mark of this process in an entry below an index, with the
// map of heads that it commits to.
func (s *Service) lastMark(below uint64) (index uint64, heads *proof.HeadsMap, ok bool) {
	return s.heads.Last(s.ledger, below)
}
