// Package durable writes small files: keys, notes, remembered heads.
//
// The rule it exists for: after a crash at any moment a file is what it was or
// what it was to become, never a part of it. So a file is written beside its
// place, synced, put there by one call of the file system, and then the folder
// is synced, without which the name itself can be lost.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// temporary begins the names of files that are still being written.
const temporary = ".writing-"

// Temporary reports whether a name is that of a file that a crash left half
// written: it may be ignored, and removed.
func Temporary(name string) bool { return strings.HasPrefix(name, temporary) }

// New writes a file that must not be there yet; the error wraps [fs.ErrExist]
// when it is. Of two processes that try at once, one succeeds.
func New(path string, data []byte) error {
	return place(path, data, os.Link)
}

// Replace writes a file over what is there, if anything.
func Replace(path string, data []byte) error {
	return place(path, data, os.Rename)
}

func place(path string, data []byte, put func(from, to string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, temporary+"*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = put(f.Name(), path)
	}
	// After a rename there is nothing left to remove.
	if rm := os.Remove(f.Name()); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
		err = errors.Join(err, rm)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// Dir makes a folder, mode 0700, and those above it, and syncs the names.
func Dir(path string) error {
	path = filepath.Clean(path)
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is no folder", path)
		}
		return nil
	}
	if above := filepath.Dir(path); above != path {
		if err := Dir(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
