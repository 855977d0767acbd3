package proposal

import (
	"fmt"
	"slices"
	"strings"

	"annals/ledger/chain"
)

// Tally is how many signatures there are of those that are needed.
type Tally struct {
	Role    chain.Role
	Need    int
	Counted []Signed // in force in the role
	// Besides are in force in another role only: a rotation has them of the keys that
	// go, and elsewhere they neither help nor harm.
	Besides []Signed
	// Left are by keys that are not in force. One of them would spoil the message, so
	// they are left out of it.
	Left    []Signed
	Missing []chain.Hash // keys of the role that have not signed
}

// Tally counts the signatures by the keys that are in force.
func (p *Proposal) Tally(r *chain.Roster) *Tally {
	s, _ := p.statement(0, p.Number)
	t := new(Tally)
	t.Role, t.Need = r.Due(s.Type)
	standing := map[chain.Hash]chain.Role{}
	for _, span := range r.Spans() {
		if span.To != ^uint64(0) || span.Algorithm != chain.AlgorithmEd25519 {
			continue
		}
		standing[span.ID()] = span.Roles
		if span.Roles&t.Role != 0 && !slices.ContainsFunc(p.Signatures, func(s Signed) bool { return s.Key == span.ID() }) {
			t.Missing = append(t.Missing, span.ID())
		}
	}
	for _, signed := range p.Signatures {
		switch roles, ok := standing[signed.Key]; {
		case !ok:
			t.Left = append(t.Left, signed)
		case roles&t.Role == 0:
			t.Besides = append(t.Besides, signed)
		default:
			t.Counted = append(t.Counted, signed)
		}
	}
	return t
}

// Err says what is missing; nil: enough have signed.
func (t *Tally) Err() error {
	if len(t.Counted) >= t.Need {
		return nil
	}
	return fmt.Errorf("%d of %d signatures by keys of the role %s are there: nothing was submitted; have it signed by %d more with `annals sign`",
		len(t.Counted), t.Need, t.Role, t.Need-len(t.Counted))
}

// Says says who signed, a line each, and whose signatures don't count and why. name
// gives what a key is called; "" where nobody knows.
func (t *Tally) Says(name func(chain.Hash) string) (out []string) {
	for i := range t.Counted {
		out = append(out, fmt.Sprintf("by       %s: in force, role %s", t.Counted[i].Who(), t.Role))
	}
	for i := range t.Besides {
		out = append(out, fmt.Sprintf("by       %s: in force, but not for the role %s; it doesn't count", t.Besides[i].Who(), t.Role))
	}
	for i := range t.Left {
		out = append(out, fmt.Sprintf("by       %s: the ledger has no such key in force; it doesn't count, and is left out", t.Left[i].Who()))
	}
	if len(t.Counted) < t.Need {
		var missing []string
		for _, id := range t.Missing {
			who := id.String()
			if n := name(id); n != "" {
				who = fmt.Sprintf("%s (key %s…)", n, who[:16])
			}
			missing = append(missing, who)
		}
		out = append(out, "missing  "+strings.Join(missing, ", "))
	}
	return append(out, fmt.Sprintf("signed   %d of %d", len(t.Counted), t.Need))
}

// inForce are those whose signatures go into the message.
func (t *Tally) inForce() []Signed { return slices.Concat(t.Counted, t.Besides) }
