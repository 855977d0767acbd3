package projections

import (
	"encoding/binary"
	"fmt"
	"maps"
	"sync"

	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2"
)

// workspaces are the numbers that stand for workspaces' tags in keys, in the
// order in which the fold met them: the same ledger gives the same numbers. They
// are all in memory, some sixty bytes each.
type workspaces struct {
	mu     sync.RWMutex
	number map[chain.Hash]uint32
}

func newWorkspaces() *workspaces { return &workspaces{number: map[chain.Hash]uint32{}} }

// numbered is a workspace that the fold just met.
type numbered struct {
	tag    chain.Hash
	number uint32
}

// of returns a workspace's number; ok is false where no entry of it was folded.
func (w *workspaces) of(tag *chain.Hash) (number uint32, ok bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	number, ok = w.number[*tag]
	return number, ok
}

// add gives a workspace the next number.
func (w *workspaces) add(tag *chain.Hash) numbered {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := uint32(len(w.number))
	w.number[*tag] = n
	return numbered{*tag, n}
}

func workspaceKey(tag *chain.Hash) []byte {
	return append([]byte{rowWorkspace}, tag[:]...)
}

// readWorkspaces reads every number there is.
func readWorkspaces(db *pebble.DB) (_ *workspaces, err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{rowWorkspace}, UpperBound: []byte{rowWorkspace + 1}})
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := it.Close(); err == nil {
			err = closing
		}
	}()
	w := newWorkspaces()
	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		if len(it.Key()) != 1+len(chain.Hash{}) || len(value) != 4 {
			return nil, fmt.Errorf("%w: a workspace's row of %d bytes", pebble.ErrCorruption, len(value))
		}
		w.number[chain.Hash(it.Key()[1:])] = binary.BigEndian.Uint32(value)
	}
	if err := it.Error(); err != nil {
		return nil, err
	}
	seen := make(map[uint32]bool, len(w.number))
	for n := range maps.Values(w.number) {
		if seen[n] || int(n) >= len(w.number) {
			return nil, fmt.Errorf("%w: %d workspaces, and one of them has the number %d", pebble.ErrCorruption, len(w.number), n)
		}
		seen[n] = true
	}
	return w, nil
}
