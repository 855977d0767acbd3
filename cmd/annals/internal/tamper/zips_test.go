package tamper_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"io"
	"io/fs"
	"maps"
	"slices"
	"testing"

	"annals/ledger/proof"
	"annals/ledger/proof/pack"
)

// zipping is a way to make an archive that is another one to whoever unpacks it than
// to whoever verifies it as it is.
type zipping struct {
	name string
	do   func(z *zipper)
	want proof.Finding
}

// zipper writes an archive as its maker likes.
type zipper struct {
	t     testing.TB
	w     *zip.Writer
	files files
}

// put adds a file.
func (z *zipper) put(h zip.FileHeader, data []byte) {
	z.t.Helper()
	h.Method = zip.Deflate
	w, err := z.w.CreateHeader(&h)
	if err == nil {
		_, err = w.Write(data)
	}
	if err != nil {
		z.t.Fatal(err)
	}
}

// raw adds a file whose header says what it likes of the bytes that follow.
func (z *zipper) raw(name string, said uint64, data io.Reader) {
	z.t.Helper()
	var packed bytes.Buffer
	deflate, err := flate.NewWriter(&packed, flate.BestCompression)
	if err == nil {
		_, err = io.Copy(deflate, data)
	}
	if err == nil {
		err = deflate.Close()
	}
	if err != nil {
		z.t.Fatal(err)
	}
	h := zip.FileHeader{Name: name, Method: zip.Deflate, UncompressedSize64: said, CompressedSize64: uint64(packed.Len())}
	w, err := z.w.CreateRaw(&h)
	if err == nil {
		_, err = w.Write(packed.Bytes())
	}
	if err != nil {
		z.t.Fatal(err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func zippings() []zipping {
	named := func(name string) func(z *zipper) {
		return func(z *zipper) { z.put(zip.FileHeader{Name: name}, []byte("{}")) }
	}
	instead := func(file string, do func(z *zipper, data []byte)) func(z *zipper) {
		return func(z *zipper) {
			data := z.files[file]
			delete(z.files, file)
			do(z, data)
		}
	}
	return []zipping{
		{"as it was made", func(*zipper) {}, proof.Clean},
		{"a file of another's beside", named("notes/x.txt"), proof.Clean},
		{"a folder", func(z *zipper) {
			if _, err := z.w.CreateHeader(&zip.FileHeader{Name: "notes/"}); err != nil {
				z.t.Fatal(err)
			}
		}, proof.Clean},
		{"`pack.json` twice", named("pack.json"), proof.Inconclusive},
		{"`entries.jsonl` twice, once empty", func(z *zipper) { z.put(zip.FileHeader{Name: "entries.jsonl"}, nil) }, proof.Inconclusive},
		{"`PACK.JSON` beside `pack.json`", named("PACK.JSON"), proof.Inconclusive},
		{"another's file twice", func(z *zipper) { named("x.txt")(z); named("x.txt")(z) }, proof.Inconclusive},
		{"`../keys.json`", named("../keys.json"), proof.Inconclusive},
		{"`x/../keys.json`", named("x/../keys.json"), proof.Inconclusive},
		{"`./keys.json`", named("./keys.json"), proof.Inconclusive},
		{"`/etc/passwd`", named("/etc/passwd"), proof.Inconclusive},
		{"`..\\keys.json`", named(`..\keys.json`), proof.Inconclusive},
		{"`C:keys.json`", named("C:keys.json"), proof.Inconclusive},
		{"a name that is empty", named(""), proof.Inconclusive},
		{"a link in a file's place", instead("pack.json", func(z *zipper, _ []byte) {
			h := zip.FileHeader{Name: "pack.json"}
			h.SetMode(fs.ModeSymlink | 0o777)
			z.put(h, []byte("/etc/passwd"))
		}), proof.Inconclusive},
		{"a bomb: 1 GiB of zeros in `head.json`", instead("head.json", func(z *zipper, _ []byte) {
			z.raw("head.json", 1<<30, io.LimitReader(zeros{}, 64<<20))
		}), proof.Inconclusive},
		{"a bomb that says it is small", instead("keys.json", func(z *zipper, data []byte) {
			z.raw("keys.json", uint64(len(data)), io.MultiReader(bytes.NewReader(data), io.LimitReader(zeros{}, 128<<20)))
		}), proof.Inconclusive},
		{"a bomb in a file of another's", func(z *zipper) { z.raw("x.bin", 1<<40, io.LimitReader(zeros{}, 1<<20)) }, proof.Clean},
	}
}

// TestZips verifies each archive as it is, as `annals verify --pack` does.
func TestZips(t *testing.T) {
	d := (&tampering{insider: true}).tamper(base(t))
	laid := d.packOf(middle(d.honest)).lay()
	for _, c := range zippings() {
		var b bytes.Buffer
		z := &zipper{t, zip.NewWriter(&b), maps.Clone(laid)}
		c.do(z)
		for _, name := range slices.Sorted(maps.Keys(z.files)) {
			z.put(zip.FileHeader{Name: name}, z.files[name])
		}
		if err := z.w.Close(); err != nil {
			t.Fatal(err)
		}
		var r proof.Report
		if p, err := pack.Open(bytes.NewReader(b.Bytes()), int64(b.Len())); err != nil {
			r = proof.Refused(err)
		} else if report, err := p.Verify(t.Context(), d.knows.vkey); err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else {
			r = report.Report
		}
		if r.Verdict != c.want {
			t.Errorf("%s: %s%s, want %s", c.name, r.Sentence, details(r), c.want)
		}
	}
}
