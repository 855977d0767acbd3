package export

import (
	"context"
	"encoding/binary"
	"fmt"

	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/ledger/proof/tiles"
)

// Folder returns how to read the files of a ledger that is at hand, as it is
// stored: nothing is put right, and nothing is judged.
func Folder(src proof.Source) func(ctx context.Context, name tiles.Name) ([]byte, error) {
	return func(ctx context.Context, name tiles.Name) ([]byte, error) {
		from := name.N * tiles.Width
		to := from + uint64(name.Width)
		var b []byte
		if !name.Entries && name.Level > 0 {
			for h, err := range src.Nodes(ctx, name.Level, from, to) {
				if err != nil {
					return nil, err
				}
				b = append(b, h[:]...)
			}
			return fitting(name, b)
		}
		for leaf, err := range src.Leaves(ctx, from, to) {
			if err != nil {
				return nil, err
			}
			if !name.Entries {
				h := chain.LeafHash(leaf.Raw)
				b = append(b, h[:]...)
				continue
			}
			if len(leaf.Raw) > chain.MaxEntrySize {
				return nil, fmt.Errorf("an entry of %d bytes does not fit a bundle: verify the ledger", len(leaf.Raw))
			}
			b = binary.BigEndian.AppendUint16(b, uint16(len(leaf.Raw)))
			b = append(b, leaf.Raw...)
		}
		return fitting(name, b)
	}
}

// fitting refuses a file that lacks something: an export must not hide that.
func fitting(name tiles.Name, b []byte) ([]byte, error) {
	if !name.Fits(b) {
		return nil, fmt.Errorf("the ledger lacks some of what %s holds: verify it, and export it from a replica or a backup that is whole", name.Path())
	}
	return b, nil
}
