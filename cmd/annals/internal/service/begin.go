package service

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"annals/cmd/annals/internal/datadir"
	"annals/ingest"
	"annals/ledger"
	"annals/ledger/chain"

	"github.com/nats-io/nats.go/jetstream"
)

// openLedger opens the ledger; a first start makes it, from the two messages
// that its stream begins with. Each step of a first start looks for what an
// earlier one, cut short, may have left: the stream, the two messages in it, the
// ledger. It returns when the stream was created.
func (s *Service) openLedger(ctx context.Context) (created time.Time, err error) {
	path := s.dir.Path(datadir.Ledger)
	if s.dir.State == datadir.Whole {
		// Whether the stream is there and the right one is for the pump to say: what
		// was recorded is served in any case.
		if s.ledger, err = ledger.Open(path, s.ledgerOptions()); err == nil {
			err = s.durable(ctx)
		}
		return created, err
	}
	if err := ingest.EnsureStream(ctx, s.line.nc, ingest.StreamOptions{Replicas: s.o.StreamReplicas}); err != nil {
		return created, err
	}
	s.line.stage()
	if err := s.durable(ctx); err != nil {
		return created, err
	}
	s.o.step("stream")
	first, created, err := s.firstMessages(ctx)
	if err != nil {
		return created, err
	}
	s.o.step("genesis")
	s.ledger, err = ledger.Open(path, s.ledgerOptions())
	if errors.Is(err, ledger.ErrNoLedger) {
		s.ledger, err = ledger.Create(path, first[0], first[1], s.ledgerOptions())
	}
	if err != nil {
		return created, err
	}
	s.o.step("ledger")
	return created, nil
}

func (s *Service) ledgerOptions() ledger.Options {
	return ledger.Options{Logger: s.o.Logger, Fatal: s.o.Fatal, Rows: ledger.CacheOfMemory()}
}

// firstMessages returns the genesis and seed 0, after publishing them where the
// stream is empty.
func (s *Service) firstMessages(ctx context.Context) (first []chain.Message, created time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		info, err := s.streamInfo(ctx)
		if err != nil {
			return nil, created, err
		}
		if info.State.LastSeq > 0 {
			first, err := s.readFirst(ctx)
			return first, info.Created, err
		}
		err = s.publishGenesis(ctx)
		var other *ingest.NotEmptyError
		if err != nil && !errors.As(err, &other) && !errors.Is(err, ingest.ErrUnknown) || ctx.Err() != nil {
			return nil, created, err
		}
		// Published, or not, or by another: the stream itself says which.
	}
}

func (s *Service) streamInfo(ctx context.Context) (*jetstream.StreamInfo, error) {
	js, err := jetstream.New(s.line.nc)
	if err != nil {
		return nil, err
	}
	stream, err := js.Stream(ctx, ingest.Stream)
	if err != nil {
		return nil, fmt.Errorf("the stream %s: %w", ingest.Stream, err)
	}
	return stream.CachedInfo(), nil
}

func (s *Service) publishGenesis(ctx context.Context) error {
	var workspaceKey, seed [32]byte
	var nonce chain.Hash
	for _, b := range [][]byte{workspaceKey[:], seed[:], nonce[:]} {
		if _, err := rand.Read(b); err != nil {
			return err
		}
	}
	root, err := s.keys.First(chain.RoleRoot)
	if err != nil {
		return err
	}
	signer, err := s.keys.First(chain.RoleLedger)
	if err != nil {
		return err
	}
	origin := s.o.Origin
	if origin == "" {
		origin = "annals.invalid/" + hex.EncodeToString(nonce[:8]) // RFC 2606: a name of nobody's
		s.o.Logger.Info("this ledger is nobody's by its name, which can't be changed later: begin one that is to stay with --origin, such as example.com/audit", "origin", origin)
	}
	g := chain.Genesis{
		Origin: origin, Stream: ingest.Stream, Created: time.Now().UnixNano(),
		FirstSequence: 1, Partitions: 1, Nonce: nonce,
		KeyCommitment: chain.KeyCommitment(workspaceKey), Keys: append(s.keys.Public(), s.o.Erasers...),
	}
	if len(s.o.Erasers) > 0 {
		g.Thresholds = []chain.Threshold{{Role: chain.RoleEraser, Keys: max(1, s.o.ErasersNeeded)}}
	}
	_, _, err = ingest.PublishGenesis(ctx, s.line.nc, g.Seal(workspaceKey, root),
		chain.SealSeed(g.LedgerID(), 1, 0, seed, signer))
	return err
}

// readFirst reads the stream's first two messages, and refuses a stream that
// other keys than ours began.
func (s *Service) readFirst(ctx context.Context) ([]chain.Message, error) {
	r, err := ingest.OpenReader(ctx, s.line.nc, ingest.ReaderOptions{MaxMessages: 2, Logger: s.o.Logger})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var first []chain.Message
	for len(first) < 2 {
		more, err := r.Next(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading the stream's first messages: %w", err)
		}
		first = append(first, more...)
	}
	_, genesis, err := chain.OpenGenesis(&first[0])
	if err != nil {
		return nil, err
	}
	if !s.keys.Belongs(genesis.Roster().Spans()) {
		return nil, fmt.Errorf("the stream %s belongs to the ledger %s, which was begun with other keys than those in %s: "+
			"start with the data folder that it belongs to, or on a cluster without a stream of that name",
			ingest.Stream, genesis.Origin, s.dir.Path(datadir.Keys))
	}
	return first[:2], nil
}
