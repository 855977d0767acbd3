package service

import (
	"context"
	"errors"
	"fmt"

	"annals/cmd/annals/internal/peer"
	"annals/ingest"
	"annals/ingest/door"
	"annals/ledger"
	"annals/projections"
	"annals/query"

	"github.com/prometheus/client_golang/prometheus"
)

// run starts what runs beside: the follower, the keeper, and HTTP last.
func (s *Service) run() error {
	s.sayUntrimmed()
	s.stopFollower = beside(func(ctx context.Context) error {
		err := Follow(ctx, s.ledger, s.projections, s.o.Logger)
		if ctx.Err() != nil || errors.Is(err, ledger.ErrClosed) || s.ledger.Err() != nil {
			return nil
		}
		s.o.Logger.Error("the projections follow no more; timelines stay as they are until a restart", "error", err)
		return err
	})
	if s.keeper != nil && (s.pump.follows || s.pump.stranger() == nil) {
		s.stopKeeper = beside(func(ctx context.Context) error {
			s.keeper.Run(ctx)
			return nil
		})
	}
	s.stopScrubber = beside(s.scrub)
	s.sign()
	s.collect()
	s.anchor()
	s.timestamp()
	var err error
	s.publisher, err = ingest.NewPublisher(s.line.nc, ingest.PublisherOptions{Root: ingest.RootVouched, Logger: s.o.Logger})
	if err != nil {
		return fmt.Errorf("the door's publisher: %w", err)
	}
	s.api = query.New(query.Options{
		Ledger: s.ledger, Projections: s.projections,
		Ready: s.Ready, Version: s.o.Version, Logger: s.o.Logger,
		Submit: s.Submit, Due: s.Due, Expire: s.Expire, Hole: s.Hole,
		TrimHeld: s.TrimHeld, Collectors: s.collectors(),
		Bounds: s.o.Access.Bounds, Fresh: s.o.fresh,
		TLS: s.tls, Access: s.gate, Keys: s.book, Origins: s.o.Access.Origins, DefaultWorkspace: s.o.DefaultWorkspace, ActivityDays: s.o.ActivityDays, Zones: s.o.Zones,
		Witnesses: s.witnesses(), Checkpoint: s.checkpoint, AwaitCheckpoint: s.awaitCheckpoint, SignHead: s.signer.SignHead, Mark: s.lastMark, Retired: s.retired,
	})
	door.Register(s.api.Huma(), door.Options{
		Publish: s.through(s.publisher), Await: s.pump.await, Get: s.ledger.Get, Tag: s.ledger.Tag, Receipts: s.api.Receipts, Logger: s.o.Logger,
		Access: s.gate, DefaultWorkspace: s.o.DefaultWorkspace,
		FoldVersion:        s.foldVersion,
		Words:              s.words,
		AnonymousWorkspace: s.o.AnonymousWorkspace, RequireSession: s.o.RequireSession,
	})
	if s.o.PeerToken != "" {
		peer.Register(s.api.Huma(), peer.Options{Ledger: s.ledger, Token: s.token, Logger: s.o.Logger})
	}
	s.keepUsed()
	if err := s.answer(); err != nil {
		return err
	}
	s.stopHTTP = beside(func(ctx context.Context) error {
		err := s.api.Serve(ctx, s.http)
		if err != nil && ctx.Err() == nil {
			s.o.Fatal(fmt.Errorf("serving HTTP: %w", err))
		}
		return err
	})
	return nil
}

func (s *Service) collectors() []prometheus.Collector {
	out := []prometheus.Collector{trimCollector{s}, holeCollector{s}, s.signer}
	if s.cosigner != nil {
		out = append(out, s.cosigner)
	}
	if s.anchors != nil {
		out = append(out, s.anchors)
	}
	return out
}

// through takes frames for the stream, unless the stream is a stranger's.
func (s *Service) through(p *ingest.Publisher) door.Publish {
	publish := door.Through(p)
	return func(ctx context.Context, workspace string, frame []byte) (func(context.Context) (ingest.Ack, error), error) {
		if err := s.pump.stranger(); err != nil {
			return nil, fmt.Errorf("%w: %w", door.ErrStopped, err)
		}
		return publish(ctx, workspace, frame)
	}
}

// beside runs f in a goroutine of its own, and returns what ends its context and
// waits for it.
func beside(f func(context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	return func() error {
		cancel()
		err := <-done
		done <- err // whoever stops it again hears the same
		return err
	}
}

// Ready returns why reading or recording does not work at the moment, nil when
// both do.
func (s *Service) Ready(context.Context) error {
	if err := s.pump.health(); err != nil {
		return err
	}
	if err := s.ledger.Err(); err != nil {
		return err
	}
	if err := s.signer.Err(); err != nil {
		return fmt.Errorf("no checkpoints are signed: %w", err)
	}
	if err := s.publisher.Trouble(); err != nil {
		return fmt.Errorf("the stream takes no records: %w", err)
	}
	if err := s.projections.Err(); err != nil && !errors.Is(err, projections.ErrClosed) {
		return err
	}
	return nil
}

// Close stops the service: HTTP takes no more requests and answers those under
// way, what the door took is published, recording stops, and the stores are
// closed. ctx bounds the publishing; the rest has bounds of its own. Closing
// twice is closing once.
func (s *Service) Close(ctx context.Context) error {
	s.closing.Do(func() { s.closed = s.close(ctx) })
	return s.closed
}

func (s *Service) close(ctx context.Context) error {
	if s.releaseHeap != nil {
		defer s.releaseHeap()
	}
	var errs []error
	ended := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	stopped := func(what string, stop func() error) {
		if stop != nil {
			ended(what, stop())
		}
	}
	stopped("stopping to ask witnesses", s.stopCosigner) // first: who waits for witnesses gets what there is
	if s.stopHTTP != nil {
		ended("stopping HTTP", s.stopHTTP())
	} else if s.http != nil {
		ended("stopping HTTP", s.http.Close())
	}
	stopped("telling the ledger what happened at its doors", s.stopJournal)
	stopped("writing down which API keys were used", s.stopKeys)
	if s.replies != nil {
		s.replies.Close()
	}
	for _, p := range []*ingest.Publisher{s.publisher, s.unvouched} {
		if p != nil {
			ended("publishing what was taken", p.Close(ctx))
		}
	}
	stopped("stopping what follows erasures", s.stopScrubber)
	stopped("stopping the timestamps", s.stopTimestamps)
	stopped("stopping the keeper", s.stopKeeper)
	stopped("stopping the anchors", s.stopAnchors)
	s.signLast(ctx)
	stopped("stopping the signer", s.stopSigner)
	stopped("stopping the quorum", s.stopQuorum)
	if s.pump != nil {
		s.pump.stop()
	}
	for _, p := range s.peers {
		ended("letting go of the peer "+p.String(), p.Close())
	}
	if s.stopFollower != nil {
		// What keeps it from following was said when it happened.
		_ = s.stopFollower()
	}
	if s.projections != nil { // before the ledger, from which a rebuild may be reading
		ended("closing the projections", s.projections.Close())
	}
	if s.ledger != nil {
		failed := s.ledger.Err() != nil // and the pump has said why
		if err := s.ledger.Close(); !failed {
			ended("closing the ledger", err)
		}
	}
	ended("closing the stream", s.line.close())
	if s.lock != nil {
		ended("letting go of the data folder", s.lock.Close())
	}
	return errors.Join(errs...)
}
