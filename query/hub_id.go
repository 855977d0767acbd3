package query

import (
	"context"

	"annals/ledger/chain"

	"github.com/oklog/ulid/v2"
)

// idIn returns the ULID of the entry with which a workspace's chain ends; of an empty
// one the zero ULID, which is before every entry.
func (h *hub) idIn(end chain.Head) (string, error) {
	if end.Count == 0 {
		return ulid.Zero.String(), nil
	}
	leaf, _, err := h.api.o.Ledger.Get(end.Index)
	return leaf.Entry.ULID.String(), err
}

// idBefore returns the ULID of a workspace's last entry before an index; "" where more
// of its entries have come since, and the one at the index's left is another's.
func (h *hub) idBefore(ctx context.Context, workspace chain.Hash, index uint64) (string, error) {
	if index == 0 {
		return "", nil
	}
	_, end, err := h.api.o.Ledger.WorkspaceHead(ctx, workspace)
	if err != nil {
		return "", err
	}
	if end.Count == 0 || end.Index < index {
		return h.idIn(end)
	}
	leaf, _, err := h.api.o.Ledger.Get(index - 1)
	if err != nil || leaf.Entry.Workspace != workspace {
		return "", err
	}
	return leaf.Entry.ULID.String(), nil
}
