package ingest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"annals/ingest"
)

// raw is what a server answers, to the byte, but for the date.
func raw(t *testing.T, h http.Handler, request string) string {
	t.Helper()
	s := httptest.NewServer(h)
	defer s.Close()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(c) // an answer that is broken off ends so
	var kept []string
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "Date: ") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// TestMiddlewareChangesNothing compares the bytes on the wire with and without.
func TestMiddlewareChangesNothing(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"nothing":   func(http.ResponseWriter, *http.Request) {},
		"short":     func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") },
		"not found": http.NotFound,
		"chunked": func(w http.ResponseWriter, _ *http.Request) {
			for i := range 3 {
				fmt.Fprintln(w, i)
				w.(http.Flusher).Flush()
			}
		},
		"copied": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, strings.NewReader(strings.Repeat("x", 10_000)))
		},
		"early hints": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</a.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			fmt.Fprint(w, "x")
		},
		"trailer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			fmt.Fprint(w, "x")
			w.Header().Set("X-Sum", "1")
		},
		"hijacked": func(w http.ResponseWriter, _ *http.Request) {
			c, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\n\r\nraw")
			_ = rw.Flush()
		},
		"aborted": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "x")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		"controlled": func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
				t.Error(err)
			}
			fmt.Fprint(w, "x")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		},
	}
	for name, h := range handlers {
		t.Run(name, func(t *testing.T) {
			to := &caught{}
			m := to.middleware(t, ingest.MiddlewareOptions{})
			const request = "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
			// Whoever hijacks a connection may close it before the handler returns.
			watched, ended := m.Handler(h), make(chan struct{})
			with := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(ended)
				watched.ServeHTTP(w, r)
			})
			if got, want := raw(t, with, request), raw(t, h, request); got != want {
				t.Errorf("%q\nwithout it: %q", got, want)
			}
			<-ended
			if got := to.one(t, m); name == "hijacked" && got.Data.StatusCode != 101 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestMiddlewareStreams: what a handler flushes is with the client while the handler
// goes on.
func TestMiddlewareStreams(t *testing.T) {
	to := &caught{}
	m := to.middleware(t, ingest.MiddlewareOptions{})
	next := make(chan struct{})
	s := httptest.NewServer(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range next {
			fmt.Fprintln(w, "event")
			w.(http.Flusher).Flush()
		}
	})))
	defer s.Close()
	go func() { next <- struct{}{} }()
	res, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	for i := range 3 {
		if i > 0 {
			next <- struct{}{}
		}
		if line, err := lines.ReadString('\n'); err != nil || line != "event\n" {
			t.Errorf("%q, %v", line, err)
		}
	}
	close(next)
	if _, err := lines.ReadString('\n'); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// TestMiddlewareHTTP2: a handler is told of HTTP/2's abilities, and of no others.
func TestMiddlewareHTTP2(t *testing.T) {
	to := &caught{}
	m := to.middleware(t, ingest.MiddlewareOptions{})
	s := httptest.NewUnstartedServer(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pushes := w.(http.Pusher)
		_, hijacks := w.(http.Hijacker)
		fmt.Fprint(w, r.Proto, pushes, hijacks)
	})))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	res, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); string(b) != "HTTP/2.0true false" {
		t.Errorf("%s", b)
	}
}

// able is a writer that can do what net/http's can, and costs nothing.
type able struct {
	header http.Header
	hijacker
	sender
}

func (w *able) Header() http.Header         { return w.header }
func (w *able) Write(b []byte) (int, error) { return len(b), nil }
func (w *able) WriteHeader(int)             {}
func (w *able) Flush()                      {}

var nothing = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })

// TestMiddlewareAllocates: at most three times a request, over the handler.
func TestMiddlewareAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("NOT CHECKED under the race detector, which allocates too; go test ./... counts")
	}
	const runs = 1000
	to := &caught{hold: make(chan struct{})} // so that what is counted is the request's
	m := to.middleware(t, ingest.MiddlewareOptions{Queue: 4 * runs, Routes: []string{"/sessions/{session}"}})
	h, w, r := m.Handler(nothing), &able{header: http.Header{}}, httptest.NewRequest("GET", "/sessions/s1", nil)
	bare := testing.AllocsPerRun(runs, func() { nothing.ServeHTTP(w, r) })
	with := testing.AllocsPerRun(runs, func() { h.ServeHTTP(w, r) })
	t.Logf("%v allocations, without it %v", with, bare)
	if with-bare > 3 {
		t.Errorf("%v allocations a request, without it %v", with, bare)
	}
	if m.Dropped() > 0 {
		t.Errorf("%d were dropped", m.Dropped())
	}
	close(to.hold)
}

// BenchmarkMiddleware compares a handler that does nothing with itself behind the
// middleware, whose records are put together and taken meanwhile.
func BenchmarkMiddleware(b *testing.B) {
	w, r := &able{header: http.Header{}}, httptest.NewRequest("GET", "/sessions/s1/steps", nil)
	b.Run("without", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			nothing.ServeHTTP(w, r)
		}
	})
	b.Run("with", func(b *testing.B) {
		m, err := ingest.NewMiddlewareThrough(ingest.MiddlewareOptions{Workspace: "ws", Routes: []string{"/sessions/{session}/…"}},
			func(context.Context, []byte) (func(context.Context) (ingest.Ack, error), error) {
				return func(context.Context) (ingest.Ack, error) { return ingest.Ack{}, nil }, nil
			})
		if err != nil {
			b.Fatal(err)
		}
		defer mustCloseMiddleware(b, m)
		h := m.Handler(nothing)
		b.ReportAllocs()
		for b.Loop() {
			h.ServeHTTP(w, r)
		}
		b.ReportMetric(float64(m.Dropped())/float64(b.N), "dropped/op")
	})
}
