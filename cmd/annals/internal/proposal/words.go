package proposal

import (
	"fmt"
	"strings"

	"annals/cmd/annals/internal/show"
	"annals/ledger/chain"
)

// proposed are the types that people sign and that need nobody to be quick: a gap's
// notice is signed where recording waits for it, and the ledger's own key signs the
// rest.
func proposed() []chain.ControlType {
	return []chain.ControlType{
		chain.ControlKey, chain.ControlErase, chain.ControlRetention, chain.ControlHold, chain.ControlRelease,
	}
}

// says makes words of every statement, and holds them to each other: several are the
// parts of one erasure, all of them, or parts of a hold.
func (p *Proposal) says() ([]string, error) {
	var out []string
	var first chain.Erase
	for i := range p.Statements {
		s, err := p.statement(i, p.Number)
		if err != nil {
			return nil, err
		}
		words, err := Words(&s)
		if err != nil {
			return nil, fmt.Errorf("%w: statement %d: %w", ErrFile, i+1, err)
		}
		out = append(out, words)
		if i > 0 && s.Type.String() != p.Statements[0].Type {
			return nil, bad("it has statements of the types %s and %s; one proposal is for one thing", p.Statements[0].Type, s.Type)
		}
		switch s.Type {
		case chain.ControlErase:
			e, _ := chain.ParseErase(s.Body)
			if i == 0 {
				first = e
			}
			if int(e.Parts) != len(p.Statements) || int(e.Part) != i || e.Selection != first.Selection ||
				e.Workspace != first.Workspace || e.Role != first.Role || e.Reason != first.Reason || s.Size != p.Statements[0].Size {
				return nil, bad("statement %d is part %d of %d; an erasure's parts are signed whole, in their order", i+1, e.Part+1, e.Parts)
			}
		case chain.ControlHold:
		default:
			if i > 0 {
				return nil, bad("it has %d statements of type %s; that is one alone", len(p.Statements), s.Type)
			}
		}
	}
	return out, nil
}

// Words says what a statement does, of its bytes alone. The error says why there is
// nothing to say: no ledger would take it.
func Words(s *chain.Statement) (string, error) {
	switch s.Type {
	case chain.ControlErase:
		e, err := chain.ParseErase(s.Body)
		if err != nil {
			return "", err
		}
		part := ""
		if e.Parts > 1 {
			part = fmt.Sprintf(", part %d of %d", e.Part+1, e.Parts)
		}
		return fmt.Sprintf("erase for good what %s of the workspace with tag %s held%s: %s; reason %s; signed by the role %s; %s",
			show.Count(e.Count(), "entry"), e.Workspace, part, Runs(e.Ranges), e.Reason, e.Role, asOf(s)), nil
	case chain.ControlHold:
		h, err := chain.ParseHold(s.Body)
		if err != nil {
			return "", err
		}
		if h.Ranges == nil {
			return fmt.Sprintf("hold everything of the workspace with tag %s, with what is yet to come", h.Workspace), nil
		}
		return fmt.Sprintf("hold %s of the workspace with tag %s: %s; %s", show.Count(chain.Count(h.Ranges), "entry"), h.Workspace, Runs(h.Ranges), asOf(s)), nil
	case chain.ControlRelease:
		number, err := chain.ParseRelease(s.Body)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("release hold %d, so that what it keeps may be erased or expire", number), nil
	case chain.ControlRetention:
		r, err := chain.ParseRetention(s.Body)
		if err != nil {
			return "", err
		}
		where := "in every workspace that has no rule of its own"
		if !r.Everywhere {
			where = "in the workspace with tag " + r.Workspace.String()
		}
		return fmt.Sprintf("rule that %s %s; signed by the role %s", where, r.Says(), r.Role), nil
	case chain.ControlKey:
		k, err := chain.ParseKeyChange(s.Body)
		if err != nil {
			return "", err
		}
		return changes(&k), nil
	}
	return "", fmt.Errorf("a statement of type %s is not signed this way", s.Type)
}

// changes says what a change of keys does.
func changes(k *chain.KeyChange) string {
	var out []string
	for _, id := range k.Removed {
		verb := "rotate away"
		if k.Reason == chain.Revocation {
			verb = "revoke"
		}
		out = append(out, fmt.Sprintf("%s key %s", verb, id))
	}
	for _, key := range k.Added {
		out = append(out, fmt.Sprintf("name key %s for the role %s", key.ID(), key.Roles))
	}
	for _, t := range k.Thresholds {
		out = append(out, fmt.Sprintf("have %d keys of the role %s sign what it signs", t.Keys, t.Role))
	}
	return "change the keys: " + strings.Join(out, "; ")
}

// asOf says which ledger a statement speaks of.
func asOf(s *chain.Statement) string {
	return fmt.Sprintf("as the ledger was at %s, root %s", show.Count(s.Size, "entry"), s.Root)
}

// mostRuns is how many ranges are spelt out: the statement has them all, and nobody
// reads more.
const mostRuns = 20

// Runs spells ranges of indexes.
func Runs(ranges []chain.Range) string {
	var out []string
	for i, r := range ranges {
		if i == mostRuns {
			out = append(out, fmt.Sprintf("and %d more ranges up to %d", len(ranges)-i, ranges[len(ranges)-1].To-1))
			break
		}
		if r.To-r.From == 1 {
			out = append(out, fmt.Sprint(r.From))
			continue
		}
		out = append(out, fmt.Sprintf("%d to %d", r.From, r.To-1))
	}
	return "index " + strings.Join(out, ", ")
}
