package proposal

import (
	"iter"

	"annals/ledger/chain"
)

// Selected yields the tag of the workspace that each statement is of, and what it
// selects there; no ranges where it is of all of it. Statements of no one workspace are
// left out.
func (p *Proposal) Selected() iter.Seq2[chain.Hash, []chain.Range] {
	return func(yield func(chain.Hash, []chain.Range) bool) {
		for i := range p.Statements {
			s, err := p.statement(i, p.Number)
			if err != nil {
				return
			}
			tag, ranges, ok := selected(&s)
			if ok && !yield(tag, ranges) {
				return
			}
		}
	}
}

func selected(s *chain.Statement) (tag chain.Hash, ranges []chain.Range, ok bool) {
	switch s.Type {
	case chain.ControlErase:
		e, err := chain.ParseErase(s.Body)
		return e.Workspace, e.Ranges, err == nil
	case chain.ControlHold:
		h, err := chain.ParseHold(s.Body)
		return h.Workspace, h.Ranges, err == nil
	case chain.ControlRetention:
		r, err := chain.ParseRetention(s.Body)
		return r.Workspace, nil, err == nil && !r.Everywhere
	}
	return tag, nil, false
}

// Type is that of the statements.
func (p *Proposal) Type() chain.ControlType {
	s, _ := p.statement(0, p.Number)
	return s.Type
}

// Role is the role that the statements say signs them; 0 where they don't.
func (p *Proposal) Role() chain.Role {
	s, _ := p.statement(0, p.Number)
	switch s.Type {
	case chain.ControlErase:
		e, _ := chain.ParseErase(s.Body)
		return e.Role
	case chain.ControlRetention:
		r, _ := chain.ParseRetention(s.Body)
		return r.Role
	}
	return 0
}

// Hold is the number of the hold that a release ends; 0 of other statements.
func (p *Proposal) Hold() uint64 {
	s, _ := p.statement(0, p.Number)
	if s.Type != chain.ControlRelease {
		return 0
	}
	number, _ := chain.ParseRelease(s.Body)
	return number
}
