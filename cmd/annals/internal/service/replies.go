package service

import (
	"context"
	"fmt"

	"annals/activity"
	"annals/ingest"
	"annals/ingest/door"
	"annals/ledger"

	"github.com/nats-io/nats.go"
)

// answer starts request/reply on NATS, where producers reach it. Where none are
// let in, nobody is there to ask; on a cluster they are there in any case, and are
// told.
func (s *Service) answer() error {
	if !s.pump.follows && s.pump.stranger() != nil {
		return nil
	}
	var err error
	s.unvouched, err = ingest.NewPublisher(s.line.nc, ingest.PublisherOptions{Root: ingest.RootActivity, Logger: s.o.Logger})
	if err != nil {
		return fmt.Errorf("the publisher of request/reply: %w", err)
	}
	s.replies, err = door.Serve(s.line.nc, door.ServiceOptions{
		Options: door.Options{
			Publish: s.through(s.unvouched), FoldVersion: s.foldVersion, Await: s.pump.await, Get: s.ledger.Get, Receipts: s.api.Receipts, Words: s.words, Logger: s.o.Logger,
		},
		PublishEvent: s.publishEvent,
		Tag:          s.ledger.Tag, Absent: ledger.ErrNotFound, OnlyKnown: s.gate != nil, Version: s.o.Version,
	})
	return err
}

// words are those that a workspace's next record is told in.
func (s *Service) words(workspace string) (*activity.Vocabulary, error) {
	all, err := s.ledger.Catalogues(s.ledger.Tag(workspace))
	if err != nil {
		return nil, err
	}
	return all.Words(all.Size)
}

// foldVersion is the version of the fold that is in force.
func (s *Service) foldVersion() uint16 { return s.ledger.Head().State.Version }

// publishEvent publishes a CloudEvent that came by request, unless recording has stopped.
func (s *Service) publishEvent(ctx context.Context, workspace string, header nats.Header, body []byte) (ingest.Ack, error) {
	if err := s.pump.stranger(); err != nil {
		return ingest.Ack{}, fmt.Errorf("%w: %w", door.ErrStopped, err)
	}
	return ingest.PublishMessage(ctx, s.line.nc, workspace, header, body)
}
