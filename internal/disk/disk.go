// Package disk makes what a store names last.
//
// The rule it exists for: a name that survives a crash names something that did
// too. Making, renaming and removing files is durable once their folder is synced,
// and until then a disk may keep one of two names and lose the other.
package disk

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Sync makes what was made, renamed and removed in a folder durable. An empty path
// is the working folder.
func Sync(fs vfs.FS, path string) error {
	if path == "" {
		path = "."
	}
	dir, err := fs.OpenDir(path)
	if err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return nil
}

// Ordered is a file system on which a marker never outlives a crash that the file
// it names does not. Pebble makes a manifest, then a marker that names it, and
// syncs the folder once, after both: a disk that keeps the second and loses the
// first leaves a store that doesn't open.
type Ordered struct{ vfs.FS }

// Create makes a file, a marker only once what stands beside it is durable.
func (f Ordered) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(f.PathBase(name), "marker.") {
		if err := Sync(f.FS, f.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return f.FS.Create(name, c)
}
