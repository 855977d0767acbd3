package proof

import (
	"bytes"
	"context"

	"annals/ledger/chain"
)

// beginning is what entry 0 says, as far as it can be relied on.
type beginning struct {
	id      *chain.Hash // nil when entry 0 is not what was recorded: nothing that holds the id can be checked then
	genesis *chain.Genesis
}

// begin reads entry 0 and decides on the ledger's id: every other hash holds it,
// so a damaged genesis must not make everything else look damaged.
func begin(ctx context.Context, src Source, head Head, o Options, found *findings) (beginning, error) {
	var out, candidate beginning
	sure := false // entry 0 or entry 1 names the genesis that stands there
	if head.Size == 0 {
		return out, nil
	}
	at := 0
	for leaf, err := range src.Leaves(ctx, 0, 2) {
		if err != nil {
			return out, err
		}
		// A header that breaks a rule can still hold the statement that was recorded.
		e, _ := chain.ParseEntry(bytes.Clone(leaf.Raw)) // the genesis keeps views of it
		control, err := e.Control()
		switch {
		case err != nil:
		case at == 0 && control.Statement.Type == chain.ControlGenesis:
			if g, err := chain.ParseGenesis(control.Statement.Body); err == nil {
				id := g.LedgerID()
				candidate, sure = beginning{id: &id, genesis: &g}, e.Previous == chain.FirstPrevious(id)
			}
		case at == 1 && candidate.id != nil:
			sure = sure || control.Statement.Ledger == *candidate.id
		}
		at++
	}
	if sure {
		out = candidate
	}
	if want := o.Ledger; out.id != nil && !want.IsZero() && *out.id != want {
		found.at(0, WrongLedger, "the ledger's id is %s, not %s", out.id, want)
	}
	return out, nil
}
