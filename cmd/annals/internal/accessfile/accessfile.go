// Package accessfile keeps the API keys of a data folder in keys/access.json.
//
// The rule it exists for: a folder that ever had a key is never open again. The
// file says that access is configured, by being there: whoever revokes the last key
// locks everybody out, and lets nobody in. It holds hashes and no key; it stands
// beside the private keys all the same, for who can write it lets themself in, and a
// backup that has the one should have the other.
package accessfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"annals/cmd/annals/internal/datadir"
	"annals/cmd/annals/internal/durable"
	"annals/internal/access"
)

// Path is where the keys of a data folder are.
func Path(root string) string { return filepath.Join(root, datadir.Keys, datadir.Access) }

// Load reads the keys of a data folder; nil where access is not configured. What it
// returns saves changes: only who has the folder's lock makes any.
func Load(root string) (*access.Book, error) {
	path := Path(root)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, datadir.Unusable(root, fmt.Errorf("the API keys can't be read: %w", err))
	}
	book, err := access.NewBook(text, saving(path))
	if err != nil {
		return nil, fmt.Errorf("%s does not parse; bring it back from a backup: %w", path, err)
	}
	return book, nil
}

// LoadOrNew is Load, and where access is not configured an empty book. The file is
// there once the first key is.
func LoadOrNew(root string) (*access.Book, error) {
	book, err := Load(root)
	if book == nil && err == nil {
		return access.NewBook(nil, saving(Path(root)))
	}
	return book, err
}

func saving(path string) func([]byte) error {
	return func(text []byte) error { return durable.Replace(path, text) } // mode 0600
}

// embedKeySize is that of a key for HMAC-SHA256 (RFC 2104, 3).
const embedKeySize = 32

// EmbedKey returns the key that embed tokens are signed by, and makes it where it is
// not there yet. Whoever deletes it ends every embed token.
func EmbedKey(root string) ([]byte, error) {
	path := filepath.Join(root, datadir.Keys, datadir.Embed)
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, embedKeySize)
		_, _ = rand.Read(key) // never fails
		return key, durable.New(path, key)
	}
	if err == nil && len(key) != embedKeySize {
		err = fmt.Errorf("%s is damaged; delete it, which ends every embed token, or bring it back from a backup", path)
	}
	return key, err
}

// Exposed reports whether others than the owner may read or write the file.
func Exposed(root string) bool {
	info, err := os.Stat(Path(root))
	return err == nil && info.Mode().Perm()&0o077 != 0
}
