// Package export writes a ledger as static files: its checkpoint, its tiles and
// bundles of entries (C2SP tlog-tiles), and its key history.
//
// The rule it exists for: whoever reads a ledger must not depend on whoever runs
// it. What stands in the folder is all that an audit needs, any web server can
// serve it, and it can be carried away on a disk. It holds no payloads and no
// secrets.
//
// An export may be broken off at any moment and begun again: each file is whole or
// absent, what is there already is not written again, and the checkpoint, which
// says how much there is, comes last. So a folder takes one history alone: what is
// there is of the tree that this one begins with, or nothing is written.
package export

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"annals/cmd/annals/internal/durable"
	"annals/ledger/proof"
	"annals/ledger/proof/tiles"
)

// Options of an export.
type Options struct {
	Dir        string           // where to; made when it isn't there
	Checkpoint proof.Checkpoint // what of; opened by the caller
	// Witnessed is the last checkpoint that enough witnesses cosigned; nil: none is
	// known. One that came after what is exported is left out.
	Witnessed []byte
	// Read returns a file of the log.
	Read func(ctx context.Context, name tiles.Name) ([]byte, error)
	// Retired are the last checkpoints by keys that sign no more. They go into the key
	// history, which is made of the files that were written.
	Retired [][]byte
	// Progress is told how many files of how many are there, from many goroutines;
	// nil: nobody.
	Progress func(done, of uint64)
}

// writers is how many files are written at once: each waits for the disk.
const writers = 16

// Write writes the export.
func Write(ctx context.Context, o Options) error {
	var done atomic.Uint64
	there, err := o.mayWrite(ctx)
	if err != nil {
		return err
	}
	witnessed, err := o.cosigned(ctx)
	if err != nil {
		return err
	}
	besides := o.besides(witnessed)
	of := tiles.Count(o.Checkpoint.Size) + uint64(len(besides))
	if err := durable.Replace(filepath.Join(o.Dir, begun), o.Checkpoint.Note); err != nil {
		return err
	}
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	write := func(name tiles.Name) bool {
		group.Go(func() error {
			err := o.file(each, name)
			if n := done.Add(1); o.Progress != nil {
				o.Progress(n, of)
			}
			return err
		})
		return each.Err() == nil
	}
	tiles.Needed(o.Checkpoint.Size)(write)
	for _, name := range besides {
		write(name)
	}
	if err := cmp.Or(group.Wait(), ctx.Err()); err != nil {
		return err
	}
	history, err := o.history(ctx)
	if err != nil {
		return fmt.Errorf("the key history: %w", err)
	}
	if err := durable.Replace(filepath.Join(o.Dir, tiles.KeysFile), history); err != nil {
		return err
	}
	if err := durable.Replace(filepath.Join(o.Dir, tiles.CheckpointPath), o.Checkpoint.Note); err != nil {
		return err
	}
	if witnessed != nil { // behind the newest, which it must not be ahead of
		if err := durable.Replace(filepath.Join(o.Dir, tiles.WitnessedPath), witnessed.Note); err != nil {
			return err
		}
	}
	if err := o.prune(there, witnessed); err != nil {
		return err
	}
	return os.Remove(filepath.Join(o.Dir, begun))
}

// file writes one file, if it isn't there.
func (o *Options) file(ctx context.Context, name tiles.Name) error {
	path := filepath.Join(o.Dir, filepath.FromSlash(name.Path()))
	if b, err := os.ReadFile(path); err == nil && name.Fits(b) {
		return nil
	}
	b, err := o.Read(ctx, name)
	if err != nil {
		return err
	}
	if err := durable.Dir(filepath.Dir(path)); err != nil {
		return err
	}
	return durable.Replace(path, b)
}
