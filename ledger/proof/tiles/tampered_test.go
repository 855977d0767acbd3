package tiles

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"annals/ledger/proof"
)

// TestTampered changes one file of an export at a time, and names what an audit
// says to it.
func TestTampered(t *testing.T) {
	const size = 600 // two full bundles and one of 88
	l := newLog("tampered", size)
	first, last := EntriesPath(0, Width), EntriesPath(2, 88)
	cases := []struct {
		name, file string
		change     func(b []byte) []byte
		want       proof.Finding
		at         int
	}{
		{"nothing", first, func(b []byte) []byte { return b }, proof.Clean, -1},
		{"a bit of an entry", first, flip(len(l.entries[0]) + 100), proof.AlteredEntry, 1},
		{"a bit of the last entry", last, func(b []byte) []byte { return flip(len(b) - 1)(b) }, proof.AlteredEntry, 599},
		{"a bit of a full bundle's last entry", first, func(b []byte) []byte { return flip(len(b) - 1)(b) }, proof.AlteredEntry, 255},
		{"bytes behind a bundle", first, more, proof.TrailingBytes, 255},
		{"bytes behind the last bundle", last, more, proof.TrailingBytes, 599},
		{"a bundle cut within its last entry", first, cut(5), proof.MissingEntry, 255},
		{"the last bundle cut within its last entry", last, cut(5), proof.Truncated, 599},
		{"the last bundle cut by one entry", last, cut(210), proof.Truncated, 599},
		{"an empty bundle", first, func([]byte) []byte { return nil }, proof.MissingEntry, -1},
		{"an absent bundle", EntriesPath(1, Width), nil, proof.MissingEntry, 256},
		{"the last bundle absent", last, nil, proof.Truncated, 512},
		{"a bit of a leaf's hash", Path(0, 1, Width), flip(40), proof.TreeDamaged, 257},
		{"a bit of the last leaf's hash", Path(0, 2, 88), flip(88*32 - 1), proof.TreeDamaged, 599},
		{"a bit of a node", Path(1, 0, 2), flip(32), proof.TreeDamaged, 256},
		{"an absent tile", Path(0, 1, Width), nil, proof.TreeDamaged, 256},
		{"the last tile absent", Path(0, 2, 88), nil, proof.TreeDamaged, 512},
		{"an absent upper tile", Path(1, 0, 2), nil, proof.TreeDamaged, 0},
		{"a tile cut short", Path(0, 1, Width), cut(1), proof.TreeDamaged, 256},
		{"bytes behind a tile", Path(0, 1, Width), more, proof.TreeDamaged, 256},
		{"an empty tile", Path(0, 0, Width), func([]byte) []byte { return nil }, proof.TreeDamaged, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			l.write(t, dir, size)
			path := filepath.Join(dir, filepath.FromSlash(c.file))
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if c.change == nil {
				err = os.Remove(path)
			} else {
				err = os.WriteFile(path, c.change(bytes.Clone(b)), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			r, err := l.audit(t, mustOpen(t, dir, Options{}))
			if err != nil || r.Verdict != c.want {
				t.Fatalf("%v, %s\n%+v", err, r.Sentence, r.Findings)
			}
			if c.at >= 0 && (r.FirstBad == nil || *r.FirstBad != uint64(c.at)) {
				t.Errorf("first bad index %v, want %d: %s", r.FirstBad, c.at, r.Sentence)
			}
			if c.want != proof.Clean && c.want != proof.MissingEntry && r.Total != 1 {
				t.Errorf("one cause, %d findings: %+v", r.Total, r.Findings)
			}
		})
	}
}

// TestTwoChanges alters an entry and takes the last tile away: the last entry, which
// nothing speaks for then, is not accused.
func TestTwoChanges(t *testing.T) {
	l := newLog("two-changes", 600)
	dir := t.TempDir()
	l.write(t, dir, 600)
	b := flip(len(l.entries[0]) + 100)(l.file(Name{Entries: true, Width: Width}))
	err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(EntriesPath(0, Width))), b, 0o600)
	if err == nil {
		err = os.Remove(filepath.Join(dir, filepath.FromSlash(Path(0, 2, 88))))
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.audit(t, mustOpen(t, dir, Options{}))
	if err != nil || r.Total != 2 || r.Findings[0].Finding != proof.AlteredEntry || *r.Findings[0].Index != 1 || r.Findings[1].Finding != proof.TreeDamaged {
		t.Errorf("%v, %+v", err, r)
	}
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[at] ^= 1
		return b
	}
}

func more(b []byte) []byte { return append(b, 0, 3, 'a', 'b', 'c') }

func cut(n int) func([]byte) []byte {
	return func(b []byte) []byte { return b[:len(b)-n] }
}

// TestEveryLength audits bundles whose length prefixes were changed: whatever they
// make of the rest, it is no crash, and not called clean.
func TestEveryLength(t *testing.T) {
	l := newLog("lengths", 300)
	whole := l.file(Name{Entries: true, Width: Width})
	for at := 0; at < len(whole); at += 1 + int(whole[at])%7 + 1500 {
		for _, to := range []byte{0, 1, 0x7f, 0xff} {
			if whole[at] == to {
				continue
			}
			dir := t.TempDir()
			l.write(t, dir, 300)
			b := bytes.Clone(whole)
			b[at] = to
			if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(EntriesPath(0, Width))), b, 0o600); err != nil {
				t.Fatal(err)
			}
			if r, err := l.audit(t, mustOpen(t, dir, Options{})); err != nil || r.Verdict == proof.Clean {
				t.Errorf("byte %d of bundle 0 made %#x: %v, %s", at, to, err, r.Sentence)
			}
		}
	}
}

// FuzzBundle: what a bundle is split into is what was in it, and all of it.
func FuzzBundle(f *testing.F) {
	f.Add([]byte{0, 1, 'a', 0, 0}, 2)
	f.Add([]byte{0, 1, 'a', 0, 2, 'b'}, 2)
	f.Add([]byte{0, 0, 'x'}, 1)
	f.Fuzz(func(t *testing.T, b []byte, width int) {
		if width < 1 || width > Width {
			return
		}
		n, bytes := 0, 0
		for e := range split(b, width) {
			n++
			bytes += 2 + len(e)
		}
		name := Name{Entries: true, Width: width}
		if fits := name.Fits(b); fits && (n != width || bytes != len(b)) || bytes > len(b) || n > width {
			t.Errorf("%d entries of %d, %d bytes of %d", n, width, bytes, len(b))
		}
		if cut := name.cut(b); len(cut) > len(b) || name.Fits(cut) && n != width {
			t.Errorf("cut to %d bytes of %d, %d entries", len(cut), len(b), n)
		}
	})
}
