package main

import (
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/projections"
)

// TestVerifyIndexes verifies a data folder whose indexes are right, behind, absent,
// unreadable, and folded from something else than the ledger's entries. The ledger is
// clean throughout, and says so to whoever doesn't ask for its indexes.
func TestVerifyIndexes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := mustServe(t, dir)
	samples := filepath.Join("..", "..", "testdata", "activity", "apps.jsonl")
	if out, errs, status := annals(t, "publish", "--url", s.url, samples); status != 0 {
		t.Fatal(out, errs)
	}
	if err := s.terminate(); err != nil {
		t.Fatal(err)
	}
	said := func(name string, want int, texts []string, args ...string) {
		t.Helper()
		out, errs, status := annals(t, append([]string{"verify", "--data", dir}, args...)...)
		if status != want {
			t.Errorf("%s: status %d, want %d\n%s%s", name, status, want, out, errs)
		}
		for _, text := range texts {
			if !strings.Contains(out, text) {
				t.Errorf("%s: it doesn't say %q\n%s%s", name, text, out, errs)
			}
		}
	}
	said("clean", 0, []string{"chain verified: ", "; the indexes follow from them"}, "--indexes")
	said("clean, JSON", 0, []string{`"verdict":"clean"`, `"findings":[]`}, "--indexes", "-o", "json")

	fold(t, dir, func(size uint64) uint64 { return size - 1 }, func(*chain.Leaf) {})
	said("behind", 0, []string{"chain verified: ", "a server folds the rest when it runs"}, "--indexes")
	said("behind, JSON", 0, []string{`"verdict":"clean"`, `"notice":"indexes_behind"`}, "--indexes", "-o", "json")

	var hidden chain.Hash
	fold(t, dir, func(size uint64) uint64 { return size }, func(l *chain.Leaf) {
		if l.Entry.Kind == chain.KindRecord && hidden.IsZero() {
			hidden, l.Payload = l.Entry.Workspace, nil
		}
	})
	said("lying", 32, []string{"index lies: the list row of ", "workspace " + hidden.String(), "findings in all", "rebuild them"}, "--indexes")
	said("lying, JSON", 32, []string{`"verdict":"index_lies"`, `"finding":"index_lies","index":`, `"root":"`}, "--indexes", "-o", "json")
	said("lying, not asked", 0, []string{"chain verified: "})
	head := filepath.Join(t.TempDir(), "head.json")
	said("lying, to remember", 32, nil, "--indexes", "--remember", head)
	if _, err := os.Stat(head); err == nil {
		t.Error("the head was remembered")
	}

	mark := filepath.Join(dir, "projections", "1", "STALE")
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	said("damaged", 1, []string{"inconclusive: the ledger is clean, but its indexes could not be compared", "annals rebuild --data"}, "--indexes")
	if out, errs, status := annals(t, "rebuild", "--data", dir); status != 0 {
		t.Fatal(out, errs)
	}
	said("rebuilt", 0, []string{"; the indexes follow from them"}, "--indexes")
	if err := os.RemoveAll(filepath.Join(dir, "projections")); err != nil {
		t.Fatal(err)
	}
	said("absent", 0, []string{"notice: there are no indexes to compare"}, "--indexes")
	said("absent, JSON", 0, []string{`"notice":"no_indexes"`}, "--indexes", "-o", "json")
	if _, err := os.Stat(filepath.Join(dir, "projections")); err == nil {
		t.Error("verify made a folder")
	}
	if _, errs, status := annals(t, "verify", "--url", "http://127.0.0.1:1", "--key", "x", "--indexes"); status != exitUsage || !strings.Contains(errs, "--indexes are those in a data folder") {
		t.Errorf("with --url: status %d, %s", status, errs)
	}
}

// fold folds a data folder's indexes anew, up to a size, from leaves as a liar has
// them.
func fold(t *testing.T, dir string, to func(size uint64) uint64, change func(*chain.Leaf)) {
	t.Helper()
	l, err := ledger.Open(filepath.Join(dir, "ledger"), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := projections.OpenLive(filepath.Join(dir, "projections"), l.ID(), projections.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}()
	if err := p.Reset(); err != nil {
		t.Fatal(err)
	}
	leaves := l.Leaves(t.Context(), 0, to(l.Head().Size))
	if err := p.Fold(changed(leaves, change)); err != nil {
		t.Fatal(err)
	}
}

func changed(leaves iter.Seq2[chain.Leaf, error], change func(*chain.Leaf)) iter.Seq2[chain.Leaf, error] {
	return func(yield func(chain.Leaf, error) bool) {
		for leaf, err := range leaves {
			change(&leaf)
			if !yield(leaf, err) {
				return
			}
		}
	}
}
