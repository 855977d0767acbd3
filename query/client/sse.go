package client

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// maxLine bounds a line of a stream: an item is a line, nearly always.
const maxLine = 16 << 20

// sent is one event of a stream of server-sent events (WHATWG HTML, 9.2.6).
type sent struct {
	name string // "" where it has none
	data string // "" where only the id was moved
}

// events reads a stream of server-sent events.
type events struct {
	lines *bufio.Scanner
	begun bool
	id    string        // the last one, that of events without data too
	retry time.Duration // the last one that was said; 0: none
}

func newEvents(r io.Reader) *events {
	e := &events{lines: bufio.NewScanner(r)}
	e.lines.Buffer(make([]byte, 0, 16<<10), maxLine)
	e.lines.Split(new(lineEnds).split)
	return e
}

// next returns the next event, or [io.EOF]. What a stream breaks off in the middle
// of is no event.
func (e *events) next() (sent, error) {
	var s sent
	var data []string
	id := e.id
	for e.lines.Scan() {
		line := e.lines.Text()
		if !e.begun {
			line = strings.TrimPrefix(line, "\ufeff")
			e.begun = true
		}
		if line == "" {
			e.id = id
			s.data = strings.Join(data, "\n")
			return s, nil
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			s.name = value
		case "data":
			data = append(data, value)
		case "id":
			if !strings.ContainsRune(value, 0) {
				id = value
			}
		case "retry":
			if ms, err := strconv.ParseUint(value, 10, 31); err == nil {
				e.retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
	if err := e.lines.Err(); err != nil {
		return sent{}, fmt.Errorf("reading the stream: %w", err)
	}
	return sent{}, io.EOF
}

// lineEnds splits at LF, CR and CRLF.
type lineEnds struct{ afterCR bool }

func (l *lineEnds) split(data []byte, atEOF bool) (advance int, line []byte, err error) {
	skipped := 0
	if l.afterCR && len(data) > 0 {
		if l.afterCR = false; data[0] == '\n' {
			data, skipped = data[1:], 1
		}
	}
	if i := bytes.IndexAny(data, "\r\n"); i >= 0 {
		l.afterCR = data[i] == '\r'
		return skipped + i + 1, data[:i], nil
	}
	if atEOF { // a line that nothing ends
		return skipped + len(data), nil, nil
	}
	return skipped, nil, nil
}
