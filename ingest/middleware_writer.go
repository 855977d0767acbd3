package ingest

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// watched is a writer of an answer that remembers the status. It is no more than the
// writer that it stands for, and with [watch] no less: a handler that asks whether it
// can flush is told what it would be told without.
type watched struct {
	http.ResponseWriter
	code     int // the final one; 0 while there is none
	hijacked bool
}

// status is what the client was told, once the handler has returned.
func (s *watched) status() int {
	switch {
	case s.code != 0:
		return s.code
	case s.hijacked:
		return http.StatusSwitchingProtocols // or whatever the handler said on the wire
	}
	return http.StatusOK // net/http says so for it
}

// wrote reports whether the client has been told anything.
func (s *watched) wrote() bool { return s.code != 0 || s.hijacked }

// began notes that a body begins, which says 200 where nothing was said before.
func (s *watched) began() {
	if s.code == 0 {
		s.code = http.StatusOK
	}
}

// WriteHeader notes the status, unless others may follow it.
func (s *watched) WriteHeader(code int) {
	if s.code == 0 && (code >= http.StatusOK || code == http.StatusSwitchingProtocols) {
		s.code = code
	}
	s.ResponseWriter.WriteHeader(code)
}

func (s *watched) Write(b []byte) (int, error) {
	s.began()
	return s.ResponseWriter.Write(b)
}

// WriteString saves the copy that io.WriteString would make.
func (s *watched) WriteString(text string) (int, error) {
	s.began()
	return io.WriteString(s.ResponseWriter, text)
}

// Unwrap lets [http.ResponseController] through.
func (s *watched) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// What a writer can do besides, each for itself.
type (
	flushing  struct{ s *watched }
	hijacking struct{ s *watched }
	pushing   struct{ s *watched }
	reading   struct{ s *watched }
)

func (f flushing) Flush() {
	f.s.began()
	f.s.ResponseWriter.(http.Flusher).Flush()
}

// FlushError is what [http.ResponseController] asks for first.
func (f flushing) FlushError() error {
	f.s.began()
	if w, ok := f.s.ResponseWriter.(interface{ FlushError() error }); ok {
		return w.FlushError()
	}
	f.s.ResponseWriter.(http.Flusher).Flush()
	return nil
}

func (h hijacking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := h.s.ResponseWriter.(http.Hijacker).Hijack()
	h.s.hijacked = h.s.hijacked || err == nil
	return c, rw, err
}

func (p pushing) Push(target string, o *http.PushOptions) error {
	return p.s.ResponseWriter.(http.Pusher).Push(target, o)
}

// ReadFrom is how files are sent without a copy.
func (r reading) ReadFrom(from io.Reader) (int64, error) {
	r.s.began()
	return r.s.ResponseWriter.(io.ReaderFrom).ReadFrom(from)
}

// can is what a writer can do besides, a bit for each.
type can uint8

const (
	flushes can = 1 << iota
	hijacks
	pushes
	reads
)

// watch returns a writer that can do what w can, no more and no less, and what it
// remembers.
func watch(w http.ResponseWriter) (*watched, http.ResponseWriter) {
	s := &watched{ResponseWriter: w}
	var c can
	if _, ok := w.(http.Flusher); ok {
		c |= flushes
	}
	if _, ok := w.(http.Hijacker); ok {
		c |= hijacks
	}
	if _, ok := w.(http.Pusher); ok {
		c |= pushes
	}
	if _, ok := w.(io.ReaderFrom); ok {
		c |= reads
	}
	switch c {
	case flushes:
		return s, struct {
			*watched
			flushing
		}{s, flushing{s}}
	case hijacks:
		return s, struct {
			*watched
			hijacking
		}{s, hijacking{s}}
	case flushes | hijacks:
		return s, struct {
			*watched
			flushing
			hijacking
		}{s, flushing{s}, hijacking{s}}
	case pushes:
		return s, struct {
			*watched
			pushing
		}{s, pushing{s}}
	case flushes | pushes:
		return s, struct {
			*watched
			flushing
			pushing
		}{s, flushing{s}, pushing{s}}
	case hijacks | pushes:
		return s, struct {
			*watched
			hijacking
			pushing
		}{s, hijacking{s}, pushing{s}}
	case flushes | hijacks | pushes:
		return s, struct {
			*watched
			flushing
			hijacking
			pushing
		}{s, flushing{s}, hijacking{s}, pushing{s}}
	case reads:
		return s, struct {
			*watched
			reading
		}{s, reading{s}}
	case flushes | reads:
		return s, struct {
			*watched
			flushing
			reading
		}{s, flushing{s}, reading{s}}
	case hijacks | reads:
		return s, struct {
			*watched
			hijacking
			reading
		}{s, hijacking{s}, reading{s}}
	case flushes | hijacks | reads:
		return s, struct {
			*watched
			flushing
			hijacking
			reading
		}{s, flushing{s}, hijacking{s}, reading{s}}
	case pushes | reads:
		return s, struct {
			*watched
			pushing
			reading
		}{s, pushing{s}, reading{s}}
	case flushes | pushes | reads:
		return s, struct {
			*watched
			flushing
			pushing
			reading
		}{s, flushing{s}, pushing{s}, reading{s}}
	case hijacks | pushes | reads:
		return s, struct {
			*watched
			hijacking
			pushing
			reading
		}{s, hijacking{s}, pushing{s}, reading{s}}
	case flushes | hijacks | pushes | reads:
		return s, struct {
			*watched
			flushing
			hijacking
			pushing
			reading
		}{s, flushing{s}, hijacking{s}, pushing{s}, reading{s}}
	}
	return s, s
}
