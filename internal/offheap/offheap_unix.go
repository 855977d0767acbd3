//go:build unix

package offheap

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Alloc returns n bytes, all zero; n is above 0. The error says that the system has none
// to give.
func Alloc(n int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("offheap: %d bytes: %w", n, err)
	}
	return b, nil
}

// Free gives back what Alloc returned.
func Free(b []byte) {
	if err := unix.Munmap(b); err != nil {
		panic(fmt.Sprintf("offheap: free of what was not allocated, or was freed before: %v", err))
	}
}
