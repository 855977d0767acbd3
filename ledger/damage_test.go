package ledger_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"annals/ledger"
	"annals/ledger/chain/chaintest"
	"annals/ledger/proof"
)

// TestFlippedBitsAreNeverClean flips bits all over a closed ledger's files: what
// opens afterwards holds the same entries as before, and what doesn't says that
// it is damaged. No flip gives other entries and a clean audit.
func TestFlippedBitsAreNeverClean(t *testing.T) {
	s := chaintest.Golden()
	dir := filepath.Join(t.TempDir(), "ledger")
	l, err := ledger.Create(dir, s.Messages[0], s.Messages[1], ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, l, s, anyOrder(1))
	want := l.Head()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	remembered := &proof.Head{Size: want.Size, Root: want.Root, LastLeaf: want.Last}
	found, harmless := 0, 0
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		step := max(1, len(whole)/6)
		if testing.Short() {
			step = max(1, len(whole)/2)
		}
		for at := 3; at < len(whole); at += step {
			flipped := append([]byte{}, whole...)
			flipped[at] ^= 0x10
			copyDir := filepath.Join(t.TempDir(), "ledger")
			if err := os.CopyFS(copyDir, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(copyDir, filepath.Base(file)), flipped, 0o600); err != nil {
				t.Fatal(err)
			}
			source, err := ledger.OpenForAudit(copyDir, ledger.Options{CacheSize: 1 << 20})
			if err != nil {
				found++
				continue
			}
			report, err := proof.Audit(t.Context(), source, proof.Options{Remembered: remembered})
			if closeErr := source.Close(); closeErr != nil {
				t.Fatal(closeErr)
			}
			switch {
			case err != nil || report.Verdict != proof.Clean:
				found++
			case report.Entries == want.Size && report.Root == want.Root:
				harmless++
			default:
				t.Errorf("%s, byte %d: %d entries with root %s audit clean", filepath.Base(file), at, report.Entries, report.Root)
			}
		}
	}
	if found < 5 {
		t.Fatalf("only %d flips were found", found)
	}
	t.Logf("%d flips found, %d changed nothing that the ledger says", found, harmless)
}

func TestADamagedBlockIsNamed(t *testing.T) {
	s := chaintest.Golden()
	dir := filepath.Join(t.TempDir(), "ledger")
	l, err := ledger.Create(dir, s.Messages[0], s.Messages[1], ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal("no table to damage", err)
	}
	for _, table := range tables {
		b, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		b[20] ^= 1
		if err := os.WriteFile(table, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var damage *ledger.DamageError
	if _, err := ledger.Open(dir, ledger.Options{}); !errors.As(err, &damage) {
		t.Fatalf("got %v, want a DamageError", err)
	}
}
