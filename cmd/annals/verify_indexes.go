package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"annals/cmd/annals/internal/audit"
	"annals/cmd/annals/internal/datadir"
	"annals/ledger"
	"annals/ledger/proof"
	"annals/projections"
)

// checkIndexes holds the indexes in a data folder against its ledger, and adds to
// the report what it finds. An error is what ends it that is no matter of theirs.
func checkIndexes(ctx context.Context, data string, src *ledger.Source, r *audit.Result, told func(read, of uint64)) error {
	if r.Verdict != proof.Clean {
		r.Add(nil, proof.Notice{Notice: proof.NoIndexes, Detail: "the indexes were not compared, for the ledger that they follow from is not clean"})
		return nil
	}
	checked, err := projections.Check(ctx, filepath.Join(data, datadir.Projections), r.Ledger, src.Parsed, r.Entries, projections.CheckOptions{Progress: told})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, projections.ErrAbsent):
		r.Add(nil, proof.Notice{Notice: proof.NoIndexes, Detail: "there are no indexes to compare; a server makes them from the ledger when it starts"})
		return nil
	case err != nil:
		r.Add([]proof.Found{{
			Finding: proof.Inconclusive,
			Detail:  fmt.Sprintf("the ledger is clean, but its indexes could not be compared: %s; where they can't be read, annals rebuild --data folds them anew", oneLine(err)),
		}})
		return nil
	}
	var lies []proof.Found
	for i := range checked.Found {
		m := &checked.Found[i]
		lies = append(lies, proof.Found{Finding: proof.IndexLies, Index: m.Index, Detail: m.String()})
	}
	r.Add(lies)
	switch {
	case checked.Size < r.Entries:
		detail := fmt.Sprintf("the indexes hold %d of %d entries; a server folds the rest when it runs", checked.Size, r.Entries)
		if checked.Unfolded {
			detail += ", and takes out of them what was erased or has expired since, which stands in them until then"
		}
		r.Add(nil, proof.Notice{Notice: proof.IndexesBehind, Index: &checked.Size, Detail: detail})
	case len(lies) == 0:
		r.Sentence += "; the indexes follow from them"
	}
	return nil
}
