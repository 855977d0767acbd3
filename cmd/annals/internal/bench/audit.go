package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"annals/cmd/annals/internal/audit"
	"annals/ledger/proof"
	"annals/ledger/proof/tiles"
)

// remote audits the running service as anybody can who has its key: over HTTP, by
// its tiles. Server and auditor share the machine.
func (r *round) remote(ctx context.Context, rig *Rig) (err error) {
	if err := Settled(ctx); err != nil {
		return err
	}
	l := rig.service.Ledger()
	key, err := checkpointKey(l)
	if err != nil {
		return err
	}
	place, err := tiles.Open(rig.service.URL(), tiles.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, place.Close()) }()
	if err := covered(ctx, place, l.Head().Size); err != nil {
		return err
	}
	began := time.Now()
	result, err := audit.Remote(ctx, place, audit.Options{Key: key})
	took := time.Since(began)
	if err == nil && result.Verdict != proof.Clean {
		err = fmt.Errorf("the ledger is not clean: %s", result.Sentence)
	}
	if err != nil {
		return err
	}
	r.report.add(Once("audit", Entries, int(result.Entries), float64(result.Entries)/took.Seconds()))
	return nil
}

// covered returns once a checkpoint covers size entries.
func covered(ctx context.Context, place *tiles.Place, size uint64) error {
	for {
		note, err := place.Checkpoint(ctx)
		if err != nil {
			return err
		}
		c, err := proof.ParseCheckpoint(note)
		if err != nil || c.Size >= size {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
