package upload

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"annals/activity"
)

// line is one line of the input.
type line struct {
	number int // from 1
	bytes  []byte
	size   int // of the line, also where its bytes were not kept
}

// lines reads an input line by line. A line that is too long for a record is
// read to its end and not kept, so that a file of one endless line costs no
// memory.
//
// A byte order mark at the very beginning, which files from Windows have, belongs
// to no line.
type lines struct {
	r      *bufio.Reader
	number int
	mark   int // bytes of the mark
}

var byteOrderMark = []byte("\uFEFF")

func newLines(r io.Reader) *lines {
	l := &lines{r: bufio.NewReaderSize(r, 256<<10)}
	if begin, _ := l.r.Peek(len(byteOrderMark)); bytes.Equal(begin, byteOrderMark) {
		l.mark, _ = l.r.Discard(len(byteOrderMark))
	}
	return l
}

// next returns the next line without its line feed. The error is io.EOF after
// the last one.
func (l *lines) next() (line, error) {
	out := line{number: l.number + 1}
	for {
		part, err := l.r.ReadSlice('\n')
		out.size += len(part)
		if out.size <= activity.MaxRecord+2 { // CR and LF
			out.bytes = append(out.bytes, part...)
		} else {
			out.bytes = nil
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && out.size > 0:
		case err != nil:
			return out, err
		}
		l.number++
		out.bytes = bytes.TrimSuffix(bytes.TrimSuffix(out.bytes, []byte{'\n'}), []byte{'\r'})
		return out, nil
	}
}

// blank reports whether there is nothing on the line.
func (l *line) blank() bool {
	return len(l.bytes) <= l.size && l.size <= activity.MaxRecord+2 && len(bytes.TrimSpace(l.bytes)) == 0
}
