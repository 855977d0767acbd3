package bench

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

// A client that misread an answer would measure something else.
func TestAccepted(t *testing.T) {
	const ok = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
	for _, c := range []struct{ name, answer, fails string }{
		{"accepted", ok, ""},
		{"an empty body", "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", ""},
		{"refused", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 13\r\n\r\nthe stream is", "answered with HTTP/1.1 503 Service Unavailable: the stream is"},
		{"another success", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "answered with HTTP/1.1 200 OK: {}"},
		{"no length", "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "doesn't say how long"},
		{"a length that is no number", "HTTP/1.1 202 Accepted\r\nContent-Length: 2x\r\n\r\n{}", "invalid syntax"},
		{"cut off in the header", "HTTP/1.1 202 Accepted\r\nContent-Le", "EOF"},
		{"cut off in the body", "HTTP/1.1 202 Accepted\r\nContent-Length: 200\r\n\r\n{}", "EOF"},
		{"nothing", "", "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := bufio.NewReader(strings.NewReader(c.answer))
			err := accepted(r)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("%v, and not %q", err, c.fails)
				}
				return
			}
			if _, end := r.ReadByte(); err != nil || end != io.EOF {
				t.Errorf("%v; of the answer something is left: %t", err, end != io.EOF)
			}
		})
	}
	// The next answer begins where this one ends.
	r := bufio.NewReader(strings.NewReader(ok + ok))
	if err := accepted(r); err != nil {
		t.Error(err)
	}
	if err := accepted(r); err != nil {
		t.Error(err)
	}
}
