package service

import (
	"fmt"

	"annals/activity"
	"annals/ingest"
	"annals/ingest/door"
	"annals/ledger"
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
			Publish: s.through(s.unvouched), Await: s.pump.await, Get: s.ledger.Get, Receipts: s.api.Receipts, Words: s.words, Logger: s.o.Logger,
		},
		Tag: s.ledger.Tag, Absent: ledger.ErrNotFound, OnlyKnown: s.gate != nil, Version: s.o.Version,
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
