package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNewAndReplace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := Dir(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "key")
	if err := New(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := New(path, []byte("second")); !errors.Is(err, fs.ErrExist) || read(t, path) != "first" {
		t.Errorf("New over a file: %v, it holds %q", err, read(t, path))
	}
	if err := Replace(path, []byte("third")); err != nil || read(t, path) != "third" {
		t.Errorf("Replace: %v, it holds %q", err, read(t, path))
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 {
		t.Errorf("the folder holds %v, %v", names, err)
	}
	if err := New(filepath.Join(dir, "no", "such"), nil); err == nil {
		t.Error("written into no folder")
	}
	if err := Dir(path); err == nil {
		t.Error("a file passes for a folder")
	}
}

// TestNewIsOnce: of many that try at once, one succeeds.
func TestNewIsOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	var all sync.WaitGroup
	var won atomic.Int32
	for n := range 16 {
		all.Go(func() {
			if New(path, []byte{byte(n)}) == nil {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d wrote the file", won.Load())
	}
}
