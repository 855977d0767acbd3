package export

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/ledger/proof/tiles"
)

// history makes the key history of the files that were written: genesis and
// changes of keys, with their proofs in the checkpoint.
func (o *Options) history(ctx context.Context) ([]byte, error) {
	place, err := tiles.Open(o.Dir, tiles.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = place.Close() }()
	tree := place.At(o.Checkpoint)
	h := &proof.KeyHistory{Checkpoint: string(o.Checkpoint.Note)}
	for leaf, err := range tree.Leaves(ctx, 0, o.Checkpoint.Size) {
		if err != nil {
			return nil, err
		}
		// Kind and code, without parsing every entry (docs/format/entry.md).
		if len(leaf.Raw) < chain.HeaderSize || chain.Kind(leaf.Raw[4]) != chain.KindControl {
			continue
		}
		switch chain.ControlType(binary.BigEndian.Uint16(leaf.Raw[8:])) {
		case chain.ControlGenesis, chain.ControlKey:
			k, err := entry(ctx, tree, leaf.Raw)
			if err != nil {
				return nil, err
			}
			if k.Index == 0 {
				h.Genesis = k
			} else {
				h.Changes = append(h.Changes, k)
			}
		}
	}
	if err := h.List(); err != nil {
		return nil, err
	}
	if err := o.addRetired(ctx, h, tree); err != nil {
		return nil, err
	}
	return json.Marshal(h)
}

func entry(ctx context.Context, tree *tiles.Tree, raw []byte) (proof.KeyEntry, error) {
	k := proof.KeyEntry{Index: binary.BigEndian.Uint64(raw[16:]), Entry: slices.Clone(raw)}
	hashes, err := tree.Inclusion(ctx, k.Index)
	k.Proof = proof.Listed(hashes)
	return k, err
}

// addRetired adds the retired checkpoints, by size.
func (o *Options) addRetired(ctx context.Context, h *proof.KeyHistory, tree *tiles.Tree) error {
	var retired []proof.Checkpoint
	for _, n := range o.Retired {
		c, err := proof.ParseCheckpoint(n)
		if err != nil {
			return fmt.Errorf("a retired checkpoint: %w", err)
		}
		if c.Size <= o.Checkpoint.Size { // a later one came after what is exported
			retired = append(retired, c)
		}
	}
	slices.SortFunc(retired, func(a, b proof.Checkpoint) int { return int(int64(a.Size - b.Size)) })
	for _, c := range retired {
		hashes, err := tree.Consistency(ctx, c.Size)
		if err != nil {
			return err
		}
		h.Retired = append(h.Retired, string(c.Note))
		h.Consistency = append(h.Consistency, proof.Listed(hashes))
	}
	return nil
}
