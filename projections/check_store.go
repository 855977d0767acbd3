package projections

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"annals/internal/disk"
	"annals/ledger/chain"

	"github.com/cockroachdb/pebble/v2"
)

// standing are the rows of a folder as they stand, opened to be read and nothing
// else: what [Open] would empty is left as it is.
type standing struct {
	db    *pebble.DB
	lock  *pebble.Lock
	path  string
	head  head
	fresh bool // there is no row, nor a head: nothing was folded
}

func (s *standing) close() error { return errors.Join(s.db.Close(), s.lock.Close()) }

// failed says that the rows can't be read.
func (s *standing) failed(err error) error { return fmt.Errorf("%w (%s: %w)", ErrDamaged, s.path, err) }

// openStored opens the generation that the next start would serve from, as
// [generations.start] chooses it.
func openStored(dir string, lineage chain.Hash, o *Options) (*standing, error) {
	names, err := o.FS.List(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
		return nil, fmt.Errorf("%w in %s", ErrAbsent, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("projections: %w", err)
	}
	if !slices.Contains(names, markFile) {
		return nil, fmt.Errorf("%w: %s has no %s", ErrForeign, dir, markFile)
	}
	g := &generations{folder: &folder{fs: o.FS, path: dir}, o: *o, lineage: lineage}
	numbers := g.found()
	if len(numbers) == 0 {
		return nil, fmt.Errorf("%w in %s", ErrAbsent, dir)
	}
	serving := numbers[0]
	if text, err := g.read(servingFile); err == nil {
		if n, ok := generationOf(strings.TrimSuffix(text, "\n")); ok {
			serving = n
		}
	}
	s, err := g.openStored(serving)
	if !slices.Contains(numbers, serving+1) {
		return s, err
	}
	next, failed := g.openStored(serving + 1)
	switch {
	case failed != nil:
		return s, err
	case err != nil || next.head.size > s.head.size:
		if s != nil {
			failed = s.close()
		}
		return next, failed
	}
	return s, errors.Join(err, next.close())
}

func (g *generations) openStored(number uint64) (*standing, error) {
	f := &folder{fs: g.fs, path: g.pathOf(number)}
	if f.stale() {
		return nil, fmt.Errorf("%w (%s is marked as damaged, or half deleted)", ErrDamaged, f.path)
	}
	if _, err := g.fs.Stat(f.path); err != nil {
		return nil, fmt.Errorf("%w in %s", ErrAbsent, f.path)
	}
	o := g.o
	o.FS = disk.ReadOnly{FS: g.fs}
	lock, err := pebble.LockDirectory(f.path, o.FS)
	if err != nil {
		return nil, locked(f.path, err)
	}
	f.lock = lock
	opts := settings(f, &o)
	opts.ReadOnly = true
	// Whoever reads a bad block gets the error; the folder is not marked.
	opts.EventListener = &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}}
	db, err := pebble.Open(f.path, opts)
	if err != nil {
		err = fmt.Errorf("%w (%s: Pebble can't open it: %w)", ErrDamaged, f.path, err)
		if errors.Is(err, pebble.ErrDBDoesNotExist) {
			err = fmt.Errorf("%w in %s", ErrAbsent, f.path)
		}
		return nil, errors.Join(err, lock.Close())
	}
	s := &standing{db: db, lock: lock, path: f.path}
	if err := s.fits(fresh(o.schema, g.lineage)); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// fits reads the head, and says why the next start would not go on from it.
func (s *standing) fits(want head) error {
	h, found, err := readHead(s.db)
	switch {
	case err != nil:
		return s.failed(fmt.Errorf("its head can't be read: %w", err))
	case !found && hasRows(s.db):
		return s.failed(errors.New("it has rows but no head"))
	case !found:
		s.fresh = true
	case h.schema != want.schema:
		return s.failed(fmt.Errorf("its rows are of version %d, this program reads %d", h.schema, want.schema))
	case h.lineage != want.lineage:
		return s.failed(fmt.Errorf("its rows are of ledger %s, not %s", h.lineage, want.lineage))
	}
	s.head = h
	return nil
}
