package natsconfig

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"
)

// TestSeeds: a seed that is there stays and is nobody's but its owner's, and of a pair
// whose seed could not be written nothing is left.
func TestSeeds(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, seedFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	s := &seeds{dir: dir}
	first, err := s.public("ledger")
	if err != nil || !nkeys.IsValidPublicUserKey(first) {
		t.Fatalf("%q: %v", first, err)
	}
	path := SeedFile(dir, "ledger")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the seed's file: %v, %v", info, err)
	}
	if again, err := s.public("ledger"); err != nil || again != first {
		t.Errorf("%q became %q: %v", first, again, err)
	}
	if len(s.made) != 1 {
		t.Errorf("made %q", s.made)
	}
	if pair, err := makePair(path, nkeys.PrefixByteUser); pair != nil || !errors.Is(err, fs.ErrExist) {
		t.Errorf("a pair over another: %v, %v", pair, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := s.public("ledger"); err == nil || !strings.Contains(err.Error(), path+" can be read by others") {
		t.Errorf("a seed that others read: %v", err)
	}
}
