package pack

import (
	"archive/zip"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"annals/ledger/proof"
)

// File is one file of an archive.
type File struct {
	Name string
	Data []byte
}

// stamp is the time that every file of an archive has: the same contents make the
// same bytes. When a pack was made, pack.json says.
var stamp = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// archive writes a zip archive, the same for the same contents.
type archive struct{ *zip.Writer }

// create begins a file.
func (a archive) create(name string) (io.Writer, error) {
	return a.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: stamp})
}

func (a archive) add(name string, data []byte) error {
	w, err := a.create(name)
	if err == nil {
		_, err = w.Write(data)
	}
	return err
}

// Zip writes an archive of any files, in their order. Packs are written by [Write];
// this is for whoever takes one apart and puts it together again.
func Zip(w io.Writer, files []File) error {
	a := archive{zip.NewWriter(w)}
	for _, f := range files {
		if err := a.add(f.Name, f.Data); err != nil {
			return err
		}
	}
	return a.Close()
}

// Unzip reads every file of an archive that is within a pack's bounds. The errors
// are [*proof.FormError] where the archive is none, or breaks a bound.
func Unzip(r io.ReaderAt, size int64) ([]File, error) {
	p, err := Open(r, size)
	if err != nil {
		return nil, err
	}
	var out []File
	for _, f := range p.archive.File {
		data, err := p.read(f.Name)
		if err != nil {
			return nil, err
		}
		out = append(out, File{f.Name, data})
	}
	return out, nil
}

// Pack is a pack that is open for reading. Nothing in it is true before
// [Pack.Verify].
type Pack struct {
	archive *zip.Reader
	byName  map[string]*zip.File
	foreign []string // names that are no pack's
}

// Open opens a pack of a size in bytes. It refuses what is no zip archive, has a file
// twice or under a name by which it would be unpacked elsewhere or over another one,
// or has a pack's file that is encrypted, packed in another way than a pack's or larger
// than a pack's may be: a [*proof.FormError]. Files that are no pack's are passed over;
// [Pack.Verify] names them.
func Open(r io.ReaderAt, size int64) (*Pack, error) {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, malformed("this is no zip archive: %v", err)
	}
	if len(archive.File) > maxFiles {
		return nil, malformed("an archive of %d files is no pack", len(archive.File))
	}
	p := &Pack{archive: archive, byName: map[string]*zip.File{}}
	taken := map[string]bool{}
	for _, f := range archive.File {
		if err := unpacksAs(f.Name, taken); err != nil {
			return nil, err
		}
		most, known := bound(f.Name)
		const encrypted = 1 << 0
		switch {
		case !known:
			p.foreign = append(p.foreign, f.Name)
			continue
		case f.Flags&encrypted != 0:
			return nil, malformed("%s is encrypted", f.Name)
		case f.Method != zip.Store && f.Method != zip.Deflate:
			return nil, malformed("%s is packed by method %d; a pack's files are stored or deflated", f.Name, f.Method)
		case f.UncompressedSize64 > uint64(most):
			return nil, malformed("%s has %d bytes, the most is %d", f.Name, f.UncompressedSize64, most)
		}
		p.byName[f.Name] = f
	}
	return p, nil
}

// unpacksAs refuses a name that is not the one that its file gets when the archive is
// unpacked, by whatever program and on whatever disk: who unpacks a pack must have
// before them what was verified here.
func unpacksAs(name string, taken map[string]bool) error {
	plain := strings.TrimSuffix(name, "/") // a folder's
	folded := strings.ToLower(plain)       // some disks tell no capitals
	switch {
	case !fs.ValidPath(plain) || plain == "." || strings.ContainsAny(plain, "\\:\x00"):
		return malformed("the archive has a file of the name %q, which leads elsewhere when it is unpacked", visible(name))
	case taken[folded]:
		return malformed("%s stands in the archive twice", visible(name))
	}
	taken[folded] = true
	return nil
}

func malformed(format string, args ...any) error {
	return &proof.FormError{What: fmt.Sprintf(format, args...)}
}

func bound(name string) (most int64, known bool) {
	at := slices.IndexFunc(files, func(f struct {
		name   string
		needed bool
		most   int64
	},
	) bool {
		return f.name == name
	})
	if at < 0 {
		return 0, false
	}
	return files[at].most, true
}

// Has reports whether the pack has a file.
func (p *Pack) Has(name string) bool { return p.byName[name] != nil }

// open opens a file for reading: at most as many bytes as it may have.
func (p *Pack) open(name string) (io.ReadCloser, error) {
	f := p.byName[name]
	if f == nil {
		return nil, malformed("the pack has no %s", name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, malformed("%s: %v", name, err)
	}
	most, _ := bound(name)
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(r, most+1), r}, nil
}

// read reads a file whole.
func (p *Pack) read(name string) ([]byte, error) {
	r, err := p.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, malformed("%s: %v", name, err)
	}
	if most, _ := bound(name); int64(len(data)) > most {
		return nil, malformed("%s has more than %d bytes", name, most)
	}
	return data, nil
}
