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

// earlier are the sizes of what stands in the folder already, 0 for what does not.
type earlier struct {
	export    uint64 // the export
	off       uint64 // one that was broken off
	witnessed uint64 // what the export calls witnessed
}

// mayWrite refuses a folder that holds something else than an earlier export of this
// history: the files of two are none.
func (o *Options) mayWrite(ctx context.Context) (there earlier, err error) {
	if err := durable.Dir(o.Dir); err != nil {
		return there, err
	}
	known := false
	for _, note := range []struct {
		name string
		size *uint64
	}{{tiles.CheckpointPath, &there.export}, {begun, &there.off}, {tiles.WitnessedPath, &there.witnessed}} {
		b, err := os.ReadFile(filepath.Join(o.Dir, note.name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return there, err
		}
		c, err := proof.ParseCheckpoint(b)
		if err != nil {
			return there, fmt.Errorf("%s holds an export whose checkpoint can't be read, so nobody knows what its tiles are of: name another folder (%s: %w)", o.Dir, note.name, err)
		}
		if err := o.follows(ctx, &c); err != nil {
			return there, err
		}
		*note.size = c.Size
		known = known || note.name != tiles.WitnessedPath
	}
	list, err := os.ReadDir(o.Dir)
	for _, f := range list {
		switch ours := f.Name() == "tile" || f.Name() == tiles.KeysFile || f.Name() == tiles.WitnessedPath; {
		case known || durable.Temporary(f.Name()):
		case ours:
			return there, fmt.Errorf("%s holds %s and no checkpoint, so nobody knows what it is of: name another folder", o.Dir, f.Name())
		default:
			return there, fmt.Errorf("%s holds %s and no export: name an empty folder or a new one", o.Dir, f.Name())
		}
	}
	return there, err
}

// cosigned returns the witnessed checkpoint that goes beside the newest, nil where
// there is none. It has to be of the same history: an export must not hide a fork.
func (o *Options) cosigned(ctx context.Context) (*proof.Checkpoint, error) {
	if o.Witnessed == nil {
		return nil, nil
	}
	c, err := proof.ParseCheckpoint(o.Witnessed)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the witnessed checkpoint: %w", err)
	case c.Size > o.Checkpoint.Size:
		return nil, nil
	}
	if err := o.begins(ctx, &c); err != nil {
		return nil, fmt.Errorf("the witnessed checkpoint is of another history than the newest, so nothing is exported: annals verify --policy says more (%w)", err)
	}
	return &c, nil
}

// besides lists the partial files that an audit of the witnessed checkpoint reads, and
// one of the newest does not.
func (o *Options) besides(witnessed *proof.Checkpoint) (out []tiles.Name) {
	if witnessed == nil {
		return nil
	}
	for name := range edge(witnessed.Size) {
		if now := tiles.Wide(o.Checkpoint.Size, name.Level, name.N); now != name.Width && now != tiles.Width {
			out = append(out, name)
		}
	}
	return out
}

// follows reports whether this ledger begins with the tree of an earlier export.
func (o *Options) follows(ctx context.Context, earlier *proof.Checkpoint) error {
	now := &o.Checkpoint
	switch {
	case earlier.Origin != now.Origin:
		return fmt.Errorf("%s holds an export of %s, and this is %s: name another folder", o.Dir, earlier.Origin, now.Origin)
	case earlier.Size > now.Size:
		return fmt.Errorf("%s holds an export of %d entries, and this is of %d: name another folder", o.Dir, earlier.Size, now.Size)
	}
	if err := o.begins(ctx, earlier); err != nil {
		return fmt.Errorf("%s holds an export of another ledger of this name, or of another history of it: %w. "+
			"Keep that export, it is evidence; verify this ledger; and name another folder", o.Dir, err)
	}
	return nil
}

// begins returns an error unless what is exported begins with a tree.
func (o *Options) begins(ctx context.Context, with *proof.Checkpoint) error {
	root := o.Checkpoint.Root
	switch {
	case with.Size == 0:
		return nil
	case with.Size < o.Checkpoint.Size:
		h, err := tlog.TreeHash(int64(with.Size), o.nodes(ctx))
		if err != nil {
			return err
		}
		root = chain.Hash(h)
	}
	if root != with.Root {
		return fmt.Errorf("it signed the root %s for its first %d entries, and this ledger's have %s", with.Root, with.Size, root)
	}
	return nil
}

// nodes reads nodes of any level from the tiles that hold them or those below.
func (o *Options) nodes(ctx context.Context) tlog.HashReader {
	return tiles.Reader(func(level int, n uint64) (tlog.Hash, error) { return o.node(ctx, level, n) })
}

func (o *Options) node(ctx context.Context, level int, n uint64) (tlog.Hash, error) {
	below := level / tiles.Levels * tiles.Levels
	span := 1 << (level - below)
	first := n * uint64(span)
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
	return tiles.Above(row), nil
}

// prune removes the partial files that nobody asks for any more. Those of the export
// before stay until the next one, for who has just read its checkpoint, unless a full
// file has come, which a reader takes in their place.
func (o *Options) prune(there earlier, witnessed *proof.Checkpoint) error {
	read := []uint64{o.Checkpoint.Size, there.export, there.witnessed}
	if witnessed != nil {
		read = append(read, witnessed.Size)
	}
	for _, size := range []uint64{there.export, there.off, there.witnessed} {
		for name := range edge(size) {
			if err := o.pruneFile(name, read); err != nil {
				return err
			}
		}
	}
	return nil
}

// pruneFile removes the files of one partial file's place that no audit of the given
// sizes reads.
func (o *Options) pruneFile(name tiles.Name, read []uint64) error {
	folder := filepath.Dir(filepath.Join(o.Dir, filepath.FromSlash(name.Path())))
	var keep []string
	if tiles.Wide(o.Checkpoint.Size, name.Level, name.N) < tiles.Width {
		for _, size := range read {
			keep = append(keep, strconv.Itoa(tiles.Wide(size, name.Level, name.N)))
		}
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
