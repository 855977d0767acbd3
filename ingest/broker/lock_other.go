//go:build !unix

package broker

import (
	"fmt"
	"os"
)

// lock opens the store folder. Without flock it keeps nobody out: on such a
// system only one server may be started on a folder.
func lock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStoreDir, err)
	}
	return f, nil
}
