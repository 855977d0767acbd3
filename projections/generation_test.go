package projections

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// put makes a file that is not ours, or that is written over.
func put(t *testing.T, fs vfs.FS, name, text string) {
	t.Helper()
	check(t, fs.MkdirAll(fs.PathDir(name), 0o755))
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	check(t, err)
	_, err = io.WriteString(f, text)
	check(t, errors.Join(err, f.Sync(), f.Close()))
}

func exists(fs vfs.FS, name string) bool {
	_, err := fs.Stat(name)
	return err == nil
}

// interrupted makes live projections of a ledger, and a rebuild of them that was
// stopped at an entry. All is closed.
func interrupted(t *testing.T, fs vfs.FS, g *growing, at uint64) {
	t.Helper()
	l := openLive(t, g, small(fs))
	g.follow(t, l)
	stop(t, l, g, at)
	check(t, l.Close())
}

// stop begins a rebuild and cancels it at an entry.
func stop(t *testing.T, l *Live, g *growing, at uint64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	g.gate = func(index uint64) {
		if index == at {
			cancel()
		}
	}
	err := l.Rebuild(ctx, g.read, g.size, nil)
	g.gate = nil
	if p := l.Progress(); !errors.Is(err, context.Canceled) || !errors.Is(p.Err, context.Canceled) || p.Running || p.Generation != 1 {
		t.Fatalf("stopped: %v, %+v", err, p)
	}
}

// TestResume goes on with a rebuild that was stopped, in the same process and in
// the next one; not with one that is of another history.
func TestResume(t *testing.T) {
	for name, c := range map[string]struct{ reopen, other bool }{
		"OK":                      {},
		"next process":            {reopen: true},
		"other history":           {other: true},
		"other history, reopened": {reopen: true, other: true},
	} {
		t.Run(name, func(t *testing.T) {
			g, fs := newGrowing(3000), vfs.NewMem()
			l := openLive(t, g, small(fs))
			g.follow(t, l)
			stop(t, l, g, 2000)
			if c.reopen {
				check(t, l.Close())
				l = openLive(t, g, small(fs))
			}
			defer func() { check(t, l.Close()) }()
			g.verified(t, l)
			if c.other { // the ledger was put back, and then grew another way
				again := &growing{leaves: newLeaves()}
				again.grow(300)
				again.said = append(again.said, said{})
				again.grow(2200)
				again.said = slices.Delete(again.said, 300, 301)
				g = again
				check(t, l.Reset())
				g.follow(t, l)
			}
			g.from = nil
			check(t, l.Rebuild(t.Context(), g.read, g.size, nil))
			// The first reading looks whether what is there fits.
			if g.from[0] == 0 || (g.from[1] > 0) == c.other {
				t.Errorf("it read from %v", g.from)
			}
			if p := l.Progress(); p.Generation != 2 || p.Done-p.Folded != g.from[1] {
				t.Errorf("%+v, having read from %v", p, g.from)
			}
			g.verified(t, l)
		})
	}
}

// TestOpenLive opens folders as they may be found.
func TestOpenLive(t *testing.T) {
	for name, c := range map[string]struct {
		spoil      func(t *testing.T, fs vfs.FS)
		generation uint64
		fresh      bool // the fold starts from nothing
		found      []uint64
		log        string
	}{
		"OK":           {generation: 1, found: []uint64{1, 2}, log: "a rebuild was interrupted"},
		"rebuild gone": {generation: 1, found: []uint64{1}, spoil: func(t *testing.T, fs vfs.FS) { check(t, fs.RemoveAll("projections/2")) }},
		"serving gone": {generation: 2, found: []uint64{2}, log: "is further than", spoil: func(t *testing.T, fs vfs.FS) { check(t, fs.RemoveAll("projections/1")) }},
		"condemned":    {generation: 2, found: []uint64{2}, log: "is further than", spoil: func(t *testing.T, fs vfs.FS) { put(t, fs, "projections/1/"+staleFile, "bad\n") }},
		"both condemned": {generation: 1, fresh: true, found: []uint64{1, 2}, log: "starting again", spoil: func(t *testing.T, fs vfs.FS) {
			put(t, fs, "projections/1/"+staleFile, "bad\n")
			put(t, fs, "projections/2/"+staleFile, "bad\n")
		}},
		"not named":   {generation: 1, found: []uint64{1, 2}, log: "does not say", spoil: func(t *testing.T, fs vfs.FS) { check(t, fs.Remove("projections/"+servingFile)) }},
		"named badly": {generation: 1, found: []uint64{1, 2}, log: "does not say", spoil: func(t *testing.T, fs vfs.FS) { put(t, fs, "projections/"+servingFile, "02\n") }},
		"next serves": {generation: 2, found: []uint64{2}, spoil: func(t *testing.T, fs vfs.FS) { put(t, fs, "projections/"+servingFile, "2\n") }},
		"far ahead":   {generation: 9, fresh: true, found: []uint64{9}, spoil: func(t *testing.T, fs vfs.FS) { put(t, fs, "projections/"+servingFile, "9\n") }},
		"half deleted": {generation: 2, found: []uint64{2}, spoil: func(t *testing.T, fs vfs.FS) {
			put(t, fs, "projections/"+servingFile, "2\n")
			for _, name := range []string{"1/" + markFile, "1/" + lockFile} {
				check(t, fs.Remove("projections/"+name))
			}
			names, err := fs.List("projections/1")
			check(t, err)
			for _, name := range names {
				check(t, fs.Remove("projections/1/"+name))
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g, fs := newGrowing(3000), vfs.NewMem()
			interrupted(t, fs, g, 2000)
			put(t, fs, "projections/7/letters", "somebody else's")
			put(t, fs, "projections/letters", "somebody else's")
			if c.spoil != nil {
				c.spoil(t, fs)
			}
			var log bytes.Buffer
			o := small(fs)
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
			l := openLive(t, g, o)
			at, _ := l.Cursor()
			if l.Progress().Generation != c.generation || (at == 0) != c.fresh {
				t.Errorf("generation %d serves, at %d", l.Progress().Generation, at)
			}
			if got := l.folder.found(); !slices.Equal(got, c.found) {
				t.Errorf("there are the generations %v, want %v", got, c.found)
			}
			if !strings.Contains(log.String(), c.log) || c.log == "" && strings.Contains(log.String(), "rebuild") {
				t.Errorf("the log says %q", log.String())
			}
			g.verified(t, l)
			g.follow(t, l)
			check(t, l.Rebuild(t.Context(), g.read, g.size, nil))
			g.verified(t, l)
			check(t, l.Close())
			if !exists(fs, "projections/7/letters") || !exists(fs, "projections/letters") {
				t.Error("somebody else's file is gone")
			}
		})
	}
}

// TestFlat finds a store in the folder itself: it is deleted with a word in the
// log, and nothing else is.
func TestFlat(t *testing.T) {
	g, fs := newGrowing(500), vfs.NewMem()
	p := open(t, g.ledger, small(fs))
	check(t, p.Fold(g.read(t.Context(), 0, g.size())))
	shut(t, p)
	put(t, fs, "projections/letters", "somebody else's")
	var log bytes.Buffer
	o := small(fs)
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	l := openLive(t, g, o)
	names, err := fs.List("projections")
	check(t, err)
	slices.Sort(names)
	if want := []string{"1", markFile, servingFile, lockFile, "letters"}; !slices.Equal(names, want) {
		t.Errorf("the folder holds %q, want %q", names, want)
	}
	if at, _ := l.Cursor(); at != 0 || strings.Count(log.String(), "level=WARN") != 1 {
		t.Errorf("opened at %d; the log says %q", at, log.String())
	}
	g.follow(t, l)
	g.verified(t, l)
	check(t, l.Close())
	l = openLive(t, g, o)
	defer func() { check(t, l.Close()) }()
	if strings.Count(log.String(), "level=WARN") != 1 {
		t.Errorf("the log says %q", log.String())
	}
	g.verified(t, l)
}

// TestForeignGeneration leaves alone what is not ours, on both levels.
func TestForeignGeneration(t *testing.T) {
	g, fs := newGrowing(100), vfs.NewMem()
	put(t, fs, "projections/1/letters", "somebody else's")
	if _, err := OpenLive("projections", g.ledger, small(fs)); !errors.Is(err, ErrForeign) {
		t.Errorf("a folder that is not ours: %v", err)
	}
	check(t, fs.RemoveAll("projections"))
	l := openLive(t, g, small(fs))
	defer func() { check(t, l.Close()) }()
	if _, err := OpenLive("projections", g.ledger, small(fs)); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	g.follow(t, l)
	put(t, fs, "projections/2/letters", "somebody else's")
	if err := l.Rebuild(t.Context(), g.read, g.size, nil); !errors.Is(err, ErrForeign) {
		t.Errorf("a generation that is not ours: %v", err)
	}
	if !exists(fs, "projections/2/letters") {
		t.Error("somebody else's file is gone")
	}
	g.verified(t, l)
}

func FuzzGenerationOf(f *testing.F) {
	for _, text := range []string{"1", "10", "0", "01", "+1", "1 ", "", "9223372036854775808", "9223372036854775807", "-1", "1_0", "0x1"} {
		f.Add(text)
	}
	g := generations{folder: &folder{fs: vfs.NewMem(), path: "p"}}
	f.Fuzz(func(t *testing.T, text string) {
		n, ok := generationOf(text)
		if ok && (n == 0 || g.pathOf(n) != g.fs.PathJoin("p", text)) {
			t.Errorf("%q is generation %d, whose folder is %s", text, n, g.pathOf(n))
		}
	})
}
