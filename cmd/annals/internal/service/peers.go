package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"annals/cmd/annals/internal/durable"
	"annals/cmd/annals/internal/peer"
	"annals/ingest"
)

const (
	// trialFolder is where messages from a peer are folded on trial, and forkFile where
	// a peer's checkpoint is kept that contradicts this ledger.
	trialFolder = "trial"
	forkFile    = "fork"

	// peerWait bounds the asking of one peer.
	peerWait = time.Minute
)

// namePeers reads the token that the replicas share, and names the others.
func (s *Service) namePeers() (err error) {
	if s.o.PeerToken == "" {
		if len(s.o.Peers) > 0 {
			return errors.New("peers give messages only to who shows the token that the replicas share: name its file with --peer-token")
		}
		return nil
	}
	if s.token, err = peer.ReadToken(s.o.PeerToken); err != nil {
		return err
	}
	for _, where := range s.o.Peers {
		p, err := peer.New(where, s.token)
		if err != nil {
			return err
		}
		s.peers = append(s.peers, p)
	}
	return nil
}

// askPeers looks for the messages of a hole in other replicas' ledgers, and appends
// what is proven. It reports whether there was any; else it adds to the hole what was
// tried. Its error is a verdict: a peer that shows another history of this ledger.
func (p *pump) askPeers(ctx context.Context, hole *ingest.HoleError) (bool, error) {
	for _, other := range p.peers {
		asking, cancel := context.WithTimeout(ctx, peerWait)
		found, err := other.Find(asking, p.ledger, hole.Last(), filepath.Join(p.data, trialFolder))
		cancel()
		var fork *peer.ForkError
		switch {
		case errors.As(err, &fork):
			return false, errors.Join(fork, p.keep(fork))
		case ctx.Err() != nil:
			return false, ctx.Err()
		case err != nil:
			hole.Tried = append(hole.Tried, fmt.Sprintf("peer ledger %s: %v", other, err))
			p.log.Info("looking for missing messages in a peer's ledger", "peer", other.String(), "first", hole.Missing, "last", hole.Last(), "error", err)
			continue
		}
		if err := p.take(ctx, found); err != nil {
			return true, err
		}
		p.log.Warn("missing messages were found in a peer's ledger", "peer", other.String(),
			"first", found.Messages[0].Sequence, "last", found.Head.State.Sequence, "size", found.Head.Size, "root", found.Head.Root.String())
		return true, nil
	}
	return false, nil
}

// take appends what a peer gave and a trial has proven.
func (p *pump) take(ctx context.Context, found peer.Found) error {
	if err := p.ledger.Append(ctx, found.Messages); err != nil {
		return err
	}
	if err := p.ledger.Flush(ctx); err != nil {
		return err
	}
	if head := p.ledger.Head(); head.Size != found.Head.Size || head.Root != found.Head.Root {
		return fmt.Errorf("the same messages made the root %s of %d entries on trial and %s of %d in the ledger: that is a fault of the program or of this machine; keep the folder, and begin this replica again from another",
			found.Head.Root, found.Head.Size, head.Root, head.Size)
	}
	return nil
}

// keep keeps a peer's checkpoint beside the ledger that it contradicts. The first one
// stays.
func (p *pump) keep(fork *peer.ForkError) error {
	return keepFork(p.data, fmt.Sprintf("%v\n\nthis ledger at size %d: %s\n\nthe peer's checkpoint:\n\n%s", fork, fork.Size, fork.Root, fork.Other.Note))
}

func keepFork(data, text string) error {
	err := durable.New(filepath.Join(data, forkFile), []byte(text))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
