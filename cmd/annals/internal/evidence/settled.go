package evidence

import (
	"context"

	"annals/cmd/annals/internal/control"
	"annals/ledger/proof/pack"
	"annals/query/client"
)

// settled asks for the catalogues that a workspace had in a ledger of a size.
func settled(ctx context.Context, c *client.Client, workspace string, size uint64) (out []pack.Settled, err error) {
	all, err := control.CatalogueOf(ctx, c, workspace, size)
	if err != nil {
		return nil, err
	}
	for i, v := range all.Versions {
		is := all
		if i < len(all.Versions)-1 {
			if is, err = control.CatalogueOf(ctx, c, workspace, v.Index+1); err != nil {
				return nil, err
			}
		}
		out = append(out, pack.Settle(v.Index, is.Document))
	}
	return out, nil
}
