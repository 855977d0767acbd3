package export

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"annals/ledger/proof"
	"annals/ledger/proof/prooftest"
	"annals/ledger/proof/tiles"
)

// auditAt audits an export by another checkpoint than its newest.
func auditAt(t *testing.T, dir string, c proof.Checkpoint, key string) error {
	t.Helper()
	p, err := tiles.Open(dir, tiles.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	r, err := proof.Audit(t.Context(), p.At(c), proof.Options{Tiles: true, EntriesOnly: true, Checkpoint: c.Note, Key: key})
	if err == nil && r.Verdict != proof.Clean {
		err = errors.New(r.Sentence)
	}
	return err
}

// TestWitnessed exports a ledger with its witnessed checkpoint, brings the export up to
// date, and audits it each time by the newest, by the witnessed one, and by the one that
// was witnessed before, whose reader may be at work still.
func TestWitnessed(t *testing.T) {
	l := ledger("witnessed", 1100)
	dir := filepath.Join(t.TempDir(), "export")
	var before *proof.Checkpoint
	// In the newest's last tile, in the one before, at a tile's end, the newest itself.
	for _, c := range []struct{ newest, witnessed uint64 }{{300, 260}, {600, 500}, {601, 512}, {700, 690}, {700, 700}, {1100, 1030}} {
		w := checkpoint(l, c.witnessed)
		if err := Write(t.Context(), Options{Dir: dir, Checkpoint: checkpoint(l, c.newest), Witnessed: w.Note, Read: Folder(source{l})}); err != nil {
			t.Fatal(err)
		}
		if r := audit(t, l, dir); r.Verdict != proof.Clean || r.Entries != c.newest {
			t.Errorf("%d: %s", c.newest, r.Sentence)
		}
		if b, err := os.ReadFile(filepath.Join(dir, tiles.WitnessedPath)); err != nil || !slices.Equal(b, w.Note) {
			t.Errorf("%d: the witnessed checkpoint is %q (%v), want that of %d", c.newest, b, err, c.witnessed)
		}
		for _, at := range []*proof.Checkpoint{&w, before} {
			if at == nil {
				continue
			}
			if err := auditAt(t, dir, *at, l.VKey()); err != nil {
				t.Errorf("export of %d, audited at the witnessed %d: %v", c.newest, at.Size, err)
			}
		}
		before = &w
	}
	for _, name := range listing(t, dir) {
		if name == "tile/entries/001.p/4" || name == "tile/000.p/44" {
			t.Errorf("%s is left, which nobody reads any more", name)
		}
	}
}

// TestNotWitnessed has witnessed checkpoints that can't go along.
func TestNotWitnessed(t *testing.T) {
	l, other := ledger("witnessed", 700), prooftest.New("witnessed")
	for i := other.Size(); i < 700; i++ {
		other.Record("ws_1", "other", `{}`)
	}
	other.Fold()
	options := func(witnessed []byte) Options {
		return Options{Dir: filepath.Join(t.TempDir(), "export"), Checkpoint: checkpoint(l, 600), Witnessed: witnessed, Read: Folder(source{l})}
	}
	for want, note := range map[string][]byte{
		"of another history":       checkpoint(other, 500).Note,
		"the witnessed checkpoint": []byte("no note"),
	} {
		o := options(note)
		if err := Write(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if left := listing(t, o.Dir); len(left) > 0 {
			t.Errorf("refused, and wrote %v", left)
		}
	}
	later := options(checkpoint(l, 650).Note)
	if err := Write(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(later.Dir, tiles.WitnessedPath)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a witnessed checkpoint of more entries than the newest went along: %v", err)
	}
	// It is held to the history of an export that is there, as the newest is.
	forked := options(nil)
	if err := Write(t.Context(), forked); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(forked.Dir, tiles.WitnessedPath), checkpoint(other, 500).Note, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(t.Context(), forked); err == nil || !strings.Contains(err.Error(), "name another folder") {
		t.Errorf("over a forked witnessed checkpoint: %v", err)
	}
}
