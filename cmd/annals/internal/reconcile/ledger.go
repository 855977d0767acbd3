package reconcile

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/ledger/proof/tiles"
	"annals/query/client"

	"golang.org/x/mod/sumdb/tlog"
)

// leaf reads one entry, with what stands beside it where the source has that.
func (l *Ledger) leaf(ctx context.Context, index uint64) (chain.Leaf, error) {
	for leaf, err := range l.Source.Leaves(ctx, index, index+1) {
		if err != nil {
			return chain.Leaf{}, err
		}
		out := chain.Leaf{Raw: bytes.Clone(leaf.Raw)}
		if out.Entry, err = chain.ParseEntry(out.Raw); err != nil {
			return out, fmt.Errorf("entry %d: %w", index, err)
		}
		if leaf.Payload != nil {
			out.Payload = leaf.Payload.Clone()
		}
		return out, nil
	}
	return chain.Leaf{}, fmt.Errorf("entry %d is missing; `annals verify` says what is wrong", index)
}

func (l *Ledger) entry(ctx context.Context, index uint64) (*chain.Entry, error) {
	leaf, err := l.leaf(ctx, index)
	return &leaf.Entry, err
}

// find finds the entries of a place of a message, at most one of each epoch, the
// newest epoch's first: entries are in order of epoch, sequence and place.
func (l *Ledger) find(ctx context.Context, sequence uint64, place uint16) (found []*chain.Entry, err error) {
	for epoch := int64(l.last.Epoch); epoch >= 0; epoch-- {
		from, to := uint64(0), l.Checkpoint.Size
		for from < to { // the first entry that isn't before it
			middle := from + (to-from)/2
			e, err := l.entry(ctx, middle)
			if err != nil {
				return nil, err
			}
			if e.Epoch < uint32(epoch) || e.Epoch == uint32(epoch) && stands(e, sequence, place) < 0 {
				from = middle + 1
			} else {
				to = middle
			}
		}
		if from == l.Checkpoint.Size {
			continue
		}
		e, err := l.entry(ctx, from)
		if err != nil {
			return nil, err
		}
		if e.Epoch == uint32(epoch) && stands(e, sequence, place) == 0 {
			found = append(found, e)
		}
	}
	return found, nil
}

// stands says whether an entry stands before a place of a message, for it, or
// behind it. A gap stands for every place of the messages that it covers.
func stands(e *chain.Entry, sequence uint64, place uint16) int {
	if e.Kind == chain.KindGap {
		switch {
		case e.Reaches() < sequence:
			return -1
		case e.Sequence > sequence:
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(e.Sequence, sequence), cmp.Compare(e.Place, place))
}

// included checks that an entry is in the signed tree.
func (l *Ledger) included(ctx context.Context, e *chain.Entry) (wrong, err error) {
	path, err := l.inclusion(ctx, e.Index)
	if err != nil {
		return nil, err
	}
	return proof.CheckInclusion(l.Checkpoint.Size, l.Checkpoint.Root, e.Index, chain.LeafHash(e.Append(nil)), path), nil
}

// inclusion is the proof that an entry is in the tree of the checkpoint's size.
func (l *Ledger) inclusion(ctx context.Context, index uint64) ([]chain.Hash, error) {
	p, err := tlog.ProveRecord(int64(l.Checkpoint.Size), int64(index), l.nodes(ctx))
	return tiles.Hashes(p), err
}

// consistency is the proof that the signed tree begins with one of a size.
func (l *Ledger) consistency(ctx context.Context, size uint64) ([]chain.Hash, error) {
	if size == 0 {
		return nil, nil
	}
	p, err := tlog.ProveTree(int64(l.Checkpoint.Size), int64(size), l.nodes(ctx))
	return tiles.Hashes(p), err
}

// nodes serves tlog the nodes that the source has; what is wrong with them shows in
// the proof.
func (l *Ledger) nodes(ctx context.Context) tlog.HashReader {
	return tiles.Reader(func(level int, n uint64) (tlog.Hash, error) { return l.node(ctx, level, n) })
}

func (l *Ledger) node(ctx context.Context, level int, n uint64) (tlog.Hash, error) {
	if level == 0 {
		leaf, err := l.leaf(ctx, n)
		return tlog.Hash(chain.LeafHash(leaf.Raw)), err
	}
	for h, err := range l.Source.Nodes(ctx, level, n, n+1) {
		return tlog.Hash(h), err
	}
	// A source of tiles has each eighth level; those between are made of one tile.
	if below := level / tiles.Levels * tiles.Levels; below < level {
		span := uint64(1) << (level - below)
		var row []tlog.Hash
		for h, err := range l.Source.Nodes(ctx, below, n*span, (n+1)*span) {
			if err != nil {
				return tlog.Hash{}, err
			}
			row = append(row, tlog.Hash(h))
		}
		if uint64(len(row)) == span {
			return tiles.Above(row), nil
		}
	}
	return tlog.Hash{}, fmt.Errorf("node %d of level %d is missing; `annals verify` says what is wrong", n, level)
}

// Beside reads payloads from the source itself: a ledger's folder.
func (l *Ledger) Beside(ctx context.Context, _ string, e *chain.Entry) (*chain.Payload, error) {
	leaf, err := l.leaf(ctx, e.Index)
	if err != nil || leaf.Payload == nil {
		return nil, err
	}
	p := leaf.Payload
	switch p.Kept {
	case chain.KeptWhole:
		return p, nil
	case chain.KeptNone:
		return nil, nil
	}
	original, err := l.leaf(ctx, e.Ref)
	if err != nil {
		return nil, err
	}
	_, record := original.Record()
	if record == nil {
		return nil, nil // it was erased, and the duplicate's with it
	}
	body := bytes.Join([][]byte{p.Before, record, p.After}, nil)
	return &chain.Payload{Salt: p.Salt, Envelope: p.Envelope, Body: body}, nil
}

// Asked asks a server for payloads.
func Asked(c *client.Client) func(context.Context, string, *chain.Entry) (*chain.Payload, error) {
	return func(ctx context.Context, workspace string, e *chain.Entry) (*chain.Payload, error) {
		text, err := c.Receipt(ctx, workspace, e.ULID.String(), true)
		if err != nil {
			if p, ok := errors.AsType[*client.Problem](err); ok && p.Status == http.StatusNotFound {
				return nil, fmt.Errorf("the server has entry %d in its tree and says that the workspace %s has none: %w", e.Index, workspace, err)
			}
			return nil, err
		}
		r, err := proof.ParseReceipt(text)
		if err != nil {
			return nil, fmt.Errorf("the server's receipt of entry %d: %w", e.Index, err)
		}
		return r.Payload, nil
	}
}
