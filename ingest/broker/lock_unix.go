//go:build unix

package broker

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock takes the store folder for this process. nats-server takes no lock of its
// own: two servers on one folder would write over each other's messages. The
// lock is the kernel's, so it goes with the process, however that ends; and it is
// on the folder itself, because the server tidies away files that it doesn't know.
func lock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStoreDir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: locking %s: %w", ErrStoreDir, dir, err)
		}
		return nil, fmt.Errorf("%w: %s", ErrInUse, dir)
	}
	return f, nil
}
