package export

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"annals/cmd/annals/internal/durable"
	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/ledger/proof/tiles"
)

// begun is the checkpoint of an export that is being written: it stands in the folder
// before the first tile does, so that whoever goes on knows whose tiles they are.
const begun = ".exporting"

// mayWrite refuses a folder that holds something else than an earlier export of this
// history: the files of two are none. It returns the size of the export that is there,
// 0 where there is none, and of one that was broken off.
func (o *Options) mayWrite(ctx context.Context) (before, off uint64, err error) {
	if err := durable.Dir(o.Dir); err != nil {
		return before, off, err
	}
	known := false
	for _, name := range []string{tiles.CheckpointPath, begun} {
		note, err := os.ReadFile(filepath.Join(o.Dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return before, off, err
		}
		known = true
		c, err := proof.ParseCheckpoint(note)
		if err != nil {
			return before, off, fmt.Errorf("%s holds an export whose checkpoint can't be read, so nobody knows what its tiles are of: name another folder (%s: %w)", o.Dir, name, err)
		}
		if err := o.follows(ctx, &c); err != nil {
			return before, off, err
		}
		if off = c.Size; name == tiles.CheckpointPath {
			before = c.Size
		}
	}
	list, err := os.ReadDir(o.Dir)
	for _, f := range list {
		switch ours := f.Name() == "tile" || f.Name() == tiles.KeysFile; {
		case known || durable.Temporary(f.Name()):
		case ours:
			return before, off, fmt.Errorf("%s holds %s and no checkpoint, so nobody knows what it is of: name another folder", o.Dir, f.Name())
		default:
			return before, off, fmt.Errorf("%s holds %s and no export: name an empty folder or a new one", o.Dir, f.Name())
		}
	}
	return before, off, err
}

// follows reports whether this ledger begins with the tree of an earlier export.
func (o *Options) follows(ctx context.Context, earlier *proof.Checkpoint) error {
	now := &o.Checkpoint
	switch {
	case earlier.Origin != now.Origin:
		return fmt.Errorf("%s holds an export of %s, and this is %s: name another folder", o.Dir, earlier.Origin, now.Origin)
	case earlier.Size > now.Size:
		return fmt.Errorf("%s holds an export of %d entries, and this is of %d: name another folder", o.Dir, earlier.Size, now.Size)
	case earlier.Size == 0:
		return nil
	}
	root := now.Root
	if earlier.Size < now.Size {
		h, err := tlog.TreeHash(int64(earlier.Size), o.nodes(ctx))
		if err != nil {
			return err
		}
		root = chain.Hash(h)
	}
	if root != earlier.Root {
		return fmt.Errorf("%s holds an export of another ledger of this name, or of another history of it: it signed the root %s for its first %d entries, and this ledger's have %s. "+
			"Keep that export, it is evidence; verify this ledger; and name another folder", o.Dir, earlier.Root, earlier.Size, root)
	}
	return nil
}

// nodes reads nodes of any level from the tiles that hold them or those below.
func (o *Options) nodes(ctx context.Context) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			h, err := o.node(ctx, at)
			if err != nil {
				return nil, err
			}
			out[i] = h
		}
		return out, nil
	})
}

func (o *Options) node(ctx context.Context, at int64) (tlog.Hash, error) {
	level, n := tlog.SplitStoredHashIndex(at)
	below := level / tiles.Levels * tiles.Levels
	span := 1 << (level - below)
	first := uint64(n) * uint64(span)
	name := tiles.Name{Level: below, N: first / tiles.Width, Width: tiles.Wide(o.Checkpoint.Size, below, first/tiles.Width)}
	b, err := o.Read(ctx, name)
	if err != nil {
		return tlog.Hash{}, err
	}
	from := int(first%tiles.Width) * tlog.HashSize
	if len(b) < from+span*tlog.HashSize {
		return tlog.Hash{}, fmt.Errorf("%s is too short: annals verify says what is wrong", name.Path())
	}
	row := make([]tlog.Hash, span)
	for i := range row {
		row[i] = tlog.Hash(b[from+i*tlog.HashSize:])
	}
	for ; len(row) > 1; row = row[:len(row)/2] {
		for i := range len(row) / 2 {
			row[i] = tlog.NodeHash(row[2*i], row[2*i+1])
		}
	}
	return row[0], nil
}

// prune removes the partial files that nobody asks for any more. Those of the export
// before stay until the next one, for who has just read its checkpoint, unless a full
// file has come, which a reader takes in their place.
func (o *Options) prune(before, off uint64) error {
	for _, size := range []uint64{before, off} {
		for name := range edge(size) {
			if err := o.pruneFile(name, before); err != nil {
				return err
			}
		}
	}
	return nil
}

// pruneFile removes the superseded files of one partial file's place.
func (o *Options) pruneFile(name tiles.Name, before uint64) error {
	folder := filepath.Dir(filepath.Join(o.Dir, filepath.FromSlash(name.Path())))
	var keep []string
	if now := tiles.Wide(o.Checkpoint.Size, name.Level, name.N); now < tiles.Width {
		keep = []string{strconv.Itoa(now), strconv.Itoa(tiles.Wide(before, name.Level, name.N))}
	}
	list, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range list {
		if !slices.Contains(keep, f.Name()) {
			if err := os.Remove(filepath.Join(folder, f.Name())); err != nil {
				return err
			}
		}
	}
	if keep == nil {
		return os.Remove(folder)
	}
	return nil
}

// edge lists the partial files of a tree of a size.
func edge(size uint64) func(func(tiles.Name) bool) {
	return func(yield func(tiles.Name) bool) {
		for level := 0; level < 64 && size>>level > 0; level += tiles.Levels {
			n := (size >> level) / tiles.Width
			width := tiles.Wide(size, level, n)
			if width == 0 {
				continue
			}
			if level == 0 && !yield(tiles.Name{Entries: true, N: n, Width: width}) {
				return
			}
			if !yield(tiles.Name{Level: level, N: n, Width: width}) {
				return
			}
		}
	}
}
