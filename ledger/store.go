package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync/atomic"

	"annals/internal/disk"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// formatMajor is Pebble's own on-disk format; it is set, never left to what the
// library thinks newest.
const formatMajor = pebble.FormatValueSeparation

// Sizes, in bytes where nothing else is said; docs/adr/0011 says what each was
// measured against.
const (
	memTableSize = 64 << 20
	memTables    = 4        // that may wait to be flushed before writers do
	flushedSize  = 64 << 20 // of a file that a memtable is flushed to: its entries fit in one
	mergedSize   = 4 << 20  // of a file that dedupe keys are merged into
	blockSize    = 32 << 10 // of what is read and cached at once
	indexSize    = 64 << 10
)

// Options of a ledger. The zero value is right for whoever records.
type Options struct {
	FS        vfs.FS       // nil: the disk
	CacheSize int64        // bytes of block cache, beside the memtables; 0: [CacheOfMemory], half of it beside Rows
	Logger    *slog.Logger // nil: silent

	// Reading is for whoever opens a ledger to read it: what recording looks up fast
	// is not loaded. Appending works, and looks every record up.
	Reading bool

	// Rows is for a server: so many bytes of memory hold entries with their payloads, where
	// reading finds one in a fraction of the time that the store takes: the newest, as
	// soon as recording leaves time to read them. 0: none.
	Rows int64

	// MaxBatch bounds the messages gathered into one append; 0: 4,096.
	MaxBatch int
	// Fatal is told of a failure after which Pebble can't go on; it must not
	// return. nil: the process says so and ends, with status 2, to open it anew;
	// opening returns the error instead.
	Fatal func(error)

	// audit: nothing is written, so no memtables need room.
	audit bool

	// failures is told what failed behind Pebble's back: a flush, a compaction.
	failures chan error
	// afresh is set while no log may begin as an old file.
	afresh *atomic.Bool
	// opened is set once Pebble has opened the store.
	opened *atomic.Bool

	// Pebble changes the store's options, for tests that vary them.
	Pebble func(*pebble.Options)
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.CacheSize == 0 {
		o.CacheSize = CacheOfMemory()
		if o.Rows > 0 {
			o.CacheSize /= 2
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxBatch == 0 {
		o.MaxBatch = 4096
	}
	if o.failures == nil {
		o.failures = make(chan error, 1)
	}
	if o.afresh == nil {
		o.afresh = new(atomic.Bool)
	}
	if o.opened == nil {
		o.opened = new(atomic.Bool)
	}
	if o.Fatal == nil {
		o.Fatal = func(err error) {
			if !o.opened.Load() {
				panic(err) // for openOrFail
			}
			disk.Die(err)
		}
	}
	return o
}

// openStore opens the folder's Pebble store.
func openStore(dir string, o Options) (*pebble.DB, error) {
	size := o.CacheSize
	if !o.audit {
		size += memTables * memTableSize // which Pebble takes out of the cache
	}
	cache := pebble.NewCache(size)
	defer cache.Unref()
	opts := &pebble.Options{
		FS:                          disk.Ordered{FS: disk.Afresh{FS: o.FS, On: o.afresh}},
		Cache:                       cache,
		FormatMajorVersion:          formatMajor,
		Logger:                      storeLogger{o},
		MemTableSize:                memTableSize,
		MemTableStopWritesThreshold: memTables,
		// The entries' files never overlap, so these are about the dedupe keys: how
		// many layers of them are merged at once: twelve, for Pebble counts double.
		L0CompactionThreshold: 24,
		L0StopWritesThreshold: 64,
		LBaseMaxBytes:         128 << 20,
		FlushSplitBytes:       2 * flushedSize,
		// Entries stay where they were flushed to. Beyond so many files Pebble would
		// move them down, and merge keys all the time while it does.
		L0CompactionFileThreshold:  1024,
		BytesPerSync:               1 << 20,
		EventListener:              &pebble.EventListener{BackgroundError: o.background, DataCorruption: o.corruption},
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
	}
	opts.Experimental.SpanPolicyFunc = spanOf
	opts.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	for i := range opts.Levels {
		opts.TargetFileSizes[i] = mergedSize
		opts.Levels[i].BlockSize = blockSize
		opts.Levels[i].IndexBlockSize = indexSize
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		opts.Levels[i].FilterType = pebble.TableFilter
	}
	opts.TargetFileSizes[0] = flushedSize
	if o.Pebble != nil {
		o.Pebble(opts)
	}
	return openOrFail(dir, opts, o)
}

// spanOf ends a file where the entries begin or end. Entries come in the order of
// their keys, so that a file of nothing but entries overlaps no other, and is
// never written again for the sake of the dedupe keys that came with it.
func spanOf(start []byte) (policy pebble.SpanPolicy, end []byte, err error) {
	for _, bound := range []byte{prefixEntry, prefixEntry + 1} {
		if end = []byte{bound}; bytes.Compare(start, end) < 0 {
			return policy, end, nil
		}
	}
	return policy, nil, nil
}

// openOrFail opens a store. Opening flushes what the last process left in its
// log, and on a disk that fails it tries for ever: the caller hears of it instead.
func openOrFail(dir string, opts *pebble.Options, o Options) (*pebble.DB, error) {
	type opened struct {
		db  *pebble.DB
		err error
	}
	done := make(chan opened, 1)
	o.opened.Store(false)
	go func() {
		var got opened
		defer func() {
			// A marker file that can't be moved makes Pebble panic; other failures
			// may have ended this goroutine through Options.Fatal.
			if r := recover(); got.db == nil && got.err == nil {
				got.err = &StorageError{Err: fmt.Errorf("open %s: %v", dir, r)}
			}
			done <- got
		}()
		got.db, got.err = pebble.Open(dir, opts)
		o.opened.Store(got.err == nil)
	}()
	select {
	case got := <-done:
		if got.err != nil {
			return nil, openError(dir, got.err)
		}
		return got.db, nil
	case err := <-o.failures:
		return nil, &StorageError{Err: fmt.Errorf("open %s: %w", dir, err)}
	}
}

// openError names what commonly keeps a store from opening.
func openError(dir string, err error) error {
	switch text := firstLine(err); {
	case pebble.IsCorruptionError(err):
		return &DamageError{What: text}
	case strings.Contains(text, "lock held"), strings.Contains(text, "temporarily unavailable"):
		// Pebble has no name for it: one process, then another.
		return fmt.Errorf("%w (%s)", ErrInUse, dir)
	case errors.Is(err, pebble.ErrDBDoesNotExist), errors.Is(err, fs.ErrNotExist):
		// The folder has something in it, or it would not have come to this.
		return &DamageError{What: fmt.Sprintf("%s lacks a file that it can't do without: %s", dir, text)}
	}
	if failedStorage(err) {
		return err
	}
	return fmt.Errorf("ledger: open %s: %w", dir, err)
}

// storeLogger hands Pebble's words on: what it finds worth an error line, and
// what it can't survive.
type storeLogger struct{ o Options }

func (l storeLogger) Infof(format string, args ...any) {
	l.o.Logger.Debug(fmt.Sprintf(format, args...), "from", "pebble")
}

func (l storeLogger) Errorf(format string, args ...any) {
	l.o.Logger.Error(fmt.Sprintf(format, args...), "from", "pebble")
}

func (l storeLogger) Fatalf(format string, args ...any) {
	err := &StorageError{Err: fmt.Errorf(format, args...)}
	l.o.Logger.Error(err.Error(), "from", "pebble")
	l.o.Fatal(err)
}

// corruption hears of a block whose checksum is wrong. Whoever read it gets an
// error too; recording stops, since the fold can't trust what it looks up.
func (o Options) corruption(info pebble.DataCorruptionInfo) {
	o.background(fmt.Errorf("%s is damaged: %w", info.Path, info.Details))
}

// background hears of a failed flush or compaction. Pebble tries again for ever,
// and stalls writers meanwhile; the ledger stops instead.
func (o Options) background(err error) {
	if errors.Is(err, pebble.ErrCancelledCompaction) {
		return
	}
	select {
	case o.failures <- err:
	default: // one is enough
	}
}
