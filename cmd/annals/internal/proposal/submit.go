package proposal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/control"
	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// Submission is where a proposal goes.
type Submission struct {
	Server *client.Client
	// Entries asks for the control entries among which a statement is that was submitted
	// before; nil: nobody can look.
	Entries func(ctx context.Context) ([]proof.KeyEntry, error)
	// Said is told of each statement as it is done.
	Said func(Outcome)
}

// Outcome is what became of one statement.
type Outcome struct {
	Part   int // from 0
	Before bool
	Index  uint64 // of the entry that it was recorded in before
	Answer control.Answer
}

// StaleError says that a ledger has no use for a proposal any more.
type StaleError struct {
	Due         uint64 // the number that the ledger's next control statement has
	First, Last uint64 // those that the proposal was signed for
}

func (e *StaleError) Error() string {
	if e.Due < e.First {
		return fmt.Sprintf("it was signed for the control numbers %d to %d, and the ledger's next is %d: this ledger is older than the one that it was proposed for; nothing was submitted", e.First, e.Last, e.Due)
	}
	return fmt.Sprintf("it was signed for the control numbers %d to %d, and the ledger's next is %d: it has waited too long; propose it anew, with a longer --good-for, and have it signed again", e.First, e.Last, e.Due)
}

const (
	// patience bounds how long one statement is tried again because others come first:
	// the ledger's own are folded in milliseconds, and another submitter's too.
	patience = 15 * time.Second
	between  = 50 * time.Millisecond
)

// Submit publishes the statements, each under the number that is due, with the
// signatures of a tally. One that is recorded already is not published again. Errors
// say which statement they are of; those before it are done, and the same file can be
// submitted again for the rest.
func (p *Proposal) Submit(ctx context.Context, s *Submission, t *Tally) error {
	if err := t.Err(); err != nil {
		return err
	}
	for i := range p.Statements {
		out, err := p.submit(ctx, s, t, i)
		if err != nil {
			if len(p.Statements) > 1 {
				err = fmt.Errorf("part %d of %d: %w", i+1, len(p.Statements), err)
			}
			return err
		}
		s.Said(out)
	}
	return nil
}

func (p *Proposal) submit(ctx context.Context, s *Submission, t *Tally, i int) (Outcome, error) {
	out, by := Outcome{Part: i}, t.inForce()
	for deadline := time.Now().Add(patience); ; {
		at, err := control.Look(ctx, s.Server)
		if err != nil {
			return out, err
		}
		if at.Ledger != p.Ledger {
			return out, fmt.Errorf("it is for the ledger %s (%s), and the server serves %s; nothing was submitted", p.Ledger, p.Origin, at.Ledger)
		}
		// After the number: what is recorded by then is seen, so nothing goes in twice.
		entries, err := s.Entries(ctx)
		if err != nil {
			return out, err
		}
		if out.Index, out.Before, err = p.recorded(entries, i); out.Before || err != nil {
			return out, err
		}
		if at.Control < p.Number || at.Control-p.Number >= p.Numbers {
			return out, &StaleError{Due: at.Control, First: p.Number, Last: p.Number + p.Numbers - 1}
		}
		body, err := p.message(i, at.Control, by)
		if err != nil {
			return out, err
		}
		out.Answer, err = control.Submit(ctx, s.Server, body)
		var refused *client.Problem
		if errors.As(err, &refused) && refused.Code == string(problem.ControlRaced) && time.Now().Before(deadline) {
			select {
			case <-time.After(between): // for the other one to be folded
				continue
			case <-ctx.Done():
				return out, ctx.Err()
			}
		}
		return out, err
	}
}

// recorded looks among entries for the one that a statement stands in already.
func (p *Proposal) recorded(entries []proof.KeyEntry, i int) (uint64, bool, error) {
	want, err := p.statement(i, p.Number)
	if err != nil {
		return 0, false, err
	}
	for k := range entries {
		e, err := chain.ParseEntry(entries[k].Entry)
		if err != nil {
			return 0, false, err
		}
		c, err := e.Control()
		if err != nil {
			return 0, false, err
		}
		if got := &c.Statement; got.Type == want.Type && got.Number >= p.Number && got.Number-p.Number < p.Numbers &&
			got.Size == want.Size && got.Root == want.Root && bytes.Equal(got.Body, want.Body) {
			return e.Index, true, nil
		}
	}
	return 0, false, nil
}

// Done reports whether every statement is recorded already, and says where.
func (p *Proposal) Done(ctx context.Context, s *Submission) (bool, error) {
	entries, err := s.Entries(ctx)
	if err != nil {
		return false, err
	}
	var all []Outcome
	for i := range p.Statements {
		index, done, err := p.recorded(entries, i)
		if !done || err != nil {
			return false, err
		}
		all = append(all, Outcome{Part: i, Before: true, Index: index})
	}
	for _, o := range all {
		s.Said(o)
	}
	return true, nil
}
