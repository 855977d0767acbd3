package service

import (
	"context"

	"annals/internal/problem"
	"annals/query"
)

// Due counts what each retention rule lets go now. Errors are problems.
func (s *Service) Due(ctx context.Context) ([]query.DueRule, error) {
	if err := s.expires(); err != nil {
		return nil, err
	}
	due, err := s.keeper.Due(ctx)
	if err != nil {
		return nil, err
	}
	rules := make([]query.DueRule, 0, len(due))
	for i := range due {
		r := &due[i].Rule
		d := query.DueRule{Entry: r.At, Rule: r.Says(), Entries: due[i].Entries}
		if !r.Everywhere {
			d.Workspace = r.Workspace.String()
		}
		rules = append(rules, d)
	}
	return rules, nil
}

// Expire has what the rules let go destroyed now, whenever the next turn is. It returns
// once that is done, or ctx's error while it goes on; other errors are problems.
func (s *Service) Expire(ctx context.Context) error {
	if err := s.expires(); err != nil {
		return err
	}
	return s.keeper.Expire(ctx)
}

// expires reports why nothing expires here.
func (s *Service) expires() error {
	if s.stopKeeper == nil {
		return problem.New(problem.NotRecording, "nothing expires while the stream is not the ledger's")
	}
	if err := s.pump.stopped(); err != nil {
		return problem.New(problem.NotRecording, "nothing expires: %v", err).From(err)
	}
	return nil
}
