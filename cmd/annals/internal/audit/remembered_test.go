package audit

import (
	"os"
	"path/filepath"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

func TestRemembered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "head.json")
	if r, err := Recall(path); r != nil || err != nil {
		t.Errorf("nothing remembered yet: %v, %v", r, err)
	}
	want := Remembered{Ledger: chain.Hash{1}, Head: proof.Head{Size: 1 << 60, Root: chain.Hash{2}, LastLeaf: chain.Hash{3}}}
	if err := Remember(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := Recall(path)
	if err != nil || *got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for _, broken := range []string{"", "{}", `{"ledger":"00","size":1}`, `{"sise":1}`, "[]"} {
		if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := Recall(path); err == nil {
			t.Errorf("%q passes for %+v", broken, r)
		}
	}
}

func TestPlace(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		filepath.Join(dir, "head.json"): true, file: true,
		filepath.Join(dir, "none", "head.json"): false, filepath.Join(file, "head.json"): false,
	} {
		if err := Place(path); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestOutside(t *testing.T) {
	for path, want := range map[string]bool{
		"head.json":         true,
		"data.json":         true,
		"data/head.json":    false,
		"data/x/head.json":  false,
		"other/../data/h":   false,
		"data/../head.json": true,
		"..data/head.json":  true,
	} {
		if got := Outside(path, "data") == nil; got != want {
			t.Errorf("%s outside of data: %v", path, got)
		}
	}
}
