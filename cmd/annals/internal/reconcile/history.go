package reconcile

import (
	"context"
	"fmt"

	"annals/ledger/proof"
)

// History puts together what the ledger's entries say of its keys, for who has no
// server to ask: changes are the entries that changed them, retired the checkpoints
// that were kept of keys that sign no more. Whoever wrote either down wrongly gets a
// history that doesn't hold: nothing in it is true before [proof.KeyHistory.Verify].
// The ledger's checkpoint need not be opened yet.
func (l *Ledger) History(ctx context.Context, changes []uint64, retired [][]byte) (*proof.KeyHistory, error) {
	h := &proof.KeyHistory{Checkpoint: string(l.Checkpoint.Note)}
	var err error
	if h.Genesis, err = l.keyEntry(ctx, 0); err != nil {
		return nil, err
	}
	for _, index := range changes {
		if index >= l.Checkpoint.Size {
			break // nobody signed for it yet
		}
		e, err := l.keyEntry(ctx, index)
		if err != nil {
			return nil, err
		}
		h.Changes = append(h.Changes, e)
	}
	for _, note := range retired {
		c, err := proof.ParseCheckpoint(note)
		if err != nil {
			return nil, fmt.Errorf("a retired checkpoint: %w", err)
		}
		if c.Size >= l.Checkpoint.Size {
			continue // its key signed the checkpoint, or one after it
		}
		between, err := l.consistency(ctx, c.Size)
		if err != nil {
			return nil, err
		}
		h.Retired, h.Consistency = append(h.Retired, string(note)), append(h.Consistency, proof.Listed(between))
	}
	return h, h.List()
}

func (l *Ledger) keyEntry(ctx context.Context, index uint64) (proof.KeyEntry, error) {
	leaf, err := l.leaf(ctx, index)
	if err != nil {
		return proof.KeyEntry{}, err
	}
	path, err := l.inclusion(ctx, index)
	return proof.KeyEntry{Index: index, Entry: leaf.Raw, Proof: proof.Listed(path)}, err
}
