package export

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
	"annals/ledger/proof/prooftest"
	"annals/ledger/proof/tiles"
)

// source is a ledger in memory, as an export reads a folder.
type source struct{ *prooftest.Ledger }

func (s source) Head(context.Context) (proof.Head, error) { return proof.Head{}, nil }

func (s source) Leaves(_ context.Context, from, to uint64) iter.Seq2[chain.Leaf, error] {
	return func(yield func(chain.Leaf, error) bool) {
		for i := from; i < min(to, s.Size()); i++ {
			if !yield(chain.Leaf{Raw: s.Ledger.Leaves[i].Raw}, nil) {
				return
			}
		}
	}
}

func (s source) Nodes(_ context.Context, level int, from, to uint64) iter.Seq2[chain.Hash, error] {
	return func(yield func(chain.Hash, error) bool) {
		for n := from; n < min(to, s.Size()>>level); n++ {
			h, err := s.ReadHashes([]int64{tlog.StoredHashIndex(level, int64(n))})
			if err != nil || !yield(chain.Hash(h[0]), nil) {
				return
			}
		}
	}
}

func ledger(name string, size uint64) *prooftest.Ledger {
	l := prooftest.New(name)
	for i := l.Size(); i < size; i++ {
		l.Record(fmt.Sprint("ws_", i%3), fmt.Sprint(i), `{}`)
	}
	l.Fold()
	return l
}

func checkpoint(l *prooftest.Ledger, size uint64) proof.Checkpoint {
	c, err := proof.ParseCheckpoint(l.Checkpoint(size))
	if err != nil {
		panic(err)
	}
	return c
}

// audit audits the export in a folder.
func audit(t *testing.T, l *prooftest.Ledger, dir string) proof.Report {
	t.Helper()
	p, err := tiles.Open(dir, tiles.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	note, err := p.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := proof.ParseCheckpoint(note)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h, err := proof.ParseKeyHistory(b)
	if err == nil {
		_, err = h.Verify(l.VKey())
	}
	if err != nil {
		t.Errorf("the key history: %v", err)
	}
	r, err := proof.Audit(t.Context(), p.At(c), proof.Options{Tiles: true, EntriesOnly: true, Checkpoint: note, Key: l.VKey(), History: h})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestResume breaks an export off after each file and goes on with it.
func TestResume(t *testing.T) {
	l := ledger("resume", 700)
	files := 0
	for range tiles.Needed(700) {
		files++
	}
	errBroken := errors.New("broken off")
	read := Folder(source{l})
	for most := range files {
		dir := filepath.Join(t.TempDir(), "export")
		var n atomic.Int32
		o := Options{Dir: dir, Checkpoint: checkpoint(l, 700), Read: func(ctx context.Context, name tiles.Name) ([]byte, error) {
			if n.Add(1) > int32(most) {
				return nil, errBroken
			}
			return read(ctx, name)
		}}
		if err := Write(t.Context(), o); !errors.Is(err, errBroken) {
			t.Fatalf("after %d files: %v", most, err)
		}
		if _, err := os.Stat(filepath.Join(dir, tiles.CheckpointPath)); err == nil {
			t.Fatalf("after %d files there is a checkpoint", most)
		}
		var more atomic.Int32
		o.Read = func(ctx context.Context, name tiles.Name) ([]byte, error) {
			more.Add(1)
			return read(ctx, name)
		}
		if err := Write(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if got := int(more.Load()); got != files-most {
			t.Errorf("%d files were there, %d of %d were written", most, got, files)
		}
		if r := audit(t, l, dir); r.Verdict != proof.Clean || r.Entries != 700 {
			t.Errorf("after %d files: %s", most, r.Sentence)
		}
	}
}

// TestGrows brings an export up to date, over a file that a crash left short.
func TestGrows(t *testing.T) {
	l := ledger("grows", 1000)
	dir := t.TempDir()
	for _, size := range []uint64{2, 100, 256, 257, 700, 700, 1000} {
		if size > 300 {
			cut := filepath.Join(dir, filepath.FromSlash(tiles.EntriesPath(0, tiles.Width)))
			if err := os.Truncate(cut, 1000); err != nil {
				t.Fatal(err)
			}
		}
		told := uint64(0)
		o := Options{Dir: dir, Checkpoint: checkpoint(l, size), Read: Folder(source{l}), Progress: func(done, of uint64) {
			if done == of {
				told = of
			}
		}}
		if err := Write(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if r := audit(t, l, dir); r.Verdict != proof.Clean || r.Entries != size || told == 0 {
			t.Errorf("at %d entries: %s", size, r.Sentence)
		}
	}
	for what, o := range map[string]Options{
		"holds an export of 1000 entries": {Dir: dir, Checkpoint: checkpoint(l, 999), Read: Folder(source{l})},
		"name another folder":             {Dir: dir, Checkpoint: checkpoint(ledger("other", 1200), 1200), Read: Folder(source{l})},
		"lacks some of what":              {Dir: filepath.Join(t.TempDir(), "x"), Checkpoint: proof.Checkpoint{Origin: "x", Size: 1001}, Read: Folder(source{l})},
	} {
		if err := Write(t.Context(), o); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want that it %s", err, what)
		}
	}
}

// TestRotated exports a ledger whose key was changed: the history in the export
// leads there from the old key.
func TestRotated(t *testing.T) {
	l := ledger("rotated", 100)
	retired := l.Checkpoint(l.Size())
	old, next := chaintest.Signer("checkpoint"), chaintest.Signer("next")
	l.ChangeKeys(chain.KeyChange{
		Reason: chain.Revocation, Removed: []chain.Hash{old.Public(0).ID()}, Added: []chain.Key{next.Public(chain.RoleCheckpoint)},
	}, "", l.Stream.Root)
	l.Record("ws_1", "more", `{}`)
	l.Fold()
	c := checkpoint(l, l.Size())
	c.Note = l.Sign(c.Text(), "next")
	dir := t.TempDir()
	if err := Write(t.Context(), Options{Dir: dir, Checkpoint: c, Read: Folder(source{l}), Retired: [][]byte{retired}}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, tiles.KeysFile))
	if err != nil {
		t.Fatal(err)
	}
	h, err := proof.ParseKeyHistory(b)
	if err != nil || len(h.Changes) != 1 || len(h.Retired) != 1 {
		t.Fatalf("%v, %+v", err, h)
	}
	ring, err := h.Verify(l.VKey())
	if err == nil {
		_, err = ring.Open(c.Note)
	}
	if err != nil {
		t.Errorf("by the old key: %v", err)
	}
}
