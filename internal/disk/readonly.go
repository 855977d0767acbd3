package disk

import (
	"errors"
	"io"
	"io/fs"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ReadOnly is a file system whose folders may be on read-only media, or somebody
// else's: where no lock can be taken, none is needed to read a copy.
type ReadOnly struct{ vfs.FS }

// Lock locks a file where that can be done.
func (f ReadOnly) Lock(name string) (io.Closer, error) {
	lock, err := f.FS.Lock(name)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return io.NopCloser(nil), nil
	}
	return lock, err
}
