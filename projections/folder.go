package projections

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"

	"annals/internal/disk"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// locked says why a folder's lock could not be taken.
func locked(path string, err error) error {
	if disk.Held(err) {
		return fmt.Errorf("%w (%s: %w)", ErrInUse, path, err)
	}
	return fmt.Errorf("projections: %s can't be locked: %w", path, err)
}

// ErrInUse says that another process, or this one, has the folder open.
var ErrInUse = errors.New("projections: the folder is in use by a running annals: ask that one over HTTP (--url), or stop it first")

// ErrForeign says that a folder holds something else than projections. Nothing
// in it was touched.
var ErrForeign = errors.New("projections: the folder holds something else")

// Files beside Pebble's own. A folder without the first isn't ours, and nothing
// in it is ever deleted; one with the second is to be emptied, or was being
// emptied when the process died.
const (
	markFile  = "ANNALS-PROJECTIONS"
	staleFile = "STALE"
	lockFile  = "LOCK"
)

const markText = "Indexes over an annals ledger. They hold nothing of their own: stop annals, delete this folder, and they are folded again.\n"

// folder is a projections' folder, locked.
type folder struct {
	fs   vfs.FS
	path string
	lock *pebble.Lock
}

// openFolder makes the folder when it is absent, and locks it.
func openFolder(fsys vfs.FS, path string) (*folder, error) {
	names, err := fsys.List(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := fsys.MkdirAll(path, 0o700); err != nil {
			return nil, fmt.Errorf("projections: %w", err)
		}
		if err := disk.Sync(fsys, fsys.PathDir(path)); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, fmt.Errorf("projections: %w", err)
	}
	// A crash may leave the lock file of a folder that was just being made.
	ours := slices.Contains(names, markFile)
	names = slices.DeleteFunc(names, func(n string) bool { return n == lockFile || n == markFile })
	if !ours && len(names) > 0 {
		return nil, fmt.Errorf("%w: %s has %d files (%s, …) but no %s: name an empty folder, or move these files away",
			ErrForeign, path, len(names), names[0], markFile)
	}
	lock, err := pebble.LockDirectory(path, fsys)
	if err != nil {
		return nil, locked(path, err)
	}
	f := &folder{fs: fsys, path: path, lock: lock}
	if !ours {
		if err := f.write(markFile, markText); err != nil {
			return nil, errors.Join(err, f.close())
		}
	}
	return f, nil
}

func (f *folder) close() error { return f.lock.Close() }

// write makes a file, durably.
func (f *folder) write(name, text string) error {
	file, err := f.fs.Create(f.fs.PathJoin(f.path, name), vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("projections: %w", err)
	}
	_, err = io.WriteString(file, text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("projections: write %s: %w", name, err)
	}
	return disk.Sync(f.fs, f.path)
}

// stale reports whether the folder is to be emptied.
func (f *folder) stale() bool {
	_, err := f.fs.Stat(f.fs.PathJoin(f.path, staleFile))
	return err == nil
}

// condemn says loudly that the store is damaged, and has the next Open empty it.
func (f *folder) condemn(log *slog.Logger, why error) {
	log.Error("projections: the store is damaged; no record is lost: restart, and they are folded again from the ledger",
		"folder", f.path, "error", why, "marked", f.write(staleFile, why.Error()+"\n"))
}

// empty deletes everything but the lock and the mark. It says so first in a file
// of its own: a store of which half is deleted must not be opened, for it could
// pass for a whole one.
func (f *folder) empty() error {
	if err := f.write(staleFile, "to be folded again\n"); err != nil {
		return err
	}
	names, err := f.fs.List(f.path)
	if err != nil {
		return fmt.Errorf("projections: %w", err)
	}
	for _, name := range names {
		if name == lockFile || name == markFile || name == staleFile {
			continue
		}
		if err := f.fs.RemoveAll(f.fs.PathJoin(f.path, name)); err != nil {
			return fmt.Errorf("projections: empty the folder: %w", err)
		}
	}
	if err := disk.Sync(f.fs, f.path); err != nil {
		return err
	}
	if err := f.fs.Remove(f.fs.PathJoin(f.path, staleFile)); err != nil {
		return fmt.Errorf("projections: empty the folder: %w", err)
	}
	return disk.Sync(f.fs, f.path)
}
