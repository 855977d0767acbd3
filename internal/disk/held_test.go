package disk_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/internal/disk"
)

// TestHeld takes a lock twice, and tells that from what else hinders one.
func TestHeld(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lock")
	first, err := vfs.Default.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := vfs.Default.Lock(path); !disk.Held(err) {
		t.Errorf("a lock that this process has: %v", err)
	}
	folder, err := pebble.LockDirectory(dir, vfs.Default)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	if _, err := pebble.LockDirectory(dir, vfs.Default); !disk.Held(err) {
		t.Errorf("a folder that this process has: %v", err)
	}
	for err, want := range map[error]bool{
		nil: false, syscall.EAGAIN: true, &fs.PathError{Op: "lock", Err: syscall.EWOULDBLOCK}: true,
		&fs.PathError{Op: "open", Err: syscall.EROFS}: false, syscall.ENOSPC: false, syscall.EACCES: false,
		fs.ErrPermission: false, errors.New("no"): false,
	} {
		if disk.Held(err) != want {
			t.Errorf("%v: held is %v", err, !want)
		}
	}
}
