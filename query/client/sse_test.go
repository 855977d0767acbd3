package client

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// heard prints what a stream says: each event as name|data|id.
func heard(r io.Reader) (said []string, e *events, err error) {
	e = newEvents(r)
	for {
		s, err := e.next()
		if err != nil {
			return said, e, err
		}
		said = append(said, fmt.Sprintf("%s|%s|%s", s.name, s.data, e.id))
	}
}

func TestEvents(t *testing.T) {
	for stream, want := range map[string]string{
		"":                                      "",
		"data: a\n\n":                           "|a|",
		"data:a\n\n":                            "|a|",
		"data:  a\n\n":                          "| a|",
		"data: a\ndata: b\ndata\n\n":            "|a\nb\n|",
		"id: 1\nevent: e\ndata: a\n\n":          "e|a|1",
		"id: 1\n\nid: 2\n\n":                    "||1 ||2",
		"id: 1\ndata: a\n\ndata: b\n\n":         "|a|1 |b|1",
		"id: 1\ndata: a\n\nid\ndata: b\n\n":     "|a|1 |b|",
		"id: 1\n\nid: 2\x003\ndata: a\n\n":      "||1 |a|1",
		":\n\n: a comment\n\n":                  "|| ||",
		"retry: 7\n\nretry: -1\nretry: x\n\n":   "|| ||",
		"data: a\r\rdata: b\r\n\r\ndata: c\n\n": "|a| |b| |c|",
		"data: a\r\n\ndata: b\n\n":              "|a| |b|",
		"\ufeffdata: a\n\n":                     "|a|",
		"nonsense: x\nnone\ndata: a\n\n":        "|a|",
		"event: e\n\ndata: a\n\n":               "e|| |a|",
		"data: a\n\ndata: cut off\n":            "|a|",
		"id: 1\n\nid: 2\nda":                    "||1",
		"id: 1\n\nid: 2\ndata: a":               "||1",
	} {
		for name, r := range map[string]io.Reader{"at once": strings.NewReader(stream), "by bytes": iotest.OneByteReader(strings.NewReader(stream))} {
			said, e, err := heard(r)
			if got := strings.Join(said, " "); got != want || !errors.Is(err, io.EOF) {
				t.Errorf("%q %s: %q, %v, want %q", stream, name, got, err, want)
			}
			if strings.HasPrefix(stream, "retry") && e.retry != 7*time.Millisecond {
				t.Errorf("%q: retry %s", stream, e.retry)
			}
		}
	}
	broken := errors.New("broken")
	if _, _, err := heard(io.MultiReader(strings.NewReader("data: a\n\n"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if _, _, err := heard(strings.NewReader("data: " + strings.Repeat("x", maxLine) + "\n\n")); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a line without bound: %v", err)
	}
}

// FuzzEvents reads a stream in pieces of any size: it says the same, and no event
// has a line end in its name or its id.
func FuzzEvents(f *testing.F) {
	for _, s := range []string{"id: 1\nevent: e\ndata: a\n\n", "data: a\r\n\r\n:\r\rid\n\n", "\ufeffretry: 1\n\n", "\r\n\n\r\r\n", "data"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, stream string) {
		whole, a, _ := heard(strings.NewReader(stream))
		bytes, b, _ := heard(iotest.OneByteReader(strings.NewReader(stream)))
		if strings.Join(whole, "\x00") != strings.Join(bytes, "\x00") || a.id != b.id || a.retry != b.retry {
			t.Errorf("at once %q %q, byte by byte %q %q", whole, a.id, bytes, b.id)
		}
		if strings.ContainsAny(a.id, "\r\n\x00") {
			t.Errorf("the id %q", a.id)
		}
	})
}
