package imports

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// File is one to be imported.
type File struct {
	Name string // as it was given, or found in a folder
	Size int64  // of it as it lies there; -1: nobody knows
	open func() (io.ReadCloser, error)
}

// Stdin is the standard input as a file.
func Stdin(r io.Reader) File {
	return File{Name: "-", Size: -1, open: func() (io.ReadCloser, error) { return io.NopCloser(r), nil }}
}

// Find finds the files that are meant: those that are named, whatever they are called,
// and, in folders that are named, those that look like the format's, by name. What it
// passed over in folders it says.
func Find(names []string, format *Format) (files []File, passed []string, err error) {
	add := func(name string, info fs.FileInfo) {
		f := File{Name: name, Size: info.Size(), open: func() (io.ReadCloser, error) { return os.Open(name) }}
		if !info.Mode().IsRegular() {
			f.Size = -1
		}
		files = append(files, f)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, nil, fmt.Errorf("can't import: %w", err)
		}
		if !info.IsDir() {
			add(name, info)
			continue
		}
		err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir():
				return nil
			case !d.Type().IsRegular() || !format.takes(d.Name()):
				passed = append(passed, path)
				return nil
			}
			info, err := d.Info()
			if err == nil {
				add(path, info)
			}
			return err
		})
		if err != nil {
			return nil, nil, fmt.Errorf("can't import: %w", err)
		}
	}
	return files, passed, nil
}

// stream is a file while it is read: its bytes are counted and hashed as they lie
// there, and uncompressed where they are compressed.
type stream struct {
	raw      io.Reader
	content  io.Reader
	hash     hash.Hash
	bytes    int64
	progress func(int)
}

// newStream begins to read. What begins with gzip's magic number is gzip, whatever it
// is called.
func newStream(r io.Reader, progress func(int)) (*stream, error) {
	s := &stream{raw: r, hash: sha256.New(), progress: progress}
	b := bufio.NewReaderSize(readerFunc(s.read), 64<<10)
	s.content = b
	if magic, err := b.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, err
		}
		s.content = z
	}
	return s, nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func (s *stream) read(p []byte) (int, error) {
	n, err := s.raw.Read(p)
	s.hash.Write(p[:n])
	s.bytes += int64(n)
	s.progress(n)
	return n, err
}

// sum reads what is left, and returns the SHA-256 of the file in hexadecimal.
func (s *stream) sum() (string, error) {
	if _, err := io.Copy(io.Discard, s.content); err != nil {
		return "", err
	}
	return hex.EncodeToString(s.hash.Sum(nil)), nil
}
