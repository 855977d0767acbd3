package query

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// sink is a connection that takes everything at once.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header              { return s.header }
func (s *sink) WriteHeader(int)                  {}
func (s *sink) Write(b []byte) (int, error)      { return len(b), nil }
func (s *sink) FlushError() error                { return nil }
func (s *sink) SetReadDeadline(time.Time) error  { return nil }
func (s *sink) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkTail hands entries of ten workspaces out to a thousand listeners whose
// connections take everything: what the hub, the queues and the listeners cost
// beside the sockets. cpu-ns/entry counts every goroutine's time.
func BenchmarkTail(b *testing.B) {
	const workspaces, each = 10, 6_400
	s := serve(b, Options{Tail: TailOptions{QueueEvents: 1 << 30, QueueBytes: 1 << 40, Heartbeat: time.Hour}})
	for i := range each * workspaces / 128 {
		s.message(i, workspaces, 128)
	}
	s.settle()
	size := s.api.o.Ledger.Head().Size
	for _, c := range []struct {
		name      string
		listeners int
		filter    func(n int) string
	}{
		{"listeners=10", 10, func(int) string { return "" }},
		{"listeners=1000", 1000, func(int) string { return "" }},
		{"listeners=1000,each its user", 1000, func(n int) string { return fmt.Sprintf("?user=user_%d", n/workspaces%100) }},
		{"listeners=1000,with sentence", 1000, func(int) string { return "?with=sentence" }},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := newHub(s.api, s.api.o.Tail)
			s.api.hub = h
			h.at, h.cancel = 2, func() {} // the benchmark reads in the place of run
			ctx, cancel := context.WithCancel(b.Context())
			var open sync.WaitGroup
			for n := range c.listeners {
				open.Go(func() {
					u := &url.URL{Path: fmt.Sprintf("/v1/workspaces/ws%d/tail", n%workspaces)}
					u, _ = u.Parse(u.Path + c.filter(n))
					r := (&http.Request{Method: "GET", URL: u, Header: http.Header{}}).WithContext(ctx)
					s.api.ServeHTTP(&sink{http.Header{}}, r)
				})
			}
			eventually(b, "all are attached", func() bool { return s.attached() == c.listeners })
			entries := 0
			before := cpu(b)
			for b.Loop() {
				h.mu.Lock()
				h.at = 2
				for l := range h.listeners {
					l.from = 2
				}
				h.mu.Unlock()
				if err := h.handOut(ctx, 2, size); err != nil {
					b.Fatal(err)
				}
				entries += int(size - 2)
				for busy := true; busy; {
					busy = false
					h.mu.Lock()
					for l := range h.listeners {
						l.mu.Lock()
						busy = busy || l.events > 0
						l.mu.Unlock()
					}
					h.mu.Unlock()
				}
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(entries), "cpu-ns/entry")
			b.ReportMetric(float64(entries)/b.Elapsed().Seconds(), "entries/s")
			cancel()
			open.Wait()
		})
	}
}

// message publishes records of about 466 bytes to one of the workspaces.
func (s *served) message(i, workspaces, n int) {
	var body strings.Builder
	for j := range n {
		fmt.Fprintf(&body, `{"id":"01K9Z0W3QH%08d%08d","producer":"bench","type":"app.renamed","occurred_at":"2026-11-22T08:00:00.123Z",`+
			`"actor":{"type":"user","id":"user_%d","name":"Dana Example","email":"dana@example.com"},"object":{"type":"app","id":"app_%d","name":"Operations"},`+
			`"source":"web","outcome":"success","context":{"ip":"10.255.241.240","user_agent":"Mozilla/5.0 (X11; Linux x86_64)","session_id":"s_%d"},`+
			`"dimensions":{"org":"org_1","site":"site_2"},"data":{"previous_name":"Old name","new_name":"New name"}}`+"\n", i, j, j%100, j%50, j%70)
	}
	s.stream.Publish(fmt.Sprintf("activity.ws%d._", i%workspaces), body.String(), "Content-Type", "application/x-ndjson")
}

// BenchmarkTailSockets records bursts, with and without a thousand listeners over
// sockets, and waits until each has everything. Appending and folding are in the
// time, and so are the clients, who read and forget.
func BenchmarkTailSockets(b *testing.B) {
	for _, listeners := range []int{0, 1000} {
		for _, burst := range []int{640, 64_000} {
			b.Run(fmt.Sprintf("listeners=%d,burst=%d", listeners, burst), func(b *testing.B) {
				const workspaces = 10
				s := serve(b, Options{})
				var open sync.WaitGroup
				var conns []net.Conn
				for n := range listeners {
					conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
					if err != nil {
						b.Fatal(err)
					}
					conns = append(conns, conn)
					_, _ = fmt.Fprintf(conn, "GET /v1/workspaces/ws%d/tail HTTP/1.1\r\nHost: x\r\n\r\n", n%workspaces)
					open.Go(func() {
						_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{conn}, make([]byte, 16<<10))
					})
				}
				eventually(b, "all are attached", func() bool { return s.attached() == listeners })
				entries, i := 0, 0
				before := cpu(b)
				var recording time.Duration
				for b.Loop() {
					for range burst / 64 {
						s.message(i, workspaces, 64)
						i++
					}
					start := time.Now()
					s.settle()
					recording += time.Since(start)
					entries += burst
					// The last entry is of one workspace; all are through when all are idle.
					for busy := listeners > 0; busy; time.Sleep(time.Millisecond) {
						busy = s.busy(listeners)
					}
				}
				b.ReportMetric(float64(cpu(b)-before)/float64(entries), "cpu-ns/entry")
				b.ReportMetric(float64(entries)/recording.Seconds(), "recorded/s")
				for _, c := range conns {
					c.Close()
				}
				open.Wait()
			})
		}
	}
}

// busy reports whether a listener lacks something.
func (s *served) busy(listeners int) bool {
	h := s.api.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.attached != listeners || h.at != s.api.o.Ledger.Head().Size {
		return true
	}
	for l := range h.listeners {
		l.mu.Lock()
		lacks := l.events > 0 || !l.attached
		l.mu.Unlock()
		if lacks {
			return true
		}
	}
	return false
}

// cpu is the time that the process has taken of all processors.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
