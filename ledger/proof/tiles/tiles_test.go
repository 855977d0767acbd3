package tiles

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

func TestPath(t *testing.T) {
	for want, got := range map[string]string{
		"tile/0/000":                      Path(0, 0, 256),
		"tile/0/x001/x234/067":            Path(0, 1234067, 256),
		"tile/1/001.p/7":                  Path(1, 1, 7),
		"tile/0/x001/000":                 Path(0, 1000, 256),
		"tile/entries/999.p/255":          EntriesPath(999, 255),
		"tile/entries/x018/x446/x744/000": EntriesPath(18446744000, 256),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestNeeded holds the list of files to the example of C2SP tlog-tiles.
func TestNeeded(t *testing.T) {
	got := map[string]int{}
	for n := range Needed(70_000) {
		kind := fmt.Sprintf("level %d", n.Level/Levels)
		if n.Entries {
			kind = "entries"
		}
		if n.Width < Width {
			kind += fmt.Sprintf(", partial of %d", n.Width)
		}
		got[kind]++
	}
	want := map[string]int{
		"entries": 273, "entries, partial of 112": 1, "level 0": 273, "level 0, partial of 112": 1,
		"level 1": 1, "level 1, partial of 17": 1, "level 2, partial of 1": 1,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	for _, size := range []uint64{0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000} {
		n := uint64(0)
		for range Needed(size) {
			n++
		}
		if Count(size) != n {
			t.Errorf("%d entries: %d files are counted, %d needed", size, Count(size), n)
		}
	}
	for n := range Needed(0) {
		t.Errorf("an empty tree needs %s", n.Path())
	}
}

// TestClean audits sound logs from a folder and from a server, where levels of
// tiles begin and end.
func TestClean(t *testing.T) {
	sizes := []uint64{2, 3, 255, 256, 257, 511, 512, 1000, 65_537}
	if testing.Short() { // the race detector's run: what is fetched abreast is so in 1,000 as well
		sizes = sizes[:len(sizes)-1]
	}
	l := newLog("clean", int(sizes[len(sizes)-1]))
	for _, size := range sizes {
		dir := t.TempDir()
		l.write(t, dir, size)
		server := httptest.NewServer(http.FileServer(http.Dir(dir)))
		places := []string{server.URL, dir, "file://" + filepath.ToSlash(dir), server.URL + "/"}
		if size > 10_000 {
			places = places[:1]
		}
		for _, where := range places {
			r, err := l.audit(t, mustOpen(t, where, Options{}))
			if err != nil || r.Verdict != proof.Clean || r.Entries != size || r.Root != l.root(size) {
				t.Errorf("%d entries at %s: %v, %s", size, where, err, r.Sentence)
			}
		}
		server.Close()
	}
}

// TestDroppedPartials audits a log that kept a partial file's full successor only.
func TestDroppedPartials(t *testing.T) {
	l := newLog("dropped", 700)
	dir := t.TempDir()
	l.write(t, dir, 700)
	l.write(t, dir, 300)
	for _, dropped := range []string{Path(0, 1, 44), EntriesPath(1, 44)} {
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(dropped))); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := l.audit(t, mustOpen(t, dir, Options{})); err != nil || r.Verdict != proof.Clean || r.Entries != 300 {
		t.Errorf("%v, %s", err, r.Sentence)
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{"ftp://x/y", "https://", "http://h/?q=1", "http://h/#f", "file://host/x", file, file + "-absent"} {
		if p, err := Open(where, Options{}); err == nil {
			t.Errorf("%q opens as %s", where, p)
		}
	}
}

func TestBegins(t *testing.T) {
	l, other := newLog("begins", 1500), newLog("other", 1500)
	dir := t.TempDir()
	l.write(t, dir, 1500)
	p := mustOpen(t, dir, Options{})
	for _, from := range []uint64{0, 1, 255, 256, 257, 1024, 1499, 1500} {
		if err := p.At(l.checkpoint(1500)).Begins(t.Context(), l.checkpoint(from)); err != nil {
			t.Errorf("from %d: %v", from, err)
		}
		proven, err := p.At(l.checkpoint(1500)).Consistency(t.Context(), from)
		if err == nil {
			err = proof.CheckConsistency(from, l.root(from), 1500, l.root(1500), proven)
		}
		if err != nil {
			t.Errorf("consistency from %d: %v", from, err)
		}
	}
	for index := uint64(0); index < 1500; index += 7 {
		proven, err := p.At(l.checkpoint(1500)).Inclusion(t.Context(), index)
		if err == nil {
			err = proof.CheckInclusion(1500, l.root(1500), index, chain.LeafHash(l.entries[index]), proven)
		}
		if err != nil {
			t.Fatalf("inclusion of %d: %v", index, err)
		}
	}
	for name, c := range map[string]struct {
		of, from proof.Checkpoint
		want     error
	}{
		"not its beginning":  {l.checkpoint(1500), other.checkpoint(300), proof.ErrProof},
		"another tree":       {other.checkpoint(1500), other.checkpoint(300), ErrOther},
		"larger than it":     {l.checkpoint(300), l.checkpoint(301), proof.ErrProof},
		"tiles that are not": {newLog("begins", 1600).checkpoint(1600), l.checkpoint(300), ErrAbsent},
	} {
		if err := p.At(c.of).Begins(t.Context(), c.from); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestBeginsIsProven: tiles of two trees, mixed so that each root that is asked for
// follows from some of them, prove neither that one begins with the other nor that it
// doesn't.
func TestBeginsIsProven(t *testing.T) {
	l, other := newLog("begins", 1500), newLog("other", 1500)
	dir := t.TempDir()
	l.write(t, dir, 1500)
	for n := range uint64(2) { // the lower ones alone, which the whole tree's root needs not
		name := Name{N: n, Width: Width}
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name.Path())), other.file(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := mustOpen(t, dir, Options{})
	for _, earlier := range []proof.Checkpoint{other.checkpoint(200), other.checkpoint(255), l.checkpoint(200), l.checkpoint(300)} {
		if err := p.At(l.checkpoint(1500)).Begins(t.Context(), earlier); !errors.Is(err, ErrOther) {
			t.Errorf("size %d: %v", earlier.Size, err)
		}
	}
}

func TestBeyond(t *testing.T) {
	l := newLog("beyond", 900)
	for stored, want := range map[uint64]uint64{600: 0, 601: 601, 767: 767, 768: 768, 900: 768} {
		dir := t.TempDir()
		l.write(t, dir, 600)
		l.write(t, dir, stored)
		if got, err := mustOpen(t, dir, Options{}).Beyond(t.Context(), 600); err != nil || got != want {
			t.Errorf("%d entries stored behind a head of 600: %d, %v, want %d", stored, got, err, want)
		}
	}
}
