package disk_test

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
	"testing"

	"annals/internal/disk"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// locking is a file system that refuses locks.
type locking struct {
	vfs.FS
	err error
}

func (l locking) Lock(string) (io.Closer, error) { return nil, l.err }

// TestReadOnly takes no lock where none can be taken, and lets every other refusal
// stand.
func TestReadOnly(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&fs.PathError{Op: "open", Path: "LOCK", Err: syscall.EROFS}, true},
		{&fs.PathError{Op: "open", Path: "LOCK", Err: syscall.EACCES}, true},
		{syscall.EAGAIN, false},
		{errors.New("lock held by current process"), false},
	} {
		lock, err := disk.ReadOnly{FS: locking{err: c.err}}.Lock("LOCK")
		if (err == nil) != c.want {
			t.Errorf("%v: %v", c.err, err)
		}
		if lock != nil && lock.Close() != nil {
			t.Errorf("%v: the lock can't be closed", c.err)
		}
	}
	mem := disk.ReadOnly{FS: vfs.NewMem()}
	lock, err := mem.Lock("LOCK")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mem.Lock("LOCK"); err == nil {
		t.Error("it is locked twice")
	}
	if err := lock.Close(); err != nil {
		t.Error(err)
	}
}
