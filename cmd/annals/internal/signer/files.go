package signer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"annals/cmd/annals/internal/datadir"
	"annals/cmd/annals/internal/durable"
	"annals/ledger/proof"
)

// files are the checkpoints on disk: the last one, which each next one replaces,
// and the last one by each key that signs no more, which stays for ever.
type files struct {
	path string // of the last one
	old  string // the folder of the others, each named by its size
	put  func(path string, data []byte) error
}

func newFiles(dir string, put func(string, []byte) error) files {
	if put == nil {
		put = durable.Replace
	}
	return files{filepath.Join(dir, datadir.Checkpoint), filepath.Join(dir, datadir.Checkpoints), put}
}

// last reads the last checkpoint, and when it was written; size 0 when there is
// none.
func (f files) last() (Checkpoint, time.Time, error) {
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return Checkpoint{}, time.Time{}, nil
	}
	if err != nil {
		return Checkpoint{}, time.Time{}, err
	}
	c, err := read(f.path)
	return c, info.ModTime(), err
}

func read(path string) (Checkpoint, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := proof.ParseCheckpoint(b)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%s is no checkpoint: %w; bring it back from where it was kept: while nobody knows what was signed nothing more is", path, err)
	}
	return Checkpoint{Size: c.Size, Root: c.Root, Note: b}, nil
}

// retired reads the checkpoints of keys that sign no more, by size: those that it
// can read, with an error about the others.
func (f files) retired() ([]Checkpoint, error) {
	names, err := os.ReadDir(f.old)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []Checkpoint
	var failed error
	for _, entry := range names {
		if durable.Temporary(entry.Name()) {
			continue
		}
		c, err := read(filepath.Join(f.old, entry.Name()))
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Checkpoint) int {
		if a.Size < b.Size {
			return -1
		}
		return 1
	})
	return out, failed
}

// replace writes the last checkpoint.
func (f files) replace(note []byte) error { return f.put(f.path, note) }

// retire keeps a checkpoint for ever. That it is kept already is what a crash just
// after leaves.
func (f files) retire(c Checkpoint) error {
	if err := durable.Dir(f.old); err != nil {
		return err
	}
	return f.put(filepath.Join(f.old, strconv.FormatUint(c.Size, 10)), c.Note)
}
