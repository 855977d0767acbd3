package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"annals/ledger/chain"
)

// Unscrubbed returns the indexes of the entries that destroyed something which files
// may still hold, or the stream, ascending. They are so until [Ledger.Scrubbed] says
// otherwise, across restarts.
func (l *Ledger) Unscrubbed() ([]uint64, error) {
	size := l.Head().Size
	it, err := l.db.NewIter(bounds(prefixUnscrubbed))
	if err != nil {
		return nil, err
	}
	var out []uint64
	for it.First(); it.Valid(); it.Next() {
		if key := it.Key(); len(key) == 1+8 && binary.BigEndian.Uint64(key[1:]) < size {
			out = append(out, binary.BigEndian.Uint64(key[1:]))
		}
	}
	return out, errors.Join(it.Error(), it.Close())
}

// Scrubbed notes that nothing is left of what the entries at the indexes destroyed.
func (l *Ledger) Scrubbed(entries []uint64) error {
	b := l.db.NewBatch()
	defer func() { _ = b.Close() }()
	for _, index := range entries {
		if err := b.Delete(unscrubbedKey(index), nil); err != nil {
			return err
		}
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return &StorageError{Err: err}
	}
	return nil
}

// Destroyed returns the entries whose payloads an entry destroyed, an erasure's or a
// trim's, ascending.
func (l *Ledger) Destroyed(by uint64) ([]uint64, error) {
	e, err := l.entry(by)
	if err != nil {
		return nil, err
	}
	var gone []uint64
	if erase, ok := e.Erases(); ok {
		if gone, err = covered(l.db, by, &erase); err != nil {
			return nil, err
		}
	}
	// Beside an erasure stand the seeds that it destroyed, and beside a trim those alone.
	it, err := l.db.NewIter(bounds(prefixErased))
	if err != nil {
		return nil, err
	}
	for it.First(); it.Valid(); it.Next() {
		key, value := it.Key(), it.Value()
		if len(key) == 1+8 && len(value) == 8 && binary.BigEndian.Uint64(value) == by {
			gone = append(gone, binary.BigEndian.Uint64(key[1:]))
		}
	}
	slices.Sort(gone)
	return slices.Compact(gone), errors.Join(it.Error(), it.Close())
}

// apartEntries is how far two destroyed payloads lie apart to be scrubbed one by one:
// what lies between them is written anew otherwise.
const apartEntries = 64 << 10

// oftenEnough is how often Scrub looks whether what it waits for has come.
const oftenEnough = 20 * time.Millisecond

// Scrub makes the store write its files anew that may hold what the entries at the
// indexes destroyed, and waits until the old ones are gone: tables and logs. While a
// snapshot is open that was taken before, by an audit say, it waits for that too. It
// may be called again at any time, and again after an error.
func (l *Ledger) Scrub(ctx context.Context, entries []uint64) error {
	var gone []uint64
	for _, by := range entries {
		more, err := l.Destroyed(by)
		if err != nil {
			return err
		}
		gone = append(gone, more...)
	}
	if len(gone) == 0 {
		return nil
	}
	slices.Sort(gone)
	// A snapshot from before still sees the payloads, and so they are kept for it. A
	// moment without any is behind all that were open.
	if err := wait(ctx, func() (bool, error) { return l.db.Metrics().Snapshots.Count == 0, nil }); err != nil {
		return err
	}
	logs, err := l.files(".log")
	if err != nil {
		return err
	}
	l.afresh.Store(true)
	defer l.afresh.Store(false)
	// Each flush begins a log, in the place of the oldest that waits to be used again.
	for range memTables + 3 {
		if err := l.db.Set(keyFormat, []byte(formatVersion), pebble.Sync); err != nil {
			return &StorageError{Err: err}
		}
		if err := l.db.Flush(); err != nil {
			return &StorageError{Err: err}
		}
	}
	spans := [][2][]byte{{{prefixSeed}, {prefixSeed + 1}}}
	for from := 0; from < len(gone); {
		to := from + 1
		for to < len(gone) && gone[to]-gone[to-1] < apartEntries {
			to++
		}
		spans = append(spans, [2][]byte{entryKey(gone[from], partRow), entryKey(gone[to-1]+1, partRow)})
		from = to
	}
	for _, span := range spans {
		if err := l.db.Compact(ctx, span[0], span[1], false); err != nil {
			return err
		}
	}
	return wait(ctx, func() (bool, error) { return l.oldFilesGone(logs) })
}

// oldFilesGone reports whether none of the logs named is there any more, and no table
// that the store doesn't use.
func (l *Ledger) oldFilesGone(logs []string) (bool, error) {
	now, err := l.files(".log")
	if err != nil {
		return false, err
	}
	for _, name := range now {
		if slices.Contains(logs, name) {
			return false, nil
		}
	}
	tables, err := l.files(".sst")
	if err != nil {
		return false, err
	}
	levels, err := l.db.SSTables()
	if err != nil {
		return false, err
	}
	used := map[string]bool{}
	for _, level := range levels {
		for _, table := range level {
			used[table.BackingSSTNum.String()+".sst"] = true
		}
	}
	for _, name := range tables {
		if !used[name] {
			return false, nil
		}
	}
	return true, nil
}

// files lists the store's files of a kind.
func (l *Ledger) files(ext string) (names []string, err error) {
	all, err := l.fs.List(l.dir)
	for _, name := range all {
		if strings.EqualFold(filepath.Ext(name), ext) {
			names = append(names, name)
		}
	}
	return names, err
}

// wait asks until the answer is yes.
func wait(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(oftenEnough)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Incomplete returns the seeds that still salt something erased, ascending: as long
// as one is there, who holds it can confirm a guess at what it salted.
func (l *Ledger) Incomplete() ([]uint32, error) { return spentSeeds(l.db) }

// SeedEnds returns the stream sequence of the last message that a seed salts, and its
// epoch; ok is false while the seed is in force.
func (l *Ledger) SeedEnds(seed uint32) (epoch uint32, sequence uint64, ok bool, err error) {
	head := l.Head()
	if seed >= head.State.Seed || seed == chain.GenesisSeed {
		return 0, 0, false, nil
	}
	at, err := firstSalted(l.db, seed+1, head.Size)
	if err != nil {
		return 0, 0, false, err
	}
	e, err := l.entry(at)
	return e.Epoch, e.Sequence - 1, true, err
}
