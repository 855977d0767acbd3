package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVerifyDamage flips a bit in every file of a ledger, at several places, and
// verifies against a head that was kept outside. Damage is a verdict, never a
// crash; and a ledger that is called clean is the one that was remembered.
func TestVerifyDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := mustServe(t, dir)
	samples := filepath.Join("..", "..", "testdata", "activity", "apps.jsonl")
	if out, errs, status := annals(t, "publish", "--url", s.url, samples); status != 0 {
		t.Fatal(out, errs)
	}
	if err := s.terminate(); err != nil {
		t.Fatal(err)
	}
	// Opened again, what stands in the write-ahead log is written to a table, and
	// some more stands in the log.
	s = mustServe(t, dir)
	if err := s.terminate(); err != nil {
		t.Fatal(err)
	}
	head := filepath.Join(t.TempDir(), "head.json")
	if out, errs, status := annals(t, "verify", "--data", dir, "--remember", head); status != 0 {
		t.Fatal(out, errs)
	}
	files, err := filepath.Glob(filepath.Join(dir, "ledger", "*"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		for n := range min(info.Size(), 3) {
			at := info.Size() / 4 * (n + 1)
			name := fmt.Sprintf("%s, byte %d of %d", filepath.Base(file), at, info.Size())
			status, text := verifyFlipped(t, dir, head, filepath.Base(file), at)
			if strings.Contains(text, "panic") || status == exitUsage || status < 0 {
				t.Errorf("%s: status %d\n%s", name, status, text)
			}
			if status != 0 {
				found++
			} else if filepath.Ext(file) == ".sst" && at < info.Size()*3/4 {
				t.Errorf("%s: called clean", name)
			}
		}
	}
	if found == 0 {
		t.Error("nothing of it was found")
	}
}

// verifyFlipped verifies a copy with one bit flipped.
func verifyFlipped(t *testing.T, dir, head, file string, at int64) (int, string) {
	t.Helper()
	damaged := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(damaged, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(damaged, "ledger", file)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if at >= int64(len(b)) {
		at = int64(len(b)) - 1
	}
	b[at] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "head.json")
	kept, err := os.ReadFile(head)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(own, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, status := annals(t, "verify", "--data", damaged, "--remember", own)
	return status, out + errs
}
