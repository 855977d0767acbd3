package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"annals/cmd/annals/internal/audit"
	"annals/cmd/annals/internal/datadir"
	"annals/ledger"
	"annals/ledger/proof"
	"annals/projections"

	"github.com/cockroachdb/pebble/v2"
)

// verify audits the stopped service's ledger in full.
func (r *round) verify(ctx context.Context, rig *Rig) error {
	entries, took, err := rig.auditFolder(ctx)
	if err != nil {
		return err
	}
	r.report.add(Once("verify", Entries, entries, float64(entries)/took.Seconds()))
	return nil
}

// auditFolder stops the service and checks its ledger in full, as whoever reads closed
// files does.
func (r *Rig) auditFolder(ctx context.Context) (entries int, took time.Duration, err error) {
	if err := r.Stop(); err != nil {
		return 0, 0, err
	}
	src, err := ledger.OpenForAudit(filepath.Join(r.data, datadir.Ledger), ledger.Options{})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	return Audit(ctx, src)
}

// AuditClosed checks the ledger's folder in full while the service is stopped, and
// starts the service again.
func (r *Rig) AuditClosed(ctx context.Context) (entries int, took time.Duration, err error) {
	if entries, took, err = r.auditFolder(ctx); err != nil {
		return 0, 0, err
	}
	return entries, took, r.start(ctx)
}

// Audit checks a ledger in full, and says how many entries that were.
func Audit(ctx context.Context, src *ledger.Source) (entries int, took time.Duration, err error) {
	began := time.Now()
	report, err := audit.Run(ctx, src, audit.Options{})
	took = time.Since(began)
	if err == nil && report.Verdict != proof.Clean {
		err = fmt.Errorf("the ledger is not clean: %s", report.Sentence)
	}
	return int(report.Head.Size), took, err
}

// Audit checks the running service's ledger in full.
func (r *Rig) Audit(ctx context.Context) (entries int, took time.Duration, err error) {
	src := r.service.Ledger().Source()
	defer func() { err = errors.Join(err, src.Close()) }()
	return Audit(ctx, src)
}

// disk measures what the ledger and the indexes take of the disk, an entry, once
// they are flushed and compacted. The stream does not count.
func (r *round) disk(ctx context.Context, rig *Rig) error {
	if err := rig.Stop(); err != nil {
		return err
	}
	dir := filepath.Join(rig.data, datadir.Ledger)
	size, err := compactLedger(ctx, dir)
	if err != nil {
		return fmt.Errorf("compacting the ledger: %w", err)
	}
	inLedger, err := sizeOf(dir)
	if err != nil {
		return err
	}
	inIndexes, err := r.settledIndexes(ctx, rig)
	if err != nil {
		return fmt.Errorf("the indexes: %w", err)
	}
	r.report.add(Once("disk_ledger", PerRecord, int(size), float64(inLedger)/float64(size)),
		Once("disk_projections", PerRecord, int(size), float64(inIndexes)/float64(size)),
		Once("disk", PerRecord, int(size), float64(inLedger+inIndexes)/float64(size)))
	return nil
}

// compactLedger flushes and compacts a ledger's store, opened as the ledger opens
// it, and returns how many entries it holds.
func compactLedger(ctx context.Context, dir string) (size uint64, err error) {
	var settings *pebble.Options
	l, err := ledger.Open(dir, ledger.Options{Pebble: func(o *pebble.Options) { settings = o.Clone() }})
	if err != nil {
		return 0, err
	}
	size = l.Head().Size
	if err := l.Close(); err != nil {
		return 0, err
	}
	settings.Cache, settings.Lock, settings.EventListener, settings.Logger = nil, nil, nil, silent{}
	db, err := pebble.Open(dir, settings)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return size, db.Compact(ctx, []byte{0}, []byte{0xff, 0xff}, true)
}

// settledIndexes opens the indexes, which flushes them, and returns what they take
// of the disk once their compactions have come to an end.
func (r *round) settledIndexes(ctx context.Context, rig *Rig) (bytes int64, err error) {
	src, err := ledger.Open(filepath.Join(rig.data, datadir.Ledger), ledger.Options{})
	if err != nil {
		return 0, err
	}
	id := src.ID()
	if err := src.Close(); err != nil {
		return 0, err
	}
	dir := filepath.Join(rig.data, datadir.Projections)
	p, err := projections.OpenLive(dir, id, projections.Options{})
	if err != nil {
		return 0, err
	}
	err = Settled(ctx)
	if err = errors.Join(err, p.Close()); err != nil {
		return 0, err
	}
	return sizeOf(dir)
}

// sizeOf is how many bytes the files of a folder hold.
func sizeOf(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		bytes += info.Size()
		return nil
	})
	return bytes, err
}
