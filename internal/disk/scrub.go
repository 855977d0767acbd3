package disk

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Afresh is a file system on which, while it is told so, no file begins as another
// that is not needed any more: Pebble writes its next log over an old one, behind
// whose new end the old bytes stay.
type Afresh struct {
	vfs.FS
	On *atomic.Bool
}

// ReuseForWrite makes a file in the place of one that is not needed any more.
func (f Afresh) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if !f.On.Load() {
		return f.FS.ReuseForWrite(old, name, c)
	}
	if err := f.FS.Remove(old); err != nil {
		return nil, err
	}
	return f.FS.Create(name, c)
}
