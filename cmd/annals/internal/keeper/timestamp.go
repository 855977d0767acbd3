package keeper

import (
	"context"
	"errors"
	"fmt"

	"annals/ingest"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// Timestamp publishes a timestamp token over a checkpoint of the ledger, and returns once
// it is recorded.
func (k *Keeper) Timestamp(ctx context.Context, c proof.Checkpoint, token []byte) error {
	for {
		head := k.o.Ledger.Head()
		signer, err := k.o.Signer(&head.State)
		if err != nil {
			return fmt.Errorf("no timestamp token was signed: %w", err)
		}
		body := chain.SealTimestamp(k.o.Ledger.ID(), head.State.Control, c.Size, c.Root, token, signer)
		sequence, err := k.publish(ctx, chain.ControlTimestamp, body, head.State.ControlSequence)
		race := (*ingest.RaceError)(nil)
		lost := errors.As(err, &race) // another control message came in between
		if lost {
			sequence, err = race.Last, nil
		}
		if err == nil {
			err = k.folded(ctx, sequence)
		}
		if err != nil || !lost {
			return err
		}
	}
}
