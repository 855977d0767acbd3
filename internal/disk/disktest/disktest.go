// Package disktest looks for bytes in what a store has written.
//
// The rule it exists for: what a search for erased bytes doesn't find must not be
// there. The bytes of a file alone don't tell: Pebble compresses the blocks of its
// tables, takes from a key what it shares with the one before it, and cuts its logs
// into chunks. So tables are read entry by entry, whatever newer entry hides it, and
// logs across their chunks' headers, besides the bytes of every file.
package disktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Holding returns the files below a folder that hold text, in the order of their
// names. A file that goes while it looks is none.
func Holding(fsys vfs.FS, dir, text string) (found []string, err error) {
	names, err := fsys.List(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		at := fsys.PathJoin(dir, name)
		info, err := fsys.Stat(at)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			below, err := Holding(fsys, at, text)
			if err != nil && !gone(err) {
				return nil, err
			}
			found = append(found, below...)
			continue
		}
		holds, err := Holds(fsys, at, text)
		if err != nil {
			return nil, err
		}
		if holds {
			found = append(found, at)
		}
	}
	return found, nil
}

// Holds reports whether a file holds text.
func Holds(fsys vfs.FS, name, text string) (bool, error) {
	b, err := read(fsys, name)
	if gone(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if bytes.Contains(b, []byte(text)) || acrossChunks(b, text) {
		return true, nil
	}
	if path.Ext(name) != ".sst" {
		return false, nil
	}
	// A table that is being written can't be read yet.
	for late := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		holds, err := inTable(fsys, name, text)
		switch {
		case err == nil, gone(err):
			return holds, nil
		case time.Now().After(late):
			return false, fmt.Errorf("disktest: the table %s: %w", name, err)
		}
	}
}

// patience is how long a table may take to be written.
const patience = 20 * time.Second

func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func read(fsys vfs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, info.Size()))
	return b, errors.Join(err, f.Close())
}

// chunkBlock is what Pebble's logs and manifests are cut at, and chunkHeaders what a
// chunk may begin with, in bytes (package record).
const chunkBlock = 32 << 10

var chunkHeaders = [...]int{7, 11, 15, 19}

// acrossChunks looks where a chunk's header may stand in the middle of text.
func acrossChunks(b []byte, text string) bool {
	for at := chunkBlock; at < len(b); at += chunkBlock {
		before := b[max(0, at-len(text)):at]
		for _, header := range chunkHeaders {
			if at+header > len(b) {
				continue
			}
			behind := b[at+header : min(len(b), at+header+len(text))]
			if bytes.Contains(append(bytes.Clone(before), behind...), []byte(text)) {
				return true
			}
		}
	}
	return false
}

// mergers are those that tables name: nothing is merged here, every operand is read
// by itself.
var mergers = func() sstable.Mergers {
	m := sstable.Mergers{}
	for _, name := range []string{"pebble.concatenate", "annals.rows.v2"} {
		m[name] = &sstable.Merger{Name: name}
	}
	return m
}()

// inTable looks through every key and value of a table, also of entries that newer
// ones hide, and through the ends of what was deleted as a range.
func inTable(fsys vfs.FS, name, text string) (found bool, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return false, err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return false, errors.Join(err, f.Close())
	}
	r, err := sstable.NewReader(context.Background(), readable, sstable.ReaderOptions{Mergers: mergers})
	if err != nil {
		return false, errors.Join(err, readable.Close())
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	has := func(b []byte) bool { return bytes.Contains(b, []byte(text)) }
	points, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, points.Close()) }()
	for kv := points.First(); kv != nil; kv = points.Next() {
		value, _, err := kv.Value(nil)
		if err != nil {
			return false, err
		}
		if has(kv.K.UserKey) || has(value) {
			return true, nil
		}
	}
	if err := points.Error(); err != nil {
		return false, err
	}
	ranges, err := r.NewRawRangeDelIter(context.Background(), sstable.NoFragmentTransforms, sstable.NoReadEnv)
	if err != nil || ranges == nil {
		return false, err
	}
	defer ranges.Close()
	span, err := ranges.First()
	for ; span != nil && err == nil; span, err = ranges.Next() {
		if has(span.Start) || has(span.End) {
			return true, nil
		}
	}
	return false, err
}
