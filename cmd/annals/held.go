package main

import (
	"context"
	"fmt"
	"slices"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/proposal"
	"annals/cmd/annals/internal/show"
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
		kept := ranges // by a hold of the whole workspace
		if holds[i].Ranges != nil {
			kept = slices.Collect(chain.Shared(holds[i].Ranges, ranges))
		}
		if len(kept) == 0 {
			continue
		}
		refuses = true
		if _, err := fmt.Fprintf(a.out, "held     %s by hold %d, of entry %d: %s\n", show.Count(chain.Count(kept), "entry"), holds[i].Number, holds[i].At, proposal.Runs(kept)); err != nil {
			return err
		}
	}
	if refuses {
		return &heldError{workspace}
	}
	return nil
}

// heldError says that a hold keeps what was to be erased.
type heldError struct{ workspace string }

func (e *heldError) Error() string {
	return fmt.Sprintf("nothing was erased: a hold keeps some of what it selects; `annals hold list --workspace %s` shows which, and it has to be released first, or what it holds left out", e.workspace)
}
