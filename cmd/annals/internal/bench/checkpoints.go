package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"annals/ledger/proof"
	"annals/ledger/proof/tiles"
)

// Checkpoints measures what signing takes from recording, and what those take who
// read tiles meanwhile: the same records three times, into a ledger each.

// tileReaders is how many connections read tiles.
const tileReaders = 2

// seldom is how often a checkpoint is signed where none is to be.
const seldom = 24 * time.Hour

func (r *round) checkpoints(ctx context.Context) error {
	for _, s := range []struct {
		name    string
		every   time.Duration
		readers int
	}{
		{"checkpoints_none", seldom, 0},
		{"checkpoints", 0, 0},
		{"checkpoints_read", 0, tileReaders},
	} {
		if err := r.signing(ctx, s.name, s.every, s.readers); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// signing publishes into a service that signs every so often, and is read by so
// many.
func (r *round) signing(ctx context.Context, name string, every time.Duration, readers int) (err error) {
	rig, err := Start(ctx, RigOptions{Dir: filepath.Join(r.dir, name), Version: r.Version, Logger: r.Logger, Checkpoint: every})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rig.Remove()) }()
	var enough atomic.Bool // a request that is under way comes to its end
	var wg sync.WaitGroup
	read := make([]int, readers)
	failed := make([]error, readers)
	for i := range readers {
		wg.Go(func() { read[i], failed[i] = rig.tiles(ctx, &enough, i) })
	}
	run, err := rig.Publish(ctx, Lines, seedLines, r.Records, r.step(Checkpoints))
	enough.Store(true)
	wg.Wait()
	if err = errors.Join(append(failed, err)...); err != nil {
		return err
	}
	r.report.add(Once(name, PerSecond, run.Records, run.Rate()))
	if readers > 0 {
		n := 0
		for _, more := range read {
			n += more
		}
		r.report.add(Once(name+"_tiles", Tiles, run.Records, float64(n)/run.Wall.Seconds()))
	}
	return nil
}

// tiles reads the tiles of one checkpoint after another, bundles of entries and
// hashes in turn, until there are enough. It returns how many it has read.
func (r *Rig) tiles(ctx context.Context, enough *atomic.Bool, from int) (n int, err error) {
	reader := r.Reader()
	defer reader.Close()
	for !enough.Load() {
		if _, err = reader.get(ctx, "/checkpoint"); err != nil {
			break
		}
		c, err := proof.ParseCheckpoint(reader.body.Bytes())
		if err != nil {
			return n, err
		}
		full := c.Size / tiles.Width
		if full == 0 {
			time.Sleep(time.Millisecond) // there will be
		}
		for at := uint64(0); at < full && err == nil && !enough.Load(); at++ {
			tile := (at + uint64(from)*full/tileReaders) % full // each begins elsewhere
			for _, path := range []string{tiles.EntriesPath(tile, tiles.Width), tiles.Path(0, tile, tiles.Width)} {
				if _, err = reader.get(ctx, "/"+path); err == nil {
					n++
				}
			}
		}
		if err != nil {
			break
		}
	}
	return n, err
}
