package ledger

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"annals/ledger/chain"
)

// HeadsMap returns a durable head, and the map of all workspaces' heads as it
// stood there.
func (l *Ledger) HeadsMap(ctx context.Context) (Head, map[chain.Hash]chain.Head, error) {
	var heads map[chain.Hash]chain.Head
	head, err := l.headsAt(ctx, func(db pebble.Reader) (err error) {
		heads, err = readHeads(db)
		return err
	})
	return head, heads, err
}

// WorkspaceHead returns a durable size, and where the chain of a workspace's tag
// ends there. Of a tag without entries Count and Index are 0, and Leaf is what the
// chain's first entry will name.
func (l *Ledger) WorkspaceHead(ctx context.Context, tag chain.Hash) (size uint64, head chain.Head, err error) {
	durable, err := l.headsAt(ctx, func(db pebble.Reader) error {
		b, closer, err := db.Get(hashKey(prefixHead, tag))
		if errors.Is(err, pebble.ErrNotFound) {
			head = chain.Head{Leaf: chain.FirstInWorkspace(l.ID(), tag)}
			return nil
		}
		if err != nil {
			return err
		}
		head, err = parseHead(b)
		return errors.Join(err, closer.Close())
	})
	return durable.Size, head, err
}

// headsAt has heads read at one moment, and returns that moment's head once it is
// durable.
func (l *Ledger) headsAt(ctx context.Context, read func(pebble.Reader) error) (Head, error) {
	snapshot := l.db.NewSnapshot()
	defer func() { _ = snapshot.Close() }()
	b, err := get(snapshot, keyState)
	if err != nil {
		return Head{}, err
	}
	state, root, err := parseStored(l.Head().State, b, seedIn(snapshot))
	if err != nil {
		return Head{}, err
	}
	if err := read(snapshot); err != nil {
		return Head{}, err
	}
	// The snapshot may be ahead of the fsync; what is signed may not.
	if _, err := l.Wait(ctx, state.Size-1); err != nil {
		return Head{}, err
	}
	return Head{Size: state.Size, Root: root, Last: state.Last, State: state}, nil
}
