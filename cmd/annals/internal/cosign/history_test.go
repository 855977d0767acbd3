package cosign_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "annals.example/cosigned"

// toDisk writes without syncing: what a test writes need not survive a power cut.
func toDisk(path string, data []byte) error { return os.WriteFile(path, data, 0o600) }

// tree is a history of leaves, and of every tree that it had.
type tree struct {
	hashes []tlog.Hash
	size   uint64
}

// ReadHashes implements [tlog.HashReader].
func (h *tree) ReadHashes(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i, n := range at {
		if n >= int64(len(h.hashes)) {
			return nil, errors.New("no such hash")
		}
		out[i] = h.hashes[n]
	}
	return out, nil
}

// grow appends leaves that say which history they are of.
func (h *tree) grow(n int, which uint64) {
	for range n {
		data := binary.BigEndian.AppendUint64(nil, which)
		more, err := tlog.StoredHashes(int64(h.size), binary.BigEndian.AppendUint64(data, h.size), h)
		if err != nil {
			panic(err)
		}
		h.hashes = append(h.hashes, more...)
		h.size++
	}
}

// cut is the tree as it once was.
func (h *tree) cut(size uint64) *tree {
	return &tree{hashes: append([]tlog.Hash{}, h.hashes[:tlog.StoredHashCount(int64(size))]...), size: size}
}

func (h *tree) root(size uint64) chain.Hash {
	root, err := tlog.TreeHash(int64(size), h)
	if err != nil {
		panic(err)
	}
	return chain.Hash(root)
}

// logKey is the log's signer and verifier key.
func logKey(name string) (note.Signer, string) {
	seed := chaintest.Secret(name)
	public := ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
	vkey := proof.VKey(origin, 1, public)
	s, err := note.NewSigner("PRIVATE+KEY+" + origin + "+" + strings.Split(vkey, "+")[1] + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed[:]...)))
	if err != nil {
		panic(err)
	}
	return s, vkey
}

// signed is a checkpoint of a tree, by a key.
func signed(h *tree, size uint64, by note.Signer) proof.Checkpoint {
	c := proof.Checkpoint{Origin: origin, Size: size, Root: h.root(size)}
	var err error
	if c.Note, err = note.Sign(&note.Note{Text: c.Text()}, by); err != nil {
		panic(err)
	}
	return c
}

// ledger is a log that grows and signs: what a collector reads of one.
type ledger struct {
	key  note.Signer
	vkey string

	mu   sync.Mutex
	tree *tree
	last proof.Checkpoint
	news chan struct{}
}

func newLedger() *ledger {
	l := &ledger{tree: new(tree), news: make(chan struct{})}
	l.key, l.vkey = logKey("log")
	return l
}

// grow records.
func (l *ledger) grow(n int, which uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tree.grow(n, which)
}

// sign publishes a checkpoint of what is recorded.
func (l *ledger) sign() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tree.size == l.last.Size {
		return
	}
	l.last = signed(l.tree, l.tree.size, l.key)
	close(l.news)
	l.news = make(chan struct{})
}

func (l *ledger) next(ctx context.Context, after uint64) (proof.Checkpoint, error) {
	for {
		l.mu.Lock()
		last, news := l.last, l.news
		l.mu.Unlock()
		if last.Size > after {
			return last, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return last, ctx.Err()
		}
	}
}

func (l *ledger) consistency(from, to uint64) ([]chain.Hash, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if to > l.tree.size {
		return nil, errors.New("not so many entries")
	}
	p, err := tlog.ProveTree(int64(to), int64(from), l.tree)
	out := make([]chain.Hash, len(p))
	for i := range p {
		out[i] = chain.Hash(p[i])
	}
	return out, err
}

// mustPolicy is a policy of witnesses w0, w1, …: so many of them are needed.
func mustPolicy(t testing.TB, need int, vkeys ...string) *proof.Policy {
	t.Helper()
	var b, names strings.Builder
	for i, vkey := range vkeys {
		fmt.Fprintf(&b, "witness w%d %s https://w%d.example/a\n", i, vkey, i)
		fmt.Fprintf(&names, " w%d", i)
	}
	p, err := proof.ParsePolicy([]byte(b.String() + fmt.Sprintf("group all %d%s\nquorum all\n", need, names.String())))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
