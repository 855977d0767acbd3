package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"annals/ingest"
	"annals/ledger"
	"annals/ledger/chain"

	"github.com/nats-io/nats.go"
)

// identity is what the ledger and the data folder know of the stream: of the one
// that the ledger began with, or that an epoch went on with.
func (s *Service) identity() ingest.Identity {
	state := s.ledger.Head().State
	id := ingest.Identity{Name: ingest.Stream, Created: s.dir.Note.Created}
	if state.Epoch > 0 {
		id.Created = time.Unix(0, state.Start.Created)
	}
	m, err := messageAt(s.ledger, state.EpochIndex)
	if err != nil {
		s.o.Logger.Warn("the message that the stream began with can't be read, so the stream's first one is not compared with it", "error", err)
		return id
	}
	id.First, id.Digest = m.Sequence, m.Digest()
	return id
}

// messageAt is the message that a control entry was made of.
func messageAt(l *ledger.Ledger, index uint64) (chain.Message, error) {
	leaf, _, err := l.Get(index)
	if err != nil {
		return chain.Message{}, err
	}
	if leaf.Payload == nil {
		return chain.Message{}, fmt.Errorf("entry %d has no payload", index)
	}
	m := chain.Message{
		Subject: leaf.Payload.Subject(), Header: map[string][]string{}, Body: leaf.Payload.Body,
		Sequence: leaf.Entry.Sequence, Time: leaf.Entry.Timestamp,
	}
	for pairs := leaf.Payload.Headers(); len(pairs) > 1; pairs = pairs[2:] {
		m.Header[pairs[0]] = append(m.Header[pairs[0]], pairs[1])
	}
	return m, nil
}

// successor is a stream that is not the ledger's own, and that an operator signed
// as the one the ledger goes on with.
type successor struct {
	start    chain.EpochStart
	identity ingest.Identity
}

// before is where reading begins so that the epoch's message comes first.
func (s *successor) before() chain.Position {
	return chain.Position{Epoch: s.start.Epoch, Sequence: s.start.First - 1}
}

// succeeds looks whether the stream is the ledger's next one; nil: it is not, and
// why says why it isn't although it means to be. What the fold would not take is
// told here, where it can be told better.
func succeeds(ctx context.Context, l *ledger.Ledger, nc *nats.Conn) (next *successor, why error, err error) {
	m, created, held, err := ingest.First(ctx, nc)
	if err != nil {
		if errors.Is(err, ingest.ErrNoStream) {
			err = nil
		}
		return nil, nil, err
	}
	e, ok := m.Epoch()
	if !held || !ok {
		return nil, nil, nil
	}
	head := l.Head()
	statement, _ := chain.StatementOf(m.Body)
	switch {
	case e.Epoch != head.State.Epoch+1 || e.Last != head.State.Sequence || statement.Size != head.Size || statement.Root != head.Root:
		return nil, fmt.Errorf("an operator had a ledger go on with it under epoch %d, from message %d, size %d and root %s; this ledger stands in epoch %d at message %d, size %d and root %s: begin this replica again from one that went on",
			e.Epoch, e.Last, statement.Size, statement.Root, head.State.Epoch, head.State.Sequence, head.Size, head.Root), nil
	case e.First != m.Sequence || e.Created != created.UnixNano() || e.Stream != ingest.Stream:
		return nil, fmt.Errorf("it begins with the first message of epoch %d, which was signed for another stream (%s, created %s)", e.Epoch, e.Stream, time.Unix(0, e.Created).UTC().Format(time.RFC3339Nano)), nil
	}
	if err := chain.CheckControl(&head.State, m.Body); err != nil {
		return nil, fmt.Errorf("it begins with a message that is to begin epoch %d: %w", e.Epoch, err), nil
	}
	return &successor{start: e, identity: ingest.Identity{Name: ingest.Stream, Created: created, First: m.Sequence, Digest: m.Digest()}}, nil, nil
}
