package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/cockroachdb/pebble/v2"

	"annals/ledger/chain"
)

// ErasureError says that what an erasure covers is not what was published: to
// destroy it would destroy evidence. Recording stops before the erasure.
type ErasureError struct {
	Index uint64 // of the entry whose payload it is
	By    uint64 // index that the erasure's entry would have had
	What  string
}

func (e *ErasureError) Error() string {
	return fmt.Sprintf("ledger: the erasure in entry %d covers entry %d, %s: nothing was destroyed, and recording stops here, "+
		"for what is stored is not what was published; keep this folder as evidence, and begin this replica again from another or a backup", e.By, e.Index, e.What)
}

// covered returns the indexes of all whose payloads an entry's erasure covers,
// ascending: what it selects, and the duplicates of that which stand before it.
func covered(db pebble.Reader, by uint64, erase *chain.Erase) (gone []uint64, err error) {
	it, err := db.NewIter(bounds(prefixReference))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for _, r := range erase.Ranges {
		for ok := it.SeekGE(referenceKey(r.From, 0)); ok; ok = it.Next() {
			of, index, known := splitReferenceKey(it.Key())
			if !known {
				return nil, &DamageError{What: fmt.Sprintf("the reference in row %x", it.Key())}
			}
			if of >= r.To {
				break
			}
			if kind := it.Value(); index < by && len(kind) == 1 && chain.Kind(kind[0]) == chain.KindDuplicate {
				gone = append(gone, index)
			}
		}
		if err := it.Error(); err != nil {
			return nil, err
		}
		for index := r.From; index < r.To; index++ {
			gone = append(gone, index)
		}
	}
	slices.Sort(gone)
	return gone, nil
}

// erased returns the index of the entry by which the payload of the entry at an
// index was destroyed.
func erased(db pebble.Reader, index uint64) (by uint64, ok bool, err error) {
	b, closer, err := db.Get(erasedKey(index))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer closer.Close()
	if len(b) != 8 {
		return 0, false, damaged(index, "the row that says by what it was erased is malformed")
	}
	return binary.BigEndian.Uint64(b), true, nil
}

// Erased returns the index of the entry by which the payload of the entry at an
// index was destroyed: of a seed's, of the trim or the erasure that let it go. ok is
// false where none did.
func (l *Ledger) Erased(index uint64) (by uint64, ok bool, err error) {
	if by, ok, err = erased(l.db, index); ok || err != nil {
		return by, ok, err
	}
	e, err := l.entry(index)
	if err != nil || e.Kind != chain.KindDuplicate {
		return 0, false, err
	}
	return erased(l.db, e.Ref)
}

// Erasures returns the indexes of the entries that erase something of a workspace's
// tag, ascending, as far as they are durable.
func (l *Ledger) Erasures(tag chain.Hash) (indexes []uint64, err error) {
	return erasures(l.db, tag, l.Head().Size)
}

// Erasures returns the indexes of the entries that erased something of a workspace's
// tag, ascending, as the folder has written them down. They are judged by nobody.
func (s *Source) Erasures(ctx context.Context, tag chain.Hash) (indexes []uint64, err error) {
	head, err := s.Head(ctx)
	if err != nil {
		return nil, err
	}
	return erasures(s.db, tag, head.Size)
}

func erasures(db pebble.Reader, tag chain.Hash, size uint64) (indexes []uint64, err error) {
	it, err := db.NewIter(bounds(prefixErased))
	if err != nil {
		return nil, err
	}
	seen := map[uint64]bool{}
	for it.First(); it.Valid(); it.Next() {
		if b := it.Value(); len(b) == 8 {
			seen[binary.BigEndian.Uint64(b)] = true
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return nil, err
	}
	for by := range seen {
		if by >= size {
			continue
		}
		e, err := entryAt(db, by)
		if err != nil {
			return nil, err
		}
		if erase, ok := e.Erases(); ok && erase.Workspace == tag {
			indexes = append(indexes, by)
		}
	}
	slices.Sort(indexes)
	return indexes, nil
}

// References returns the indexes of the entries that name an entry: its duplicates,
// its conflicts, and the records that amend it; ascending, and for each kind those
// that are durable.
func (l *Ledger) References(index uint64) (refs map[chain.Kind][]uint64, err error) {
	size := l.Head().Size
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: referenceKey(index, 0), UpperBound: referenceKey(index+1, 0)})
	if err != nil {
		return nil, err
	}
	refs = map[chain.Kind][]uint64{}
	for it.First(); it.Valid(); it.Next() {
		_, from, ok := splitReferenceKey(it.Key())
		if kind := it.Value(); ok && len(kind) == 1 && from < size {
			refs[chain.Kind(kind[0])] = append(refs[chain.Kind(kind[0])], from)
		}
	}
	return refs, it.Close()
}

// destroy stages what a folded entry destroys: an erasure's payloads, and the seeds
// that nothing needs any more.
func (w *writer) destroy(db *pebble.DB, r *chain.Result, f *chain.Folded) error {
	e := &f.Entry
	if e.Kind != chain.KindControl {
		return nil
	}
	switch chain.ControlType(e.Code) {
	case chain.ControlErase, chain.ControlExpire:
		if err := w.erase(db, r, e); err != nil {
			return err
		}
	case chain.ControlTrim:
	case chain.ControlRetention, chain.ControlHold, chain.ControlRelease:
		return w.batch.Set(governingKey(e.Index), nil, nil)
	case chain.ControlCatalogue:
		return w.settles(e)
	default:
		return nil
	}
	return w.destroySeeds(db, r, e.Index)
}

// erase stages an erasure. Everything it covers is compared with its commitment
// before anything is destroyed.
func (w *writer) erase(db *pebble.DB, r *chain.Result, by *chain.Entry) error {
	erase, ok := by.Erases()
	if !ok {
		return fmt.Errorf("ledger: entry %d is no erasure that parses", by.Index)
	}
	gone, err := covered(db, by.Index, &erase)
	if err != nil {
		return err
	}
	w.gone = gone
	seeds := map[uint32]bool{}
	for _, index := range gone {
		seed, err := stillThere(db, r.State.Ledger(), index, by.Index)
		if err != nil {
			return err
		}
		seeds[seed] = true
	}
	for _, index := range gone {
		if err := w.batch.Delete(entryKey(index, partPayload), nil); err != nil {
			return err
		}
		if err := w.erasedBy(db, index, by.Index); err != nil {
			return err
		}
	}
	for seed := range seeds {
		// A seed that is gone already has nothing left to be destroyed.
		if _, closer, err := db.Get(seedKey(seed)); err == nil {
			_ = closer.Close()
			w.spent = append(w.spent, seed)
		} else if !errors.Is(err, pebble.ErrNotFound) {
			return err
		}
	}
	slices.Sort(w.spent)
	for _, seed := range w.spent {
		if err := w.batch.Set(spentKey(seed), nil, nil); err != nil {
			return err
		}
	}
	return w.batch.Set(unscrubbedKey(by.Index), nil, nil)
}

// erasedBy stages the row that says by what a payload was destroyed. The first
// erasure counts.
func (w *writer) erasedBy(db pebble.Reader, index, by uint64) error {
	if _, already, err := erased(db, index); already || err != nil {
		return err
	}
	return w.batch.Set(erasedKey(index), binary.BigEndian.AppendUint64(nil, by), nil)
}

// stillThere makes sure that what stands beside an entry, if anything does, is what
// it commits to, and returns which seed salted it.
func stillThere(db pebble.Reader, ledger chain.Hash, index, by uint64) (seed uint32, err error) {
	e, err := entryAt(db, index)
	if err != nil {
		return 0, err
	}
	wrong := func(what string) (uint32, error) { return 0, &ErasureError{Index: index, By: by, What: what} }
	b, closer, err := db.Get(entryKey(index, partPayload))
	if errors.Is(err, pebble.ErrNotFound) {
		_, already, err := erased(db, index)
		if !already && err == nil && (e.Kind != chain.KindDuplicate || e.Code != chain.DuplicateUncompared) {
			return wrong("whose payload is gone though nothing had it erased")
		}
		return e.Seed, err
	}
	if err != nil {
		return 0, err
	}
	defer closer.Close()
	p, err := chain.ParsePayload(b)
	if err != nil {
		return wrong(fmt.Sprintf("whose payload can't be read (%v)", err))
	}
	var original []byte
	if p.Kept == chain.KeptAround {
		if original, err = recordBytes(db, e.Ref); err != nil {
			return 0, err
		}
	}
	if h, ok := p.Commitment(ledger, &e, original); ok && h != e.Commitment || !ok && e.Flags&chain.FlagRetained != 0 {
		return wrong("whose payload is not what it commits to")
	}
	return e.Seed, nil
}

// destroySeeds stages the end of each seed that salts something erased, once its
// messages are let go: nobody folds them again.
func (w *writer) destroySeeds(db *pebble.DB, r *chain.Result, by uint64) error {
	seeds, err := spentSeeds(db)
	if err != nil {
		return err
	}
	destroyed := false
	seeds = append(seeds, w.spent...)
	slices.Sort(seeds)
	for _, seed := range slices.Compact(seeds) {
		if seed == r.State.Seed {
			continue
		}
		from, err := firstSalted(db, seed, by)
		if err != nil {
			return err
		}
		to, err := firstSalted(db, seed+1, by)
		if err != nil {
			return err
		}
		next, err := entryAt(db, to)
		if err != nil {
			return err
		}
		if next.Epoch > r.State.Epoch || next.Epoch == r.State.Epoch && next.Sequence > r.State.Trimmed+1 {
			continue // some of its messages are in the stream
		}
		for _, key := range [][]byte{seedKey(seed), spentKey(seed), entryKey(from, partPayload)} {
			if err := w.batch.Delete(key, nil); err != nil {
				return err
			}
		}
		if err := w.erasedBy(db, from, by); err != nil {
			return err
		}
		w.gone = append(w.gone, from)
		destroyed = true
	}
	slices.Sort(w.gone)
	if !destroyed {
		return nil
	}
	return w.batch.Set(unscrubbedKey(by), nil, nil)
}

// spentSeeds returns the seeds that salt something erased and are not destroyed.
func spentSeeds(db pebble.Reader) (seeds []uint32, err error) {
	it, err := db.NewIter(bounds(prefixSpent))
	if err != nil {
		return nil, err
	}
	for it.First(); it.Valid(); it.Next() {
		if key := it.Key(); len(key) == 1+4 {
			seeds = append(seeds, binary.BigEndian.Uint32(key[1:]))
		}
	}
	return seeds, errors.Join(it.Error(), it.Close())
}

// firstSalted returns the index of the first entry that a seed salts, which is the
// one that brings it, among the first size entries.
func firstSalted(db pebble.Reader, seed uint32, size uint64) (uint64, error) {
	var failed error
	// The genesis has the last of all numbers; behind it they ascend.
	i := sort.Search(int(size-1), func(i int) bool {
		e, err := entryAt(db, uint64(i)+1)
		failed = errors.Join(failed, err)
		return err != nil || e.Seed >= seed
	})
	return uint64(i) + 1, failed
}
