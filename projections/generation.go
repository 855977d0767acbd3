package projections

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"annals/internal/disk"
	"annals/ledger/chain"
)

// servingFile names the generation that serves. It is only ever replaced whole.
// A generation is a folder beside it, named by its number: projections of their
// own, with a mark of their own. There is one, and while the next one is folded,
// or after that was interrupted, there are two.
const servingFile = "GENERATION"

// generations is the folder that holds them, locked.
type generations struct {
	*folder
	o       Options
	lineage chain.Hash
}

// generation is one of them, open.
type generation struct {
	*Projections
	number uint64
}

// openGenerations makes the folder when it is absent, and locks it.
func openGenerations(path string, lineage chain.Hash, o Options) (*generations, error) {
	f, err := openFolder(o.FS, path)
	if err != nil {
		return nil, err
	}
	return &generations{folder: f, o: o, lineage: lineage}, nil
}

// start opens the generation that serves and tidies up what was interrupted: a
// deletion is ended, a rebuild is kept for the next one to go on with. Where such
// a rebuild has come further than what serves, it serves from now on.
func (g *generations) start() (*generation, error) {
	if err := g.clearFlat(); err != nil {
		return nil, err
	}
	number, err := g.number()
	if err != nil {
		return nil, err
	}
	s, err := g.open(number, g.o)
	if err != nil {
		return nil, err
	}
	next := false
	for _, n := range g.found() {
		if n == number+1 {
			next = true
		} else if n != number {
			g.retire(n)
		}
	}
	if next {
		return g.further(s)
	}
	return s, nil
}

// number is the number of the generation that serves. It is written down before
// there is anything of that generation.
func (g *generations) number() (uint64, error) {
	text, err := g.read(servingFile)
	if err == nil {
		if n, ok := generationOf(strings.TrimSuffix(text, "\n")); ok {
			return n, nil
		}
		err = fmt.Errorf("it says %.40q", text)
	}
	n, found := uint64(1), g.found()
	if len(found) > 0 { // the file was deleted, or written into
		n = found[0]
		g.o.Logger.Warn("projections: "+servingFile+" does not say which generation serves; going on with the oldest that there is",
			"folder", g.path, "generation", n, "why", err)
	}
	return n, g.serve(n)
}

// further chooses between the generation that serves and the next one, which
// was being folded when the process ended.
func (g *generations) further(s *generation) (*generation, error) {
	size, _ := s.Cursor()
	next, err := g.open(s.number+1, g.o)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	at, _ := next.Cursor()
	log := g.o.Logger.With("folder", g.path, "generation", next.number, "entries", at)
	if at <= size {
		log.Info("projections: a rebuild was interrupted; the next one goes on from there")
		if err := next.Close(); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return s, nil
	}
	log.Info("projections: a rebuild that was interrupted is further than what it was to replace, and serves instead")
	if err := g.serve(next.number); err != nil {
		return nil, errors.Join(err, s.Close(), next.Close())
	}
	err = s.Close()
	g.retire(s.number)
	if err != nil {
		return nil, errors.Join(err, next.Close())
	}
	return next, nil
}

// open opens a generation, and makes it when it is absent.
func (g *generations) open(number uint64, o Options) (*generation, error) {
	p, err := Open(g.pathOf(number), g.lineage, o)
	if err != nil {
		return nil, err
	}
	return &generation{Projections: p, number: number}, nil
}

// serve writes down which generation serves. After an error either may, the one
// that was named before or this one: neither may be deleted.
func (g *generations) serve(number uint64) error {
	const fresh = servingFile + ".new"
	if err := g.write(fresh, strconv.FormatUint(number, 10)+"\n"); err != nil {
		return err
	}
	if err := g.fs.Rename(g.fs.PathJoin(g.path, fresh), g.fs.PathJoin(g.path, servingFile)); err != nil {
		return fmt.Errorf("projections: name the generation that serves: %w", err)
	}
	return disk.Sync(g.fs, g.path)
}

// found lists the generations that there are and that can be read, by their numbers.
func (g *generations) found() []uint64 {
	numbers, _ := g.list()
	return numbers
}

// list lists the generations that there are, by their numbers: those that can be
// read, and an error where there may be others. A folder without our mark is none,
// whatever its name.
func (g *generations) list() (numbers []uint64, err error) {
	names, err := g.fs.List(g.path)
	if err != nil {
		return nil, fmt.Errorf("projections: which generations there are: %w", err)
	}
	for _, name := range names {
		n, ok := generationOf(name)
		if !ok {
			continue
		}
		ours, unread := g.ours(n)
		if ours {
			numbers = append(numbers, n)
		}
		err = errors.Join(err, unread)
	}
	slices.Sort(numbers)
	return numbers, err
}

// ours reports whether a generation's folder may be deleted: it has our mark, or
// nothing in it, as a deletion leaves it that was cut short.
func (g *generations) ours(number uint64) (bool, error) {
	path := g.pathOf(number)
	info, err := g.fs.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("projections: %w", err)
	}
	inside, err := g.fs.List(path)
	if err != nil {
		return false, fmt.Errorf("projections: what is in %s: %w", path, err)
	}
	return slices.Contains(inside, markFile) || !slices.ContainsFunc(inside, func(n string) bool { return n != lockFile }), nil
}

// retire deletes a generation. That it fails is no reason to stop for: the next
// start tries again.
func (g *generations) retire(number uint64) {
	if err := g.remove(number); err != nil {
		g.o.Logger.Warn("projections: an old generation can't be deleted; the next start tries again", "error", err)
	}
}

// remove deletes a generation, from inside outwards: what a crash leaves of it
// still has the mark, and never passes for whole.
func (g *generations) remove(number uint64) error {
	f, err := openFolder(g.fs, g.pathOf(number))
	if err != nil {
		return err
	}
	if err := errors.Join(f.empty(), f.close()); err != nil {
		return err
	}
	if err := g.fs.RemoveAll(f.path); err != nil {
		return fmt.Errorf("projections: %w", err)
	}
	return disk.Sync(g.fs, g.path)
}

// clearFlat deletes a store that stands in the folder itself, as one made before
// there were generations does. The folder has our mark.
func (g *generations) clearFlat() error {
	names, err := g.fs.List(g.path)
	if err != nil {
		return fmt.Errorf("projections: %w", err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !storeFile(n) })
	if len(names) == 0 {
		return nil
	}
	g.o.Logger.Warn("projections: these were made before there were generations; starting again from nothing, no record is lost",
		"folder", g.path, "files", len(names))
	for _, name := range names {
		if err := g.fs.Remove(g.fs.PathJoin(g.path, name)); err != nil {
			return fmt.Errorf("projections: delete what was made before there were generations: %w", err)
		}
	}
	return disk.Sync(g.fs, g.path)
}

// storeFile reports whether a name is one that a store gives its files.
func storeFile(name string) bool {
	for _, prefix := range []string{"MANIFEST-", "OPTIONS-", "marker."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	for _, suffix := range []string{".sst", ".blob", ".log", ".dbtmp"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return name == staleFile
}

// read reads a small file of ours.
func (g *generations) read(name string) (string, error) {
	f, err := g.fs.Open(g.fs.PathJoin(g.path, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("it is not there")
	}
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, 64))
	return string(text), errors.Join(err, f.Close())
}

func (g *generations) pathOf(number uint64) string {
	return g.fs.PathJoin(g.path, strconv.FormatUint(number, 10))
}

// generationOf reads a generation's number: one form only, so that no two names
// are the same number.
func generationOf(text string) (uint64, bool) {
	n, err := strconv.ParseUint(text, 10, 63)
	return n, err == nil && n > 0 && strconv.FormatUint(n, 10) == text
}
