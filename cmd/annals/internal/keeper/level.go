package keeper

import (
	"context"

	"annals/ingest"
)

// Level waits until the ledger has folded the control messages that the stream has now,
// erasures among them, or something keeps it from doing so. [Keeper.Mark] does as much,
// where it can sign.
func (k *Keeper) Level(ctx context.Context) error {
	last, err := ingest.LastControl(ctx, k.o.Conn)
	if err != nil {
		return err
	}
	return k.foldedOr(ctx, last)
}
