package export

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
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

// TestOneHistory: a folder takes no tiles of another history than the one that it
// holds, be it whole or broken off.
func TestOneHistory(t *testing.T) {
	l := ledger("history", 700)
	other := prooftest.New("history") // as far as its genesis goes the same ledger
	for i := other.Size(); i < 700; i++ {
		other.Record("ws_1", fmt.Sprint("other ", i), `{}`)
	}
	other.Fold()
	options := func(dir string, l *prooftest.Ledger, size uint64) Options {
		return Options{Dir: dir, Checkpoint: checkpoint(l, size), Read: Folder(source{l})}
	}
	broken := errors.New("broken off")
	for _, c := range []struct {
		name        string
		size        uint64 // of the export that is there
		off         bool   // it was broken off
		now         uint64
		l           *prooftest.Ledger
		want        string // in the error; "": none
		checkpoints bool   // only what says whose the tiles are goes
	}{
		{"whole, the same", 300, false, 700, l, "", false},
		{"broken off, the same", 300, true, 700, l, "", false},
		{"whole", 300, false, 700, other, "another history", false},
		{"whole, of the same size", 300, false, 300, other, "another history", false},
		{"of full tiles alone", 512, false, 700, other, "another history", false},
		{"broken off", 300, true, 700, other, "another history", false},
		{"broken off, of the same size", 300, true, 300, other, "another history", false},
		{"as far as both go together", 2, false, 700, other, "", false},
		{"broken off, of more", 700, true, 300, l, "holds an export of 700 entries", false},
		{"of nobody knows whom", 300, false, 700, l, "no checkpoint", true},
	} {
		dir := filepath.Join(t.TempDir(), "export")
		o, read := options(dir, l, c.size), Folder(source{l})
		if c.off {
			o.Read = func(ctx context.Context, name tiles.Name) ([]byte, error) {
				if !name.Entries {
					return nil, broken
				}
				return read(ctx, name)
			}
		}
		if err := Write(t.Context(), o); c.off != errors.Is(err, broken) || !c.off && err != nil {
			t.Fatal(err)
		}
		if c.checkpoints {
			if err := os.Remove(filepath.Join(dir, tiles.CheckpointPath)); err != nil {
				t.Fatal(err)
			}
		}
		before := listing(t, dir)
		err := Write(t.Context(), options(dir, c.l, c.now))
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "name another folder")):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		case c.want == "":
			if r := audit(t, c.l, dir); r.Verdict != proof.Clean || r.Entries != c.now {
				t.Errorf("%s: %s", c.name, r.Sentence)
			}
		default:
			if after := listing(t, dir); !slices.Equal(before, after) {
				t.Errorf("%s: refused, and changed: %v, was %v", c.name, after, before)
			}
		}
	}
}

// listing is every file below a folder.
func listing(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(filepath.ToSlash(path), filepath.ToSlash(dir)+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestSuperseded: of the partial files those of the last two exports stay, at most.
func TestSuperseded(t *testing.T) {
	l := ledger("superseded", 1000)
	dir := t.TempDir()
	var before uint64
	for _, size := range []uint64{2, 100, 255, 256, 300, 511, 511, 700, 701, 1000} {
		if err := Write(t.Context(), Options{Dir: dir, Checkpoint: checkpoint(l, size), Read: Folder(source{l})}); err != nil {
			t.Fatal(err)
		}
		may := map[string]bool{tiles.KeysFile: true, tiles.CheckpointPath: true}
		for _, s := range []uint64{before, size} {
			for name := range tiles.Needed(s) {
				// A partial file goes when the full one has come.
				if name.Width == tiles.Width || tiles.Wide(size, name.Level, name.N) < tiles.Width {
					may[name.Path()] = true
				}
			}
		}
		for _, name := range listing(t, dir) {
			if !may[name] {
				t.Errorf("at %d entries %s is left over", size, name)
			}
		}
		if r := audit(t, l, dir); r.Verdict != proof.Clean || r.Entries != size {
			t.Errorf("at %d entries: %s", size, r.Sentence)
		}
		before = size
	}
	// One that was broken off leaves nothing either.
	dir = t.TempDir()
	read, errBroken := Folder(source{l}), errors.New("broken off")
	err := Write(t.Context(), Options{Dir: dir, Checkpoint: checkpoint(l, 300), Read: func(ctx context.Context, name tiles.Name) ([]byte, error) {
		if !name.Entries && name.Width < tiles.Width {
			return nil, errBroken
		}
		return read(ctx, name)
	}})
	if !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	if err := Write(t.Context(), Options{Dir: dir, Checkpoint: checkpoint(l, 700), Read: read}); err != nil {
		t.Fatal(err)
	}
	files := int(tiles.Count(700)) + 2
	if got := listing(t, dir); len(got) != files {
		t.Errorf("%d files, want %d: %v", len(got), files, got)
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
