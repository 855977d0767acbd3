package proof

import (
	"errors"
	"fmt"
	"slices"

	"annals/ledger/chain"
)

// law is the rules and holds that stand at an entry. It is a value: what stood
// earlier is not changed by what comes.
type law struct {
	rules  chain.Rules
	holds  []standing
	millis int64 // of the entry's ULID
}

// standing is a hold that stands.
type standing struct {
	chain.HeldBy
	hold chain.Hold
}

// keeps returns the first of an erasure's entries that the hold keeps. They are of its
// workspace.
func (h *standing) keeps(ranges []chain.Range) (index uint64, ok bool) {
	if h.Whole {
		return ranges[0].From, true
	}
	for kept := range chain.Shared(h.hold.Ranges, ranges) {
		return kept.From, true
	}
	return 0, false
}

// at is the law at an entry.
func (l law) at(e *chain.Entry) law {
	l.holds, l.millis = slices.Clone(l.holds), int64(e.ULID.Time())
	return l
}

// held returns the holds that stand over a workspace.
func (l *law) held(tag chain.Hash) (out []standing) {
	for _, h := range l.holds {
		if h.Workspace == tag {
			out = append(out, h)
		}
	}
	return out
}

// errNotStanding says that a statement ends what does not stand.
var errNotStanding = errors.New("it ends what does not stand")

// take makes of the law what an accepted rule, hold or release in an entry makes of
// it. Its body has been parsed by nobody. Errors wrap [chain.ErrMalformed] or
// [errNotStanding].
func (l *law) take(at uint64, s *chain.Statement) error {
	switch s.Type {
	case chain.ControlRetention:
		r, err := chain.ParseRetention(s.Body)
		if err != nil {
			return err
		}
		before := len(l.rules)
		l.rules = l.rules.With(at, r)
		if r.Period == chain.RuleEnds && len(l.rules) == before {
			return fmt.Errorf("%w: no rule is for the same", errNotStanding)
		}
	case chain.ControlHold:
		h, err := chain.ParseHold(s.Body)
		if err != nil {
			return err
		}
		l.holds = append(l.holds, standing{chain.HeldBy{Number: s.Number, At: at, Workspace: h.Workspace, Whole: h.Ranges == nil}, h})
	case chain.ControlRelease:
		number, err := chain.ParseRelease(s.Body)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(l.holds, func(h standing) bool { return h.Number == number })
		if i < 0 {
			return fmt.Errorf("%w: no hold has the number %d", errNotStanding, number)
		}
		l.holds = slices.Delete(slices.Clone(l.holds), i, i+1)
	}
	return nil
}

// retain checks a retention rule, and has it stand.
func (j *joiner) retain(x uint64, s *chain.Statement, signed bool) {
	if r, err := chain.ParseRetention(s.Body); err == nil && j.rules.roster != nil && r.Role != j.rules.roster.Eraser() {
		j.found.at(x, UnauthorisedControl, "control entry %d says that the role %s signs it; there that was %s", x, r.Role, j.rules.roster.Eraser())
		return
	}
	j.legislate(x, s, signed)
}

// hold checks a hold, and has it stand. What it selects is looked at in the end.
func (j *joiner) hold(x uint64, s *chain.Statement, signed bool) {
	if h, err := chain.ParseHold(s.Body); err == nil && h.Ranges != nil {
		switch end := h.Ranges[len(h.Ranges)-1].To; {
		case s.Size == 0 && s.Root.IsZero():
			j.found.at(x, UnauthorisedControl, "control entry %d holds entries, and names no state that its signer saw", x)
			return
		case end > s.Size:
			j.found.at(x, UnauthorisedControl, "control entry %d selects entry %d, and its signer saw %d entries", x, end-1, s.Size)
			return
		}
	}
	j.legislate(x, s, signed)
	if n := len(j.law.holds); n > 0 && j.law.holds[n-1].At == x {
		j.placed = append(j.placed, j.law.holds[n-1])
	}
}

// release checks a release, and ends its hold.
func (j *joiner) release(x uint64, s *chain.Statement, signed bool) { j.legislate(x, s, signed) }

// legislate has a statement that the keys carry change the law.
func (j *joiner) legislate(x uint64, s *chain.Statement, signed bool) {
	j.state(x, s, nil, 0)
	next := j.law
	switch err := next.take(x, s); {
	case errors.Is(err, errNotStanding):
		if !j.unsure() {
			j.found.at(x, UnauthorisedControl, "control entry %d: %v", x, err)
		}
	case err != nil:
		j.found.at(x, MalformedEntry, "control entry %d: %v", x, err)
	case signed:
		j.law = next
	}
}

// settleHolds looks at what the holds select.
func (j *joiner) settleHolds() error {
	if j.unsure() {
		return nil
	}
	for _, h := range j.placed {
		if h.Whole {
			continue
		}
		if err := j.selection("holds", h.At, h.Workspace, h.hold.Ranges, h.hold.Leaves, func(*chain.Leaf, *chain.Entry, chain.Selected) {}); err != nil {
			return err
		}
	}
	return nil
}

// expires reports whether it is an expiry, and no erasure.
func (a *erasure) expires() bool { return a.Rule != chain.NoRef }
