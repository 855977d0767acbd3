package projections

import (
	"errors"
	"fmt"
	"log/slog"

	"annals/internal/disk"
	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// tablesAbove is how many tables may stand above one another in the store's first level
// before they are merged: a read looks into each.
const tablesAbove = 12

// settings are the store's. There is no write-ahead log: the ledger is one. What
// a crash takes is at most what stood in memory, and that a batch's rows and its
// head stand or fall together holds without one, because a batch never spans two
// memtables and memtables are flushed in order.
//
// A full tail is a batch of more than half a memtable, which Pebble flushes as it
// is, without putting each row into a skip list first: a microsecond an entry.
// Its rows are spread over its era, so every compaction of the first level rewrites
// what the next one has of that era, and of no other.
//
// While it is rebuilt nobody reads it, and tables may stand above one another until
// there is an era of them: then each row is merged once, not each time that twelve
// more have come.
func settings(f *folder, o *Options) *pebble.Options {
	opts := &pebble.Options{
		FS:                          disk.Ordered{FS: o.FS},
		Lock:                        f.lock,
		FormatMajorVersion:          pebble.FormatValueSeparation,
		Merger:                      merger,
		DisableWAL:                  true,
		CacheSize:                   o.CacheSize + 2*int64(o.memTable), // Pebble takes memtables out of the cache
		MemTableSize:                o.memTable,
		MemTableStopWritesThreshold: 8,
		L0CompactionThreshold:       2 * tablesAbove, // Pebble takes it for twice as many as it waits for
		L0StopWritesThreshold:       64,
		LBaseMaxBytes:               256 << 20,
		MaxManifestFileSize:         1, // so that a new one begins whenever it is worth its while: see forgetBounds
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		Logger:                      storeLog{o.Logger},
		EventListener: &pebble.EventListener{
			// Without this one Pebble ends the process. A reader gets the error as
			// well; a compaction's has nobody else to tell.
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				f.condemn(o.Logger, fmt.Errorf("%s: %w", i.Path, i.Details))
			},
			BackgroundError: func(err error) {
				storeLog{o.Logger}.Errorf("background error: %s", err)
				select {
				case o.trouble <- err:
				default:
				}
			},
		},
	}
	if o.rebuilding {
		opts.L0CompactionThreshold = 2 << eraBits
		opts.L0StopWritesThreshold = 4 << eraBits
	}
	for i := range opts.Levels {
		opts.Levels[i].BlockSize = 8 << 10
		opts.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
	}
	return opts
}

// opened is a store with what is read of it when it is opened.
type opened struct {
	db         *pebble.DB
	head       head
	workspaces *workspaces
}

// openStore opens the folder's store and reads its head. Where the rows are not
// of this schema and ledger, or can't be read, it starts again with none, and
// says why.
func openStore(f *folder, want head, o *Options) (s opened, restarted string, err error) {
	if f.stale() {
		restarted = "it was damaged, or half deleted"
	} else {
		s, restarted, err = tryStore(f, want, o)
		if err != nil || restarted == "" {
			return s, "", err
		}
	}
	o.Logger.Warn("projections: starting again from nothing; no record is lost, they are folded from the ledger",
		"folder", f.path, "why", restarted)
	if err := f.empty(); err != nil {
		return opened{}, "", err
	}
	s, again, err := tryStore(f, want, o)
	if err == nil && again != "" {
		err = fmt.Errorf("projections: a new store in %s can't be read either: %s; check the disk", f.path, again)
	}
	return s, restarted, err
}

// tryStore opens the store. unfit says why its rows are of no use; err is what
// emptying the folder would not help.
func tryStore(f *folder, want head, o *Options) (s opened, unfit string, err error) {
	db, err := pebble.Open(f.path, settings(f, o))
	if err != nil {
		return opened{}, "Pebble can't open it: " + err.Error(), nil
	}
	h, found, err := readHead(db)
	switch {
	case err != nil:
		unfit = "its head can't be read: " + err.Error()
	case !found && hasRows(db):
		unfit = "it has rows but no head, which no whole batch leaves"
	case !found:
		if err := db.Set(headKey, want.append(nil), pebble.NoSync); err != nil {
			return opened{}, "", errors.Join(fmt.Errorf("projections: %w", err), db.Close())
		}
		return opened{db, want, newWorkspaces()}, "", nil
	case h.schema != want.schema:
		unfit = fmt.Sprintf("its rows are of version %d, this program writes %d", h.schema, want.schema)
	case h.lineage != want.lineage:
		unfit = fmt.Sprintf("its rows are of ledger %s, not %s", h.lineage, want.lineage)
	default:
		w, err := readWorkspaces(db)
		if err == nil {
			return opened{db, h, w}, "", nil
		}
		unfit = "its workspaces can't be read: " + err.Error()
	}
	if err := db.Close(); err != nil {
		unfit += "; " + err.Error()
	}
	return opened{}, unfit, nil
}

// hasRows reports whether there is any row, or none that can be read.
func hasRows(db *pebble.DB) bool {
	it, err := db.NewIter(nil)
	if err != nil {
		return true
	}
	found := it.First()
	return it.Close() != nil || found
}

// storeLog hands Pebble's own log on.
type storeLog struct{ log *slog.Logger }

func (l storeLog) Infof(format string, args ...any) {}

func (l storeLog) Errorf(format string, args ...any) {
	l.log.Error("projections: store: " + fmt.Sprintf(format, args...))
}

// Fatalf must not return. Pebble calls it when a write of its own bookkeeping
// failed: what the page cache holds then is anybody's guess, so the process ends
// and opens it anew.
func (l storeLog) Fatalf(format string, args ...any) {
	err := fmt.Errorf("projections: store: "+format, args...)
	l.log.Error(err.Error())
	disk.Die(err)
}

// fresh is the head of projections that have folded nothing.
func fresh(schema uint32, lineage chain.Hash) head {
	return head{schema: schema, lineage: lineage, last: chain.FirstPrevious(lineage)}
}
