package signer

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"annals/cmd/annals/internal/keys"
	"annals/ledger"
	"annals/ledger/chain"

	"golang.org/x/mod/sumdb/tlog"
)

const origin = "annals.example/signer"

// history is a ledger that the tests make up: a tree of leaves, and the keys that
// are in force.
type history struct {
	mu     sync.Mutex
	grown  chan struct{}
	hashes []tlog.Hash // stored hashes, as tlog numbers them
	size   uint64
	named  *chain.Roster
}

func newHistory(keys *keys.Folder) *history {
	g := chain.Genesis{Origin: origin, Keys: keys.Public()}
	return &history{grown: make(chan struct{}), named: g.Roster()}
}

// grow appends leaves that say which history they are of.
func (h *history) grow(n int, which uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for range n {
		data := binary.BigEndian.AppendUint64(nil, which)
		more, err := tlog.StoredHashes(int64(h.size), binary.BigEndian.AppendUint64(data, h.size), h)
		if err != nil {
			panic(err)
		}
		h.hashes = append(h.hashes, more...)
		h.size++
	}
	close(h.grown)
	h.grown = make(chan struct{})
}

// cut goes back to an earlier size, as a restored copy does.
func (h *history) cut(size uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.size, h.hashes = size, h.hashes[:tlog.StoredHashCount(int64(size))]
}

// ReadHashes implements [tlog.HashReader].
func (h *history) ReadHashes(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i, n := range at {
		if n >= int64(len(h.hashes)) {
			return nil, errors.New("no such hash")
		}
		out[i] = h.hashes[n]
	}
	return out, nil
}

func (h *history) root(size uint64) chain.Hash {
	root, err := tlog.TreeHash(int64(size), h)
	if err != nil {
		panic(err)
	}
	return chain.Hash(root)
}

func (h *history) head() ledger.Head {
	h.mu.Lock()
	defer h.mu.Unlock()
	return ledger.Head{Size: h.size, Root: h.root(h.size)}
}

func (h *history) wait(ctx context.Context, size uint64) (ledger.Head, error) {
	for {
		h.mu.Lock()
		grown, now := h.grown, h.size
		h.mu.Unlock()
		if now > size {
			return h.head(), nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return h.head(), ctx.Err()
		}
	}
}

func (h *history) consistency(from, to uint64) ([]chain.Hash, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, err := tlog.ProveTree(int64(to), int64(from), h)
	out := make([]chain.Hash, len(p))
	for i := range p {
		out[i] = chain.Hash(p[i])
	}
	return out, err
}

func (h *history) spans() []chain.KeySpan {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.named.Spans()
}

func (h *history) tree() tree {
	return tree{head: h.head, wait: h.wait, consistency: h.consistency, keys: h.spans}
}

// change has an entry change the keys: it removes the keys of the role and adds
// another.
func (h *history) change(t testing.TB, dir string, role chain.Role) keys.Private {
	t.Helper()
	next, err := keys.Add(dir, role, chain.AlgorithmEd25519)
	if err != nil {
		t.Fatal(err)
	}
	change := chain.KeyChange{Added: []chain.Key{next.Key()}}
	for _, span := range h.named.Spans() {
		if span.Roles == role && span.InForce(h.size) {
			change.Removed = append(change.Removed, span.ID())
		}
	}
	h.grow(1, 0)
	if h.named, err = h.named.Apply(h.size-1, &change); err != nil {
		t.Fatal(err)
	}
	return next
}

func mustKeys(t testing.TB, mldsa bool) *keys.Folder {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := keys.Make(dir, mldsa)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func ours(context.Context) error { return nil }

func opened(t testing.TB, h *history, o Options) *Signer {
	t.Helper()
	if o.Check == nil {
		o.Check = ours
	}
	return open(o, origin, h.tree())
}

func newHistoryOf(keys *keys.Folder, size int) *history {
	h := newHistory(keys)
	h.grow(size, 0)
	return h
}
