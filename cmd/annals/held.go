package main

import (
	"context"
	"fmt"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/proposal"
	"annals/ledger/chain"
)

// refusedByHolds says which holds keep something of what an erasure selects, and how
// much: the ledger refuses all of it then. The error says so once more. Where the token
// may not ask, the fold will say.
func (a *app) refusedByHolds(ctx context.Context, c *client.Client, workspace string, ranges []chain.Range) error {
	if workspace == chain.SystemWorkspace {
		return nil // its holds are shown to nobody: the fold, which knows them, is asked
	}
	_, holds, err := standing(ctx, c, workspace)
	if unauthorised(err) {
		_, err = fmt.Fprintln(a.out, "holds    were not looked at: the token has not the scope audit; a hold refuses the statement")
		return err
	}
	if err != nil {
		return err
	}
	refuses := false
	for i := range holds {
		kept := keptBy(&holds[i].Hold, ranges)
		if len(kept) == 0 {
			continue
		}
		refuses = true
		n := uint64(0)
		for _, r := range kept {
			n += r.To - r.From
		}
		if _, err := fmt.Fprintf(a.out, "held     %s by hold %d, of entry %d: %s\n", entries(n), holds[i].Number, holds[i].At, proposal.Runs(kept)); err != nil {
			return err
		}
	}
	if refuses {
		return &heldError{workspace}
	}
	return nil
}

// keptBy returns what of ranges a hold covers; all of it where the hold is of the whole
// workspace.
func keptBy(h *chain.Hold, ranges []chain.Range) (kept []chain.Range) {
	if h.Ranges == nil {
		return ranges
	}
	for i, k := 0, 0; i < len(ranges) && k < len(h.Ranges); { // both ascend
		r, held := ranges[i], h.Ranges[k]
		if from, to := max(r.From, held.From), min(r.To, held.To); from < to {
			kept = append(kept, chain.Range{From: from, To: to})
		}
		if r.To <= held.To {
			i++
		} else {
			k++
		}
	}
	return kept
}

// heldError says that a hold keeps what was to be erased.
type heldError struct{ workspace string }

func (e *heldError) Error() string {
	return fmt.Sprintf("nothing was erased: a hold keeps some of what it selects; `annals hold list --workspace %s` shows which, and it has to be released first, or what it holds left out", e.workspace)
}
