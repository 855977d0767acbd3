package imports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxItem is how many bytes one thing of a file may have, white space around it
// included: far more than a record, so that what is too large for one can still be
// told apart from what has no end.
const maxItem = 4 << 20

// errEndless is what a file is given up with.
var errEndless = fmt.Errorf("what begins here is longer than %d bytes; is the file of another format?", maxItem)

// Place is where something begins in a file, as it is once it is uncompressed: the
// line, from 1, the column in bytes, from 1, and the byte, from 0.
type Place struct {
	Line   int   `json:"line"`
	Column int   `json:"column"`
	Offset int64 `json:"offset"`
}

// tape is a file while it is read. Bytes stay on it until they are let go, so that
// what a parser read can be cut out as it stands, and read again.
type tape struct {
	r    io.Reader
	buf  []byte
	base int64 // offset of buf[0]
	pos  int   // in buf, of what is read next
	err  error // of r

	line      int   // of buf[0]
	lineStart int64 // offset of that line
}

// newTape begins behind a byte order mark, which belongs to nothing.
func newTape(r io.Reader) *tape {
	t := &tape{r: r, line: 1}
	for len(t.buf) < len(byteOrderMark) && t.fill() {
	}
	if bytes.HasPrefix(t.buf, byteOrderMark) {
		t.release(int64(len(byteOrderMark)))
		t.lineStart = t.base
	}
	return t
}

var byteOrderMark = []byte("\uFEFF")

// fill reads on; false at the end, or where reading fails.
func (t *tape) fill() bool {
	if t.err != nil {
		return false
	}
	const portion = 64 << 10
	if cap(t.buf)-len(t.buf) < portion {
		t.buf = append(make([]byte, 0, 2*cap(t.buf)+portion), t.buf...)
	}
	for range 100 {
		n, err := t.r.Read(t.buf[len(t.buf):cap(t.buf)])
		t.buf = t.buf[:len(t.buf)+n]
		if err != nil {
			t.err = err
		}
		if n > 0 || err != nil {
			return n > 0
		}
	}
	t.err = io.ErrNoProgress
	return false
}

// failed returns why reading failed; nil at the end of the file.
func (t *tape) failed() error {
	if errors.Is(t.err, io.EOF) {
		return nil
	}
	return t.err
}

// Read is for the parser. It gives up on what has no end.
func (t *tape) Read(p []byte) (int, error) {
	for t.pos == len(t.buf) {
		if len(t.buf) >= maxItem {
			return 0, errEndless
		}
		if !t.fill() {
			return 0, t.err
		}
	}
	n := copy(p, t.buf[t.pos:])
	t.pos += n
	return n, nil
}

// ahead reads what comes from an offset on, and lets the parser's place alone. Like the
// parser it gives up on what has no end.
type ahead struct {
	t  *tape
	at int64
}

func (a *ahead) Read(p []byte) (int, error) {
	for a.at-a.t.base == int64(len(a.t.buf)) {
		if len(a.t.buf) >= maxItem {
			return 0, errEndless
		}
		if !a.t.fill() {
			return 0, a.t.err
		}
	}
	n := copy(p, a.t.buf[a.at-a.t.base:])
	a.at += int64(n)
	return n, nil
}

// cut returns the bytes of a piece that has not been let go.
func (t *tape) cut(from, to int64) []byte {
	return bytes.Clone(t.buf[from-t.base : to-t.base])
}

// at says where an offset is that has not been let go.
func (t *tape) at(offset int64) Place {
	line, start := t.count(offset)
	return Place{Line: line, Column: int(offset-start) + 1, Offset: offset}
}

func (t *tape) count(offset int64) (line int, start int64) {
	before := t.buf[:offset-t.base]
	n := bytes.Count(before, []byte{'\n'})
	if n == 0 {
		return t.line, t.lineStart
	}
	return t.line + n, t.base + int64(bytes.LastIndexByte(before, '\n')) + 1
}

// release lets go of everything before an offset.
func (t *tape) release(offset int64) {
	t.line, t.lineStart = t.count(offset)
	n := int(offset - t.base)
	t.buf = t.buf[n:]
	t.base, t.pos = offset, max(t.pos-n, 0)
}

// rewind has the parser read from an offset again.
func (t *tape) rewind(offset int64) { t.pos = int(offset - t.base) }

// toLineEnd returns the offset behind the line feed that ends the line of an offset,
// or the end of the file. Of a line that is too long it keeps nothing but that.
func (t *tape) toLineEnd(from int64) (end int64, long bool) {
	seen := from
	for {
		if i := bytes.IndexByte(t.buf[seen-t.base:], '\n'); i >= 0 {
			return seen + int64(i) + 1, long
		}
		seen = t.base + int64(len(t.buf))
		if len(t.buf) >= maxItem {
			t.release(seen)
			long = true
		}
		if !t.fill() {
			return t.base + int64(len(t.buf)), long
		}
	}
}
