package tiles

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Beyond returns how many entries a folder holds bundles for, when that is more
// than a checkpoint's size, else 0: somebody stored entries that nobody signed for.
// Of a server it asks nothing: what no checkpoint requires is not asked for.
func (p *Place) Beyond(_ context.Context, size uint64) (uint64, error) {
	if p.root == nil {
		return 0, nil
	}
	n, within := size/Width, size%Width
	if _, err := fs.Stat(p.root.FS(), EntriesPath(n, Width)); err == nil {
		return (n + 1) * Width, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	list, err := fs.ReadDir(p.root.FS(), path.Dir(EntriesPath(n, 1)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	most := uint64(0)
	for _, f := range list {
		wide, err := strconv.ParseUint(strings.TrimSpace(f.Name()), 10, 16)
		if err == nil && wide > within && wide < Width {
			most = max(most, n*Width+wide)
		}
	}
	return most, nil
}
