package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"annals/activity"
	"annals/ingest"
	"annals/internal/problem"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/query"
)

// standing is what a control message that is published now meets in the stream.
type standing struct {
	head ledger.Head       // its state is due for the number that is next in the stream
	last uint64            // sequence of the last control message there
	hole *ingest.HoleError // nil: recording goes on
	lost *query.Hole       // what nothing admits: that hole, or a gap whose notice was rejected
}

// standing looks at the ledger, and behind a hole into the stream: what stands
// there will have been folded before the message is, and takes the numbers first.
// What was read there before serves as long as it is no older than that.
func (s *Service) standing(ctx context.Context, old time.Duration) (standing, error) {
	at := standing{head: s.ledger.Head(), hole: s.pump.hole.Load()}
	at.last = at.head.State.ControlSequence
	if at.hole == nil {
		err := s.overdue(&at)
		return at, err
	}
	at.lost = &query.Hole{
		Epoch: at.head.State.Epoch, First: at.hole.Missing, Last: at.hole.Last(),
		Size: at.head.Size, Root: at.head.Root.String(),
	}
	err := s.behind.look(ctx, s.line.nc, &at, old)
	return at, err
}

// overdue adds the gap whose notice has to be signed again, if there is one.
func (s *Service) overdue(at *standing) error {
	g, index, ok := at.head.State.Overdue()
	if !ok {
		return nil
	}
	root, err := s.ledger.RootAt(index)
	at.lost = &query.Hole{Epoch: g.Epoch, First: g.First, Last: g.Last, Size: index, Root: root.String(), Folded: true}
	return err
}

// Hole returns what is missing and nothing admits, nil where nothing is, and the
// number that the next control statement has to have.
func (s *Service) Hole(ctx context.Context) (*query.Hole, uint64) {
	at, err := s.standing(ctx, behindAge)
	if err != nil {
		s.o.Logger.Warn("looking for control messages behind a hole failed", "error", err)
	}
	return at.lost, at.head.State.Control
}

// Submit publishes a control message that somebody else has signed, if the ledger
// would accept it, and returns its sequence. Errors are problems, which say why.
func (s *Service) Submit(ctx context.Context, body []byte) (uint64, error) {
	if err := s.pump.stopped(); err != nil {
		return 0, problem.New(problem.NotRecording, "nothing was published: %v", err).From(err)
	}
	// Whoever can reach the server can ask. So what no key of the ledger's has signed
	// is refused before anybody else is asked anything.
	var refused *chain.ControlError
	head := s.ledger.Head()
	if err := chain.CheckControl(&head.State, body); errors.As(err, &refused) && refused.Code != chain.CodeControlNumber {
		return 0, problem.New(problem.ControlRefused, "%v", refusal(err)).From(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := s.pump.check(ctx); err != nil {
		return 0, problem.New(problem.Unavailable, "nothing was published: %v", err).From(err)
	}
	at, err := s.standing(ctx, 0)
	if err != nil {
		return 0, problem.New(problem.Unavailable, "nothing was published: %v", err).From(err)
	}
	statement, ok := chain.StatementOf(body)
	if err := at.allows(body, &statement, ok); err != nil {
		if errors.As(err, &refused) && refused.Code == chain.CodeControlNumber {
			return 0, problem.New(problem.ControlRaced, "the number due is %d, not %d: nothing was published; sign the statement anew", at.head.State.Control, statement.Number).From(err)
		}
		return 0, problem.New(problem.ControlRefused, "%v", refusal(err)).From(err)
	}
	sequence, err := ingest.PublishControl(ctx, s.line.nc, statement.Type.Subject(), body, at.last)
	var race *ingest.RaceError
	switch {
	case errors.As(err, &race):
		return 0, problem.New(problem.ControlRaced, "").From(err)
	case err != nil:
		return 0, problem.New(problem.Unavailable, "whether the message was published is not known: look at the ledger before signing another: %v", err).From(err)
	}
	s.o.Logger.Warn("a signed control message was submitted and published", "control", statement.Type.String(), "sequence", sequence)
	s.pump.nudge()
	return sequence, nil
}

// refusal says what to do about too few signatures: the server has none to add.
func refusal(err error) error {
	if errors.Is(err, chain.ErrRole) {
		return fmt.Errorf("%w: this server signs nothing of it; propose it (`--propose FILE`), have it signed where the keys are (`annals sign`), and submit that (`annals submit`)", err)
	}
	return err
}

// submitted are the types that come from an operator. The ledger itself publishes
// the others, and an epoch begins with a stream of its own.
var submitted = []chain.ControlType{
	chain.ControlKey, chain.ControlGap, chain.ControlErase,
	chain.ControlRetention, chain.ControlHold, chain.ControlRelease, chain.ControlCatalogue, chain.ControlFold,
}

// readable reports why a catalogue would be one that nobody can read. The fold lets it
// in, for it asks no catalogue what it says; here there is somebody to tell.
func readable(body []byte) error {
	c, document, ok := chain.CatalogueIn(body)
	if !ok {
		return nil
	}
	if c.Format != chain.CatalogueJSON {
		return fmt.Errorf("its document is of format %d, which this version of annals does not read", c.Format)
	}
	_, err := activity.Own(document)
	return err
}

// allows reports why a message would do no good.
func (at *standing) allows(body []byte, s *chain.Statement, ok bool) error {
	if ok && !slices.Contains(submitted, s.Type) {
		return fmt.Errorf("a statement of type %s is not published this way", s.Type)
	}
	if err := chain.CheckControl(&at.head.State, body); err != nil {
		return err
	}
	if err := readable(body); err != nil {
		return err
	}
	if s.Type != chain.ControlGap {
		if at.hole != nil {
			return at.hole // it would be folded only behind the hole, by keys that may be others then
		}
		return nil
	}
	g, _ := chain.ParseGapNotice(s.Body)
	switch {
	case at.lost == nil:
		return fmt.Errorf("it says that messages %d to %d are lost, and none is missing here", g.First, g.Last)
	case g.Epoch != at.lost.Epoch || g.First != at.lost.First || g.Last != at.lost.Last:
		return fmt.Errorf("it says that messages %d to %d of epoch %d are lost; missing are %d to %d of epoch %d", g.First, g.Last, g.Epoch, at.lost.First, at.lost.Last, at.lost.Epoch)
	case s.Size != at.lost.Size || s.Root.String() != at.lost.Root:
		return fmt.Errorf("it was signed for a ledger of size %d and root %s; this one had size %d and root %s", s.Size, s.Root, at.lost.Size, at.lost.Root)
	case s.Number != at.head.State.Control:
		return &chain.ControlError{Code: chain.CodeControlNumber}
	}
	return nil
}
